//! Root mean square norm of a row. Source: Zhang & Sennrich 2019; HF transformers, `LlamaRMSNorm`.
//!
//! Sixteen partial sums are joined in one fixed tree, as in `kernel::vector`.
#![expect(unsafe_code, reason = "calls vector instructions through `Lanes`")]
#![expect(
    clippy::inline_always,
    reason = "generic kernels must end up inside the function that enables the instructions"
)]

use super::lanes::{LANES, Lanes, kernel};
use super::vector::{load_head, store_head};

/// The body of [`rms_norm`]. Safety: the CPU has `V`'s instructions.
///
/// # Shapes
/// As of [`rms_norm`].
#[inline(always)]
unsafe fn rms_norm_generic<V: Lanes>(
    x: &[f32],
    gain: &[f32],
    offset: f32,
    epsilon: f32,
    out: &mut [f32],
) -> f32 {
    let (blocks, tail) = x.as_chunks::<LANES>();
    // SAFETY: the CPU is the caller's promise; every pointer is to an array of sixteen.
    unsafe {
        let last = load_head::<V>(tail, 0.0);
        let mut squares = last.mul(last);
        for block in blocks {
            let x = V::load(block.as_ptr());
            squares = x.fma(x, squares);
        }
        let scale = 1.0 / (squares.sum() / x.len() as f32 + epsilon).sqrt();
        let (scales, offsets) = (V::splat(scale), V::splat(offset));
        let (whole, rest) = out.split_at_mut(blocks.len() * LANES);
        let (gains, gain_tail) = gain.split_at(whole.len());
        let gains = gains.as_chunks::<LANES>().0;
        let outs = whole.as_chunks_mut::<LANES>().0.iter_mut();
        for ((block, gain), out) in blocks.iter().zip(gains).zip(outs) {
            let gain = V::load(gain.as_ptr()).add(offsets);
            V::load(block.as_ptr())
                .mul(scales)
                .mul(gain)
                .store(out.as_mut_ptr());
        }
        if !tail.is_empty() {
            let gain = load_head::<V>(gain_tail, 0.0).add(offsets);
            store_head(last.mul(scales).mul(gain), rest);
        }
        scale
    }
}

kernel! {
    /// `x / sqrt(mean(x^2) + epsilon) * (gain + offset)` of one row, into `out`; gives what `x` is multiplied by, beside
    /// the gain.
    ///
    /// # Shapes
    /// `x` `[width]`; `gain` the same or longer; `out` the same or longer, where zeros may fill up the vector that the
    /// row ends in.
    fn rms_norm(
        x: &[f32], gain: &[f32], offset: f32, epsilon: f32, out: &mut [f32]
    ) -> f32 = rms_norm_generic
}

/// The body of [`rms_norm_backward`]. Safety: the CPU has `V`'s instructions.
///
/// # Shapes
/// As of [`rms_norm_backward`].
#[inline(always)]
unsafe fn rms_norm_backward_generic<V: Lanes>(
    x: &[f32],
    gain: &[f32],
    offset: f32,
    scale: f32,
    upstream: &[f32],
    dx: &mut [f32],
) {
    let count = x.len() as f32;
    let (blocks, tail) = x.as_chunks::<LANES>();
    let (gains, gain_tail) = gain.as_chunks::<LANES>();
    let (upstreams, upstream_tail) = upstream.as_chunks::<LANES>();
    // SAFETY: the CPU is the caller's promise; every pointer is to an array of sixteen.
    unsafe {
        let (scale, offset) = (V::splat(scale), V::splat(offset));
        let tail_normal = load_head::<V>(tail, 0.0).mul(scale);
        let tail_gain = load_head::<V>(gain_tail, 0.0).add(offset);
        let tail_term = load_head::<V>(upstream_tail, 0.0).mul(tail_gain);
        // d/dx of the normalisation: remove from the upstream what changes the mean square.
        let mut inner = tail_term.mul(tail_normal);
        for ((x, gain), upstream) in blocks.iter().zip(gains).zip(upstreams) {
            let term = V::load(upstream.as_ptr()).mul(V::load(gain.as_ptr()).add(offset));
            let normal = V::load(x.as_ptr()).mul(scale);
            inner = term.fma(normal, inner);
        }
        let mean = V::splat(inner.sum() / count);
        let (dxs, dx_tail) = dx.as_chunks_mut::<LANES>();
        let inputs = blocks.iter().zip(gains).zip(upstreams);
        for (((x, gain), upstream), dx) in inputs.zip(dxs) {
            let term = V::load(upstream.as_ptr()).mul(V::load(gain.as_ptr()).add(offset));
            let normal = V::load(x.as_ptr()).mul(scale);
            let change = term.sub(normal.mul(mean));
            scale
                .fma(change, V::load(dx.as_ptr()))
                .store(dx.as_mut_ptr());
        }
        let change = tail_term.sub(tail_normal.mul(mean));
        store_head(scale.fma(change, load_head(dx_tail, 0.0)), dx_tail);
    }
}

kernel! {
    /// Adds to `dx` the gradient of `x` through the norm that gave `scale`.
    ///
    /// # Shapes
    /// `x`, `gain`, `upstream` and `dx` are of one length.
    fn rms_norm_backward(
        x: &[f32], gain: &[f32], offset: f32, scale: f32, upstream: &[f32], dx: &mut [f32]
    ) = rms_norm_backward_generic
}
