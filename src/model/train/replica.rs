//! A device that trains: weights and moments stay there, f32, and come back when a checkpoint is due. With several, each
//! has them whole.

use std::sync::Arc;

use burn::tensor::{StreamId, Tensor};

use super::TrainError;
use super::backend::Update;
use super::checkpoint::TrainState;
use super::data::Example;
use super::flat::{self, FlatGradients, FlatState};
use super::packed::Packed;
use crate::model::device::{DeviceFailure, OpenDevice, guarded};
use crate::model::dropout::Dropout;
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
    device: OpenDevice,
    /// What the device is told in order with its own work alone: `CubeCL` has a queue, and memory, for each thread that does not
    /// say otherwise. `None` for the calling thread's.
    stream: Option<StreamId>,
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
    /// Waits until all of it is known to have come to be.
    fn settle(&self) {
        let sums = self.arrays.iter().flatten();
        let sums = sums.map(|array| array.clone().sum());
        numbers(sums.chain([self.loss.clone()]).collect());
    }

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
            stream: None,
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

    /// The same, beside others: this one's work is in a queue of its own.
    pub(super) fn beside(self, number: usize) -> Self {
        let stream = StreamId {
            value: u64::MAX - number as u64,
        };
        Self {
            stream: Some(stream),
            ..self
        }
    }

    /// Runs the device's work.
    fn run<T>(&self, work: impl FnOnce() -> T) -> Result<T, DeviceFailure> {
        guarded(|| match self.stream {
            None => work(),
            Some(stream) => stream.executes(work),
        })
    }

    /// Brings weights and moments there, unless they are.
    pub(super) fn upload(&mut self, state: &TrainState) -> Result<(), DeviceFailure> {
        if self.resident.is_none() {
            let (frozen, device) = (self.frozen.as_deref(), &self.device.tensors);
            let dtype = self.arithmetic.dtype;
            let resident = self.run(|| FlatState::upload(state, frozen, dtype, device))?;
            self.resident = Some(resident);
        }
        Ok(())
    }

    fn flat(&self) -> &FlatState {
        self.resident.as_ref().expect("it was brought there")
    }

    /// Loss and gradients of some micro-batches, `None` of none; `scale` is what each token's loss counts. Waits for the device
    /// where that is asked for.
    pub(super) fn gradients(
        &self,
        parts: &[MicroBatch<'_>],
        scale: f64,
        update: &Update<'_>,
        wait: bool,
    ) -> Result<Option<StepGradients>, DeviceFailure> {
        if parts.is_empty() {
            return Ok(None);
        }
        self.run(|| {
            let flat = self.flat();
            let parameters = flat.parameters(self.arithmetic.dtype);
            let mut sum: Option<StepGradients> = None;
            for (first, examples) in parts {
                let packed = Packed::new(examples);
                #[cfg(test)]
                self.fail_if_due(packed.tokens.len());
                let dropout = update.dropout.map(|dropout| dropout.beginning_at(*first));
                let asked = asked(&packed, scale, dropout);
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
            if wait && let Some(sum) = &sum {
                sum.settle();
            }
            sum
        })
    }

    /// One update by gradients that may be another device's.
    pub(super) fn step(
        &mut self,
        gradients: FlatGradients,
        state: &TrainState,
        update: &Update<'_>,
        loss_scale: f64,
    ) -> Result<(), DeviceFailure> {
        let mut resident = self.resident.take();
        let device = &self.device.tensors;
        self.run(|| {
            let here = |array: Option<Tensor<1>>| array.map(|array| array.to_device(device));
            let flat = resident.as_mut().expect("it was brought there");
            flat.step(gradients.map(here), &state.adam, update, loss_scale);
        })?;
        self.resident = resident;
        Ok(())
    }

    /// Waits until weights and moments are known to have come to be, and reads `more` with them.
    pub(super) fn settle(&self, more: Vec<Tensor<1>>) -> Result<Vec<f64>, DeviceFailure> {
        self.run(|| {
            let count = more.len();
            let sums = self.resident.iter().flat_map(FlatState::sums);
            let mut found = numbers(more.into_iter().chain(sums).collect());
            found.truncate(count);
            found
        })
    }

    /// The mean loss without dropout over some micro-batches, brought here.
    pub(super) fn loss(&self, parts: &[MicroBatch<'_>], scale: f64) -> Result<f64, DeviceFailure> {
        if parts.is_empty() {
            return Ok(0.0);
        }
        self.run(|| {
            let dtype = self.arithmetic.dtype;
            let parameters: Parameters = self.flat().parameters(dtype);
            let one = |(_, examples): &MicroBatch<'_>| {
                let packed = Packed::new(examples);
                #[cfg(test)]
                self.fail_if_due(packed.tokens.len());
                let asked = asked(&packed, scale, None);
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
            Some(flat) => self.run(|| flat.download(state)),
        }
    }

    #[cfg(test)]
    fn fail_if_due(&self, tokens: usize) {
        let fits = self.room_tokens.is_none_or(|room| tokens <= room);
        assert!(fits, "test: out of memory");
    }
}

/// What is asked of packed examples; `scale` is what each token's loss counts.
fn asked(packed: &Packed, scale: f64, dropout: Option<Dropout>) -> Asked<'_> {
    Asked {
        tokens: &packed.tokens,
        spans: &packed.spans,
        targets: &packed.targets,
        scale,
        dropout,
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
