//! A model forward and backward on slices. Source: Radford et al. 2019; HF transformers, `modeling_*.py` of each family;
//! the plan of the memory after Karpathy's llm.c.
//!
//! A block keeps what its backward pass cannot make again cheaply: its input, queries, keys and values, what attention
//! gave, the middle of the residual stream, and the inner layer before its activation, of GPT-2 10 times the width for
//! each token; where norms follow its halves, what these gave too. Other norms, rotations, activations, attention
//! weights and dropout masks are made again. With gradient checkpointing only inputs are kept, and the
//! whole block is made again, by the same operations: the same bits.

mod backward;
mod forward;
mod operations;

use std::sync::Arc;

use rayon::prelude::*;

use self::operations::{drop_out, norm_backward, normalize};
use super::arrays::{values, values_mut};
use super::layers::{Affine, Layer, Model};
use super::low_rank::{LowRankScratch, Masks};
use crate::model::architecture::{ArrayId, FeedForwardKind, Output, Positions, Role};
use crate::model::dropout::{Dropout, EMBEDDING_SITE};
use crate::model::lora::LoraShape;
use crate::model::ops::cross_entropy::{Head, HeadScratch, cross_entropy};
use crate::model::ops::query_key_norm::QueryKeyNorm;
use crate::model::ops::rotary::Turns;
use crate::model::rows::{Spans, Targets};
use crate::model::train::data::Example;
use crate::model::train::packed::Packed;
use crate::model::train::step::{Batch, Layout};
use crate::model::{Architecture, Weights};

/// Elements that a thread takes at a time where each stands alone.
const BLOCK: usize = 1 << 13;

/// The architecture, and memory that grows to the largest micro-batch and then serves every step.
pub(in crate::model::train) struct Network {
    architecture: Architecture,
    micro_batch_tokens: usize,
    checkpointing: bool,
    /// What an adapter is trained beside; else all weights are trained.
    frozen: Option<Arc<(Weights, LoraShape)>>,
    /// Of each way in which blocks rotate.
    turns: Vec<Turns>,
    /// Each block's input, and the last one's output: `[rows, width]`.
    streams: Vec<Vec<f32>>,
    /// Of each block, or of the block at work.
    kept: Vec<Kept>,
    scratch: Scratch,
}

/// What a block's forward pass leaves for its backward pass.
#[derive(Default)]
struct Kept {
    /// `[rows, projected_width]`; rotated already where they are not normed before.
    qkv: Vec<f32>,
    /// `[rows, query_width]`.
    mixed: Vec<f32>,
    /// What the post-norm of the attention reads, `[rows, width]`; elsewhere empty.
    attended: Vec<f32>,
    /// `[rows, width]`.
    middle: Vec<f32>,
    /// `[rows, up width]`.
    up: Vec<f32>,
    /// What the post-norm of the feed-forward half reads, `[rows, width]`; elsewhere empty.
    fed: Vec<f32>,
}

#[derive(Default)]
struct Scratch {
    /// `[rows, width]` each.
    normed: Vec<f32>,
    branch: Vec<f32>,
    mask: Vec<f32>,
    dx: Vec<f32>,
    /// The gradient of what a post-norm reads.
    dread: Vec<f32>,
    /// The gradient of the output of a block whose halves are parallel.
    doutput: Vec<f32>,
    /// `[rows, query_width]`.
    dmixed: Vec<f32>,
    /// `[rows, inner]` each.
    active: Vec<f32>,
    dactive: Vec<f32>,
    /// `[rows, up width]` where that is gated; elsewhere `active` serves.
    dup: Vec<f32>,
    /// Queries and keys normed and rotated, and values, `[rows, projected_width]`.
    normed_qkv: Vec<f32>,
    /// What each part of them was multiplied by, `[rows, parts]`.
    qk_scales: Vec<f32>,
    /// `[rows, projected_width]`.
    dqkv: Vec<f32>,
    /// `[rows]`.
    moments: Vec<[f32; 2]>,
    low_rank: LowRankScratch,
    head: HeadScratch,
}

struct MicroBatch {
    spans: Spans,
    /// Of each row in its sequence.
    positions: Vec<usize>,
    tokens: Vec<u32>,
    targets: Targets,
    /// What each token's loss counts.
    scale: f32,
    dropout: Option<Dropout>,
}

impl MicroBatch {
    #[expect(clippy::cast_possible_truncation, reason = "the arithmetic is f32")]
    fn new(examples: &[&Example], loss_tokens: usize, dropout: Option<Dropout>) -> Self {
        let Packed {
            tokens,
            spans,
            targets,
        } = Packed::new(examples);
        Self {
            positions: spans.positions(),
            spans,
            tokens,
            targets,
            scale: (1.0 / loss_tokens as f64) as f32,
            dropout,
        }
    }
}

impl MicroBatch {
    /// What low-rank branches drop.
    fn masks(&self) -> Masks<'_> {
        Masks {
            spans: &self.spans,
            dropout: self.dropout,
        }
    }
}

impl Network {
    /// A network of this shape, whose memory is still to be had.
    pub(in crate::model::train) fn new(
        architecture: &Architecture,
        micro_batch_tokens: usize,
        checkpointing: bool,
    ) -> Self {
        let mut turns: Vec<Turns> = Vec::new();
        let blocks = architecture.attention.pattern.iter();
        for rotary in blocks.filter_map(|block| block.rotary) {
            if turns.iter().all(|known| known.rotary != rotary) {
                turns.push(Turns::new(rotary));
            }
        }
        Self {
            architecture: architecture.clone(),
            micro_batch_tokens,
            checkpointing,
            frozen: None,
            turns,
            streams: Vec::new(),
            kept: Vec::new(),
            scratch: Scratch::default(),
        }
    }

    /// A network for an adapter of `frozen`: the weights that it is given and their gradients are the adapter's.
    pub(in crate::model::train) fn adapting(mut self, frozen: Weights, shape: LoraShape) -> Self {
        self.frozen = Some(Arc::new((frozen, shape)));
        self
    }

    /// Mean loss over the tokens that count; its gradients overwrite `gradients`.
    pub(in crate::model::train) fn gradients(
        &mut self,
        weights: &Weights,
        batch: &Batch<'_>,
        dropout: Option<Dropout>,
        gradients: &mut Weights,
    ) -> f64 {
        for array in gradients.arrays.values_mut() {
            array
                .data
                .par_chunks_mut(BLOCK)
                .for_each(|block| block.fill(0.0));
        }
        let mut total = 0.0;
        for (first, examples) in batch.parts(self.micro_batch_tokens, Layout::Packed) {
            let dropout = dropout.map(|dropout| dropout.beginning_at(first));
            let micro_batch = MicroBatch::new(examples, batch.loss_tokens, dropout);
            total += self.pass(weights, &micro_batch, Some(&mut *gradients));
        }
        total
    }

    /// Mean loss over the tokens that count, without dropout.
    pub(in crate::model::train) fn loss(&mut self, weights: &Weights, batch: &Batch<'_>) -> f64 {
        let mut total = 0.0;
        for (_, examples) in batch.parts(self.micro_batch_tokens, Layout::Packed) {
            let micro_batch = MicroBatch::new(examples, batch.loss_tokens, None);
            total += self.pass(weights, &micro_batch, None);
        }
        total
    }

    fn pass(
        &mut self,
        weights: &Weights,
        micro_batch: &MicroBatch,
        gradients: Option<&mut Weights>,
    ) -> f64 {
        // Without a backward pass two streams take turns.
        let keeps_inputs = gradients.is_some();
        let keeps_blocks = keeps_inputs && !self.checkpointing;
        self.reserve(micro_batch, keeps_inputs, keeps_blocks);
        let frozen = self.frozen.clone();
        let model = match frozen.as_deref() {
            None => Model {
                weights,
                adapter: None,
            },
            Some((frozen, shape)) => Model {
                weights: frozen,
                adapter: Some((shape, weights)),
            },
        };
        let weights = model.weights;
        let count = self.architecture.layers;
        let layers: Vec<Layer<'_>> = (0..count).map(|layer| Layer::new(model, layer)).collect();
        self.embed(weights, micro_batch);
        for (index, layer) in layers.iter().enumerate() {
            let streams = if keeps_inputs {
                [index, index + 1]
            } else {
                [index % 2, (index + 1) % 2]
            };
            let kept = if keeps_blocks { index } else { 0 };
            self.attention_half(layer, streams[0], kept, micro_batch);
            self.feed_forward_half(layer, streams[1], kept, micro_batch);
        }
        let last = if keeps_inputs { count } else { count % 2 };
        let (loss, gradients) = self.head(weights, micro_batch, last, gradients);
        let Some(gradients) = gradients else {
            return loss;
        };
        for (index, layer) in layers.iter().enumerate().rev() {
            let kept = if keeps_blocks { index } else { 0 };
            if !keeps_blocks && index + 1 < count {
                self.attention_half(layer, index, kept, micro_batch);
                if layer.feed_forward_post_norm.is_some() {
                    self.feed(layer, kept, micro_batch);
                }
            }
            self.block_backward(layer, index, kept, micro_batch, gradients);
        }
        self.embed_backward(micro_batch, gradients);
        loss
    }

    /// Gives every buffer the length that so many rows need; memory is only ever added.
    fn reserve(&mut self, micro_batch: &MicroBatch, keeps_inputs: bool, keeps_blocks: bool) {
        let Architecture {
            width,
            layers,
            heads,
            feed_forward,
            parallel,
            ..
        } = self.architecture;
        let rows = micro_batch.tokens.len();
        let gated = matches!(feed_forward.kind, FeedForwardKind::Gated(_));
        let inner = rows * feed_forward.inner;
        let (wide, up) = (rows * width, if gated { 2 * inner } else { inner });
        let [queries, projected] = [heads.query_width(), heads.projected_width()];
        let [queries, projected] = [rows * queries, rows * projected];
        let after = if self.architecture.norm.placement.after {
            wide
        } else {
            0
        };
        let streams = if keeps_inputs { layers + 1 } else { 2 };
        let kept = if keeps_blocks { layers } else { 1 };
        self.streams
            .resize_with(streams.max(self.streams.len()), Vec::new);
        self.kept
            .resize_with(kept.max(self.kept.len()), Kept::default);
        for stream in &mut self.streams[..streams] {
            stream.resize(wide, 0.0);
        }
        for kept in &mut self.kept[..kept] {
            kept.qkv.resize(projected, 0.0);
            kept.mixed.resize(queries, 0.0);
            kept.attended.resize(after, 0.0);
            kept.middle.resize(wide, 0.0);
            kept.up.resize(up, 0.0);
            kept.fed.resize(after, 0.0);
        }
        let scratch = &mut self.scratch;
        scratch.normed.resize(wide, 0.0);
        scratch.branch.resize(wide, 0.0);
        scratch.mask.resize(wide, 0.0);
        scratch.active.resize(inner, 0.0);
        scratch.moments.resize(rows, [0.0; 2]);
        if let Some(over) = self.architecture.attention.query_key_norm {
            let parts = QueryKeyNorm::count(over, heads);
            scratch.normed_qkv.resize(projected, 0.0);
            scratch.qk_scales.resize(rows * parts, 0.0);
        }
        if keeps_inputs {
            scratch.dx.resize(wide, 0.0);
            scratch.dread.resize(after, 0.0);
            scratch.doutput.resize(if parallel { wide } else { 0 }, 0.0);
            scratch.dmixed.resize(queries, 0.0);
            scratch.dactive.resize(inner, 0.0);
            scratch.dup.resize(if gated { up } else { 0 }, 0.0);
            scratch.dqkv.resize(projected, 0.0);
        }
        let lengths = micro_batch
            .spans
            .ranges()
            .iter()
            .map(ExactSizeIterator::len);
        let longest = lengths.max().unwrap_or(0);
        for turns in &mut self.turns {
            turns.reserve(longest);
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "the arithmetic is f32")]
    fn embed(&mut self, weights: &Weights, micro_batch: &MicroBatch) {
        let width = self.architecture.width;
        let scale = self.architecture.embedding_scale as f32;
        let tokens = values(weights, ArrayId::TOKEN_EMBEDDING);
        let x = &mut self.streams[0];
        for (x, token) in x.chunks_exact_mut(width).zip(&micro_batch.tokens) {
            let token = &tokens[*token as usize * width..][..width];
            for (x, token) in x.iter_mut().zip(token) {
                *x = token * scale;
            }
        }
        match self.architecture.positions {
            Positions::Rotary => {}
            Positions::Learned => {
                let positions = values(weights, ArrayId::POSITION_EMBEDDING);
                for (x, position) in x.chunks_exact_mut(width).zip(&micro_batch.positions) {
                    let position = &positions[position * width..][..width];
                    x.iter_mut().zip(position).for_each(|(x, p)| *x += p);
                }
            }
        }
        drop_out(
            micro_batch,
            EMBEDDING_SITE,
            width,
            x,
            &mut self.scratch.mask,
        );
    }

    /// The loss; with gradients, leaves that of the last block's output in `scratch.dx`.
    #[expect(clippy::cast_possible_truncation, reason = "the arithmetic is f32")]
    fn head<'a>(
        &mut self,
        weights: &Weights,
        micro_batch: &MicroBatch,
        stream: usize,
        gradients: Option<&'a mut Weights>,
    ) -> (f64, Option<&'a mut Weights>) {
        let (x, scratch) = (&self.streams[stream], &mut self.scratch);
        let Scratch {
            normed,
            branch,
            dx,
            moments,
            head: scratch,
            ..
        } = scratch;
        let norm_weights = Affine::new(weights, Role::FinalNorm, None);
        let Architecture {
            width,
            norm,
            output,
            logit_cap,
            ..
        } = self.architecture;
        normalize(norm, norm_weights, x, normed, moments);
        let output = match output {
            Output::Separate => ArrayId::OUTPUT,
            Output::Tied => ArrayId::TOKEN_EMBEDDING,
        };
        let head = Head {
            weight: values(weights, output),
            width,
            cap: logit_cap.map(|cap| cap as f32),
        };
        let (targets, scale) = (&micro_batch.targets, micro_batch.scale);
        let Some(gradients) = gradients else {
            let loss = cross_entropy(normed, head, targets, scale, None, scratch);
            return (loss, None);
        };
        branch.fill(0.0);
        let wanted = (&mut branch[..], values_mut(gradients, output));
        let loss = cross_entropy(normed, head, targets, scale, Some(wanted), scratch);
        dx.fill(0.0);
        norm_backward(norm, norm_weights, x, moments, branch, dx, gradients);
        (loss, Some(gradients))
    }
}
