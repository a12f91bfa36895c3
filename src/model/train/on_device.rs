//! Steps on a device of burn: weights and moments stay there, f32, and come back when a checkpoint is due.
//!
//! A batch goes through in micro-batches; when the device's memory runs out, they are halved and the step begins again.
//! Dropout is by example, so nothing but rounding changes.

use std::sync::Arc;

use burn::tensor::Tensor;

use super::TrainError;
use super::backend::{TrainBackend, Update};
use super::checkpoint::TrainState;
use super::data::Example;
use super::flat::{self, FlatGradients, FlatState};
use super::packed::Packed;
use super::step::{Batch, Layout};
use crate::model::device::{DeviceFailure, OpenDevice, guarded};
use crate::model::lora::LoraShape;
use crate::model::network::{Arithmetic, Asked, gradients, loss_alone};
use crate::model::{Architecture, Dtype, Weights};

/// Padded tokens that go through together, unless memory says otherwise. Changes rounding only.
const MICRO_BATCH_TOKENS: usize = 1024;
/// What the loss is multiplied by in f16, so that small gradients do not vanish (ours).
const F16_LOSS_SCALE: f64 = 1024.0;

/// A device that trains.
pub(super) struct OnDevice<'a> {
    architecture: &'a Architecture,
    /// What an adapter is trained beside; else all weights are trained.
    frozen: Option<(Weights, Arc<LoraShape>)>,
    device: OpenDevice,
    arithmetic: Arithmetic,
    loss_scale: f64,
    /// Brought there at the first use.
    resident: Option<FlatState>,
    /// Tokens of a micro-batch: the first number was chosen, each further one is where memory ran out.
    ladder: Vec<usize>,
    /// Test: how many micro-batches of more than so many tokens fail.
    #[cfg(test)]
    pub(super) room_tokens: Option<usize>,
}

impl<'a> OnDevice<'a> {
    pub(super) fn new(
        architecture: &'a Architecture,
        device: OpenDevice,
        dtype: Dtype,
        gradient_checkpointing: bool,
    ) -> Result<Self, TrainError> {
        let format = device.float(dtype);
        Ok(Self {
            architecture,
            frozen: None,
            device,
            arithmetic: Arithmetic {
                dtype: format.ok_or(TrainError::Dtype(dtype))?,
                gradient_checkpointing,
            },
            loss_scale: if dtype == Dtype::F16 {
                F16_LOSS_SCALE
            } else {
                1.0
            },
            resident: None,
            ladder: vec![MICRO_BATCH_TOKENS],
            #[cfg(test)]
            room_tokens: None,
        })
    }

    /// Trains an adapter of `frozen`: `state` has its arrays, and these weights stay.
    pub(super) fn adapting(self, frozen: Weights, shape: LoraShape) -> Self {
        Self {
            frozen: Some((frozen, Arc::new(shape))),
            ..self
        }
    }

    fn micro_batch(&self) -> usize {
        self.ladder.last().copied().unwrap_or(1)
    }

    /// Brings weights and moments there, unless they are.
    fn upload(&mut self, state: &TrainState) -> Result<(), DeviceFailure> {
        if self.resident.is_none() {
            let (frozen, device) = (self.frozen.as_ref(), &self.device.tensors);
            let dtype = self.arithmetic.dtype;
            self.resident = Some(guarded(|| FlatState::upload(state, frozen, dtype, device))?);
        }
        Ok(())
    }

    /// Mean loss, summed gradients of a batch, and the gradients' common norm, both numbers brought here at once: a read
    /// waits for all that the device has been told, so one a step is enough.
    fn gradients(
        &self,
        on_device: &FlatState,
        batch: &Batch<'_>,
        update: &Update<'_>,
    ) -> Result<Gradients, DeviceFailure> {
        guarded(|| {
            let mut arrays = FlatGradients::default();
            let parameters = on_device.parameters(self.arithmetic.dtype);
            let mut losses = Vec::new();
            for (first, examples) in batch.parts(self.micro_batch(), Layout::Padded) {
                let packed = Packed::new(examples);
                #[cfg(test)]
                if self
                    .room_tokens
                    .is_some_and(|room| packed.tokens.len() > room)
                {
                    panic!("test: out of memory");
                }
                let dropout = update.dropout.map(|dropout| dropout.beginning_at(first));
                let asked = Asked {
                    tokens: &packed.tokens,
                    spans: &packed.spans,
                    targets: &packed.targets,
                    scale: self.loss_scale / batch.loss_tokens as f64,
                    dropout,
                };
                let (loss, more) =
                    gradients(self.architecture, &parameters, &asked, self.arithmetic);
                flat::add(&mut arrays, on_device.flat(more));
                losses.push(loss);
            }
            let loss = Tensor::cat(losses, 0).sum();
            let squares = flat::squares(&arrays).unwrap_or_else(|| loss.zeros_like());
            let read = Tensor::cat(vec![loss, squares], 0).into_data();
            let read: Vec<f32> = read.try_into_vec().expect("sums are f32");
            Gradients {
                loss: f64::from(read[0]) / self.loss_scale,
                norm: f64::from(read[1]).sqrt() / self.loss_scale,
                arrays,
            }
        })
    }

    /// Answers that memory ran out: half the micro-batch, where it can be halved; any other failure is an error.
    fn handle_oom(&mut self, failure: DeviceFailure, batch: &Batch<'_>) -> Result<(), TrainError> {
        let parts = batch.parts(self.micro_batch(), Layout::Padded);
        let smallest = parts.iter().all(|(_, examples)| examples.len() == 1);
        if matches!(failure, DeviceFailure::Other(_)) || smallest {
            return Err(TrainError::Device(failure));
        }
        let half = self.micro_batch() / 2;
        tracing::warn!(
            tokens = half,
            "the device's memory ran out; going on with smaller micro-batches"
        );
        self.ladder.push(half);
        Ok(())
    }
}

impl TrainBackend for OnDevice<'_> {
    fn step(
        &mut self,
        state: &mut TrainState,
        batch: &Batch<'_>,
        update: &Update<'_>,
    ) -> Result<f64, TrainError> {
        self.upload(state).map_err(TrainError::Device)?;
        let mut on_device = self.resident.take().expect("it has just arrived");
        let gradients = loop {
            match self.gradients(&on_device, batch, update) {
                Ok(found) => break found,
                Err(failure) => self.handle_oom(failure, batch)?,
            }
        };
        let loss = gradients.loss;
        state.adam.steps += 1;
        guarded(|| {
            let Gradients { norm, arrays, .. } = gradients;
            on_device.step(arrays, norm, &state.adam, update, self.loss_scale);
        })
        .map_err(TrainError::Device)?;
        self.resident = Some(on_device);
        Ok(loss)
    }

    fn loss(&mut self, state: &TrainState, batch: &Batch<'_>) -> Result<f64, TrainError> {
        self.upload(state).map_err(TrainError::Device)?;
        loop {
            let on_device = self.resident.as_ref().expect("it has just arrived");
            let total = guarded(|| {
                let parameters = on_device.parameters(self.arithmetic.dtype);
                let one = |(_, examples): (usize, &[&Example])| {
                    let packed = Packed::new(examples);
                    let asked = Asked {
                        tokens: &packed.tokens,
                        spans: &packed.spans,
                        targets: &packed.targets,
                        scale: 1.0 / batch.loss_tokens as f64,
                        dropout: None,
                    };
                    let dtype = self.arithmetic.dtype;
                    let loss = loss_alone(self.architecture, &parameters, &asked, dtype);
                    f64::from(loss.into_scalar::<f32>())
                };
                let parts = batch.parts(self.micro_batch(), Layout::Padded);
                parts.into_iter().map(one).sum()
            });
            match total {
                Ok(total) => return Ok(total),
                Err(failure) => self.handle_oom(failure, batch)?,
            }
        }
    }

    fn sync(&mut self, state: &mut TrainState) -> Result<(), TrainError> {
        let Some(on_device) = &self.resident else {
            return Ok(());
        };
        guarded(|| on_device.download(state)).map_err(TrainError::Device)
    }

    fn ladder(&self) -> Vec<usize> {
        self.ladder.clone()
    }
}

/// What a step's backward passes give.
struct Gradients {
    /// Mean over the tokens that count.
    loss: f64,
    /// The Euclidean norm of all gradients together.
    norm: f64,
    /// Times the loss's scale.
    arrays: FlatGradients,
}

#[cfg(test)]
#[path = "on_device_counts.rs"]
mod counts;
#[cfg(test)]
#[path = "on_device_tests.rs"]
mod tests;
