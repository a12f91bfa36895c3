//! Causal attention of many heads over sequences of different lengths laid end to end: no padding is computed, and the
//! backward pass makes the attention weights anew, so none are kept.
//! Source: Vaswani et al. 2017; Radford et al. 2019; Dao et al. 2022 for the recomputation; Ainslie et al. 2023 for keys
//! that several queries share; Beltagy et al. 2020 for windows; Gemma 2 for the cap of scores.

use std::ops::Range;

use rayon::prelude::*;

use super::gemm::{Into, Matrix, isa, product};
use crate::model::architecture::Heads;
use crate::model::dropout::Dropout;
use crate::model::kernel::soft_cap::{soft_cap, soft_cap_backward};
use crate::model::kernel::vector::{dot, softmax};
use crate::model::rows::Spans;

/// Each sequence attends to its own past; `mask` names the dropout of the attention weights.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attention<'a> {
    pub(crate) spans: &'a Spans,
    pub(crate) heads: Heads,
    /// What scores are multiplied by.
    pub(crate) scale: f32,
    /// `cap * tanh(score / cap)` of each scaled score.
    pub(crate) cap: Option<f32>,
    /// The last positions that are seen, the token's own among them; `None` for all.
    pub(crate) window: Option<usize>,
    pub(crate) mask: Option<(Dropout, u32)>,
}

/// The weights of one head, and what they are after dropout.
#[derive(Default)]
struct Mixing {
    weights: Vec<f32>,
    mask: Vec<f32>,
    dropped: Vec<f32>,
    /// Where scores are capped, they; elsewhere empty.
    capped: Vec<f32>,
}

impl Attention<'_> {
    /// Causal attention of every sequence, into `out`.
    ///
    /// # Shapes
    /// `qkv` `[rows, projected_width]`: queries, keys, values; `out` `[rows, query_width]`.
    pub(crate) fn forward(&self, qkv: &[f32], out: &mut [f32]) {
        let stride = self.heads.projected_width();
        let parts = self.spans.split(out, self.heads.query_width());
        let parts = parts.into_par_iter();
        parts.enumerate().for_each(|(sequence, out)| {
            let span = &self.spans.ranges()[sequence];
            let qkv = &qkv[stride * span.start..stride * span.end];
            self.forward_one(sequence, span.len(), qkv, out);
        });
    }

    /// The gradient of `qkv`, into `dqkv`.
    ///
    /// # Shapes
    /// `qkv` and `dqkv` `[rows, projected_width]`, `upstream` `[rows, query_width]`.
    pub(crate) fn backward(&self, qkv: &[f32], upstream: &[f32], dqkv: &mut [f32]) {
        let (width, stride) = (self.heads.query_width(), self.heads.projected_width());
        let parts = self.spans.split(dqkv, stride).into_par_iter();
        parts.enumerate().for_each(|(sequence, dqkv)| {
            let span = &self.spans.ranges()[sequence];
            let qkv = &qkv[stride * span.start..stride * span.end];
            let upstream = &upstream[width * span.start..width * span.end];
            self.backward_one(sequence, span.len(), [qkv, upstream], dqkv);
        });
    }

    /// Where in a row the queries of a head begin, and the keys and values that it reads.
    fn columns(&self, head: usize) -> [usize; 3] {
        let (queries, keys) = (self.heads.query_width(), self.heads.key_width());
        let shared = head / self.sharing() * self.heads.width;
        [
            head * self.heads.width,
            queries + shared,
            queries + keys + shared,
        ]
    }

    /// Queries that share a key and a value.
    fn sharing(&self) -> usize {
        self.heads.query / self.heads.key
    }

    /// The positions that `row` sees.
    fn seen(&self, row: usize) -> Range<usize> {
        let end = row + 1;
        end - self.window.unwrap_or(end).min(end)..end
    }

    /// Fills `mixing` for one head of one sequence; the same in both passes.
    ///
    /// # Shapes
    /// `qkv` `[length, projected_width]`; to `[length, length]`, a row for each query.
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
            capped,
        } = mixing;
        weights.resize(square, 0.0);
        if self.cap.is_some() {
            capped.resize(square, 0.0);
        }
        let [query, key, _] = self
            .columns(head)
            .map(|start| Matrix::rows(&qkv[start..], self.heads.projected_width()));
        let sizes = [length, self.heads.width, length];
        product(sizes, query, key.transposed(), Into::Set, weights, length);
        for (row, weights) in weights.chunks_exact_mut(length).enumerate() {
            let seen = self.seen(row);
            weights[..seen.start].fill(0.0);
            weights[seen.end..].fill(0.0);
            let weights = &mut weights[seen.clone()];
            match self.cap {
                None => softmax(isa(), weights, self.scale),
                Some(cap) => {
                    soft_cap(isa(), weights, self.scale, cap);
                    capped[row * length..][seen].copy_from_slice(weights);
                    softmax(isa(), weights, 1.0);
                }
            }
        }
        if let Some((dropout, site)) = self.mask {
            mask.resize(square, 0.0);
            dropout.fill_head(site, sequence, (head, self.heads.query), mask);
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
    /// `qkv` `[length, projected_width]`, `out` `[length, query_width]`.
    fn forward_one(&self, sequence: usize, length: usize, qkv: &[f32], out: &mut [f32]) {
        let head_width = self.heads.width;
        let mut mixing = Mixing::default();
        for head in 0..self.heads.query {
            self.mix((sequence, head), length, qkv, &mut mixing);
            let used = Matrix::rows(mixing.used(self.mask.is_some()), length);
            let stride = self.heads.projected_width();
            let value = Matrix::rows(&qkv[self.columns(head)[2]..], stride);
            let sizes = [length, length, head_width];
            let out = &mut out[head * head_width..];
            product(sizes, used, value, Into::Set, out, self.heads.query_width());
        }
    }

    /// The backward pass of one sequence.
    ///
    /// # Shapes
    /// `qkv` and `dqkv` `[length, projected_width]`, `upstream` `[length, query_width]`.
    fn backward_one(
        &self,
        sequence: usize,
        length: usize,
        [qkv, upstream]: [&[f32]; 2],
        dqkv: &mut [f32],
    ) {
        let (width, head_width) = (self.heads.query_width(), self.heads.width);
        let (stride, scale) = (self.heads.projected_width(), self.scale);
        let mut mixing = Mixing::default();
        let mut dweights = vec![0.0; length * length];
        for head in 0..self.heads.query {
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
            // The gradients of a key and a value are sums over the queries that share them.
            let shared = match head % self.sharing() {
                0 => Into::Set,
                _ => Into::Add,
            };
            let sizes = [length, length, head_width];
            let used = Matrix::rows(mixing.used(self.mask.is_some()), length).transposed();
            let dvalue = &mut dqkv[starts[2]..];
            product(sizes, used, upstream, shared, dvalue, stride);
            // Through the softmax: weight * (dweight - sum of weight * dweight); zero where nothing is seen.
            let rows = dweights.chunks_exact_mut(length);
            let rows = rows.zip(mixing.weights.chunks_exact(length));
            for (row, (dweights, weights)) in rows.enumerate() {
                let inner = dot(isa(), dweights, weights);
                for (d, w) in dweights.iter_mut().zip(weights) {
                    *d = w * (*d - inner) * scale;
                }
                if let Some(cap) = self.cap {
                    let seen = self.seen(row);
                    let capped = &mixing.capped[row * length..][seen.clone()];
                    soft_cap_backward(isa(), capped, cap, &mut dweights[seen]);
                }
            }
            let dscores = Matrix::rows(&dweights, length);
            let dquery = &mut dqkv[starts[0]..];
            product(sizes, dscores, key, Into::Set, dquery, stride);
            let (dscores, dkey) = (dscores.transposed(), &mut dqkv[starts[1]..]);
            product(sizes, dscores, query, shared, dkey, stride);
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
