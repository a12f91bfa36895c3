//! Row kernels: exp, tanh, layer norm, soft maximum. Reductions keep sixteen partial sums joined in
//! one fixed tree, so a row's result depends on that row alone.
//!
//! Accuracy: `exp` is within 2 units in the last place on [-87.33, 88.37] (arguments are clamped to
//! it), after range reduction by ln 2 in two parts and Cephes' degree-7 polynomial.
#![expect(unsafe_code, reason = "calls vector instructions through `Lanes`")]
#![expect(
    clippy::inline_always,
    reason = "generic kernels must end up inside the function that enables the instructions"
)]

use super::lanes::{LANES, Lanes, kernel};

/// `1.5 * 2^23`: adding it rounds a small f32 to an integer and leaves that in the low bits.
const ROUND: f32 = 12_582_912.0;
/// Coefficients of `(exp(r) - 1 - r) / r^2` on |r| <= ln(2) / 2, highest first (Cephes, expf).
const EXP: [f32; 6] = [
    1.987_569_1e-4,
    1.398_199_9e-3,
    8.333_452e-3,
    4.166_579_6e-2,
    1.666_666_5e-1,
    0.5,
];
/// ln 2, its leading 9 bits and the rest, so that `n * LN2_HIGH` is exact.
const LN2_HIGH: f32 = 0.693_359_4;
const LN2_LOW: f32 = -2.121_944_4e-4;
/// Values whose exponentials are summed in f32 before the sum goes to f64.
const SUM_BLOCK: usize = 32 * LANES;

/// `exp(r) - 1` and `2^n`, where `x` is `n ln 2 + r`, not-a-number passed on. Safety: the CPU has `V`'s instructions.
#[inline(always)]
unsafe fn exp_parts<V: Lanes>(x: V) -> [V; 2] {
    // SAFETY: the caller's promise.
    unsafe {
        // The bound first: then a NaN in `x` is what comes out.
        let x = V::splat(88.37).min(V::splat(-87.33).max(x));
        let rounded = x.fma(V::splat(std::f32::consts::LOG2_E), V::splat(ROUND));
        let n = rounded.sub(V::splat(ROUND));
        let r = n.fma(V::splat(-LN2_LOW), n.fma(V::splat(-LN2_HIGH), x));
        let mut p = V::splat(EXP[0]);
        p = p.fma(r, V::splat(EXP[1]));
        p = p.fma(r, V::splat(EXP[2]));
        p = p.fma(r, V::splat(EXP[3]));
        p = p.fma(r, V::splat(EXP[4]));
        p = p.fma(r, V::splat(EXP[5]));
        [p.fma(r.mul(r), r), rounded.pow2()]
    }
}

/// `exp`, not-a-number passed on. Safety: the CPU has `V`'s instructions.
#[inline(always)]
pub(crate) unsafe fn exp<V: Lanes>(x: V) -> V {
    // SAFETY: the caller's promise.
    unsafe {
        let [less_one, power] = exp_parts(x);
        less_one.add(V::splat(1.0)).mul(power)
    }
}

/// `tanh(x / 2)`, not-a-number passed on; within 4 units in the last place. Safety: the CPU has `V`'s instructions.
#[inline(always)]
pub(super) unsafe fn tanh_of_half<V: Lanes>(x: V) -> V {
    // SAFETY: the caller's promise.
    unsafe {
        // (e - 1) / (e + 1); e - 1 from its parts, since near 0 the difference of e and 1 has few digits.
        let [less_one, power] = exp_parts(x);
        let less_one = less_one.fma(power, power.sub(V::splat(1.0)));
        less_one.div(less_one.add(V::splat(2.0)))
    }
}

/// Reads up to sixteen values from the head of `from`, the rest is `fill`.
#[inline(always)]
pub(super) unsafe fn load_head<V: Lanes>(from: &[f32], fill: f32) -> V {
    let mut lanes = [fill; LANES];
    let count = from.len().min(LANES);
    lanes[..count].copy_from_slice(&from[..count]);
    // SAFETY: the array holds sixteen values; the CPU is the caller's promise.
    unsafe { V::load(lanes.as_ptr()) }
}

/// Writes the first of sixteen values that `to` has room for.
#[inline(always)]
pub(super) fn store_head<V: Lanes>(values: V, to: &mut [f32]) {
    let count = to.len().min(LANES);
    to[..count].copy_from_slice(&values.to_array()[..count]);
}

/// The body of [`layer_norm`]. Safety: the CPU has `V`'s instructions.
///
/// # Shapes
/// `x` `[width]`; `gain` and `bias` the same, or padded with zeros to whole vectors; `out` the same or longer, where
/// zeros may fill up the vector that the row ends in.
#[inline(always)]
unsafe fn layer_norm_generic<V: Lanes>(
    x: &[f32],
    gain: &[f32],
    bias: &[f32],
    epsilon: f32,
    out: &mut [f32],
) -> [f32; 2] {
    let width = x.len();
    let (blocks, tail) = x.as_chunks::<LANES>();
    // SAFETY: the CPU is the caller's promise; every pointer is to an array of sixteen.
    unsafe {
        let mut total = load_head::<V>(tail, 0.0);
        for block in blocks {
            total = total.add(V::load(block.as_ptr()));
        }
        let mean = total.sum() / width as f32;
        let means = V::splat(mean);
        let off = load_head::<V>(tail, mean).sub(means);
        let mut squares = off.mul(off);
        for block in blocks {
            let off = V::load(block.as_ptr()).sub(means);
            squares = off.fma(off, squares);
        }
        let scale = 1.0 / (squares.sum() / width as f32 + epsilon).sqrt();
        let scales = V::splat(scale);
        let (whole, rest) = out.split_at_mut(blocks.len() * LANES);
        let (gains, biases) = (gain.as_chunks::<LANES>().0, bias.as_chunks::<LANES>().0);
        let outs = whole.as_chunks_mut::<LANES>().0.iter_mut();
        for (((block, gain), bias), out) in blocks.iter().zip(gains).zip(biases).zip(outs) {
            let normal = V::load(block.as_ptr()).sub(means).mul(scales);
            normal
                .fma(V::load(gain.as_ptr()), V::load(bias.as_ptr()))
                .store(out.as_mut_ptr());
        }
        if !tail.is_empty() {
            let normal = load_head::<V>(tail, mean).sub(means).mul(scales);
            let gain = load_head::<V>(&gain[whole.len()..], 0.0);
            let bias = load_head::<V>(&bias[whole.len()..], 0.0);
            store_head(normal.fma(gain, bias), rest);
        }
        [mean, scale]
    }
}

kernel! {
    /// Layer norm of one row `x`, into `out`; gives the row's mean and 1 / standard deviation.
    ///
    /// # Shapes
    /// `x` `[width]`; `gain` and `bias` the same, or padded with zeros to whole vectors; `out` the same or longer,
    /// where zeros may fill up the vector that the row ends in.
    fn layer_norm(
        x: &[f32], gain: &[f32], bias: &[f32], epsilon: f32, out: &mut [f32]
    ) -> [f32; 2] = layer_norm_generic
}

/// The body of [`layer_norm_backward`]. Safety: the CPU has `V`'s instructions.
///
/// # Shapes
/// `x`, `gain`, `upstream` and `dx` `[width]`.
#[inline(always)]
unsafe fn layer_norm_backward_generic<V: Lanes>(
    x: &[f32],
    gain: &[f32],
    moments: [f32; 2],
    upstream: &[f32],
    dx: &mut [f32],
) {
    let count = x.len() as f32;
    let (blocks, tail) = x.as_chunks::<LANES>();
    let (gains, gain_tail) = gain.as_chunks::<LANES>();
    let (upstreams, upstream_tail) = upstream.as_chunks::<LANES>();
    // SAFETY: the CPU is the caller's promise; every pointer is to an array of sixteen.
    unsafe {
        let (mean, scale) = (V::splat(moments[0]), V::splat(moments[1]));
        let tail_normal = load_head::<V>(tail, moments[0]).sub(mean).mul(scale);
        let tail_term = load_head::<V>(upstream_tail, 0.0).mul(load_head(gain_tail, 0.0));
        // d/dx of the normalisation: remove from the upstream what changes mean and variance.
        let (mut first, mut second) = (tail_term, tail_term.mul(tail_normal));
        for ((x, gain), upstream) in blocks.iter().zip(gains).zip(upstreams) {
            let term = V::load(upstream.as_ptr()).mul(V::load(gain.as_ptr()));
            let normal = V::load(x.as_ptr()).sub(mean).mul(scale);
            first = first.add(term);
            second = term.fma(normal, second);
        }
        let first = V::splat(first.sum() / count);
        let second = V::splat(second.sum() / count);
        let (dxs, dx_tail) = dx.as_chunks_mut::<LANES>();
        let inputs = blocks.iter().zip(gains).zip(upstreams);
        for (((x, gain), upstream), dx) in inputs.zip(dxs) {
            let term = V::load(upstream.as_ptr()).mul(V::load(gain.as_ptr()));
            let normal = V::load(x.as_ptr()).sub(mean).mul(scale);
            let inner = term.sub(first).sub(normal.mul(second));
            scale
                .fma(inner, V::load(dx.as_ptr()))
                .store(dx.as_mut_ptr());
        }
        let inner = tail_term.sub(first).sub(tail_normal.mul(second));
        store_head(scale.fma(inner, load_head(dx_tail, 0.0)), dx_tail);
    }
}

kernel! {
    /// Adds to `dx` the gradient of `x` through the layer norm whose mean and 1 / standard deviation are `moments`.
    ///
    /// # Shapes
    /// `x`, `gain`, `upstream` and `dx` are of one length.
    fn layer_norm_backward(
        x: &[f32], gain: &[f32], moments: [f32; 2], upstream: &[f32], dx: &mut [f32]
    ) = layer_norm_backward_generic
}

/// The body of [`dot`]. Safety: the CPU has `V`'s instructions.
///
/// # Shapes
/// `a` and `b` are of one length.
#[inline(always)]
unsafe fn dot_generic<V: Lanes>(a: &[f32], b: &[f32]) -> f32 {
    let (blocks, tail) = a.as_chunks::<LANES>();
    let (others, other_tail) = b.as_chunks::<LANES>();
    // SAFETY: the CPU is the caller's promise; every pointer is to an array of sixteen.
    unsafe {
        let mut sum = load_head::<V>(tail, 0.0).mul(load_head(other_tail, 0.0));
        for (a, b) in blocks.iter().zip(others) {
            sum = V::load(a.as_ptr()).fma(V::load(b.as_ptr()), sum);
        }
        sum.sum()
    }
}

kernel! {
    /// The sum of the products of the values of two slices.
    ///
    /// # Shapes
    /// `a` and `b` are of one length.
    fn dot(a: &[f32], b: &[f32]) -> f32 = dot_generic
}

/// The body of [`sum_exp`]. Safety: the CPU has `V`'s instructions.
///
/// # Shapes
/// `x` is of any length but 0.
#[inline(always)]
unsafe fn sum_exp_generic<V: Lanes>(x: &[f32], scale: f32) -> (f32, f64) {
    let (blocks, tail) = x.as_chunks::<LANES>();
    // SAFETY: the CPU is the caller's promise; every pointer is to an array of sixteen.
    unsafe {
        let mut greatest = load_head::<V>(tail, f32::NEG_INFINITY);
        for block in blocks {
            greatest = greatest.max(V::load(block.as_ptr()));
        }
        let max = greatest.greatest();
        let (maxima, scales) = (V::splat(max), V::splat(scale));
        let tail = exp(load_head::<V>(tail, f32::NEG_INFINITY)
            .sub(maxima)
            .mul(scales));
        let mut sum = f64::from(tail.sum());
        for group in blocks.chunks(SUM_BLOCK / LANES) {
            // Two chains, even and odd vectors, keep the adder busy.
            let (mut even, mut odd) = (V::splat(0.0), V::splat(0.0));
            let (pairs, last) = group.as_chunks::<2>();
            for [a, b] in pairs {
                even = even.add(exp(V::load(a.as_ptr()).sub(maxima).mul(scales)));
                odd = odd.add(exp(V::load(b.as_ptr()).sub(maxima).mul(scales)));
            }
            for a in last {
                even = even.add(exp(V::load(a.as_ptr()).sub(maxima).mul(scales)));
            }
            sum += f64::from(even.add(odd).sum());
        }
        (max, sum)
    }
}

kernel! {
    /// The greatest of `x`, and the sum of `exp(scale * (x - greatest))`; the sum is not finite where `x`
    /// is not.
    ///
    /// # Shapes
    /// `x` is of any length but 0.
    fn sum_exp(x: &[f32], scale: f32) -> (f32, f64) = sum_exp_generic
}

/// Turns `scores` into `exp(scale * (score - greatest))` in place and returns their sum. Safety: the CPU has `V`'s
/// instructions.
///
/// # Shapes
/// `scores` is of any length.
#[inline(always)]
pub(crate) unsafe fn exp_of_scores<V: Lanes>(scores: &mut [f32], scale: f32) -> f32 {
    // SAFETY: the CPU is the caller's promise; every pointer is to an array of sixteen.
    unsafe {
        let (blocks, tail) = scores.as_chunks_mut::<LANES>();
        let mut greatest = load_head::<V>(tail, f32::NEG_INFINITY);
        for block in &*blocks {
            greatest = greatest.max(V::load(block.as_ptr()));
        }
        let (max, scales) = (V::splat(greatest.greatest()), V::splat(scale));
        let mut sum = V::splat(0.0);
        for block in blocks {
            let weight = exp(V::load(block.as_ptr()).sub(max).mul(scales));
            weight.store(block.as_mut_ptr());
            sum = sum.add(weight);
        }
        if !tail.is_empty() {
            // Beyond the tail lies the least that `exp` gives, 1e-38: it vanishes beside the greatest weight, 1.
            let weight = exp(load_head::<V>(tail, f32::NEG_INFINITY).sub(max).mul(scales));
            store_head(weight, tail);
            sum = sum.add(weight);
        }
        sum.sum()
    }
}

#[inline(always)]
unsafe fn scale_by<V: Lanes>(values: &mut [f32], factor: f32) {
    let (blocks, tail) = values.as_chunks_mut::<LANES>();
    // SAFETY: the CPU is the caller's promise; every pointer is to an array of sixteen.
    unsafe {
        let factors = V::splat(factor);
        for block in blocks {
            V::load(block.as_ptr())
                .mul(factors)
                .store(block.as_mut_ptr());
        }
        store_head(load_head::<V>(tail, 0.0).mul(factors), tail);
    }
}

/// The body of [`softmax`]. Safety: the CPU has `V`'s instructions.
///
/// # Shapes
/// `scores` is of any length.
#[inline(always)]
unsafe fn softmax_generic<V: Lanes>(scores: &mut [f32], scale: f32) {
    // SAFETY: the CPU is the caller's promise.
    unsafe {
        let sum = exp_of_scores::<V>(scores, scale);
        scale_by::<V>(scores, 1.0 / sum);
    }
}

kernel! {
    /// Softmax of `scale` times the scores, in place.
    ///
    /// # Shapes
    /// `scores` is of any length.
    fn softmax(scores: &mut [f32], scale: f32) = softmax_generic
}

/// The body of [`exp_all`]. Safety: the CPU has `V`'s instructions.
///
/// # Shapes
/// `values` is of any length.
#[inline(always)]
unsafe fn exp_all_generic<V: Lanes>(values: &mut [f32], shift: f32, factor: f32) {
    let (blocks, tail) = values.as_chunks_mut::<LANES>();
    // SAFETY: the CPU is the caller's promise; every pointer is to an array of sixteen.
    unsafe {
        let (shifts, factors) = (V::splat(shift), V::splat(factor));
        for block in blocks {
            exp(V::load(block.as_ptr()).sub(shifts))
                .mul(factors)
                .store(block.as_mut_ptr());
        }
        let last = exp(load_head::<V>(tail, shift).sub(shifts)).mul(factors);
        store_head(last, tail);
    }
}

kernel! {
    /// Turns every value into `factor * exp(value - shift)`.
    ///
    /// # Shapes
    /// `values` is of any length.
    fn exp_all(values: &mut [f32], shift: f32, factor: f32) = exp_all_generic
}

/// The body of [`most_probable`]. Safety: the CPU has `V`'s instructions.
///
/// # Shapes
/// `x` is of any length; `best` comes to `[count]`, or shorter where fewer values count.
#[inline(always)]
unsafe fn most_probable_generic<V: Lanes>(x: &[f32], count: usize, best: &mut Vec<(f32, u32)>) {
    best.clear();
    if count == 0 {
        return;
    }
    let (blocks, tail) = x.as_chunks::<LANES>();
    // SAFETY: the CPU is the caller's promise; every pointer is to an array of sixteen.
    unsafe {
        let mut least = V::splat(f32::NEG_INFINITY);
        for i in 0..blocks.len() + usize::from(!tail.is_empty()) {
            let values = if i < blocks.len() {
                V::load(blocks[i].as_ptr())
            } else {
                load_head::<V>(tail, f32::NEG_INFINITY)
            };
            let mut hits = values.above(least);
            while hits != 0 {
                let id = i * LANES + hits.trailing_zeros() as usize;
                hits &= hits - 1;
                insert(best, count, x[id], id);
            }
            if best.len() == count {
                least = V::splat(best[count - 1].0);
            }
        }
    }
}

/// Keeps `best` the `count` greatest, greatest first, of equals the earlier first.
fn insert(best: &mut Vec<(f32, u32)>, count: usize, value: f32, id: usize) {
    let entry = (value, u32::try_from(id).unwrap_or(u32::MAX));
    if best.len() < count {
        best.push(entry);
    } else if best[count - 1].0 >= value {
        return;
    }
    // Few entries move, so this is quicker than a search and a block move.
    let mut at = best.len() - 1;
    while at > 0 && best[at - 1].0 < value {
        best[at] = best[at - 1];
        at -= 1;
    }
    best[at] = entry;
}

kernel! {
    /// The `count` greatest of `x` with their places, sorted by (value descending, place ascending);
    /// minus infinity and not-a-number never count.
    ///
    /// # Shapes
    /// `x` is of any length; `best` comes to `[count]`, or shorter where fewer values count.
    fn most_probable(x: &[f32], count: usize, best: &mut Vec<(f32, u32)>) = most_probable_generic
}
