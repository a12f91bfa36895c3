//! A device that trains: weights and moments stay there, f32, and come back when a checkpoint is due. With several, each
//! has them whole.

use std::sync::Arc;

use burn::tensor::Tensor;

use super::TrainError;
use super::backend::Update;
use super::checkpoint::TrainState;
use super::data::Example;
use super::flat::{self, FlatGradients, FlatState};
use super::packed::Packed;
use crate::model::device::{DeviceFailure, OpenDevice, guarded};
use crate::model::lora::LoraShape;
use crate::model::network::{Arithmetic, Asked, Parameters, gradients, loss_alone};
use crate::model::{Architecture, Dtype, Weights};

/// Examples that go through together, and the number in their step of the first.
pub(super) type MicroBatch<'b> = (usize, &'b [&'b Example]);

/// What an adapter is trained beside.
pub(super) type Frozen = Arc<(Weights, Arc<LoraShape>)>;

/// A device with weights and moments.
pub(super) struct Replica<'a> {
    architecture: &'a Architecture,
    /// What an adapter is trained beside; else all weights are trained.
    frozen: Option<Frozen>,
    pub(super) device: OpenDevice,
    arithmetic: Arithmetic,
    /// Brought there at the first use.
    pub(super) resident: Option<FlatState>,
    /// Test: how many tokens of a micro-batch are too many.
    #[cfg(test)]
    pub(super) room_tokens: Option<usize>,
}

/// What a step's backward passes give.
pub(super) struct StepGradients {
    /// The mean over the tokens that count, times the loss's scale: `[1]`.
    pub(super) loss: Tensor<1>,
    /// Times the loss's scale.
    pub(super) arrays: FlatGradients,
}

impl StepGradients {
    /// Both together, on the device of this one.
    pub(super) fn add(&mut self, more: Self) {
        let device = self.loss.device();
        let there = |tensor: Tensor<1>| tensor.to_device(&device);
        self.loss = self.loss.clone() + there(more.loss);
        flat::add(&mut self.arrays, more.arrays.map(|array| array.map(there)));
    }
}

impl<'a> Replica<'a> {
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
            arithmetic: Arithmetic {
                dtype: format.ok_or(TrainError::Dtype(dtype))?,
                gradient_checkpointing,
            },
            device,
            resident: None,
            #[cfg(test)]
            room_tokens: None,
        })
    }

    /// Trains an adapter of `frozen`: the state has its arrays, and these weights stay.
    pub(super) fn adapting(self, frozen: Frozen) -> Self {
        Self {
            frozen: Some(frozen),
            ..self
        }
    }

    /// Brings weights and moments there, unless they are.
    pub(super) fn upload(&mut self, state: &TrainState) -> Result<(), DeviceFailure> {
        if self.resident.is_none() {
            let (frozen, device) = (self.frozen.as_deref(), &self.device.tensors);
            let dtype = self.arithmetic.dtype;
            self.resident = Some(guarded(|| FlatState::upload(state, frozen, dtype, device))?);
        }
        Ok(())
    }

    fn flat(&self) -> &FlatState {
        self.resident.as_ref().expect("it was brought there")
    }

    /// Loss and gradients of some micro-batches; `scale` is what each token's loss counts. Nothing waits for the device.
    pub(super) fn gradients(
        &self,
        parts: &[MicroBatch<'_>],
        scale: f64,
        update: &Update<'_>,
    ) -> Result<Option<StepGradients>, DeviceFailure> {
        guarded(|| {
            let flat = self.flat();
            let parameters = flat.parameters(self.arithmetic.dtype);
            let mut sum: Option<StepGradients> = None;
            for (first, examples) in parts {
                let packed = Packed::new(examples);
                #[cfg(test)]
                self.fail_if_due(packed.tokens.len());
                let asked = Asked {
                    tokens: &packed.tokens,
                    spans: &packed.spans,
                    targets: &packed.targets,
                    scale,
                    dropout: update.dropout.map(|dropout| dropout.beginning_at(*first)),
                };
                let (loss, more) =
                    gradients(self.architecture, &parameters, &asked, self.arithmetic);
                let more = StepGradients {
                    loss,
                    arrays: flat.flat(more),
                };
                match &mut sum {
                    None => sum = Some(more),
                    Some(sum) => sum.add(more),
                }
            }
            sum
        })
    }

    /// One update by gradients that may be another device's.
    pub(super) fn step(
        &mut self,
        gradients: &FlatGradients,
        state: &TrainState,
        update: &Update<'_>,
        loss_scale: f64,
    ) -> Result<(), DeviceFailure> {
        let device = &self.device.tensors;
        let flat = self.resident.as_mut().expect("it was brought there");
        guarded(|| {
            let here =
                |array: &Option<Tensor<1>>| array.clone().map(|array| array.to_device(device));
            let gradients = gradients.each_ref().map(here);
            flat.step(gradients, &state.adam, update, loss_scale);
        })
    }

    /// The mean loss without dropout over some micro-batches, brought here.
    pub(super) fn loss(&self, parts: &[MicroBatch<'_>], scale: f64) -> Result<f64, DeviceFailure> {
        guarded(|| {
            let dtype = self.arithmetic.dtype;
            let parameters: Parameters = self.flat().parameters(dtype);
            let one = |(_, examples): &MicroBatch<'_>| {
                let packed = Packed::new(examples);
                #[cfg(test)]
                self.fail_if_due(packed.tokens.len());
                let asked = Asked {
                    tokens: &packed.tokens,
                    spans: &packed.spans,
                    targets: &packed.targets,
                    scale,
                    dropout: None,
                };
                loss_alone(self.architecture, &parameters, &asked, dtype)
            };
            let losses: Vec<Tensor<1>> = parts.iter().map(one).collect();
            numbers(losses).into_iter().sum()
        })
    }

    /// Brings weights and moments into `state`.
    pub(super) fn download(&self, state: &mut TrainState) -> Result<(), DeviceFailure> {
        match &self.resident {
            None => Ok(()),
            Some(flat) => guarded(|| flat.download(state)),
        }
    }

    #[cfg(test)]
    fn fail_if_due(&self, tokens: usize) {
        let fits = self.room_tokens.is_none_or(|room| tokens <= room);
        assert!(fits, "test: out of memory");
    }
}

/// Brings numbers here, all at once.
pub(super) fn numbers(of: Vec<Tensor<1>>) -> Vec<f64> {
    if of.is_empty() {
        return Vec::new();
    }
    let data = Tensor::cat(of, 0).into_data();
    let values: Vec<f32> = data.try_into_vec().expect("sums are f32");
    values.into_iter().map(f64::from).collect()
}
