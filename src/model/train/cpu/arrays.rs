//! Arrays of weights and of their gradients by what they are for.

use crate::model::Weights;
use crate::model::architecture::ArrayId;

/// The values of an array that the architecture promises.
///
/// # Shapes
/// To the shape that the architecture has for `id`, row-major.
pub(super) fn values(weights: &Weights, id: ArrayId) -> &[f32] {
    let array = weights.arrays.get(&id);
    &array
        .expect("the weights were checked against the architecture")
        .data
}

/// Where the gradients of an array are summed; `None` of one that is frozen.
///
/// # Shapes
/// As of [`values`].
pub(super) fn values_mut(gradients: &mut Weights, id: ArrayId) -> Option<&mut [f32]> {
    Some(&mut gradients.arrays.get_mut(&id)?.data)
}
