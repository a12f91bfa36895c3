//! Adapters: against PEFT (`tests/fixtures/lora`), against the loss that they change, and against themselves interrupted.

use super::*;
use crate::model::architecture::tests::variants::variants;
use crate::model::lora::tests::Fixture;
use crate::model::{Adapter, LoraOptions};

fn counted(fixture: &Fixture) -> Vec<Example> {
    let example = |(tokens, loss_from): (&[u32], usize)| Example {
        tokens: tokens.to_vec(),
        loss_from,
    };
    fixture.parity.counted().map(example).collect()
}

#[test]
fn loss_and_every_gradient_are_those_of_peft() {
    for fixture in Fixture::all() {
        let (parity, adapter) = (&fixture.parity, &fixture.adapter);
        let (name, wanted) = (&parity.name, fixture.expected.losses[0]);
        let examples = counted(&fixture);
        let batch = Batch::new(&examples);
        let mut network = Network::new(&parity.architecture, MICRO_BATCH_TOKENS, false)
            .adapting(parity.weights.clone(), adapter.shape.clone());
        let mut gradients = adapter.weights.zeros();
        let loss = network.gradients(&adapter.weights, &batch, None, &mut gradients);
        assert!((loss - wanted).abs() < 1e-4, "{name}: {loss} {wanted}");
        let again = network.loss(&adapter.weights, &batch);
        assert!((again - loss).abs() < 1e-9, "{name}: {again} {loss}");
        let (apart, array) = fixture.gradients_apart(&gradients);
        eprintln!("{name}: of PEFT's, gradients within {apart:.1e} of their largest");
        assert!(apart <= 1e-4, "{name}, {array}: {apart:e} of its largest");
    }
}

#[test]
fn five_steps_of_adam_are_those_of_peft() {
    for fixture in Fixture::all() {
        let (parity, adapter) = (&fixture.parity, &fixture.adapter);
        let options = TrainOptions::default();
        let examples = counted(&fixture);
        let batch = Batch::new(&examples);
        let mut state = TrainState::new(adapter.weights.clone());
        let mut cpu = Cpu::new(&parity.architecture, 1, MICRO_BATCH_TOKENS, false)
            .unwrap()
            .adapting(parity.weights.clone(), adapter.shape.clone());
        let update = Update {
            options: &options,
            learning_rate: fixture.expected.learning_rate,
            dropout: None,
        };
        let step = |_: &f64| {
            let known = cpu.step(&mut state, &batch, &update).unwrap();
            known.losses()
        };
        let losses: Vec<f64> = fixture.expected.losses.iter().flat_map(step).collect();
        let worst = furthest(&losses, &fixture.expected.losses);
        assert!(worst < 1e-4, "{}: {worst:e}", parity.name);
    }
}

/// An adapter that changes something.
fn spread(architecture: &Architecture) -> Adapter {
    let options = LoraOptions {
        rank: 3,
        alpha: 2.0,
        ..LoraOptions::default()
    };
    let mut adapter = Adapter::init(architecture, &options, 3).unwrap();
    let mut state = 1_u32;
    for array in adapter.weights.arrays.values_mut() {
        for value in &mut array.data {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *value = (state >> 8) as f32 / 16_777_216.0 - 0.5;
        }
    }
    adapter
}

fn sequences() -> Vec<Example> {
    let token = |index: usize, place: usize| {
        u32::try_from((index * 31 + place * place * 7 + place) % 40).unwrap()
    };
    let lengths = [12, 2, 7, 20].into_iter().enumerate();
    let examples = lengths.map(|(index, length)| Example {
        tokens: (0..length).map(|place| token(index, place)).collect(),
        loss_from: (1 + index % 3).min(length - 1),
    });
    examples.collect()
}

/// The gradient of an array along itself against the loss that so changes, with dropout before the branches.
#[test]
#[expect(clippy::cast_possible_truncation, reason = "weights are f32")]
fn gradients_are_what_the_loss_changes_by() {
    for (name, architecture) in &variants() {
        let (adapter, examples) = (spread(architecture), sequences());
        let batch = Batch::new(&examples);
        let dropout = Dropout::new([0.1, 0.3], 3, 4);
        let frozen = Weights::spread(architecture, 4, 4.0);
        let mut network =
            Network::new(architecture, usize::MAX, false).adapting(frozen, adapter.shape.clone());
        let mut gradients = adapter.weights.zeros();
        network.gradients(&adapter.weights, &batch, dropout, &mut gradients);
        let mut unused = adapter.weights.zeros();
        let mut wrong = Vec::new();
        // A block in the middle has all kinds.
        let middle = gradients
            .arrays
            .iter()
            .filter(|(id, _)| id.layer == Some(1));
        for (id, gradient) in middle {
            let norm = gradient.data.iter().map(|x| f64::from(*x).powi(2));
            let norm = norm.sum::<f64>().sqrt();
            if norm < 1e-4 {
                // Of so small a gradient the loss tells nothing.
                continue;
            }
            let mut at = |step: f64| {
                let mut moved = adapter.weights.clone();
                let pairs = moved.arrays[id].data.iter_mut().zip(&gradient.data);
                for (weight, gradient) in pairs {
                    *weight += (step / norm) as f32 * gradient;
                }
                network.gradients(&moved, &batch, dropout, &mut unused)
            };
            // Two differences, of which the error by the third derivative is taken out.
            let step = 0.002;
            let [one, two] = [step, 2.0 * step].map(|step| (at(step) - at(-step)) / (2.0 * step));
            let slope = (4.0 * one - two) / 3.0;
            if (slope / norm - 1.0).abs() > 1e-2 && (slope - norm).abs() > 1e-3 {
                wrong.push(format!("{id:?}: {one} {two} {slope} {norm}"));
            }
        }
        assert!(wrong.is_empty(), "{name}: {wrong:#?}");
    }
}

#[test]
fn checkpointing_and_threads_change_no_bit() {
    for (name, architecture) in &variants() {
        let (adapter, examples) = (spread(architecture), sequences());
        let frozen = Weights::spread(architecture, 4, 4.0);
        let batch = Batch::new(&examples);
        let run = |threads: usize, checkpointing: bool, limit: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            pool.build().unwrap().install(|| {
                let mut network = Network::new(architecture, limit, checkpointing)
                    .adapting(frozen.clone(), adapter.shape.clone());
                let (weights, mut gradients) = (&adapter.weights, adapter.weights.zeros());
                let dropout = Dropout::new([0.0, 0.2], 1, 2);
                // Memory that was used before changes nothing either.
                network.gradients(weights, &Batch::new(&examples[..2]), None, &mut gradients);
                let loss = network.gradients(weights, &batch, dropout, &mut gradients);
                (loss, gradients)
            })
        };
        let whole = run(1, false, usize::MAX);
        assert!(run(3, false, usize::MAX) == whole, "{name}");
        assert!(run(2, true, usize::MAX) == whole, "{name}");
        let parts = run(2, false, 15);
        assert!((parts.0 - whole.0).abs() < 1e-5, "{name}");
        assert!(run(1, true, 15) == parts, "{name}");
    }
}

#[test]
fn a_training_of_an_adapter_goes_on_to_the_same_bits() {
    let (student, expected) = fixture();
    let examples = examples(&expected);
    let options = TrainOptions {
        epochs: 3,
        learning_rate: 1e-2,
        keep: Keep::Best,
        lora: Some(LoraOptions {
            rank: 2,
            dropout: 0.1,
            ..LoraOptions::default()
        }),
        ..TrainOptions::default()
    };
    let run = |folder: &Path, threads: usize, stop_after: Option<usize>| {
        let cancel = CancelToken::default();
        let mut progress = |at: TrainProgress| {
            if stop_after == Some(at.step) {
                cancel.cancel();
            }
        };
        let runtime = TrainRuntime {
            threads,
            ..TrainRuntime::default()
        };
        let (student, validation) = (student.clone(), &examples);
        train(
            student,
            &examples,
            validation,
            &options,
            7,
            folder,
            &runtime,
            &mut progress,
            &cancel,
        )
    };
    let [whole, stopped] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let once = run(whole.path(), 1, None).unwrap();
    let steps = examples.len().div_ceil(options.batch_size);
    let cut = run(stopped.path(), 3, Some(steps + 1));
    assert!(matches!(cut, Err(TrainError::Cancelled)), "{cut:?}");
    assert!(run(stopped.path(), 2, None).unwrap() == once);
    assert!(once.losses[2].train_loss < once.losses[0].train_loss);
    // What is kept, and what a checkpoint takes, is the adapter's.
    let lora = options.lora.as_ref().unwrap();
    let adapter = Adapter::new(&student.architecture, lora, once.weights).unwrap();
    assert_eq!(adapter.weights.parameters(), adapter.shape.parameters());
    let size = fs::metadata(whole.path().join("current.ckpt"))
        .unwrap()
        .len();
    assert!(size < 4 * student.parameters() as u64, "{size}");
}
