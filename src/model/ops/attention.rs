//! Causal multi-head attention over sequences of different lengths laid end to end: no padding is computed, and the
//! backward pass makes the attention weights anew, so none are kept.
//! Source: Vaswani et al. 2017; Radford et al. 2019; Dao et al. 2022 for the recomputation.

use rayon::prelude::*;

use super::gemm::{Into, Matrix, isa, product};
use crate::model::dropout::Dropout;
use crate::model::kernel::vector::{dot, softmax};
use crate::model::rows::Spans;

/// Each sequence attends to its own past; `mask` names the dropout of the attention weights.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attention<'a> {
    pub(crate) spans: &'a Spans,
    pub(crate) heads: usize,
    pub(crate) width: usize,
    pub(crate) mask: Option<(Dropout, u32)>,
}

/// The weights of one head, and what they are after dropout.
#[derive(Default)]
struct Mixing {
    weights: Vec<f32>,
    mask: Vec<f32>,
    dropped: Vec<f32>,
}

impl Attention<'_> {
    /// Causal attention of every sequence, into `out`.
    ///
    /// # Shapes
    /// `qkv` `[rows, 3 * width]`: queries, keys, values; `out` `[rows, width]`.
    pub(crate) fn forward(&self, qkv: &[f32], out: &mut [f32]) {
        let parts = self.spans.split(out, self.width).into_par_iter();
        parts.enumerate().for_each(|(sequence, out)| {
            let span = &self.spans.ranges()[sequence];
            let qkv = &qkv[3 * self.width * span.start..3 * self.width * span.end];
            self.forward_one(sequence, span.len(), qkv, out);
        });
    }

    /// The gradient of `qkv`, into `dqkv`.
    ///
    /// # Shapes
    /// `qkv` and `dqkv` `[rows, 3 * width]`, `upstream` `[rows, width]`.
    pub(crate) fn backward(&self, qkv: &[f32], upstream: &[f32], dqkv: &mut [f32]) {
        let parts = self.spans.split(dqkv, 3 * self.width).into_par_iter();
        parts.enumerate().for_each(|(sequence, dqkv)| {
            let span = &self.spans.ranges()[sequence];
            let qkv = &qkv[3 * self.width * span.start..3 * self.width * span.end];
            let upstream = &upstream[self.width * span.start..self.width * span.end];
            self.backward_one(sequence, span.len(), [qkv, upstream], dqkv);
        });
    }

    /// Where in a row the queries, keys and values of a head begin.
    fn columns(&self, head: usize) -> [usize; 3] {
        let start = head * self.width / self.heads;
        [start, self.width + start, 2 * self.width + start]
    }

    fn scale(&self) -> f32 {
        1.0 / ((self.width / self.heads) as f32).sqrt()
    }

    /// Fills `mixing` for one head of one sequence; the same in both passes.
    ///
    /// # Shapes
    /// `qkv` `[length, 3 * width]`; to `[length, length]`, a row for each query.
    fn mix(
        &self,
        (sequence, head): (usize, usize),
        length: usize,
        qkv: &[f32],
        mixing: &mut Mixing,
    ) {
        let square = length * length;
        let Mixing {
            weights,
            mask,
            dropped,
        } = mixing;
        weights.resize(square, 0.0);
        let [query, key, _] = self
            .columns(head)
            .map(|start| Matrix::rows(&qkv[start..], 3 * self.width));
        let sizes = [length, self.width / self.heads, length];
        product(sizes, query, key.transposed(), Into::Set, weights, length);
        for (row, weights) in weights.chunks_exact_mut(length).enumerate() {
            let (past, future) = weights.split_at_mut(row + 1);
            softmax(isa(), past, self.scale());
            future.fill(0.0);
        }
        if let Some((dropout, site)) = self.mask {
            mask.resize(square, 0.0);
            dropout.fill_head(site, sequence, (head, self.heads), mask);
            dropped.clear();
            dropped.extend(
                mask.iter()
                    .zip(weights)
                    .map(|(mask, weight)| mask * *weight),
            );
        }
    }

    /// The forward pass of one sequence.
    ///
    /// # Shapes
    /// `qkv` `[length, 3 * width]`, `out` `[length, width]`.
    fn forward_one(&self, sequence: usize, length: usize, qkv: &[f32], out: &mut [f32]) {
        let head_width = self.width / self.heads;
        let mut mixing = Mixing::default();
        for head in 0..self.heads {
            self.mix((sequence, head), length, qkv, &mut mixing);
            let used = Matrix::rows(mixing.used(self.mask.is_some()), length);
            let value = Matrix::rows(&qkv[self.columns(head)[2]..], 3 * self.width);
            let sizes = [length, length, head_width];
            let out = &mut out[head * head_width..];
            product(sizes, used, value, Into::Set, out, self.width);
        }
    }

    /// The backward pass of one sequence.
    ///
    /// # Shapes
    /// `qkv` and `dqkv` `[length, 3 * width]`, `upstream` `[length, width]`.
    fn backward_one(
        &self,
        sequence: usize,
        length: usize,
        [qkv, upstream]: [&[f32]; 2],
        dqkv: &mut [f32],
    ) {
        let (width, head_width) = (self.width, self.width / self.heads);
        let (stride, scale) = (3 * width, self.scale());
        let mut mixing = Mixing::default();
        let mut dweights = vec![0.0; length * length];
        for head in 0..self.heads {
            self.mix((sequence, head), length, qkv, &mut mixing);
            let starts = self.columns(head);
            let [query, key, value] = starts.map(|start| Matrix::rows(&qkv[start..], stride));
            let upstream = Matrix::rows(&upstream[head * head_width..], width);
            let value = value.transposed();
            let sizes = [length, head_width, length];
            product(sizes, upstream, value, Into::Set, &mut dweights, length);
            if self.mask.is_some() {
                for (dweight, mask) in dweights.iter_mut().zip(&mixing.mask) {
                    *dweight *= mask;
                }
            }
            let sizes = [length, length, head_width];
            let used = Matrix::rows(mixing.used(self.mask.is_some()), length).transposed();
            let dvalue = &mut dqkv[starts[2]..];
            product(sizes, used, upstream, Into::Set, dvalue, stride);
            // Through the softmax: weight * (dweight - sum of weight * dweight); zero in the future.
            let rows = dweights.chunks_exact_mut(length);
            for (dweights, weights) in rows.zip(mixing.weights.chunks_exact(length)) {
                let inner = dot(isa(), dweights, weights);
                for (d, w) in dweights.iter_mut().zip(weights) {
                    *d = w * (*d - inner) * scale;
                }
            }
            let dscores = Matrix::rows(&dweights, length);
            let dquery = &mut dqkv[starts[0]..];
            product(sizes, dscores, key, Into::Set, dquery, stride);
            let (dscores, dkey) = (dscores.transposed(), &mut dqkv[starts[1]..]);
            product(sizes, dscores, query, Into::Set, dkey, stride);
        }
    }
}

impl Mixing {
    /// The weights that the values are multiplied with.
    ///
    /// # Shapes
    /// To `[length, length]`.
    fn used(&self, dropout: bool) -> &[f32] {
        if dropout {
            &self.dropped
        } else {
            &self.weights
        }
    }
}
