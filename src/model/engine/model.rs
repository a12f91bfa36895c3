//! A model's weights as the kernels want them: checked by shape, packed once.

use indexmap::IndexMap;
use rayon::prelude::*;

use super::cache::PageShape;
use super::linear::Linear;
use crate::model::architecture::{
    Architecture, ArrayId, ArraySpec, FeedForwardKind, NormKind, Output, Positions, Role,
};
use crate::model::in_order::in_order;
use crate::model::kernel::buffer::Buffer;
use crate::model::kernel::int8::LONGEST;
use crate::model::source::Values;
use crate::model::{Dtype, EngineError, ModelError, WeightSource};

/// A norm's weight and bias, padded with zeros to whole vectors.
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

/// A packed model.
pub(super) struct Model {
    pub(super) architecture: Architecture,
    pub(super) page: PageShape,
    pub(super) blocks: Vec<Block>,
    pub(super) final_norm: Norm,
    /// The tied embedding, transposed: the vocabulary projection; a column is a token's embedding.
    pub(super) head: Linear,
    /// `[context, width]`.
    pub(super) position_embedding: Vec<f32>,
}

impl Model {
    /// Checks and packs `weights`. Of weights that it owns, it frees each array when that is packed, and those in files
    /// it reads then, so the peak is hardly more than one copy of them. The threads of the caller's pool share the arrays
    /// out: most of the time goes to memory that is touched for the first time.
    pub(super) fn new(
        architecture: &Architecture,
        weights: WeightSource<'_>,
        dtype: Dtype,
    ) -> Result<Self, EngineError> {
        let int8 = match dtype {
            Dtype::F32 => false,
            Dtype::Int8 => true,
            Dtype::Bf16 | Dtype::F16 => return Err(EngineError::Dtype(dtype)),
        };
        (architecture.check()).map_err(|error| EngineError::Shape(error.to_string()))?;
        let (width, inner) = (architecture.width, architecture.feed_forward.inner);
        let heads = architecture.heads;
        if int8 && width.max(inner).max(heads.query_width()) > LONGEST {
            let keys = architecture.family.keys();
            return Err(EngineError::Shape(format!(
                "{} {width} and {} {inner} must be at most {LONGEST} where dtype is \"int8\", or sums of bytes overflow",
                keys.width, keys.inner
            )));
        }
        if let WeightSource::Files(files) = &weights {
            files.check_room(if int8 { 1 } else { 4 })?;
        }
        let mut arrays = Arrays::new(architecture, weights)?;
        let (mut norms, mut linears) = (Vec::new(), Vec::new());
        for layer in 0..architecture.layers {
            norms.push([
                arrays.norm(Role::AttentionNorm, Some(layer))?,
                arrays.norm(Role::FeedForwardNorm, Some(layer))?,
            ]);
            linears.push(arrays.linear(Role::QueryKeyValue, layer)?);
            linears.push(arrays.linear(Role::AttentionOut, layer)?);
            match architecture.feed_forward.kind {
                FeedForwardKind::Gated(_) => todo!("families"),
                FeedForwardKind::Plain(_) => {
                    linears.push(arrays.linear(Role::Up, layer)?);
                    linears.push(arrays.linear(Role::Down, layer)?);
                }
            }
        }
        let final_norm = arrays.norm(Role::FinalNorm, None)?;
        let position_embedding = match architecture.positions {
            Positions::Rotary => todo!("families"),
            Positions::Learned => arrays.read(ArrayId::POSITION_EMBEDDING)?,
        };
        let (embedding, _) = arrays.take(ArrayId::TOKEN_EMBEDDING)?;

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
        let head = match architecture.output {
            Output::Separate => todo!("families"),
            Output::Tied => Linear::transposed(int8, &embedding, width, architecture.vocab_rows)?,
        };
        Ok(Self {
            page: PageShape {
                layers: architecture.layers,
                heads: heads.key,
                head_dim: heads.width,
            },
            blocks,
            final_norm,
            head,
            position_embedding,
            architecture: architecture.clone(),
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

/// The arrays that are there, and those that are to be.
struct Arrays<'a> {
    weights: WeightSource<'a>,
    specs: IndexMap<ArrayId, ArraySpec>,
    norm: NormKind,
}

impl<'a> Arrays<'a> {
    /// # Errors
    /// There is an array that the architecture has not: the weights are another's.
    fn new(architecture: &Architecture, weights: WeightSource<'a>) -> Result<Self, EngineError> {
        let specs = architecture.arrays().into_iter();
        let specs: IndexMap<ArrayId, ArraySpec> = specs.map(|spec| (spec.id, spec)).collect();
        let mut ids = weights.ids().into_iter();
        if let Some(stranger) = ids.find(|id| !specs.contains_key(id)) {
            return Err(EngineError::UnknownArray(architecture.name(stranger)));
        }
        Ok(Self {
            weights,
            specs,
            norm: architecture.norm.kind,
        })
    }

    /// An array's values and shape.
    fn take(&mut self, id: ArrayId) -> Result<(Values<'a>, &[usize]), EngineError> {
        let ArraySpec { name, shape, .. } = &self.specs[&id];
        let array = self.weights.take(id);
        let (found, values) = array.ok_or_else(|| EngineError::MissingArray {
            name: name.clone(),
            shape: shape.clone(),
        })?;
        if found != *shape || values.len() != shape.iter().product::<usize>() {
            return Err(EngineError::ArrayShape {
                name: name.clone(),
                found,
                values: values.len(),
                expected: shape.clone(),
            });
        }
        Ok((values, shape))
    }

    fn read(&mut self, id: ArrayId) -> Result<Vec<f32>, EngineError> {
        let (values, _) = self.take(id)?;
        Ok(values.all(&mut Vec::new())?.to_vec())
    }

    fn linear(&mut self, role: Role, layer: usize) -> Result<Unpacked<'a>, EngineError> {
        let (bias, _) = self.take(ArrayId::bias(role, layer))?;
        let (weights, shape) = self.take(ArrayId::weight(role, layer))?;
        Ok(Unpacked {
            weights,
            bias,
            k: shape[0],
            n: shape[1],
        })
    }

    fn norm(&mut self, role: Role, layer: Option<usize>) -> Result<Norm, EngineError> {
        let kind = self.norm;
        let mut padded = |id| -> Result<Buffer, EngineError> {
            let values = self.read(id)?;
            let mut buffer = Buffer::zeroed(values.len());
            buffer.as_mut_slice()[..values.len()].copy_from_slice(&values);
            Ok(buffer)
        };
        match kind {
            NormKind::Rms { .. } => todo!("families"),
            NormKind::Layer => Ok(Norm {
                gain: padded(ArrayId::weight(role, layer))?,
                bias: padded(ArrayId::bias(role, layer))?,
            }),
        }
    }
}
