//! Causal multi-head attention of packed sequences: they are padded to one length for this alone.

use burn::tensor::{Bool, Device, FloatDType, Int, Tensor, activation};

use super::ops::{expanded, indices};
use crate::model::dropout::Dropout;
use crate::model::rows::Spans;

/// How packed rows go to padded ones and back.
pub(super) struct Padded {
    spans: Spans,
    length: usize,
    /// The packed row of each padded one; the last of its sequence beyond its end.
    there: Tensor<1, Int>,
    /// The padded row of each packed one.
    back: Tensor<1, Int>,
    /// What each row must not see, `[1, 1, length, length]`.
    future: Tensor<4, Bool>,
}

impl Padded {
    pub(super) fn new(spans: &Spans, device: &Device) -> Self {
        let ranges = spans.ranges();
        let length = ranges.iter().map(ExactSizeIterator::len).max().unwrap_or(0);
        let (mut there, mut back) = (Vec::new(), Vec::new());
        for (sequence, range) in ranges.iter().enumerate() {
            there.extend((0..length).map(|row| (range.start + row).min(range.end - 1)));
            back.extend((0..range.len()).map(|row| sequence * length + row));
        }
        Self {
            spans: spans.clone(),
            length,
            there: indices(there, device),
            back: indices(back, device),
            future: Tensor::<2, Bool>::tril_mask([length, length], 0, device).unsqueeze(),
        }
    }

    /// Each sequence attends to its own past; `dropout` names the masks of the attention weights.
    ///
    /// # Shapes
    /// `qkv` `[rows, 3 * width]`: queries, keys, values; to `[rows, width]`.
    pub(super) fn attention(
        &self,
        qkv: &Tensor<2>,
        heads: usize,
        dropout: Option<(Dropout, u32)>,
    ) -> Tensor<2> {
        let [_, columns] = qkv.dims();
        let (batch, width) = (self.spans.ranges().len(), columns / 3);
        let qkv = qkv.clone().select(0, self.there.clone());
        let [query, key, value] = split_heads(qkv, batch, heads);
        let mut weights = attention_weights(query, key, self.future.clone());
        if let Some(dropout) = dropout {
            weights = weights * self.mask(heads, dropout, &value.device());
        }
        let mixed = weights.cast(value.dtype()).matmul(value);
        mixed
            .swap_dims(1, 2)
            .reshape([batch * self.length, width])
            .select(0, self.back.clone())
    }

    /// The dropout mask `[batch, heads, length, length]`: each sequence has its own, whatever it is padded to.
    fn mask(&self, heads: usize, (dropout, site): (Dropout, u32), device: &Device) -> Tensor<4> {
        let (batch, length) = (self.spans.ranges().len(), self.length);
        let bits = dropout.head_bits(site, &self.spans, heads, length);
        expanded(&bits, length, dropout, device).reshape([batch, heads, length, length])
    }
}

/// Queries, keys and values, each `[batch, heads, length, width / heads]`, of rows `[batch * length, 3 * width]`.
pub(super) fn split_heads(qkv: Tensor<2>, batch: usize, heads: usize) -> [Tensor<4>; 3] {
    let [rows, columns] = qkv.dims();
    let head_width = columns / 3 / heads;
    let parts = qkv.reshape([batch, rows / batch, 3 * heads, head_width]);
    [0, 1, 2].map(|part| {
        let heads = part * heads..(part + 1) * heads;
        parts
            .clone()
            .slice([0..batch, 0..rows / batch, heads, 0..head_width])
            .swap_dims(1, 2)
    })
}

/// Softmax over the past, f32; nothing is given to what `future` marks.
pub(super) fn attention_weights(
    query: Tensor<4>,
    key: Tensor<4>,
    future: Tensor<4, Bool>,
) -> Tensor<4> {
    let [_, _, _, head_width] = query.dims();
    let scores = query.matmul(key.swap_dims(2, 3)).cast(FloatDType::F32);
    let scores = scores / (head_width as f64).sqrt();
    let future = future.expand(scores.dims());
    activation::softmax(scores.mask_fill(future, f32::NEG_INFINITY), 3)
}
