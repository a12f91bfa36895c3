//! Tests of the engine: its kernels and its logits against plain f64 arithmetic, its invariances bit
//! for bit, its rules by hand.

mod agreement;
mod families;
mod half;
mod int8;
mod invariance;
mod kernels;
mod modern;
mod reference;
mod rules;

use std::path::Path;

use super::*;
use crate::model::architecture::{ArrayId, Gpt2, NormKind, Role};
use crate::model::sampling::{
    FirstTokenCandidate, Generated, GenerationRequest, SamplingParams, SequenceSpec,
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
fn config(shape: [usize; 5]) -> Architecture {
    let [width, layers, heads, vocab_rows, context] = shape;
    let gpt2 = Gpt2 {
        vocab_rows,
        context,
        width,
        layers,
        heads,
    };
    Architecture {
        end_of_text: Some(0),
        ..gpt2.into()
    }
}

/// What a `config.json` says.
fn parse(config: &str) -> Architecture {
    Architecture::parse(config.as_bytes(), Path::new("config.json")).unwrap()
}

/// Random weights, large enough that attention and the draws are far from uniform.
fn random(architecture: &Architecture) -> Weights {
    let mut numbers = Numbers(7);
    let w = architecture.width;
    // All in their order; drawn in that of a model's parts.
    let specs = architecture.arrays().into_iter();
    let zeros = specs.map(|spec| (spec.id, Array::full(&spec.shape, 0.0)));
    let arrays = zeros.collect();
    let mut weights = Weights { arrays };
    let mut add = |id: ArrayId, scale: f32, shift: f32| {
        let Some(array) = weights.arrays.get_mut(&id) else {
            return;
        };
        array.data = numbers.list(array.data.len(), scale);
        for value in &mut array.data {
            *value += shift;
        }
    };
    // What leaves a norm as it is.
    let neutral = match architecture.norm.kind {
        NormKind::Rms { plus_one: true } => 0.0,
        NormKind::Rms { plus_one: false } | NormKind::Layer => 1.0,
    };
    let scale = 4.0 / (w as f32).sqrt();
    add(ArrayId::TOKEN_EMBEDDING, scale, 0.0);
    add(ArrayId::OUTPUT, scale, 0.0);
    add(ArrayId::POSITION_EMBEDDING, 0.5, 0.0);
    for layer in 0..architecture.layers {
        for role in [
            Role::QueryKeyValue,
            Role::AttentionOut,
            Role::Up,
            Role::Down,
        ] {
            add(ArrayId::weight(role, layer), scale, 0.0);
            add(ArrayId::bias(role, layer), 0.2, 0.0);
        }
        for role in [
            Role::AttentionNorm,
            Role::FeedForwardNorm,
            Role::QueryNorm,
            Role::KeyNorm,
            Role::AttentionPostNorm,
            Role::FeedForwardPostNorm,
        ] {
            add(ArrayId::weight(role, layer), 0.4, neutral);
            add(ArrayId::bias(role, layer), 0.2, 0.0);
        }
    }
    add(ArrayId::weight(Role::FinalNorm, None), 0.4, neutral);
    add(ArrayId::bias(Role::FinalNorm, None), 0.2, 0.0);
    weights
}

/// Every token of `engine`, ended by 0.
fn vocabulary(engine: &Engine) -> Vocabulary {
    Vocabulary::new(engine.model.architecture.vocab_rows, [0])
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
