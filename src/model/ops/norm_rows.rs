//! How norms go over rows: shared out among threads, each row by itself.

use rayon::prelude::*;

/// Rows that a thread takes at a time; each stands alone, so it changes no bit.
const ROWS: usize = 32;

/// Calls `norm` with each row of `x` and of `out`; what it gives are the row's moments.
///
/// # Shapes
/// `x` and `out` `[rows, width]`, `moments` `[rows]`.
pub(super) fn norm_rows(
    width: usize,
    x: &[f32],
    out: &mut [f32],
    moments: &mut [[f32; 2]],
    norm: impl Fn(&[f32], &mut [f32]) -> [f32; 2] + Sync,
) {
    let outputs = out
        .par_chunks_mut(ROWS * width)
        .zip(moments.par_chunks_mut(ROWS));
    let blocks = outputs.zip(x.par_chunks(ROWS * width));
    blocks.for_each(|((out, moments), x)| {
        let rows = out.chunks_exact_mut(width).zip(x.chunks_exact(width));
        for ((out, x), moments) in rows.zip(moments) {
            *moments = norm(x, out);
        }
    });
}

/// Calls `add` with each row of `x`, its moments, its row of `upstream` and that of `dx`.
///
/// # Shapes
/// `x`, `upstream` and `dx` `[rows, width]`, `moments` `[rows]`.
pub(super) fn norm_rows_backward(
    width: usize,
    x: &[f32],
    moments: &[[f32; 2]],
    upstream: &[f32],
    dx: &mut [f32],
    add: impl Fn(&[f32], [f32; 2], &[f32], &mut [f32]) + Sync,
) {
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
            add(x, *moments, upstream, dx);
        }
    });
}
