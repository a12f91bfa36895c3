//! Why a training did not finish.

use std::io;
use std::path::PathBuf;

use crate::disk::advice;
use crate::memory::Shortage;
use crate::model::device::{DeviceError, DeviceFailure};
use crate::model::{Dtype, ModelError};

/// A training that did not finish.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// Nothing to learn from.
    #[error(
        "the training set is empty: {given} examples were given, {skipped} have no token to learn\nhint: did the filter drop every path?"
    )]
    Empty {
        /// Examples given.
        given: usize,
        /// Of these, left out.
        skipped: usize,
    },
    /// The best epoch cannot be told.
    #[error(
        "`keep` is best, but there are no validation examples to tell the best by\nhint: set keep = \"last\" or give a validation set"
    )]
    NoValidation,
    /// A token that the student does not have.
    #[error(
        "example {index} has token {token}, but the vocabulary has {vocabulary} tokens\nhint: was it encoded with another student's tokenizer?"
    )]
    Token {
        /// The example, from 0.
        index: usize,
        /// The token.
        token: u32,
        /// Tokens of the student.
        vocabulary: usize,
    },
    /// The loss left the numbers.
    #[error(
        "the loss is {loss} at step {step} (epoch {epoch})\nhint: lower `learning_rate`, or set `grad_clip` or `warmup_steps`"
    )]
    NotFinite {
        /// The loss.
        loss: f64,
        /// The step, from 1.
        step: usize,
        /// The epoch, from 1.
        epoch: usize,
    },
    /// There is not so much memory.
    #[error(transparent)]
    Memory(Shortage),
    /// The weights left the numbers, or do not fit the config.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A checkpoint cannot be written.
    #[error(
        "cannot write a checkpoint into `{}`: {source}{}\nhint: `--cache DIR` puts the store elsewhere; what is done is kept",
        folder.display(),
        advice(source)
    )]
    Checkpoint {
        /// Where.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Threads cannot be started.
    #[error("cannot start {threads} threads: {reason}")]
    Threads {
        /// How many.
        threads: usize,
        /// Why not.
        reason: String,
    },
    /// The number format is not the device's.
    #[error(
        "this device does not train in {0}\nhint: `cuda` has tf32, every other device f32; `sert-run doctor --dtype {0}` tries it on each device"
    )]
    Dtype(Dtype),
    /// The device is not to be had.
    #[error(transparent)]
    NoDevice(#[from] DeviceError),
    /// The device failed, or its memory does not hold one example.
    #[error(
        "the device failed: {0}\nhint: `sert-run doctor` tests each device; less memory is needed with gradient checkpointing or dtype = \"bf16\""
    )]
    Device(DeviceFailure),
    /// Somebody asked to stop; the last whole epoch's checkpoint stays.
    #[error("training was interrupted")]
    Cancelled,
}
