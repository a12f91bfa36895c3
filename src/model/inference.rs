//! Sampling and scoring on whatever device: the CPU's own engine, or the one over burn.

use super::device::{DeviceError, DeviceName};
use super::device_engine::DeviceEngine;
use super::engine::Engine;
use super::sampling::{Expand, Generated, GenerationRequest};
use super::{Architecture, EngineError, EngineOptions, ModelError, ScoreJob, WeightSource};
use crate::event::CancelToken;

/// A model that is ready to be sampled.
pub enum Inference {
    /// By our own kernels.
    Cpu(Box<Engine>),
    /// By burn.
    Device(Box<DeviceEngine>),
}

/// Why a model is not ready.
#[derive(Debug, thiserror::Error)]
pub enum InferenceError {
    /// The device is not to be had.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The engine refuses the model.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The weights cannot be read.
    #[error(transparent)]
    Model(#[from] ModelError),
}

impl Inference {
    /// Brings the weights to where they are used.
    ///
    /// # Errors
    /// The device is not to be had; the weights do not fit; the number format is not the device's.
    pub fn new<'a>(
        device: DeviceName,
        architecture: &Architecture,
        weights: impl Into<WeightSource<'a>>,
        options: EngineOptions,
    ) -> Result<Self, InferenceError> {
        if device == DeviceName::Cpu {
            let engine = Engine::new(architecture, weights, options)?;
            return Ok(Self::Cpu(Box::new(engine)));
        }
        let device = device.open()?;
        device.set_threads(options.threads);
        let weights = weights.into().in_memory()?;
        let engine = DeviceEngine::new(architecture, &weights, &device, options)?;
        Ok(Self::Device(Box::new(engine)))
    }

    /// Generates sequences; see [`Engine::generate`].
    ///
    /// # Errors
    /// Those of [`Engine::generate`]; the device fails.
    pub fn generate(
        &self,
        request: GenerationRequest<'_>,
        expand: &mut Expand<'_>,
        done: &mut (dyn FnMut(Generated) + Send),
        cancel: &CancelToken,
    ) -> Result<(), EngineError> {
        match self {
            Self::Cpu(engine) => engine.generate(request, expand, done, cancel),
            Self::Device(engine) => engine.generate(request, expand, done, cancel),
        }
    }

    /// Log-probabilities of given continuations; see [`Engine::score`].
    ///
    /// # Errors
    /// Those of [`Engine::score`]; the device fails.
    pub fn score(
        &self,
        jobs: &[ScoreJob],
        done: &mut (dyn FnMut(usize, Vec<Vec<f64>>) + Send),
        cancel: &CancelToken,
    ) -> Result<(), EngineError> {
        match self {
            Self::Cpu(engine) => engine.score(jobs, done, cancel),
            Self::Device(engine) => engine.score(jobs, done, cancel),
        }
    }

    /// Logits `[tokens, vocab]` after each token of one sequence.
    ///
    /// # Errors
    /// Those of [`Engine::logits`]; the device fails.
    pub fn logits(&self, tokens: &[u32]) -> Result<Vec<f32>, EngineError> {
        match self {
            Self::Cpu(engine) => engine.logits(tokens),
            Self::Device(engine) => engine.logits(tokens),
        }
    }

    /// How many sequences went on together on a device: the first number was chosen, each further one is where its
    /// memory ran out. Empty on the CPU.
    pub fn batch_ladder(&self) -> Vec<usize> {
        match self {
            Self::Cpu(_) => Vec::new(),
            Self::Device(engine) => engine.batch_ladder(),
        }
    }
}
