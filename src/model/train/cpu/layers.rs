//! Weights and their gradients by what they are for.

use crate::model::Weights;
use crate::model::architecture::{ArrayId, Role};
use crate::model::ops::linear::{add_bias_gradient, add_weight_gradient};

/// A weight `[inputs, outputs]` and its bias `[outputs]`, or a norm's gamma and beta, `[width]` both.
#[derive(Clone, Copy)]
pub(super) struct Affine<'a> {
    pub(super) role: Role,
    pub(super) layer: Option<usize>,
    pub(super) weight: &'a [f32],
    pub(super) bias: &'a [f32],
}

impl<'a> Affine<'a> {
    pub(super) fn new(weights: &'a Weights, role: Role, layer: Option<usize>) -> Self {
        Self {
            role,
            layer,
            weight: values(weights, ArrayId::weight(role, layer)),
            bias: values(weights, ArrayId::bias(role, layer)),
        }
    }

    /// As a norm's gamma and beta.
    ///
    /// # Shapes
    /// To `[width]` each.
    pub(super) fn norm(self) -> [&'a [f32]; 2] {
        [self.weight, self.bias]
    }

    /// Where the gradients of its weight are summed.
    ///
    /// # Shapes
    /// To `[inputs, outputs]`, of a norm to `[width]`.
    pub(super) fn weight_gradient(self, gradients: &mut Weights) -> &mut [f32] {
        values_mut(gradients, ArrayId::weight(self.role, self.layer))
    }

    /// Where the gradients of its bias are summed.
    ///
    /// # Shapes
    /// To `[outputs]`, of a norm to `[width]`.
    pub(super) fn bias_gradient(self, gradients: &mut Weights) -> &mut [f32] {
        values_mut(gradients, ArrayId::bias(self.role, self.layer))
    }

    /// Adds its gradients as an affine map that took `x` and was given back `upstream`.
    ///
    /// # Shapes
    /// `x` `[rows, inputs]`, `upstream` `[rows, outputs]`.
    pub(super) fn add_gradients(self, gradients: &mut Weights, x: &[f32], upstream: &[f32]) {
        add_bias_gradient(upstream, self.bias_gradient(gradients));
        let weight = self.weight_gradient(gradients);
        add_weight_gradient(x, upstream, self.bias.len(), weight);
    }
}

/// One block.
pub(super) struct Layer<'a> {
    pub(super) attention_norm: Affine<'a>,
    pub(super) query_key_value: Affine<'a>,
    pub(super) attention_out: Affine<'a>,
    pub(super) feed_forward_norm: Affine<'a>,
    pub(super) up: Affine<'a>,
    pub(super) down: Affine<'a>,
}

impl<'a> Layer<'a> {
    pub(super) fn new(weights: &'a Weights, layer: usize) -> Self {
        let affine = |role| Affine::new(weights, role, Some(layer));
        Self {
            attention_norm: affine(Role::AttentionNorm),
            query_key_value: affine(Role::QueryKeyValue),
            attention_out: affine(Role::AttentionOut),
            feed_forward_norm: affine(Role::FeedForwardNorm),
            up: affine(Role::Up),
            down: affine(Role::Down),
        }
    }
}

/// The values of an array that the architecture promises.
///
/// # Shapes
/// To the shape that the architecture has for `id`, row-major.
pub(super) fn values(weights: &Weights, id: ArrayId) -> &[f32] {
    let array = weights.arrays.get(&id);
    &array
        .expect("the weights were checked against the architecture")
        .data
}

/// The same, to change.
///
/// # Shapes
/// As of [`values`].
pub(super) fn values_mut(weights: &mut Weights, id: ArrayId) -> &mut [f32] {
    let array = weights.arrays.get_mut(&id);
    &mut array
        .expect("gradients have the arrays of the weights")
        .data
}
