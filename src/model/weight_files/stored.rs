//! Arrays as memory is to have them, in files.

use std::sync::Arc;

use rayon::prelude::*;

use super::values::{PIECE, StoredValues};
use crate::model::ModelError;
use crate::model::architecture::{FileArray, Layout};
use crate::model::lora::Delta;

/// One array as memory is to have it, in files.
#[derive(Clone, Debug)]
pub(in crate::model) struct StoredArray {
    pub(in crate::model) shape: Vec<usize>,
    pub(super) parts: Vec<StoredPart>,
    /// What an adapter adds, in f32, each after the one before.
    pub(super) deltas: Arc<[Delta]>,
}

/// An array of a file and where its values belong.
#[derive(Clone, Debug)]
pub(super) struct StoredPart {
    pub(super) file: FileArray,
    pub(super) values: StoredValues,
}

impl StoredArray {
    /// How many values it has.
    pub(in crate::model) fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// The values from `first` on, as many as `into` has room for.
    ///
    /// # Errors
    /// The file cannot be read, or a value is not a number.
    pub(in crate::model) fn read_at(
        &self,
        first: usize,
        into: &mut [f32],
    ) -> Result<(), ModelError> {
        match self.parts.as_slice() {
            [part] if part.file.layout == Layout::Same => part.values.read_at(first, into)?,
            _ if first == 0 && into.len() == self.len() => self.assemble(into)?,
            _ => {
                let mut all = vec![0.0; self.len()];
                self.assemble(&mut all)?;
                into.copy_from_slice(&all[first..][..into.len()]);
            }
        }
        self.adapt(first, into);
        Ok(())
    }

    /// Adds what an adapter adds to the values from `first` on; threads of the caller's pool work together.
    fn adapt(&self, first: usize, values: &mut [f32]) {
        let outputs = self.shape.last().copied().unwrap_or(1);
        if self.deltas.is_empty() {
            return;
        }
        let pieces = values.par_chunks_mut(PIECE).enumerate();
        pieces.for_each(|(piece, values)| {
            for delta in &*self.deltas {
                delta.add_to(values, first + piece * PIECE, outputs);
            }
        });
    }

    /// All values; threads of the caller's pool read together.
    ///
    /// # Errors
    /// As of [`StoredArray::read_at`].
    pub(super) fn read_all(&self) -> Result<Vec<f32>, ModelError> {
        if let [part] = self.parts.as_slice()
            && part.file.layout == Layout::Same
        {
            let mut values = part.values.read_all()?;
            self.adapt(0, &mut values);
            return Ok(values);
        }
        let mut values = vec![0.0; self.len()];
        self.read_at(0, &mut values)?;
        Ok(values)
    }

    /// Puts all parts where they belong.
    fn assemble(&self, into: &mut [f32]) -> Result<(), ModelError> {
        let outputs = self.shape.last().copied().unwrap_or(1);
        for StoredPart { file, values } in &self.parts {
            file.put(&values.read_all()?, into, outputs);
        }
        Ok(())
    }
}
