//! Causal attention of one position over the pages of its sequence.
//!
//! A score is one chain of fused multiply-adds over the head's width, and a result the sum of two chains
//! over the even and the odd positions, ascending; so they do not depend on where the shared prefix ends, on what other
//! positions are computed beside them, or on whether the sequence was read at once or token by token.
#![expect(unsafe_code, reason = "reads pages through vector loads")]
#![expect(
    clippy::inline_always,
    reason = "generic kernels must end up inside the function that enables the instructions"
)]

use super::cache::{Page, PageShape, SequenceCache};
use crate::model::kernel::lanes::{LANES, Lanes, kernel};
use crate::model::kernel::vector::exp_of_scores;

/// Pages whose scores advance together: enough chains to hide the latency of a multiply-add.
const ABREAST: usize = 4;

kernel! {
    /// All heads of one position, which is `end - 1`.
    ///
    /// # Shapes
    /// `query` and `out` `[heads * head_dim]`.
    fn attend(
        shape: PageShape, layer: usize, cache: &SequenceCache, end: usize,
        query: &[f32], out: &mut [f32]
    ) = attend_generic
}

/// The body of [`attend`]. Safety: the CPU has `V`'s instructions.
///
/// # Shapes
/// `query` and `out` `[heads * head_dim]`.
#[inline(always)]
unsafe fn attend_generic<V: Lanes>(
    shape: PageShape,
    layer: usize,
    cache: &SequenceCache,
    end: usize,
    query: &[f32],
    out: &mut [f32],
) {
    let dim = shape.head_dim;
    let runs = cache.runs(end);
    let padded = end.next_multiple_of(LANES);
    // A run's last vector may overhang its positions.
    let mut scores = vec![0.0; padded + LANES];
    let scale = 1.0 / (dim as f32).sqrt();
    let heads = query.chunks_exact(dim).zip(out.chunks_exact_mut(dim));
    for (head, (query, out)) in heads.enumerate().take(shape.heads) {
        let mut at = 0;
        for (pages, count) in runs {
            let pages = &pages[..count.div_ceil(LANES)];
            let mut to = at;
            let (groups, rest) = pages.as_chunks::<ABREAST>();
            // SAFETY: the CPU is the caller's promise.
            unsafe {
                for group in groups {
                    score::<V, ABREAST>(shape, layer, head, group, query, &mut scores[to..]);
                    to += ABREAST * LANES;
                }
                for page in rest {
                    let page = std::slice::from_ref(page).as_chunks::<1>().0;
                    score::<V, 1>(shape, layer, head, &page[0], query, &mut scores[to..]);
                    to += LANES;
                }
            }
            at += count;
        }
        // SAFETY: the CPU is the caller's promise.
        unsafe {
            let sum = exp_of_scores::<V>(&mut scores[..end], scale);
            let mut column = 0;
            while column < dim {
                let left = dim - column;
                let (from, to) = (&scores[..end], &mut out[column..]);
                if left > 3 * LANES {
                    weigh::<V, 4>(shape, layer, head, runs, column, from, sum, to);
                    column += 4 * LANES;
                } else if left > LANES {
                    weigh::<V, 2>(shape, layer, head, runs, column, from, sum, to);
                    column += 2 * LANES;
                } else {
                    weigh::<V, 1>(shape, layer, head, runs, column, from, sum, to);
                    column += LANES;
                }
            }
        }
    }
}

/// Scores of `COUNT` pages of positions, one or [`ABREAST`]. Safety: the CPU has `V`'s instructions.
///
/// # Shapes
/// `query` `[head_dim]`; `scores` `[COUNT * LANES]`, or longer.
#[inline(always)]
unsafe fn score<V: Lanes, const COUNT: usize>(
    shape: PageShape,
    layer: usize,
    head: usize,
    pages: &[Page; COUNT],
    query: &[f32],
    scores: &mut [f32],
) {
    assert!(query.len() == shape.head_dim && scores.len() >= COUNT * LANES);
    let keys = |i: usize| pages[i.min(COUNT - 1)].head(shape, layer, head).0.as_ptr();
    let (mut k0, mut k1, mut k2, mut k3) = (keys(0), keys(1), keys(2), keys(3));
    // SAFETY: a page holds `head_dim` vectors of keys per head; `scores` was checked.
    unsafe {
        // One variable per sum rather than an array: see `gemm`.
        let zero = V::splat(0.0);
        let (mut s0, mut s1, mut s2, mut s3) = (zero, zero, zero, zero);
        for &q in query {
            let q = V::splat(q);
            s0 = q.fma(V::load(k0), s0);
            k0 = k0.add(LANES);
            if COUNT > 1 {
                s1 = q.fma(V::load(k1), s1);
                s2 = q.fma(V::load(k2), s2);
                s3 = q.fma(V::load(k3), s3);
                k1 = k1.add(LANES);
                k2 = k2.add(LANES);
                k3 = k3.add(LANES);
            }
        }
        let to = scores.as_mut_ptr();
        s0.store(to);
        if COUNT > 1 {
            s1.store(to.add(LANES));
            s2.store(to.add(2 * LANES));
            s3.store(to.add(3 * LANES));
        }
    }
}

/// The weighted mean of the values, `WIDTH` vectors from `column` on. Safety: the CPU has `V`'s
/// instructions.
///
/// # Shapes
/// `weights` `[end]`, one for each position of `runs`; `out` `[head_dim - column]`, of which up to `WIDTH * LANES` are
/// written.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "one call site, in a hot loop")]
unsafe fn weigh<V: Lanes, const WIDTH: usize>(
    shape: PageShape,
    layer: usize,
    head: usize,
    runs: [(&[Page], usize); 2],
    column: usize,
    weights: &[f32],
    sum: f32,
    out: &mut [f32],
) {
    let padded = shape.padded_dim();
    assert!(column + WIDTH * LANES <= padded);
    // SAFETY: a page holds sixteen rows of `padded` values per head.
    unsafe {
        // Two chains, of even and of odd positions, hide the latency. `a` takes the next position; which
        // of them holds the even ones does not matter for their sum.
        let zero = V::splat(0.0);
        let (mut a0, mut a1, mut a2, mut a3) = (zero, zero, zero, zero);
        let (mut b0, mut b1, mut b2, mut b3) = (zero, zero, zero, zero);
        macro_rules! add {
            ($weight:expr, $row:expr, $v0:ident $v1:ident $v2:ident $v3:ident) => {
                let (weight, row): (V, *const f32) = (V::splat($weight), $row);
                $v0 = weight.fma(V::load(row), $v0);
                if WIDTH > 1 {
                    $v1 = weight.fma(V::load(row.add(LANES)), $v1);
                }
                if WIDTH > 2 {
                    $v2 = weight.fma(V::load(row.add(2 * LANES)), $v2);
                    $v3 = weight.fma(V::load(row.add(3 * LANES)), $v3);
                }
            };
        }
        let mut rest = weights;
        for (pages, count) in runs {
            let (weights, later) = rest.split_at(count);
            rest = later;
            for (page, weights) in pages.iter().zip(weights.chunks(LANES)) {
                let mut row = page.head(shape, layer, head).1.as_ptr().add(column);
                let (pairs, last) = weights.as_chunks::<2>();
                for &[first, second] in pairs {
                    add!(first, row, a0 a1 a2 a3);
                    add!(second, row.add(padded), b0 b1 b2 b3);
                    row = row.add(2 * padded);
                }
                if let &[weight] = last {
                    add!(weight, row, a0 a1 a2 a3);
                    ((a0, a1, a2, a3), (b0, b1, b2, b3)) = ((b0, b1, b2, b3), (a0, a1, a2, a3));
                }
            }
        }
        let totals = [a0.add(b0), a1.add(b1), a2.add(b2), a3.add(b3)];
        let inverse = V::splat(1.0 / sum);
        for (total, out) in totals.into_iter().take(WIDTH).zip(out.chunks_mut(LANES)) {
            let lanes = total.mul(inverse).to_array();
            out.copy_from_slice(&lanes[..out.len()]);
        }
    }
}
