//! The way forward through a block.

use super::operations::{activation, add, attention, drop_out, normalize, query_key_norm, turns};
use super::{MicroBatch, Network, Scratch};
use crate::model::architecture::Architecture;
use crate::model::dropout::block_site;
use crate::model::train::cpu::layers::Layer;

impl Network {
    /// From a block's input to what its feed-forward half makes active.
    pub(super) fn attention_half(
        &mut self,
        layer: &Layer<'_>,
        stream: usize,
        kept: usize,
        micro_batch: &MicroBatch,
    ) {
        let architecture = &self.architecture;
        let Architecture {
            width, heads, norm, ..
        } = *architecture;
        let (x, kept) = (&self.streams[stream], &mut self.kept[kept]);
        let Scratch {
            normed,
            mask,
            moments,
            normed_qkv,
            qk_scales,
            low_rank,
            ..
        } = &mut self.scratch;
        let masks = micro_batch.masks();
        let input = match layer.attention_norm {
            None => x,
            Some(weights) => {
                normalize(norm, weights, x, normed, moments);
                &*normed
            }
        };
        layer
            .query_key_value
            .map(input, &mut kept.qkv, masks, low_rank);
        let used = match query_key_norm(architecture, layer) {
            None => &mut kept.qkv,
            Some(norm) => {
                norm.forward(&kept.qkv, normed_qkv, qk_scales);
                normed_qkv
            }
        };
        if let Some(turns) = turns(architecture, &self.turns, layer.index) {
            turns.rotate(heads, &micro_batch.positions, used);
        }
        attention(architecture, layer.index, micro_batch).forward(used, &mut kept.mixed);
        match layer.attention_post_norm {
            None => {
                let out = &layer.attention_out;
                out.map(&kept.mixed, &mut kept.middle, masks, low_rank);
            }
            Some(weights) => {
                let out = &layer.attention_out;
                out.map(&kept.mixed, &mut kept.attended, masks, low_rank);
                normalize(norm, weights, &kept.attended, &mut kept.middle, moments);
            }
        }
        let site = block_site(layer.index) + 1;
        drop_out(micro_batch, site, width, &mut kept.middle, mask);
        add(&mut kept.middle, x);
        let read = if architecture.parallel {
            x
        } else {
            &kept.middle
        };
        let input = match layer.feed_forward_norm {
            None => read,
            Some(weights) => {
                normalize(norm, weights, read, normed, moments);
                &*normed
            }
        };
        layer.up.map(input, &mut kept.up, masks, low_rank);
    }

    /// From what the feed-forward half makes active to the next block's input.
    pub(super) fn feed_forward_half(
        &mut self,
        layer: &Layer<'_>,
        stream: usize,
        kept: usize,
        micro_batch: &MicroBatch,
    ) {
        let Architecture { width, norm, .. } = self.architecture;
        match layer.feed_forward_post_norm {
            None => {
                let Scratch {
                    active, low_rank, ..
                } = &mut self.scratch;
                activation(self.architecture.feed_forward, &self.kept[kept].up, active);
                let (x, masks) = (&mut self.streams[stream], micro_batch.masks());
                layer.down.map(active, x, masks, low_rank);
            }
            Some(weights) => {
                self.feed(layer, kept, micro_batch);
                let (x, moments) = (&mut self.streams[stream], &mut self.scratch.moments);
                normalize(norm, weights, &self.kept[kept].fed, x, moments);
            }
        }
        let (x, mask) = (&mut self.streams[stream], &mut self.scratch.mask);
        let site = block_site(layer.index) + 2;
        drop_out(micro_batch, site, width, x, mask);
        add(x, &self.kept[kept].middle);
    }

    /// What the post-norm of the feed-forward half reads.
    pub(super) fn feed(&mut self, layer: &Layer<'_>, kept: usize, micro_batch: &MicroBatch) {
        let kept = &mut self.kept[kept];
        let Scratch {
            active, low_rank, ..
        } = &mut self.scratch;
        activation(self.architecture.feed_forward, &kept.up, active);
        let masks = micro_batch.masks();
        layer.down.map(active, &mut kept.fed, masks, low_rank);
    }
}
