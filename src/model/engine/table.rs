//! Rows that are looked up, of a token embedding that is not the vocabulary projection.

use rayon::prelude::*;

use super::gemm_half::within;
use crate::model::ModelError;
use crate::model::in_order::in_order;
use crate::model::kernel::half::HalfFormat;
use crate::model::source::Values;

/// Values that a thread takes at a time.
const PIECE: usize = 1 << 16;

/// The rows of an embedding, as they lie in memory.
pub(super) enum Table {
    F32(Vec<f32>),
    Half(HalfFormat, Vec<u16>),
}

impl Table {
    /// The rows of an array, in sixteen bits where a format is given; `name` is what an error calls it.
    ///
    /// # Errors
    /// A file cannot be read, a value in one is not a number, or one is beyond the format's range.
    pub(super) fn new(
        name: &str,
        format: Option<HalfFormat>,
        values: &Values<'_>,
    ) -> Result<Self, ModelError> {
        let Some(format) = format else {
            return Ok(Self::F32(values.all(&mut Vec::new())?.to_vec()));
        };
        let mut bits = vec![0; values.len()];
        let pieces = bits.par_chunks_mut(PIECE).enumerate();
        let done = pieces.map_init(Vec::new, |room, (index, into)| {
            let first = index * PIECE;
            let part = values.part(first..first + into.len(), room)?;
            within(name, format, first, part)?;
            format.narrow(part, into);
            Ok(())
        });
        in_order::<_, _, ()>(done)?;
        Ok(Self::Half(format, bits))
    }

    /// Writes a row to `out`, in f32.
    ///
    /// # Shapes
    /// `out` `[width]`.
    pub(super) fn copy_row(&self, row: usize, out: &mut [f32]) {
        let width = out.len();
        match self {
            Self::F32(rows) => out.copy_from_slice(&rows[row * width..][..width]),
            Self::Half(format, rows) => {
                for (out, bits) in out.iter_mut().zip(&rows[row * width..][..width]) {
                    *out = format.widen(*bits);
                }
            }
        }
    }
}
