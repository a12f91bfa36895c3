//! Training on burn's `flex`, and on what `SERT_TEST_DEVICES` names: the CPU's losses and weights, with and without gradient
//! checkpointing, and when memory runs out.

use std::sync::Arc;

use super::super::data::Example;
use super::super::epoch::Training;
use super::*;
use crate::event::CancelToken;
use crate::model::architecture::tests::variants::variants;
use crate::model::device::DeviceName;
use crate::model::distance::furthest;
use crate::model::lora::tests::Fixture;
use crate::model::parity::Parity;
use crate::model::train::TrainOptions;
use crate::model::train::cpu::Network;
use crate::model::train::{TrainRuntime, Trained, train};
use crate::model::{Student, Weights};

fn student() -> Student {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/parity");
    Student::load(&folder).unwrap()
}

fn examples() -> Vec<Example> {
    (0..10)
        .map(|index| Example {
            tokens: (0..12 + index * 4)
                .map(|place| u32::try_from((index * 31 + place * place) % 256).unwrap())
                .collect(),
            loss_from: 3,
        })
        .collect()
}

fn options() -> TrainOptions {
    TrainOptions {
        epochs: 2,
        batch_size: 5,
        weight_decay: 0.01,
        grad_clip: Some(1.0),
        ..TrainOptions::default()
    }
}

fn trained(device: DeviceName, gradient_checkpointing: bool) -> Trained {
    trained_on(device, Vec::new(), gradient_checkpointing)
}

fn trained_on(
    device: DeviceName,
    beside: Vec<DeviceName>,
    gradient_checkpointing: bool,
) -> Trained {
    let folder = tempfile::tempdir().unwrap();
    let runtime = TrainRuntime {
        threads: 2,
        device,
        beside,
        gradient_checkpointing,
        ..TrainRuntime::default()
    };
    let examples = examples();
    train(
        student(),
        &examples,
        &examples[..3],
        &TrainOptions {
            dtype: device.single(),
            ..options()
        },
        5,
        folder.path(),
        &runtime,
        &mut |_| {},
        &CancelToken::default(),
    )
    .unwrap()
}

/// All values, array after array.
fn values(weights: &Weights) -> Vec<f32> {
    let arrays = weights.arrays.values();
    arrays
        .flat_map(|array| array.data.iter().copied())
        .collect()
}

/// What `SERT_TEST_DEVICES` names, and `flex`.
fn devices() -> Vec<DeviceName> {
    let named = std::env::var("SERT_TEST_DEVICES").unwrap_or_default();
    let named = named.split(',').filter(|name| !name.is_empty());
    let named = named.map(|name| name.parse().unwrap());
    std::iter::once(DeviceName::Flex).chain(named).collect()
}

/// Weights tell little of them: Adam's first steps are of one size whatever the gradient.
#[test]
fn gradients_are_the_cpus() {
    let student = student();
    gradients_alike("GPT-2", &student.architecture, &student.weights);
}

#[test]
fn gradients_are_the_cpus_for_every_family() {
    for (name, architecture) in variants() {
        let weights = Weights::spread(&architecture, 4, 8.0);
        gradients_alike(name, &architecture, &weights);
    }
}

/// Loss and gradients with dropout, with and without gradient checkpointing.
fn gradients_alike(name: &str, architecture: &Architecture, weights: &Weights) {
    let (options, examples) = (options(), examples());
    let batch = Batch::new(&examples);
    let dropout = crate::model::dropout::Dropout::new([0.1, 0.0], 1, 2);
    let mut network = Network::new(architecture, 1 << 10, false);
    let mut expected = weights.zeros();
    let loss = network.gradients(weights, &batch, dropout, &mut expected);
    let update = Update {
        options: &options,
        learning_rate: 1e-3,
        dropout,
    };
    for (device, checkpointing) in devices().into_iter().flat_map(|d| [(d, false), (d, true)]) {
        let there = device.open().unwrap();
        let mut backend =
            OnDevice::new(architecture, vec![there], device.single(), checkpointing).unwrap();
        let (found_loss, found) = gradients_on(&mut backend, weights, &batch, &update);
        assert!(
            (found_loss - loss).abs() < 1e-4 * device.slack(),
            "{name} on {device}: {found_loss} {loss}"
        );
        assert_eq!(found.arrays.len(), expected.arrays.len());
        for (id, array) in &expected.arrays {
            let squares = array.data.iter().map(|x| f64::from(*x).powi(2));
            let scale = (squares.sum::<f64>() / array.data.len() as f64).sqrt();
            let worst = furthest(&found.arrays[id].data, &array.data);
            assert!(
                worst < 1e-3 * scale.max(1e-3) * device.slack(),
                "{name} on {device}: {id:?}: {worst:e} of {scale:e}"
            );
        }
    }
}

/// Loss, gradients and five steps of adapters: PEFT's, and with dropout the CPU's.
#[test]
fn adapters_are_pefts_and_the_cpus() {
    for fixture in Fixture::all() {
        let (parity, adapter) = (&fixture.parity, &fixture.adapter);
        let name = &parity.name;
        let examples = parity.counted().map(|(tokens, loss_from)| Example {
            tokens: tokens.to_vec(),
            loss_from,
        });
        let examples: Vec<Example> = examples.collect();
        let batch = Batch::new(&examples);
        let options = TrainOptions::default();
        let update = |dropout| Update {
            options: &options,
            learning_rate: fixture.expected.learning_rate,
            dropout,
        };
        let dropout = crate::model::dropout::Dropout::new([0.1, 0.2], 1, 2);
        let mut network = Network::new(&parity.architecture, 1 << 10, false)
            .adapting(parity.weights.clone(), adapter.shape.clone());
        let mut expected = adapter.weights.zeros();
        let loss = network.gradients(&adapter.weights, &batch, dropout, &mut expected);
        for (device, checkpointing) in devices().into_iter().flat_map(|d| [(d, false), (d, true)]) {
            let there = device.open().unwrap();
            let backend = || {
                let (architecture, there) = (&parity.architecture, vec![there.clone()]);
                OnDevice::new(architecture, there, device.single(), checkpointing)
                    .unwrap()
                    .adapting(&Frozen::new((
                        parity.weights.clone(),
                        Arc::new(adapter.shape.clone()),
                    )))
            };
            let on =
                |dropout| gradients_on(&mut backend(), &adapter.weights, &batch, &update(dropout));
            let (plain_loss, plain) = on(None);
            let (apart, array) = fixture.gradients_apart(&plain);
            assert!(
                (plain_loss - fixture.expected.losses[0]).abs() < 1e-4 * device.slack()
                    && apart <= 1e-4 * device.slack(),
                "{name} on {device}: loss {plain_loss}, `{array}` {apart:e}"
            );
            let (found_loss, found) = on(dropout);
            assert!(
                (found_loss - loss).abs() < 1e-4 * device.slack(),
                "{name}: {found_loss} {loss}"
            );
            for (id, array) in &expected.arrays {
                let largest = array.data.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
                let worst = furthest(&found.arrays[id].data, &array.data);
                let most = (1e-4 * f64::from(largest) + 1e-6) * device.slack();
                assert!(worst < most, "{name} on {device}: {id:?}: {worst:e}");
            }
            let (mut backend, mut state) = (backend(), TrainState::new(adapter.weights.clone()));
            let steps = fixture.expected.losses.len();
            let losses = losses_of(&mut backend, &mut state, &batch, steps, |_| update(None));
            let losses = losses.unwrap();
            let worst = furthest(&losses, &fixture.expected.losses);
            eprintln!(
                "{name} on {device}: of PEFT's, gradients within {apart:.1e} of their largest, losses within {worst:.1e}"
            );
            assert!(
                worst < 1e-4 * device.slack(),
                "{name} on {device}: {worst:e}"
            );
            assert_eq!(state.weights.parameters(), adapter.weights.parameters());
            assert_ne!(state.weights, adapter.weights);
        }
    }
}

/// The loss and the gradients of a batch, brought here.
fn gradients_on(
    backend: &mut OnDevice<'_>,
    weights: &Weights,
    batch: &Batch<'_>,
    update: &Update<'_>,
) -> (f64, Weights) {
    backend.upload(&TrainState::new(weights.clone())).unwrap();
    let found = backend.gradients(batch, update).unwrap();
    let mut gradients = weights.zeros();
    let there = backend.replicas[0].resident.as_ref().unwrap();
    there.bring(found.arrays.each_ref().map(Option::as_ref), &mut gradients);
    let loss = found.loss.into_scalar::<f32>();
    (f64::from(loss), gradients)
}

/// The losses of as many steps, each with the update that `update` gives for its number.
fn losses_of<'o>(
    backend: &mut OnDevice<'_>,
    state: &mut TrainState,
    batch: &Batch<'_>,
    steps: usize,
    update: impl Fn(usize) -> Update<'o>,
) -> Result<Vec<f64>, TrainError> {
    let mut losses = Vec::new();
    for step in 0..steps {
        losses.extend(backend.step(state, batch, &update(step))?.losses());
    }
    losses.extend(backend.settle()?.losses());
    backend.sync(state)?;
    Ok(losses)
}

#[test]
fn training_of_every_family_is_that_of_transformers() {
    for parity in Parity::all() {
        let (name, expected) = (&parity.name, &parity.expected);
        let examples = parity.counted().map(|(tokens, loss_from)| Example {
            tokens: tokens.to_vec(),
            loss_from,
        });
        let examples: Vec<Example> = examples.collect();
        let batch = Batch::new(&examples);
        let options = TrainOptions::default();
        let update = || Update {
            options: &options,
            learning_rate: options.learning_rate,
            dropout: None,
        };
        for (device, checkpointing) in devices().into_iter().flat_map(|d| [(d, false), (d, true)]) {
            let (architecture, weights) = (&parity.architecture, &parity.weights);
            let there = device.open().unwrap();
            let backend = || {
                OnDevice::new(
                    architecture,
                    vec![there.clone()],
                    device.single(),
                    checkpointing,
                )
            };
            let (loss, gradients) =
                gradients_on(&mut backend().unwrap(), weights, &batch, &update());
            let (apart, array) = parity.gradients_apart(&gradients);
            assert!(
                (loss - expected.loss).abs() < 1e-4 * device.slack()
                    && apart <= 1e-4 * device.slack(),
                "{name} on {device}: loss {loss} {}, `{array}` {apart:e}",
                expected.loss
            );
            let (mut backend, mut state) = (backend().unwrap(), TrainState::new(weights.clone()));
            let steps = expected.adam_losses.len();
            let losses = losses_of(&mut backend, &mut state, &batch, steps, |_| update());
            let losses = losses.unwrap();
            let worst = furthest(&losses, &expected.adam_losses);
            let (moved, others) = parity.trained_apart(&state.weights);
            eprintln!(
                "{name} on {device}: of transformers', gradients within {apart:.1e} of their largest, losses within {worst:.1e}, weights within {moved:.1e} ({others} others)"
            );
            let most = 1e-4 * device.slack();
            assert!(
                worst < most && f64::from(moved) <= most,
                "{name} on {device}"
            );
        }
    }
}

#[test]
fn losses_and_weights_are_the_cpus() {
    let cpu = trained(DeviceName::Cpu, false);
    for device in devices() {
        let plain = trained(device, false);
        let checkpointed = trained(device, true);
        for found in [&plain, &checkpointed] {
            assert_eq!(found.losses.len(), cpu.losses.len());
            for (found, expected) in found.losses.iter().zip(&cpu.losses) {
                assert!(
                    (found.train_loss - expected.train_loss).abs() < 1e-4 * device.slack(),
                    "{device}: {found:?} {expected:?}"
                );
                let losses = (
                    found.validation_loss.unwrap(),
                    expected.validation_loss.unwrap(),
                );
                let most = 1e-4 * device.slack();
                assert!((losses.0 - losses.1).abs() < most, "{device}: {losses:?}");
            }
        }
        // Adam's first steps are the sign of the gradient, so a rounding error near 0 can be a whole step; of all
        // steps together it is little.
        let (start, there, here) = (
            values(&student().weights),
            values(&plain.weights),
            values(&cpu.weights),
        );
        assert!(there.len() == start.len() && here.len() == start.len());
        let apart = |a: &[f32], b: &[f32]| {
            let pairs = a.iter().zip(b);
            pairs.map(|(a, b)| f64::from((a - b).abs())).sum::<f64>()
        };
        let share = apart(&there, &here) / apart(&here, &start);
        eprintln!("{device}: weights apart from the CPU's by {share:.1e} of the way");
        assert!(share < 0.01 * device.slack(), "{device}: {share}");
        assert_eq!(plain.micro_batch_ladder.len(), 1);
    }
}

/// The losses of three steps on so many devices, with room for micro-batches of so many tokens; and the ladder.
fn three_steps(
    devices: usize,
    room_tokens: Option<usize>,
) -> Result<(Vec<f64>, Vec<usize>), TrainError> {
    let (student, options, examples) = (student(), options(), examples());
    let batch = Batch::new(&examples);
    let devices = vec![DeviceName::Flex.open().unwrap(); devices];
    let mut backend = OnDevice::new(&student.architecture, devices, Dtype::F32, false).unwrap();
    for replica in &mut backend.replicas {
        replica.room_tokens = room_tokens;
    }
    let mut state = TrainState::new(student.weights.clone());
    let losses = losses_of(&mut backend, &mut state, &batch, 3, |step| Update {
        options: &options,
        learning_rate: 1e-3,
        dropout: crate::model::dropout::Dropout::new([0.1, 0.0], 1, step as u64),
    });
    Ok((losses?, backend.ladder()))
}

#[test]
fn memory_that_runs_out_halves_the_micro_batch_and_changes_rounding_only() {
    let (whole, ladder) = three_steps(1, None).unwrap();
    assert_eq!(ladder, [1024]);
    let (halved, ladder) = three_steps(1, Some(100)).unwrap();
    assert_eq!(ladder, [1024, 512, 256, 128]);
    assert!(furthest(&whole, &halved) < 1e-5, "{whole:?} {halved:?}");
    // One example that does not fit cannot be split.
    let message = three_steps(1, Some(20)).unwrap_err().to_string();
    assert!(
        message.contains("out of memory") && message.contains("hint: "),
        "{message}"
    );
}

#[test]
fn several_devices_make_the_steps_of_one() {
    let (one, _) = three_steps(1, None).unwrap();
    for devices in [2, 3, 16] {
        let (several, _) = three_steps(devices, None).unwrap();
        assert!(furthest(&one, &several) < 1e-5, "{one:?} {several:?}");
    }
    let (halved, ladder) = three_steps(2, Some(100)).unwrap();
    assert!(ladder.len() > 1, "{ladder:?}");
    assert!(furthest(&one, &halved) < 1e-5, "{one:?} {halved:?}");
    // A whole training, with a norm that is clipped, and validation.
    for device in devices() {
        let alone = trained_on(device, Vec::new(), false);
        let beside = trained_on(device, vec![device], false);
        for (alone, beside) in alone.losses.iter().zip(&beside.losses) {
            assert!(
                (alone.train_loss - beside.train_loss).abs() < 1e-5,
                "{device}: {alone:?} {beside:?}"
            );
        }
        let (alone, beside) = (values(&alone.weights), values(&beside.weights));
        let apart = furthest(&alone, &beside);
        eprintln!("{device}, twice: weights within {apart:.1e} of those of one");
        assert!(apart < 2e-3, "{device}: {apart}");
    }
}

/// Losses that were not read when a larger micro-batch does not fit are not lost.
#[test]
fn steps_before_one_that_does_not_fit_stay() {
    let (student, options, examples) = (student(), options(), examples());
    let (small, large) = (Batch::new(&examples[..2]), Batch::new(&examples[5..]));
    let run = |room_tokens| {
        let device = vec![DeviceName::Flex.open().unwrap()];
        let mut backend = OnDevice::new(&student.architecture, device, Dtype::F32, false).unwrap();
        backend.replicas[0].room_tokens = room_tokens;
        backend.together = 16;
        let mut state = TrainState::new(student.weights.clone());
        let mut losses = Vec::new();
        for (step, batch) in [&small, &small, &large, &small].into_iter().enumerate() {
            let update = Update {
                options: &options,
                learning_rate: 1e-3,
                dropout: crate::model::dropout::Dropout::new([0.1, 0.0], 1, step as u64),
            };
            backend.together = 16;
            let known = backend.step(&mut state, batch, &update).unwrap();
            losses.extend(known.losses());
        }
        losses.extend(backend.settle().unwrap().losses());
        (losses, backend.ladder().len())
    };
    let ((whole, _), (halved, ladder)) = (run(None), run(Some(100)));
    assert!(ladder > 1 && whole.len() == 4, "{whole:?}");
    assert!(furthest(&whole, &halved) < 1e-5, "{whole:?} {halved:?}");
}

/// A device may say only when a loss is read that its memory ran out, steps later.
#[test]
fn an_epoch_whose_steps_are_lost_begins_again() {
    let (student, options, examples) = (student(), options(), examples());
    let run = |reads| {
        let device = vec![DeviceName::Flex.open().unwrap()];
        let mut backend = OnDevice::new(&student.architecture, device, Dtype::F32, false).unwrap();
        backend.reads = reads;
        let mut training = Training {
            architecture: &student.architecture,
            options: &options,
            seed: 1,
            examples: &examples,
            validation: &[],
            backend: &mut backend,
            state: TrainState::new(student.weights.clone()),
        };
        let mut told = Vec::new();
        for _ in 0..2 {
            let mut progress = |at: super::super::TrainProgress| told.push(at.step);
            training
                .epoch(&mut progress, &CancelToken::default())
                .unwrap();
        }
        let TrainState { losses, adam, .. } = training.state;
        (losses, adam.steps, told, backend.ladder())
    };
    let (whole, steps, told, ladder) = run(None);
    assert_eq!((steps, told, ladder), (4, vec![1, 2, 3, 4], vec![1024]));
    // The first step's loss is told, then what follows fails.
    let (found, steps, told, ladder) = run(Some(1));
    assert_eq!((steps, ladder), (4, vec![1024, 512]));
    assert_eq!(told, [1, 1, 2, 3, 4]);
    for (found, whole) in found.iter().zip(&whole) {
        let apart = (found.train_loss - whole.train_loss).abs();
        assert!(apart < 1e-5 && found.tokens == whole.tokens, "{found:?}");
    }
}
