//! A model forward and backward on slices. Source: Radford et al. 2019; HF transformers, `modeling_gpt2.py`; the plan of
//! the memory after Karpathy's llm.c.
//!
//! A block keeps what its backward pass cannot make again cheaply: its input, queries, keys and values, what attention
//! gave, the middle of the residual stream, and the inner layer before gelu: 10 times the width for each token. Norms,
//! gelu, attention weights and dropout masks are made again. With gradient checkpointing only inputs are kept, and the
//! whole block is made again, by the same operations: the same bits.

mod backward;

use rayon::prelude::*;

use self::backward::norm_backward;
use super::layers::{Affine, Layer, values, values_mut};
use crate::model::architecture::{
    Activation, ArrayId, FeedForwardKind, Heads, Norm, NormKind, Output, Positions, Role,
};
use crate::model::dropout::{Dropout, EMBEDDING_SITE, block_site};
use crate::model::ops::attention::Attention;
use crate::model::ops::cross_entropy::{HeadScratch, cross_entropy};
use crate::model::ops::gelu::gelu;
use crate::model::ops::layer_norm::layer_norm;
use crate::model::ops::linear::linear;
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
    /// Each block's input, and the last one's output: `[rows, width]`.
    streams: Vec<Vec<f32>>,
    /// Of each block, or of the block at work.
    kept: Vec<Kept>,
    scratch: Scratch,
}

/// What a block's forward pass leaves for its backward pass.
#[derive(Default)]
struct Kept {
    /// `[rows, projected_width]`.
    qkv: Vec<f32>,
    /// `[rows, query_width]`.
    mixed: Vec<f32>,
    /// `[rows, width]`.
    middle: Vec<f32>,
    /// `[rows, inner]`.
    inner: Vec<f32>,
}

#[derive(Default)]
struct Scratch {
    /// `[rows, width]` each.
    normed: Vec<f32>,
    branch: Vec<f32>,
    mask: Vec<f32>,
    dx: Vec<f32>,
    /// `[rows, query_width]`.
    dmixed: Vec<f32>,
    /// `[rows, inner]` each.
    gelu: Vec<f32>,
    dinner: Vec<f32>,
    /// `[rows, projected_width]`.
    dqkv: Vec<f32>,
    /// `[rows]`.
    moments: Vec<[f32; 2]>,
    head: HeadScratch,
}

struct MicroBatch {
    spans: Spans,
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
            spans,
            tokens,
            targets,
            scale: (1.0 / loss_tokens as f64) as f32,
            dropout,
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
        Self {
            architecture: architecture.clone(),
            micro_batch_tokens,
            checkpointing,
            streams: Vec::new(),
            kept: Vec::new(),
            scratch: Scratch::default(),
        }
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
        self.reserve(micro_batch.tokens.len(), keeps_inputs, keeps_blocks);
        let count = self.architecture.layers;
        let layers: Vec<Layer<'_>> = (0..count).map(|layer| Layer::new(weights, layer)).collect();
        self.embed(weights, micro_batch);
        for (index, layer) in layers.iter().enumerate() {
            let streams = if keeps_inputs {
                [index, index + 1]
            } else {
                [index % 2, (index + 1) % 2]
            };
            let kept = if keeps_blocks { index } else { 0 };
            self.attention_half(layer, block_site(index), streams[0], kept, micro_batch);
            self.mlp_half(layer, block_site(index), streams[1], kept, micro_batch);
        }
        let last = if keeps_inputs { count } else { count % 2 };
        let (loss, gradients) = self.head(weights, micro_batch, last, gradients);
        let Some(gradients) = gradients else {
            return loss;
        };
        for (index, layer) in layers.iter().enumerate().rev() {
            let kept = if keeps_blocks { index } else { 0 };
            if !keeps_blocks && index + 1 < count {
                self.attention_half(layer, block_site(index), index, kept, micro_batch);
            }
            self.block_backward(
                layer,
                block_site(index),
                index,
                kept,
                micro_batch,
                gradients,
            );
        }
        self.embed_backward(micro_batch, gradients);
        loss
    }

    /// Gives every buffer the length that so many rows need; memory is only ever added.
    fn reserve(&mut self, rows: usize, keeps_inputs: bool, keeps_blocks: bool) {
        let Architecture {
            width,
            layers,
            heads,
            feed_forward,
            ..
        } = self.architecture;
        let (wide, inner) = (rows * width, rows * feed_forward.inner);
        let [queries, projected] = [heads.query_width(), heads.projected_width()];
        let [queries, projected] = [rows * queries, rows * projected];
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
            kept.middle.resize(wide, 0.0);
            kept.inner.resize(inner, 0.0);
        }
        let scratch = &mut self.scratch;
        scratch.normed.resize(wide, 0.0);
        scratch.branch.resize(wide, 0.0);
        scratch.mask.resize(wide, 0.0);
        scratch.gelu.resize(inner, 0.0);
        scratch.moments.resize(rows, [0.0; 2]);
        if keeps_inputs {
            scratch.dx.resize(wide, 0.0);
            scratch.dmixed.resize(queries, 0.0);
            scratch.dinner.resize(inner, 0.0);
            scratch.dqkv.resize(projected, 0.0);
        }
    }

    fn embed(&mut self, weights: &Weights, micro_batch: &MicroBatch) {
        let width = self.architecture.width;
        let tokens = values(weights, ArrayId::TOKEN_EMBEDDING);
        let x = &mut self.streams[0];
        match self.architecture.positions {
            Positions::Rotary => todo!("families"),
            Positions::Learned => {
                let positions = values(weights, ArrayId::POSITION_EMBEDDING);
                let places = micro_batch.tokens.iter().zip(micro_batch.spans.positions());
                for (x, (token, position)) in x.chunks_exact_mut(width).zip(places) {
                    let token = &tokens[*token as usize * width..][..width];
                    let position = &positions[position * width..][..width];
                    for ((x, token), position) in x.iter_mut().zip(token).zip(position) {
                        *x = token + position;
                    }
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

    /// From a block's input to what is before gelu.
    fn attention_half(
        &mut self,
        layer: &Layer<'_>,
        site: u32,
        stream: usize,
        kept: usize,
        micro_batch: &MicroBatch,
    ) {
        let (x, kept, scratch) = (
            &self.streams[stream],
            &mut self.kept[kept],
            &mut self.scratch,
        );
        let Scratch {
            normed,
            mask,
            moments,
            ..
        } = scratch;
        let Architecture {
            width, heads, norm, ..
        } = self.architecture;
        normalize(norm, layer.attention_norm, x, normed, moments);
        let Affine { weight, bias, .. } = layer.query_key_value;
        linear(normed, weight, bias, &mut kept.qkv);
        attention(heads, site, micro_batch).forward(&kept.qkv, &mut kept.mixed);
        let Affine { weight, bias, .. } = layer.attention_out;
        linear(&kept.mixed, weight, bias, &mut kept.middle);
        drop_out(micro_batch, site + 1, width, &mut kept.middle, mask);
        add(&mut kept.middle, x);
        let norm_weights = layer.feed_forward_norm;
        normalize(norm, norm_weights, &kept.middle, normed, moments);
        let Affine { weight, bias, .. } = layer.up;
        linear(normed, weight, bias, &mut kept.inner);
    }

    /// From what is before gelu to the next block's input.
    fn mlp_half(
        &mut self,
        layer: &Layer<'_>,
        site: u32,
        stream: usize,
        kept: usize,
        micro_batch: &MicroBatch,
    ) {
        let (kept, scratch, x) = (
            &self.kept[kept],
            &mut self.scratch,
            &mut self.streams[stream],
        );
        match self.architecture.feed_forward.kind {
            FeedForwardKind::Plain(Activation::Gelu | Activation::Silu)
            | FeedForwardKind::Gated(_) => todo!("families"),
            FeedForwardKind::Plain(Activation::GeluTanh) => gelu(&kept.inner, &mut scratch.gelu),
        }
        let Affine { weight, bias, .. } = layer.down;
        linear(&scratch.gelu, weight, bias, x);
        let width = self.architecture.width;
        drop_out(micro_batch, site + 2, width, x, &mut scratch.mask);
        add(x, &kept.middle);
    }

    /// The loss; with gradients, leaves that of the last block's output in `scratch.dx`.
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
            head,
            ..
        } = scratch;
        let norm_weights = Affine::new(weights, Role::FinalNorm, None);
        let Architecture {
            width,
            norm,
            output,
            ..
        } = self.architecture;
        normalize(norm, norm_weights, x, normed, moments);
        let output = match output {
            Output::Separate => todo!("families"),
            Output::Tied => ArrayId::TOKEN_EMBEDDING,
        };
        let embedding = values(weights, output);
        let (targets, scale) = (&micro_batch.targets, micro_batch.scale);
        let Some(gradients) = gradients else {
            let loss = cross_entropy(normed, embedding, width, targets, scale, None, head);
            return (loss, None);
        };
        branch.fill(0.0);
        let wanted = [&mut branch[..], values_mut(gradients, output)];
        let loss = cross_entropy(normed, embedding, width, targets, scale, Some(wanted), head);
        dx.fill(0.0);
        norm_backward(norm, norm_weights, x, moments, branch, dx, gradients);
        (loss, Some(gradients))
    }
}

/// `x` normed, and what the norm took out of each row.
///
/// # Shapes
/// `x` and `normed` `[rows, width]`, `moments` `[rows]`.
#[expect(clippy::cast_possible_truncation, reason = "the arithmetic is f32")]
fn normalize(
    norm: Norm,
    weights: Affine<'_>,
    x: &[f32],
    normed: &mut [f32],
    moments: &mut [[f32; 2]],
) {
    match norm.kind {
        NormKind::Rms { .. } => todo!("families"),
        NormKind::Layer => layer_norm(x, weights.norm(), norm.epsilon as f32, normed, moments),
    }
}

fn attention(heads: Heads, site: u32, micro_batch: &MicroBatch) -> Attention<'_> {
    Attention {
        spans: &micro_batch.spans,
        heads: heads.query,
        width: heads.query_width(),
        mask: micro_batch.dropout.map(|dropout| (dropout, site)),
    }
}

/// Multiplies rows by their mask, made in `mask`.
///
/// # Shapes
/// `x` and `mask` `[rows, width]`.
fn drop_out(micro_batch: &MicroBatch, site: u32, width: usize, x: &mut [f32], mask: &mut [f32]) {
    if let Some(dropout) = micro_batch.dropout {
        dropout.fill_rows(site, &micro_batch.spans, width, mask);
        let blocks = x.par_chunks_mut(BLOCK).zip(mask.par_chunks(BLOCK));
        blocks.for_each(|(x, mask)| x.iter_mut().zip(mask).for_each(|(x, mask)| *x *= mask));
    }
}

/// Adds `values` to `sum`.
///
/// # Shapes
/// `sum` and `values` are of one length.
fn add(sum: &mut [f32], values: &[f32]) {
    let blocks = sum.par_chunks_mut(BLOCK).zip(values.par_chunks(BLOCK));
    blocks.for_each(|(sum, values)| {
        for (sum, value) in sum.iter_mut().zip(values) {
            *sum += value;
        }
    });
}
