//! The weights of a GPT-2 as the kernels want them: checked by name and shape, packed once.

use std::collections::BTreeSet;

use rayon::prelude::*;

use super::cache::PageShape;
use super::linear::Linear;
use crate::model::in_order::in_order;
use crate::model::kernel::buffer::Buffer;
use crate::model::kernel::int8::LONGEST;
use crate::model::source::Values;
use crate::model::{Dtype, EngineError, Gpt2Config, ModelError, WeightSource};

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
    pub(super) page: PageShape,
    pub(super) blocks: Vec<Block>,
    pub(super) final_norm: Norm,
    /// The tied embedding, transposed: the vocabulary projection; a column is a token's embedding.
    pub(super) head: Linear,
    pub(super) position_embedding: Vec<f32>,
}

impl Model {
    /// Checks and packs `weights`. Of weights that it owns, it frees each array when that is packed, and those in files
    /// it reads then, so the peak is hardly more than one copy of them. The threads of the caller's pool share the arrays
    /// out: most of the time goes to memory that is touched for the first time.
    pub(super) fn new(
        config: &Gpt2Config,
        weights: WeightSource<'_>,
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
        if let WeightSource::Files(files) = &weights {
            files.check_room(if int8 { 1 } else { 4 })?;
        }
        let mut arrays = Arrays {
            weights,
            used: BTreeSet::new(),
        };
        let (mut norms, mut linears) = (Vec::new(), Vec::new());
        for layer in 0..config.n_layer {
            let name = |part: &str| format!("h.{layer}.{part}");
            norms.push([
                arrays.norm(&name("ln_1"), width)?,
                arrays.norm(&name("ln_2"), width)?,
            ]);
            linears.extend([
                arrays.linear(&name("attn.c_attn"), width, 3 * width)?,
                arrays.linear(&name("attn.c_proj"), width, width)?,
                arrays.linear(&name("mlp.c_fc"), width, inner)?,
                arrays.linear(&name("mlp.c_proj"), inner, width)?,
            ]);
        }
        let embedding = arrays.take("wte.weight", &[vocab, width])?;
        let final_norm = arrays.norm("ln_f", width)?;
        let positions = arrays.take("wpe.weight", &[config.n_positions, width])?;
        let position_embedding = positions.all(&mut Vec::new())?.to_vec();
        arrays.no_others()?;

        let packed = linears.into_par_iter().with_max_len(1);
        let packed = packed.map_init(Vec::new, |room, linear| linear.pack(int8, room));
        let mut packed = in_order::<_, _, Vec<Linear>>(packed)?.into_iter();
        let mut next = || packed.next().expect("four for each layer");
        let mut blocks = Vec::new();
        for [attention_norm, feed_forward_norm] in norms {
            blocks.push(Block {
                attention_norm,
                query_key_value: next(),
                attention_out: next(),
                feed_forward_norm,
                up: next(),
                down: next(),
            });
        }
        Ok(Self {
            width,
            inner,
            vocab,
            positions: config.n_positions,
            #[expect(
                clippy::cast_possible_truncation,
                reason = "f32 is the engine's precision"
            )]
            epsilon: config.layer_norm_epsilon as f32,
            page: PageShape {
                layers: config.n_layer,
                heads: config.n_head,
                head_dim: width / config.n_head,
            },
            blocks,
            final_norm,
            head: Linear::transposed(int8, &embedding, width, vocab)?,
            position_embedding,
        })
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

/// A weight matrix `[k, n]` and its bias, still to be packed.
struct Unpacked<'a> {
    weights: Values<'a>,
    bias: Values<'a>,
    k: usize,
    n: usize,
}

impl Unpacked<'_> {
    /// `room` holds what has to be read.
    fn pack(self, int8: bool, room: &mut Vec<f32>) -> Result<Linear, ModelError> {
        let bias = self.bias.all(room)?.to_vec();
        let weights = self.weights.all(room)?;
        Ok(Linear::new(int8, weights, self.k, self.n, &bias))
    }
}

/// The arrays by name, and which were asked for.
struct Arrays<'a> {
    weights: WeightSource<'a>,
    used: BTreeSet<String>,
}

impl<'a> Arrays<'a> {
    fn take(&mut self, name: &str, shape: &[usize]) -> Result<Values<'a>, EngineError> {
        let array = self.weights.take(name);
        let (found, values) = array.ok_or_else(|| EngineError::MissingArray {
            name: name.to_owned(),
            shape: shape.to_vec(),
        })?;
        if found != shape || values.len() != shape.iter().product::<usize>() {
            return Err(EngineError::ArrayShape {
                name: name.to_owned(),
                found,
                values: values.len(),
                expected: shape.to_vec(),
            });
        }
        self.used.insert(name.to_owned());
        Ok(values)
    }

    fn linear(&mut self, name: &str, k: usize, n: usize) -> Result<Unpacked<'a>, EngineError> {
        Ok(Unpacked {
            weights: self.take(&format!("{name}.weight"), &[k, n])?,
            bias: self.take(&format!("{name}.bias"), &[n])?,
            k,
            n,
        })
    }

    fn norm(&mut self, name: &str, width: usize) -> Result<Norm, EngineError> {
        let mut padded = |part: &str| -> Result<Buffer, EngineError> {
            let mut buffer = Buffer::zeroed(width);
            let values = self.take(&format!("{name}.{part}"), &[width])?;
            buffer.as_mut_slice()[..width].copy_from_slice(values.all(&mut Vec::new())?);
            Ok(buffer)
        };
        Ok(Norm {
            gain: padded("weight")?,
            bias: padded("bias")?,
        })
    }

    /// Every array was asked for: another one means that the weights are not of this architecture.
    fn no_others(&self) -> Result<(), EngineError> {
        let mut names = self.weights.names().into_iter();
        match names.find(|&name| !self.used.contains(name)) {
            Some(name) => Err(EngineError::UnknownArray(name.to_owned())),
            None => Ok(()),
        }
    }
}
