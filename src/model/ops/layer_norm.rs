//! Layer normalisation. Source: Ba et al. 2016.

use super::gemm::isa;
use super::linear::column_sums;
use super::norm_rows::{norm_rows, norm_rows_backward};
use crate::model::kernel::vector::{self, layer_norm_backward};

/// `(x - mean) / sqrt(variance + epsilon) * gamma + beta`, row by row, into `out`; each row's mean and
/// 1 / standard deviation into `moments`.
///
/// # Shapes
/// `x` and `out` `[rows, width]`, `gamma` and `beta` `[width]`, `moments` `[rows]`.
pub(crate) fn layer_norm(
    x: &[f32],
    [gamma, beta]: [&[f32]; 2],
    epsilon: f32,
    out: &mut [f32],
    moments: &mut [[f32; 2]],
) {
    let isa = isa();
    norm_rows(gamma.len(), x, out, moments, |x, out| {
        vector::layer_norm(isa, x, gamma, beta, epsilon, out)
    });
}

/// Adds the gradient of `x` to `dx`, where the residual stream's own gradient is already.
///
/// # Shapes
/// `x`, `upstream` and `dx` `[rows, width]`, `gamma` `[width]`, `moments` `[rows]`.
pub(crate) fn add_input_gradient(
    x: &[f32],
    gamma: &[f32],
    moments: &[[f32; 2]],
    upstream: &[f32],
    dx: &mut [f32],
) {
    let isa = isa();
    norm_rows_backward(
        gamma.len(),
        x,
        moments,
        upstream,
        dx,
        |x, moments, upstream, dx| {
            layer_norm_backward(isa, x, gamma, moments, upstream, dx);
        },
    );
}

/// Adds the gradient of `gamma`; that of `beta` is [`super::linear::add_bias_gradient`].
///
/// # Shapes
/// `x` and `upstream` `[rows, width]`, `moments` `[rows]`, `dgamma` `[width]`.
pub(crate) fn add_gamma_gradient(
    x: &[f32],
    moments: &[[f32; 2]],
    upstream: &[f32],
    dgamma: &mut [f32],
) {
    let width = dgamma.len();
    column_sums(dgamma, |sums, columns| {
        let rows = x.chunks_exact(width).zip(upstream.chunks_exact(width));
        for ((x, upstream), &[mean, scale]) in rows.zip(moments) {
            let pairs = x[columns.clone()].iter().zip(&upstream[columns.clone()]);
            for (sum, (x, g)) in sums.iter_mut().zip(pairs) {
                *sum += g * (x - mean) * scale;
            }
        }
    });
}
