//! A value of the metadata: a number, a truth, a text, or a list of one kind of these.

use super::cursor::{Cursor, Stop};
use super::error::Fault;

/// Lists in lists at most (ours); writers nest them twice.
const DEEPEST: usize = 4;

/// A value of the metadata.
#[derive(Clone, PartialEq, Debug)]
#[expect(missing_docs, reason = "the names of the format")]
pub enum Value {
    U8(u8),
    I8(i8),
    U16(u16),
    I16(i16),
    U32(u32),
    I32(i32),
    F32(f32),
    Bool(bool),
    Text(Box<str>),
    List(List),
    U64(u64),
    I64(i64),
    F64(f64),
}

/// A list of the metadata.
#[derive(Clone, PartialEq, Debug)]
#[expect(missing_docs, reason = "the names of the format")]
pub enum List {
    U8(Vec<u8>),
    I8(Vec<i8>),
    U16(Vec<u16>),
    I16(Vec<i16>),
    U32(Vec<u32>),
    I32(Vec<i32>),
    F32(Vec<f32>),
    Bool(Vec<bool>),
    Text(Vec<Box<str>>),
    List(Vec<List>),
    U64(Vec<u64>),
    I64(Vec<i64>),
    F64(Vec<f64>),
}

impl Value {
    pub(super) fn read(cursor: &mut Cursor<'_>) -> Result<Self, Stop> {
        Ok(match cursor.u32()? {
            0 => Self::U8(u8::from_le_bytes(cursor.array()?)),
            1 => Self::I8(i8::from_le_bytes(cursor.array()?)),
            2 => Self::U16(u16::from_le_bytes(cursor.array()?)),
            3 => Self::I16(i16::from_le_bytes(cursor.array()?)),
            4 => Self::U32(u32::from_le_bytes(cursor.array()?)),
            5 => Self::I32(i32::from_le_bytes(cursor.array()?)),
            6 => Self::F32(f32::from_le_bytes(cursor.array()?)),
            7 => {
                let here = cursor.here();
                Self::Bool(truth(cursor.array::<1>()?[0], &here)?)
            }
            8 => Self::Text(cursor.text()?.into()),
            9 => Self::List(List::read(cursor, 1)?),
            10 => Self::U64(u64::from_le_bytes(cursor.array()?)),
            11 => Self::I64(i64::from_le_bytes(cursor.array()?)),
            12 => Self::F64(f64::from_le_bytes(cursor.array()?)),
            other => return Err(unknown(cursor, other).into()),
        })
    }

    /// A whole number that is not negative, in whatever width it is stored.
    pub fn as_count(&self) -> Option<u64> {
        match *self {
            Self::U8(value) => Some(value.into()),
            Self::U16(value) => Some(value.into()),
            Self::U32(value) => Some(value.into()),
            Self::U64(value) => Some(value),
            Self::I8(value) => u64::try_from(value).ok(),
            Self::I16(value) => u64::try_from(value).ok(),
            Self::I32(value) => u64::try_from(value).ok(),
            Self::I64(value) => u64::try_from(value).ok(),
            _ => None,
        }
    }

    /// A number. One of 32 bits becomes the shortest decimal that means it: 1e-5 and not 9.999999747e-6.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::F32(value) => value.to_string().parse().ok(),
            Self::F64(value) => Some(*value),
            other => other.as_count().map(|count| count as f64),
        }
    }

    /// A truth.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// A text.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A list of texts.
    pub fn as_texts(&self) -> Option<&[Box<str>]> {
        match self {
            Self::List(List::Text(texts)) => Some(texts),
            _ => None,
        }
    }

    /// A list of counts, or one count.
    pub fn as_counts(&self) -> Option<Vec<u64>> {
        let signed = |values: &[i32]| values.iter().map(|v| u64::try_from(*v).ok()).collect();
        match self {
            Self::List(List::U32(values)) => Some(values.iter().map(|v| (*v).into()).collect()),
            Self::List(List::U64(values)) => Some(values.clone()),
            Self::List(List::I32(values)) => signed(values),
            other => other.as_count().map(|count| vec![count]),
        }
    }

    /// What it is, for messages: the value itself where it is short.
    pub(super) fn said(&self) -> String {
        match self {
            Self::Text(text) if text.len() > 60 => format!("a text of {} bytes", text.len()),
            Self::Text(text) => format!("{text:?}"),
            Self::List(list) => format!("a list of {}", list.len()),
            Self::Bool(value) => value.to_string(),
            Self::I8(value) => value.to_string(),
            Self::I16(value) => value.to_string(),
            Self::I32(value) => value.to_string(),
            Self::I64(value) => value.to_string(),
            Self::F32(value) => value.to_string(),
            Self::F64(value) => value.to_string(),
            other => other.as_count().unwrap_or_default().to_string(),
        }
    }
}

impl List {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::U8(values) => values.len(),
            Self::I8(values) => values.len(),
            Self::U16(values) => values.len(),
            Self::I16(values) => values.len(),
            Self::U32(values) => values.len(),
            Self::I32(values) => values.len(),
            Self::F32(values) => values.len(),
            Self::Bool(values) => values.len(),
            Self::Text(values) => values.len(),
            Self::List(values) => values.len(),
            Self::U64(values) => values.len(),
            Self::I64(values) => values.len(),
            Self::F64(values) => values.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn read(cursor: &mut Cursor<'_>, depth: usize) -> Result<Self, Stop> {
        let kind = cursor.u32()?;
        let count = cursor.u64()?;
        Ok(match kind {
            0 => Self::U8(numbers(cursor, count, u8::from_le_bytes)?),
            1 => Self::I8(numbers(cursor, count, i8::from_le_bytes)?),
            2 => Self::U16(numbers(cursor, count, u16::from_le_bytes)?),
            3 => Self::I16(numbers(cursor, count, i16::from_le_bytes)?),
            4 => Self::U32(numbers(cursor, count, u32::from_le_bytes)?),
            5 => Self::I32(numbers(cursor, count, i32::from_le_bytes)?),
            6 => Self::F32(numbers(cursor, count, f32::from_le_bytes)?),
            7 => {
                let here = cursor.here();
                let bytes = numbers(cursor, count, |[byte]| byte)?;
                let truths = bytes.into_iter().map(|byte| truth(byte, &here));
                Self::Bool(truths.collect::<Result<_, _>>()?)
            }
            8 => {
                let count = cursor.check_count(count, 8, "texts")?;
                let mut texts = Vec::with_capacity(count);
                for _ in 0..count {
                    texts.push(cursor.text()?.into_boxed_str());
                }
                Self::Text(texts)
            }
            9 if depth >= DEEPEST => {
                let found = format!("lists in lists, more than {DEEPEST} deep");
                return Err(Fault::damaged(cursor.here(), found, "fewer").into());
            }
            9 => {
                let count = cursor.check_count(count, 12, "lists")?;
                let mut lists = Vec::with_capacity(count);
                for _ in 0..count {
                    lists.push(Self::read(cursor, depth + 1)?);
                }
                Self::List(lists)
            }
            10 => Self::U64(numbers(cursor, count, u64::from_le_bytes)?),
            11 => Self::I64(numbers(cursor, count, i64::from_le_bytes)?),
            12 => Self::F64(numbers(cursor, count, f64::from_le_bytes)?),
            other => return Err(unknown(cursor, other).into()),
        })
    }
}

fn numbers<const N: usize, T>(
    cursor: &mut Cursor<'_>,
    count: u64,
    make: impl Fn([u8; N]) -> T,
) -> Result<Vec<T>, Stop> {
    let count = cursor.check_count(count, N as u64, "numbers")?;
    let bytes = cursor.bytes(count * N)?;
    let (values, _) = bytes.as_chunks::<N>();
    Ok(values.iter().map(|value| make(*value)).collect())
}

fn truth(byte: u8, here: &str) -> Result<bool, Fault> {
    match byte {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(Fault::damaged(
            here,
            format!("a truth of {other}"),
            "0 or 1",
        )),
    }
}

fn unknown(cursor: &Cursor<'_>, kind: u32) -> Fault {
    let found = format!("a value of type {kind}");
    Fault::damaged(cursor.here(), found, "a type from 0 to 12")
}
