//! Tokens per second of training, and the process's greatest memory (Linux): `cargo bench --bench training -- small`.
//!
//! `narrow` (width 128), `small` (GPT-2 small), `large` (GPT-2 large: minutes, about 15 GB by count), `smollm2` (SmolLM2-135M:
//! Llama); random weights, two threads
//! unless `threads=N`; `checkpointing` makes blocks again in the backward pass. Time runs from the first step's end to
//! the last's, best of three trainings (of one for `large`). Machines are noisy: compare figures of one run only.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and stops at an error"
)]

use std::path::Path;
use std::time::Instant;

use sert_run::event::CancelToken;
use sert_run::model::architecture::Gpt2;
use sert_run::model::train::{Example, TrainOptions, TrainRuntime, train};
use sert_run::model::{Architecture, Student, StudentTokenizer};

struct Shape {
    name: &'static str,
    width: usize,
    layers: usize,
    heads: usize,
    vocabulary: usize,
    batch: usize,
    length: usize,
    steps: usize,
    rounds: usize,
}

const SHAPES: [Shape; 4] = [
    Shape {
        name: "narrow",
        width: 128,
        layers: 4,
        heads: 4,
        vocabulary: 640,
        batch: 16,
        length: 192,
        steps: 7,
        rounds: 3,
    },
    Shape {
        name: "small",
        width: 768,
        layers: 12,
        heads: 12,
        vocabulary: 50257,
        batch: 8,
        length: 128,
        steps: 4,
        rounds: 3,
    },
    Shape {
        name: "large",
        width: 1280,
        layers: 36,
        heads: 20,
        vocabulary: 50257,
        batch: 8,
        length: 128,
        steps: 2,
        rounds: 1,
    },
    Shape {
        name: "smollm2",
        width: 576,
        layers: 30,
        heads: 9,
        vocabulary: 49152,
        batch: 8,
        length: 128,
        steps: 4,
        rounds: 3,
    },
];

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let asked = |name: &str| arguments.iter().any(|argument| argument == name);
    let threads = arguments
        .iter()
        .find_map(|argument| argument.strip_prefix("threads="));
    let runtime = TrainRuntime {
        threads: threads.map_or(2, |count| count.parse().unwrap()),
        gradient_checkpointing: asked("checkpointing"),
        ..TrainRuntime::default()
    };
    for shape in SHAPES.iter().filter(|shape| asked(shape.name)) {
        let best = measure(shape, &runtime);
        let (name, batch, length) = (shape.name, shape.batch, shape.length);
        println!(
            "{name}, {batch} x {length}: {best:.0} tokens/s, peak {}",
            peak()
        );
    }
}

/// Tokens per second of the quickest round.
fn measure(shape: &Shape, runtime: &TrainRuntime) -> f64 {
    let tokenizer = StudentTokenizer::train(std::iter::empty(), 257).unwrap();
    let mut student = Some(Student::init(architecture(shape), tokenizer, 1).unwrap());
    let examples: Vec<Example> = (0..shape.batch * shape.steps)
        .map(|index| Example {
            tokens: (0..shape.length)
                .map(|place| u32::try_from((index * 97 + place * place * 31) % 257).unwrap())
                .collect(),
            loss_from: shape.length / 3,
        })
        .collect();
    let options = TrainOptions {
        epochs: 1,
        batch_size: shape.batch,
        ..TrainOptions::default()
    };
    let mut best = 0.0_f64;
    for round in 1..=shape.rounds {
        // The last one is given away, so that its weights are held once.
        let given = if round == shape.rounds {
            student.take()
        } else {
            student.clone()
        };
        let folder = tempfile::tempdir().unwrap();
        let mut ends = Vec::new();
        train(
            given.unwrap(),
            &examples,
            &[],
            &options,
            0,
            folder.path(),
            runtime,
            &mut |_| ends.push(Instant::now()),
            &CancelToken::default(),
        )
        .unwrap();
        let seconds = (ends[ends.len() - 1] - ends[0]).as_secs_f64();
        let tokens = shape.batch * (shape.steps - 1) * shape.length;
        best = best.max(tokens as f64 / seconds);
    }
    best
}

fn architecture(shape: &Shape) -> Architecture {
    if shape.name == "smollm2" {
        let config = format!(
            r#"{{"model_type": "llama", "vocab_size": {}, "max_position_embeddings": 256, "hidden_size": {},
            "num_hidden_layers": {}, "num_attention_heads": {}, "num_key_value_heads": 3, "intermediate_size": 1536,
            "tie_word_embeddings": true, "rope_theta": 100000.0}}"#,
            shape.vocabulary, shape.width, shape.layers, shape.heads
        );
        return Architecture::parse(config.as_bytes(), Path::new("config.json")).unwrap();
    }
    let gpt2 = Gpt2 {
        vocab_rows: shape.vocabulary,
        context: 256,
        width: shape.width,
        layers: shape.layers,
        heads: shape.heads,
    };
    gpt2.into()
}

/// The most memory that this process has had so far.
fn peak() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.map_or_else(
        || "memory unknown".to_owned(),
        |line| line.trim().to_owned(),
    )
}
