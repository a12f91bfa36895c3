//! The sampling engine on any burn device: what `model::engine` is to the CPU.
//!
//! Prompts are read once and their keys and values copied to their sequences; batches of sequences stay full as
//! sequences end; tokens are drawn on the host by the same rule and the same random streams, from each row's most probable
//! tokens, which are all that comes here of a row. Tensors have fixed shapes (see
//! `network::reading`), so a sequence is the same at any batch size. When a device fails while steps are graphs, it goes on
//! without; when it runs out of memory then, with half as many batches. The sequences that were under way begin again: they come out the same.

mod batches;
mod decoder;
mod row;
mod score;
mod step_batch;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::device::{DeviceFailure, OpenDevice};
use super::kernel::lanes::Isa;
use super::network::{Network, Parameters, bucket};
use super::{Architecture, EngineError, EngineOptions, Weights};

/// Bytes of keys and values that batches may take, where the caller leaves the choice.
const AUTO_CACHE_BYTES: usize = 4 << 30;
/// The same of a card, and the least of its batches: a model whose batch is more gets fewer places.
const CARD_CACHE_BYTES: usize = 24 << 30;
/// Sequences at most, where the caller leaves the choice: of a processor, and of a card.
const AUTO_SEQUENCES: [usize; 2] = [512, 1024];
/// Places of a batch at least.
const SMALLEST_BATCH: usize = 64;
/// The length, in tokens, that the choice reckons with.
const AUTO_LENGTH: usize = 256;

/// A model on a device.
pub struct DeviceEngine {
    network: Arc<Network>,
    architecture: Architecture,
    isa: Isa,
    /// Sequences of a batch, however few there are.
    places: usize,
    /// Batches at a time; falls when memory runs out.
    batches: Mutex<Vec<usize>>,
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
        let (places, batches) = places(device.places, sequence);
        let batches = match options.max_batch {
            0 => batches,
            chosen => chosen.div_ceil(places),
        };
        Ok(Self {
            network: Arc::new(network),
            architecture: architecture.clone(),
            isa: Isa::available()[0],
            places,
            batches: Mutex::new(vec![batches]),
            graphs: AtomicBool::new(device.graphs && options.graphs),
            #[cfg(test)]
            faults: Mutex::default(),
        })
    }

    /// How many sequences went on together: the first number was chosen, each further one is where memory ran out.
    pub fn batch_ladder(&self) -> Vec<usize> {
        let batches = self.batches.lock().unwrap_or_else(PoisonError::into_inner);
        batches
            .iter()
            .map(|batches| batches * self.places)
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

    fn batches(&self) -> usize {
        let batches = self.batches.lock().unwrap_or_else(PoisonError::into_inner);
        batches.last().copied().unwrap_or(1)
    }

    fn graphs(&self) -> bool {
        self.graphs.load(Ordering::Relaxed)
    }

    /// As [`super::sampling::Decoder::recover`]: steps are no longer graphs, if they were, which take memory too and are not
    /// needed; else, where memory ran out, half as many batches go on together.
    fn recover(&self, failure: &DeviceFailure) -> bool {
        if self.graphs.swap(false, Ordering::Relaxed) {
            tracing::warn!(%failure, "the device failed; going on without graphs of steps");
            return true;
        }
        let mut batches = self.batches.lock().unwrap_or_else(PoisonError::into_inner);
        let now = batches.last().copied().unwrap_or(1);
        if now == 1 || !matches!(failure, DeviceFailure::OutOfMemory(_)) {
            return false;
        }
        batches.push(now / 2);
        tracing::warn!(
            sequences = now / 2 * self.places,
            "the device's memory ran out; going on with half"
        );
        true
    }
}

/// How many places a batch has, and how many batches there are, where a sequence takes `sequence` bytes. The places are
/// the backend's, or as many as fit beside the weights of a large model: they depend on nothing that may be otherwise the
/// next time.
fn places(most: usize, sequence: usize) -> (usize, usize) {
    let card = most > SMALLEST_BATCH;
    let bytes = if card {
        CARD_CACHE_BYTES
    } else {
        AUTO_CACHE_BYTES
    };
    let mut places = most;
    while places > SMALLEST_BATCH && places * sequence > bytes / 2 {
        places /= 2;
    }
    let sequences = AUTO_SEQUENCES[usize::from(card)];
    (
        places,
        (bytes / (places * sequence)).clamp(1, sequences / places),
    )
}

/// A failure of the device, as an engine's.
fn failed(failure: DeviceFailure) -> EngineError {
    EngineError::Device(failure)
}
