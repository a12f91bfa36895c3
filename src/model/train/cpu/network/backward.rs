//! The way back through a block and the embedding, from what the forward pass kept.

use super::{Network, Part, Scratch, attention, drop_out};
use crate::model::Weights;
use crate::model::dropout::EMBEDDING_SITE;
use crate::model::ops::gelu::{gelu, gelu_gradient};
use crate::model::ops::layer_norm::{add_gamma_gradient, add_input_gradient, layer_norm};
use crate::model::ops::linear::{add_bias_gradient, input_gradient};
use crate::model::train::cpu::layers::{Affine, Layer, add_affine, values_mut};

impl Network {
    /// From the gradient of a block's output to that of its input, both in `scratch.dx`.
    pub(super) fn block_backward(
        &mut self,
        layer: &Layer<'_>,
        site: u32,
        stream: usize,
        kept: usize,
        part: &Part,
        gradients: &mut Weights,
    ) {
        let (width, epsilon) = (self.width, self.epsilon);
        let (x, kept) = (&self.streams[stream], &self.kept[kept]);
        let Scratch {
            normed,
            branch,
            mask,
            dx,
            gelu: active,
            dinner,
            dqkv,
            moments,
            ..
        } = &mut self.scratch;

        branch.copy_from_slice(dx);
        drop_out(part, site + 2, width, branch, mask);
        gelu(&kept.inner, active);
        add_affine(gradients, &layer.part("mlp.c_proj"), active, branch);
        input_gradient(branch, layer.mlp_c_proj.weight, width, dinner);
        let dgelu = active;
        gelu_gradient(&kept.inner, dinner, dgelu);
        layer_norm(&kept.middle, layer.ln_2.norm(), epsilon, normed, moments);
        add_affine(gradients, &layer.part("mlp.c_fc"), normed, dgelu);
        input_gradient(dgelu, layer.c_fc.weight, self.inner, branch);
        let name = layer.part("ln_2");
        norm_backward(
            &kept.middle,
            layer.ln_2,
            &name,
            moments,
            branch,
            dx,
            gradients,
        );

        branch.copy_from_slice(dx);
        drop_out(part, site + 1, width, branch, mask);
        add_affine(gradients, &layer.part("attn.c_proj"), &kept.mixed, branch);
        let dmixed = normed;
        input_gradient(branch, layer.attn_c_proj.weight, width, dmixed);
        attention(self.heads, width, site, part).backward(&kept.qkv, dmixed, dqkv);
        let normed = dmixed;
        layer_norm(x, layer.ln_1.norm(), epsilon, normed, moments);
        add_affine(gradients, &layer.part("attn.c_attn"), normed, dqkv);
        input_gradient(dqkv, layer.c_attn.weight, 3 * width, branch);
        let name = layer.part("ln_1");
        norm_backward(x, layer.ln_1, &name, moments, branch, dx, gradients);
    }

    pub(super) fn embed_backward(&mut self, part: &Part, gradients: &mut Weights) {
        let width = self.width;
        let Scratch { dx, mask, .. } = &mut self.scratch;
        drop_out(part, EMBEDDING_SITE, width, dx, mask);
        // One row after another: a token may come twice, and a sum has one order.
        let tokens = part.tokens.iter().map(|token| *token as usize).collect();
        for (name, places) in [
            ("wte.weight", tokens),
            ("wpe.weight", part.spans.positions()),
        ] {
            let sums = values_mut(gradients, name);
            for (place, dx) in places.iter().zip(dx.chunks_exact(width)) {
                let sums = &mut sums[place * width..][..width];
                sums.iter_mut().zip(dx).for_each(|(sum, dx)| *sum += dx);
            }
        }
    }
}

/// Adds the gradients of a norm's weights to `gradients`, and that of its input to `dx`.
pub(super) fn norm_backward(
    x: &[f32],
    norm: Affine<'_>,
    name: &str,
    moments: &[[f32; 2]],
    upstream: &[f32],
    dx: &mut [f32],
    gradients: &mut Weights,
) {
    let gamma = values_mut(gradients, &format!("{name}.weight"));
    add_gamma_gradient(x, moments, upstream, gamma);
    add_bias_gradient(upstream, values_mut(gradients, &format!("{name}.bias")));
    add_input_gradient(x, norm.weight, moments, upstream, dx);
}
