//! A model's weights as the kernels want them: checked by shape, packed once.

use std::sync::Arc;

use rayon::prelude::*;

use super::arrays::Arrays;
use super::linear::{Linear, half_format};
use super::norm::Norm;
use super::packed::Columns;
use super::pages::{PagePool, PageShape};
use super::table::Table;
use super::turns::Turning;
use crate::model::architecture::{
    Architecture, ArrayId, FeedForwardKind, Layout, Output, Positions, Role,
};
use crate::model::in_order::in_order;
use crate::model::kernel::int8::LONGEST;
use crate::model::weight_bytes::weight_bytes;
use crate::model::weight_files::check_room;
use crate::model::{Dtype, EngineError, WeightSource};

/// Matrices of a block, which threads pack side by side.
const LINEARS: usize = 4;

/// One transformer block.
pub(super) struct Block {
    pub(super) attention_norm: Option<Norm>,
    pub(super) query_key_value: Linear,
    /// Of queries and of keys.
    pub(super) head_norms: [Option<Norm>; 2],
    pub(super) attention_out: Linear,
    pub(super) attention_post_norm: Option<Norm>,
    pub(super) feed_forward_norm: Option<Norm>,
    pub(super) up: Linear,
    pub(super) down: Linear,
    pub(super) feed_forward_post_norm: Option<Norm>,
}

/// A packed model.
pub(super) struct Model {
    pub(super) architecture: Architecture,
    pub(super) pages: Arc<PagePool>,
    pub(super) blocks: Vec<Block>,
    pub(super) final_norm: Norm,
    /// The vocabulary projection. Of a tied one a column is a token's embedding.
    pub(super) head: Linear,
    /// `[vocab_rows, width]` where the projection is not it, transposed.
    pub(super) token_embedding: Option<Table>,
    /// `[context, width]` where positions are learned.
    pub(super) position_embedding: Vec<f32>,
    /// How queries and keys are turned.
    pub(super) turning: Turning,
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
        (architecture.check()).map_err(|error| EngineError::Shape(error.to_string()))?;
        let (width, inner) = (architecture.width, architecture.feed_forward.inner);
        let heads = architecture.heads;
        if dtype == Dtype::Int8 && width.max(inner).max(heads.query_width()) > LONGEST {
            let keys = architecture.family.keys();
            return Err(EngineError::Shape(format!(
                "{} {width} and {} {inner} must be at most {LONGEST} where dtype is \"int8\", or sums of bytes overflow",
                keys.width, keys.inner
            )));
        }
        if matches!(weights, WeightSource::Files(_)) {
            let bytes = weight_bytes(architecture, dtype);
            check_room(bytes.saturating_add(packing_bytes(architecture)))?;
        }
        let mut arrays = Arrays::new(architecture, weights)?;
        let mut linears = Vec::new();
        for layer in 0..architecture.layers {
            let up = |columns| match architecture.feed_forward.kind {
                FeedForwardKind::Plain(_) => Columns::Plain(columns),
                FeedForwardKind::Gated(_) => Columns::Gated(columns / 2),
            };
            linears.push(arrays.linear(Role::QueryKeyValue, layer, Columns::Plain)?);
            linears.push(arrays.linear(Role::AttentionOut, layer, Columns::Plain)?);
            linears.push(arrays.linear(Role::Up, layer, up)?);
            linears.push(arrays.linear(Role::Down, layer, Columns::Plain)?);
        }
        let packed = linears.into_par_iter().with_max_len(1);
        let packed = packed.map_init(Vec::new, |room, linear| linear.pack(dtype, room));
        let mut packed = in_order::<_, _, Vec<Linear>>(packed)?.into_iter();
        let mut next = || packed.next().expect("four for each layer");
        let mut blocks = Vec::new();
        for layer in 0..architecture.layers {
            let mut norm = |role| arrays.norm(role, Some(layer));
            blocks.push(Block {
                attention_norm: norm(Role::AttentionNorm)?,
                query_key_value: next(),
                head_norms: [norm(Role::QueryNorm)?, norm(Role::KeyNorm)?],
                attention_out: next(),
                attention_post_norm: norm(Role::AttentionPostNorm)?,
                feed_forward_norm: norm(Role::FeedForwardNorm)?,
                up: next(),
                down: next(),
                feed_forward_post_norm: norm(Role::FeedForwardPostNorm)?,
            });
        }
        let final_norm = arrays.norm(Role::FinalNorm, None)?;
        let position_embedding = match architecture.positions {
            Positions::Rotary => Vec::new(),
            Positions::Learned => arrays.read(ArrayId::POSITION_EMBEDDING)?,
        };
        let (head, token_embedding) = match architecture.output {
            Output::Tied => (ArrayId::TOKEN_EMBEDDING, None),
            Output::Separate => {
                let id = ArrayId::TOKEN_EMBEDDING;
                let (values, _) = arrays.take(id)?;
                let name = architecture.name(id);
                let embedding = Table::new(&name, half_format(dtype), &values)?;
                (ArrayId::OUTPUT, Some(embedding))
            }
        };
        let name = architecture.name(head);
        let (head, _) = arrays.take(head)?;
        Ok(Self {
            pages: PagePool::new(PageShape {
                layers: architecture.layers,
                heads: heads.key,
                head_dim: heads.width,
            }),
            blocks,
            final_norm: final_norm.expect("every architecture has one"),
            head: Linear::transposed(&name, dtype, &head, width, architecture.vocab_rows)?,
            token_embedding,
            position_embedding,
            turning: Turning::new(architecture),
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

/// Bytes that packing takes beside what it makes: each thread of the caller's pool has a block's matrix in f32, and the
/// part of it that is read from a file.
fn packing_bytes(architecture: &Architecture) -> u64 {
    let arrays = architecture.arrays().into_iter();
    let matrices = arrays.filter(|array| array.id.layer.is_some());
    let values = matrices.map(|array| {
        let parts = array
            .files
            .iter()
            .filter(|file| file.layout != Layout::Same);
        let part = parts.map(|file| file.shape.iter().product::<usize>()).max();
        array.len() + part.unwrap_or(0)
    });
    let threads = rayon::current_num_threads().min(architecture.layers * LINEARS);
    4 * (threads * values.max().unwrap_or(0)) as u64
}
