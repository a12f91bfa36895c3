//! Causal multi-head attention of packed sequences: they are padded to one length for this alone.

use burn::tensor::{Bool, Device, FloatDType, Int, Tensor, activation};

use super::ops::{expanded, indices};
use crate::model::architecture::Heads;
use crate::model::dropout::Dropout;
use crate::model::rows::Spans;

/// How packed rows go to padded ones and back.
pub(super) struct Padded {
    spans: Spans,
    length: usize,
    /// The packed row of each padded one, `[sequences * length]`; the last of its sequence beyond its end.
    there: Tensor<1, Int>,
    /// The padded row of each packed one, `[rows]`.
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
    /// `qkv` `[rows, projected_width]`: queries, keys, values; to `[rows, query_width]`.
    pub(super) fn attention(
        &self,
        qkv: &Tensor<2>,
        heads: Heads,
        dropout: Option<(Dropout, u32)>,
    ) -> Tensor<2> {
        let batch = self.spans.ranges().len();
        let qkv = qkv.clone().select(0, self.there.clone());
        let [query, key, value] = split_heads(qkv, batch, heads);
        let mut weights = attention_weights(query, key, self.future.clone());
        if let Some(dropout) = dropout {
            weights = weights * self.mask(heads.query, dropout, &value.device());
        }
        let mixed = weights.cast(value.dtype()).matmul(value);
        mixed
            .swap_dims(1, 2)
            .reshape([batch * self.length, heads.query_width()])
            .select(0, self.back.clone())
    }

    /// The dropout mask `[batch, heads, length, length]`: each sequence has its own, whatever it is padded to.
    fn mask(&self, heads: usize, (dropout, site): (Dropout, u32), device: &Device) -> Tensor<4> {
        let (batch, length) = (self.spans.ranges().len(), self.length);
        let bits = dropout.head_bits(site, &self.spans, heads, length);
        expanded(&bits, length, dropout, device).reshape([batch, heads, length, length])
    }
}

/// Queries, keys and values, head by head.
///
/// # Shapes
/// `qkv` `[batch * length, projected_width]`; to `[batch, its heads, length, head width]` each.
pub(super) fn split_heads(qkv: Tensor<2>, batch: usize, heads: Heads) -> [Tensor<4>; 3] {
    let [rows, _] = qkv.dims();
    let (first_key, first_value) = (heads.query, heads.query + heads.key);
    let all = first_value + heads.key;
    let parts = qkv.reshape([batch, rows / batch, all, heads.width]);
    [0..first_key, first_key..first_value, first_value..all].map(|part| {
        parts
            .clone()
            .slice([0..batch, 0..rows / batch, part, 0..heads.width])
            .swap_dims(1, 2)
    })
}

/// Softmax over the past, f32; nothing is given to what `future` marks.
///
/// # Shapes
/// `query` `[batch, heads, queries, head width]`, `key` `[batch, heads, keys, head width]`, `future` to be expanded to
/// the result; to `[batch, heads, queries, keys]`.
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
