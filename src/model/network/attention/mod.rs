//! A block's attention: heads and how they are normed and turned, and what they make of what they
//! see.
//!
//! The same for packed sequences (`packed`) and for those that are read and go on (`reading`): an [`AttentionContext`]
//! says where their rows stand.

mod backward;
mod context;
mod head_norm;

use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{FloatDType, Tensor, activation, module};

pub(super) use self::context::AttentionContext;

use self::head_norm::HeadNorm;
use super::rotary::{Turn, turned};
use super::{NetworkConfig, Parameters};
use crate::model::architecture::{BlockAttention, Heads, Role};
use crate::model::device::FusedAttention;

/// What a block's attention does.
pub(super) struct Attention {
    heads: Heads,
    scale: f64,
    score_cap: Option<f64>,
    query_norm: Option<HeadNorm>,
    key_norm: Option<HeadNorm>,
    block: BlockAttention,
}

/// What attention leaves for its backward pass.
pub(super) struct AttentionTape {
    /// Queries and keys before they are normed, where they are: `[batch, its heads, length, head width]`, as all that
    /// follow.
    read: Option<[Tensor<4>; 2]>,
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    scores: Scores,
}

/// What queries make of keys.
struct Scores {
    /// Softmax over what is seen, f32: `[batch, query heads, queries, keys]`.
    weights: Tensor<4>,
    /// The hyperbolic tangent of scores, where they have a cap.
    capped: Option<Tensor<4>>,
}

impl Attention {
    pub(super) fn new(parameters: &Parameters, layer: usize, config: NetworkConfig<'_>) -> Self {
        let architecture = config.architecture;
        let (heads, attention) = (architecture.heads, &architecture.attention);
        let norm = |role, heads| {
            let over = attention.query_key_norm?;
            Some(HeadNorm::new(parameters, role, layer, over, heads, config))
        };
        let usual = 1.0 / (heads.width as f64).sqrt();
        Self {
            heads,
            scale: attention.scale.unwrap_or(usual),
            score_cap: attention.score_cap,
            query_norm: norm(Role::QueryNorm, heads.query),
            key_norm: norm(Role::KeyNorm, heads.key),
            block: architecture.block_attention(layer),
        }
    }

    /// Packed queries, keys and values, and what they make of each other.
    ///
    /// # Shapes
    /// `qkv` `[batch * length, projected_width]`.
    pub(super) fn tape(
        &self,
        qkv: Tensor<2>,
        batch: usize,
        context: &AttentionContext,
    ) -> AttentionTape {
        let heads = self.heads;
        let [rows, _] = qkv.dims();
        let (first_key, first_value) = (heads.query, heads.query + heads.key);
        let parts = qkv.reshape([batch, rows / batch, first_value + heads.key, heads.width]);
        let part = |first, count| parts.clone().narrow(2, first, count).swap_dims(1, 2);
        let (query, key) = (part(0, heads.query), part(first_key, heads.key));
        let normed = self.query_norm.is_some() || self.key_norm.is_some();
        let read = normed.then(|| [query.clone(), key.clone()]);
        let query = self.placed(query, self.query_norm.as_ref(), context);
        let key = self.placed(key, self.key_norm.as_ref(), context);
        AttentionTape {
            read,
            scores: self.scores(query.clone(), key.clone(), context),
            query,
            key,
            value: part(first_value, heads.key),
        }
    }

    /// The values by their weights, with dropout.
    ///
    /// # Shapes
    /// `mask` `[batch * query heads * length, length]`; to `[batch * length, query_width]`.
    pub(super) fn mixed(&self, tape: &AttentionTape, mask: Option<Tensor<2>>) -> Tensor<2> {
        let weights = dropped(&tape.scores.weights, mask);
        self.mix(weights, tape.value.clone())
    }

    /// Queries, and keys and values side by side as a cache holds them; queries and keys normed and turned.
    ///
    /// # Shapes
    /// `qkv` `[batch * length, projected_width]`; to `[batch, query heads, length, head width]` and `[batch, length, 2 * key
    /// heads, head width]`.
    pub(super) fn split_for_cache(
        &self,
        qkv: Tensor<2>,
        batch: usize,
        context: &AttentionContext,
    ) -> (Tensor<4>, Tensor<4>) {
        let heads = self.heads;
        let [rows, _] = qkv.dims();
        let all = heads.query + 2 * heads.key;
        let parts = qkv.reshape([batch, rows / batch, all, heads.width]);
        let part = |first, count| parts.clone().narrow(2, first, count);
        let query = part(0, heads.query).swap_dims(1, 2);
        let cached = if self.key_norm.is_none() && self.block.rotary.is_none() {
            part(heads.query, 2 * heads.key)
        } else {
            let key = part(heads.query, heads.key).swap_dims(1, 2);
            let key = self.placed(key, self.key_norm.as_ref(), context);
            let value = part(heads.query + heads.key, heads.key);
            Tensor::cat(vec![key.swap_dims(1, 2), value], 2)
        };
        (
            self.placed(query, self.query_norm.as_ref(), context),
            cached,
        )
    }

    /// What queries make of cached keys and values, in one operation where the device has one.
    ///
    /// # Shapes
    /// `query` `[batch, query heads, queries, head width]`, `cached` `[batch, keys, 2 * key heads, head width]`; to `[batch *
    /// queries, query_width]`.
    pub(super) fn attend(
        &self,
        query: Tensor<4>,
        cached: &Tensor<4>,
        context: &AttentionContext,
        fused: Option<FusedAttention>,
    ) -> Tensor<2> {
        let [batch, heads, queries, width] = query.dims();
        let [key, value] = [0, self.heads.key].map(|first| {
            let part = cached.clone().narrow(2, first, self.heads.key);
            part.swap_dims(1, 2)
        });
        // Query heads that share a key head are more queries of one: so their mask must be the same for all of them.
        let alike = heads == self.heads.key || queries == 1;
        let Some(fused) = fused.filter(|_| alike && self.score_cap.is_none()) else {
            return self.mix(self.scores(query, key, context).weights, value);
        };
        let causal = context.causal && self.block.window.is_none();
        let mask = (!causal).then(|| match fused {
            FusedAttention::MaskHides => context.unseen(self.block.window),
            FusedAttention::MaskShows => context.seen(self.block.window),
        });
        let options = AttentionModuleOptions {
            scale: Some(self.scale),
            softcap: None,
            is_causal: causal,
        };
        let mixed = module::attention(self.grouped(query), key, value, mask, None, options);
        let mixed = mixed.reshape([batch, heads, queries, width]);
        mixed
            .swap_dims(1, 2)
            .reshape([batch * queries, self.heads.query_width()])
    }

    /// Queries or keys as they meet: normed and turned in f32, then in their own number format again.
    ///
    /// # Shapes
    /// `x` `[batch, heads, length, head width]`; to the same.
    fn placed(
        &self,
        x: Tensor<4>,
        norm: Option<&HeadNorm>,
        context: &AttentionContext,
    ) -> Tensor<4> {
        if norm.is_none() && self.block.rotary.is_none() {
            return x;
        }
        let dtype = x.dtype();
        let mut x = x.cast(FloatDType::F32);
        if let Some(norm) = norm {
            x = norm.apply(x);
        }
        if let Some(rotary) = self.block.rotary {
            x = turned(x, rotary.width, context.turns(rotary), Turn::Forward);
        }
        x.cast(dtype)
    }

    /// # Shapes
    /// `query` `[batch, query heads, queries, head width]`, `key` `[batch, key heads, keys, head width]`.
    fn scores(&self, query: Tensor<4>, key: Tensor<4>, context: &AttentionContext) -> Scores {
        let scores = self.grouped(query).matmul(key.swap_dims(2, 3));
        let mut scores = self.apart(scores).cast(FloatDType::F32) * self.scale;
        let capped = self.score_cap.map(|cap| {
            let tangent = (scores.clone() / cap).tanh();
            scores = tangent.clone() * cap;
            tangent
        });
        let weights = activation::softmax(scores + context.bias(self.block.window), 3);
        Scores { weights, capped }
    }

    /// The values by their weights, all heads of a row side by side.
    ///
    /// # Shapes
    /// `weights` `[batch, query heads, queries, keys]`, `value` `[batch, key heads, keys, head width]`; to `[batch *
    /// queries, query_width]`.
    fn mix(&self, weights: Tensor<4>, value: Tensor<4>) -> Tensor<2> {
        let [batch, _, queries, _] = weights.dims();
        let weights = self.grouped(weights.cast(value.dtype()));
        let mixed = self.apart(weights.matmul(value));
        mixed
            .swap_dims(1, 2)
            .reshape([batch * queries, self.heads.query_width()])
    }

    /// The query heads that read one key head as more rows of one: keys and values are not repeated for them.
    ///
    /// # Shapes
    /// `[batch, query heads, rows, columns]` to `[batch, key heads, group * rows, columns]`.
    fn grouped(&self, x: Tensor<4>) -> Tensor<4> {
        let [batch, heads, rows, columns] = x.dims();
        if heads == self.heads.key {
            return x;
        }
        x.reshape([
            batch,
            self.heads.key,
            heads / self.heads.key * rows,
            columns,
        ])
    }

    /// [`Attention::grouped`] taken back.
    ///
    /// # Shapes
    /// `[batch, key heads, group * rows, columns]` to `[batch, query heads, rows, columns]`.
    fn apart(&self, x: Tensor<4>) -> Tensor<4> {
        let [batch, heads, rows, columns] = x.dims();
        if heads == self.heads.query {
            return x;
        }
        let group = self.heads.query / heads;
        x.reshape([batch, self.heads.query, rows / group, columns])
    }
}

/// Weights with dropout.
///
/// # Shapes
/// `weights` `[batch, heads, queries, keys]`, `mask` of as many values; to the same.
fn dropped(weights: &Tensor<4>, mask: Option<Tensor<2>>) -> Tensor<4> {
    match mask {
        None => weights.clone(),
        Some(mask) => weights.clone() * mask.reshape(weights.dims()),
    }
}
