//! A model in burn: stock operations alone, for every device that burn has.
//!
//! In: [`Parameters`] on a device. Out: hidden states of packed training rows ([`Network::hidden`]), or logits and keys
//! and values of sequences that are read and go on token by token (`reading`). Weights and products are in the
//! parameters' number format; the residual stream, layer norms, softmax and loss are f32.
//! Source: Radford et al. 2019; HF transformers, `modeling_gpt2.py`.

mod attention;
mod loss;
mod ops;
mod parameters;
mod reading;

use burn::tensor::{Device, FloatDType, Tensor, activation};

pub(crate) use self::loss::{Arithmetic, Asked, add, gradients, loss_alone};
pub(crate) use self::parameters::{Parameter, Parameters};
pub(crate) use self::reading::{DECODE_BATCH, DecodeBatch, LOGIT_BATCH, READ_BATCH, bucket};

use self::attention::Padded;
use self::ops::{Affine, Norm};
use super::architecture::{
    self, Activation, Architecture, ArrayId, FeedForward, FeedForwardKind, Heads, Output,
    Positions, Role,
};
use super::dropout::{Dropout, EMBEDDING_SITE, block_site};
use super::rows::Spans;

/// A view of [`Parameters`] as a model.
pub(crate) struct Network {
    embedding: Embedding,
    blocks: Vec<Block>,
    final_norm: Norm,
    config: NetworkConfig,
}

/// What all parts of a network are told.
#[derive(Clone, Copy)]
struct NetworkConfig {
    heads: Heads,
    positions: Positions,
    norm: architecture::Norm,
    feed_forward: FeedForward,
    output: Output,
    /// Of weights and products.
    dtype: FloatDType,
}

/// What becomes of tokens, and of hidden states.
struct Embedding {
    tokens: Tensor<2>,
    positions: Tensor<2>,
    config: NetworkConfig,
}

struct Block {
    attention_norm: Norm,
    query_key_value: Affine,
    attention_out: Affine,
    feed_forward_norm: Norm,
    up: Affine,
    activation: Activation,
    down: Affine,
}

impl NetworkConfig {
    fn new(architecture: &Architecture, dtype: FloatDType) -> Self {
        Self {
            heads: architecture.heads,
            positions: architecture.positions,
            norm: architecture.norm,
            feed_forward: architecture.feed_forward,
            output: architecture.output,
            dtype,
        }
    }
}

impl Network {
    /// The network of these parameters, in `dtype`; where they have it already, nothing is copied.
    pub(crate) fn new(
        architecture: &Architecture,
        parameters: &Parameters,
        dtype: FloatDType,
    ) -> Self {
        let config = NetworkConfig::new(architecture, dtype);
        let block = |layer| Block::new(parameters, layer, config);
        Self {
            embedding: Embedding::new(parameters, config),
            blocks: (0..architecture.layers).map(block).collect(),
            final_norm: Norm::new(parameters, Role::FinalNorm, None, config),
            config,
        }
    }

    /// Hidden states after the last norm, f32.
    ///
    /// # Shapes
    /// `tokens` are the sequences of `spans` end to end; to `[rows, width]`.
    fn hidden(&self, tokens: &[u32], spans: &Spans, dropout: Option<Dropout>) -> Tensor<2> {
        let context = PassContext::new(spans, dropout, &self.embedding.device());
        let mut x = self.embedding.embed(tokens, &context);
        for (layer, block) in self.blocks.iter().enumerate() {
            x = block.apply_packed(x, layer, &context, self.config);
        }
        self.final_norm.apply(x)
    }
}

impl Embedding {
    fn new(parameters: &Parameters, config: NetworkConfig) -> Self {
        let matrix = |id| parameters.matrix(id).cast(config.dtype);
        Self {
            tokens: matrix(ArrayId::TOKEN_EMBEDDING),
            positions: match config.positions {
                Positions::Rotary => todo!("families"),
                Positions::Learned => matrix(ArrayId::POSITION_EMBEDDING),
            },
            config,
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
        let positions = context.spans.positions();
        context.drop_out(self.look_up(tokens, positions), EMBEDDING_SITE)
    }

    /// The embeddings of tokens at these positions, f32.
    ///
    /// # Shapes
    /// `tokens` `[rows]`; to `[rows, width]`.
    fn look_up(&self, tokens: &[u32], positions: impl IntoIterator<Item = usize>) -> Tensor<2> {
        let device = self.device();
        let tokens = ops::indices(tokens.iter().map(|token| *token as usize), &device);
        let positions = ops::indices(positions, &device);
        let tokens = self.tokens.clone().select(0, tokens);
        match self.config.positions {
            Positions::Rotary => todo!("families"),
            Positions::Learned => {
                let positions = self.positions.clone().select(0, positions);
                ops::single(tokens) + ops::single(positions)
            }
        }
    }

    /// Logits, f32, of rows of hidden states.
    ///
    /// # Shapes
    /// `hidden` `[rows, width]`; to `[rows, vocabulary]`.
    fn logits(&self, hidden: Tensor<2>) -> Tensor<2> {
        let output = match self.config.output {
            Output::Separate => todo!("families"),
            Output::Tied => self.tokens.clone().transpose(),
        };
        ops::single(hidden.cast(output.dtype()).matmul(output))
    }
}

impl Block {
    fn new(parameters: &Parameters, layer: usize, config: NetworkConfig) -> Self {
        let norm = |role| Norm::new(parameters, role, Some(layer), config);
        let affine = |role| Affine::new(parameters, role, layer, config);
        let FeedForwardKind::Plain(activation) = config.feed_forward.kind else {
            todo!("families")
        };
        Self {
            attention_norm: norm(Role::AttentionNorm),
            query_key_value: affine(Role::QueryKeyValue),
            attention_out: affine(Role::AttentionOut),
            feed_forward_norm: norm(Role::FeedForwardNorm),
            up: affine(Role::Up),
            activation,
            down: affine(Role::Down),
        }
    }

    /// The block, whatever its rows are: `attend` mixes them (packed sequences, prompts that are read, or one token each of
    /// many sequences), `drop_out` is handed the end of each residual branch with its number.
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
        let normed = self.attention_norm.apply(x.clone());
        let mixed = attend(self.query_key_value.apply(normed));
        let mixed = ops::single(self.attention_out.apply(mixed));
        let x = x + drop_out(mixed, 1);
        x.clone() + drop_out(self.feed_forward(x), 2)
    }

    /// The block on packed rows.
    ///
    /// # Shapes
    /// `x` `[rows, width]`; to the same.
    fn apply_packed(
        &self,
        x: Tensor<2>,
        layer: usize,
        context: &PassContext<'_>,
        config: NetworkConfig,
    ) -> Tensor<2> {
        let site = block_site(layer);
        let mask = context.dropout.map(|dropout| (dropout, site));
        self.apply(
            x,
            |qkv| context.padded.attention(&qkv, config.heads, mask),
            |x, branch| context.drop_out(x, site + branch),
        )
    }

    /// The second half of the block, without dropout and residual; f32.
    ///
    /// # Shapes
    /// `x` `[rows, width]`; to the same.
    fn feed_forward(&self, x: Tensor<2>) -> Tensor<2> {
        let inner = self.up.apply(self.feed_forward_norm.apply(x));
        let active = match self.activation {
            Activation::GeluTanh => activation::gelu_approximate(inner),
            _ => todo!("families"),
        };
        ops::single(self.down.apply(active))
    }
}

/// What all blocks are told of the rows that they work on.
struct PassContext<'a> {
    spans: &'a Spans,
    dropout: Option<Dropout>,
    padded: Padded,
}

impl<'a> PassContext<'a> {
    fn new(spans: &'a Spans, dropout: Option<Dropout>, device: &Device) -> Self {
        let padded = Padded::new(spans, device);
        Self {
            spans,
            dropout,
            padded,
        }
    }

    fn drop_out(&self, x: Tensor<2>, site: u32) -> Tensor<2> {
        ops::drop_out(x, site, self.spans, self.dropout)
    }
}
