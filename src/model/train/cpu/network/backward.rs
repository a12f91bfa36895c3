//! The way back through a block and the embedding, from what the forward pass kept.

use super::operations::{
    activation, activation_gradient, add, attention, drop_out, norm_backward, normalize,
    query_key_norm, turns,
};
use super::{MicroBatch, Network, Scratch};
use crate::model::Weights;
use crate::model::architecture::{Architecture, ArrayId, FeedForwardKind, Positions};
use crate::model::dropout::{EMBEDDING_SITE, block_site};
use crate::model::train::cpu::arrays::values_mut;
use crate::model::train::cpu::layers::Layer;

impl Network {
    /// From the gradient of a block's output to that of its input, both in `scratch.dx`.
    ///
    /// # Shapes
    /// `scratch.dx` `[rows, width]`.
    pub(super) fn block_backward(
        &mut self,
        layer: &Layer<'_>,
        stream: usize,
        kept: usize,
        micro_batch: &MicroBatch,
        gradients: &mut Weights,
    ) {
        if self.architecture.parallel {
            let Scratch { dx, doutput, .. } = &mut self.scratch;
            doutput.copy_from_slice(dx);
        }
        self.feed_forward_backward(layer, stream, kept, micro_batch, gradients);
        self.attention_backward(layer, stream, kept, micro_batch, gradients);
    }

    /// Adds what comes back through the feed-forward half to `scratch.dx`, the gradient of what it was added to.
    ///
    /// # Shapes
    /// `scratch.dx` `[rows, width]`.
    fn feed_forward_backward(
        &mut self,
        layer: &Layer<'_>,
        stream: usize,
        kept: usize,
        micro_batch: &MicroBatch,
        gradients: &mut Weights,
    ) {
        let Architecture {
            width,
            norm,
            feed_forward,
            parallel,
            ..
        } = self.architecture;
        let (x, kept) = (&self.streams[stream], &self.kept[kept]);
        let Scratch {
            normed,
            branch,
            mask,
            dx,
            dread,
            active,
            dactive,
            dup,
            moments,
            low_rank,
            ..
        } = &mut self.scratch;
        let masks = micro_batch.masks();

        branch.copy_from_slice(dx);
        let site = block_site(layer.index) + 2;
        drop_out(micro_batch, site, width, branch, mask);
        let upstream = match layer.feed_forward_post_norm {
            None => &*branch,
            Some(weights) => {
                normalize(norm, weights, &kept.fed, normed, moments);
                dread.fill(0.0);
                norm_backward(norm, weights, &kept.fed, moments, branch, dread, gradients);
                &*dread
            }
        };
        activation(feed_forward, &kept.up, active);
        let passed = (&active[..], &upstream[..]);
        layer
            .down
            .backward(passed, gradients, dactive, masks, low_rank);
        let dup = match feed_forward.kind {
            FeedForwardKind::Plain(_) => active,
            FeedForwardKind::Gated(_) => dup,
        };
        activation_gradient(feed_forward, &kept.up, dactive, dup);
        let read = if parallel { x } else { &kept.middle };
        match layer.feed_forward_norm {
            None => {
                let passed = (&read[..], &dup[..]);
                layer
                    .up
                    .backward(passed, gradients, branch, masks, low_rank);
                add(dx, branch);
            }
            Some(weights) => {
                normalize(norm, weights, read, normed, moments);
                let passed = (&normed[..], &dup[..]);
                layer
                    .up
                    .backward(passed, gradients, branch, masks, low_rank);
                norm_backward(norm, weights, read, moments, branch, dx, gradients);
            }
        }
    }

    /// Adds what comes back through the attention to `scratch.dx`.
    ///
    /// # Shapes
    /// `scratch.dx` `[rows, width]`.
    fn attention_backward(
        &mut self,
        layer: &Layer<'_>,
        stream: usize,
        kept: usize,
        micro_batch: &MicroBatch,
        gradients: &mut Weights,
    ) {
        let architecture = &self.architecture;
        let Architecture {
            width, heads, norm, ..
        } = *architecture;
        let (x, kept) = (&self.streams[stream], &self.kept[kept]);
        let Scratch {
            normed,
            branch,
            mask,
            dx,
            dread,
            doutput,
            dmixed,
            normed_qkv,
            qk_scales,
            dqkv,
            moments,
            low_rank,
            ..
        } = &mut self.scratch;
        let masks = micro_batch.masks();

        branch.copy_from_slice(if architecture.parallel { doutput } else { dx });
        let site = block_site(layer.index) + 1;
        drop_out(micro_batch, site, width, branch, mask);
        let upstream = match layer.attention_post_norm {
            None => &*branch,
            Some(weights) => {
                let attended = &kept.attended;
                normalize(norm, weights, attended, normed, moments);
                dread.fill(0.0);
                norm_backward(norm, weights, attended, moments, branch, dread, gradients);
                &*dread
            }
        };
        let passed = (&kept.mixed[..], &upstream[..]);
        layer
            .attention_out
            .backward(passed, gradients, dmixed, masks, low_rank);
        let turns = turns(architecture, &self.turns, layer.index);
        let query_key_norm = query_key_norm(architecture, layer);
        let used = match query_key_norm {
            None => &kept.qkv,
            Some(norm) => {
                norm.forward(&kept.qkv, normed_qkv, qk_scales);
                if let Some(turns) = turns {
                    turns.rotate(heads, &micro_batch.positions, normed_qkv);
                }
                &*normed_qkv
            }
        };
        attention(architecture, layer.index, micro_batch).backward(used, dmixed, dqkv);
        if let Some(turns) = turns {
            turns.rotate_gradient(heads, &micro_batch.positions, dqkv);
        }
        if let Some(norm) = query_key_norm {
            let gains = layer.query_norm.into_iter().chain(layer.key_norm);
            for (which, gain) in gains.enumerate() {
                if let Some(gain) = gain.weight_gradient(gradients) {
                    norm.add_gain_gradient(which, &kept.qkv, qk_scales, dqkv, gain);
                }
            }
            norm.input_gradient(&kept.qkv, qk_scales, dqkv);
        }
        let projection = &layer.query_key_value;
        match layer.attention_norm {
            None => {
                let passed = (&x[..], &dqkv[..]);
                projection.backward(passed, gradients, branch, masks, low_rank);
                add(dx, branch);
            }
            Some(weights) => {
                normalize(norm, weights, x, normed, moments);
                let passed = (&normed[..], &dqkv[..]);
                projection.backward(passed, gradients, branch, masks, low_rank);
                norm_backward(norm, weights, x, moments, branch, dx, gradients);
            }
        }
    }

    /// From the gradient of the first block's input, in `scratch.dx`, to those of the embeddings, which it is added to.
    ///
    /// # Shapes
    /// `scratch.dx` `[rows, width]`.
    #[expect(clippy::cast_possible_truncation, reason = "the arithmetic is f32")]
    pub(super) fn embed_backward(&mut self, micro_batch: &MicroBatch, gradients: &mut Weights) {
        let width = self.architecture.width;
        let Scratch { dx, mask, .. } = &mut self.scratch;
        drop_out(micro_batch, EMBEDDING_SITE, width, dx, mask);
        // One row after another: a token may come twice, and a sum has one order.
        let mut add = |id, scale: f32, places: &mut dyn Iterator<Item = usize>| {
            let Some(sums) = values_mut(gradients, id) else {
                return;
            };
            for (place, dx) in places.zip(dx.chunks_exact(width)) {
                let sums = &mut sums[place * width..][..width];
                let pairs = sums.iter_mut().zip(dx);
                pairs.for_each(|(sum, dx)| *sum += dx * scale);
            }
        };
        let mut tokens = micro_batch.tokens.iter().map(|token| *token as usize);
        let scale = self.architecture.embedding_scale as f32;
        add(ArrayId::TOKEN_EMBEDDING, scale, &mut tokens);
        match self.architecture.positions {
            Positions::Rotary => {}
            Positions::Learned => {
                let positions = &mut micro_batch.positions.iter().copied();
                add(ArrayId::POSITION_EMBEDDING, 1.0, positions);
            }
        }
    }
}
