//! Weights and their gradients by what they are for.

use crate::model::Weights;
use crate::model::ops::linear::{add_bias_gradient, add_weight_gradient};

/// A weight and its bias, or a norm's gamma and beta.
#[derive(Clone, Copy)]
pub(super) struct Affine<'a> {
    pub(super) weight: &'a [f32],
    pub(super) bias: &'a [f32],
}

impl<'a> Affine<'a> {
    pub(super) fn new(weights: &'a Weights, name: &str) -> Self {
        Self {
            weight: values(weights, &format!("{name}.weight")),
            bias: values(weights, &format!("{name}.bias")),
        }
    }

    pub(super) fn norm(self) -> [&'a [f32]; 2] {
        [self.weight, self.bias]
    }
}

/// One block.
pub(super) struct Layer<'a> {
    name: String,
    pub(super) ln_1: Affine<'a>,
    pub(super) c_attn: Affine<'a>,
    pub(super) attn_c_proj: Affine<'a>,
    pub(super) ln_2: Affine<'a>,
    pub(super) c_fc: Affine<'a>,
    pub(super) mlp_c_proj: Affine<'a>,
}

impl<'a> Layer<'a> {
    pub(super) fn new(weights: &'a Weights, layer: usize) -> Self {
        let name = format!("h.{layer}");
        let affine = |part: &str| Affine::new(weights, &format!("{name}.{part}"));
        Self {
            ln_1: affine("ln_1"),
            c_attn: affine("attn.c_attn"),
            attn_c_proj: affine("attn.c_proj"),
            ln_2: affine("ln_2"),
            c_fc: affine("mlp.c_fc"),
            mlp_c_proj: affine("mlp.c_proj"),
            name,
        }
    }

    /// The Hub's name of `part`.
    pub(super) fn part(&self, part: &str) -> String {
        format!("{}.{part}", self.name)
    }
}

/// The values of an array that the config promises.
pub(super) fn values<'a>(weights: &'a Weights, name: &str) -> &'a [f32] {
    let array = weights.get(name);
    &array
        .expect("the weights were checked against the config")
        .data
}

/// The same, to change.
pub(super) fn values_mut<'a>(weights: &'a mut Weights, name: &str) -> &'a mut [f32] {
    let array = weights.arrays.get_mut(name);
    &mut array
        .expect("gradients have the arrays of the weights")
        .data
}

/// Adds the gradients of the affine map `name`, which took `x` and was given back `upstream`.
pub(super) fn add_affine(gradients: &mut Weights, name: &str, x: &[f32], upstream: &[f32]) {
    let bias = values_mut(gradients, &format!("{name}.bias"));
    let outputs = bias.len();
    add_bias_gradient(upstream, bias);
    let weight = values_mut(gradients, &format!("{name}.weight"));
    add_weight_gradient(x, upstream, outputs, weight);
}
