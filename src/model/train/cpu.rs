//! Steps on the CPU, where `state` itself is what is trained.

use super::TrainError;
use super::checkpoint::State;
use super::machine::{Machine, Update};
use super::step::{self, Batch};
use crate::model::Gpt2Config;

/// The CPU's threads.
pub(super) struct Cpu<'a> {
    config: &'a Gpt2Config,
    pool: rayon::ThreadPool,
}

impl<'a> Cpu<'a> {
    /// Starts threads; 0 for as many as there are cores.
    pub(super) fn new(config: &'a Gpt2Config, threads: usize) -> Result<Self, TrainError> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let pool = pool.map_err(|error| TrainError::Threads {
            threads,
            reason: error.to_string(),
        })?;
        Ok(Self { config, pool })
    }
}

impl Machine for Cpu<'_> {
    fn step(
        &mut self,
        state: &mut State,
        batch: &Batch<'_>,
        update: &Update<'_>,
    ) -> Result<f64, TrainError> {
        let State { weights, adam, .. } = state;
        Ok(self.pool.install(|| {
            let (loss, gradients) = step::gradients(self.config, weights, batch, update.dropout);
            adam.step(weights, &gradients, update.learning_rate, update.options);
            loss
        }))
    }

    fn loss(&mut self, state: &State, batch: &Batch<'_>) -> Result<f64, TrainError> {
        let loss = || step::loss(self.config, &state.weights, batch);
        Ok(self.pool.install(loss))
    }

    fn sync(&mut self, _: &mut State) -> Result<(), TrainError> {
        Ok(())
    }
}
