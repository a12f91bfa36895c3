//! Weights and their gradients by what they are for.

use crate::model::Weights;
use crate::model::architecture::{ArrayId, Role};
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

    /// Maps rows, into `out`.
    ///
    /// # Shapes
    /// `x` `[rows, inputs]`, `out` `[rows, outputs]`.
    pub(super) fn map(self, x: &[f32], out: &mut [f32]) {
        linear(x, self.weight, self.bias, self.outputs, out);
    }

    /// The gradient of the rows that were mapped, into `dx`.
    ///
    /// # Shapes
    /// `upstream` `[rows, outputs]`, `dx` `[rows, inputs]`.
    pub(super) fn input_gradient(self, upstream: &[f32], dx: &mut [f32]) {
        input_gradient(upstream, self.weight, self.outputs, dx);
    }

    /// Where the gradients of its weight are summed.
    ///
    /// # Shapes
    /// To `[inputs, outputs]`, of a norm to `[width]`.
    pub(super) fn weight_gradient(self, gradients: &mut Weights) -> &mut [f32] {
        values_mut(gradients, ArrayId::weight(self.role, self.layer))
    }

    /// Adds the gradient of its bias, if it has one.
    ///
    /// # Shapes
    /// `upstream` `[rows, outputs]`.
    pub(super) fn add_bias_gradient(self, gradients: &mut Weights, upstream: &[f32]) {
        if self.bias.is_some() {
            let bias = values_mut(gradients, ArrayId::bias(self.role, self.layer));
            add_bias_gradient(upstream, bias);
        }
    }

    /// Adds its gradients as an affine map that took `x` and was given back `upstream`.
    ///
    /// # Shapes
    /// `x` `[rows, inputs]`, `upstream` `[rows, outputs]`.
    pub(super) fn add_gradients(self, gradients: &mut Weights, x: &[f32], upstream: &[f32]) {
        self.add_bias_gradient(gradients, upstream);
        let weight = self.weight_gradient(gradients);
        add_weight_gradient(x, upstream, self.outputs, weight);
    }
}

/// One block.
pub(super) struct Layer<'a> {
    /// Its number.
    pub(super) index: usize,
    pub(super) attention_norm: Option<Affine<'a>>,
    pub(super) query_key_value: Affine<'a>,
    pub(super) query_norm: Option<Affine<'a>>,
    pub(super) key_norm: Option<Affine<'a>>,
    pub(super) attention_out: Affine<'a>,
    pub(super) attention_post_norm: Option<Affine<'a>>,
    pub(super) feed_forward_norm: Option<Affine<'a>>,
    pub(super) up: Affine<'a>,
    pub(super) down: Affine<'a>,
    pub(super) feed_forward_post_norm: Option<Affine<'a>>,
}

impl<'a> Layer<'a> {
    pub(super) fn new(weights: &'a Weights, index: usize) -> Self {
        let affine = |role| Affine::new(weights, role, Some(index));
        let find = |role| Affine::find(weights, role, Some(index));
        Self {
            index,
            attention_norm: find(Role::AttentionNorm),
            query_key_value: affine(Role::QueryKeyValue),
            query_norm: find(Role::QueryNorm),
            key_norm: find(Role::KeyNorm),
            attention_out: affine(Role::AttentionOut),
            attention_post_norm: find(Role::AttentionPostNorm),
            feed_forward_norm: find(Role::FeedForwardNorm),
            up: affine(Role::Up),
            down: affine(Role::Down),
            feed_forward_post_norm: find(Role::FeedForwardPostNorm),
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
