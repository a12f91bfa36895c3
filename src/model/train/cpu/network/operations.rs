//! Operations on rows as the architecture asks for them, that both ways through the network share.

use rayon::prelude::*;

use super::{BLOCK, MicroBatch};
use crate::model::Weights;
use crate::model::architecture::{Architecture, FeedForward, FeedForwardKind, Norm, NormKind};
use crate::model::dropout::block_site;
use crate::model::ops::activation::{activate, activate_gradient, gated, gated_gradient};
use crate::model::ops::attention::Attention;
use crate::model::ops::layer_norm::{self, add_gamma_gradient, layer_norm};
use crate::model::ops::query_key_norm::QueryKeyNorm;
use crate::model::ops::rms_norm::{self, rms_norm};
use crate::model::ops::rotary::Turns;
use crate::model::train::cpu::layers::{Affine, Layer};

/// `x` normed, and what the norm took out of each row.
///
/// # Shapes
/// `x` and `normed` `[rows, width]`, `moments` `[rows]`.
#[expect(clippy::cast_possible_truncation, reason = "the arithmetic is f32")]
pub(super) fn normalize(
    norm: Norm,
    weights: Affine<'_>,
    x: &[f32],
    normed: &mut [f32],
    moments: &mut [[f32; 2]],
) {
    let epsilon = norm.epsilon as f32;
    match norm.kind {
        NormKind::Layer => {
            let bias = weights.bias.expect("a layer norm has a bias");
            layer_norm(x, [weights.weight, bias], epsilon, normed, moments);
        }
        NormKind::Rms { .. } => {
            let gain = (weights.weight, offset(norm.kind));
            rms_norm(x, gain, epsilon, normed, moments);
        }
    }
}

/// Adds the gradients of a norm's weights to `gradients`, and that of its input to `dx`.
///
/// # Shapes
/// `x`, `upstream` and `dx` `[rows, width]`, `moments` `[rows]`.
pub(super) fn norm_backward(
    norm: Norm,
    weights: Affine<'_>,
    x: &[f32],
    moments: &[[f32; 2]],
    upstream: &[f32],
    dx: &mut [f32],
    gradients: &mut Weights,
) {
    if let Some(gain) = weights.weight_gradient(gradients) {
        add_gamma_gradient(x, moments, upstream, gain);
    }
    weights.add_bias_gradient(gradients, upstream);
    match norm.kind {
        NormKind::Layer => {
            layer_norm::add_input_gradient(x, weights.weight, moments, upstream, dx);
        }
        NormKind::Rms { .. } => {
            let gain = (weights.weight, offset(norm.kind));
            rms_norm::add_input_gradient(x, gain, moments, upstream, dx);
        }
    }
}

/// What is added to a norm's weight.
fn offset(kind: NormKind) -> f32 {
    match kind {
        NormKind::Rms { plus_one: true } => 1.0,
        NormKind::Rms { plus_one: false } | NormKind::Layer => 0.0,
    }
}

/// A block's norm of queries and keys, where it has one.
#[expect(clippy::cast_possible_truncation, reason = "the arithmetic is f32")]
pub(super) fn query_key_norm<'a>(
    architecture: &Architecture,
    layer: &Layer<'a>,
) -> Option<QueryKeyNorm<'a>> {
    let (over, query, key) = (
        architecture.attention.query_key_norm?,
        layer.query_norm?,
        layer.key_norm?,
    );
    Some(QueryKeyNorm {
        over,
        heads: architecture.heads,
        gains: [query.weight, key.weight],
        offset: offset(architecture.norm.kind),
        epsilon: architecture.norm.epsilon as f32,
    })
}

/// By how much a block rotates, where it does.
pub(super) fn turns<'a>(
    architecture: &Architecture,
    all: &'a [Turns],
    layer: usize,
) -> Option<&'a Turns> {
    let rotary = architecture.block_attention(layer).rotary?;
    all.iter().find(|turns| turns.rotary == rotary)
}

/// A block's attention.
#[expect(clippy::cast_possible_truncation, reason = "the arithmetic is f32")]
pub(super) fn attention<'a>(
    architecture: &Architecture,
    layer: usize,
    micro_batch: &'a MicroBatch,
) -> Attention<'a> {
    let (heads, attention) = (architecture.heads, &architecture.attention);
    let site = block_site(layer);
    Attention {
        spans: &micro_batch.spans,
        heads,
        scale: match attention.scale {
            None => 1.0 / (heads.width as f32).sqrt(),
            Some(scale) => scale as f32,
        },
        cap: attention.score_cap.map(|cap| cap as f32),
        window: architecture.block_attention(layer).window,
        mask: micro_batch
            .dropout
            .and_then(|dropout| Some((dropout.at(site)?, site))),
    }
}

/// What the feed-forward half makes of what goes up, into `out`.
///
/// # Shapes
/// `up` `[rows, up width]`, `out` `[rows, inner]`.
pub(super) fn activation(feed_forward: FeedForward, up: &[f32], out: &mut [f32]) {
    match feed_forward.kind {
        FeedForwardKind::Plain(kind) => activate(kind, up, out),
        FeedForwardKind::Gated(kind) => gated(kind, feed_forward.inner, up, out),
    }
}

/// The gradient of what goes up, into `dup`.
///
/// # Shapes
/// `up` and `dup` `[rows, up width]`, `upstream` `[rows, inner]`.
pub(super) fn activation_gradient(
    feed_forward: FeedForward,
    up: &[f32],
    upstream: &[f32],
    dup: &mut [f32],
) {
    match feed_forward.kind {
        FeedForwardKind::Plain(kind) => activate_gradient(kind, up, upstream, dup),
        FeedForwardKind::Gated(kind) => {
            gated_gradient(kind, feed_forward.inner, up, upstream, dup);
        }
    }
}

/// Multiplies rows by their mask, made in `mask`.
///
/// # Shapes
/// `x` and `mask` `[rows, width]`.
pub(super) fn drop_out(
    micro_batch: &MicroBatch,
    site: u32,
    width: usize,
    x: &mut [f32],
    mask: &mut [f32],
) {
    if let Some(dropout) = micro_batch.dropout.and_then(|dropout| dropout.at(site)) {
        dropout.fill_rows(site, &micro_batch.spans, width, mask);
        let blocks = x.par_chunks_mut(BLOCK).zip(mask.par_chunks(BLOCK));
        blocks.for_each(|(x, mask)| x.iter_mut().zip(mask).for_each(|(x, mask)| *x *= mask));
    }
}

/// Adds `values` to `sum`.
///
/// # Shapes
/// `sum` and `values` are of one length.
pub(super) fn add(sum: &mut [f32], values: &[f32]) {
    let blocks = sum.par_chunks_mut(BLOCK).zip(values.par_chunks(BLOCK));
    blocks.for_each(|(sum, values)| {
        for (sum, value) in sum.iter_mut().zip(values) {
            *sum += value;
        }
    });
}
