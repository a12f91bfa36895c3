//! Rotation of queries and keys by their position: of a head's first values, the first half against the second.
//! Source: Su et al. 2021; HF transformers, `apply_rotary_pos_emb`.
#![expect(unsafe_code, reason = "calls vector instructions through `Lanes`")]
#![expect(
    clippy::inline_always,
    reason = "generic kernels must end up inside the function that enables the instructions"
)]

use super::lanes::{LANES, Lanes, kernel};
use super::vector::{load_head, store_head};

/// Pairs turned by angles times `direction`. Safety: the CPU has `V`'s instructions.
#[inline(always)]
unsafe fn turn<V: Lanes>([a, b]: [V; 2], cosine: V, sine: V, direction: V) -> [V; 2] {
    let sine = sine.mul(direction);
    // SAFETY: the caller's promise.
    let minus = unsafe { V::splat(0.0) }.sub(sine);
    [a.fma(cosine, b.mul(minus)), b.fma(cosine, a.mul(sine))]
}

/// The bodies of both kernels. Safety: the CPU has `V`'s instructions.
///
/// # Shapes
/// As of [`rotate`].
#[inline(always)]
unsafe fn rotate_by<V: Lanes>(
    heads: &mut [f32],
    width: usize,
    cosines: &[f32],
    sines: &[f32],
    direction: f32,
) {
    let half = cosines.len();
    assert!(half == sines.len() && 2 * half <= width);
    let (cosines, cosine_tail) = cosines.as_chunks::<LANES>();
    let (sines, sine_tail) = sines.as_chunks::<LANES>();
    // SAFETY: the CPU is the caller's promise; every pointer is to an array of sixteen.
    unsafe {
        let direction = V::splat(direction);
        for head in heads.chunks_exact_mut(width) {
            let (first, second) = head[..2 * half].split_at_mut(half);
            let (firsts, first_tail) = first.as_chunks_mut::<LANES>();
            let (seconds, second_tail) = second.as_chunks_mut::<LANES>();
            let turns = cosines.iter().zip(sines);
            for ((a, b), (cosine, sine)) in firsts.iter_mut().zip(seconds).zip(turns) {
                let pairs = [V::load(a.as_ptr()), V::load(b.as_ptr())];
                let (cosine, sine) = (V::load(cosine.as_ptr()), V::load(sine.as_ptr()));
                let [turned_a, turned_b] = turn(pairs, cosine, sine, direction);
                turned_a.store(a.as_mut_ptr());
                turned_b.store(b.as_mut_ptr());
            }
            if !first_tail.is_empty() {
                let pairs = [load_head::<V>(first_tail, 0.0), load_head(second_tail, 0.0)];
                let (cosine, sine) = (load_head(cosine_tail, 0.0), load_head(sine_tail, 0.0));
                let [turned_a, turned_b] = turn(pairs, cosine, sine, direction);
                store_head(turned_a, first_tail);
                store_head(turned_b, second_tail);
            }
        }
    }
}

/// The body of [`rotate`]. Safety: the CPU has `V`'s instructions.
///
/// # Shapes
/// As of [`rotate`].
#[inline(always)]
unsafe fn rotate_generic<V: Lanes>(
    heads: &mut [f32],
    width: usize,
    cosines: &[f32],
    sines: &[f32],
) {
    // SAFETY: the caller's promise.
    unsafe { rotate_by::<V>(heads, width, cosines, sines, 1.0) }
}

kernel! {
    /// Rotates every head of one position, in place.
    ///
    /// # Shapes
    /// `heads` `[heads, width]`; `cosines` and `sines` of the position's angles, as many as half the values that are
    /// rotated.
    fn rotate(heads: &mut [f32], width: usize, cosines: &[f32], sines: &[f32]) = rotate_generic
}

/// The body of [`rotate_backward`]. Safety: the CPU has `V`'s instructions.
///
/// # Shapes
/// As of [`rotate`].
#[inline(always)]
unsafe fn rotate_backward_generic<V: Lanes>(
    heads: &mut [f32],
    width: usize,
    cosines: &[f32],
    sines: &[f32],
) {
    // SAFETY: the caller's promise.
    unsafe { rotate_by::<V>(heads, width, cosines, sines, -1.0) }
}

kernel! {
    /// Turns the gradients of rotated heads into those of the heads, in place: the rotation back.
    ///
    /// # Shapes
    /// As of [`rotate`].
    fn rotate_backward(
        heads: &mut [f32], width: usize, cosines: &[f32], sines: &[f32]
    ) = rotate_backward_generic
}
