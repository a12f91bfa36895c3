//! Norms of queries and keys, forward and backward, in f32.

use burn::tensor::Tensor;

use crate::model::architecture::{ArrayId, QueryKeyNorm, Role};
use crate::model::network::gradients::Gradients;
use crate::model::network::norm::{norm_weight, root_mean_square, without};
use crate::model::network::{NetworkConfig, Parameters};

/// The norm of queries, or of keys, in f32.
pub(super) struct HeadNorm {
    id: ArrayId,
    /// `[1, heads or 1, 1, head width]`
    weight: Tensor<4>,
    /// The dimensions of `[batch, heads, length, head width]` that it is over.
    over: &'static [usize],
    epsilon: f64,
}

impl HeadNorm {
    pub(super) fn new(
        parameters: &Parameters,
        role: Role,
        layer: usize,
        over: QueryKeyNorm,
        heads: usize,
        config: NetworkConfig<'_>,
    ) -> Self {
        let norm = config.architecture.norm;
        let width = config.architecture.heads.width;
        let id = ArrayId::weight(role, layer);
        let weight = parameters.vector(id);
        let (weights, over): (_, &[usize]) = match over {
            QueryKeyNorm::Head => (1, &[3]),
            QueryKeyNorm::All => (heads, &[1, 3]),
        };
        Self {
            id,
            weight: norm_weight(weight, norm.kind).reshape([1, weights, 1, width]),
            over,
            epsilon: norm.epsilon,
        }
    }

    /// `x` normed.
    ///
    /// # Shapes
    /// `x` `[batch, heads, length, head width]`; to the same.
    pub(super) fn apply(&self, x: Tensor<4>) -> Tensor<4> {
        let root = root_mean_square(x.clone(), self.over, self.epsilon);
        x / root * self.weight.clone()
    }

    /// The gradient of `x`, which was read; that of the norm's own array goes to `gradients`.
    ///
    /// # Shapes
    /// `x` and `upstream` `[batch, heads, length, head width]`; to the same.
    pub(super) fn backward(
        &self,
        x: Tensor<4>,
        upstream: Tensor<4>,
        gradients: &mut Gradients,
    ) -> Tensor<4> {
        let root = root_mean_square(x.clone(), self.over, self.epsilon);
        let normed = x / root.clone();
        if gradients.wants(self.id) {
            let shared = self.weight.dims().into_iter().enumerate();
            let shared: Vec<usize> = shared
                .filter(|(_, length)| *length == 1)
                .map(|(dim, _)| dim)
                .collect();
            let product = upstream.clone() * normed.clone();
            gradients.add(self.id, product.sum_dims(&shared));
        }
        without(upstream * self.weight.clone(), normed, self.over) / root
    }
}
