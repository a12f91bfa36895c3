//! What share of the machine's matrix product the engine and training reach: `cargo bench --bench roofline [-- THREADS]`.
//!
//! The roof is our own micro-kernel on a product that fits the caches, best of many short attempts. Operations are
//! counted as a GPT-2 needs them (two for each multiply-add, products and attention; training three times the
//! forward pass, the vocabulary only where the loss asks), whatever the kernels do. Where the system tells
//! processor time (Linux), rates are by that, so that other programs disturb little; then a rate is per core.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and stops at an error"
)]

use std::time::Instant;

use sert_run::event::CancelToken;
use sert_run::key::Digest;
use sert_run::model::architecture::Gpt2;
use sert_run::model::engine::{Engine, product_rate};
use sert_run::model::sampling::{GenerationRequest, SamplingParams, SequenceSpec};
use sert_run::model::train::{Example, TrainOptions, TrainRuntime, train};
use sert_run::model::{Architecture, Student, StudentTokenizer, Vocabulary, Weights};
use sert_run::model::{EngineOptions, ScoreJob};

/// GPT-2 small.
const WIDTH: usize = 768;
const LAYERS: usize = 12;
const VOCAB: usize = 50257;
/// Products of a prompt's or a batch's rows with a block's weights, and with the vocabulary.
const PRODUCTS: [(&str, [usize; 3], usize); 4] = [
    ("product 96 x 256 x 256", [96, 256, 256], 2000),
    ("product 96 x 768 x 3072", [96, WIDTH, 4 * WIDTH], 300),
    ("product 96 x 3072 x 768", [96, 4 * WIDTH, WIDTH], 300),
    ("product 96 x 768 x 50257", [96, WIDTH, VOCAB], 12),
];

fn main() {
    let given = std::env::args().skip(1).find_map(|a| a.parse().ok());
    let threads: usize = given.unwrap_or(1);
    let mut roof = 0.0_f64;
    println!(
        "| GPT-2 small, {threads} threads | GFLOP/s per thread | of the roof |\n|---|---|---|"
    );
    for (name, sizes, attempts) in PRODUCTS {
        let rate = product_rate(sizes, threads, attempts).unwrap() / threads as f64;
        roof = roof.max(rate);
        row(name, rate, roof);
    }
    let architecture = Architecture::from(Gpt2 {
        vocab_rows: VOCAB,
        context: 1024,
        width: WIDTH,
        layers: LAYERS,
        heads: 12,
    });
    let weights = Weights::init(&architecture, 1);
    let options = EngineOptions {
        threads,
        max_batch: 0,
        ..EngineOptions::default()
    };
    let engine = Engine::new(&architecture, &weights, options).unwrap();
    row("sampling, 4 prompts x 25", sampling(&engine), roof);
    row("reading, 16 x 128 tokens", reading(&engine), roof);
    drop(engine);
    let tokenizer = StudentTokenizer::train(std::iter::empty(), 257).unwrap();
    let student = Student::new(architecture, weights, tokenizer).unwrap();
    row("training, 8 x 96 tokens", training(&student, threads), roof);
}

fn row(name: &str, rate: f64, roof: f64) {
    println!(
        "| {name} | {:.1} | {:.0} % |",
        rate / 1e9,
        100.0 * rate / roof
    );
}

/// Operations of reading one token at a place, the vocabulary aside.
fn token_work(place: usize) -> f64 {
    (2 * 12 * LAYERS * WIDTH * WIDTH + 4 * LAYERS * WIDTH * (place + 1)) as f64
}

const VOCABULARY_WORK: f64 = (2 * WIDTH * VOCAB) as f64;

/// Tokens that go in, from place 0.
fn work_of(length: usize) -> f64 {
    (0..length).map(token_work).sum()
}

fn tokens(length: usize, salt: usize) -> Vec<u32> {
    let token = |place| u32::try_from((salt * 97 + place * place * 31) % 257).unwrap();
    (0..length).map(token).collect()
}

fn sampling(engine: &Engine) -> f64 {
    let prompts: Vec<Vec<u32>> = (0..4).map(|salt| tokens(24, salt)).collect();
    let params = SamplingParams {
        max_new_tokens: 48,
        ..SamplingParams::default()
    };
    let mut work: f64 = 4.0 * (work_of(24) + VOCABULARY_WORK);
    let clock = Clock::start();
    engine
        .generate(
            GenerationRequest {
                prompts: &prompts,
                candidates: 5,
                params: &params,
                vocabulary: &Vocabulary::new(VOCAB, []),
                stop: None,
            },
            &mut |prompt, candidates| {
                (0..25)
                    .map(|i| SequenceSpec {
                        forced_first: Some(candidates[i % 5].token),
                        stream: Digest::of(format!("{prompt}-{i}").as_bytes()),
                        tag: i as u64,
                    })
                    .collect()
            },
            // The first token is given and the last is not read.
            &mut |sequence| {
                let read = sequence.tokens.len() - 1;
                work += (0..read).map(|i| token_work(24 + i)).sum::<f64>();
                work += read as f64 * VOCABULARY_WORK;
            },
            &CancelToken::default(),
        )
        .unwrap();
    work / clock.seconds()
}

fn reading(engine: &Engine) -> f64 {
    // Sixteen texts; only the last token of each is scored, so that hardly any logits are wanted.
    let jobs: Vec<ScoreJob> = (0..16)
        .map(|salt| ScoreJob {
            prompt: tokens(128, salt),
            continuations: vec![vec![1]],
        })
        .collect();
    let clock = Clock::start();
    engine
        .score(&jobs, &mut |_, _| {}, &CancelToken::default())
        .unwrap();
    16.0 * (work_of(128) + VOCABULARY_WORK) / clock.seconds()
}

fn training(student: &Student, threads: usize) -> f64 {
    const STEPS: usize = 4;
    let (length, loss_from) = (97, 24);
    let examples: Vec<Example> = (0..8 * STEPS)
        .map(|salt| Example {
            tokens: tokens(length, salt),
            loss_from,
        })
        .collect();
    let options = TrainOptions {
        epochs: 1,
        ..TrainOptions::default()
    };
    let folder = tempfile::tempdir().unwrap();
    // The first step also pays for what happens once.
    let (mut clock, mut seconds) = (None, 0.0);
    let mut progress = |_| match &clock {
        None => clock = Some(Clock::start()),
        Some(clock) => seconds = clock.seconds(),
    };
    train(
        student.clone(),
        &examples,
        &[],
        &options,
        0,
        folder.path(),
        &TrainRuntime {
            threads,
            ..TrainRuntime::default()
        },
        &mut progress,
        &CancelToken::default(),
    )
    .unwrap();
    let example = work_of(length - 1) + (length - loss_from) as f64 * VOCABULARY_WORK;
    3.0 * 8.0 * (STEPS - 1) as f64 * example / seconds
}

/// Seconds of the processor where the system tells them, else of the wall.
struct Clock {
    wall: Instant,
    processor: Option<f64>,
}

impl Clock {
    fn start() -> Self {
        Self {
            wall: Instant::now(),
            processor: processor_seconds(),
        }
    }

    fn seconds(&self) -> f64 {
        match (self.processor, processor_seconds()) {
            (Some(began), Some(now)) => now - began,
            _ => self.wall.elapsed().as_secs_f64(),
        }
    }
}

/// User and system time of this process, in the kernel's ticks of a hundredth.
fn processor_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks: f64 = fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
    Some(ticks / 100.0)
}
