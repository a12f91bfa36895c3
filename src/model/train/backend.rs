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

/// What is known after a step.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Known {
    /// Mean losses of steps, in their order, of which none was told before; those of the last ones may come later.
    Losses(Vec<f64>),
    /// Memory ran out where nobody looked: the steps since the state was last brought here are lost.
    Lost,
}

#[cfg(test)]
impl Known {
    /// The losses.
    pub(super) fn losses(self) -> Vec<f64> {
        match self {
            Self::Losses(losses) => losses,
            Self::Lost => panic!("steps are lost"),
        }
    }
}

/// Where weights and moments are and steps are computed.
pub(super) trait TrainBackend {
    /// One update. Losses are those before it. `state` may lag behind until [`TrainBackend::sync`]; where steps are lost, weights and
    /// moments in it are those to begin again from.
    fn step(
        &mut self,
        state: &mut TrainState,
        batch: &Batch<'_>,
        update: &Update<'_>,
    ) -> Result<Known, TrainError>;

    /// Waits for the losses that are not told yet.
    fn settle(&mut self) -> Result<Known, TrainError> {
        Ok(Known::Losses(Vec::new()))
    }

    /// The batch's mean loss without dropout.
    fn loss(&mut self, state: &TrainState, batch: &Batch<'_>) -> Result<f64, TrainError>;

    /// Brings weights and moments into `state`.
    fn sync(&mut self, state: &mut TrainState) -> Result<(), TrainError>;

    /// Tokens that went through together, if that had to fall.
    fn ladder(&self) -> Vec<usize> {
        Vec::new()
    }
}
