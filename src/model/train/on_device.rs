//! Steps on a device of burn: weights and moments stay there, f32, and come back when a checkpoint is due.
//!
//! A batch goes through in micro-batches; when the device's memory runs out, they are halved and the step begins again.
//! Dropout is by example, so nothing but rounding changes.

use std::sync::Arc;

use burn::tensor::{Device, FloatDType, Tensor};

use super::TrainError;
use super::adam::{Adam, clip_to};
use super::backend::{TrainBackend, Update};
use super::checkpoint::TrainState;
use super::data::Example;
use super::packed::Packed;
use super::step::{Batch, Layout};
use crate::model::device::{DeviceFailure, guarded};
use crate::model::lora::LoraShape;
use crate::model::network::{Arithmetic, Asked, Parameter, Parameters, add, gradients, loss_alone};
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
    device: Device,
    arithmetic: Arithmetic,
    loss_scale: f64,
    /// Brought there at the first use.
    resident: Option<DeviceState>,
    /// Tokens of a micro-batch: the first number was chosen, each further one is where memory ran out.
    ladder: Vec<usize>,
    /// Test: how many micro-batches of more than so many tokens fail.
    #[cfg(test)]
    pub(super) room_tokens: Option<usize>,
}

/// What lives on the device.
struct DeviceState {
    weights: Parameters,
    first: Vec<Tensor<1>>,
    second: Vec<Tensor<1>>,
}

impl<'a> OnDevice<'a> {
    pub(super) fn new(
        architecture: &'a Architecture,
        device: Device,
        dtype: Dtype,
        gradient_checkpointing: bool,
    ) -> Result<Self, TrainError> {
        let format = dtype.on_device(&device);
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
            self.resident = Some(guarded(|| {
                let moments = |weights| {
                    let on_device = Parameters::upload(weights, &self.device);
                    on_device
                        .arrays
                        .into_values()
                        .map(|each| each.values)
                        .collect()
                };
                let mut weights = Parameters::upload(&state.weights, &self.device);
                if let Some((frozen, shape)) = &self.frozen {
                    weights = weights.beside(&Parameters::upload(frozen, &self.device), shape);
                }
                DeviceState {
                    weights,
                    first: moments(&state.adam.first),
                    second: moments(&state.adam.second),
                }
            })?);
        }
        Ok(())
    }

    /// Mean loss, summed gradients of a batch, and the gradients' common norm, both numbers brought here at once: a read
    /// waits for all that the device has been told, so one a step is enough.
    fn gradients(
        &self,
        on_device: &DeviceState,
        batch: &Batch<'_>,
        update: &Update<'_>,
    ) -> Result<Gradients, DeviceFailure> {
        guarded(|| {
            let mut arrays = vec![None; on_device.weights.trained().count()];
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
                let (loss, more) = gradients(
                    self.architecture,
                    &on_device.weights,
                    &asked,
                    self.arithmetic,
                );
                add(&mut arrays, more);
                losses.push(loss);
            }
            let squares = arrays.iter().flatten().map(|gradient| {
                let gradient = gradient.clone().cast(FloatDType::F32);
                (gradient.clone() * gradient).sum()
            });
            let sums = [losses, squares.collect()].map(|parts| Tensor::cat(parts, 0).sum());
            let read = Tensor::cat(sums.to_vec(), 0).into_data();
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
            adam(
                &mut on_device,
                gradients,
                &state.adam,
                update,
                self.loss_scale,
            );
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
                    let loss = loss_alone(self.architecture, &on_device.weights, &asked, dtype);
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
        guarded(|| {
            state.weights = on_device.weights.download();
            for (host, device) in [
                (&mut state.adam.first, &on_device.first),
                (&mut state.adam.second, &on_device.second),
            ] {
                for (array, values) in host.arrays.values_mut().zip(device) {
                    let data = values.clone().into_data().try_into_vec();
                    array.data = data.expect("moments are f32");
                }
            }
        })
        .map_err(TrainError::Device)
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
    /// Times the loss's scale; `None` for an array that none reached.
    arrays: Vec<Option<Tensor<1>>>,
}

/// One update, as [`Adam::step`] does it on the CPU; f32.
fn adam(
    on_device: &mut DeviceState,
    gradients: Gradients,
    state: &Adam,
    update: &Update<'_>,
    loss_scale: f64,
) {
    let options = update.options;
    let clip = options
        .grad_clip
        .map_or(1.0, |limit| clip_to(limit, gradients.norm));
    let scale = clip / loss_scale;
    let power = i32::try_from(state.steps).unwrap_or(i32::MAX);
    let (beta1, beta2) = (options.adam_beta1, options.adam_beta2);
    let step_size = update.learning_rate / (1.0 - beta1.powi(power));
    let root = (1.0 - beta2.powi(power)).sqrt();
    let moments = on_device.first.iter_mut().zip(&mut on_device.second);
    let arrays = on_device
        .weights
        .arrays
        .values_mut()
        .filter(|parameter| !parameter.frozen)
        .zip(gradients.arrays)
        .zip(moments);
    for ((Parameter { shape, values, .. }, gradient), (first, second)) in arrays {
        let gradient = match gradient {
            Some(gradient) => gradient.cast(FloatDType::F32) * scale,
            None => values.zeros_like(),
        };
        let decay = if shape.len() > 1 {
            1.0 - update.learning_rate * options.weight_decay
        } else {
            1.0
        };
        let m = first.clone() + (gradient.clone() - first.clone()) * (1.0 - beta1);
        let v = second.clone() * beta2 + gradient.clone() * gradient * (1.0 - beta2);
        let change = m.clone() * step_size / (v.clone().sqrt() / root + options.adam_epsilon);
        *values = values.clone() * decay - change;
        (*first, *second) = (m, v);
    }
}

#[cfg(test)]
#[path = "on_device_tests.rs"]
mod tests;
