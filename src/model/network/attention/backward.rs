//! The backward pass of attention, on what its tape kept.

use burn::tensor::{FloatDType, Tensor};

use super::head_norm::HeadNorm;
use super::{Attention, AttentionContext, AttentionTape, Scores, dropped};
use crate::model::network::gradients::Gradients;
use crate::model::network::rotary::{Turn, turned};

impl Attention {
    /// The gradient of what [`Attention::tape`] read; those of the norms go to `gradients`.
    ///
    /// # Shapes
    /// `upstream` `[batch * length, query_width]`, `mask` as of [`Attention::mixed`]; to `[batch * length,
    /// projected_width]`.
    pub(in crate::model::network) fn backward(
        &self,
        tape: AttentionTape,
        upstream: Tensor<2>,
        mask: Option<Tensor<2>>,
        context: &AttentionContext,
        gradients: &mut Gradients,
    ) -> Tensor<2> {
        let AttentionTape {
            read,
            query,
            key,
            value,
            scores: Scores { weights, capped },
        } = tape;
        let ([batch, heads, length, width], dtype) = (query.dims(), query.dtype());
        let upstream = upstream.cast(dtype).reshape([batch, length, heads, width]);
        let upstream = self.grouped(upstream.swap_dims(1, 2));
        let kept = dropped(&weights, mask);
        let of_value = self.grouped(kept.clone().cast(dtype));
        let of_value = of_value.swap_dims(2, 3).matmul(upstream.clone());
        // Of softmax and mask: w' (u - sum(w' u)), where w' u comes with the mask and the sum goes to all weights.
        let of_kept = self.apart(upstream.matmul(value.swap_dims(2, 3)));
        let product = kept * of_kept.cast(FloatDType::F32);
        let sum = product.clone().sum_dim(3);
        let mut scores = (product - weights * sum) * self.scale;
        if let Some(tangent) = capped {
            scores = scores.clone() - scores * tangent.clone() * tangent;
        }
        let scores = self.grouped(scores.cast(dtype));
        let of_query = self.apart(scores.clone().matmul(key));
        let of_key = scores.swap_dims(2, 3).matmul(self.grouped(query));
        let [query, key] = match read {
            None => [None, None],
            Some(read) => read.map(Some),
        };
        let of_query = self.placed_backward(
            of_query,
            self.query_norm.as_ref().zip(query),
            context,
            gradients,
        );
        let of_key =
            self.placed_backward(of_key, self.key_norm.as_ref().zip(key), context, gradients);
        let parts = [of_query, of_key, of_value].map(|part| part.swap_dims(1, 2));
        Tensor::cat(parts.into(), 2).reshape([batch * length, self.heads.projected_width()])
    }

    /// The gradient of what [`Attention::placed`] read; `norm` with that.
    ///
    /// # Shapes
    /// `upstream` `[batch, heads, length, head width]`; to the same.
    fn placed_backward(
        &self,
        upstream: Tensor<4>,
        norm: Option<(&HeadNorm, Tensor<4>)>,
        context: &AttentionContext,
        gradients: &mut Gradients,
    ) -> Tensor<4> {
        if norm.is_none() && self.block.rotary.is_none() {
            return upstream;
        }
        let dtype = upstream.dtype();
        let mut upstream = upstream.cast(FloatDType::F32);
        if let Some(rotary) = self.block.rotary {
            upstream = turned(upstream, rotary.width, context.turns(rotary), Turn::Back);
        }
        if let Some((norm, read)) = norm {
            upstream = norm.backward(read.cast(FloatDType::F32), upstream, gradients);
        }
        upstream.cast(dtype)
    }
}
