//! A model in burn: stock operations alone, for every device that burn has.
//!
//! In: [`Parameters`] on a device. Out: loss and gradients of packed training rows (`loss`), or logits and keys
//! and values of sequences that are read and go on token by token (`reading`). Backward passes are written out beside the
//! forward ones: each part leaves a tape that says what its own needs, and nothing is recorded behind its back. Weights and
//! products are in the parameters' number format; the residual stream, norms, rotation, softmax and loss are f32.
//! Source: HF transformers, `modeling_gpt2.py`, `modeling_llama.py` and those of the other families.

mod activation;
mod affine;
mod attention;
mod best;
mod block;
mod embedding;
mod feed_forward;
mod gradients;
mod loss;
mod masks;
mod norm;
mod ops;
mod packed;
mod parameters;
mod reading;
mod rotary;

use std::collections::BTreeMap;
use std::sync::Mutex;

use burn::tensor::{Device, FloatDType};

pub(crate) use self::best::{BestAsked, BestLogits, LogitRows, TokenLogits};
pub(crate) use self::gradients::Gradients;
pub(crate) use self::loss::{Arithmetic, Asked, gradients, loss_alone};
pub(crate) use self::parameters::{Parameter, Parameters};
pub(crate) use self::reading::{
    Copies, DecodeBatch, LOGIT_BATCH, Next, READ_BATCH, bucket, step_input,
};

use self::block::Block;
use self::embedding::Embedding;
use self::norm::Norm;
use self::rotary::Turns;
use super::architecture::{Architecture, BlockAttention, Heads, Role};
use super::device::FusedAttention;

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
        let final_norm = Norm::new(parameters, Role::FinalNorm, None, config);
        Self {
            embedding: Embedding::new(parameters, config),
            blocks: (0..architecture.layers).map(block).collect(),
            final_norm: final_norm.expect("the weights were checked against the architecture"),
            heads: architecture.heads,
            pattern: architecture.attention.pattern.clone(),
            fused: None,
            turns: Mutex::default(),
        }
    }

    /// Where it is.
    pub(crate) fn device(&self) -> Device {
        self.embedding.device()
    }

    /// The same, where the device may attend in one operation.
    pub(crate) fn attending(self, fused: Option<FusedAttention>) -> Self {
        Self { fused, ..self }
    }
}
