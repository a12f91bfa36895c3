//! Packed sequences: rows end to end, padded to one length for attention alone.

use burn::tensor::{Device, Int, Tensor};

use super::Parameters;
use super::attention::{Attention, AttentionContext, AttentionTape};
use super::gradients::Gradients;
use super::masks::Masks;
use super::ops::indices;
use super::rotary::Turns;
use crate::model::architecture::{Architecture, BlockAttention};
use crate::model::dropout::Dropout;
use crate::model::rows::Spans;

/// What all blocks are told of the rows that they work on.
pub(super) struct PassContext<'a> {
    spans: &'a Spans,
    masks: Masks,
    padded: Padded,
}

impl<'a> PassContext<'a> {
    /// `keep_masks` as of [`Masks::new`].
    pub(super) fn new(
        architecture: &Architecture,
        parameters: &Parameters,
        spans: &'a Spans,
        dropout: Option<Dropout>,
        keep_masks: bool,
        device: &Device,
    ) -> Self {
        let branches = parameters.all_branches();
        Self {
            spans,
            masks: Masks::new(architecture, branches, spans, dropout, keep_masks, device),
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

    /// `x`, or its gradient, with dropout at `site`.
    ///
    /// # Shapes
    /// `x` `[rows, width]`; to the same.
    pub(super) fn drop_out(&self, x: Tensor<2>, site: u32) -> Tensor<2> {
        match self.masks.at(site) {
            Some(mask) => x * mask,
            None => x,
        }
    }

    /// Each sequence attends to its own past; `site` names the dropout masks of the attention weights.
    ///
    /// # Shapes
    /// `qkv` `[rows, projected_width]`: queries, keys, values; to `[rows, query_width]`.
    pub(super) fn attend(
        &self,
        attention: &Attention,
        qkv: Tensor<2>,
        site: u32,
    ) -> (Tensor<2>, AttentionTape) {
        let (padded, batch) = (&self.padded, self.spans.ranges().len());
        let tape = attention.tape(padded.there(qkv), batch, &padded.context);
        let mixed = attention.mixed(&tape, self.masks.at(site));
        (padded.back(mixed), tape)
    }

    /// The gradient of what [`PassContext::attend`] read; those of the norms of queries and keys go to `gradients`.
    ///
    /// # Shapes
    /// `upstream` `[rows, query_width]`; to `[rows, projected_width]`.
    pub(super) fn attend_backward(
        &self,
        (attention, site): (&Attention, u32),
        tape: AttentionTape,
        upstream: Tensor<2>,
        gradients: &mut Gradients,
    ) -> Tensor<2> {
        let (padded, mask) = (&self.padded, self.masks.at(site));
        let upstream = padded.back_backward(upstream);
        let qkv = attention.backward(tape, upstream, mask, &padded.context, gradients);
        // A padded row beyond its sequence's end is nobody's key and of no weight: nothing comes back from it.
        padded.back(qkv)
    }
}

/// How packed rows go to padded ones and back.
struct Padded {
    context: AttentionContext,
    /// `None` where they lie alike: sequences of one length.
    moves: Option<Moves>,
}

struct Moves {
    /// The packed row of each padded one, `[sequences * length]`; the last of its sequence beyond its end.
    there: Tensor<1, Int>,
    /// The same, but beyond a sequence's end the row of zeros that is put after the packed ones.
    there_or_zeros: Tensor<1, Int>,
    /// The padded row of each packed one, `[rows]`.
    back: Tensor<1, Int>,
}

impl Padded {
    fn new(pattern: &[BlockAttention], spans: &Spans, device: &Device) -> Self {
        let (ranges, length) = (spans.ranges(), spans.longest());
        let turns = Turns::new(pattern, length, device);
        let moves = || {
            let (mut there, mut there_or_zeros, mut back) = (Vec::new(), Vec::new(), Vec::new());
            for (sequence, range) in ranges.iter().enumerate() {
                let rows = range.start..range.start + length;
                there.extend(rows.clone().map(|row| row.min(range.end - 1)));
                there_or_zeros
                    .extend(rows.map(|row| if row < range.end { row } else { spans.rows() }));
                back.extend((0..range.len()).map(|row| sequence * length + row));
            }
            let [there, there_or_zeros, back] =
                [there, there_or_zeros, back].map(|rows| indices(rows, device));
            Moves {
                there,
                there_or_zeros,
                back,
            }
        };
        Self {
            context: AttentionContext::of_sequences(pattern, &turns, length, device),
            moves: ranges.iter().any(|range| range.len() < length).then(moves),
        }
    }

    /// Packed rows as padded ones.
    ///
    /// # Shapes
    /// `x` `[rows, columns]`; to `[sequences * length, columns]`.
    fn there(&self, x: Tensor<2>) -> Tensor<2> {
        match &self.moves {
            None => x,
            Some(moves) => x.select(0, moves.there.clone()),
        }
    }

    /// Padded rows as packed ones.
    ///
    /// # Shapes
    /// `x` `[sequences * length, columns]`; to `[rows, columns]`.
    fn back(&self, x: Tensor<2>) -> Tensor<2> {
        match &self.moves {
            None => x,
            Some(moves) => x.select(0, moves.back.clone()),
        }
    }

    /// The gradient of what [`Padded::back`] read: zeros beyond a sequence's end.
    ///
    /// # Shapes
    /// `upstream` `[rows, columns]`; to `[sequences * length, columns]`.
    fn back_backward(&self, upstream: Tensor<2>) -> Tensor<2> {
        let Some(moves) = &self.moves else {
            return upstream;
        };
        let [_, columns] = upstream.dims();
        let zeros = Tensor::zeros([1, columns], (&upstream.device(), upstream.dtype()));
        Tensor::cat(vec![upstream, zeros], 0).select(0, moves.there_or_zeros.clone())
    }
}
