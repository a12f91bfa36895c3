//! Packed sequences: rows end to end, padded to one length for attention alone.

use burn::tensor::{Device, Int, Tensor};

use super::attention::{Attention, AttentionContext};
use super::ops::{self, expanded, indices};
use super::rotary::Turns;
use crate::model::architecture::BlockAttention;
use crate::model::dropout::Dropout;
use crate::model::rows::Spans;

/// What all blocks are told of the rows that they work on.
pub(super) struct PassContext<'a> {
    spans: &'a Spans,
    dropout: Option<Dropout>,
    padded: Padded,
}

impl<'a> PassContext<'a> {
    pub(super) fn new(
        pattern: &[BlockAttention],
        spans: &'a Spans,
        dropout: Option<Dropout>,
        device: &Device,
    ) -> Self {
        Self {
            spans,
            dropout,
            padded: Padded::new(pattern, spans, device),
        }
    }

    /// The position of each row.
    ///
    /// # Shapes
    /// To `[rows]`.
    pub(super) fn positions(&self) -> Vec<usize> {
        self.spans.positions()
    }

    /// `x` with dropout at `site`.
    ///
    /// # Shapes
    /// `x` `[rows, width]`; to the same.
    pub(super) fn drop_out(&self, x: Tensor<2>, site: u32) -> Tensor<2> {
        ops::drop_out(x, site, self.spans, self.dropout)
    }

    /// Each sequence attends to its own past; `site` names the dropout masks of the attention weights.
    ///
    /// # Shapes
    /// `qkv` `[rows, projected_width]`: queries, keys, values; to `[rows, query_width]`.
    pub(super) fn attend(&self, attention: &Attention, qkv: Tensor<2>, site: u32) -> Tensor<2> {
        let (padded, batch) = (&self.padded, self.spans.ranges().len());
        let qkv = qkv.select(0, padded.there.clone());
        let [query, key, value] = attention.split(qkv, batch, &padded.context);
        let mut weights = attention.weights(query, key, &padded.context);
        if let Some(dropout) = self.dropout.and_then(|dropout| dropout.at(site)) {
            let [_, heads, length, _] = weights.dims();
            let bits = dropout.head_bits(site, self.spans, heads, length);
            let mask = expanded(&bits, length, dropout, &weights.device());
            weights = weights * mask.reshape([batch, heads, length, length]);
        }
        attention.mix(weights, value).select(0, padded.back.clone())
    }
}

/// How packed rows go to padded ones and back.
struct Padded {
    /// The packed row of each padded one, `[sequences * length]`; the last of its sequence beyond its end.
    there: Tensor<1, Int>,
    /// The padded row of each packed one, `[rows]`.
    back: Tensor<1, Int>,
    context: AttentionContext,
}

impl Padded {
    fn new(pattern: &[BlockAttention], spans: &Spans, device: &Device) -> Self {
        let ranges = spans.ranges();
        let length = ranges.iter().map(ExactSizeIterator::len).max().unwrap_or(0);
        let (mut there, mut back) = (Vec::new(), Vec::new());
        for (sequence, range) in ranges.iter().enumerate() {
            there.extend((0..length).map(|row| (range.start + row).min(range.end - 1)));
            back.extend((0..range.len()).map(|row| sequence * length + row));
        }
        let turns = Turns::new(pattern, length, device);
        Self {
            there: indices(there, device),
            back: indices(back, device),
            context: AttentionContext::of_sequences(pattern, &turns, length, device),
        }
    }
}
