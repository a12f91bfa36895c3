//! One epoch: its steps, whose losses may come some together, then validation.

use std::collections::VecDeque;

use super::backend::{Known, TrainBackend, Update};
use super::checkpoint::TrainState;
use super::data::{Example, order};
use super::step::Batch;
use super::{Keep, LossPoint, TrainError, TrainOptions, TrainProgress};
use crate::event::CancelToken;
use crate::model::Architecture;
use crate::model::dropout::Dropout;

/// A step whose loss may not be known yet.
struct StepDone {
    /// From 1.
    step: usize,
    loss_tokens: f64,
    learning_rate: f64,
    /// Trained on by then.
    tokens: u64,
}

/// What an epoch's losses come to.
#[derive(Default)]
struct EpochSums {
    /// Over all tokens that count.
    loss: f64,
    /// Those.
    tokens: f64,
    /// The last step's.
    learning_rate: f64,
}

impl EpochSums {
    fn add(&mut self, loss: f64, done: &StepDone) {
        self.loss += loss * done.loss_tokens;
        self.tokens += done.loss_tokens;
        self.learning_rate = done.learning_rate;
    }
}

/// A training under way.
pub(super) struct Training<'a> {
    pub(super) architecture: &'a Architecture,
    pub(super) options: &'a TrainOptions,
    pub(super) seed: u64,
    pub(super) examples: &'a [Example],
    pub(super) validation: &'a [Example],
    pub(super) backend: &'a mut dyn TrainBackend,
    pub(super) state: TrainState,
}

impl Training<'_> {
    /// Steps of all epochs.
    pub(super) fn steps_total(&self) -> usize {
        self.options.steps(self.examples.len())
    }

    /// One pass over the examples, or as much of it as there are steps left.
    pub(super) fn epoch(
        &mut self,
        progress: &mut dyn FnMut(TrainProgress),
        cancel: &CancelToken,
    ) -> Result<(), TrainError> {
        let before = (self.state.adam.steps, self.state.tokens);
        let sums = loop {
            if let Some(sums) = self.steps(progress, cancel)? {
                break sums;
            }
            // Weights and moments here are those of the epoch's beginning.
            (self.state.adam.steps, self.state.tokens) = before;
        };
        self.backend.sync(&mut self.state)?;
        // The last step's loss does not show what the step itself did.
        self.state.weights.check_finite(self.architecture)?;
        let validation_loss = self.validate(cancel)?;
        if let Some(loss) = validation_loss.filter(|_| self.options.keep == Keep::Best)
            && self
                .state
                .best
                .as_ref()
                .is_none_or(|(best, _)| loss < *best)
        {
            self.state.best = Some((loss, self.state.weights.clone()));
        }
        self.state.epochs += 1;
        self.state.losses.push(LossPoint {
            epoch: self.state.epochs,
            step: self.state.adam.steps,
            train_loss: sums.loss / sums.tokens,
            validation_loss,
            learning_rate: sums.learning_rate,
            tokens: self.state.tokens,
        });
        Ok(())
    }

    /// The steps of an epoch; `None` where they are lost.
    fn steps(
        &mut self,
        progress: &mut dyn FnMut(TrainProgress),
        cancel: &CancelToken,
    ) -> Result<Option<EpochSums>, TrainError> {
        let (epoch, options) = (self.state.epochs, self.options);
        let steps_total = self.steps_total();
        let left = steps_total - self.state.adam.steps;
        let order = order(self.examples.len(), self.seed, epoch);
        let (mut sums, mut untold) = (EpochSums::default(), VecDeque::new());
        let mut tell = |known: Known, untold: &mut VecDeque<StepDone>| {
            let Known::Losses(losses) = known else {
                return Ok(false);
            };
            let done: Vec<StepDone> = untold.drain(..losses.len()).collect();
            for (loss, done) in losses.into_iter().zip(done) {
                let StepDone { step, tokens, .. } = done;
                if !loss.is_finite() {
                    let epoch = epoch + 1;
                    return Err(TrainError::NotFinite { loss, step, epoch });
                }
                sums.add(loss, &done);
                progress(TrainProgress {
                    epoch: epoch + 1,
                    step,
                    steps_total,
                    loss,
                    tokens,
                });
            }
            Ok(true)
        };
        for indices in order.chunks(options.batch_size).take(left) {
            if cancel.is_cancelled() {
                return Err(TrainError::Cancelled);
            }
            let step = self.state.adam.steps;
            let learning_rate = options.learning_rate_at(step, steps_total);
            let batch = Batch::new(indices.iter().map(|index| &self.examples[*index]));
            let lora = options.lora.as_ref().map_or(0.0, |lora| lora.dropout);
            let update = Update {
                options,
                learning_rate,
                dropout: Dropout::new([options.dropout, lora], self.seed, step as u64),
            };
            let known = self.backend.step(&mut self.state, &batch, &update)?;
            self.state.tokens += batch.tokens as u64;
            untold.push_back(StepDone {
                step: step + 1,
                loss_tokens: batch.loss_tokens as f64,
                learning_rate,
                tokens: self.state.tokens,
            });
            if !tell(known, &mut untold)? {
                return Ok(None);
            }
        }
        let all = tell(self.backend.settle()?, &mut untold)?;
        Ok(all.then_some(sums))
    }

    /// The mean loss over the validation examples' tokens, without dropout.
    fn validate(&mut self, cancel: &CancelToken) -> Result<Option<f64>, TrainError> {
        let (mut sum, mut tokens) = (0.0, 0);
        for examples in self.validation.chunks(self.options.batch_size) {
            if cancel.is_cancelled() {
                return Err(TrainError::Cancelled);
            }
            let batch = Batch::new(examples);
            sum += self.backend.loss(&self.state, &batch)? * batch.loss_tokens as f64;
            tokens += batch.loss_tokens;
        }
        Ok((tokens > 0).then(|| sum / tokens as f64))
    }
}
