//! Activations of the feed-forward half, plain and gated, in one pass over the rows.

use rayon::prelude::*;

use super::gemm::isa;
use crate::model::architecture::Activation;
use crate::model::kernel::activation as kernel;

/// Elements that a thread takes at a time; each stands alone, so it changes no bit.
const BLOCK: usize = 1 << 13;

/// What `activation` makes of `x`, element by element, into `out`.
///
/// # Shapes
/// `x` and `out` are of one length.
pub(crate) fn activate(activation: Activation, x: &[f32], out: &mut [f32]) {
    let blocks = out.par_chunks_mut(BLOCK).zip(x.par_chunks(BLOCK));
    blocks.for_each(|(out, x)| kernel::activate(isa(), activation, x, out));
}

/// The gradient of `x`, into `dx`.
///
/// # Shapes
/// `x`, `upstream` and `dx` are of one length.
pub(crate) fn activate_gradient(
    activation: Activation,
    x: &[f32],
    upstream: &[f32],
    dx: &mut [f32],
) {
    let blocks = x.par_chunks(BLOCK).zip(upstream.par_chunks(BLOCK));
    dx.par_chunks_mut(BLOCK)
        .zip(blocks)
        .for_each(|(dx, (x, upstream))| {
            kernel::activate_backward(isa(), activation, x, upstream, dx);
        });
}

/// What `activation` makes of the first half of each row of `x`, times the second half, into `out`.
///
/// # Shapes
/// `x` `[rows, 2 * inner]`, `out` `[rows, inner]`.
pub(crate) fn gated(activation: Activation, inner: usize, x: &[f32], out: &mut [f32]) {
    let block = rows(inner) * inner;
    let blocks = out.par_chunks_mut(block).zip(x.par_chunks(2 * block));
    blocks.for_each(|(out, x)| {
        let rows = out.chunks_exact_mut(inner).zip(x.chunks_exact(2 * inner));
        for (out, x) in rows {
            let (gate, up) = x.split_at(inner);
            kernel::gated(isa(), activation, gate, up, out);
        }
    });
}

/// The gradient of `x` as of [`gated`], into `dx`.
///
/// # Shapes
/// `x` and `dx` `[rows, 2 * inner]`, `upstream` `[rows, inner]`.
pub(crate) fn gated_gradient(
    activation: Activation,
    inner: usize,
    x: &[f32],
    upstream: &[f32],
    dx: &mut [f32],
) {
    let block = rows(inner) * inner;
    let blocks = x.par_chunks(2 * block).zip(upstream.par_chunks(block));
    let blocks = dx.par_chunks_mut(2 * block).zip(blocks);
    blocks.for_each(|(dx, (x, upstream))| {
        let inputs = x.chunks_exact(2 * inner).zip(upstream.chunks_exact(inner));
        for (dx, (x, upstream)) in dx.chunks_exact_mut(2 * inner).zip(inputs) {
            let (inputs, gradients) = (x.split_at(inner), dx.split_at_mut(inner));
            kernel::gated_backward(isa(), activation, inputs.into(), upstream, gradients.into());
        }
    });
}

/// Rows that a thread takes at a time.
fn rows(inner: usize) -> usize {
    (BLOCK / inner).max(1)
}
