//! Causal attention of one position over the pages of its sequence.
//!
//! A score is one chain of fused multiply-adds over the head's width, and a result the sum of two chains
//! over the even and the odd positions, ascending; so they do not depend on what other positions or heads are computed
//! beside them, or on whether the sequence was read at once or token by token.
//!
//! Queries that share a head of keys share its loads, up to [`TOGETHER`] of them at a time.
#![expect(unsafe_code, reason = "reads pages through vector loads")]
#![expect(
    clippy::inline_always,
    reason = "generic kernels must end up inside the function that enables the instructions"
)]

use std::sync::Arc;

use super::cache::{Run, SequenceCache};
use super::pages::{Page, PageShape};
use crate::model::kernel::lanes::{Isa, LANES, Lanes, kernel};
use crate::model::kernel::soft_cap::soft_cap;
use crate::model::kernel::vector::exp_of_scores;

/// Queries that are computed at once, at most: their sums fit the registers.
const TOGETHER: usize = 3;

/// What a block's heads look at, and how.
#[derive(Clone, Copy)]
pub(super) struct Look {
    /// The instructions.
    pub(super) isa: Isa,
    /// The block.
    pub(super) layer: usize,
    /// Queries that share a head of keys.
    pub(super) group: usize,
    /// The last positions that are seen; `None` for all.
    pub(super) window: Option<usize>,
    /// What scores are multiplied by.
    pub(super) scale: f32,
    /// The cap of scaled scores.
    pub(super) cap: Option<f32>,
}

/// All heads of one position, which is `end - 1`.
///
/// # Shapes
/// `queries` and `out` `[heads * group * head_dim]`.
pub(super) fn attend(
    shape: PageShape,
    look: Look,
    cache: &SequenceCache,
    end: usize,
    queries: &[f32],
    out: &mut [f32],
) {
    attend_with(look.isa, shape, look, cache, end, queries, out);
}

kernel! {
    /// See [`attend`].
    ///
    /// # Shapes
    /// As of [`attend`].
    fn attend_with(
        shape: PageShape, look: Look, cache: &SequenceCache, end: usize, queries: &[f32], out: &mut [f32]
    ) = attend_generic
}

/// The body of [`attend`]. Safety: the CPU has `V`'s instructions.
///
/// # Shapes
/// As of [`attend`].
#[inline(always)]
unsafe fn attend_generic<V: Lanes>(
    shape: PageShape,
    look: Look,
    cache: &SequenceCache,
    end: usize,
    queries: &[f32],
    out: &mut [f32],
) {
    let seen = look.window.unwrap_or(end).min(end);
    let run = cache.run(end - seen, end);
    // The first vector of a head's scores begins before them, and the last may overhang them.
    let row = seen.next_multiple_of(LANES) + 2 * LANES;
    let mut scores = vec![0.0; row * look.group.min(TOGETHER)];
    let dim = shape.head_dim;
    let wide = look.group * dim;
    let groups = queries.chunks_exact(wide).zip(out.chunks_exact_mut(wide));
    for (head, (queries, out)) in groups.enumerate().take(shape.heads) {
        let parts = queries.chunks(TOGETHER * dim);
        for (queries, out) in parts.zip(out.chunks_mut(TOGETHER * dim)) {
            let of = Shared {
                shape,
                layer: look.layer,
                head,
                run,
            };
            // SAFETY: the CPU is the caller's promise.
            unsafe {
                match queries.len() / dim {
                    1 => heads::<V, 4, 1>(of, look, queries, &mut scores, row, out),
                    2 => heads::<V, 2, 2>(of, look, queries, &mut scores, row, out),
                    _ => heads::<V, 2, 3>(of, look, queries, &mut scores, row, out),
                }
            }
        }
    }
}

/// Keys and values of one head.
#[derive(Clone, Copy)]
struct Shared<'a> {
    shape: PageShape,
    layer: usize,
    head: usize,
    run: Run<'a>,
}

/// Heads of `QUERIES` queries that share their keys, whose scores advance over `PAGES` pages at once. Safety: the CPU
/// has `V`'s instructions.
///
/// # Shapes
/// `queries` and `out` `[QUERIES, head_dim]`; `scores` `[QUERIES, row]`.
#[inline(always)]
unsafe fn heads<V: Lanes, const PAGES: usize, const QUERIES: usize>(
    of: Shared<'_>,
    look: Look,
    queries: &[f32],
    scores: &mut [f32],
    row: usize,
    out: &mut [f32],
) {
    // Scores begin a vector into their row.
    let mut to = LANES - of.run.skip;
    let (groups, rest) = of.run.pages.as_chunks::<PAGES>();
    // SAFETY: the CPU is the caller's promise.
    unsafe {
        for group in groups {
            score::<V, PAGES, QUERIES>(of, group, queries, &mut scores[to..], row);
            to += PAGES * LANES;
        }
        for page in rest {
            let page = std::slice::from_ref(page).as_chunks::<1>().0;
            score::<V, 1, QUERIES>(of, &page[0], queries, &mut scores[to..], row);
            to += LANES;
        }
    }
    let mut sums = [0.0; QUERIES];
    for (scores, sum) in scores.chunks_exact_mut(row).zip(&mut sums) {
        let scores = &mut scores[LANES..][..of.run.count];
        // SAFETY: the CPU is the caller's promise.
        *sum = unsafe {
            match look.cap {
                None => exp_of_scores::<V>(scores, look.scale),
                Some(cap) => {
                    soft_cap(look.isa, scores, look.scale, cap);
                    exp_of_scores::<V>(scores, 1.0)
                }
            }
        };
    }
    let dim = of.shape.head_dim;
    let weights = &scores[LANES..];
    let mut column = 0;
    while column < dim {
        let (left, to) = (dim - column, &mut out[column..]);
        // SAFETY: the CPU is the caller's promise.
        unsafe {
            if QUERIES == 1 && left > 3 * LANES {
                weigh::<V, 4, QUERIES>(of, column, weights, row, sums, to);
                column += 4 * LANES;
            } else if QUERIES < 3 && left > LANES {
                weigh::<V, 2, QUERIES>(of, column, weights, row, sums, to);
                column += 2 * LANES;
            } else {
                weigh::<V, 1, QUERIES>(of, column, weights, row, sums, to);
                column += LANES;
            }
        }
    }
}

/// Scores of `PAGES` pages of positions with `QUERIES` queries. Safety: the CPU has `V`'s instructions.
///
/// # Shapes
/// `queries` `[QUERIES, head_dim]`; `scores` `[QUERIES, row]`, of which the first `PAGES * LANES` of each are written.
#[inline(always)]
unsafe fn score<V: Lanes, const PAGES: usize, const QUERIES: usize>(
    of: Shared<'_>,
    pages: &[Arc<Page>; PAGES],
    queries: &[f32],
    scores: &mut [f32],
    row: usize,
) {
    let dim = of.shape.head_dim;
    assert!(queries.len() == QUERIES * dim);
    assert!(scores.len() >= (QUERIES - 1) * row + PAGES * LANES);
    let keys = |i: usize| {
        let page = &pages[i.min(PAGES - 1)];
        page.head(of.shape, of.layer, of.head).0.as_ptr()
    };
    let mut keys = [keys(0), keys(1), keys(2), keys(3)];
    // One variable per sum rather than an array: see `kernel::tile`.
    macro_rules! body {
        ($($query:literal: $($page:literal $sum:ident)*,)*) => {
            // SAFETY: a page holds `head_dim` vectors of keys per head; the other lengths were checked.
            unsafe {
                $($(let mut $sum = V::splat(0.0);)*)*
                let mut query = queries.as_ptr();
                for _ in 0..dim {
                    $(if $query < QUERIES {
                        let value = V::splat(*query.wrapping_add($query * dim));
                        $(if $page < PAGES {
                            $sum = value.fma(V::load(keys[$page]), $sum);
                        })*
                    })*
                    keys = keys.map(|keys| keys.wrapping_add(LANES));
                    query = query.wrapping_add(1);
                }
                $(if $query < QUERIES {
                    let to = scores.as_mut_ptr().wrapping_add($query * row);
                    $(if $page < PAGES {
                        $sum.store(to.wrapping_add($page * LANES));
                    })*
                })*
            }
        };
    }
    body!(
        0: 0 a0 1 a1 2 a2 3 a3,
        1: 0 b0 1 b1 2 b2 3 b3,
        2: 0 c0 1 c1 2 c2 3 c3,
    );
}

/// The weighted means of the values, `WIDTH` vectors from `column` on, one for each query. Safety: the CPU has `V`'s
/// instructions.
///
/// # Shapes
/// `weights` `[QUERIES, row]`, of which the first of each row are those of the positions; `sums` of them; `out`
/// `[QUERIES, head_dim]` less the first `column` values, of which up to `WIDTH * LANES` of each are written.
#[inline(always)]
unsafe fn weigh<V: Lanes, const WIDTH: usize, const QUERIES: usize>(
    of: Shared<'_>,
    column: usize,
    weights: &[f32],
    row: usize,
    sums: [f32; QUERIES],
    out: &mut [f32],
) {
    let (dim, padded) = (of.shape.head_dim, of.shape.padded_dim());
    assert!(column + WIDTH * LANES <= padded);
    assert!(weights.len() >= (QUERIES - 1) * row + of.run.count);
    // Two chains, of even and of odd positions, hide the latency. The first takes the next position; which of them
    // holds the even ones does not matter for their sum.
    macro_rules! body {
        ($($query:literal: $($part:literal $first:ident $second:ident)*,)*) => {
            // SAFETY: a page holds sixteen rows of `padded` values per head; `weights` was checked.
            unsafe {
                $($(let (mut $first, mut $second) = (V::splat(0.0), V::splat(0.0));)*)*
                let mut weight = weights.as_ptr();
                let (mut skip, mut left) = (of.run.skip, of.run.count);
                for page in of.run.pages {
                    let values = page.head(of.shape, of.layer, of.head).1.as_ptr();
                    let mut values = values.wrapping_add(skip * padded + column);
                    let count = left.min(LANES - skip);
                    for _ in 0..count / 2 {
                        let odd = values.wrapping_add(padded);
                        $(if $query < QUERIES {
                            let at = weight.wrapping_add($query * row);
                            let (even_weight, odd_weight) = (V::splat(*at), V::splat(*at.wrapping_add(1)));
                            $(if $part < WIDTH {
                                $first = even_weight.fma(V::load(values.wrapping_add($part * LANES)), $first);
                                $second = odd_weight.fma(V::load(odd.wrapping_add($part * LANES)), $second);
                            })*
                        })*
                        values = odd.wrapping_add(padded);
                        weight = weight.wrapping_add(2);
                    }
                    if count % 2 == 1 {
                        $(if $query < QUERIES {
                            let last = V::splat(*weight.wrapping_add($query * row));
                            $(if $part < WIDTH {
                                $first = last.fma(V::load(values.wrapping_add($part * LANES)), $first);
                                ($first, $second) = ($second, $first);
                            })*
                        })*
                        weight = weight.wrapping_add(1);
                    }
                    (skip, left) = (0, left - count);
                }
                $(if $query < QUERIES {
                    let inverse = V::splat(1.0 / sums[$query % QUERIES]);
                    let end = dim.min(column + WIDTH * LANES) - column;
                    let mut parts = out[$query * dim..][..end].chunks_mut(LANES);
                    $(if $part < WIDTH && let Some(out) = parts.next() {
                        let lanes = $first.add($second).mul(inverse).to_array();
                        out.copy_from_slice(&lanes[..out.len()]);
                    })*
                })*
            }
        };
    }
    body!(
        0: 0 a0 b0 1 a1 b1 2 a2 b2 3 a3 b3,
        1: 0 c0 d0 1 c1 d1,
        2: 0 e0 f0,
    );
}
