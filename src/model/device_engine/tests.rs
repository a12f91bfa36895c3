//! The engine on burn's `flex`, and on what `SERT_TEST_DEVICES` names: the numbers of transformers, the CPU engine's paths, the
//! same at any batch size and when memory runs out.

mod counts;
mod families;
mod real;
mod rows;

use std::path::Path;

use super::*;
use crate::event::CancelToken;
use crate::key::Digest;
use crate::model::architecture::Gpt2;
use crate::model::device::DeviceName;
use crate::model::distance::furthest;
use crate::model::engine::Engine;
use crate::model::sampling::{
    Expand, FirstTokenCandidate, Generated, GenerationRequest, SamplingParams, SequenceSpec,
};
use crate::model::{Dtype, ScoreJob, Student, Vocabulary, Weights};

impl DeviceEngine {
    /// Test: fails as a device does whose memory runs out, if this is such a step.
    pub(super) fn fail_if_due(&self) {
        let mut faults = self.faults.lock().unwrap();
        let due = faults.iter().position(|left| *left == 0);
        faults
            .iter_mut()
            .for_each(|left| *left = left.saturating_sub(1));
        if let Some(due) = due {
            faults.remove(due);
            drop(faults);
            panic!("test: out of memory");
        }
    }
}

fn devices() -> Vec<DeviceName> {
    let named = std::env::var("SERT_TEST_DEVICES").unwrap_or_default();
    let named = named.split(',').filter(|name| !name.is_empty());
    let named = named.map(|name| name.parse().unwrap());
    std::iter::once(DeviceName::Flex).chain(named).collect()
}

fn student() -> Student {
    Student::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/parity")).unwrap()
}

/// A model whose sequences here grow through three buckets, far from uniform.
fn model() -> (Architecture, Weights) {
    let config = Architecture::from(Gpt2 {
        vocab_rows: 257,
        context: 256,
        width: 32,
        layers: 2,
        heads: 2,
    });
    let mut weights = Weights::init(&config, 3);
    for array in weights.arrays.values_mut() {
        array.data.iter_mut().for_each(|value| *value *= 3.0);
    }
    (config, weights)
}

fn engine(device: DeviceName, max_batch: usize) -> DeviceEngine {
    engine_of(&model(), device, max_batch)
}

fn engine_of(
    (config, weights): &(Architecture, Weights),
    device: DeviceName,
    max_batch: usize,
) -> DeviceEngine {
    let options = EngineOptions {
        max_batch,
        ..single(device)
    };
    let device = device.open().unwrap();
    DeviceEngine::new(config, weights, &device, options).unwrap()
}

/// In what the device has for f32.
fn single(device: DeviceName) -> EngineOptions {
    EngineOptions {
        dtype: device.single(),
        ..EngineOptions::default()
    }
}

/// The same in batches of so many places, as a card has them.
fn engine_with(model: &(Architecture, Weights), places: usize) -> DeviceEngine {
    let device = OpenDevice {
        places,
        ..DeviceName::Flex.open().unwrap()
    };
    let options = EngineOptions::default();
    DeviceEngine::new(&model.0, &model.1, &device, options).unwrap()
}

/// Prompts of two buckets.
fn prompts() -> Vec<Vec<u32>> {
    (1..12)
        .map(|index| {
            (0..4 + index * 9)
                .map(|place| (place * 7 + index) % 256)
                .collect()
        })
        .collect()
}

fn specs(prompt: usize, first: &[FirstTokenCandidate]) -> Vec<SequenceSpec> {
    let each = first
        .iter()
        .flat_map(|first| (0..5).map(move |draw| (first, draw)));
    each.map(|(first, draw)| {
        let tag = prompt as u64 * 100 + u64::from(first.rank) * 10 + draw;
        SequenceSpec {
            forced_first: Some(first.token),
            stream: Digest::of(&tag.to_le_bytes()),
            tag,
        }
    })
    .collect()
}

type Generate<'a> = dyn FnMut(&mut Expand<'_>, &mut (dyn FnMut(Generated) + Send)) + 'a;

/// All paths by tag.
fn paths(generate: &mut Generate<'_>) -> Vec<Generated> {
    let mut found = Vec::new();
    let mut asked = Vec::new();
    generate(
        &mut |prompt, first| {
            asked.push(prompt);
            specs(prompt, first)
        },
        &mut |path| found.push(path),
    );
    asked.sort_unstable();
    assert_eq!(
        asked,
        (0..prompts().len()).collect::<Vec<_>>(),
        "each prompt is asked for once"
    );
    found.sort_by_key(|path| path.tag);
    found
}

fn on(engine: &DeviceEngine) -> Vec<Generated> {
    drawn(&mut |request, expand, done| {
        engine.generate(request, expand, done, &CancelToken::default())
    })
}

type Draw<'a> = dyn FnMut(
        GenerationRequest<'_>,
        &mut Expand<'_>,
        &mut (dyn FnMut(Generated) + Send),
    ) -> Result<(), EngineError>
    + 'a;

/// All paths by tag of an engine's `generate`.
fn drawn(generate: &mut Draw<'_>) -> Vec<Generated> {
    paths(&mut |expand, done| {
        let drawing = SamplingParams {
            max_new_tokens: 60,
            ..SamplingParams::default()
        };
        let request = GenerationRequest {
            prompts: &prompts(),
            candidates: 3,
            params: &drawing,
            vocabulary: &Vocabulary::new(257, []),
            stop: None,
        };
        generate(request, expand, done).unwrap();
    })
}

fn cpu_paths(config: &Architecture, weights: &Weights) -> Vec<Generated> {
    let cpu = Engine::new(config, weights, EngineOptions::default()).unwrap();
    drawn(&mut |request, expand, done| cpu.generate(request, expand, done, &CancelToken::default()))
}

/// How many of the paths are token for token the same.
fn share_alike(found: &[Generated], expected: &[Generated]) -> f64 {
    let pairs = found.iter().zip(expected);
    let same = pairs.filter(|(a, b)| a.tokens == b.tokens && a.end == b.end);
    same.count() as f64 / found.len() as f64
}

#[test]
fn logits_are_those_of_transformers() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/parity");
    let expected: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.join("expected.json")).unwrap()).unwrap();
    let sequences: Vec<Vec<u32>> = serde_json::from_value(expected["sequences"].clone()).unwrap();
    let wanted: Vec<f32> = std::fs::read(folder.join("logits.f32"))
        .unwrap()
        .as_chunks::<4>()
        .0
        .iter()
        .map(|bytes| f32::from_le_bytes(*bytes))
        .collect();
    for device in devices() {
        let student = student();
        let options = single(device);
        let there = device.open().unwrap();
        let engine =
            DeviceEngine::new(&student.architecture, &student.weights, &there, options).unwrap();
        let found: Vec<f32> = sequences
            .iter()
            .flat_map(|tokens| engine.logits(tokens).unwrap())
            .collect();
        let worst = furthest(&found, &wanted);
        eprintln!("{device}: logits within {worst:.1e} of transformers'");
        assert!(worst < 1e-4 * device.slack(), "{device}: {worst}");
    }
}

#[test]
fn paths_are_the_cpus_and_the_same_at_any_batch_size() {
    let (config, weights) = model();
    let expected = cpu_paths(&config, &weights);
    assert_eq!(expected.len(), 11 * 15);
    for device in devices() {
        let all = on(&engine(device, 0));
        assert_eq!(all.len(), expected.len(), "{device}");
        let share = share_alike(&all, &expected);
        eprintln!(
            "{device}: {:.1} % of {} paths are the CPU's",
            100.0 * share,
            all.len()
        );
        assert!(1.0 - share < 0.03 * device.slack(), "{device}: {share}");
        // Three batches hold all; one holds but 64.
        assert_eq!(on(&engine(device, 1)), all, "{device}");
    }
}

#[test]
fn memory_that_runs_out_changes_no_path() {
    let whole = on(&engine(DeviceName::Flex, 256));
    let short = engine(DeviceName::Flex, 256);
    *short.faults.lock().unwrap() = vec![3, 200];
    assert_eq!(on(&short), whole);
    assert_eq!(short.batch_ladder(), [256, 128, 64]);
}

/// Its sequences come out as those of the CPU do: rounding may differ.
#[test]
fn a_batch_that_does_not_fit_is_halved() {
    let (config, weights) = model();
    let small = engine(DeviceName::Flex, 64);
    *small.faults.lock().unwrap() = vec![3, 200, 201];
    let share = share_alike(&on(&small), &cpu_paths(&config, &weights));
    assert!(1.0 - share < 0.03, "{share}");
    assert_eq!(small.batch_ladder(), [64, 32, 16, 8]);
    // The smallest is not.
    let least = engine(DeviceName::Flex, 64);
    *least.faults.lock().unwrap() = vec![3, 4, 5, 6];
    let drawing = SamplingParams::default();
    let failure = least.generate(
        GenerationRequest {
            prompts: &prompts(),
            candidates: 3,
            params: &drawing,
            vocabulary: &Vocabulary::new(257, []),
            stop: None,
        },
        &mut specs,
        &mut |_| {},
        &CancelToken::default(),
    );
    let message = failure.unwrap_err().to_string();
    assert!(
        message.contains("out of memory") && message.contains("hint: "),
        "{message}"
    );
}

/// Such a device, whose steps become graphs. Only `cuda` has them; elsewhere a graph launches the step again.
fn with_graphs(device: DeviceName) -> DeviceEngine {
    let options = EngineOptions {
        graphs: true,
        ..single(device)
    };
    let device = OpenDevice {
        graphs: true,
        ..device.open().unwrap()
    };
    let (config, weights) = model();
    DeviceEngine::new(&config, &weights, &device, options).unwrap()
}

#[test]
fn steps_as_graphs_draw_the_same_paths() {
    for device in devices() {
        let captured = with_graphs(device);
        assert_eq!(on(&captured), on(&engine(device, 0)), "{device}");
        assert!(captured.graphs(), "{device}: no graph failed");
    }
}

#[test]
#[ignore = "CUDA on the processor, whose graphs do nothing: scripts/check-cuda"]
fn graphs_that_give_other_numbers_are_given_up() {
    for device in devices().split_off(1) {
        let captured = with_graphs(device);
        assert_eq!(on(&captured), on(&engine(device, 0)), "{device}");
        assert!(!captured.graphs(), "{device}");
    }
}

#[test]
fn where_something_fails_graphs_are_given_up_first() {
    let whole = on(&engine(DeviceName::Flex, 0));
    let short = with_graphs(DeviceName::Flex);
    let before = short.batch_ladder();
    *short.faults.lock().unwrap() = vec![200];
    assert_eq!(on(&short), whole);
    assert_eq!(short.batch_ladder(), before);
    assert!(!short.graphs());
}

#[test]
fn a_row_that_cannot_be_completed_loses_no_prompt() {
    let run = |engine: &DeviceEngine| {
        let mut found = Vec::new();
        let params = SamplingParams::default();
        let request = GenerationRequest {
            prompts: &prompts(),
            candidates: 3,
            params: &params,
            vocabulary: &Vocabulary::new(257, []),
            stop: None,
        };
        // One that is not among the most probable, so that the whole row comes.
        let mut expand = |prompt: usize, first: &[FirstTokenCandidate]| {
            let is_free = |token: &u32| first.iter().all(|first| first.token != *token);
            vec![SequenceSpec {
                forced_first: (0..257).rev().find(is_free),
                stream: Digest::of(&prompt.to_le_bytes()),
                tag: prompt as u64,
            }]
        };
        let mut done = |path| found.push(path);
        engine
            .generate(request, &mut expand, &mut done, &CancelToken::default())
            .unwrap();
        found.sort_by_key(|path: &Generated| path.tag);
        found
    };
    let whole = run(&engine(DeviceName::Flex, 256));
    assert_eq!(whole.len(), prompts().len());
    let short = engine(DeviceName::Flex, 256);
    // Of eight prompts that were read together, the second's.
    *short.faults.lock().unwrap() = vec![1];
    assert_eq!(run(&short), whole);
    assert_eq!(short.batch_ladder(), [256, 128]);
}

#[test]
fn scores_are_the_cpus() {
    scores_are_alike("GPT-2", &model(), &devices());
}

fn scores_are_alike(name: &str, model: &(Architecture, Weights), devices: &[DeviceName]) {
    let cpu = Engine::new(&model.0, &model.1, EngineOptions::default()).unwrap();
    let jobs: Vec<ScoreJob> = prompts()
        .into_iter()
        .map(|prompt| ScoreJob {
            continuations: vec![vec![1, 2, 3], Vec::new(), vec![9], prompt[..3].to_vec()],
            prompt,
        })
        .collect();
    let mut expected = Vec::new();
    cpu.score(
        &jobs,
        &mut |_, scores| expected.push(scores),
        &CancelToken::default(),
    )
    .unwrap();
    for &device in devices {
        let mut found = Vec::new();
        engine_of(model, device, 0)
            .score(
                &jobs,
                &mut |index, scores| {
                    assert_eq!(index, found.len(), "in order");
                    found.push(scores);
                },
                &CancelToken::default(),
            )
            .unwrap();
        let flat =
            |all: &[Vec<Vec<f64>>]| all.iter().flatten().flatten().copied().collect::<Vec<_>>();
        let (found, expected) = (flat(&found), flat(&expected));
        let worst = furthest(&found, &expected);
        assert!(worst < 1e-3 * device.slack(), "{name} on {device}: {worst}");
    }
}

#[test]
fn what_cannot_be_read_is_refused_as_on_the_cpu() {
    let engine = engine(DeviceName::Flex, 0);
    let long = vec![1; 257];
    let message = engine.logits(&long).unwrap_err().to_string();
    assert!(message.contains("at most 256 fit"), "{message}");
    assert!(
        engine
            .logits(&[999])
            .unwrap_err()
            .to_string()
            .contains("999")
    );
    let student = student();
    let options = EngineOptions {
        dtype: Dtype::Int8,
        ..EngineOptions::default()
    };
    let device = DeviceName::Flex.open().unwrap();
    let refused = DeviceEngine::new(&student.architecture, &student.weights, &device, options);
    assert!(matches!(refused, Err(EngineError::Dtype(Dtype::Int8))));
}
