//! The values of one array of a file, read in f32 and a piece at a time.

use std::sync::Arc;

use half::{bf16, f16};
use rayon::prelude::*;
use safetensors::tensor::Dtype;

use super::file::WeightFile;
use crate::key::DigestedFile;
use crate::model::ModelError;
use crate::model::gguf::{Gguf, HubArray};
use crate::model::in_order::in_order;

/// Values that a thread reads at a time, where threads share an array.
pub(super) const PIECE: usize = 32 * 1024;

/// One array of a file.
#[derive(Clone, Debug)]
pub(super) struct StoredValues {
    pub(super) shape: Vec<usize>,
    pub(super) name: Arc<str>,
    pub(super) place: Place,
}

/// Where values lie.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// One after another.
    Plain {
        /// The file.
        file: Arc<WeightFile>,
        /// The first one's first byte.
        start: u64,
        /// How each is written.
        format: Format,
    },
    /// In blocks, and perhaps in another order.
    Gguf(Box<(Gguf, HubArray)>),
}

impl Place {
    /// The file, for messages.
    pub(super) fn file(&self) -> String {
        let path = match self {
            Self::Plain { file, .. } => file.path.as_path(),
            Self::Gguf(of) => of.0.path(),
        };
        format!("`{}`", path.display())
    }
}

impl StoredValues {
    pub(super) fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// The values from `first` on, as many as `into` has room for.
    ///
    /// # Errors
    /// The file cannot be read, or a value is not a number.
    pub(super) fn read_at(&self, first: usize, into: &mut [f32]) -> Result<(), ModelError> {
        match &self.place {
            Place::Plain {
                file,
                start,
                format,
            } => {
                let width = format.width();
                let mut bytes = [0; DigestedFile::BLOCK];
                let (mut at, mut rest) = (first, &mut *into);
                while !rest.is_empty() {
                    let offset = start + (at * width) as u64;
                    // Of a file that is not aligned a value may lie across two blocks.
                    let count = DigestedFile::stretch(offset, rest.len() * width) / width;
                    let count = count.max(1);
                    let values = rest.split_off_mut(..count).expect("so many are left");
                    let bytes = &mut bytes[..count * width];
                    file.read_exact_at(offset, bytes)?;
                    format.decode(bytes, values);
                    at += count;
                }
            }
            Place::Gguf(of) => {
                let (gguf, array) = &**of;
                array.read_at(gguf, first, into).map_err(ModelError::Gguf)?;
            }
        }
        // Together they are a number only if each is; adding them up takes no branches.
        if !into
            .iter()
            .fold(0.0, |sum, value| sum + value * 0.0)
            .is_finite()
            && let Some(index) = into.iter().position(|value| !value.is_finite())
        {
            return Err(ModelError::NotFinite {
                name: self.name.to_string(),
                index: first + index,
                value: into[index],
            });
        }
        Ok(())
    }

    /// All values.
    ///
    /// # Errors
    /// As of [`StoredValues::read_at`].
    pub(super) fn read_all(&self) -> Result<Vec<f32>, ModelError> {
        let mut values = vec![0.0; self.len()];
        let pieces = values.par_chunks_mut(PIECE).enumerate();
        in_order::<_, _, ()>(pieces.map(|(index, piece)| self.read_at(index * PIECE, piece)))?;
        Ok(values)
    }

    pub(super) fn equals(&self, other: &Self) -> Result<bool, ModelError> {
        if self.shape != other.shape {
            return Ok(false);
        }
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for first in (0..self.len()).step_by(PIECE) {
            let count = PIECE.min(self.len() - first);
            ours.resize(count, 0.0);
            theirs.resize(count, 0.0);
            self.read_at(first, &mut ours)?;
            other.read_at(first, &mut theirs)?;
            if ours != theirs {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// A number format that is read.
#[derive(Clone, Copy, Debug)]
pub(super) enum Format {
    F32,
    F16,
    Bf16,
}

impl Format {
    pub(super) fn of(dtype: Dtype) -> Option<Self> {
        match dtype {
            Dtype::F32 => Some(Self::F32),
            Dtype::F16 => Some(Self::F16),
            Dtype::BF16 => Some(Self::Bf16),
            _ => None,
        }
    }

    /// Bytes of a value.
    fn width(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }

    fn decode(self, bytes: &[u8], into: &mut [f32]) {
        let pairs = bytes.as_chunks::<2>().0;
        match self {
            Self::F32 => {
                for (value, raw) in into.iter_mut().zip(bytes.as_chunks::<4>().0) {
                    *value = f32::from_le_bytes(*raw);
                }
            }
            Self::F16 => {
                for (value, raw) in into.iter_mut().zip(pairs) {
                    *value = f16::from_le_bytes(*raw).to_f32();
                }
            }
            Self::Bf16 => {
                for (value, raw) in into.iter_mut().zip(pairs) {
                    *value = bf16::from_le_bytes(*raw).to_f32();
                }
            }
        }
    }
}
