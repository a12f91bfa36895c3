//! GPT-2 in burn: stock operations alone, for every device that burn has.
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
pub(crate) use self::reading::{DECODE_TILE, LOGIT_TILE, READ_TILE, Tile, bucket};

use self::attention::Padded;
use self::ops::{Affine, Norm};
use super::config::Gpt2Config;
use super::dropout::{Dropout, EMBEDDING_SITE, block_site};
use super::rows::Spans;

/// A view of [`Parameters`] as a GPT-2.
pub(crate) struct Network {
    embedding: Embedding,
    blocks: Vec<Block>,
    ln_f: Norm,
    form: Form,
}

/// What all parts of a network are told.
#[derive(Clone, Copy)]
struct Form {
    heads: usize,
    epsilon: f64,
    /// Of weights and products.
    dtype: FloatDType,
}

/// Token and position embedding; the head is tied to the first.
struct Embedding {
    wte: Tensor<2>,
    wpe: Tensor<2>,
}

struct Block {
    ln_1: Norm,
    c_attn: Affine,
    attn_c_proj: Affine,
    ln_2: Norm,
    c_fc: Affine,
    mlp_c_proj: Affine,
}

impl Form {
    fn new(config: &Gpt2Config, dtype: FloatDType) -> Self {
        Self {
            heads: config.n_head,
            epsilon: config.layer_norm_epsilon,
            dtype,
        }
    }
}

impl Network {
    /// The network of these parameters, in `dtype`; where they have it already, nothing is copied.
    pub(crate) fn new(config: &Gpt2Config, parameters: &Parameters, dtype: FloatDType) -> Self {
        let form = Form::new(config, dtype);
        let block = |layer| Block::new(parameters, layer, form);
        Self {
            embedding: Embedding::new(parameters, form),
            blocks: (0..config.n_layer).map(block).collect(),
            ln_f: Norm::new(parameters, "ln_f", form),
            form,
        }
    }

    /// Hidden states after the last layer norm, f32.
    ///
    /// # Shapes
    /// `tokens` are the sequences of `spans` end to end; to `[rows, width]`.
    fn hidden(&self, tokens: &[u32], spans: &Spans, dropout: Option<Dropout>) -> Tensor<2> {
        let part = Part::new(spans, dropout, &self.embedding.device());
        let mut x = self.embedding.embed(tokens, &part);
        for (layer, block) in self.blocks.iter().enumerate() {
            x = block.apply_packed(x, layer, &part, self.form);
        }
        self.ln_f.apply(x)
    }
}

impl Embedding {
    fn new(parameters: &Parameters, form: Form) -> Self {
        let matrix = |name: &str| parameters.matrix(name).cast(form.dtype);
        Self {
            wte: matrix("wte.weight"),
            wpe: matrix("wpe.weight"),
        }
    }

    fn device(&self) -> Device {
        self.wte.device()
    }

    /// What goes into the first block, f32 `[rows, width]`.
    fn embed(&self, tokens: &[u32], part: &Part<'_>) -> Tensor<2> {
        let positions = part.spans.positions();
        part.drop_out(self.sum(tokens, positions), EMBEDDING_SITE)
    }

    /// The sum of both embeddings, f32.
    fn sum(&self, tokens: &[u32], positions: impl IntoIterator<Item = usize>) -> Tensor<2> {
        let device = self.device();
        let tokens = ops::indices(tokens.iter().map(|token| *token as usize), &device);
        let positions = ops::indices(positions, &device);
        let tokens = self.wte.clone().select(0, tokens);
        let positions = self.wpe.clone().select(0, positions);
        ops::single(tokens) + ops::single(positions)
    }

    /// Logits, f32, of rows of hidden states.
    fn logits(&self, hidden: Tensor<2>) -> Tensor<2> {
        let hidden = hidden.cast(self.wte.dtype());
        ops::single(hidden.matmul(self.wte.clone().transpose()))
    }
}

impl Block {
    fn new(parameters: &Parameters, layer: usize, form: Form) -> Self {
        let norm = |part: &str| Norm::new(parameters, &format!("h.{layer}.{part}"), form);
        let affine = |part: &str| Affine::new(parameters, &format!("h.{layer}.{part}"), form);
        Self {
            ln_1: norm("ln_1"),
            c_attn: affine("attn.c_attn"),
            attn_c_proj: affine("attn.c_proj"),
            ln_2: norm("ln_2"),
            c_fc: affine("mlp.c_fc"),
            mlp_c_proj: affine("mlp.c_proj"),
        }
    }

    /// The block, whatever its rows are: `attend` mixes them (packed sequences, prompts that are read, or one token each of
    /// many sequences), `drop_out` is handed the end of each residual branch with its number.
    ///
    /// # Shapes
    /// `x` `[rows, width]`, f32, and so the result; `attend` takes `[rows, 3 * width]`: queries, keys, values, and
    /// gives `[rows, width]`, both in the weights' number format.
    fn apply(
        &self,
        x: Tensor<2>,
        attend: impl FnOnce(Tensor<2>) -> Tensor<2>,
        drop_out: impl Fn(Tensor<2>, u32) -> Tensor<2>,
    ) -> Tensor<2> {
        let mixed = attend(self.c_attn.apply(self.ln_1.apply(x.clone())));
        let mixed = ops::single(self.attn_c_proj.apply(mixed));
        let x = x + drop_out(mixed, 1);
        x.clone() + drop_out(self.feed_forward(x), 2)
    }

    /// The block on packed rows.
    fn apply_packed(&self, x: Tensor<2>, layer: usize, part: &Part<'_>, form: Form) -> Tensor<2> {
        let site = block_site(layer);
        let mask = part.dropout.map(|dropout| (dropout, site));
        self.apply(
            x,
            |qkv| part.padded.attention(&qkv, form.heads, mask),
            |x, branch| part.drop_out(x, site + branch),
        )
    }

    /// The second half of the block, without dropout and residual; f32.
    fn feed_forward(&self, x: Tensor<2>) -> Tensor<2> {
        let inner = self.c_fc.apply(self.ln_2.apply(x));
        ops::single(self.mlp_c_proj.apply(activation::gelu_approximate(inner)))
    }
}

/// What all blocks are told of the rows that they work on.
struct Part<'a> {
    spans: &'a Spans,
    dropout: Option<Dropout>,
    padded: Padded,
}

impl<'a> Part<'a> {
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
