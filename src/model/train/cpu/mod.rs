//! Steps on the CPU, where `state` itself is what is trained: weights are read and moved in place, and the memory of
//! one step serves the next.

mod arrays;
mod layers;
mod low_rank;
mod network;

use super::TrainError;
use super::backend::{Known, TrainBackend, Update};
use super::checkpoint::TrainState;
use super::step::Batch;
use crate::model::lora::LoraShape;
use crate::model::{Architecture, Weights};

pub(super) use self::network::Network;

/// Tokens that go through the model at a time, unless one example is longer; larger batches are split and their
/// gradients added, so that memory stays bounded. Part of the rounding, hence no option. Ours.
pub(super) const MICRO_BATCH_TOKENS: usize = 1024;

/// The CPU's threads, and memory that they use step after step.
pub(super) struct Cpu {
    network: Network,
    /// Made by the first step; a training that only goes on to validate needs none.
    gradients: Option<Weights>,
    pool: rayon::ThreadPool,
}

impl Cpu {
    /// Trains an adapter of `frozen`: `state` has its arrays, and these weights stay.
    pub(super) fn adapting(mut self, frozen: Weights, shape: LoraShape) -> Self {
        self.network = self.network.adapting(frozen, shape);
        self
    }

    /// Starts threads; 0 for as many as there are cores. At most `micro_batch_tokens` go through the model at a time.
    pub(super) fn new(
        architecture: &Architecture,
        threads: usize,
        micro_batch_tokens: usize,
        gradient_checkpointing: bool,
    ) -> Result<Self, TrainError> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let pool = pool.map_err(|error| TrainError::Threads {
            threads,
            reason: error.to_string(),
        })?;
        Ok(Self {
            network: Network::new(architecture, micro_batch_tokens, gradient_checkpointing),
            gradients: None,
            pool,
        })
    }
}

impl TrainBackend for Cpu {
    fn step(
        &mut self,
        state: &mut TrainState,
        batch: &Batch<'_>,
        update: &Update<'_>,
    ) -> Result<Known, TrainError> {
        let TrainState { weights, adam, .. } = state;
        let gradients = self.gradients.get_or_insert_with(|| weights.zeros());
        let network = &mut self.network;
        let loss = self.pool.install(|| {
            let loss = network.gradients(weights, batch, update.dropout, gradients);
            adam.step(weights, gradients, update.learning_rate, update.options);
            loss
        });
        Ok(Known::Losses(vec![loss]))
    }

    fn loss(&mut self, state: &TrainState, batch: &Batch<'_>) -> Result<f64, TrainError> {
        let network = &mut self.network;
        Ok(self.pool.install(|| network.loss(&state.weights, batch)))
    }

    fn sync(&mut self, _: &mut TrainState) -> Result<(), TrainError> {
        Ok(())
    }
}
