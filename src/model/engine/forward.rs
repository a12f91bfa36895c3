//! The forward pass over any mixture of segments: one token each of many sequences (decoding), whole
//! prompts, or pieces of them. Every row is computed by the same kernels in the same order whatever
//! stands beside it, so the mixture does not alter a bit.

use std::ops::Range;

use super::attention::attend;
use super::cache::SequenceCache;
use super::gemm::{Epilogue, MatrixRows};
use super::model::{Model, Norm};
use super::parallel::Parallel;
use crate::model::architecture::{Activation, Architecture, FeedForwardKind, NormKind, Positions};
use crate::model::kernel::buffer::{Buffer, row_stride};
use crate::model::kernel::vector::layer_norm;

/// Rows whose logits are held at a time where every row's are wanted.
pub(super) const LOGIT_ROWS: usize = 96;
/// Values that one task of a row-wise kernel should hold at least.
const ROW_WORK: usize = 32 * 1024;
/// Scores and weighted values that one task of attention should hold at least.
const ATTENTION_WORK: usize = 64 * 1024;

/// New tokens of one sequence.
pub(super) struct Segment<'a> {
    /// What the sequence has read; grows by the new tokens.
    pub(super) cache: &'a mut SequenceCache,
    /// The new tokens.
    pub(super) tokens: &'a [u32],
    /// How many of the last new positions are wanted in [`Scratch::hidden`].
    pub(super) wanted: usize,
}

/// Buffers that passes reuse.
pub(super) struct Scratch {
    /// The residual stream, `[rows, row_stride(width)]`.
    x: Buffer,
    /// What a half of a block reads, then what its heads give.
    normal: Buffer,
    projected: Buffer,
    inner: Buffer,
    /// The wanted positions, segment by segment, after the final layer norm.
    hidden: Buffer,
    logits: Buffer,
}

impl Scratch {
    pub(super) fn new() -> Self {
        let [x, normal, projected, inner, hidden, logits] = [0; 6].map(Buffer::zeroed);
        Self {
            x,
            normal,
            projected,
            inner,
            hidden,
            logits,
        }
    }
}

/// A row of the pass.
struct TokenRow {
    segment: usize,
    position: usize,
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
        let Architecture {
            width,
            heads,
            positions,
            feed_forward,
            ..
        } = self.architecture;
        let (queries, keys) = (heads.query_width(), heads.key_width());
        let (stride, mixed_stride) = (row_stride(width), row_stride(queries));
        let wide = row_stride(heads.projected_width());
        let inner = row_stride(feed_forward.inner);
        let mut rows = Vec::new();
        let mut firsts = Vec::new();
        // Shared out, since a new page of memory takes the system longer than much of what is computed in it.
        parallel.for_each_mut(segments, 1, |_, segment| {
            segment.cache.grow(self.page, segment.tokens.len());
        });
        for (index, segment) in segments.iter().enumerate() {
            let start = segment.cache.len() - segment.tokens.len();
            firsts.push(rows.len());
            rows.extend((0..segment.tokens.len()).map(|i| TokenRow {
                segment: index,
                position: start + i,
            }));
        }
        let count = rows.len();
        scratch.x.reserve(count * stride);
        scratch.normal.reserve(count * stride.max(mixed_stride));
        scratch.projected.reserve(count * wide);
        scratch.inner.reserve(count * inner);
        let x = &mut scratch.x.as_mut_slice()[..count * stride];
        let normal = &mut scratch.normal.as_mut_slice()[..count * stride.max(mixed_stride)];
        let projected = &mut scratch.projected.as_mut_slice()[..count * wide];
        let up = &mut scratch.inner.as_mut_slice()[..count * inner];

        let tokens = segments.iter().flat_map(|segment| segment.tokens);
        for ((row, &token), x) in rows.iter().zip(tokens).zip(x.chunks_exact_mut(stride)) {
            self.head.copy_column(token as usize, x);
            match positions {
                Positions::Rotary => todo!("families"),
                Positions::Learned => {
                    let position = &self.position_embedding[row.position * width..][..width];
                    for (x, p) in x.iter_mut().zip(position) {
                        *x += p;
                    }
                }
            }
            x[width..].fill(0.0);
        }
        // Attention's work per row, for the mean length.
        let reach = rows.iter().map(|row| row.position + 1).sum::<usize>() / count.max(1);
        let attention_grain = (ATTENTION_WORK / (2 * queries * reach.max(1))).max(1);
        for (layer, block) in self.blocks.iter().enumerate() {
            self.norm_rows(
                parallel,
                &block.attention_norm,
                x,
                &mut normal[..count * stride],
            );
            let input = MatrixRows {
                data: normal,
                stride,
                count,
            };
            block
                .query_key_value
                .multiply(parallel, input, Epilogue::Store, projected, wide);
            let write_grain = (ROW_WORK / (2 * keys)).max(1);
            parallel.for_each_mut(segments, write_grain, |index, segment| {
                let first = firsts[index];
                for i in first..first + segment.tokens.len() {
                    let row = &projected[i * wide..][queries..heads.projected_width()];
                    let (keys, values) = row.split_at(keys);
                    let position = rows[i].position;
                    let cache = &mut *segment.cache;
                    cache.write(self.page, layer, position, keys, values);
                }
            });
            let (segments, projected) = (&*segments, &*projected);
            let mixed = normal.chunks_exact_mut(mixed_stride).take(count);
            let mut outs: Vec<&mut [f32]> = mixed.collect();
            parallel.for_each_mut(&mut outs, attention_grain, |i, out| {
                let row = &rows[i];
                let (cache, query) = (
                    &*segments[row.segment].cache,
                    &projected[i * wide..][..queries],
                );
                let end = row.position + 1;
                attend(
                    parallel.isa(),
                    self.page,
                    layer,
                    cache,
                    end,
                    query,
                    &mut out[..queries],
                );
            });
            let input = MatrixRows {
                data: normal,
                stride: mixed_stride,
                count,
            };
            block
                .attention_out
                .multiply(parallel, input, Epilogue::Add, x, stride);
            self.norm_rows(
                parallel,
                &block.feed_forward_norm,
                x,
                &mut normal[..count * stride],
            );
            let input = MatrixRows {
                data: normal,
                stride,
                count,
            };
            let activation = match feed_forward.kind {
                FeedForwardKind::Plain(Activation::GeluTanh) => Epilogue::Gelu,
                _ => todo!("families"),
            };
            block.up.multiply(parallel, input, activation, up, inner);
            let input = MatrixRows {
                data: up,
                stride: inner,
                count,
            };
            block
                .down
                .multiply(parallel, input, Epilogue::Add, x, stride);
        }

        let wanted: usize = segments.iter().map(|segment| segment.wanted).sum();
        scratch.hidden.reserve(wanted * stride);
        let hidden = scratch.hidden.as_mut_slice();
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
        let stride = row_stride(self.architecture.width);
        let logit_stride = self.logit_stride();
        scratch.logits.reserve(range.len() * logit_stride);
        let input = MatrixRows {
            data: &scratch.hidden.as_slice()[range.start * stride..range.end * stride],
            stride,
            count: range.len(),
        };
        let logits = scratch.logits.as_mut_slice();
        self.head
            .multiply(parallel, input, Epilogue::Store, logits, logit_stride);
        &scratch.logits.as_slice()[..range.len() * logit_stride]
    }

    /// The distance between rows of logits.
    pub(super) fn logit_stride(&self) -> usize {
        row_stride(self.architecture.vocab_rows)
    }

    /// Norms every row of `x`, into `out`.
    ///
    /// # Shapes
    /// `x` and `out` `[rows, stride]`, of which the first `width` values count.
    fn norm_rows(&self, parallel: Parallel, norm: &Norm, x: &[f32], out: &mut [f32]) {
        let (width, norm_of) = (self.architecture.width, self.architecture.norm);
        let stride = row_stride(width);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "f32 is the engine's precision"
        )]
        let epsilon = norm_of.epsilon as f32;
        let mut outs: Vec<&mut [f32]> = out.chunks_exact_mut(stride).collect();
        parallel.for_each_mut(&mut outs, ROW_WORK.div_ceil(stride), |i, out| {
            let row = &x[i * stride..][..width];
            let (gain, bias) = (norm.gain.as_slice(), norm.bias.as_slice());
            match norm_of.kind {
                NormKind::Rms { .. } => todo!("families"),
                NormKind::Layer => {
                    layer_norm(parallel.isa(), row, gain, bias, epsilon, out);
                }
            }
        });
    }
}
