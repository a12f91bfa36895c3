//! Steps on devices of burn.
//!
//! A batch goes through in micro-batches; when a device's memory runs out, they are halved and the step begins again.
//! With several devices each takes a share of the batch, gradients are added on the first, and all make the same update.
//! Dropout is by example, so nothing but rounding changes. Losses stay on the device until some have come together: to
//! read one is to wait for all that the device has been told.

use std::time::{Duration, Instant};

use burn::tensor::Tensor;

use super::TrainError;
use super::backend::{Known, TrainBackend, Update};
use super::checkpoint::TrainState;
use super::replica::{Frozen, MicroBatch, Replica, StepGradients, numbers};
use super::step::{Batch, Layout};
use crate::model::device::{DeviceFailure, OpenDevice, guarded};
use crate::model::{Architecture, Dtype};

/// What the loss is multiplied by in f16, so that small gradients do not vanish (ours).
const F16_LOSS_SCALE: f64 = 1024.0;
/// Losses that are read together, unless they are older than [`READ_EVERY`].
const READ_TOGETHER: usize = 16;
/// Whoever looks on sees a loss as often.
const READ_EVERY: Duration = Duration::from_secs(1);

/// Devices that train.
pub(super) struct OnDevice<'a> {
    replicas: Vec<Replica<'a>>,
    loss_scale: f64,
    /// Tokens of a micro-batch: the first number was chosen, each further one is where memory ran out.
    ladder: Vec<usize>,
    /// The largest micro-batch, padded, that is known to have room.
    largest: usize,
    /// Losses that are not read yet, times their scale: `[1]` each.
    unread: Vec<Tensor<1>>,
    read: Instant,
    /// How old the oldest of them becomes.
    read_every: Duration,
    /// Test: how many reads of losses go well before one fails.
    #[cfg(test)]
    pub(super) reads: Option<usize>,
}

impl<'a> OnDevice<'a> {
    /// On these devices, of which there is one at least.
    pub(super) fn new(
        architecture: &'a Architecture,
        devices: Vec<OpenDevice>,
        dtype: Dtype,
        gradient_checkpointing: bool,
    ) -> Result<Self, TrainError> {
        let tokens = devices.iter().map(|device| device.micro_batch_tokens);
        let ladder = tokens.min().into_iter().collect();
        let replicas = devices
            .into_iter()
            .map(|device| Replica::new(architecture, device, dtype, gradient_checkpointing));
        Ok(Self {
            replicas: replicas.collect::<Result<_, _>>()?,
            loss_scale: if dtype == Dtype::F16 {
                F16_LOSS_SCALE
            } else {
                1.0
            },
            ladder,
            largest: 0,
            unread: Vec::new(),
            read: Instant::now(),
            read_every: READ_EVERY,
            #[cfg(test)]
            reads: None,
        })
    }

    /// Trains an adapter of `frozen`: the state has its arrays, and these weights stay.
    pub(super) fn adapting(mut self, frozen: &Frozen) -> Self {
        let replicas = std::mem::take(&mut self.replicas).into_iter();
        self.replicas = replicas
            .map(|replica| replica.adapting(Frozen::clone(frozen)))
            .collect();
        self
    }

    fn micro_batch(&self) -> usize {
        self.ladder.last().copied().unwrap_or(1)
    }

    fn upload(&mut self, state: &TrainState) -> Result<(), TrainError> {
        for replica in &mut self.replicas {
            replica.upload(state).map_err(TrainError::Device)?;
        }
        Ok(())
    }

    /// What each device does of a batch, and whether a micro-batch is larger than any before.
    fn shares<'b>(&self, batch: &'b Batch<'_>) -> (Vec<Vec<MicroBatch<'b>>>, bool) {
        let limit = self.micro_batch();
        let shares = batch.shares(self.replicas.len());
        let shares = shares.map(|share| share.parts(limit, Layout::Padded));
        let shares: Vec<Vec<MicroBatch<'_>>> = shares.collect();
        let sizes = shares
            .iter()
            .flatten()
            .map(|(_, examples)| padded(examples));
        let grows = sizes.max().unwrap_or(0) > self.largest;
        (shares, grows)
    }

    /// Loss and summed gradients of a batch, on the first device. Where a micro-batch is larger than any before, waits until
    /// it is known that there is room.
    pub(super) fn gradients(
        &mut self,
        batch: &Batch<'_>,
        update: &Update<'_>,
    ) -> Result<StepGradients, DeviceFailure> {
        let (shares, grows) = self.shares(batch);
        let scale = self.loss_scale / batch.loss_tokens as f64;
        let work: Vec<_> = self.replicas.iter().zip(&shares).collect();
        let found = side_by_side(&work, |(replica, parts)| {
            let found = replica.gradients(parts, scale, update)?;
            if grows && let Some(found) = &found {
                guarded(|| numbers(vec![found.loss.clone()]))?;
            }
            Ok(found)
        })?;
        let mut found = found.into_iter().flatten();
        let mut sum = found.next().expect("a batch has an example");
        guarded(|| found.for_each(|more| sum.add(more)))?;
        let sizes = shares
            .iter()
            .flatten()
            .map(|(_, examples)| padded(examples));
        self.largest = sizes.max().unwrap_or(0).max(self.largest);
        Ok(sum)
    }

    /// Answers that memory ran out: half the micro-batch, where it can be halved; any other failure is an error.
    fn handle_oom(&mut self, failure: DeviceFailure, batch: &Batch<'_>) -> Result<(), TrainError> {
        let (shares, _) = self.shares(batch);
        let mut parts = shares.iter().flatten();
        if parts.all(|(_, examples)| examples.len() == 1) {
            return Err(TrainError::Device(failure));
        }
        self.halve(failure)
    }

    fn halve(&mut self, failure: DeviceFailure) -> Result<(), TrainError> {
        let half = self.micro_batch() / 2;
        if matches!(failure, DeviceFailure::Other(_)) || half == 0 {
            return Err(TrainError::Device(failure));
        }
        tracing::warn!(
            tokens = half,
            "the device's memory ran out; going on with smaller micro-batches"
        );
        self.ladder.push(half);
        self.largest = 0;
        Ok(())
    }

    /// Reads the losses that are not. A device may say so late that its memory ran out: weights and moments are not to be
    /// relied on then.
    fn read(&mut self) -> Result<Known, TrainError> {
        self.read = Instant::now();
        let unread = std::mem::take(&mut self.unread);
        let found = guarded(|| {
            #[cfg(test)]
            match &mut self.reads {
                Some(0) => {
                    self.reads = None;
                    panic!("test: out of memory");
                }
                Some(left) => *left -= 1,
                None => {}
            }
            numbers(unread)
        });
        match found {
            Ok(losses) => {
                let losses = losses.into_iter().map(|loss| loss / self.loss_scale);
                Ok(Known::Losses(losses.collect()))
            }
            Err(failure) => self.lost(failure),
        }
    }

    /// Answers that memory ran out when weights and moments were changed already.
    fn lost(&mut self, failure: DeviceFailure) -> Result<Known, TrainError> {
        self.halve(failure)?;
        self.unread.clear();
        for replica in &mut self.replicas {
            replica.resident = None;
        }
        Ok(Known::Lost)
    }
}

impl TrainBackend for OnDevice<'_> {
    fn step(
        &mut self,
        state: &mut TrainState,
        batch: &Batch<'_>,
        update: &Update<'_>,
    ) -> Result<Known, TrainError> {
        self.upload(state)?;
        let found = loop {
            match self.gradients(batch, update) {
                Ok(found) => break found,
                Err(failure) => self.handle_oom(failure, batch)?,
            }
        };
        state.adam.steps += 1;
        for replica in &mut self.replicas {
            let stepped = replica.step(&found.arrays, state, update, self.loss_scale);
            if let Err(failure) = stepped {
                return self.lost(failure);
            }
        }
        self.unread.push(found.loss);
        if self.unread.len() < READ_TOGETHER && self.read.elapsed() < self.read_every {
            return Ok(Known::Losses(Vec::new()));
        }
        self.read()
    }

    fn settle(&mut self) -> Result<Known, TrainError> {
        self.read()
    }

    fn loss(&mut self, state: &TrainState, batch: &Batch<'_>) -> Result<f64, TrainError> {
        self.upload(state)?;
        loop {
            let (shares, _) = self.shares(batch);
            let scale = 1.0 / batch.loss_tokens as f64;
            let work: Vec<_> = self.replicas.iter().zip(&shares).collect();
            match side_by_side(&work, |(replica, parts)| replica.loss(parts, scale)) {
                Ok(losses) => return Ok(losses.into_iter().sum()),
                Err(failure) => self.handle_oom(failure, batch)?,
            }
        }
    }

    fn sync(&mut self, state: &mut TrainState) -> Result<(), TrainError> {
        let first = self.replicas.first();
        first.map_or(Ok(()), |first| {
            first.download(state).map_err(TrainError::Device)
        })
    }

    fn ladder(&self) -> Vec<usize> {
        self.ladder.clone()
    }
}

/// Tokens of a micro-batch, each sequence as long as the longest.
fn padded(examples: &[&super::data::Example]) -> usize {
    let longest = examples.iter().map(|example| example.tokens.len()).max();
    examples.len() * longest.unwrap_or(0)
}

/// What each device makes of its work, all at the same time.
fn side_by_side<W: Sync, T: Send>(
    work: &[W],
    of: impl Fn(&W) -> Result<T, DeviceFailure> + Sync,
) -> Result<Vec<T>, DeviceFailure> {
    let of = &of;
    let [first, others @ ..] = work else {
        return Ok(Vec::new());
    };
    std::thread::scope(|scope| {
        let others: Vec<_> = others
            .iter()
            .map(|work| scope.spawn(move || of(work)))
            .collect();
        let mut found = vec![of(first)];
        for other in others {
            let other = other.join();
            found.push(other.unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        found.into_iter().collect()
    })
}

#[cfg(test)]
#[path = "on_device_counts.rs"]
mod counts;
#[cfg(test)]
#[path = "on_device_tests.rs"]
mod tests;
