//! Norms over the width, forward and backward, in f32. Source: Ba et al. 2016; Zhang & Sennrich 2019.

use burn::tensor::{FloatDType, Tensor, module};

use super::gradients::Gradients;
use super::{NetworkConfig, Parameters};
use crate::model::architecture::{ArrayId, NormKind, Role};

/// A norm of rows.
pub(super) struct Norm {
    ids: [ArrayId; 2],
    kind: NormKind,
    weight: Tensor<1>,
    bias: Option<Tensor<1>>,
    epsilon: f64,
}

impl Norm {
    /// `None` where the architecture has none there.
    pub(super) fn new(
        parameters: &Parameters,
        role: Role,
        layer: Option<usize>,
        config: NetworkConfig<'_>,
    ) -> Option<Self> {
        let norm = config.architecture.norm;
        let ids = [ArrayId::weight(role, layer), ArrayId::bias(role, layer)];
        let weight = parameters.find(ids[0])?;
        let bias = parameters.find(ids[1]);
        Some(Self {
            ids,
            kind: norm.kind,
            weight: norm_weight(weight, norm.kind),
            bias: bias.map(|bias| bias.cast(FloatDType::F32)),
            epsilon: norm.epsilon,
        })
    }

    /// `x` normed, row by row.
    ///
    /// # Shapes
    /// `x` `[rows, width]`; to the same.
    pub(super) fn apply(&self, x: Tensor<2>) -> Tensor<2> {
        let normed = match self.kind {
            NormKind::Rms { .. } => x.clone() / root_mean_square(x, &[1], self.epsilon),
            NormKind::Layer => {
                let (weight, bias) = (self.weight.clone(), self.bias.clone());
                return module::layer_norm(x, weight, bias, self.epsilon);
            }
        };
        let scaled = normed * self.weight.clone().unsqueeze();
        match &self.bias {
            None => scaled,
            Some(bias) => scaled + bias.clone().unsqueeze(),
        }
    }

    /// The gradient of `x`, which was read; those of the arrays go to `gradients`.
    ///
    /// # Shapes
    /// `x` and `upstream` `[rows, width]`; to the same.
    pub(super) fn backward(
        &self,
        x: Tensor<2>,
        upstream: Tensor<2>,
        gradients: &mut Gradients,
    ) -> Tensor<2> {
        let [weight, bias] = self.ids;
        if self.bias.is_some() && gradients.wants(bias) {
            gradients.add(bias, upstream.clone().sum_dim(0));
        }
        let about_mean = matches!(self.kind, NormKind::Layer);
        let x = if about_mean {
            x.clone() - x.mean_dim(1)
        } else {
            x
        };
        let root = root_mean_square(x.clone(), &[1], self.epsilon);
        let normed = x / root.clone();
        if gradients.wants(weight) {
            gradients.add(weight, (upstream.clone() * normed.clone()).sum_dim(0));
        }
        let upstream = upstream * self.weight.clone().unsqueeze();
        let across = without(upstream.clone(), normed, &[1]);
        let across = if about_mean {
            across - upstream.mean_dim(1)
        } else {
            across
        };
        across / root
    }
}

/// What a norm of this kind multiplies by, f32.
///
/// # Shapes
/// `weight` of any length; to the same.
pub(super) fn norm_weight(weight: Tensor<1>, kind: NormKind) -> Tensor<1> {
    let weight = weight.cast(FloatDType::F32);
    match kind {
        NormKind::Rms { plus_one: true } => weight + 1.0,
        NormKind::Rms { plus_one: false } | NormKind::Layer => weight,
    }
}

/// The root of the mean square of `x` along `over`, and of `epsilon`.
///
/// # Shapes
/// `x` of any shape; to 1 in the dimensions of `over`.
pub(super) fn root_mean_square<const D: usize>(
    x: Tensor<D>,
    over: &[usize],
    epsilon: f64,
) -> Tensor<D> {
    let squares = (x.clone() * x).mean_dims(over);
    (squares + epsilon).sqrt()
}

/// `upstream` without its part along `normed`, whose mean square along `over` is 1.
///
/// # Shapes
/// Both of any shape; to the same.
pub(super) fn without<const D: usize>(
    upstream: Tensor<D>,
    normed: Tensor<D>,
    over: &[usize],
) -> Tensor<D> {
    let along = (upstream.clone() * normed.clone()).mean_dims(over);
    upstream - normed * along
}
