//! A linear map in the number format that the caller chose.

use super::gemm::{Epilogue, MatrixRows, multiply};
use super::gemm_half::{PackedHalf, multiply_half, within};
use super::gemm_int8::{PackedInt8, multiply_int8};
use super::packed::{Columns, Packed};
use super::parallel::Parallel;
use crate::model::kernel::half::HalfFormat;
use crate::model::source::Values;
use crate::model::{Dtype, ModelError};

/// A packed weight matrix `[k, n]` with its bias.
pub(super) enum Linear {
    /// In 32-bit floating point.
    F32(Packed),
    /// In sixteen bits, multiplied in 32.
    Half(PackedHalf),
    /// In 8-bit integers.
    Int8(PackedInt8),
}

/// Which sixteen bits are meant, if any.
pub(super) fn half_format(dtype: Dtype) -> Option<HalfFormat> {
    match dtype {
        Dtype::F32 | Dtype::Tf32 | Dtype::Int8 => None,
        Dtype::Bf16 => Some(HalfFormat::Bf16),
        Dtype::F16 => Some(HalfFormat::F16),
    }
}

impl Linear {
    /// Packs a matrix, row-major, and its bias, if it has one; `name` is what an error calls it.
    ///
    /// # Shapes
    /// `weights` `[k, n]`, `bias` `[n]`, with the `n` of `columns`.
    ///
    /// # Errors
    /// A value is beyond the range of `dtype`.
    pub(super) fn new(
        name: &str,
        dtype: Dtype,
        weights: &[f32],
        k: usize,
        columns: Columns,
        bias: Option<&[f32]>,
    ) -> Result<Self, ModelError> {
        Ok(match (dtype, half_format(dtype)) {
            (_, Some(format)) => {
                within(name, format, 0, weights)?;
                Self::Half(PackedHalf::new(format, weights, k, columns, bias))
            }
            (Dtype::Int8, None) => Self::Int8(PackedInt8::new(weights, k, columns, bias)),
            (_, None) => Self::F32(Packed::new(weights, k, columns, bias)),
        })
    }

    /// Packs the transpose of a matrix, row-major, without bias. The threads of the caller's pool share it; `name` is
    /// what an error calls it.
    ///
    /// # Shapes
    /// `weights` `[n, k]`.
    ///
    /// # Errors
    /// A file cannot be read, a value in one is not a number, or one is beyond the range of `dtype`.
    pub(super) fn transposed(
        name: &str,
        dtype: Dtype,
        weights: &Values<'_>,
        k: usize,
        n: usize,
    ) -> Result<Self, ModelError> {
        Ok(match (dtype, half_format(dtype)) {
            (_, Some(format)) => Self::Half(PackedHalf::transposed(name, format, weights, k, n)?),
            (Dtype::Int8, None) => Self::Int8(PackedInt8::transposed(weights, k, n)?),
            (_, None) => Self::F32(Packed::transposed(weights, k, n)?),
        })
    }

    /// Multiplies `x` into `y`, whose rows are `y_stride` apart and have room for whole panels.
    ///
    /// # Shapes
    /// `x` `[rows, k]`, `y` `[rows, y_stride]` with `y_stride` at least what whole panels make.
    pub(super) fn multiply(
        &self,
        parallel: Parallel,
        x: MatrixRows<'_>,
        epilogue: Epilogue,
        y: &mut [f32],
        y_stride: usize,
    ) {
        match self {
            Self::F32(w) => multiply(parallel, x, w, epilogue, y, y_stride),
            Self::Half(w) => multiply_half(parallel, x, w, epilogue, y, y_stride),
            Self::Int8(w) => multiply_int8(parallel, x, w, epilogue, y, y_stride),
        }
    }

    /// Column `column` of a matrix whose columns stand as they come, into the head of `out`.
    ///
    /// # Shapes
    /// `out` `[k]`, or longer.
    pub(super) fn copy_column(&self, column: usize, out: &mut [f32]) {
        match self {
            Self::F32(w) => w.copy_column(column, out),
            Self::Half(w) => w.copy_column(column, out),
            Self::Int8(w) => w.copy_column(column, out),
        }
    }

    /// Bytes that a product streams.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::F32(w) => w.bytes(),
            Self::Half(w) => w.bytes(),
            Self::Int8(w) => w.bytes(),
        }
    }
}
