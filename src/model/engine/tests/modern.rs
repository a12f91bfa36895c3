//! Real pretrained students against HF transformers (`tests/fixtures/modern`): perplexities of texts, greedy answers; and
//! against themselves, in other batches and on other numbers of threads.

use std::path::Path;

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::*;
use crate::event::CancelToken;
use crate::key::Digest;
use crate::model::{Student, Vocabulary};
use crate::needs::{modern, shared};

/// `StrategyQA` as BIG-bench has it, below `../shared`.
const TASK: &str = "mirror/raw.githubusercontent.com/kojima-takeshi188/zero_shot_cot/\
                    5ef330fcdeec0cd26aee27943504f91f8ec1c33c/dataset/StrategyQA/task.json";
/// Where two logits of transformers' are this near, f32 may rank them the other way.
const NEAR: f64 = 1e-3;
/// So many answers may part there.
const PARTINGS: usize = 4;

/// What transformers found; `make_modern.py` says how.
#[derive(Deserialize)]
struct Expected {
    predicted_tokens: usize,
    perplexity: f64,
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    id: String,
    text_sha256: String,
    text_loss: f64,
    prompt_sha256: String,
    answer: Vec<u32>,
    margins: Vec<f64>,
}

#[derive(Deserialize)]
struct Task {
    examples: Vec<Example>,
}

#[derive(Deserialize)]
struct Example {
    input: String,
    target: String,
}

/// A real student, the texts and prompts as its tokens, and what is expected of them.
struct Real {
    student: Student,
    expected: Expected,
    texts: Vec<Vec<u32>>,
    prompts: Vec<Vec<u32>>,
}

impl Real {
    /// `None` where the student or the texts are not here.
    fn read(name: &str) -> Option<Self> {
        let (folder, task) = (modern(name)?, shared(TASK)?);
        let student = Student::load(&folder).unwrap();
        let fixture = format!("tests/fixtures/modern/{name}.json");
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join(fixture);
        let expected: Expected = serde_json::from_slice(&std::fs::read(fixture).unwrap()).unwrap();
        let task: Task = serde_json::from_slice(&std::fs::read(task).unwrap()).unwrap();
        let tokens = |text: &str| student.tokenizer.encode_prompt(&text.into()).unwrap();
        let (mut texts, mut prompts) = (Vec::new(), Vec::new());
        for (example, row) in task.examples.iter().zip(&expected.rows) {
            let (input, target) = (example.input.trim(), example.target.trim());
            texts.push(tokens(&format!("{input} {target}")));
            prompts.push(tokens(&format!("Question: {input} Answer:")));
            let digests = [texts.last(), prompts.last()].map(|tokens| digest(tokens.unwrap()));
            let expected = [row.text_sha256.clone(), row.prompt_sha256.clone()];
            assert_eq!(digests, expected, "the tokens of {}", row.id);
        }
        Some(Self {
            student,
            expected,
            texts,
            prompts,
        })
    }

    fn engine(&self, threads: usize, max_batch: usize) -> Engine {
        let options = options(threads, max_batch);
        Engine::new(&self.student.architecture, &self.student.weights, options).unwrap()
    }

    fn perplexity(&self) {
        let jobs: Vec<ScoreJob> = self
            .texts
            .iter()
            .map(|tokens| ScoreJob {
                prompt: vec![tokens[0]],
                continuations: vec![tokens[1..].to_vec()],
            })
            .collect();
        let mut losses = vec![0.0; jobs.len()];
        let mut done =
            |index: usize, found: Vec<Vec<f64>>| losses[index] = -found[0].iter().sum::<f64>();
        let cancel = CancelToken::default();
        self.engine(2, 0).score(&jobs, &mut done, &cancel).unwrap();
        for (loss, row) in losses.iter().zip(&self.expected.rows) {
            let apart = (loss / row.text_loss - 1.0).abs();
            assert!(apart < 1e-4, "{}: {loss} {}", row.id, row.text_loss);
        }
        let mean = losses.iter().sum::<f64>() / self.expected.predicted_tokens as f64;
        let apart = (mean.exp() / self.expected.perplexity - 1.0).abs();
        assert!(apart < 1e-4, "{} {}", mean.exp(), self.expected.perplexity);
    }

    /// The first `count` prompts, gone on with greedily over end tokens.
    fn greedy(&self, count: usize) {
        let rows = &self.expected.rows[..count];
        let params = SamplingParams {
            max_new_tokens: u32::try_from(rows[0].answer.len()).unwrap(),
            top_k: 1,
            ..SamplingParams::default()
        };
        let endless = Vocabulary::new(self.student.vocabulary.tokens(), []);
        let engine = self.engine(2, 0);
        let found = drawn(&engine, &self.prompts[..count], &params, &endless, 1);
        let mut partings = 0;
        for (found, row) in found.iter().zip(rows) {
            let mut pairs = found.tokens.iter().zip(&row.answer);
            if let Some(place) = pairs.position(|(found, expected)| found != expected) {
                partings += 1;
                let margin = row.margins[place];
                assert!(margin < NEAR, "{} parts at {place}: {margin}", row.id);
            }
            assert_eq!(found.tokens.len(), row.answer.len(), "{}", row.id);
        }
        assert!(partings <= PARTINGS, "{partings} answers part");
    }
}

/// The SHA-256 of tokens as little-endian u32.
fn digest(tokens: &[u32]) -> String {
    let mut hash = Sha256::new();
    for token in tokens {
        hash.update(token.to_le_bytes());
    }
    format!("{:x}", hash.finalize())
}

/// `each` sequences of every prompt, in order of prompts and draws.
fn drawn(
    engine: &Engine,
    prompts: &[Vec<u32>],
    params: &SamplingParams,
    vocabulary: &Vocabulary,
    each: u64,
) -> Vec<Generated> {
    let request = GenerationRequest {
        prompts,
        candidates: 0,
        params,
        vocabulary,
        stop: None,
    };
    let mut expand = |prompt: usize, _: &[FirstTokenCandidate]| {
        (0..each)
            .map(|tag| SequenceSpec {
                forced_first: None,
                stream: Digest::of(format!("{prompt} {tag}").as_bytes()),
                tag,
            })
            .collect()
    };
    let mut found = Vec::new();
    let mut done = |one: Generated| found.push(one);
    engine
        .generate(request, &mut expand, &mut done, &CancelToken::default())
        .unwrap();
    found.sort_by_key(|one| (one.prompt_index, one.tag));
    found
}

#[test]
fn smollm2_is_what_transformers_computes() {
    if let Some(real) = Real::read("smollm2-135m-instruct") {
        real.perplexity();
        real.greedy(20);
    }
}

#[test]
#[ignore = "minutes: SERT_MODELS=DIR cargo test --lib engine::tests::modern -- --include-ignored"]
fn all_answers_of_smollm2_are_transformers() {
    let real = Real::read("smollm2-135m-instruct").expect("SERT_MODELS has it");
    real.greedy(200);
}

#[test]
#[ignore = "minutes: SERT_MODELS=DIR cargo test --lib engine::tests::modern -- --include-ignored"]
fn gemma_3_is_what_transformers_computes() {
    let real = Real::read("gemma-3-270m").expect("SERT_MODELS has it");
    real.perplexity();
    real.greedy(200);
}

#[test]
#[ignore = "an hour: SERT_MODELS=DIR cargo test --lib engine::tests::modern -- --include-ignored"]
fn thirty_thousand_drawn_tokens_of_smollm2_are_the_same_in_any_batch_and_on_any_threads() {
    let real = Real::read("smollm2-135m-instruct").expect("SERT_MODELS has it");
    let params = SamplingParams {
        max_new_tokens: 64,
        ..SamplingParams::default()
    };
    let endless = Vocabulary::new(real.student.vocabulary.tokens(), []);
    let draw = |threads, batch| {
        let engine = real.engine(threads, batch);
        let found = drawn(&engine, &real.prompts[..59], &params, &endless, 8);
        let tokens: usize = found.iter().map(|one| one.tokens.len()).sum();
        assert!(tokens >= 30_000, "{tokens}");
        let told = |one: Generated| (one.tokens, one.log_prob.sum.to_bits());
        found.into_iter().map(told).collect::<Vec<_>>()
    };
    let first = draw(2, 32);
    for (threads, batch) in [(1, 32), (4, 32), (2, 7), (2, 1)] {
        assert!(draw(threads, batch) == first, "{threads} threads, {batch}");
    }
}
