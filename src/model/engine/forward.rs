//! The forward pass over any mixture of segments: one token each of many sequences (decoding), whole
//! prompts, or pieces of them. Every row is computed by the same kernels in the same order whatever
//! stands beside it, so the mixture does not alter a bit.

use std::ops::Range;

use super::gemm::{Epilogue, MatrixRows};
use super::heads::Heads;
use super::linear::Linear;
use super::model::Model;
use super::norm::Norm;
use super::parallel::Parallel;
use super::pass::{ROW_WORK, Segment, TokenRow, single};
use super::turns::Turns;
use crate::model::architecture::{FeedForwardKind, Positions};
use crate::model::kernel::buffer::{Buffer, row_stride};
use crate::model::kernel::soft_cap::soft_cap;

/// Rows whose logits are held at a time where every row's are wanted.
pub(super) const LOGIT_ROWS: usize = 96;

/// Buffers that passes reuse.
pub(super) struct Scratch {
    /// The residual stream, `[rows, row_stride(width)]`.
    x: Buffer,
    /// What a half of a block reads, then what its heads give.
    normal: Buffer,
    /// What the second half of a block reads, where it does not wait for the first.
    beside: Buffer,
    /// Queries, keys and values, then what a half of a block gives, where that is normed.
    projected: Buffer,
    inner: Buffer,
    turns: Turns,
    /// The wanted positions, segment by segment, after the final norm.
    hidden: Buffer,
    logits: Buffer,
}

impl Scratch {
    pub(super) fn new() -> Self {
        let [x, normal, beside, projected, inner, hidden, logits] = [0; 7].map(Buffer::zeroed);
        Self {
            x,
            normal,
            beside,
            projected,
            inner,
            turns: Turns::default(),
            hidden,
            logits,
        }
    }
}

impl Model {
    /// Reads the new tokens of `segments` and leaves their wanted positions in `scratch.hidden`.
    /// Tokens and positions have been checked.
    ///
    /// # Shapes
    /// `scratch.hidden` comes to `[wanted of all segments, row_stride(width)]`, of which the first `width` values of
    /// a row count.
    pub(super) fn forward(
        &self,
        parallel: Parallel,
        segments: &mut [Segment<'_>],
        scratch: &mut Scratch,
    ) {
        let (stride, mixed_stride) = (
            self.stride(),
            row_stride(self.architecture.heads.query_width()),
        );
        let wide = row_stride(self.architecture.heads.projected_width());
        let inner = row_stride(self.architecture.feed_forward.inner);
        // Shared out, since a new page of memory takes the system longer than much of what is computed in it.
        parallel.for_each_mut(segments, 1, |_, segment| {
            segment.cache.grow(&self.pages, segment.tokens.len());
        });
        let (mut rows, mut firsts) = (Vec::new(), Vec::new());
        for (index, segment) in segments.iter().enumerate() {
            let start = segment.cache.len() - segment.tokens.len();
            firsts.push(rows.len());
            rows.extend((0..segment.tokens.len()).map(|i| TokenRow {
                segment: index,
                position: start + i,
            }));
        }
        let count = rows.len();
        let positions = rows.iter().map(|row| row.position);
        self.turning.fill(&mut scratch.turns, &positions);
        let beside = if self.architecture.parallel {
            count * stride
        } else {
            0
        };
        let x = part(&mut scratch.x, count * stride);
        let normal = part(&mut scratch.normal, count * stride.max(mixed_stride));
        let beside = part(&mut scratch.beside, beside);
        let projected = part(&mut scratch.projected, count * wide.max(2 * stride));
        let up = part(&mut scratch.inner, count * inner);
        let heads = Heads::new(self, parallel, &rows, &scratch.turns, wide, mixed_stride);

        let tokens = segments.iter().flat_map(|segment| segment.tokens);
        for ((row, &token), x) in rows.iter().zip(tokens).zip(x.chunks_exact_mut(stride)) {
            self.embed(token as usize, row.position, x);
        }
        for (layer, block) in self.blocks.iter().enumerate() {
            if self.architecture.parallel {
                self.normed(parallel, block.feed_forward_norm.as_ref(), x, beside);
            }
            let input = self.normed(parallel, block.attention_norm.as_ref(), x, normal);
            let (input, projection) = (
                MatrixRows::new(input, stride, count),
                &block.query_key_value,
            );
            projection.multiply(parallel, input, Epilogue::Store, projected, wide);
            heads.keep(layer, block, segments, &firsts, projected);
            heads.attend(layer, segments, projected, normal);
            let (mixed, post_norm) = (
                MatrixRows::new(normal, mixed_stride, count),
                &block.attention_post_norm,
            );
            self.add(
                parallel,
                &block.attention_out,
                mixed,
                post_norm.as_ref(),
                projected,
                x,
            );

            let input = if self.architecture.parallel {
                &*beside
            } else {
                self.normed(parallel, block.feed_forward_norm.as_ref(), x, normal)
            };
            let activation = match self.architecture.feed_forward.kind {
                FeedForwardKind::Plain(activation) => Epilogue::Activate(activation),
                FeedForwardKind::Gated(activation) => Epilogue::Gate(activation),
            };
            let input = MatrixRows::new(input, stride, count);
            block.up.multiply(parallel, input, activation, up, inner);
            let (active, post_norm) = (
                MatrixRows::new(up, inner, count),
                &block.feed_forward_post_norm,
            );
            self.add(
                parallel,
                &block.down,
                active,
                post_norm.as_ref(),
                projected,
                x,
            );
        }

        let wanted: usize = segments.iter().map(|segment| segment.wanted).sum();
        let hidden = part(&mut scratch.hidden, wanted * stride);
        let mut to = 0;
        for (first, segment) in firsts.iter().zip(segments.iter()) {
            let end = (first + segment.tokens.len()) * stride;
            let len = segment.wanted * stride;
            let out = &mut hidden[to..to + len];
            self.norm_rows(parallel, &self.final_norm, &x[end - len..end], out);
            to += len;
        }
    }

    /// Projects the wanted positions `range` of the last pass onto the vocabulary; at most
    /// [`LOGIT_ROWS`] or a batch at a time, as the logits are large.
    ///
    /// # Shapes
    /// To `[range.len(), logit_stride]`, of which the first `vocab_rows` values of a row count.
    pub(super) fn project<'s>(
        &self,
        parallel: Parallel,
        scratch: &'s mut Scratch,
        range: Range<usize>,
    ) -> &'s [f32] {
        let (stride, logit_stride) = (self.stride(), self.logit_stride());
        let hidden = &scratch.hidden.as_slice()[range.start * stride..range.end * stride];
        let input = MatrixRows::new(hidden, stride, range.len());
        let logits = part(&mut scratch.logits, range.len() * logit_stride);
        self.head
            .multiply(parallel, input, Epilogue::Store, logits, logit_stride);
        if let Some(cap) = self.architecture.logit_cap {
            let mut rows: Vec<&mut [f32]> = logits.chunks_exact_mut(logit_stride).collect();
            parallel.for_each_mut(&mut rows, ROW_WORK.div_ceil(logit_stride), |_, row| {
                let row = &mut row[..self.architecture.vocab_rows];
                soft_cap(parallel.isa(), row, 1.0, single(cap));
            });
        }
        logits
    }

    /// The distance between rows of logits.
    pub(super) fn logit_stride(&self) -> usize {
        row_stride(self.architecture.vocab_rows)
    }

    /// The distance between rows of the residual stream.
    fn stride(&self) -> usize {
        row_stride(self.architecture.width)
    }

    /// What goes into the first block.
    ///
    /// # Shapes
    /// `x` `[row_stride(width)]`, of which what is beyond `width` becomes 0.
    fn embed(&self, token: usize, position: usize, x: &mut [f32]) {
        let width = self.architecture.width;
        match &self.token_embedding {
            Some(rows) => rows.copy_row(token, &mut x[..width]),
            None => self.head.copy_column(token, x),
        }
        let x = {
            let (x, rest) = x.split_at_mut(width);
            rest.fill(0.0);
            x
        };
        let scale = single(self.architecture.embedding_scale);
        for x in &mut *x {
            *x *= scale;
        }
        match self.architecture.positions {
            Positions::Rotary => {}
            Positions::Learned => {
                let embedding = &self.position_embedding[position * width..][..width];
                x.iter_mut().zip(embedding).for_each(|(x, p)| *x += p);
            }
        }
    }

    /// What half of a block reads: `x` after a norm, in `room`, or `x` itself.
    ///
    /// # Shapes
    /// `x` `[rows, stride]`, `room` the same or longer.
    fn normed<'a>(
        &self,
        parallel: Parallel,
        norm: Option<&Norm>,
        x: &'a [f32],
        room: &'a mut [f32],
    ) -> &'a [f32] {
        let Some(norm) = norm else { return x };
        let room = &mut room[..x.len()];
        self.norm_rows(parallel, norm, x, room);
        room
    }

    /// Adds what `linear` makes of `input` to `x`, after a norm where there is one.
    ///
    /// # Shapes
    /// `x` `[rows, stride]`, `room` twice that or longer.
    fn add(
        &self,
        parallel: Parallel,
        linear: &Linear,
        input: MatrixRows<'_>,
        norm: Option<&Norm>,
        room: &mut [f32],
        x: &mut [f32],
    ) {
        let stride = self.stride();
        let Some(norm) = norm else {
            linear.multiply(parallel, input, Epilogue::Add, x, stride);
            return;
        };
        let (given, normed) = room.split_at_mut(x.len());
        linear.multiply(parallel, input, Epilogue::Store, given, stride);
        let rows = normed
            .chunks_exact_mut(stride)
            .zip(x.chunks_exact_mut(stride));
        let mut rows: Vec<(&mut [f32], &mut [f32])> = rows.collect();
        parallel.for_each_mut(&mut rows, ROW_WORK.div_ceil(stride), |i, (normed, x)| {
            let given = &given[i * stride..][..self.architecture.width];
            norm.row(parallel.isa(), given, normed);
            x.iter_mut().zip(&**normed).for_each(|(x, more)| *x += more);
        });
    }

    /// Norms every row of `x`, into `out`.
    ///
    /// # Shapes
    /// `x` and `out` `[rows, stride]`, of which the first `width` values count.
    fn norm_rows(&self, parallel: Parallel, norm: &Norm, x: &[f32], out: &mut [f32]) {
        let stride = self.stride();
        let mut outs: Vec<&mut [f32]> = out.chunks_exact_mut(stride).collect();
        parallel.for_each_mut(&mut outs, ROW_WORK.div_ceil(stride), |i, out| {
            let row = &x[i * stride..][..self.architecture.width];
            norm.row(parallel.isa(), row, out);
        });
    }
}

/// The first `len` values of a buffer, which grows to hold them.
fn part(buffer: &mut Buffer, len: usize) -> &mut [f32] {
    buffer.reserve(len);
    &mut buffer.as_mut_slice()[..len]
}
