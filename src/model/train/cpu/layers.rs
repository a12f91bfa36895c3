//! Weights and their gradients by what they are for.

use super::arrays::values_mut;
use super::low_rank::{LowRank, LowRankScratch, Masks};
use crate::model::Weights;
use crate::model::architecture::{ArrayId, Role};
use crate::model::lora::LoraShape;
use crate::model::ops::linear::{add_bias_gradient, add_weight_gradient, input_gradient, linear};

/// A weight `[inputs, outputs]` and where there is one its bias `[outputs]`, or a norm's gain and bias, `[width]` both.
#[derive(Clone, Copy)]
pub(super) struct Affine<'a> {
    role: Role,
    layer: Option<usize>,
    pub(super) weight: &'a [f32],
    pub(super) bias: Option<&'a [f32]>,
    outputs: usize,
}

impl<'a> Affine<'a> {
    /// That of a role which the architecture has.
    pub(super) fn new(weights: &'a Weights, role: Role, layer: Option<usize>) -> Self {
        Self::find(weights, role, layer).expect("the weights were checked against the architecture")
    }

    /// That of a role, where the architecture has it.
    pub(super) fn find(weights: &'a Weights, role: Role, layer: Option<usize>) -> Option<Self> {
        let weight = weights.arrays.get(&ArrayId::weight(role, layer))?;
        let bias = weights.arrays.get(&ArrayId::bias(role, layer));
        Some(Self {
            role,
            layer,
            weight: &weight.data,
            bias: bias.map(|bias| &bias.data[..]),
            outputs: weight.shape.last().copied().unwrap_or(1),
        })
    }

    /// Where the gradients of its weight are summed; `None` where it is frozen.
    ///
    /// # Shapes
    /// To `[inputs, outputs]`, of a norm to `[width]`.
    pub(super) fn weight_gradient(self, gradients: &mut Weights) -> Option<&mut [f32]> {
        values_mut(gradients, ArrayId::weight(self.role, self.layer))
    }

    /// Adds the gradient of its bias, if it has one that is trained.
    ///
    /// # Shapes
    /// `upstream` `[rows, outputs]`.
    pub(super) fn add_bias_gradient(self, gradients: &mut Weights, upstream: &[f32]) {
        if let Some(bias) = values_mut(gradients, ArrayId::bias(self.role, self.layer)) {
            add_bias_gradient(upstream, bias);
        }
    }
}

/// A model's weights, and where an adapter is trained beside them, that.
#[derive(Clone, Copy)]
pub(super) struct Model<'a> {
    pub(super) weights: &'a Weights,
    pub(super) adapter: Option<(&'a LoraShape, &'a Weights)>,
}

/// An affine map and the branches beside it.
pub(super) struct Linear<'a> {
    affine: Affine<'a>,
    branches: Vec<LowRank<'a>>,
}

impl<'a> Linear<'a> {
    fn new(model: Model<'a>, role: Role, layer: usize) -> Self {
        let branches = model
            .adapter
            .map(|(shape, values)| LowRank::beside(ArrayId::weight(role, layer), shape, values));
        Self {
            affine: Affine::new(model.weights, role, Some(layer)),
            branches: branches.unwrap_or_default(),
        }
    }

    /// Maps rows, into `out`.
    ///
    /// # Shapes
    /// `x` `[rows, inputs]`, `out` `[rows, outputs]`.
    pub(super) fn map(
        &self,
        x: &[f32],
        out: &mut [f32],
        masks: Masks<'_>,
        scratch: &mut LowRankScratch,
    ) {
        let Affine {
            weight,
            bias,
            outputs,
            ..
        } = self.affine;
        linear(x, weight, bias, outputs, out);
        for branch in &self.branches {
            branch.add(x, out, outputs, masks, scratch);
        }
    }

    /// Adds its gradients as a map that took `x` and was given back `upstream`; the gradient of `x`, into `dx`.
    ///
    /// # Shapes
    /// `x` and `dx` `[rows, inputs]`, `upstream` `[rows, outputs]`.
    pub(super) fn backward(
        &self,
        (x, upstream): (&[f32], &[f32]),
        gradients: &mut Weights,
        dx: &mut [f32],
        masks: Masks<'_>,
        scratch: &mut LowRankScratch,
    ) {
        let (affine, outputs) = (self.affine, self.affine.outputs);
        affine.add_bias_gradient(gradients, upstream);
        if let Some(weight) = affine.weight_gradient(gradients) {
            add_weight_gradient(x, upstream, outputs, weight);
        }
        input_gradient(upstream, affine.weight, outputs, dx);
        for branch in &self.branches {
            branch.backward((x, upstream), outputs, gradients, dx, masks, scratch);
        }
    }
}

/// One block.
pub(super) struct Layer<'a> {
    /// Its number.
    pub(super) index: usize,
    pub(super) attention_norm: Option<Affine<'a>>,
    pub(super) query_key_value: Linear<'a>,
    pub(super) query_norm: Option<Affine<'a>>,
    pub(super) key_norm: Option<Affine<'a>>,
    pub(super) attention_out: Linear<'a>,
    pub(super) attention_post_norm: Option<Affine<'a>>,
    pub(super) feed_forward_norm: Option<Affine<'a>>,
    pub(super) up: Linear<'a>,
    pub(super) down: Linear<'a>,
    pub(super) feed_forward_post_norm: Option<Affine<'a>>,
}

impl<'a> Layer<'a> {
    pub(super) fn new(model: Model<'a>, index: usize) -> Self {
        let linear = |role| Linear::new(model, role, index);
        let find = |role| Affine::find(model.weights, role, Some(index));
        Self {
            index,
            attention_norm: find(Role::AttentionNorm),
            query_key_value: linear(Role::QueryKeyValue),
            query_norm: find(Role::QueryNorm),
            key_norm: find(Role::KeyNorm),
            attention_out: linear(Role::AttentionOut),
            attention_post_norm: find(Role::AttentionPostNorm),
            feed_forward_norm: find(Role::FeedForwardNorm),
            up: linear(Role::Up),
            down: linear(Role::Down),
            feed_forward_post_norm: find(Role::FeedForwardPostNorm),
        }
    }
}
