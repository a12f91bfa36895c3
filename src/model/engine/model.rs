//! The weights of a GPT-2 as the kernels want them: checked by name and shape, packed once.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::EngineError;
use super::cache::PageShape;
use super::linear::Linear;
use crate::model::kernel::buffer::Buffer;
use crate::model::kernel::int8::LONGEST;
use crate::model::{Dtype, Gpt2Config, Weights};

/// Gain and bias of a layer norm, padded with zeros to whole vectors.
pub(super) struct Norm {
    pub(super) gain: Buffer,
    pub(super) bias: Buffer,
}

/// One transformer block.
pub(super) struct Block {
    pub(super) attention_norm: Norm,
    pub(super) query_key_value: Linear,
    pub(super) attention_out: Linear,
    pub(super) feed_forward_norm: Norm,
    pub(super) up: Linear,
    pub(super) down: Linear,
}

/// A packed GPT-2.
pub(super) struct Model {
    pub(super) width: usize,
    pub(super) inner: usize,
    pub(super) vocab: usize,
    pub(super) positions: usize,
    pub(super) epsilon: f32,
    pub(super) end_of_text: u32,
    pub(super) page: PageShape,
    pub(super) blocks: Vec<Block>,
    pub(super) final_norm: Norm,
    /// The tied embedding, transposed: the vocabulary projection; a column is a token's embedding.
    pub(super) head: Linear,
    pub(super) position_embedding: Vec<f32>,
}

impl Model {
    /// Checks and packs `weights`. Of weights that it owns, it frees each array when that is packed, so the peak is
    /// hardly more than one copy of them.
    pub(super) fn new(
        config: &Gpt2Config,
        weights: Cow<'_, Weights>,
        dtype: Dtype,
    ) -> Result<Self, EngineError> {
        let int8 = match dtype {
            Dtype::F32 => false,
            Dtype::Int8 => true,
            Dtype::Bf16 | Dtype::F16 => return Err(EngineError::Dtype(dtype)),
        };
        let (width, inner, vocab) = (config.n_embd, config.inner_width(), config.vocab_size);
        let sizes = [width, inner, vocab, config.n_positions, config.n_head];
        if sizes.contains(&0) || !width.is_multiple_of(config.n_head) {
            return Err(EngineError::Shape(format!(
                "n_embd {width}, n_inner {inner}, vocab_size {vocab}, n_positions {} and n_head {} must be positive, and n_head must divide n_embd",
                config.n_positions, config.n_head
            )));
        }
        if int8 && width.max(inner) > LONGEST {
            return Err(EngineError::Shape(format!(
                "n_embd {width} and n_inner {inner} must be at most {LONGEST} where dtype is \"int8\", or sums of bytes overflow"
            )));
        }
        let mut arrays = Arrays {
            weights,
            int8,
            used: BTreeSet::new(),
        };
        let mut blocks = Vec::new();
        for layer in 0..config.n_layer {
            let name = |part: &str| format!("h.{layer}.{part}");
            blocks.push(Block {
                attention_norm: arrays.norm(&name("ln_1"), width)?,
                query_key_value: arrays.linear(&name("attn.c_attn"), width, 3 * width)?,
                attention_out: arrays.linear(&name("attn.c_proj"), width, width)?,
                feed_forward_norm: arrays.norm(&name("ln_2"), width)?,
                up: arrays.linear(&name("mlp.c_fc"), width, inner)?,
                down: arrays.linear(&name("mlp.c_proj"), inner, width)?,
            });
        }
        let embedding = arrays.take("wte.weight", &[vocab, width])?;
        let model = Self {
            width,
            inner,
            vocab,
            positions: config.n_positions,
            #[expect(
                clippy::cast_possible_truncation,
                reason = "f32 is the engine's precision"
            )]
            epsilon: config.layer_norm_epsilon as f32,
            end_of_text: config.eos_token_id,
            page: PageShape {
                layers: config.n_layer,
                heads: config.n_head,
                head_dim: width / config.n_head,
            },
            blocks,
            final_norm: arrays.norm("ln_f", width)?,
            head: Linear::transposed(int8, &embedding, width, vocab),
            position_embedding: arrays
                .take("wpe.weight", &[config.n_positions, width])?
                .into_owned(),
        };
        arrays.no_others()?;
        Ok(model)
    }

    /// Bytes that one step streams.
    pub(super) fn bytes(&self) -> usize {
        let blocks = self.blocks.iter().map(|block| {
            [
                &block.query_key_value,
                &block.attention_out,
                &block.up,
                &block.down,
            ]
            .map(Linear::bytes)
            .iter()
            .sum::<usize>()
        });
        blocks.sum::<usize>() + self.head.bytes()
    }
}

/// The arrays by name, and which were asked for.
struct Arrays<'a> {
    weights: Cow<'a, Weights>,
    int8: bool,
    used: BTreeSet<String>,
}

impl<'a> Arrays<'a> {
    fn take(&mut self, name: &str, shape: &[usize]) -> Result<Cow<'a, [f32]>, EngineError> {
        let array = match &mut self.weights {
            Cow::Borrowed(weights) => weights.arrays.get(name).map(Cow::Borrowed),
            Cow::Owned(weights) => weights.arrays.remove(name).map(Cow::Owned),
        };
        let array = array.ok_or_else(|| EngineError::MissingArray {
            name: name.to_owned(),
            shape: shape.to_vec(),
        })?;
        if array.shape != shape || array.data.len() != shape.iter().product::<usize>() {
            return Err(EngineError::ArrayShape {
                name: name.to_owned(),
                found: array.shape.clone(),
                values: array.data.len(),
                expected: shape.to_vec(),
            });
        }
        self.used.insert(name.to_owned());
        Ok(match array {
            Cow::Borrowed(array) => Cow::Borrowed(array.data.as_slice()),
            Cow::Owned(array) => Cow::Owned(array.data),
        })
    }

    fn linear(&mut self, name: &str, k: usize, n: usize) -> Result<Linear, EngineError> {
        let weights = self.take(&format!("{name}.weight"), &[k, n])?;
        let bias = self.take(&format!("{name}.bias"), &[n])?;
        Ok(Linear::new(self.int8, &weights, k, n, &bias))
    }

    fn norm(&mut self, name: &str, width: usize) -> Result<Norm, EngineError> {
        let mut padded = |part: &str| -> Result<Buffer, EngineError> {
            let mut buffer = Buffer::zeroed(width);
            let values = self.take(&format!("{name}.{part}"), &[width])?;
            buffer.as_mut_slice()[..width].copy_from_slice(&values);
            Ok(buffer)
        };
        Ok(Norm {
            gain: padded("weight")?,
            bias: padded("bias")?,
        })
    }

    /// Every array was asked for: another one means that the weights are not of this architecture.
    fn no_others(&self) -> Result<(), EngineError> {
        let mut names = self.weights.arrays.keys();
        match names.find(|&name| !self.used.contains(name)) {
            Some(name) => Err(EngineError::UnknownArray(name.clone())),
            None => Ok(()),
        }
    }
}
