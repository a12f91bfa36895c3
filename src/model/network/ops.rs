//! What all parts of a network do.

use burn::tensor::{Device, FloatDType, Int, Tensor, TensorData};

/// `x` in f32.
///
/// # Shapes
/// `x` `[rows, columns]`; to the same.
pub(super) fn single(x: Tensor<2>) -> Tensor<2> {
    x.cast(FloatDType::F32)
}

/// Indices as a tensor.
///
/// # Shapes
/// To `[values]`.
pub(super) fn indices(values: impl IntoIterator<Item = usize>, device: &Device) -> Tensor<1, Int> {
    let values = values
        .into_iter()
        .map(|index| i64::try_from(index).expect("indices fit"));
    integers(values.collect(), device)
}

/// Integers as a tensor.
///
/// # Shapes
/// To `[values]`.
pub(super) fn integers(values: Vec<i64>, device: &Device) -> Tensor<1, Int> {
    let count = values.len();
    Tensor::from_data(TensorData::new(values, [count]), device)
}
