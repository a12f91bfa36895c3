//! Affine map of every row, and the gradients of its three inputs.

use std::ops::Range;

use rayon::prelude::*;

use super::gemm::{Into, Matrix, product};

/// Columns that one thread sums at a time; fixed, so that threads do not change a sum.
const COLUMNS: usize = 64;

/// `out = x * weight + bias`; `outputs` columns in `out`.
///
/// # Shapes
/// `x` `[rows, inputs]`, `weight` `[inputs, outputs]`, `bias` `[outputs]`, `out` `[rows, outputs]`.
pub(crate) fn linear(
    x: &[f32],
    weight: &[f32],
    bias: Option<&[f32]>,
    outputs: usize,
    out: &mut [f32],
) {
    let inputs = weight.len() / outputs;
    let sizes = [x.len() / inputs, inputs, outputs];
    let (x, weight) = (Matrix::rows(x, inputs), Matrix::rows(weight, outputs));
    let begin = bias.map_or(Into::Set, Into::Bias);
    product(sizes, x, weight, begin, out, outputs);
}

/// The gradient of `x`: `dx = upstream * weight^T`; `outputs` columns in `upstream`.
///
/// # Shapes
/// `upstream` `[rows, outputs]`, `weight` `[inputs, outputs]`, `dx` `[rows, inputs]`.
pub(crate) fn input_gradient(upstream: &[f32], weight: &[f32], outputs: usize, dx: &mut [f32]) {
    let inputs = weight.len() / outputs;
    let sizes = [upstream.len() / outputs, outputs, inputs];
    let weight = Matrix::rows(weight, outputs).transposed();
    let upstream = Matrix::rows(upstream, outputs);
    product(sizes, upstream, weight, Into::Set, dx, inputs);
}

/// Adds the gradient of the weight: `dweight += x^T * upstream`.
///
/// # Shapes
/// `x` `[rows, inputs]`, `upstream` `[rows, outputs]`, `dweight` `[inputs, outputs]`.
pub(crate) fn add_weight_gradient(
    x: &[f32],
    upstream: &[f32],
    outputs: usize,
    dweight: &mut [f32],
) {
    let inputs = dweight.len() / outputs;
    let sizes = [inputs, upstream.len() / outputs, outputs];
    let x = Matrix::rows(x, inputs).transposed();
    let upstream = Matrix::rows(upstream, outputs);
    product(sizes, x, upstream, Into::Add, dweight, outputs);
}

/// Adds the gradient of the bias: the sums of `upstream`'s columns.
///
/// # Shapes
/// `upstream` `[rows, outputs]`, `dbias` `[outputs]`.
pub(crate) fn add_bias_gradient(upstream: &[f32], dbias: &mut [f32]) {
    let outputs = dbias.len();
    column_sums(dbias, |sums, columns| {
        for row in upstream.chunks_exact(outputs) {
            for (sum, value) in sums.iter_mut().zip(&row[columns.clone()]) {
                *sum += value;
            }
        }
    });
}

/// Adds sums over rows, by blocks of columns: `add` adds all rows' values of the columns it is given.
///
/// # Shapes
/// `sums` `[columns]`; `add` is handed a block of it, and which columns those are.
pub(super) fn column_sums(sums: &mut [f32], add: impl Fn(&mut [f32], Range<usize>) + Sync) {
    let blocks = sums.par_chunks_mut(COLUMNS).enumerate();
    blocks.for_each(|(block, sums)| {
        let start = block * COLUMNS;
        let end = start + sums.len();
        add(sums, start..end);
    });
}
