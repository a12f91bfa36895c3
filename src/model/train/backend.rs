//! What computes a step. Data order, schedule, dropout and checkpoints are the same on all of them.

use super::TrainError;
use super::checkpoint::TrainState;
use super::options::TrainOptions;
use super::step::Batch;
use crate::model::dropout::Dropout;

/// How one update is made.
pub(super) struct Update<'a> {
    pub(super) options: &'a TrainOptions,
    pub(super) learning_rate: f64,
    pub(super) dropout: Option<Dropout>,
}

/// Where weights and moments are and steps are computed.
pub(super) trait TrainBackend {
    /// One update; the batch's mean loss before it. `state` may lag behind until [`TrainBackend::sync`].
    fn step(
        &mut self,
        state: &mut TrainState,
        batch: &Batch<'_>,
        update: &Update<'_>,
    ) -> Result<f64, TrainError>;

    /// The batch's mean loss without dropout.
    fn loss(&mut self, state: &TrainState, batch: &Batch<'_>) -> Result<f64, TrainError>;

    /// Brings weights and moments into `state`.
    fn sync(&mut self, state: &mut TrainState) -> Result<(), TrainError>;

    /// Tokens that went through together, if that had to fall.
    fn ladder(&self) -> Vec<usize> {
        Vec::new()
    }
}
