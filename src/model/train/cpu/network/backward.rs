//! The way back through a block and the embedding, from what the forward pass kept.

use super::{MicroBatch, Network, Scratch, attention, drop_out, normalize};
use crate::model::Weights;
use crate::model::architecture::{
    Activation, Architecture, ArrayId, FeedForwardKind, Norm, NormKind, Positions,
};
use crate::model::dropout::EMBEDDING_SITE;
use crate::model::ops::gelu::{gelu, gelu_gradient};
use crate::model::ops::layer_norm::{add_gamma_gradient, add_input_gradient};
use crate::model::ops::linear::{add_bias_gradient, input_gradient};
use crate::model::train::cpu::layers::{Affine, Layer, values_mut};

impl Network {
    /// From the gradient of a block's output to that of its input, both in `scratch.dx`.
    ///
    /// # Shapes
    /// `scratch.dx` `[rows, width]`.
    pub(super) fn block_backward(
        &mut self,
        layer: &Layer<'_>,
        site: u32,
        stream: usize,
        kept: usize,
        micro_batch: &MicroBatch,
        gradients: &mut Weights,
    ) {
        let Architecture {
            width,
            heads,
            norm,
            feed_forward,
            ..
        } = self.architecture;
        let FeedForwardKind::Plain(activation) = feed_forward.kind else {
            todo!("families")
        };
        let (x, kept) = (&self.streams[stream], &self.kept[kept]);
        let Scratch {
            normed,
            branch,
            mask,
            dx,
            gelu: active,
            dinner,
            dmixed,
            dqkv,
            moments,
            ..
        } = &mut self.scratch;

        branch.copy_from_slice(dx);
        drop_out(micro_batch, site + 2, width, branch, mask);
        match activation {
            Activation::Gelu | Activation::Silu => todo!("families"),
            Activation::GeluTanh => gelu(&kept.inner, active),
        }
        layer.down.add_gradients(gradients, active, branch);
        input_gradient(branch, layer.down.weight, width, dinner);
        let dactive = active;
        match activation {
            Activation::Gelu | Activation::Silu => todo!("families"),
            Activation::GeluTanh => gelu_gradient(&kept.inner, dinner, dactive),
        }
        let middle = &kept.middle;
        let norm_weights = layer.feed_forward_norm;
        normalize(norm, norm_weights, middle, normed, moments);
        layer.up.add_gradients(gradients, normed, dactive);
        input_gradient(dactive, layer.up.weight, feed_forward.inner, branch);
        norm_backward(norm, norm_weights, middle, moments, branch, dx, gradients);

        branch.copy_from_slice(dx);
        drop_out(micro_batch, site + 1, width, branch, mask);
        let out = layer.attention_out;
        out.add_gradients(gradients, &kept.mixed, branch);
        input_gradient(branch, out.weight, width, dmixed);
        attention(heads, site, micro_batch).backward(&kept.qkv, dmixed, dqkv);
        let norm_weights = layer.attention_norm;
        normalize(norm, norm_weights, x, normed, moments);
        let projection = layer.query_key_value;
        projection.add_gradients(gradients, normed, dqkv);
        input_gradient(dqkv, projection.weight, heads.projected_width(), branch);
        norm_backward(norm, norm_weights, x, moments, branch, dx, gradients);
    }

    /// From the gradient of the first block's input, in `scratch.dx`, to those of the embeddings, which it is added to.
    ///
    /// # Shapes
    /// `scratch.dx` `[rows, width]`.
    pub(super) fn embed_backward(&mut self, micro_batch: &MicroBatch, gradients: &mut Weights) {
        let width = self.architecture.width;
        let Scratch { dx, mask, .. } = &mut self.scratch;
        drop_out(micro_batch, EMBEDDING_SITE, width, dx, mask);
        // One row after another: a token may come twice, and a sum has one order.
        let mut add = |id, places: Vec<usize>| {
            let sums = values_mut(gradients, id);
            for (place, dx) in places.iter().zip(dx.chunks_exact(width)) {
                let sums = &mut sums[place * width..][..width];
                sums.iter_mut().zip(dx).for_each(|(sum, dx)| *sum += dx);
            }
        };
        let tokens = micro_batch.tokens.iter().map(|token| *token as usize);
        add(ArrayId::TOKEN_EMBEDDING, tokens.collect());
        match self.architecture.positions {
            Positions::Rotary => todo!("families"),
            Positions::Learned => add(ArrayId::POSITION_EMBEDDING, micro_batch.spans.positions()),
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
    match norm.kind {
        NormKind::Rms { .. } => todo!("families"),
        NormKind::Layer => {
            add_gamma_gradient(x, moments, upstream, weights.weight_gradient(gradients));
            add_bias_gradient(upstream, weights.bias_gradient(gradients));
            add_input_gradient(x, weights.weight, moments, upstream, dx);
        }
    }
}
