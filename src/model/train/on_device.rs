//! Steps on devices of burn.
//!
//! A batch goes through in micro-batches; when a device's memory runs out, they are halved and the step begins again.
//! With several devices each takes a share of the batch, gradients are added on the first, and each makes the same update of
//! its own copy. Dropout is by example, so nothing but rounding changes. Losses stay on the device until some have come
//! together: to read one is to wait for all that the device has been told.

use std::time::{Duration, Instant};

use burn::tensor::Tensor;

use super::TrainError;
use super::backend::{Known, TrainBackend, Update};
use super::checkpoint::TrainState;
use super::replica::{Frozen, MicroBatch, Replica, StepGradients};
use super::step::{Batch, Layout, Size};
use crate::model::device::{DeviceFailure, OpenDevice, guarded};
use crate::model::{Architecture, Dtype};

/// What the loss is multiplied by in f16, so that small gradients do not vanish (ours).
const F16_LOSS_SCALE: f64 = 1024.0;
/// Losses that are read together at most.
const READ_TOGETHER: usize = 16;
/// Whoever looks on sees a loss as often, unless a step takes longer.
const READ_EVERY: Duration = Duration::from_secs(1);

/// Devices that train.
pub(super) struct OnDevice<'a> {
    replicas: Vec<Replica<'a>>,
    loss_scale: f64,
    /// Tokens of a micro-batch: the first number was chosen, each further one is where memory ran out.
    ladder: Vec<usize>,
    /// The largest micro-batches that are known to have room.
    room: Size,
    /// Whether a micro-batch since the last upload had more than one example, so that halving would help.
    divisible: bool,
    /// Losses that are not read yet, times their scale: `[1]` each.
    unread: Vec<Tensor<1>>,
    /// Losses that are read and not told yet.
    untold: Vec<f64>,
    /// So many are read together: as many as come in [`READ_EVERY`].
    together: usize,
    /// When the last were.
    read: Instant,
    /// Test: how many reads go well before one fails.
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
        let replica = |(number, device)| {
            let replica = Replica::new(architecture, device, dtype, gradient_checkpointing)?;
            Ok(if number > 0 {
                replica.beside(number)
            } else {
                replica
            })
        };
        let replicas = devices.into_iter().enumerate().map(replica);
        Ok(Self {
            replicas: replicas.collect::<Result<_, TrainError>>()?,
            loss_scale: if dtype == Dtype::F16 {
                F16_LOSS_SCALE
            } else {
                1.0
            },
            ladder,
            room: Size::default(),
            divisible: false,
            unread: Vec::new(),
            untold: Vec::new(),
            together: 1,
            read: Instant::now(),
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

    /// What each device does of a batch.
    fn shares<'b>(&self, batch: &'b Batch<'_>) -> Vec<Vec<MicroBatch<'b>>> {
        let limit = self.micro_batch();
        let shares = batch.shares(self.replicas.len());
        shares
            .map(|share| share.parts(limit, Layout::Padded))
            .collect()
    }

    /// Loss and summed gradients of a batch, on the first device. Where a micro-batch is larger than any before, waits until
    /// it is known that there is room.
    pub(super) fn gradients(
        &mut self,
        batch: &Batch<'_>,
        update: &Update<'_>,
    ) -> Result<StepGradients, DeviceFailure> {
        let shares = self.shares(batch);
        let parts = shares.iter().flatten();
        let size = parts.clone().map(|(_, examples)| Size::of(examples));
        let size = size.fold(Size::default(), Size::max);
        self.divisible |= parts.clone().any(|(_, examples)| examples.len() > 1);
        let (grows, scale) = (
            size.exceeds(self.room),
            self.loss_scale / batch.loss_tokens as f64,
        );
        let work: Vec<_> = self.replicas.iter().zip(&shares).collect();
        let found = side_by_side(&work, |(replica, parts)| {
            replica.gradients(parts, scale, update, grows)
        })?;
        let mut found = found.into_iter().flatten();
        let mut sum = found.next().expect("a batch has an example");
        guarded(|| found.for_each(|more| sum.add(more)))?;
        self.room = size.max(self.room);
        Ok(sum)
    }

    /// Answers that memory ran out: half the micro-batch, where it can be halved; any other failure is an error.
    fn handle_oom(&mut self, failure: DeviceFailure, batch: &Batch<'_>) -> Result<(), TrainError> {
        let shares = self.shares(batch);
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
        self.room = Size::default();
        Ok(())
    }

    /// Waits until it is known that all steps have come to be, and reads their losses. A device may say so late that its memory
    /// ran out.
    fn look(&mut self) -> Result<(), DeviceFailure> {
        let mut unread = std::mem::take(&mut self.unread);
        let count = unread.len();
        #[cfg(test)]
        self.fail_if_due()?;
        for replica in &self.replicas {
            let losses = replica.settle(std::mem::take(&mut unread))?;
            let losses = losses.into_iter().map(|loss| loss / self.loss_scale);
            self.untold.extend(losses);
        }
        if count > 0 {
            let steps = READ_EVERY.as_secs_f64() * count as f64;
            let steps = steps / self.read.elapsed().as_secs_f64().max(1e-9);
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a few steps, and the cast saturates"
            )]
            {
                self.together = (steps as usize).clamp(1, READ_TOGETHER);
            }
            self.read = Instant::now();
        }
        Ok(())
    }

    /// What is known now, after a look.
    fn known(&mut self) -> Result<Known, TrainError> {
        match self.look() {
            Ok(()) => Ok(Known::Losses(std::mem::take(&mut self.untold))),
            Err(failure) => self.lost(failure),
        }
    }

    /// Answers that memory ran out when weights and moments were changed already.
    fn lost(&mut self, failure: DeviceFailure) -> Result<Known, TrainError> {
        if !std::mem::take(&mut self.divisible) {
            return Err(TrainError::Device(failure));
        }
        self.halve(failure)?;
        self.unread.clear();
        self.untold.clear();
        for replica in &mut self.replicas {
            replica.resident = None;
        }
        Ok(Known::Lost)
    }

    #[cfg(test)]
    fn fail_if_due(&mut self) -> Result<(), DeviceFailure> {
        match &mut self.reads {
            Some(0) => {
                self.reads = None;
                return Err(DeviceFailure::OutOfMemory("test".to_owned()));
            }
            Some(left) => *left -= 1,
            None => {}
        }
        Ok(())
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
                Err(failure) => {
                    // It may be an earlier step that failed.
                    if let Err(earlier) = self.look() {
                        return self.lost(earlier);
                    }
                    self.handle_oom(failure, batch)?;
                }
            }
        };
        state.adam.steps += 1;
        let StepGradients { loss, arrays } = found;
        self.unread.push(loss);
        let [others @ .., last] = &mut self.replicas[..] else {
            unreachable!("there is a device");
        };
        let mut stepped = Ok(());
        for replica in others {
            let arrays = arrays.clone();
            stepped = stepped.and_then(|()| replica.step(arrays, state, update, self.loss_scale));
        }
        // The last one may have them for itself, and reuse their memory.
        let stepped = stepped.and_then(|()| last.step(arrays, state, update, self.loss_scale));
        if let Err(failure) = stepped {
            return self.lost(failure);
        }
        if self.unread.len() < self.together {
            return Ok(Known::Losses(std::mem::take(&mut self.untold)));
        }
        self.known()
    }

    fn settle(&mut self) -> Result<Known, TrainError> {
        self.known()
    }

    fn loss(&mut self, state: &TrainState, batch: &Batch<'_>) -> Result<f64, TrainError> {
        self.upload(state)?;
        loop {
            let shares = self.shares(batch);
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
