//! The sampling engine on any burn device: what `model::engine` is to the CPU.
//!
//! Prompts are read once and their keys and values copied to their sequences; batches of sequences stay full as
//! sequences end; tokens are drawn on the host by the same rule and the same random streams, from each row's most probable
//! tokens, which are all that comes here of a row. Tensors have fixed shapes (see
//! `network::reading`), so a sequence is the same at any batch size. When a device fails while steps are graphs, it goes on
//! without; when it runs out of memory then, with half as many batches, and where it does not hold one, with half of that. The
//! sequences that were under way begin again: they come out the same, of a smaller batch but for rounding.

mod batches;
mod decoder;
mod row;
mod score;
mod step_batch;
mod together;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::device::{DeviceFailure, OpenDevice};
use super::kernel::lanes::Isa;
use super::network::{Network, Parameters, bucket};
use super::{Architecture, EngineError, EngineOptions, Weights};
use together::{AUTO_LENGTH, Together};

/// A model on a device.
pub struct DeviceEngine {
    network: Arc<Network>,
    architecture: Architecture,
    isa: Isa,
    /// How many sequences go on together, the last: each further one is where memory ran out.
    together: Mutex<Vec<Together>>,
    /// Whether steps become graphs; until the device fails.
    graphs: AtomicBool,
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
        device: &OpenDevice,
        options: EngineOptions,
    ) -> Result<Self, EngineError> {
        weights
            .check(architecture)
            .map_err(|error| EngineError::Shape(error.to_string()))?;
        let dtype = device.float(options.dtype);
        let dtype = dtype.ok_or(EngineError::Dtype(options.dtype))?;
        let network = super::device::guarded(|| {
            let parameters = Parameters::upload(weights, &device.tensors).cast(dtype);
            Network::new(architecture, &parameters, dtype).attending(device.attention)
        })
        .map_err(failed)?;
        let slot = 2 * architecture.layers * architecture.heads.key_width();
        let slot = slot * burn::tensor::DType::from(dtype).size();
        let sequence = slot * bucket(AUTO_LENGTH, architecture.context);
        let together = Together::of(device.places, sequence, options.max_batch);
        Ok(Self {
            network: Arc::new(network),
            architecture: architecture.clone(),
            isa: Isa::available()[0],
            together: Mutex::new(vec![together]),
            graphs: AtomicBool::new(device.graphs && options.graphs),
            #[cfg(test)]
            faults: Mutex::default(),
        })
    }

    /// How many sequences went on together: the first number was chosen, each further one is where memory ran out.
    pub fn batch_ladder(&self) -> Vec<usize> {
        let ladder = self.ladder();
        ladder.iter().map(|together| together.sequences()).collect()
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
                let places: Vec<usize> = (0..rows.len()).collect();
                logits.whole(&places)
            });
            logits.collect()
        })
        .map_err(failed)
    }

    fn check_tokens(&self, index: usize, tokens: &[u32], limit: usize) -> Result<(), EngineError> {
        super::engine_error::check_tokens(index, tokens, limit, self.architecture.vocab_rows)
    }

    /// How many sequences go on together now.
    fn together(&self) -> Together {
        let ladder = self.ladder();
        *ladder.last().expect("it begins with one")
    }

    fn ladder(&self) -> MutexGuard<'_, Vec<Together>> {
        self.together.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn graphs(&self) -> bool {
        self.graphs.load(Ordering::Relaxed)
    }

    /// As [`super::sampling::Decoder::recover`]: steps are no longer graphs, if they were, which take memory too and are not
    /// needed; else, where memory ran out, half as many sequences go on together.
    fn recover(&self, failure: &DeviceFailure) -> bool {
        if self.graphs.swap(false, Ordering::Relaxed) {
            tracing::warn!(%failure, "the device failed; going on without graphs of steps");
            return true;
        }
        let DeviceFailure::OutOfMemory(_) = failure else {
            return false;
        };
        let mut ladder = self.ladder();
        let now = *ladder.last().expect("it begins with one");
        let Some(half) = now.half() else {
            return false;
        };
        ladder.push(half);
        let sequences = half.sequences();
        if half.places == now.places {
            tracing::warn!(sequences, "the device's memory ran out; going on with half");
        } else {
            tracing::warn!(
                sequences,
                "the device's memory does not hold one batch; going on with half of it, which may round otherwise"
            );
        }
        true
    }
}

/// A failure of the device, as an engine's.
fn failed(failure: DeviceFailure) -> EngineError {
    EngineError::Device(failure)
}
