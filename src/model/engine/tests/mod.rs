//! Tests of the engine: its kernels and its logits against plain f64 arithmetic, its invariances bit
//! for bit, its rules by hand.

mod agreement;
mod int8;
mod invariance;
mod kernels;
mod reference;
mod rules;

use super::*;
use crate::model::sampling::{
    FirstTokenCandidate, Generated, Request, SamplingParams, SequenceSpec,
};
use crate::model::{Array, Dtype, ScoreJob, Vocabulary, Weights};

/// A small deterministic source of numbers in [-0.5, 0.5).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1 << 24) as f32 - 0.5
    }

    fn list(&mut self, count: usize, scale: f32) -> Vec<f32> {
        (0..count).map(|_| self.next() * scale).collect()
    }
}

/// A shape: width, blocks, heads, vocabulary, positions.
fn config(shape: [usize; 5]) -> Gpt2Config {
    let [n_embd, n_layer, n_head, vocab_size, n_positions] = shape;
    Gpt2Config {
        vocab_size,
        n_positions,
        n_embd,
        n_layer,
        n_head,
        n_inner: None,
        layer_norm_epsilon: 1e-5,
        eos_token_id: Some(0),
        ..Gpt2Config::default()
    }
}

/// Random weights, large enough that attention and the draws are far from uniform.
fn random(config: &Gpt2Config) -> Weights {
    let mut numbers = Numbers(7);
    let (w, inner) = (config.n_embd, config.inner_width());
    let mut weights = Weights::default();
    let mut add = |name: String, shape: Vec<usize>, scale: f32, shift: f32| {
        let mut data = numbers.list(shape.iter().product(), scale);
        for value in &mut data {
            *value += shift;
        }
        weights.arrays.insert(name, Array { shape, data });
    };
    let scale = 4.0 / (w as f32).sqrt();
    add("wte.weight".into(), vec![config.vocab_size, w], scale, 0.0);
    add("wpe.weight".into(), vec![config.n_positions, w], 0.5, 0.0);
    for layer in 0..config.n_layer {
        for (name, k, n) in [
            ("attn.c_attn", w, 3 * w),
            ("attn.c_proj", w, w),
            ("mlp.c_fc", w, inner),
            ("mlp.c_proj", inner, w),
        ] {
            add(format!("h.{layer}.{name}.weight"), vec![k, n], scale, 0.0);
            add(format!("h.{layer}.{name}.bias"), vec![n], 0.2, 0.0);
        }
        for name in ["ln_1", "ln_2"] {
            add(format!("h.{layer}.{name}.weight"), vec![w], 0.4, 1.0);
            add(format!("h.{layer}.{name}.bias"), vec![w], 0.2, 0.0);
        }
    }
    add("ln_f.weight".into(), vec![w], 0.4, 1.0);
    add("ln_f.bias".into(), vec![w], 0.2, 0.0);
    weights
}

/// Every token of `engine`, ended by 0.
fn vocabulary(engine: &Engine) -> Vocabulary {
    Vocabulary::new(engine.model.vocab, [0])
}

fn options(threads: usize, max_batch: usize) -> EngineOptions {
    EngineOptions {
        threads,
        max_batch,
        ..EngineOptions::default()
    }
}

/// Bits, to compare exactly.
fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}
