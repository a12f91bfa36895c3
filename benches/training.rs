//! Tokens per second of training: `cargo bench --bench training`, on two shapes, best of three trainings of a few
//! steps. Machines are noisy: compare figures of one run only.
//!
//! `cargo bench --bench training -- large`, or `-- large checkpointing`: two steps of GPT-2 large with random weights
//! and the process's greatest memory (Linux). It needs up to 20 GB.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and stops at an error"
)]

use std::time::Instant;

use sert_run::event::CancelToken;
use sert_run::model::train::{Example, TrainOptions, TrainRuntime, train};
use sert_run::model::{Gpt2Config, Student, StudentTokenizer, Weights};

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let asked = |name: &str| arguments.iter().any(|argument| argument == name);
    let runtime = TrainRuntime {
        gradient_checkpointing: asked("checkpointing"),
        ..TrainRuntime::default()
    };
    let shapes = [
        ("width 128, 4 layers, 16 x 192", 128, 4, 640, 16, 192, 6),
        ("GPT-2 small, 8 x 128", 768, 12, 50257, 8, 128, 1),
        ("GPT-2 large, 8 x 128", 1280, 36, 50257, 8, 128, 2),
    ];
    let (shapes, rounds) = if asked("large") {
        (&shapes[2..], 1)
    } else {
        (&shapes[..2], 3)
    };
    for &(name, width, layers, vocab_size, batch_size, length, steps) in shapes {
        let config = Gpt2Config {
            vocab_size,
            n_positions: 256,
            n_embd: width,
            n_layer: layers,
            n_head: width / 64 * 2,
            ..Gpt2Config::default()
        };
        let student = Student {
            weights: Weights::init(&config, 1),
            tokenizer: StudentTokenizer::train(std::iter::empty(), 257).unwrap(),
            config,
        };
        let examples: Vec<Example> = (0..batch_size * steps)
            .map(|index| Example {
                tokens: (0..length)
                    .map(|place| u32::try_from((index * 97 + place * place * 31) % 257).unwrap())
                    .collect(),
                loss_from: length / 3,
            })
            .collect();
        let options = TrainOptions {
            epochs: 1,
            batch_size,
            ..TrainOptions::default()
        };
        let mut student = Some(student);
        let best = (1..=rounds)
            .map(|round| {
                // The last one is given away, so that its weights are held once.
                let given = if round == rounds {
                    student.take()
                } else {
                    student.clone()
                };
                let folder = tempfile::tempdir().unwrap();
                let began = Instant::now();
                let cancel = CancelToken::default();
                train(
                    given.unwrap(),
                    &examples,
                    &[],
                    &options,
                    0,
                    folder.path(),
                    runtime,
                    &mut |_| {},
                    &cancel,
                )
                .unwrap();
                (batch_size * steps * length) as f64 / began.elapsed().as_secs_f64()
            })
            .fold(0.0, f64::max);
        println!("{name}: {best:.0} tokens/s, peak {}", peak());
    }
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
