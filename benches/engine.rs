//! Tokens per second of the sampling engine: `cargo bench --bench engine [-- NAME [THREADS [f32|bf16|f16|int8]]]`.
//!
//! Random weights; 25 sequences per prompt of 60 tokens, 64 new tokens each, top-k 10, top-p 0.95. The
//! figure counts generated tokens over the whole time, prompts included.
#![expect(clippy::print_stdout, reason = "a benchmark's output is its figures")]

use std::time::Instant;

use sert_run::event::CancelToken;
use sert_run::key::Digest;
use sert_run::model::EngineOptions;
use sert_run::model::architecture::{ArraySpec, Gpt2};
use sert_run::model::engine::Engine;
use sert_run::model::sampling::{GenerationRequest, SamplingParams, SequenceSpec};
use sert_run::model::{Architecture, Array, Dtype, Vocabulary, Weights};

/// Name, width, blocks, heads, vocabulary, batch, prompts.
type Case = (&'static str, usize, usize, usize, u32, usize, u32);

const CASES: [Case; 6] = [
    ("tiny-64", 64, 2, 4, 400, 64, 40),
    ("nano-25", 256, 6, 8, 50257, 25, 2),
    ("nano-100", 256, 6, 8, 50257, 100, 4),
    ("small-1", 768, 12, 12, 50257, 1, 1),
    ("small-25", 768, 12, 12, 50257, 25, 1),
    ("small-100", 768, 12, 12, 50257, 100, 4),
];
const PROMPT_TOKENS: u32 = 60;

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|a| !a.starts_with("--"));
    let wanted = arguments.next().unwrap_or_default();
    let threads = arguments.next().and_then(|t| t.parse().ok()).unwrap_or(2);
    let dtype = match arguments.next().as_deref() {
        Some("bf16") => Dtype::Bf16,
        Some("f16") => Dtype::F16,
        Some("int8") => Dtype::Int8,
        _ => Dtype::F32,
    };
    for case in CASES.iter().filter(|case| case.0.contains(&wanted)) {
        let &(name, width, layers, heads, vocab, batch, prompts) = case;
        let (architecture, weights) = random(width, layers, heads, vocab);
        let options = EngineOptions {
            threads,
            max_batch: batch,
            dtype,
            ..EngineOptions::default()
        };
        let began = Instant::now();
        let engine =
            Engine::new(&architecture, &weights, options).expect("the shapes are consistent");
        let packing = began.elapsed().as_secs_f64();
        drop(weights);
        let prompts: Vec<Vec<u32>> = (0..prompts)
            .map(|p| {
                (0..PROMPT_TOKENS)
                    .map(|t| (p * 31 + t * 7) % vocab)
                    .collect()
            })
            .collect();
        let per_prompt = if batch == 1 { 1 } else { 25 };
        let params = SamplingParams {
            max_new_tokens: if batch == 1 { 16 } else { 64 },
            ..SamplingParams::default()
        };
        let mut tokens = 0;
        let start = Instant::now();
        engine
            .generate(
                GenerationRequest {
                    prompts: &prompts,
                    candidates: 5,
                    params: &params,
                    vocabulary: &Vocabulary::of(&architecture),
                    stop: None,
                },
                &mut |prompt, candidates| {
                    (0..per_prompt)
                        .map(|i| SequenceSpec {
                            forced_first: Some(candidates[i % 5].token),
                            stream: Digest::of(format!("{prompt}-{i}").as_bytes()),
                            tag: i as u64,
                        })
                        .collect()
                },
                &mut |sequence| tokens += sequence.tokens.len(),
                &CancelToken::default(),
            )
            .expect("the prompts are in range");
        let seconds = start.elapsed().as_secs_f64();
        println!(
            "{name}: {tokens} tokens in {seconds:.2} s, {:.0} tokens/s ({threads} threads, {dtype}; packed in {packing:.2} s)",
            tokens as f64 / seconds
        );
    }
}

/// A GPT-2 of this shape with small random weights.
fn random(width: usize, layers: usize, heads: usize, vocab: u32) -> (Architecture, Weights) {
    let gpt2 = Gpt2 {
        vocab_rows: vocab as usize,
        context: 512,
        width,
        layers,
        heads,
    };
    let architecture = Architecture {
        end_of_text: Some(vocab - 1),
        ..gpt2.into()
    };
    let mut state = 1_u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        ((state >> 40) as f32 / (1 << 24) as f32 - 0.5) * 0.1
    };
    let mut weights = Weights::default();
    for ArraySpec { id, shape, .. } in architecture.arrays() {
        let mut array = Array::full(&shape, 0.0);
        array.data.fill_with(&mut next);
        weights.arrays.insert(id, array);
    }
    (architecture, weights)
}
