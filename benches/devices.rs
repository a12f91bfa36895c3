//! Tokens per second of sampling and of training on any device: `cargo bench --bench devices -- DEVICE DTYPE SIZE
//! [QUESTIONS [NEW_TOKENS [STEPS]]]`, for example `-- cuda:0 bf16 small 40 128 10`. SIZE is tiny, small, medium or large of GPT-2's,
//! llama-135m (`SmolLM2`'s shape) or llama-1b (Llama 3.2's).
//!
//! Random weights; 25 sequences for each question; training steps of 8 examples of 128 tokens. One line of JSON, which
//! `scripts/gpu-bench` makes a table of. Each figure is of a second run of the same work, since a device compiles its kernels in the first.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and stops at an error"
)]

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use sert_run::event::CancelToken;
use sert_run::key::Digest;
use sert_run::model::EngineOptions;
use sert_run::model::architecture::{Architecture, Gpt2};
use sert_run::model::device::{DeviceName, description};
use sert_run::model::sampling::{GenerationRequest, SamplingParams, SequenceSpec};
use sert_run::model::train::{Example, TrainOptions, TrainRuntime, train};
use sert_run::model::{Dtype, Inference, Student, StudentTokenizer, Vocabulary};

const PROMPT_TOKENS: usize = 24;
const LENGTH: usize = 128;
const BATCH: usize = 8;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let text = |place: usize, default: &str| {
        arguments
            .get(place)
            .map_or(default.to_owned(), Clone::clone)
    };
    let number = |place: usize, default: usize| {
        arguments
            .get(place)
            .map_or(Ok(default), |text| text.parse())
    };
    let device: DeviceName = text(0, "cpu").parse()?;
    let dtype: Dtype = serde_json::from_value(text(1, "f32").into())?;
    let (size, questions) = (text(2, "tiny"), number(3, 4)?);
    let (new_tokens, steps) = (number(4, 16)?, number(5, 2)?);
    let tokenizer = StudentTokenizer::train(std::iter::empty(), 257).unwrap();
    let student = Student::init(architecture(&size)?, tokenizer, 1).unwrap();
    let sampled = sampling(&student, device, dtype, questions, new_tokens)?;
    let trained = training(&student, device, dtype, steps);
    let name = format!("{device}{}", if eager() { ", eager" } else { "" });
    let line = serde_json::json!({
        "device": name,
        "description": description(device),
        "dtype": dtype,
        "size": size,
        "questions": questions,
        "new_tokens": new_tokens,
        "sampled_tokens_per_s": sampled,
        "trained_tokens_per_s": trained.as_ref().ok(),
        "training_failed": trained.as_ref().err(),
    });
    println!("{line}");
    Ok(())
}

/// A student's shape by its name.
fn architecture(size: &str) -> Result<Architecture, Box<dyn Error>> {
    let gpt2 = |width, layers, heads| {
        let gpt2 = Gpt2 {
            width,
            layers,
            heads,
            ..Gpt2::default()
        };
        Ok(gpt2.into())
    };
    let llama = |width: usize, layers: usize, [query, key]: [usize; 2], inner, vocabulary| {
        let config = serde_json::json!({
            "model_type": "llama",
            "vocab_size": vocabulary,
            "max_position_embeddings": 1024,
            "hidden_size": width,
            "num_hidden_layers": layers,
            "num_attention_heads": query,
            "num_key_value_heads": key,
            "intermediate_size": inner,
            "tie_word_embeddings": true,
        });
        let name = Path::new("config.json");
        Ok(Architecture::parse(config.to_string().as_bytes(), name)?)
    };
    match size {
        "tiny" => gpt2(128, 2, 2),
        "small" => gpt2(768, 12, 12),
        "medium" => gpt2(1024, 24, 16),
        "large" => gpt2(1280, 36, 20),
        "llama-135m" => llama(576, 30, [9, 3], 1536, 49_152),
        "llama-1b" => llama(2048, 16, [32, 8], 8192, 128_256),
        other => Err(format!(
            "{other} is none of tiny, small, medium, large, llama-135m, llama-1b"
        )
        .into()),
    }
}

/// Whether each operation is launched by itself, as `run --enforce-eager` has it.
fn eager() -> bool {
    std::env::var("SERT_ENFORCE_EAGER").is_ok_and(|set| !matches!(&*set, "" | "0" | "false"))
}

/// Generated tokens per second.
fn sampling(
    student: &Student,
    device: DeviceName,
    dtype: Dtype,
    questions: usize,
    new: usize,
) -> Result<f64, Box<dyn Error>> {
    let options = EngineOptions {
        dtype,
        graphs: !eager(),
        ..EngineOptions::default()
    };
    let engine = Inference::new(device, &student.architecture, &student.weights, options)?;
    let drawing = SamplingParams {
        max_new_tokens: u32::try_from(new).unwrap(),
        ..SamplingParams::default()
    };
    let vocabulary = student.architecture.vocab_rows;
    let token = |index: usize| u32::try_from(index * 7919 % (vocabulary - 1)).unwrap();
    let prompts: Vec<Vec<u32>> = (0..questions)
        .map(|question| {
            (0..PROMPT_TOKENS)
                .map(|place| token(question * 31 + place))
                .collect()
        })
        .collect();
    let mut rate = 0.0;
    for _ in 0..2 {
        let (began, mut tokens) = (Instant::now(), 0);
        engine
            .generate(
                GenerationRequest {
                    prompts: &prompts,
                    candidates: 5,
                    params: &drawing,
                    vocabulary: &Vocabulary::of(&student.architecture),
                    stop: None,
                },
                &mut |prompt, first| {
                    let each = first
                        .iter()
                        .flat_map(|first| (0..5_u32).map(move |draw| (first, draw)));
                    each.map(|(first, draw)| SequenceSpec {
                        forced_first: Some(first.token),
                        stream: Digest::of(format!("{prompt} {} {draw}", first.rank).as_bytes()),
                        tag: 0,
                    })
                    .collect()
                },
                &mut |path| tokens += path.tokens.len(),
                &CancelToken::default(),
            )
            .unwrap();
        rate = tokens as f64 / began.elapsed().as_secs_f64();
    }
    Ok(rate)
}

/// Tokens trained on per second, from the first step's end to the last's of a second training.
fn training(
    student: &Student,
    device: DeviceName,
    dtype: Dtype,
    steps: usize,
) -> Result<f64, String> {
    let vocabulary = student.architecture.vocab_rows;
    let token = |index: usize| u32::try_from(index % (vocabulary - 1)).unwrap();
    let examples: Vec<Example> = (0..BATCH * (steps + 1))
        .map(|index| Example {
            tokens: (0..=LENGTH)
                .map(|place| token(index * 97 + place * place * 31))
                .collect(),
            loss_from: LENGTH / 4,
        })
        .collect();
    let options = TrainOptions {
        epochs: 1,
        batch_size: BATCH,
        dtype,
        ..TrainOptions::default()
    };
    let folder = tempfile::tempdir().unwrap();
    let mut ends = Vec::new();
    let trained = train(
        student.clone(),
        &examples,
        &[],
        &options,
        0,
        folder.path(),
        &TrainRuntime {
            device,
            ..TrainRuntime::default()
        },
        &mut |progress| ends.push((Instant::now(), progress.tokens)),
        &CancelToken::default(),
    );
    trained.map_err(|error| error.to_string())?;
    let ((began, before), (ended, after)) = (ends[0], *ends.last().unwrap());
    Ok((after - before) as f64 / ended.duration_since(began).as_secs_f64())
}
