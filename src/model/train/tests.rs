//! Against HF `transformers` (`tests/fixtures/make_parity.py`); in `resume`, against itself interrupted.

use std::fs;
use std::path::Path;

use serde::Deserialize;

use super::backend::Update;
use super::cpu::Network;
use super::step::Batch;
use super::*;
use crate::model::EngineOptions;
use crate::model::architecture::{ArrayId, Role};
use crate::model::distance::furthest;
use crate::model::dropout::Dropout;
use crate::model::engine::Engine;

mod families;
mod lora;
mod resume;

#[derive(Deserialize)]
struct Expected {
    texts: Vec<String>,
    sequences: Vec<Vec<u32>>,
    loss_from: Vec<usize>,
    loss: f64,
    gradient_norms: std::collections::BTreeMap<String, f64>,
    greedy_prompt_tokens: usize,
    greedy: Vec<u32>,
    adam_losses: Vec<f64>,
}

fn fixture() -> (Student, Expected) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/parity");
    let expected =
        serde_json::from_slice(&fs::read(folder.join("expected.json")).unwrap()).unwrap();
    (Student::load(&folder).unwrap(), expected)
}

fn examples(expected: &Expected) -> Vec<Example> {
    let pairs = expected
        .sequences
        .iter()
        .cloned()
        .zip(expected.loss_from.iter().copied());
    pairs
        .map(|(tokens, loss_from)| Example { tokens, loss_from })
        .collect()
}

fn engine(student: &Student) -> Engine {
    Engine::new(
        &student.architecture,
        &student.weights,
        EngineOptions::default(),
    )
    .unwrap()
}

/// The sampling engine has kernels of its own; what trains is compared by its loss and gradients below.
#[test]
fn tokens_and_logits_are_those_of_transformers() {
    let (student, expected) = fixture();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/parity");
    let raw = fs::read(folder.join("logits.f32")).unwrap();
    let wanted = floats(&raw);
    let engine = engine(&student);
    let mut found = Vec::new();
    assert_eq!(expected.texts.len(), expected.sequences.len());
    for (text, tokens) in expected.texts.iter().zip(&expected.sequences) {
        let mut encoded = student.tokenizer.encode(text).unwrap();
        encoded.push(student.tokenizer.eos_id());
        assert_eq!(encoded, *tokens);
        found.extend(engine.logits(tokens).unwrap());
    }
    let worst = furthest(&found, &wanted);
    assert!(worst < 1e-4, "{worst}");
}

fn floats(raw: &[u8]) -> Vec<f32> {
    let (values, rest) = raw.as_chunks::<4>();
    assert!(rest.is_empty());
    values.iter().copied().map(f32::from_le_bytes).collect()
}

#[test]
fn greedy_continuation_is_that_of_transformers() {
    let (student, expected) = fixture();
    let engine = engine(&student);
    let mut tokens = expected.sequences[0][..expected.greedy_prompt_tokens].to_vec();
    for _ in 0..expected.greedy.len() {
        let logits = engine.logits(&tokens).unwrap();
        let last = &logits[logits.len() - student.architecture.vocab_rows..];
        let best = (0..last.len())
            .max_by(|a, b| last[*a].total_cmp(&last[*b]))
            .unwrap();
        tokens.push(u32::try_from(best).unwrap());
    }
    assert_eq!(tokens[expected.greedy_prompt_tokens..], expected.greedy);
}

#[test]
fn loss_and_gradients_are_those_of_pytorch() {
    let (student, expected) = fixture();
    let examples = examples(&expected);
    let batch = Batch::new(&examples);
    let mut network = Network::new(&student.architecture, MICRO_BATCH_TOKENS, false);
    let mut gradients = student.weights.zeros();
    let loss = network.gradients(&student.weights, &batch, None, &mut gradients);
    assert!(
        (loss - expected.loss).abs() < 1e-5,
        "{loss} {}",
        expected.loss
    );
    assert!((network.loss(&student.weights, &batch) - loss).abs() < 1e-9);
    assert_eq!(gradients.arrays.len(), expected.gradient_norms.len());
    let name = |id: &ArrayId| student.architecture.name(*id);
    for (id, array) in &gradients.arrays {
        let (name, wanted) = (name(id), expected.gradient_norms[&name(id)]);
        let squares = array.data.iter().map(|x| f64::from(*x).powi(2));
        let norm = squares.sum::<f64>().sqrt();
        assert!(
            (norm / wanted - 1.0).abs() < 1e-4,
            "{name}: {norm} {wanted}"
        );
    }
    // A norm does not tell where the values are, or their signs: every seventh value does.
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/parity");
    let wanted = floats(&fs::read(folder.join("gradients.f32")).unwrap());
    let mut wanted = &wanted[..];
    for (id, array) in &gradients.arrays {
        let name = name(id);
        let found: Vec<f32> = array.data.iter().step_by(7).copied().collect();
        let (now, later) = wanted.split_at(found.len());
        wanted = later;
        let scale = expected.gradient_norms[&name] / (array.data.len() as f64).sqrt();
        let worst = furthest(&found, now);
        assert!(
            worst < 1e-4 * scale.max(1e-3),
            "{name}: {worst:e} of {scale:e}"
        );
    }
    assert!(wanted.is_empty());
}

/// Splitting a step changes rounding only, making blocks again changes nothing, and memory that was used before
/// changes nothing either.
#[test]
fn micro_batches_agree_and_checkpointing_is_the_same_to_the_bit() {
    let (student, _) = fixture();
    let options = TrainOptions::default();
    let prepared = Prepared::new(&resume::many(), &student.architecture, &options).unwrap();
    let examples = prepared.examples;
    let batch = Batch::new(&examples);
    let dropout = Dropout::new([0.1, 0.0], 1, 2);
    let run = |limit: usize, checkpointing: bool| {
        let mut network = Network::new(&student.architecture, limit, checkpointing);
        let mut gradients = student.weights.zeros();
        network.gradients(
            &student.weights,
            &Batch::new(&examples[3..9]),
            None,
            &mut gradients,
        );
        let loss = network.gradients(&student.weights, &batch, dropout, &mut gradients);
        (loss, gradients)
    };
    let (loss, gradients) = run(usize::MAX, false);
    assert_eq!(batch.parts(usize::MAX, step::Layout::Packed).len(), 1);
    for limit in [1, 50, 200] {
        assert!(batch.parts(limit, step::Layout::Packed).len() > 2);
        let (split_loss, split) = run(limit, false);
        assert!((split_loss - loss).abs() < 1e-5, "{split_loss} {loss}");
        for (id, array) in &gradients.arrays {
            let scale = array
                .data
                .iter()
                .fold(1e-3_f32, |most, x| most.max(x.abs()));
            let worst = furthest(&split.arrays[id].data, &array.data);
            let most = 1e-4 * f64::from(scale);
            assert!(worst < most, "{id:?} at {limit}: {worst} of {most}");
        }
        assert!(run(limit, true) == (split_loss, split));
    }
}

#[test]
fn ten_steps_of_adam_are_those_of_pytorch() {
    let (student, expected) = fixture();
    let examples = examples(&expected);
    let options = TrainOptions {
        epochs: 10,
        dropout: 0.0,
        ..TrainOptions::default()
    };
    let mut losses = Vec::new();
    let folder = tempfile::tempdir().unwrap();
    let mut progress = |progress: TrainProgress| losses.push(progress.loss);
    train(
        student,
        &examples,
        &[],
        &options,
        1,
        folder.path(),
        &TrainRuntime::default(),
        &mut progress,
        &CancelToken::default(),
    )
    .unwrap();
    let worst = furthest(&losses, &expected.adam_losses);
    assert!(worst < 1e-4, "{losses:?} {:?}", expected.adam_losses);
}

#[test]
fn the_best_epoch_is_kept() {
    let (student, expected) = fixture();
    let examples = examples(&expected);
    // A learning rate that soon spoils the weights: the first epochs are better than the last.
    let options = TrainOptions {
        epochs: 6,
        learning_rate: 0.1,
        keep: Keep::Best,
        ..TrainOptions::default()
    };
    let folder = tempfile::tempdir().unwrap();
    let trained = train(
        student.clone(),
        &examples,
        &examples,
        &options,
        1,
        folder.path(),
        &TrainRuntime::default(),
        &mut |_| {},
        &CancelToken::default(),
    )
    .unwrap();
    let losses: Vec<f64> = trained
        .losses
        .iter()
        .map(|point| point.validation_loss.unwrap())
        .collect();
    let best = losses.iter().copied().fold(f64::INFINITY, f64::min);
    assert!(best < losses[5], "{losses:?}");
    let mut network = Network::new(&student.architecture, MICRO_BATCH_TOKENS, false);
    let found = network.loss(&trained.weights, &Batch::new(&examples));
    assert!((found - best).abs() < 1e-9, "{found} {losses:?}");
}

#[test]
fn what_cannot_be_trained_says_why() {
    let (student, expected) = fixture();
    let examples = examples(&expected);
    let folder = tempfile::tempdir().unwrap();
    let failure = |student: &Student, examples: &[Example], options: &TrainOptions| {
        let result = train(
            student.clone(),
            examples,
            &[],
            options,
            1,
            folder.path(),
            &TrainRuntime::default(),
            &mut |_| {},
            &CancelToken::default(),
        );
        result.unwrap_err().to_string()
    };
    let options = TrainOptions::default();
    let message = failure(&student, &[], &options);
    assert!(
        message.starts_with("the training set is empty: 0 examples"),
        "{message}"
    );
    let short = Example {
        tokens: vec![1],
        loss_from: 0,
    };
    let message = failure(&student, &[short], &options);
    assert!(
        message.contains("1 examples were given, 1 have no token"),
        "{message}"
    );
    let message = failure(
        &student,
        &examples,
        &TrainOptions {
            keep: Keep::Best,
            ..options.clone()
        },
    );
    assert!(message.contains("no validation examples"), "{message}");
    let message = failure(
        &student,
        &[Example {
            tokens: vec![1, 300],
            loss_from: 1,
        }],
        &options,
    );
    assert!(message.contains("token 300"), "{message}");

    let mut wild = student;
    let norm = ArrayId::weight(Role::FinalNorm, None);
    wild.weights.arrays[&norm].data.fill(1e38);
    let message = failure(&wild, &examples, &options);
    assert!(message.contains("at step 1 (epoch 1)\nhint: "), "{message}");
}
