//! Root mean square normalisation. Source: Zhang & Sennrich 2019.

use rayon::prelude::*;

use super::gemm::isa;
use super::layer_norm::ROWS;
use crate::model::kernel::rms_norm as kernel;

/// `x / sqrt(mean(x^2) + epsilon) * (gain + offset)`, row by row, into `out`; 0 and what each row was multiplied by beside
/// the gain into `moments`, so that a layer norm's gradient of the gain is this one's too.
///
/// # Shapes
/// `x` and `out` `[rows, width]`, `gain` `[width]`, `moments` `[rows]`.
pub(crate) fn rms_norm(
    x: &[f32],
    (gain, offset): (&[f32], f32),
    epsilon: f32,
    out: &mut [f32],
    moments: &mut [[f32; 2]],
) {
    let (width, isa) = (gain.len(), isa());
    let outputs = out
        .par_chunks_mut(ROWS * width)
        .zip(moments.par_chunks_mut(ROWS));
    let blocks = outputs.zip(x.par_chunks(ROWS * width));
    blocks.for_each(|((out, moments), x)| {
        let rows = out.chunks_exact_mut(width).zip(x.chunks_exact(width));
        for ((out, x), moments) in rows.zip(moments) {
            *moments = [0.0, kernel::rms_norm(isa, x, gain, offset, epsilon, out)];
        }
    });
}

/// Adds the gradient of `x` to `dx`.
///
/// # Shapes
/// `x`, `upstream` and `dx` `[rows, width]`, `gain` `[width]`, `moments` `[rows]`.
pub(crate) fn add_input_gradient(
    x: &[f32],
    (gain, offset): (&[f32], f32),
    moments: &[[f32; 2]],
    upstream: &[f32],
    dx: &mut [f32],
) {
    let (width, isa) = (gain.len(), isa());
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
        for (dx, ((x, upstream), [_, scale])) in dx.chunks_exact_mut(width).zip(rows) {
            kernel::rms_norm_backward(isa, x, gain, offset, *scale, upstream, dx);
        }
    });
}
