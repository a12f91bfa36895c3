//! How fast this machine runs a student: a measurement of about a second, for the plan's estimates.

use std::time::Instant;

use serde::Serialize;

use super::EngineOptions;
use super::architecture::Gpt2;
use super::engine::Engine;
use super::sampling::{GenerationRequest, SamplingParams, SequenceSpec};
use super::train::{Example, TrainOptions, TrainRuntime, train};
use super::{Architecture, Student, StudentTokenizer, Vocabulary, Weights};
use crate::event::CancelToken;
use crate::key::Digest;

/// Floating-point operations per second, counted as two for each weight and token forward and six in
/// training.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Calibration {
    /// Reading and generating.
    pub inference_flop_per_s: f64,
    /// Training.
    pub training_flop_per_s: f64,
}

/// The model that is measured, and how much it generates: about a second's work in all (ours).
const WIDTH: usize = 256;
const LAYERS: usize = 3;
const VOCAB: usize = 4096;
const SEQUENCES: usize = 48;
const TOKENS: u32 = 16;

impl Calibration {
    /// Measures with so many threads (0 for all cores); `None` where a model cannot run at all, which
    /// the run will then say in its own words.
    pub fn measure(threads: usize) -> Option<Self> {
        let architecture = Architecture::from(Gpt2 {
            vocab_rows: VOCAB,
            context: 128,
            width: WIDTH,
            layers: LAYERS,
            heads: 4,
        });
        let weights = Weights::init(&architecture, 0);
        let multiplied = (12 * LAYERS * WIDTH * WIDTH + VOCAB * WIDTH) as f64;
        let inference = Self::inference(&architecture, &weights, threads)?;
        let training = Self::training(architecture, weights, threads)?;
        Some(Self {
            inference_flop_per_s: 2.0 * multiplied * inference,
            training_flop_per_s: 6.0 * multiplied * training,
        })
    }

    /// Tokens generated per second.
    fn inference(architecture: &Architecture, weights: &Weights, threads: usize) -> Option<f64> {
        let options = EngineOptions {
            threads,
            ..EngineOptions::default()
        };
        let engine = Engine::new(architecture, weights, options).ok()?;
        let drawing = SamplingParams {
            max_new_tokens: TOKENS,
            ..SamplingParams::default()
        };
        let began = Instant::now();
        let mut tokens = 0;
        engine
            .generate(
                GenerationRequest {
                    prompts: &[vec![1; 16]],
                    candidates: 0,
                    params: &drawing,
                    vocabulary: &Vocabulary::of(architecture),
                    stop: None,
                },
                &mut |_, _| {
                    (0..SEQUENCES)
                        .map(|tag| SequenceSpec {
                            forced_first: None,
                            stream: Digest::of(&tag.to_le_bytes()),
                            tag: tag as u64,
                        })
                        .collect()
                },
                &mut |generated| tokens += generated.tokens.len(),
                &CancelToken::default(),
            )
            .ok()?;
        Some(tokens as f64 / began.elapsed().as_secs_f64())
    }

    /// Tokens trained on per second.
    fn training(architecture: Architecture, weights: Weights, threads: usize) -> Option<f64> {
        let tokenizer = StudentTokenizer::train(std::iter::empty(), 257).ok()?;
        let student = Student::new(architecture, weights, tokenizer).ok()?;
        let examples = vec![
            Example {
                tokens: vec![1; 64],
                loss_from: 16,
            };
            16
        ];
        let options = TrainOptions {
            epochs: 1,
            ..TrainOptions::default()
        };
        let folder = tempfile::tempdir().ok()?;
        let began = Instant::now();
        let trained = train(
            student,
            &examples,
            &[],
            &options,
            0,
            folder.path(),
            &TrainRuntime {
                threads,
                ..TrainRuntime::default()
            },
            &mut |_| {},
            &CancelToken::default(),
        )
        .ok()?;
        Some(trained.losses.last()?.tokens as f64 / began.elapsed().as_secs_f64())
    }
}
