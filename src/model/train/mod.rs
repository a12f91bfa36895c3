//! Training: next-token cross-entropy, Adam, a checkpoint after every epoch.
//!
//! In: a [`Student`], [`Example`]s and [`TrainOptions`]. Out: [`Trained`]: weights and the loss curve. The order of the examples
//! depends on (seed, epoch), the dropout on (seed, step). On the CPU every sum has one order, so the same arguments give the
//! same weights to the last bit, at any number of threads and after any number of interruptions; other devices round
//! otherwise.
//! Source: the paper, III-A; Radford et al. 2019.

mod adam;
mod backend;
mod checkpoint;
mod cpu;
mod data;
mod epoch;
mod error;
mod flat;
mod on_device;
mod options;
mod pace;
mod packed;
mod replica;
mod step;

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use self::backend::TrainBackend;
use self::checkpoint::TrainState;
use self::cpu::{Cpu, MICRO_BATCH_TOKENS};
use self::data::Prepared;
use self::epoch::Training;
use self::on_device::OnDevice;
use self::pace::Pace;
use super::device::DeviceName;
use super::lora::LoraShape;
use super::{Adapter, Architecture, Dtype, Student, Weights};
use crate::event::CancelToken;
use crate::key::{Digest, DigestWriter};
use crate::memory::room_for;

pub use self::checkpoint::{CheckedCheckpoints, check_checkpoints};
pub use self::data::Example;
pub use self::error::TrainError;
pub use self::options::{Keep, LossMask, Schedule, TrainOptions};
pub use self::pace::Checkpoints;

/// How the work is done, as opposed to what is computed: none of it changes more than rounding.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TrainRuntime {
    /// Threads; 0 for as many as there are cores.
    pub threads: usize,
    /// Where it is done. The backend changes rounding.
    pub device: DeviceName,
    /// Further devices, of the same backend: each takes a share of every batch. That changes rounding only.
    pub beside: Vec<DeviceName>,
    /// Keep each block's input only and make the rest again in the backward pass: less memory, about a third more
    /// work. On the CPU the same bits.
    pub gradient_checkpointing: bool,
    /// When checkpoints are written.
    pub checkpoints: Checkpoints,
}

/// Where a training is.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct TrainProgress {
    /// The running epoch, from 1.
    pub epoch: usize,
    /// Steps done; fewer than before where a device's memory ran out and the epoch began again.
    pub step: usize,
    /// Steps in all.
    pub steps_total: usize,
    /// The last step's loss: mean over the tokens that count.
    pub loss: f64,
    /// Tokens trained on so far.
    pub tokens: u64,
}

/// The losses of one epoch.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct LossPoint {
    /// The epoch, from 1; with [`TrainOptions::extra_steps`] the last may be a cut one.
    pub epoch: usize,
    /// Steps done at its end.
    pub step: usize,
    /// Mean loss over the epoch's tokens that count, with dropout, as the weights changed.
    pub train_loss: f64,
    /// Mean loss over the validation examples' tokens that count, without dropout, at the epoch's end.
    pub validation_loss: Option<f64>,
    /// The last step's learning rate.
    pub learning_rate: f64,
    /// Tokens trained on so far, those included that the loss does not count.
    pub tokens: u64,
}

/// A finished training.
#[derive(Clone, PartialEq, Debug)]
pub struct Trained {
    /// The weights to keep: with [`TrainOptions::lora`] the adapter's.
    pub weights: Weights,
    /// One point for each epoch.
    pub losses: Vec<LossPoint>,
    /// Training examples that were longer than allowed and lost their end.
    pub truncated: usize,
    /// Training examples of which no token was left to learn.
    pub skipped: usize,
    /// What somebody should know, for example a checkpoint that was damaged.
    pub warnings: Vec<String>,
    /// Tokens that went through a device together: the first number was chosen, each further one is where its
    /// memory ran out. Empty on the CPU.
    pub micro_batch_ladder: Vec<usize>,
}

/// Trains `student`, which is taken so that its weights are held once, on `train`. Goes on from a checkpoint of the same training in `checkpoint_dir`, and leaves its own there.
///
/// # Errors
/// See [`TrainError`].
#[expect(
    clippy::too_many_arguments,
    reason = "three things to train with, three that say how, two to talk through"
)]
pub fn train(
    student: Student,
    train: &[Example],
    validation: &[Example],
    options: &TrainOptions,
    seed: u64,
    checkpoint_dir: &Path,
    runtime: &TrainRuntime,
    progress: &mut dyn FnMut(TrainProgress),
    cancel: &CancelToken,
) -> Result<Trained, TrainError> {
    let Student {
        architecture,
        weights,
        ..
    } = student;
    weights.check(&architecture)?;
    let prepared = Prepared::new(train, &architecture, options)?;
    if prepared.examples.is_empty() {
        return Err(TrainError::Empty {
            given: train.len(),
            skipped: prepared.skipped,
        });
    }
    let validation = Prepared::new(validation, &architecture, options)?.examples;
    if options.keep == Keep::Best && validation.is_empty() {
        return Err(TrainError::NoValidation);
    }
    let adapter = options.lora.as_ref();
    let adapter = adapter.map(|lora| Adapter::init(&architecture, lora, seed));
    let adapter = adapter.transpose()?;
    check_room(
        &architecture,
        adapter.as_ref(),
        &prepared.examples,
        options,
        runtime,
    )?;
    let backend = runtime.device.backend();
    let identity = identity(
        (&architecture, &weights),
        &prepared.examples,
        &validation,
        options,
        seed,
        backend,
    );
    let specs = match &adapter {
        None => architecture.arrays(),
        Some(adapter) => adapter.shape.arrays(),
    };
    let (found, warnings) = checkpoint::load(checkpoint_dir, identity, &specs);
    let (weights, frozen) = match adapter {
        None => (weights, None),
        Some(adapter) => (adapter.weights, Some((weights, adapter.shape))),
    };
    let mut trainer = backend_of(&architecture, frozen, options, runtime)?;
    let mut training = Training {
        architecture: &architecture,
        options,
        seed,
        examples: &prepared.examples,
        validation: &validation,
        backend: &mut *trainer,
        state: found.unwrap_or_else(|| TrainState::new(weights)),
    };
    let mut pace = Pace::new(checkpoint::bytes(&specs), runtime.checkpoints);
    while training.state.adam.steps < training.steps_total() {
        training.epoch(progress, cancel)?;
        if !pace.is_due() {
            continue;
        }
        let save = || checkpoint::save(checkpoint_dir, identity, &specs, &training.state);
        pace.written(save)
            .map_err(|source| TrainError::Checkpoint {
                folder: checkpoint_dir.to_owned(),
                source,
            })?;
    }
    let micro_batch_ladder = training.backend.ladder();
    let TrainState {
        weights,
        losses,
        best,
        ..
    } = training.state;
    Ok(Trained {
        weights: best.map_or(weights, |(_, weights)| weights),
        losses,
        truncated: prepared.truncated,
        skipped: prepared.skipped,
        warnings,
        micro_batch_ladder,
    })
}

/// Whether the student and its longest example can be trained on at all, as far as that is certain.
fn check_room(
    architecture: &Architecture,
    adapter: Option<&Adapter>,
    examples: &[Example],
    options: &TrainOptions,
    runtime: &TrainRuntime,
) -> Result<(), TrainError> {
    let what = "training this student";
    // Of what is trained weights, gradients and Adam's two moments.
    let bytes = match adapter {
        None => 16 * architecture.parameters(),
        Some(adapter) => 4 * architecture.parameters() + 16 * adapter.shape.parameters() as u128,
    };
    let weights = u64::try_from(bytes).unwrap_or(u64::MAX);
    let smaller = "take a smaller student, or a machine with more memory";
    room_for(what, smaller, weights).map_err(TrainError::Memory)?;
    if runtime.device != DeviceName::Cpu {
        return Ok(()); // activations are the device's
    }
    let longest = examples.iter().map(|example| example.tokens.len()).max();
    let longest = longest.unwrap_or(0) as u64;
    // Each thread has a sequence, and of one head what every token takes from every other, and its gradient.
    let threads = match runtime.threads {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        threads => threads,
    };
    let together = threads.min(options.batch_size).min(examples.len()) as u64;
    let squares = [together, longest, longest, 8].into_iter();
    let squares = squares.fold(1, u64::saturating_mul);
    room_for(
        what,
        "lower `max_length_tokens`: the longest texts take the square of their length",
        weights.saturating_add(squares),
    )
    .map_err(TrainError::Memory)
}

/// What computes the steps; beside weights that are `frozen`, of their adapter.
fn backend_of<'a>(
    architecture: &'a Architecture,
    frozen: Option<(Weights, LoraShape)>,
    options: &TrainOptions,
    runtime: &TrainRuntime,
) -> Result<Box<dyn TrainBackend + 'a>, TrainError> {
    if runtime.device == DeviceName::Cpu {
        if options.dtype != Dtype::F32 {
            return Err(TrainError::Dtype(options.dtype));
        }
        let (threads, checkpointing) = (runtime.threads, runtime.gradient_checkpointing);
        let backend = Cpu::new(architecture, threads, MICRO_BATCH_TOKENS, checkpointing)?;
        return Ok(Box::new(match frozen {
            None => backend,
            Some((weights, shape)) => backend.adapting(weights, shape),
        }));
    }
    let names = std::iter::once(&runtime.device).chain(&runtime.beside);
    let devices = names.map(|name| name.open());
    let devices = devices.collect::<Result<Vec<_>, _>>()?;
    devices[0].set_threads(runtime.threads);
    let checkpointing = runtime.gradient_checkpointing;
    let backend = OnDevice::new(architecture, devices, options.dtype, checkpointing)?;
    Ok(Box::new(match frozen {
        None => backend,
        Some((weights, shape)) => backend.adapting(&Arc::new((weights, Arc::new(shape)))),
    }))
}

/// What tells one training from another: all that its result depends on.
fn identity(
    (architecture, weights): (&Architecture, &Weights),
    train: &[Example],
    validation: &[Example],
    options: &TrainOptions,
    seed: u64,
    backend: &str,
) -> Digest {
    let mut writer = DigestWriter::new(io::sink());
    let mut write = |bytes: &[u8]| {
        // The length first, so that no two lists of fields read alike.
        let length = (bytes.len() as u64).to_le_bytes();
        let written = writer
            .write_all(&length)
            .and_then(|()| writer.write_all(bytes));
        written.expect("a sink takes everything");
    };
    write(&serde_json::to_vec(options).expect("numbers and names serialise"));
    if options.extra_steps > 0 {
        write(&(options.extra_steps as u64).to_le_bytes());
    }
    if let Some(lora) = &options.lora {
        write(&serde_json::to_vec(lora).expect("numbers and names serialise"));
    }
    write(&seed.to_le_bytes());
    write(backend.as_bytes());
    write(architecture.config_json().as_bytes());
    for (id, array) in &weights.arrays {
        write(architecture.name(*id).as_bytes());
        // Block by block: the bytes of a large embedding are as much memory as it is.
        for block in array.data.chunks(1 << 14) {
            let bytes: Vec<u8> = block.iter().flat_map(|value| value.to_le_bytes()).collect();
            write(&bytes);
        }
    }
    for examples in [train, validation] {
        write(&(examples.len() as u64).to_le_bytes());
        for example in examples {
            write(&(example.loss_from as u64).to_le_bytes());
            let bytes: Vec<u8> = example
                .tokens
                .iter()
                .flat_map(|token| token.to_le_bytes())
                .collect();
            write(&bytes);
        }
    }
    writer.finish().1
}

#[cfg(test)]
mod tests;
