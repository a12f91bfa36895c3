//! Causal multi-head attention over sequences of different lengths laid end to end: no padding is computed.
//! Source: Vaswani et al. 2017; Radford et al. 2019.

use burn::tensor::{Tensor, TensorData, activation};
use rayon::prelude::*;

use super::fused::{Kernel, apply, on_cpu};
use super::gemm::{Into, Matrix, product};
use super::layer_norm::sum;
use super::math::exp;
use crate::model::dropout::Dropout;
use crate::model::rows::Spans;

/// Each sequence attends to its own past; `mask` names the dropout of the attention weights.
///
/// # Shapes
/// `qkv` `[rows, 3 * width]`: queries, keys, values; to `[rows, width]`.
pub(crate) fn attention(
    qkv: &Tensor<2>,
    spans: &Spans,
    heads: usize,
    mask: Option<(Dropout, u32)>,
) -> Tensor<2> {
    let [rows, columns] = qkv.dims();
    assert_eq!(rows, spans.rows(), "the sequences cover the rows");
    let width = columns / 3;
    if let Some(qkv) = on_cpu(qkv) {
        let spans = spans.clone();
        return apply(
            Attention {
                spans,
                heads,
                width,
                mask,
            },
            [qkv],
        );
    }
    let mut outputs = Vec::new();
    for (part, span) in spans.ranges().iter().enumerate() {
        let rows = qkv.clone().slice([span.clone()]);
        let mask = mask.map(|(dropout, site)| {
            let mut values = vec![0.0; heads * span.len() * span.len()];
            for (head, values) in values.chunks_mut(span.len() * span.len()).enumerate() {
                dropout.fill_head(site, part, (head, heads), values);
            }
            let shape = [heads, span.len(), span.len()];
            Tensor::<3>::from_data(TensorData::new(values, shape), &rows.device())
        });
        outputs.push(stock(&rows, heads, mask));
    }
    Tensor::cat(outputs, 0)
}

/// One sequence, by stock operations.
fn stock(qkv: &Tensor<2>, heads: usize, mask: Option<Tensor<3>>) -> Tensor<2> {
    let [length, columns] = qkv.dims();
    let width = columns / 3;
    let device = qkv.device();
    let part = |index: usize| {
        let columns = index * width..(index + 1) * width;
        let part = qkv.clone().slice([0..length, columns]);
        part.reshape([length, heads, width / heads]).swap_dims(0, 1)
    };
    let (query, key, value) = (part(0), part(1), part(2));
    let scores = query.matmul(key.swap_dims(1, 2)) / ((width / heads) as f64).sqrt();
    let future = Tensor::<2, burn::tensor::Bool>::tril_mask([length, length], 0, &device);
    let scores = scores.mask_fill(future.unsqueeze(), f32::NEG_INFINITY);
    let mut weights = activation::softmax(scores, 2);
    if let Some(mask) = mask {
        weights = weights * mask;
    }
    weights
        .matmul(value)
        .swap_dims(0, 1)
        .reshape([length, width])
}

#[derive(Clone, Debug)]
struct Attention {
    spans: Spans,
    heads: usize,
    width: usize,
    mask: Option<(Dropout, u32)>,
}

impl Attention {
    /// Where in a row the queries, keys and values of a head begin.
    fn columns(&self, head: usize) -> [usize; 3] {
        let start = head * self.width / self.heads;
        [start, self.width + start, 2 * self.width + start]
    }

    fn scale(&self) -> f32 {
        1.0 / ((self.width / self.heads) as f32).sqrt()
    }

    fn forward_one(
        &self,
        sequence: usize,
        length: usize,
        qkv: &[f32],
        out: &mut [f32],
    ) -> Vec<f32> {
        let (width, head_width, square) = (self.width, self.width / self.heads, length * length);
        let mut weights = vec![0.0; self.heads * square];
        let mut dropped = vec![0.0; if self.mask.is_some() { square } else { 0 }];
        for (head, weights) in weights.chunks_exact_mut(square).enumerate() {
            let [query, key, value] = self
                .columns(head)
                .map(|start| Matrix::rows(&qkv[start..], 3 * width));
            let sizes = [length, head_width, length];
            product(sizes, query, key.transposed(), Into::Set, weights, length);
            for (row, weights) in weights.chunks_exact_mut(length).enumerate() {
                let (past, future) = weights.split_at_mut(row + 1);
                softmax(past, self.scale());
                future.fill(0.0);
            }
            let mut used = &*weights;
            if let Some((dropout, site)) = self.mask {
                dropout.fill_head(site, sequence, (head, self.heads), &mut dropped);
                dropped
                    .iter_mut()
                    .zip(&*weights)
                    .for_each(|(mask, weight)| *mask *= weight);
                used = &dropped;
            }
            let weights = Matrix::rows(used, length);
            let out = &mut out[head * head_width..];
            product(
                [length, length, head_width],
                weights,
                value,
                Into::Set,
                out,
                width,
            );
        }
        weights
    }

    fn backward_one(
        &self,
        sequence: usize,
        length: usize,
        [qkv, weights, upstream]: [&[f32]; 3],
        dqkv: &mut [f32],
    ) {
        let (width, head_width, square) = (self.width, self.width / self.heads, length * length);
        let stride = 3 * width;
        let (mut mask, mut dropped) = (Vec::new(), Vec::new());
        let mut dweights = vec![0.0; square];
        for (head, weights) in weights.chunks_exact(square).enumerate() {
            let starts = self.columns(head);
            let [query, key, value] = starts.map(|start| Matrix::rows(&qkv[start..], stride));
            let upstream = Matrix::rows(&upstream[head * head_width..], width);
            let sizes = [length, head_width, length];
            product(
                sizes,
                upstream,
                value.transposed(),
                Into::Set,
                &mut dweights,
                length,
            );
            let mut used = weights;
            if let Some((dropout, site)) = self.mask {
                mask.resize(square, 0.0);
                dropout.fill_head(site, sequence, (head, self.heads), &mut mask);
                dropped.clear();
                dropped.extend(mask.iter().zip(weights).map(|(mask, weight)| mask * weight));
                dweights
                    .iter_mut()
                    .zip(&mask)
                    .for_each(|(dweight, mask)| *dweight *= mask);
                used = &dropped;
            }
            let sizes = [length, length, head_width];
            let used = Matrix::rows(used, length).transposed();
            product(
                sizes,
                used,
                upstream,
                Into::Set,
                &mut dqkv[starts[2]..],
                stride,
            );
            // Through the softmax: weight * (dweight - sum of weight * dweight); zero in the future.
            let scale = self.scale();
            for (dweights, weights) in dweights
                .chunks_exact_mut(length)
                .zip(weights.chunks_exact(length))
            {
                let inner = sum(dweights.iter().zip(weights).map(|(d, w)| d * w));
                dweights
                    .iter_mut()
                    .zip(weights)
                    .for_each(|(d, w)| *d = w * (*d - inner) * scale);
            }
            let dscores = Matrix::rows(&dweights, length);
            product(
                sizes,
                dscores,
                key,
                Into::Set,
                &mut dqkv[starts[0]..],
                stride,
            );
            product(
                sizes,
                dscores.transposed(),
                query,
                Into::Set,
                &mut dqkv[starts[1]..],
                stride,
            );
        }
    }
}

/// Softmax of `scale` times the values, in place.
fn softmax(values: &mut [f32], scale: f32) {
    let largest = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    for value in &mut *values {
        *value = exp((*value - largest) * scale);
    }
    let scale = 1.0 / sum(values.iter().copied());
    for value in values {
        *value *= scale;
    }
}

impl Kernel<1> for Attention {
    /// The attention weights of each sequence, `[heads, length, length]`, before dropout.
    type Saved = Vec<Vec<f32>>;

    fn shape(&self) -> [usize; 2] {
        [self.spans.rows(), self.width]
    }

    fn forward(&self, [qkv]: [&[f32]; 1], track: bool) -> (Vec<f32>, Option<Self::Saved>) {
        let mut out = vec![0.0; self.spans.rows() * self.width];
        let parts = self.spans.split(&mut out, self.width);
        let saved = parts.into_par_iter().enumerate().map(|(sequence, out)| {
            let span = &self.spans.ranges()[sequence];
            let qkv = &qkv[3 * self.width * span.start..3 * self.width * span.end];
            let weights = self.forward_one(sequence, span.len(), qkv, out);
            if track { weights } else { Vec::new() }
        });
        let saved = saved.collect();
        (out, Some(saved))
    }

    fn backward(
        &self,
        [qkv]: [&[f32]; 1],
        saved: Self::Saved,
        gradient: &[f32],
        _: [bool; 1],
    ) -> [Option<Vec<f32>>; 1] {
        let mut dqkv = vec![0.0; qkv.len()];
        let parts = self.spans.split(&mut dqkv, 3 * self.width);
        parts
            .into_par_iter()
            .zip(&saved)
            .enumerate()
            .for_each(|(sequence, (dqkv, weights))| {
                let span = &self.spans.ranges()[sequence];
                let qkv = &qkv[3 * self.width * span.start..3 * self.width * span.end];
                let upstream = &gradient[self.width * span.start..self.width * span.end];
                self.backward_one(sequence, span.len(), [qkv, weights, upstream], dqkv);
            });
        [Some(dqkv)]
    }
}
