//! A GGUF file: header, metadata and where its tensors lie.
//!
//! In: a file, or anything that gives bytes by offset. Out: what it says, checked by its own length: whoever made it may be a
//! stranger, so a count is believed only if the file can hold as much. Nothing is mapped; values are read when they are asked for.
//! Source: the format's description, `docs/gguf.md` of ggml, versions 2 and 3.

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use indexmap::IndexMap;

use super::cursor::{Cursor, ReadAt, Stop};
use super::error::{Fault, GgufError};
use super::tensor::{TensorInfo, place};
use super::value::Value;
use crate::disk;

/// Where a file does not say otherwise (the format's).
const ALIGNMENT: u32 = 32;
/// The key that says so.
const ALIGNMENT_KEY: &str = "general.alignment";
/// Bytes of a key at most, by the format.
const LONGEST_KEY: usize = 65535;
/// Bytes that are decoded at a time: whole blocks of any type.
const PIECE: usize = 16 << 10;
/// Values of the longest block.
const LONGEST_BLOCK: usize = 256;

/// A GGUF file. A clone reads from the same open file.
#[derive(Clone)]
pub struct Gguf {
    path: PathBuf,
    source: Arc<dyn ReadAt>,
    /// The format's version: 2 or 3.
    pub version: u32,
    /// The metadata, in the file's order.
    pub metadata: IndexMap<String, Value>,
    /// The tensors by name, in the file's order.
    pub tensors: IndexMap<String, TensorInfo>,
}

impl fmt::Debug for Gguf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gguf")
            .field("path", &self.path)
            .field("tensors", &self.tensors.len())
            .finish_non_exhaustive()
    }
}

impl Gguf {
    /// Opens a file and reads all but its tensors' values.
    ///
    /// # Errors
    /// It cannot be read, is damaged, or is of a kind that is not read here.
    pub fn open(path: &Path) -> Result<Self, GgufError> {
        let file = disk::open(path).map_err(GgufError::reading(path))?;
        let length = file.metadata().map_err(GgufError::reading(path))?.len();
        Self::parse(path, length, Arc::<File>::new(file))
    }

    /// The same of `length` bytes that `source` gives; `path` is for messages.
    ///
    /// # Errors
    /// As of [`Gguf::open`].
    pub fn parse(path: &Path, length: u64, source: Arc<dyn ReadAt>) -> Result<Self, GgufError> {
        let read = read(&mut Cursor::new(source.as_ref(), length), length);
        let (version, metadata, tensors) = read.map_err(|stop| match stop {
            Stop::Io(source) => GgufError::reading(path)(source),
            Stop::Fault(fault) => fault.at(path),
        })?;
        Ok(Self {
            path: path.to_owned(),
            source,
            version,
            metadata,
            tensors,
        })
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Values of a tensor in f32, from `first` on, as many as `into` has room for; in the file's order. Threads may read at once.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read_values(
        &self,
        tensor: &TensorInfo,
        first: usize,
        into: &mut [f32],
    ) -> Result<(), GgufError> {
        let (values, bytes) = (tensor.kind.values(), tensor.kind.bytes());
        let mut raw = [0; PIECE];
        let mut read = |block: usize, count: usize, into: &mut [f32]| {
            let raw = &mut raw[..count * bytes];
            let offset = tensor.start + block as u64 * bytes as u64;
            self.source.read_exact_at(offset, raw)?;
            tensor.kind.decode(raw, into);
            Ok(())
        };
        let (mut at, mut rest) = (first, into);
        while !rest.is_empty() {
            let (block, within) = (at / values, at % values);
            let whole = (rest.len() / values).min(PIECE / bytes);
            let count = if within == 0 && whole > 0 {
                let part = rest.split_off_mut(..whole * values);
                let part = part.expect("so many are left");
                read(block, whole, part).map(|()| part.len())
            } else {
                let mut one = [0.0; LONGEST_BLOCK];
                let count = (values - within).min(rest.len());
                let part = rest.split_off_mut(..count);
                let part = part.expect("so many are left");
                read(block, 1, &mut one[..values]).map(|()| {
                    part.copy_from_slice(&one[within..within + count]);
                    count
                })
            };
            at += count.map_err(GgufError::reading(&self.path))?;
        }
        Ok(())
    }

    /// All values of a tensor. See that there is room for them.
    ///
    /// # Errors
    /// As of [`Gguf::read_values`].
    pub fn read_all(&self, tensor: &TensorInfo) -> Result<Vec<f32>, GgufError> {
        let mut values = vec![0.0; tensor.len()];
        self.read_values(tensor, 0, &mut values)?;
        Ok(values)
    }
}

type Contents = (u32, IndexMap<String, Value>, IndexMap<String, TensorInfo>);

fn read(cursor: &mut Cursor<'_>, length: u64) -> Result<Contents, Stop> {
    let version = version(cursor)?;
    let (tensors, pairs) = (cursor.u64()?, cursor.u64()?);
    // A name of a byte, a dimension, type and place; a key of a byte and a value of one.
    let tensors = cursor.check_count(tensors, 33, "tensors")?;
    let pairs = cursor.check_count(pairs, 14, "keys of metadata")?;
    let mut metadata = IndexMap::new();
    for index in 0..pairs {
        cursor.place = format!("key {index} of the metadata");
        let key = cursor.text()?;
        if key.is_empty() || key.len() > LONGEST_KEY {
            let found = format!("a key of {} bytes", key.len());
            let expected = format!("1 to {LONGEST_KEY}");
            return Err(Fault::damaged(cursor.here(), found, expected).into());
        }
        cursor.place = format!("`{key}` of the metadata");
        let value = Value::read(cursor)?;
        if metadata.insert(key, value).is_some() {
            let place = cursor.place.clone();
            return Err(Fault::damaged(place, "it is there twice", "each key once").into());
        }
    }
    let alignment = alignment(&metadata)?;
    let mut infos = Vec::new();
    for index in 0..tensors {
        infos.push(TensorInfo::read(cursor, index)?);
    }
    let data = cursor.offset().next_multiple_of(alignment);
    place(&mut infos, data, length, alignment)?;
    let mut named = IndexMap::new();
    for info in infos {
        let name = info.name.clone();
        if named.insert(name.clone(), info).is_some() {
            let place = format!("tensor `{name}`");
            return Err(Fault::damaged(place, "it is there twice", "each name once").into());
        }
    }
    Ok((version, metadata, named))
}

/// Reads the four letters and the version.
fn version(cursor: &mut Cursor<'_>) -> Result<u32, Stop> {
    let magic: [u8; 4] = cursor.array()?;
    if magic != *b"GGUF" {
        let found = format!("it begins with \"{}\"", magic.escape_ascii());
        let hint = match &magic {
            b"ggjt" | b"ggmf" | b"lmgg" | b"tjgg" | b"fmgg" => {
                "it is of the time before GGUF; take a newer file of the model"
            }
            b"vers" => "is it a pointer of Git LFS? then run `git lfs pull` in its folder",
            _ => "is it a model in GGUF? one in Hub format is named by its folder",
        };
        return Err(Fault::new("header", found, "\"GGUF\"", hint).into());
    }
    let version = cursor.u32()?;
    match version {
        2 | 3 => Ok(version),
        1 => {
            let hint = "it was replaced in 2023; take a newer file of the model";
            Err(Fault::new("header", "version 1 of GGUF", "version 2 or 3", hint).into())
        }
        // Written the other way round, a small number is a large one.
        large if large.trailing_zeros() >= 16 && large != 0 => {
            let found = format!("version {} of GGUF, big-endian", large.swap_bytes());
            let hint =
                "convert it with the `gguf` package of Python: `gguf-convert-endian FILE little`";
            Err(Fault::new("header", found, "a little-endian file", hint).into())
        }
        other => {
            let found = format!("version {other} of GGUF");
            let hint = "the file is damaged, or newer than this program";
            Err(Fault::new("header", found, "version 2 or 3", hint).into())
        }
    }
}

fn alignment(metadata: &IndexMap<String, Value>) -> Result<u64, Fault> {
    let Some(value) = metadata.get(ALIGNMENT_KEY) else {
        return Ok(ALIGNMENT.into());
    };
    let known = value.as_count().filter(|bytes| bytes.is_power_of_two());
    let known = known.filter(|bytes| u32::try_from(*bytes).is_ok());
    known.ok_or_else(|| {
        let place = format!("`{ALIGNMENT_KEY}` of the metadata");
        Fault::damaged(place, value.said(), "a power of two in 32 bits")
    })
}
