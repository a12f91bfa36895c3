//! Arrays as memory is to have them, in files.

use super::values::StoredValues;
use crate::model::ModelError;
use crate::model::architecture::{FileArray, Layout};

/// One array as memory is to have it, in files.
#[derive(Clone, Debug)]
pub(in crate::model) struct StoredArray {
    pub(in crate::model) shape: Vec<usize>,
    pub(super) parts: Vec<StoredPart>,
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
            [part] if part.file.layout == Layout::Same => part.values.read_at(first, into),
            _ if first == 0 && into.len() == self.len() => self.assemble(into),
            _ => {
                let mut all = vec![0.0; self.len()];
                self.assemble(&mut all)?;
                into.copy_from_slice(&all[first..][..into.len()]);
                Ok(())
            }
        }
    }

    /// All values; threads of the caller's pool read together.
    ///
    /// # Errors
    /// As of [`StoredArray::read_at`].
    pub(super) fn read_all(&self) -> Result<Vec<f32>, ModelError> {
        if let [part] = self.parts.as_slice()
            && part.file.layout == Layout::Same
        {
            return part.values.read_all();
        }
        let mut values = vec![0.0; self.len()];
        self.assemble(&mut values)?;
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
