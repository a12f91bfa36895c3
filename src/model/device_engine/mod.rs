//! The sampling engine on any burn device: what `model::engine` is to the CPU.
//!
//! Prompts are read once and their keys and values copied to their sequences; batches of sequences stay full as
//! sequences end; tokens are drawn on the host by the same rule and the same random streams. Tensors have fixed shapes (see
//! `network::reading`), so a sequence is the same at any batch size. When a device runs out of memory, it goes on with half as
//! many batches, and the sequences that were under way begin again: they come out the same.

mod batches;
mod decoder;
mod score;
#[cfg(test)]
mod tests;

use std::sync::{Mutex, PoisonError};

use burn::tensor::Device;

use super::device::DeviceFailure;
use super::kernel::lanes::Isa;
use super::network::{DECODE_BATCH, Network, Parameters, bucket};
use super::{Architecture, EngineError, EngineOptions, Weights};

/// Bytes of keys and values that batches may take, where the caller leaves the choice.
const AUTO_CACHE_BYTES: usize = 4 << 30;
/// Batches at most, where the caller leaves the choice.
const AUTO_BATCHES: usize = 8;
/// The length, in tokens, that the choice reckons with.
const AUTO_LENGTH: usize = 256;

/// A model on a device.
pub struct DeviceEngine {
    network: Network,
    architecture: Architecture,
    isa: Isa,
    /// Batches at a time; falls when memory runs out.
    batches: Mutex<Vec<usize>>,
    /// Test: the steps at which memory runs out.
    #[cfg(test)]
    faults: Mutex<Vec<usize>>,
}

impl DeviceEngine {
    /// Brings the weights to `device`.
    ///
    /// # Errors
    /// The weights do not fit the architecture; the device has not the number format, or fails.
    pub fn new(
        architecture: &Architecture,
        weights: &Weights,
        device: &Device,
        options: EngineOptions,
    ) -> Result<Self, EngineError> {
        weights
            .check(architecture)
            .map_err(|error| EngineError::Shape(error.to_string()))?;
        let dtype = options.dtype.on_device(device);
        let dtype = dtype.ok_or(EngineError::Dtype(options.dtype))?;
        let network = super::device::guarded(|| {
            let parameters = Parameters::upload(weights, device).cast(dtype);
            Network::new(architecture, &parameters, dtype)
        })
        .map_err(failed)?;
        let slot = 2 * architecture.layers * architecture.heads.key_width();
        let slot = slot * burn::tensor::DType::from(dtype).size();
        let batch = slot * DECODE_BATCH * bucket(AUTO_LENGTH, architecture.context);
        let batches = match options.max_batch {
            0 => (AUTO_CACHE_BYTES / batch).clamp(1, AUTO_BATCHES),
            chosen => chosen.div_ceil(DECODE_BATCH),
        };
        Ok(Self {
            network,
            architecture: architecture.clone(),
            isa: Isa::available()[0],
            batches: Mutex::new(vec![batches]),
            #[cfg(test)]
            faults: Mutex::default(),
        })
    }

    /// How many sequences went on together: the first number was chosen, each further one is where memory ran out.
    pub fn batch_ladder(&self) -> Vec<usize> {
        let batches = self.batches.lock().unwrap_or_else(PoisonError::into_inner);
        batches
            .iter()
            .map(|batches| batches * DECODE_BATCH)
            .collect()
    }

    /// Logits after each token of one sequence.
    ///
    /// # Shapes
    /// `tokens` `[tokens]`; to `[tokens, vocab_rows]`.
    ///
    /// # Errors
    /// As of [`super::engine::Engine::logits`]; the device fails.
    pub fn logits(&self, tokens: &[u32]) -> Result<Vec<f32>, EngineError> {
        self.check_tokens(0, tokens, self.architecture.context)?;
        super::device::guarded(|| {
            let bucket = bucket(tokens.len(), self.architecture.context);
            let (hidden, _) = self.network.read(&[tokens], bucket);
            let rows: Vec<usize> = (0..tokens.len()).collect();
            let logits = rows.chunks(super::network::LOGIT_BATCH).flat_map(|rows| {
                let logits = self.network.logits_of(&hidden, rows);
                logits
                    .into_iter()
                    .take(rows.len() * self.architecture.vocab_rows)
            });
            logits.collect()
        })
        .map_err(failed)
    }

    fn check_tokens(&self, index: usize, tokens: &[u32], limit: usize) -> Result<(), EngineError> {
        super::engine_error::check_tokens(index, tokens, limit, self.architecture.vocab_rows)
    }

    fn batches(&self) -> usize {
        let batches = self.batches.lock().unwrap_or_else(PoisonError::into_inner);
        batches.last().copied().unwrap_or(1)
    }

    /// Answers that memory ran out: halves how many batches go on together; `false` where it is one already.
    fn handle_oom(&self) -> bool {
        let mut batches = self.batches.lock().unwrap_or_else(PoisonError::into_inner);
        let now = batches.last().copied().unwrap_or(1);
        if now > 1 {
            batches.push(now / 2);
        }
        now > 1
    }
}

/// A failure that halving does not answer.
fn failed(failure: DeviceFailure) -> EngineError {
    EngineError::Device(failure)
}
