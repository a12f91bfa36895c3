//! A block's attention: heads and how they are normed and turned, what they see, and what they make of it.
//!
//! The same for packed sequences (`packed`) and for those that are read and go on (`reading`): an [`AttentionContext`]
//! says where their rows stand.

use std::cell::OnceCell;

use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Bool, DType, Device, FloatDType, Int, Tensor, activation, module};

use super::ops::{norm_weight, normed_by_rms};
use super::rotary::{Turns, turned};
use super::{NetworkConfig, Parameters};
use crate::model::architecture::{ArrayId, BlockAttention, Heads, QueryKeyNorm, Role, Rotary};
use crate::model::device::FusedAttention;

/// What a block's attention does.
pub(super) struct Attention {
    heads: Heads,
    scale: Option<f64>,
    score_cap: Option<f64>,
    query_norm: Option<HeadNorm>,
    key_norm: Option<HeadNorm>,
    block: BlockAttention,
}

impl Attention {
    pub(super) fn new(parameters: &Parameters, layer: usize, config: NetworkConfig<'_>) -> Self {
        let architecture = config.architecture;
        let (heads, attention) = (architecture.heads, &architecture.attention);
        let norm = |role, heads| {
            let over = attention.query_key_norm?;
            Some(HeadNorm::new(parameters, role, layer, over, heads, config))
        };
        Self {
            heads,
            scale: attention.scale,
            score_cap: attention.score_cap,
            query_norm: norm(Role::QueryNorm, heads.query),
            key_norm: norm(Role::KeyNorm, heads.key),
            block: architecture.block_attention(layer),
        }
    }

    /// Queries, keys and values, head by head; queries and keys normed and turned.
    ///
    /// # Shapes
    /// `qkv` `[batch * length, projected_width]`; to `[batch, its heads, length, head width]` each.
    pub(super) fn split(
        &self,
        qkv: Tensor<2>,
        batch: usize,
        context: &AttentionContext,
    ) -> [Tensor<4>; 3] {
        let heads = self.heads;
        let [rows, _] = qkv.dims();
        let (first_key, first_value) = (heads.query, heads.query + heads.key);
        let all = first_value + heads.key;
        let parts = qkv.reshape([batch, rows / batch, all, heads.width]);
        let [query, key, value] =
            [0..first_key, first_key..first_value, first_value..all].map(|part| {
                parts
                    .clone()
                    .slice([0..batch, 0..rows / batch, part, 0..heads.width])
                    .swap_dims(1, 2)
            });
        [
            self.placed(query, self.query_norm.as_ref(), context),
            self.placed(key, self.key_norm.as_ref(), context),
            value,
        ]
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
            let weights = self.weights(query, key, context);
            return self.mix(weights, value);
        };
        let causal = context.causal && self.block.window.is_none();
        let mask = (!causal).then(|| match fused {
            FusedAttention::MaskHides => context.unseen(self.block.window),
            FusedAttention::MaskShows => context.seen(self.block.window),
        });
        let options = AttentionModuleOptions {
            scale: self.scale,
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
            x = turned(x, rotary.width, context.turns(rotary));
        }
        x.cast(dtype)
    }

    /// Softmax over what is seen, f32.
    ///
    /// # Shapes
    /// `query` `[batch, query heads, queries, head width]`, `key` `[batch, key heads, keys, head width]`; to `[batch, query
    /// heads, queries, keys]`.
    pub(super) fn weights(
        &self,
        query: Tensor<4>,
        key: Tensor<4>,
        context: &AttentionContext,
    ) -> Tensor<4> {
        let scores = self.grouped(query).matmul(key.swap_dims(2, 3));
        let scores = self.apart(scores).cast(FloatDType::F32);
        let scores = match self.scale {
            None => scores / (self.heads.width as f64).sqrt(),
            Some(scale) => scores * scale,
        };
        let scores = match self.score_cap {
            None => scores,
            Some(cap) => (scores / cap).tanh() * cap,
        };
        activation::softmax(scores + context.bias(self.block.window), 3)
    }

    /// The values by their weights, all heads of a row side by side.
    ///
    /// # Shapes
    /// `weights` `[batch, query heads, queries, keys]`, `value` `[batch, key heads, keys, head width]`; to `[batch *
    /// queries, query_width]`.
    pub(super) fn mix(&self, weights: Tensor<4>, value: Tensor<4>) -> Tensor<2> {
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

/// The norm of queries, or of keys, in f32.
struct HeadNorm {
    /// `[1, heads or 1, 1, head width]`
    weight: Tensor<4>,
    /// The dimensions of `[batch, heads, length, head width]` that it is over.
    over: &'static [usize],
    epsilon: f64,
}

impl HeadNorm {
    fn new(
        parameters: &Parameters,
        role: Role,
        layer: usize,
        over: QueryKeyNorm,
        heads: usize,
        config: NetworkConfig<'_>,
    ) -> Self {
        let norm = config.architecture.norm;
        let width = config.architecture.heads.width;
        let weight = parameters.vector(ArrayId::weight(role, layer));
        let (weights, over): (_, &[usize]) = match over {
            QueryKeyNorm::Head => (1, &[3]),
            QueryKeyNorm::All => (heads, &[1, 3]),
        };
        Self {
            weight: norm_weight(weight, norm.kind).reshape([1, weights, 1, width]),
            over,
            epsilon: norm.epsilon,
        }
    }

    /// `x` normed.
    ///
    /// # Shapes
    /// `x` `[batch, heads, length, head width]`; to the same.
    fn apply(&self, x: Tensor<4>) -> Tensor<4> {
        normed_by_rms(x, self.over, self.epsilon) * self.weight.clone()
    }
}

/// Where the rows of a pass stand, for whatever a block's attention does.
pub(super) struct AttentionContext {
    /// By window what a query must not see, to be expanded to `[batch, heads, queries, keys]`.
    unseen: ByWindow<Tensor<4, Bool>>,
    /// The same in other forms, made when they are first asked for.
    seen: OnceCell<ByWindow<Tensor<4, Bool>>>,
    bias: OnceCell<ByWindow<Tensor<4>>>,
    /// Cosines and sines, to be expanded to `[batch, heads, queries, width / 2]`.
    turns: Vec<(Rotary, [Tensor<4>; 2])>,
    /// Whether the queries are the keys' own rows, so that each sees what is before it.
    causal: bool,
}

impl AttentionContext {
    /// Of sequences whose rows stand at the positions from 0 to `length`, as their keys do.
    ///
    /// # Shapes
    /// `turns` of `length` positions.
    pub(super) fn of_sequences(
        pattern: &[BlockAttention],
        turns: &Turns,
        length: usize,
        device: &Device,
    ) -> Self {
        let square = [length, length];
        let unseen = |window| {
            let future = Tensor::<2, Bool>::tril_mask(square, 0, device);
            match window {
                None => future.unsqueeze(),
                Some(window) => {
                    let offset = i64::try_from(length.min(window)).expect("lengths fit");
                    let past = Tensor::<2, Bool>::triu_mask(square, 1 - offset, device);
                    future.bool_or(past).unsqueeze()
                }
            }
        };
        Self::new(pattern, unseen, turns.map(Tensor::unsqueeze), true)
    }

    /// Of one row each of some sequences, at these positions, over their keys at the positions from 0 to `keys`.
    ///
    /// # Shapes
    /// `turns` of `keys` positions, `positions` `[sequences]`.
    pub(super) fn of_tokens(
        pattern: &[BlockAttention],
        turns: &Turns,
        positions: &Tensor<1, Int>,
        keys: usize,
    ) -> Self {
        let [count] = positions.dims();
        let last = i64::try_from(keys).expect("lengths fit");
        let columns = Tensor::<1, Int>::arange(0..last, &positions.device());
        let columns: Tensor<4, Int> = columns.reshape([1, 1, 1, keys]);
        let own: Tensor<4, Int> = positions.clone().reshape([count, 1, 1, 1]);
        let unseen = |window: Option<usize>| {
            let future = columns.clone().greater(own.clone());
            match window {
                None => future,
                Some(window) => {
                    let window = i64::try_from(window).expect("lengths fit");
                    let past = columns.clone().lower_equal(own.clone() - window);
                    future.bool_or(past)
                }
            }
        };
        let turns = turns.map(|table| {
            let [_, half] = table.dims();
            let rows = table.select(0, positions.clone());
            rows.reshape([count, 1, 1, half])
        });
        Self::new(pattern, unseen, turns, false)
    }

    fn new(
        pattern: &[BlockAttention],
        unseen: impl Fn(Option<usize>) -> Tensor<4, Bool>,
        turns: Vec<(Rotary, [Tensor<4>; 2])>,
        causal: bool,
    ) -> Self {
        Self {
            unseen: by_window(pattern, unseen),
            seen: OnceCell::new(),
            bias: OnceCell::new(),
            turns,
            causal,
        }
    }

    /// What is added to scores: minus infinity where a query must not look, else nothing. Nothing comes back through it.
    ///
    /// # Shapes
    /// To be expanded to `[batch, heads, queries, keys]`.
    fn bias(&self, window: Option<usize>) -> Tensor<4> {
        let bias = |unseen: &Tensor<4, Bool>| {
            let nothing = Tensor::zeros(unseen.dims(), (&unseen.device(), DType::F32));
            nothing.mask_fill(unseen.clone(), f32::NEG_INFINITY)
        };
        of_window(self.bias.get_or_init(|| each(&self.unseen, bias)), window)
    }

    /// What a query sees.
    ///
    /// # Shapes
    /// To be expanded to `[batch, heads, queries, keys]`.
    fn seen(&self, window: Option<usize>) -> Tensor<4, Bool> {
        let seen = |unseen: &Tensor<4, Bool>| unseen.clone().bool_not();
        of_window(self.seen.get_or_init(|| each(&self.unseen, seen)), window)
    }

    /// What a query must not see.
    ///
    /// # Shapes
    /// To be expanded to `[batch, heads, queries, keys]`.
    fn unseen(&self, window: Option<usize>) -> Tensor<4, Bool> {
        of_window(&self.unseen, window)
    }

    /// Cosines and sines.
    ///
    /// # Shapes
    /// To be expanded to `[batch, heads, queries, width / 2]`.
    fn turns(&self, rotary: Rotary) -> [Tensor<4>; 2] {
        let found = self.turns.iter().find(|(of, _)| *of == rotary);
        found.expect("made for every block").1.clone()
    }
}

/// Something for each window that a block has.
type ByWindow<T> = Vec<(Option<usize>, T)>;

/// That of a window.
fn of_window<T: Clone>(made: &ByWindow<T>, window: Option<usize>) -> T {
    let found = made.iter().find(|(of, _)| *of == window);
    found.expect("made for every block").1.clone()
}

/// `make` of each.
fn each<T, U>(of: &ByWindow<T>, make: impl Fn(&T) -> U) -> ByWindow<U> {
    let made = of.iter().map(|(window, one)| (*window, make(one)));
    made.collect()
}

/// `make` of each window that a block has.
fn by_window<T>(pattern: &[BlockAttention], make: impl Fn(Option<usize>) -> T) -> ByWindow<T> {
    let mut made: ByWindow<T> = Vec::new();
    for &BlockAttention { window, .. } in pattern {
        if made.iter().all(|(of, _)| *of != window) {
            made.push((window, make(window)));
        }
    }
    made
}
