//! Soft caps of scores and logits: `cap * tanh(x / cap)`. Source: Gemma 2; HF transformers, `Gemma2Attention`.
#![expect(unsafe_code, reason = "calls vector instructions through `Lanes`")]
#![expect(
    clippy::inline_always,
    reason = "generic kernels must end up inside the function that enables the instructions"
)]

use super::lanes::{LANES, Lanes, kernel};
use super::vector::{exp, load_head, store_head, tanh_of_half};

/// The slope of the cap where it gave `capped`. Safety: the CPU has `V`'s instructions.
#[inline(always)]
unsafe fn slope<V: Lanes>(capped: V, inverse: V) -> V {
    let tanh = capped.mul(inverse);
    // SAFETY: the caller's promise.
    unsafe { V::splat(0.0).sub(tanh).fma(tanh, V::splat(1.0)) }
}

/// The body of [`soft_cap`]. Safety: the CPU has `V`'s instructions.
///
/// # Shapes
/// `values` is of any length.
#[inline(always)]
unsafe fn soft_cap_generic<V: Lanes>(values: &mut [f32], scale: f32, cap: f32) {
    let (blocks, tail) = values.as_chunks_mut::<LANES>();
    // SAFETY: the CPU is the caller's promise; every pointer is to an array of sixteen.
    unsafe {
        let (factor, caps) = (V::splat(2.0 * scale / cap), V::splat(cap));
        for block in blocks {
            let tanh = tanh_of_half(V::load(block.as_ptr()).mul(factor));
            tanh.mul(caps).store(block.as_mut_ptr());
        }
        let tanh = tanh_of_half(load_head::<V>(tail, 0.0).mul(factor));
        store_head(tanh.mul(caps), tail);
    }
}

kernel! {
    /// Turns every value into `cap * tanh(scale * value / cap)`.
    ///
    /// # Shapes
    /// `values` is of any length.
    fn soft_cap(values: &mut [f32], scale: f32, cap: f32) = soft_cap_generic
}

/// The body of [`soft_cap_backward`]. Safety: the CPU has `V`'s instructions.
///
/// # Shapes
/// `capped` and `gradients` are of one length.
#[inline(always)]
unsafe fn soft_cap_backward_generic<V: Lanes>(capped: &[f32], cap: f32, gradients: &mut [f32]) {
    let (blocks, tail) = capped.as_chunks::<LANES>();
    let (outs, out_tail) = gradients.as_chunks_mut::<LANES>();
    // SAFETY: the CPU is the caller's promise; every pointer is to an array of sixteen.
    unsafe {
        let inverse = V::splat(1.0 / cap);
        for (capped, out) in blocks.iter().zip(outs) {
            let slope = slope(V::load(capped.as_ptr()), inverse);
            V::load(out.as_ptr()).mul(slope).store(out.as_mut_ptr());
        }
        let slope = slope(load_head::<V>(tail, 0.0), inverse);
        store_head(load_head::<V>(out_tail, 0.0).mul(slope), out_tail);
    }
}

kernel! {
    /// Multiplies gradients of what [`soft_cap`] gave with its slope before the scale.
    ///
    /// # Shapes
    /// `capped` and `gradients` are of one length.
    fn soft_cap_backward(capped: &[f32], cap: f32, gradients: &mut [f32]) = soft_cap_backward_generic
}

/// The body of [`exp_all_of_capped`]. Safety: the CPU has `V`'s instructions.
///
/// # Shapes
/// `values` is of any length.
#[inline(always)]
unsafe fn exp_all_of_capped_generic<V: Lanes>(
    values: &mut [f32],
    shift: f32,
    factor: f32,
    cap: f32,
) {
    let (blocks, tail) = values.as_chunks_mut::<LANES>();
    // SAFETY: the CPU is the caller's promise; every pointer is to an array of sixteen.
    unsafe {
        let (shifts, factors) = (V::splat(shift), V::splat(factor));
        let inverse = V::splat(1.0 / cap);
        for block in blocks {
            let capped = V::load(block.as_ptr());
            exp(capped.sub(shifts))
                .mul(factors)
                .mul(slope(capped, inverse))
                .store(block.as_mut_ptr());
        }
        let capped = load_head::<V>(tail, shift);
        let last = exp(capped.sub(shifts)).mul(factors);
        store_head(last.mul(slope(capped, inverse)), tail);
    }
}

kernel! {
    /// Turns every value that [`soft_cap`] gave into `factor * exp(value - shift)` times its slope there.
    ///
    /// # Shapes
    /// `values` is of any length.
    fn exp_all_of_capped(
        values: &mut [f32], shift: f32, factor: f32, cap: f32
    ) = exp_all_of_capped_generic
}
