//! Why a model cannot be sampled or read, on any device.

use super::device::DeviceFailure;
use super::{Dtype, ModelError};

/// Why the engine refused or stopped.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The architecture contradicts itself.
    #[error("impossible shape: {0}\nhint: compare config.json with the model it came with")]
    Shape(String),
    /// An array is not there.
    #[error(
        "array `{name}` of shape {shape:?} is missing\nhint: are these the weights of the model that config.json describes?"
    )]
    MissingArray {
        /// Its name.
        name: String,
        /// The shape that the configuration implies.
        shape: Vec<usize>,
    },
    /// An array has another shape.
    #[error(
        "array `{name}` has shape {found:?} and {values} values, expected {expected:?}\nhint: are these the weights of the model that config.json describes?"
    )]
    ArrayShape {
        /// Its name.
        name: String,
        /// The shape found.
        found: Vec<usize>,
        /// How many values it holds.
        values: usize,
        /// The shape that the configuration implies.
        expected: Vec<usize>,
    },
    /// The weights cannot be read.
    #[error(transparent)]
    Weights(#[from] ModelError),
    /// An array that the architecture does not have.
    #[error("array `{0}` is not part of a model with this configuration")]
    UnknownArray(String),
    /// A sampling parameter is out of range.
    #[error("sampling parameters: {0}")]
    Params(String),
    /// Something to read has no tokens, and nothing can be drawn after nothing.
    #[error("prompt {index} is empty")]
    EmptyPrompt {
        /// Which prompt, from 0.
        index: usize,
    },
    /// A token id is not in the vocabulary.
    #[error(
        "prompt {index}: token {token} is not below the vocabulary size {vocab_size}\nhint: was the text encoded with this model's tokenizer?"
    )]
    Token {
        /// Which prompt, from 0.
        index: usize,
        /// The token.
        token: u32,
        /// The vocabulary's size.
        vocab_size: usize,
    },
    /// Too long for the context.
    #[error(
        "prompt {index}: {tokens} tokens, at most {limit} fit the context\nhint: shorten the text, or use a model with a longer context"
    )]
    TooLong {
        /// Which prompt, from 0.
        index: usize,
        /// Its length, with its continuation where it has one.
        tokens: usize,
        /// The longest that fits.
        limit: usize,
    },
    /// The model's output is infinite or not a number.
    #[error(
        "prompt {index}: the logits are not finite\nhint: the weights are damaged, or the training that made them diverged"
    )]
    NotFinite {
        /// Which prompt, from 0.
        index: usize,
    },
    /// Threads could not be started.
    #[error("cannot start {threads} threads")]
    Threads {
        /// How many were asked for.
        threads: usize,
        /// Why not.
        #[source]
        source: rayon::ThreadPoolBuildError,
    },
    /// The number format is another device's.
    #[error(
        "this device does not compute in {0}\nhint: `cuda` has tf32, every other device f32; `sert-run doctor --dtype {0}` tries it on each device"
    )]
    Dtype(Dtype),
    /// The device that it runs on failed.
    #[error(
        "the device failed: {0}\nhint: `sert-run doctor` tests each device; less memory is needed with dtype = \"bf16\" or fewer max_new_tokens"
    )]
    Device(DeviceFailure),
    /// Somebody asked to stop.
    #[error("cancelled")]
    Cancelled,
}

/// Whether `tokens`, prompt or sequence `index`, can be read.
pub(super) fn check_tokens(
    index: usize,
    tokens: &[u32],
    limit: usize,
    vocab_size: usize,
) -> Result<(), EngineError> {
    if tokens.is_empty() {
        return Err(EngineError::EmptyPrompt { index });
    }
    if tokens.len() > limit {
        return Err(EngineError::TooLong {
            index,
            tokens: tokens.len(),
            limit,
        });
    }
    match tokens.iter().find(|&&token| token as usize >= vocab_size) {
        Some(&token) => Err(EngineError::Token {
            index,
            token,
            vocab_size,
        }),
        None => Ok(()),
    }
}
