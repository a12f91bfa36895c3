//! GPT-2 forward and backward on slices. Source: Radford et al. 2019; HF transformers, `modeling_gpt2.py`; the plan of
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
use crate::model::{Gpt2Config, Weights};

/// Elements that a thread takes at a time where each stands alone.
const BLOCK: usize = 1 << 13;

/// The shape, and memory that grows to the largest micro-batch and then serves every step.
pub(in crate::model::train) struct Network {
    width: usize,
    inner: usize,
    heads: usize,
    layers: usize,
    epsilon: f32,
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
    qkv: Vec<f32>,
    mixed: Vec<f32>,
    middle: Vec<f32>,
    inner: Vec<f32>,
}

#[derive(Default)]
struct Scratch {
    /// `[rows, width]` each.
    normed: Vec<f32>,
    branch: Vec<f32>,
    mask: Vec<f32>,
    dx: Vec<f32>,
    /// `[rows, inner]` each.
    gelu: Vec<f32>,
    dinner: Vec<f32>,
    /// `[rows, 3 * width]`.
    dqkv: Vec<f32>,
    /// `[rows]`.
    moments: Vec<[f32; 2]>,
    head: HeadScratch,
}

/// One micro-batch.
struct Part {
    spans: Spans,
    tokens: Vec<u32>,
    targets: Targets,
    /// What each token's loss counts.
    scale: f32,
    dropout: Option<Dropout>,
}

impl Part {
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
    #[expect(clippy::cast_possible_truncation, reason = "the arithmetic is f32")]
    pub(in crate::model::train) fn new(
        config: &Gpt2Config,
        micro_batch_tokens: usize,
        checkpointing: bool,
    ) -> Self {
        Self {
            width: config.n_embd,
            inner: config.inner_width(),
            heads: config.n_head,
            layers: config.n_layer,
            epsilon: config.layer_norm_epsilon as f32,
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
            let part = Part::new(examples, batch.loss_tokens, dropout);
            total += self.pass(weights, &part, Some(&mut *gradients));
        }
        total
    }

    /// Mean loss over the tokens that count, without dropout.
    pub(in crate::model::train) fn loss(&mut self, weights: &Weights, batch: &Batch<'_>) -> f64 {
        let mut total = 0.0;
        for (_, examples) in batch.parts(self.micro_batch_tokens, Layout::Packed) {
            let part = Part::new(examples, batch.loss_tokens, None);
            total += self.pass(weights, &part, None);
        }
        total
    }

    fn pass(&mut self, weights: &Weights, part: &Part, gradients: Option<&mut Weights>) -> f64 {
        // Without a backward pass two streams take turns.
        let keeps_inputs = gradients.is_some();
        let keeps_blocks = keeps_inputs && !self.checkpointing;
        self.reserve(part.tokens.len(), keeps_inputs, keeps_blocks);
        let layers: Vec<Layer<'_>> = (0..self.layers)
            .map(|layer| Layer::new(weights, layer))
            .collect();
        self.embed(weights, part);
        for (index, layer) in layers.iter().enumerate() {
            let streams = if keeps_inputs {
                [index, index + 1]
            } else {
                [index % 2, (index + 1) % 2]
            };
            let kept = if keeps_blocks { index } else { 0 };
            self.inside(layer, block_site(index), streams[0], kept, part);
            self.outside(layer, block_site(index), streams[1], kept, part);
        }
        let last = if keeps_inputs {
            self.layers
        } else {
            self.layers % 2
        };
        let (loss, gradients) = self.head(weights, part, last, gradients);
        let Some(gradients) = gradients else {
            return loss;
        };
        for (index, layer) in layers.iter().enumerate().rev() {
            let kept = if keeps_blocks { index } else { 0 };
            if !keeps_blocks && index + 1 < self.layers {
                self.inside(layer, block_site(index), index, kept, part);
            }
            self.block_backward(layer, block_site(index), index, kept, part, gradients);
        }
        self.embed_backward(part, gradients);
        loss
    }

    /// Gives every buffer the length that so many rows need; memory is only ever added.
    fn reserve(&mut self, rows: usize, keeps_inputs: bool, keeps_blocks: bool) {
        let (wide, inner) = (rows * self.width, rows * self.inner);
        let streams = if keeps_inputs { self.layers + 1 } else { 2 };
        let kept = if keeps_blocks { self.layers } else { 1 };
        self.streams
            .resize_with(streams.max(self.streams.len()), Vec::new);
        self.kept
            .resize_with(kept.max(self.kept.len()), Kept::default);
        for stream in &mut self.streams[..streams] {
            stream.resize(wide, 0.0);
        }
        for kept in &mut self.kept[..kept] {
            kept.qkv.resize(3 * wide, 0.0);
            kept.mixed.resize(wide, 0.0);
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
            scratch.dinner.resize(inner, 0.0);
            scratch.dqkv.resize(3 * wide, 0.0);
        }
    }

    fn embed(&mut self, weights: &Weights, part: &Part) {
        let width = self.width;
        let (tokens, positions) = (values(weights, "wte.weight"), values(weights, "wpe.weight"));
        let x = &mut self.streams[0];
        let places = part.tokens.iter().zip(part.spans.positions());
        for (x, (token, position)) in x.chunks_exact_mut(width).zip(places) {
            let token = &tokens[*token as usize * width..][..width];
            let position = &positions[position * width..][..width];
            for ((x, token), position) in x.iter_mut().zip(token).zip(position) {
                *x = token + position;
            }
        }
        drop_out(part, EMBEDDING_SITE, width, x, &mut self.scratch.mask);
    }

    /// From a block's input to what is before gelu.
    fn inside(&mut self, layer: &Layer<'_>, site: u32, stream: usize, kept: usize, part: &Part) {
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
        layer_norm(x, layer.ln_1.norm(), self.epsilon, normed, moments);
        linear(
            normed,
            layer.c_attn.weight,
            layer.c_attn.bias,
            &mut kept.qkv,
        );
        attention(self.heads, self.width, site, part).forward(&kept.qkv, &mut kept.mixed);
        let Affine { weight, bias } = layer.attn_c_proj;
        linear(&kept.mixed, weight, bias, &mut kept.middle);
        drop_out(part, site + 1, self.width, &mut kept.middle, mask);
        add(&mut kept.middle, x);
        layer_norm(
            &kept.middle,
            layer.ln_2.norm(),
            self.epsilon,
            normed,
            moments,
        );
        linear(normed, layer.c_fc.weight, layer.c_fc.bias, &mut kept.inner);
    }

    /// From what is before gelu to the next block's input.
    fn outside(&mut self, layer: &Layer<'_>, site: u32, stream: usize, kept: usize, part: &Part) {
        let (kept, scratch, x) = (
            &self.kept[kept],
            &mut self.scratch,
            &mut self.streams[stream],
        );
        gelu(&kept.inner, &mut scratch.gelu);
        let Affine { weight, bias } = layer.mlp_c_proj;
        linear(&scratch.gelu, weight, bias, x);
        drop_out(part, site + 2, self.width, x, &mut scratch.mask);
        add(x, &kept.middle);
    }

    /// The loss; with gradients, leaves that of the last block's output in `scratch.dx`.
    fn head<'a>(
        &mut self,
        weights: &Weights,
        part: &Part,
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
        let norm = Affine::new(weights, "ln_f");
        layer_norm(x, norm.norm(), self.epsilon, normed, moments);
        let embedding = values(weights, "wte.weight");
        let (targets, scale, width) = (&part.targets, part.scale, self.width);
        let Some(gradients) = gradients else {
            let loss = cross_entropy(normed, embedding, width, targets, scale, None, head);
            return (loss, None);
        };
        branch.fill(0.0);
        let wanted = [&mut branch[..], values_mut(gradients, "wte.weight")];
        let loss = cross_entropy(normed, embedding, width, targets, scale, Some(wanted), head);
        dx.fill(0.0);
        norm_backward(x, norm, "ln_f", moments, branch, dx, gradients);
        (loss, Some(gradients))
    }
}

fn attention(heads: usize, width: usize, site: u32, part: &Part) -> Attention<'_> {
    Attention {
        spans: &part.spans,
        heads,
        width,
        mask: part.dropout.map(|dropout| (dropout, site)),
    }
}

/// Multiplies rows by their mask, made in `mask`.
fn drop_out(part: &Part, site: u32, width: usize, x: &mut [f32], mask: &mut [f32]) {
    if let Some(dropout) = part.dropout {
        dropout.fill_rows(site, &part.spans, width, mask);
        let blocks = x.par_chunks_mut(BLOCK).zip(mask.par_chunks(BLOCK));
        blocks.for_each(|(x, mask)| x.iter_mut().zip(mask).for_each(|(x, mask)| *x *= mask));
    }
}

fn add(sum: &mut [f32], values: &[f32]) {
    let blocks = sum.par_chunks_mut(BLOCK).zip(values.par_chunks(BLOCK));
    blocks.for_each(|(sum, values)| {
        for (sum, value) in sum.iter_mut().zip(values) {
            *sum += value;
        }
    });
}
