//! Root mean square normalisation. Source: Zhang & Sennrich 2019.

use super::gemm::isa;
use super::norm_rows::{norm_rows, norm_rows_backward};
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
    let isa = isa();
    norm_rows(gain.len(), x, out, moments, |x, out| {
        [0.0, kernel::rms_norm(isa, x, gain, offset, epsilon, out)]
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
    let isa = isa();
    norm_rows_backward(
        gain.len(),
        x,
        moments,
        upstream,
        dx,
        |x, [_, scale], upstream, dx| {
            kernel::rms_norm_backward(isa, x, gain, offset, scale, upstream, dx);
        },
    );
}
