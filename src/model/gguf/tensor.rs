//! Where a tensor lies, and what it holds.

use std::fmt::Write as _;

use super::blocks::BlockType;
use super::cursor::{Cursor, Stop};
use super::error::Fault;

/// Dimensions at most, by the format.
const MOST_DIMENSIONS: u32 = 4;
/// Bytes of a name at most, by the format.
const LONGEST_NAME: usize = 64;

/// A tensor of a file; its values are not read yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TensorInfo {
    /// Its name.
    pub name: String,
    /// Its shape as others write it, the slowest dimension first; the file has it the other way round.
    pub shape: Vec<usize>,
    /// How its values are stored. No block lies across two rows.
    pub kind: BlockType,
    /// Its first byte in the file.
    pub start: u64,
}

impl TensorInfo {
    /// How many values it has.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether it has none; no tensor of a file is so.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that it takes.
    pub fn bytes(&self) -> u64 {
        (self.len() / self.kind.values()) as u64 * self.kind.bytes() as u64
    }

    /// Reads one; `start` is still from the beginning of the data.
    pub(super) fn read(cursor: &mut Cursor<'_>, index: usize) -> Result<Self, Stop> {
        cursor.place = format!("tensor {index}");
        let name = cursor.text()?;
        if name.is_empty() || name.len() > LONGEST_NAME {
            let found = format!("a name of {} bytes", name.len());
            let expected = format!("1 to {LONGEST_NAME}");
            return Err(Fault::damaged(cursor.here(), found, expected).into());
        }
        cursor.place = format!("tensor `{name}`");
        let dimensions = cursor.u32()?;
        if !(1..=MOST_DIMENSIONS).contains(&dimensions) {
            let found = format!("{dimensions} dimensions");
            let expected = format!("1 to {MOST_DIMENSIONS}");
            return Err(Fault::damaged(cursor.here(), found, expected).into());
        }
        let mut sizes = Vec::new();
        for _ in 0..dimensions {
            sizes.push(cursor.u64()?);
        }
        let kind = cursor.u32()?;
        let start = cursor.u64()?;
        let kind = BlockType::of(kind).map_err(|named| {
            let mut list = String::new();
            for kind in BlockType::ALL {
                let comma = if list.is_empty() { "" } else { ", " };
                write!(list, "{comma}{kind:?}").expect("a text takes all");
            }
            let hint = "take the model's file in another quantisation (Q8_0 or Q4_K_M for example), or write it again with \
                        llama.cpp's `llama-quantize --allow-requantize`";
            Fault::new(&cursor.place, format!("stored as {named}"), list, hint)
        })?;
        let shape = shape(&sizes, kind).map_err(|(found, expected)| {
            Fault::damaged(&cursor.place, format!("shape {sizes:?} {found}"), expected)
        })?;
        Ok(Self {
            name,
            shape,
            kind,
            start,
        })
    }
}

/// The shape of a tensor of these sizes, the fastest first, where its values can be counted.
fn shape(sizes: &[u64], kind: BlockType) -> Result<Vec<usize>, (String, String)> {
    let values = sizes.iter().try_fold(1_u64, |product, size| {
        (*size > 0).then_some(())?;
        product.checked_mul(*size)
    });
    // Their bytes in 32 bits each can be counted too.
    let most = u64::MAX >> 3;
    if values.is_none_or(|values| values > most || usize::try_from(values).is_err()) {
        return Err((
            String::new(),
            "sizes above 0 that can be counted".to_owned(),
        ));
    }
    if !sizes[0].is_multiple_of(kind.values() as u64) {
        let found = format!("in blocks of {} values ({kind:?})", kind.values());
        return Err((found, "a first size of whole blocks".to_owned()));
    }
    let sizes = sizes.iter().rev();
    Ok(sizes
        .map(|size| usize::try_from(*size).unwrap_or(0))
        .collect())
}

/// Moves tensors to where the data begins, and checks that they lie in the file, aligned and apart.
pub(super) fn place(
    tensors: &mut [TensorInfo],
    data: u64,
    length: u64,
    alignment: u64,
) -> Result<(), Fault> {
    let room = length.saturating_sub(data);
    for tensor in tensors.iter_mut() {
        let (offset, bytes) = (tensor.start, tensor.bytes());
        let place = || format!("tensor `{}`", tensor.name);
        if !offset.is_multiple_of(alignment) {
            let found = format!("it begins at {offset} of the data");
            return Err(Fault::damaged(
                place(),
                found,
                format!("a multiple of {alignment}"),
            ));
        }
        if offset.checked_add(bytes).is_none_or(|end| end > room) {
            let found = format!("its {bytes} bytes begin at {offset} of the data");
            let expected = format!("to end within the {room} bytes of data that the file has");
            return Err(Fault::damaged(place(), found, expected));
        }
        tensor.start = data + offset;
    }
    let mut order: Vec<&TensorInfo> = tensors.iter().collect();
    order.sort_by_key(|tensor| tensor.start);
    for pair in order.windows(2) {
        let (before, after) = (pair[0], pair[1]);
        if before.start + before.bytes() > after.start {
            let found = format!("it begins within tensor `{}`", before.name);
            let place = format!("tensor `{}`", after.name);
            return Err(Fault::damaged(place, found, "bytes of its own"));
        }
    }
    Ok(())
}
