//! Gradients as a backward pass finds them.

use burn::tensor::{FloatDType, Tensor};
use indexmap::IndexMap;

use super::Parameters;
use crate::model::architecture::ArrayId;

/// Gradients of the arrays that are trained, f32 and flat; `None` where none came.
pub(crate) struct Gradients(IndexMap<ArrayId, Option<Tensor<1>>>);

impl Gradients {
    /// None yet.
    pub(super) fn of(parameters: &Parameters) -> Self {
        Self(parameters.trained().map(|(id, _)| (*id, None)).collect())
    }

    /// Whether an array is trained: of others no gradient is computed.
    pub(super) fn wants(&self, id: ArrayId) -> bool {
        self.0.contains_key(&id)
    }

    /// Adds to the gradient of an array that is trained.
    ///
    /// # Shapes
    /// `more` has as many values as the array, in its order.
    pub(super) fn add<const D: usize>(&mut self, id: ArrayId, more: Tensor<D>) {
        let more = more.flatten::<1>(0, D - 1).cast(FloatDType::F32);
        if let Some(found) = self.0.get_mut(&id) {
            *found = Some(match found.take() {
                None => more,
                Some(sum) => sum + more,
            });
        }
    }

    /// An array's gradient.
    ///
    /// # Shapes
    /// As many values as the array has.
    pub(crate) fn take(&mut self, id: ArrayId) -> Option<Tensor<1>> {
        self.0.get_mut(&id)?.take()
    }
}
