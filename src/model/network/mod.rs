//! A model in burn: stock operations alone, for every device that burn has.
//!
//! In: [`Parameters`] on a device. Out: hidden states of packed training rows ([`Network::hidden`]), or logits and keys
//! and values of sequences that are read and go on token by token (`reading`). Weights and products are in the
//! parameters' number format; the residual stream, norms, rotation, softmax and loss are f32.
//! Source: HF transformers, `modeling_gpt2.py`, `modeling_llama.py` and those of the other families.

mod attention;
mod best;
mod loss;
mod masks;
mod ops;
mod packed;
mod parameters;
mod reading;
mod rotary;

use std::collections::BTreeMap;
use std::sync::Mutex;

use burn::tensor::{Device, FloatDType, Int, Tensor, activation};

pub(crate) use self::best::{BestLogits, LogitRows, TokenLogits};
pub(crate) use self::loss::{Arithmetic, Asked, gradients, loss_alone};
pub(crate) use self::parameters::{Parameter, Parameters};
pub(crate) use self::reading::{Copies, DecodeBatch, LOGIT_BATCH, Next, READ_BATCH, bucket};

use self::attention::Attention;
use self::ops::{Affine, Norm};
use self::packed::PassContext;
use self::rotary::Turns;
use super::architecture::{
    Activation, Architecture, ArrayId, BlockAttention, FeedForwardKind, Heads, Output, Positions,
    Role,
};
use super::device::FusedAttention;
use super::dropout::{EMBEDDING_SITE, block_site};

/// A view of [`Parameters`] as a model.
pub(crate) struct Network {
    embedding: Embedding,
    blocks: Vec<Block>,
    final_norm: Norm,
    heads: Heads,
    pattern: Vec<BlockAttention>,
    /// How the device attends in one operation, where sequences are read.
    fused: Option<FusedAttention>,
    /// By the number of positions, those that were asked for.
    turns: Mutex<BTreeMap<usize, Turns>>,
}

/// What all parts of a network are told.
#[derive(Clone, Copy)]
struct NetworkConfig<'a> {
    architecture: &'a Architecture,
    /// Of weights and products.
    dtype: FloatDType,
}

/// What becomes of tokens, and of hidden states.
struct Embedding {
    tokens: Tensor<2>,
    /// What the tokens' rows are multiplied by.
    scale: f64,
    positions: Option<Tensor<2>>,
    /// `None` where it is the tokens'.
    output: Option<Tensor<2>>,
    logit_cap: Option<f64>,
}

struct Block {
    /// The first place of its dropout.
    site: u32,
    attention_norm: Option<Norm>,
    query_key_value: Affine,
    attention: Attention,
    attention_out: Affine,
    attention_post_norm: Option<Norm>,
    /// Whether the second half reads the block's input.
    parallel: bool,
    feed_forward_norm: Option<Norm>,
    up: Affine,
    feed_forward: FeedForwardKind,
    down: Affine,
    feed_forward_post_norm: Option<Norm>,
}

impl Network {
    /// The network of these parameters, in `dtype`; where they have it already, nothing is copied.
    pub(crate) fn new(
        architecture: &Architecture,
        parameters: &Parameters,
        dtype: FloatDType,
    ) -> Self {
        let config = NetworkConfig {
            architecture,
            dtype,
        };
        let block = |layer| Block::new(parameters, layer, config);
        Self {
            embedding: Embedding::new(parameters, config),
            blocks: (0..architecture.layers).map(block).collect(),
            final_norm: final_norm(parameters, config),
            heads: architecture.heads,
            pattern: architecture.attention.pattern.clone(),
            fused: None,
            turns: Mutex::default(),
        }
    }

    /// The same, where the device may attend in one operation.
    pub(crate) fn attending(self, fused: Option<FusedAttention>) -> Self {
        Self { fused, ..self }
    }

    /// Hidden states after the last norm, f32.
    ///
    /// # Shapes
    /// `tokens` are the sequences of `spans` end to end; to `[rows, width]`.
    fn hidden(&self, tokens: &[u32], context: &PassContext<'_>) -> Tensor<2> {
        let mut x = self.embedding.embed(tokens, context);
        for block in &self.blocks {
            x = block.apply_packed(x, context);
        }
        self.final_norm.apply(x)
    }
}

/// The norm after the last block.
fn final_norm(parameters: &Parameters, config: NetworkConfig<'_>) -> Norm {
    let norm = Norm::new(parameters, Role::FinalNorm, None, config);
    norm.expect("the weights were checked against the architecture")
}

impl Embedding {
    fn new(parameters: &Parameters, config: NetworkConfig<'_>) -> Self {
        let matrix = |id| parameters.matrix(id).cast(config.dtype);
        let architecture = config.architecture;
        Self {
            tokens: matrix(ArrayId::TOKEN_EMBEDDING),
            scale: architecture.embedding_scale,
            positions: match architecture.positions {
                Positions::Rotary => None,
                Positions::Learned => Some(matrix(ArrayId::POSITION_EMBEDDING)),
            },
            output: match architecture.output {
                Output::Tied => None,
                Output::Separate => Some(matrix(ArrayId::OUTPUT)),
            },
            logit_cap: architecture.logit_cap,
        }
    }

    fn device(&self) -> Device {
        self.tokens.device()
    }

    /// What goes into the first block, f32.
    ///
    /// # Shapes
    /// `tokens` `[rows]`; to `[rows, width]`.
    fn embed(&self, tokens: &[u32], context: &PassContext<'_>) -> Tensor<2> {
        let device = self.device();
        let tokens = ops::indices(tokens.iter().map(|token| *token as usize), &device);
        let positions = ops::indices(context.positions(), &device);
        context.drop_out(self.look_up(tokens, &positions), EMBEDDING_SITE)
    }

    /// The embeddings of tokens at these positions, f32.
    ///
    /// # Shapes
    /// `tokens` and `positions` `[rows]`; to `[rows, width]`.
    fn look_up(&self, tokens: Tensor<1, Int>, positions: &Tensor<1, Int>) -> Tensor<2> {
        let mut x = ops::single(self.tokens.clone().select(0, tokens));
        #[expect(clippy::float_cmp, reason = "what families without a scale have")]
        if self.scale != 1.0 {
            x = x * self.scale;
        }
        match &self.positions {
            None => x,
            Some(table) => x + ops::single(table.clone().select(0, positions.clone())),
        }
    }

    /// Logits, f32, of rows of hidden states.
    ///
    /// # Shapes
    /// `hidden` `[rows, width]`; to `[rows, vocabulary]`.
    fn logits(&self, hidden: Tensor<2>) -> Tensor<2> {
        let output = self.output.as_ref().unwrap_or(&self.tokens);
        let output = output.clone().transpose();
        let logits = ops::single(hidden.cast(output.dtype()).matmul(output));
        match self.logit_cap {
            None => logits,
            Some(cap) => (logits / cap).tanh() * cap,
        }
    }
}

impl Block {
    fn new(parameters: &Parameters, layer: usize, config: NetworkConfig<'_>) -> Self {
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
            up: affine(Role::Up),
            feed_forward: config.architecture.feed_forward.kind,
            down: affine(Role::Down),
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
    fn apply(
        &self,
        x: Tensor<2>,
        attend: impl FnOnce(Tensor<2>) -> Tensor<2>,
        drop_out: impl Fn(Tensor<2>, u32) -> Tensor<2>,
    ) -> Tensor<2> {
        let input = normed(self.attention_norm.as_ref(), x.clone());
        let mixed = attend(self.query_key_value.apply(&input, &drop_out));
        let mixed = ops::single(self.attention_out.apply(&mixed, &drop_out));
        let mixed = normed(self.attention_post_norm.as_ref(), mixed);
        let after = x.clone() + drop_out(mixed, self.site + 1);
        let input = if self.parallel { x } else { after.clone() };
        after + drop_out(self.fed_forward(input, &drop_out), self.site + 2)
    }

    /// The block on packed rows.
    ///
    /// # Shapes
    /// `x` `[rows, width]`; to the same.
    fn apply_packed(&self, x: Tensor<2>, context: &PassContext<'_>) -> Tensor<2> {
        self.apply(
            x,
            |qkv| context.attend(&self.attention, qkv, self.site),
            |x, site| context.drop_out(x, site),
        )
    }

    /// The second half of the block, without residual and the dropout before it; f32.
    ///
    /// # Shapes
    /// `x` `[rows, width]`; to the same.
    fn fed_forward(
        &self,
        x: Tensor<2>,
        drop_out: impl Fn(Tensor<2>, u32) -> Tensor<2>,
    ) -> Tensor<2> {
        let input = normed(self.feed_forward_norm.as_ref(), x);
        let inner = self.up.apply(&input, &drop_out);
        let active = match self.feed_forward {
            FeedForwardKind::Plain(activation) => activated(activation, inner),
            FeedForwardKind::Gated(activation) => {
                let [gate, up] = halves(&inner);
                activated(activation, gate) * up
            }
        };
        let out = ops::single(self.down.apply(&active, &drop_out));
        normed(self.feed_forward_post_norm.as_ref(), out)
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

/// # Shapes
/// `x` `[rows, inner]`; to the same.
fn activated(activation: Activation, x: Tensor<2>) -> Tensor<2> {
    match activation {
        Activation::Gelu => activation::gelu(x),
        Activation::GeluTanh => activation::gelu_approximate(x),
        Activation::Silu => activation::silu(x),
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
