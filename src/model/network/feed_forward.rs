//! The feed-forward half of a block, forward and backward.

use burn::tensor::Tensor;

use super::activation::{gate, slope};
use super::affine::{Affine, AffineTape};
use super::gradients::Gradients;
use super::ops::single;
use super::{NetworkConfig, Parameters};
use crate::model::architecture::{Activation, FeedForwardKind, Role};

/// Up, an activation, and down again.
pub(super) struct FeedForward {
    up: Affine,
    kind: FeedForwardKind,
    down: Affine,
}

/// What it leaves for its backward pass.
pub(super) struct FeedForwardTape {
    up: AffineTape,
    /// What goes into the activation and what it multiplies by, `[rows, inner]`.
    x: Tensor<2>,
    gate: Tensor<2>,
    /// What the activation gives, `[rows, inner]`.
    active: Tensor<2>,
    /// What that is multiplied by where the kind is gated, `[rows, inner]`.
    factor: Option<Tensor<2>>,
    down: AffineTape,
}

impl FeedForward {
    pub(super) fn new(parameters: &Parameters, layer: usize, config: NetworkConfig<'_>) -> Self {
        let affine = |role| Affine::new(parameters, role, layer, config);
        Self {
            up: affine(Role::Up),
            kind: config.architecture.feed_forward.kind,
            down: affine(Role::Down),
        }
    }

    fn activation(&self) -> Activation {
        match self.kind {
            FeedForwardKind::Plain(activation) | FeedForwardKind::Gated(activation) => activation,
        }
    }

    /// What the half adds, without norms and the dropout after it; f32.
    ///
    /// # Shapes
    /// `input` `[rows, width]`; to the same.
    pub(super) fn apply(
        &self,
        input: &Tensor<2>,
        drop_out: impl Fn(Tensor<2>, u32) -> Tensor<2>,
    ) -> (Tensor<2>, FeedForwardTape) {
        let (inner, up) = self.up.apply(input, &drop_out);
        let (x, factor) = match self.kind {
            FeedForwardKind::Plain(_) => (inner, None),
            FeedForwardKind::Gated(_) => {
                let [x, factor] = halves(&inner);
                (x, Some(factor))
            }
        };
        // Its powers leave 16 bits.
        let gate = gate(self.activation(), single(x.clone())).cast(x.dtype());
        let active = x.clone() * gate.clone();
        let product = match &factor {
            None => active.clone(),
            Some(factor) => active.clone() * factor.clone(),
        };
        let (out, down) = self.down.apply(&product, &drop_out);
        let tape = FeedForwardTape {
            up,
            x,
            gate,
            active,
            factor,
            down,
        };
        (single(out), tape)
    }

    /// The gradient of `input`; those of the arrays go to `gradients`.
    ///
    /// # Shapes
    /// `upstream` `[rows, width]`; to the same.
    pub(super) fn backward(
        &self,
        tape: FeedForwardTape,
        upstream: Tensor<2>,
        drop_out: impl Fn(Tensor<2>, u32) -> Tensor<2>,
        gradients: &mut Gradients,
    ) -> Tensor<2> {
        let FeedForwardTape {
            up,
            x,
            gate,
            active,
            factor,
            down,
        } = tape;
        let dtype = x.dtype();
        let product = self.down.backward(down, upstream, &drop_out, gradients);
        let product = product.cast(dtype);
        let read = [x, gate, active.clone()].map(single);
        let slope = slope(self.activation(), read).cast(dtype);
        let inner = match factor {
            None => product * slope,
            Some(factor) => {
                let of_factor = product.clone() * active;
                Tensor::cat(vec![product * factor * slope, of_factor], 1)
            }
        };
        self.up.backward(up, inner, &drop_out, gradients)
    }
}

/// The first columns and the others.
///
/// # Shapes
/// `x` `[rows, 2 * inner]`; to `[rows, inner]` each.
fn halves(x: &Tensor<2>) -> [Tensor<2>; 2] {
    let inner = x.dims()[1] / 2;
    [0, inner].map(|first| x.clone().narrow(1, first, inner))
}
