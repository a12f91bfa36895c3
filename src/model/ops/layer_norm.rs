//! Layer normalisation. Source: Ba et al. 2016.

use rayon::prelude::*;

use super::gemm::isa;
use super::linear::column_sums;
use crate::model::kernel::vector::{self, layer_norm_backward};

/// Rows that a thread takes at a time; each stands alone, so it changes no bit.
pub(super) const ROWS: usize = 32;

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
    let (width, isa) = (gamma.len(), isa());
    let outputs = out
        .par_chunks_mut(ROWS * width)
        .zip(moments.par_chunks_mut(ROWS));
    outputs
        .zip(x.par_chunks(ROWS * width))
        .for_each(|((out, moments), x)| {
            let rows = out.chunks_exact_mut(width).zip(x.chunks_exact(width));
            for ((out, x), moments) in rows.zip(moments) {
                *moments = vector::layer_norm(isa, x, gamma, beta, epsilon, out);
            }
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
    let (width, isa) = (gamma.len(), isa());
    let inputs = x
        .par_chunks(ROWS * width)
        .zip(upstream.par_chunks(ROWS * width));
    let blocks = dx
        .par_chunks_mut(ROWS * width)
        .zip(inputs.zip(moments.par_chunks(ROWS)));
    blocks.for_each(|(dx, ((x, upstream), moments))| {
        let rows = x
            .chunks_exact(width)
            .zip(upstream.chunks_exact(width))
            .zip(moments);
        for (dx, ((x, upstream), moments)) in dx.chunks_exact_mut(width).zip(rows) {
            layer_norm_backward(isa, x, gamma, *moments, upstream, dx);
        }
    });
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
