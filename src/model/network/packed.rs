//! Packed sequences: rows end to end, padded to one length for attention alone.

use burn::tensor::{Device, Int, Tensor};

use super::attention::{Attention, AttentionContext};
use super::masks::Masks;
use super::ops::{self, indices};
use super::rotary::Turns;
use crate::model::architecture::{Architecture, BlockAttention};
use crate::model::dropout::Dropout;
use crate::model::rows::Spans;

/// What all blocks are told of the rows that they work on.
pub(super) struct PassContext<'a> {
    spans: &'a Spans,
    dropout: Option<Dropout>,
    masks: Masks,
    padded: Padded,
}

impl<'a> PassContext<'a> {
    pub(super) fn new(
        architecture: &Architecture,
        spans: &'a Spans,
        dropout: Option<Dropout>,
        device: &Device,
    ) -> Self {
        Self {
            spans,
            dropout,
            masks: Masks::new(architecture, spans, dropout, device),
            padded: Padded::new(&architecture.attention.pattern, spans, device),
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
        match self.masks.at(site) {
            Some(mask) => x * mask,
            None => ops::drop_out(x, site, self.spans, self.dropout),
        }
    }

    /// Each sequence attends to its own past; `site` names the dropout masks of the attention weights.
    ///
    /// # Shapes
    /// `qkv` `[rows, projected_width]`: queries, keys, values; to `[rows, query_width]`.
    pub(super) fn attend(&self, attention: &Attention, qkv: Tensor<2>, site: u32) -> Tensor<2> {
        let (padded, batch) = (&self.padded, self.spans.ranges().len());
        let qkv = padded.moved(qkv, &padded.there);
        let [query, key, value] = attention.split(qkv, batch, &padded.context);
        let mut weights = attention.weights(query, key, &padded.context);
        if let Some(mask) = self.masks.at(site) {
            let shape = weights.dims();
            weights = weights * mask.reshape(shape);
        }
        padded.moved(attention.mix(weights, value), &padded.back)
    }
}

/// How packed rows go to padded ones and back.
struct Padded {
    /// The packed row of each padded one, `[sequences * length]`; the last of its sequence beyond its end.
    there: Tensor<1, Int>,
    /// The padded row of each packed one, `[rows]`.
    back: Tensor<1, Int>,
    /// Whether that is another order: sequences of one length lie as they are padded.
    moves: bool,
    context: AttentionContext,
}

impl Padded {
    /// Rows in another order.
    ///
    /// # Shapes
    /// `x` `[any, columns]`; to `[rows, columns]`.
    fn moved(&self, x: Tensor<2>, rows: &Tensor<1, Int>) -> Tensor<2> {
        if self.moves {
            x.select(0, rows.clone())
        } else {
            x
        }
    }

    fn new(pattern: &[BlockAttention], spans: &Spans, device: &Device) -> Self {
        let (ranges, length) = (spans.ranges(), spans.longest());
        let (mut there, mut back) = (Vec::new(), Vec::new());
        for (sequence, range) in ranges.iter().enumerate() {
            there.extend((0..length).map(|row| (range.start + row).min(range.end - 1)));
            back.extend((0..range.len()).map(|row| sequence * length + row));
        }
        let turns = Turns::new(pattern, length, device);
        Self {
            moves: ranges.iter().any(|range| range.len() < length),
            there: indices(there, device),
            back: indices(back, device),
            context: AttentionContext::of_sequences(pattern, &turns, length, device),
        }
    }
}
