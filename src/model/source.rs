//! Where an engine takes weights from: memory, borrowed or owned, or files.

use std::borrow::Cow;
use std::ops::Range;

use super::architecture::ArrayId;
use super::error::ModelError;
use super::weight_files::{StoredArray, WeightFiles};
use super::weights::Weights;

/// Weights for whoever packs them.
pub enum WeightSource<'a> {
    /// In memory, and needed afterwards.
    Borrowed(&'a Weights),
    /// In memory; each array is freed when it has been packed.
    Owned(Weights),
    /// In files, from which each array is read as it is packed: there is never a second copy in memory.
    Files(WeightFiles),
}

impl<'a> From<&'a Weights> for WeightSource<'a> {
    fn from(weights: &'a Weights) -> Self {
        Self::Borrowed(weights)
    }
}

impl From<Weights> for WeightSource<'_> {
    fn from(weights: Weights) -> Self {
        Self::Owned(weights)
    }
}

impl From<WeightFiles> for WeightSource<'_> {
    fn from(files: WeightFiles) -> Self {
        Self::Files(files)
    }
}

impl<'a> WeightSource<'a> {
    /// All of them in memory.
    ///
    /// # Errors
    /// A file cannot be read, or a value in one is not a number.
    pub fn in_memory(self) -> Result<Cow<'a, Weights>, ModelError> {
        Ok(match self {
            Self::Borrowed(weights) => Cow::Borrowed(weights),
            Self::Owned(weights) => Cow::Owned(weights),
            Self::Files(files) => Cow::Owned(files.read()?),
        })
    }

    /// The shape and the values of an array, out of the source unless it is only borrowed.
    pub(super) fn take(&mut self, id: ArrayId) -> Option<(Vec<usize>, Values<'a>)> {
        match self {
            Self::Borrowed(weights) => {
                let array = weights.arrays.get(&id)?;
                Some((array.shape.clone(), Values::Borrowed(&array.data)))
            }
            Self::Owned(weights) => {
                let array = weights.arrays.swap_remove(&id)?;
                Some((array.shape, Values::Owned(array.data)))
            }
            Self::Files(files) => {
                let array = files.arrays.swap_remove(&id)?;
                Some((array.shape.clone(), Values::Stored(array)))
            }
        }
    }

    /// The arrays that are in it.
    pub(super) fn ids(&self) -> Vec<ArrayId> {
        match self {
            Self::Borrowed(weights) => weights.arrays.keys().copied().collect(),
            Self::Owned(weights) => weights.arrays.keys().copied().collect(),
            Self::Files(files) => files.arrays.keys().copied().collect(),
        }
    }
}

/// The values of one array.
pub(super) enum Values<'a> {
    Borrowed(&'a [f32]),
    Owned(Vec<f32>),
    Stored(StoredArray),
}

impl Values<'_> {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Borrowed(values) => values.len(),
            Self::Owned(values) => values.len(),
            Self::Stored(array) => array.len(),
        }
    }

    /// Those of `range`; `room` holds what has to be read.
    ///
    /// # Errors
    /// A file cannot be read, or a value in one is not a number.
    pub(super) fn part<'r>(
        &'r self,
        range: Range<usize>,
        room: &'r mut Vec<f32>,
    ) -> Result<&'r [f32], ModelError> {
        match self {
            Self::Borrowed(values) => Ok(&values[range]),
            Self::Owned(values) => Ok(&values[range]),
            Self::Stored(array) => {
                if room.len() < range.len() {
                    room.resize(range.len(), 0.0);
                }
                let room = &mut room[..range.len()];
                array.read_at(range.start, room)?;
                Ok(room)
            }
        }
    }

    /// All of them.
    ///
    /// # Errors
    /// As of [`Values::part`].
    pub(super) fn all<'r>(&'r self, room: &'r mut Vec<f32>) -> Result<&'r [f32], ModelError> {
        self.part(0..self.len(), room)
    }
}
