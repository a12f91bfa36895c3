//! A block: attention and feed-forward halves about a residual stream, forward and backward.

use burn::tensor::Tensor;

use super::affine::{Affine, AffineTape};
use super::attention::{Attention, AttentionTape};
use super::feed_forward::{FeedForward, FeedForwardTape};
use super::gradients::Gradients;
use super::norm::Norm;
use super::ops;
use super::packed::PassContext;
use super::{NetworkConfig, Parameters};
use crate::model::architecture::Role;
use crate::model::dropout::block_site;

pub(super) struct Block {
    /// The first place of its dropout.
    site: u32,
    attention_norm: Option<Norm>,
    query_key_value: Affine,
    pub(super) attention: Attention,
    attention_out: Affine,
    attention_post_norm: Option<Norm>,
    /// Whether the second half reads the block's input.
    parallel: bool,
    feed_forward_norm: Option<Norm>,
    feed_forward: FeedForward,
    feed_forward_post_norm: Option<Norm>,
}

/// What a block leaves for its backward pass; `attention` is what `attend` left.
pub(super) struct BlockTape<A> {
    /// What the block read, and the residual stream between its halves: `[rows, width]`.
    x: Tensor<2>,
    middle: Tensor<2>,
    query_key_value: AffineTape,
    attention: A,
    attention_out: AffineTape,
    /// What the halves gave their post-norms, where there are any: `[rows, width]`.
    attended: Option<Tensor<2>>,
    fed: Option<Tensor<2>>,
    feed_forward: FeedForwardTape,
}

impl Block {
    pub(super) fn new(parameters: &Parameters, layer: usize, config: NetworkConfig<'_>) -> Self {
        let norm = |role| Norm::new(parameters, role, Some(layer), config);
        let affine = |role| Affine::new(parameters, role, layer, config);
        Self {
            site: block_site(layer),
            attention_norm: norm(Role::AttentionNorm),
            query_key_value: affine(Role::QueryKeyValue),
            attention: Attention::new(parameters, layer, config),
            attention_out: affine(Role::AttentionOut),
            attention_post_norm: norm(Role::AttentionPostNorm),
            parallel: config.architecture.parallel,
            feed_forward_norm: norm(Role::FeedForwardNorm),
            feed_forward: FeedForward::new(parameters, layer, config),
            feed_forward_post_norm: norm(Role::FeedForwardPostNorm),
        }
    }

    /// The block, whatever its rows are: `attend` mixes them (packed sequences, prompts that are read, or one token each of
    /// many sequences), `drop_out` is handed the end of each residual branch, and what goes into each low-rank one, with its
    /// place.
    ///
    /// # Shapes
    /// `x` `[rows, width]`, f32, and so the result; `attend` takes `[rows, projected_width]`: queries, keys, values, and
    /// gives `[rows, query_width]`, both in the weights' number format.
    pub(super) fn apply<A>(
        &self,
        x: Tensor<2>,
        attend: impl FnOnce(Tensor<2>) -> (Tensor<2>, A),
        drop_out: impl Fn(Tensor<2>, u32) -> Tensor<2>,
    ) -> (Tensor<2>, BlockTape<A>) {
        let input = normed(self.attention_norm.as_ref(), x.clone());
        let (qkv, query_key_value) = self.query_key_value.apply(&input, &drop_out);
        let (mixed, attention) = attend(qkv);
        let (attended, attention_out) = self.attention_out.apply(&mixed, &drop_out);
        let attended = ops::single(attended);
        let kept = |norm: &Option<Norm>, x: &Tensor<2>| norm.as_ref().map(|_| x.clone());
        let kept_attended = kept(&self.attention_post_norm, &attended);
        let half = normed(self.attention_post_norm.as_ref(), attended);
        let middle = x.clone() + drop_out(half, self.site + 1);
        let input = if self.parallel { &x } else { &middle };
        let input = normed(self.feed_forward_norm.as_ref(), input.clone());
        let (fed, feed_forward) = self.feed_forward.apply(&input, &drop_out);
        let kept_fed = kept(&self.feed_forward_post_norm, &fed);
        let half = normed(self.feed_forward_post_norm.as_ref(), fed);
        let out = middle.clone() + drop_out(half, self.site + 2);
        let tape = BlockTape {
            x,
            middle,
            query_key_value,
            attention,
            attention_out,
            attended: kept_attended,
            fed: kept_fed,
            feed_forward,
        };
        (out, tape)
    }

    /// The block on packed rows.
    ///
    /// # Shapes
    /// `x` `[rows, width]`; to the same.
    pub(super) fn apply_packed(
        &self,
        x: Tensor<2>,
        context: &PassContext<'_>,
    ) -> (Tensor<2>, BlockTape<AttentionTape>) {
        self.apply(
            x,
            |qkv| context.attend(&self.attention, qkv, self.site),
            |x, site| context.drop_out(x, site),
        )
    }

    /// The gradient of what the block read on packed rows; those of its arrays go to `gradients`.
    ///
    /// # Shapes
    /// `upstream` `[rows, width]`, f32; to the same.
    pub(super) fn backward_packed(
        &self,
        tape: BlockTape<AttentionTape>,
        upstream: Tensor<2>,
        context: &PassContext<'_>,
        gradients: &mut Gradients,
    ) -> Tensor<2> {
        let drop_out = |x, site| context.drop_out(x, site);
        let half = drop_out(upstream.clone(), self.site + 2);
        let post_norm = self.feed_forward_post_norm.as_ref();
        let fed = norm_backward(post_norm, tape.fed, half, gradients);
        let forward = &self.feed_forward;
        let input = forward.backward(tape.feed_forward, fed, drop_out, gradients);
        let read = if self.parallel { &tape.x } else { &tape.middle };
        let norm = self.feed_forward_norm.as_ref();
        let read = norm_backward(norm, Some(read.clone()), ops::single(input), gradients);
        let (middle, beside) = if self.parallel {
            (upstream, Some(read))
        } else {
            (upstream + read, None)
        };

        let half = drop_out(middle.clone(), self.site + 1);
        let post_norm = self.attention_post_norm.as_ref();
        let attended = norm_backward(post_norm, tape.attended, half, gradients);
        let out = &self.attention_out;
        let mixed = out.backward(tape.attention_out, attended, drop_out, gradients);
        let attend = (&self.attention, self.site);
        let qkv = context.attend_backward(attend, tape.attention, mixed, gradients);
        let affine = &self.query_key_value;
        let input = affine.backward(tape.query_key_value, qkv, drop_out, gradients);
        let norm = self.attention_norm.as_ref();
        let x = middle + norm_backward(norm, Some(tape.x), ops::single(input), gradients);
        match beside {
            None => x,
            Some(beside) => x + beside,
        }
    }
}

/// `x` through a norm that may not be there.
///
/// # Shapes
/// `x` `[rows, width]`; to the same.
fn normed(norm: Option<&Norm>, x: Tensor<2>) -> Tensor<2> {
    match norm {
        None => x,
        Some(norm) => norm.apply(x),
    }
}

/// The gradient of what [`normed`] read, which is there where the norm is.
///
/// # Shapes
/// `x` and `upstream` `[rows, width]`; to the same.
fn norm_backward(
    norm: Option<&Norm>,
    x: Option<Tensor<2>>,
    upstream: Tensor<2>,
    gradients: &mut Gradients,
) -> Tensor<2> {
    match norm.zip(x) {
        None => upstream,
        Some((norm, x)) => norm.backward(x, upstream, gradients),
    }
}
