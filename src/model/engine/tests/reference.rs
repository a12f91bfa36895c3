//! A model in f64, written for clarity; a token at a time, so that continuations of one text can share its reading.

use indexmap::IndexMap;

use crate::model::Weights;
use crate::model::architecture::{
    Activation, Architecture, ArrayId, FeedForwardKind, NormKind, Output, Positions, QueryKeyNorm,
    Role,
};

/// Logits `[tokens, vocab]`.
pub(super) fn reference(
    architecture: &Architecture,
    weights: &Weights,
    tokens: &[u32],
) -> Vec<f64> {
    let plain = Plain::new(architecture, weights);
    let mut read = plain.nothing();
    let rows = tokens.iter().map(|&token| {
        let hidden = plain.read(&mut read, token);
        plain.logits(&hidden)
    });
    rows.collect::<Vec<_>>().concat()
}

/// A model.
pub(super) struct Plain {
    architecture: Architecture,
    arrays: IndexMap<ArrayId, Vec<f64>>,
}

/// Keys and values of what has been read: `[block][position]`.
pub(super) struct Read(Vec<Vec<[Vec<f64>; 2]>>);

impl Read {
    /// Forgets all but the first `positions`.
    pub(super) fn truncate(&mut self, positions: usize) {
        self.0
            .iter_mut()
            .for_each(|block| block.truncate(positions));
    }
}

impl Plain {
    pub(super) fn new(architecture: &Architecture, weights: &Weights) -> Self {
        let wide = |data: &[f32]| data.iter().map(|&v| f64::from(v)).collect();
        let arrays = weights.arrays.iter();
        Self {
            architecture: architecture.clone(),
            arrays: arrays.map(|(id, array)| (*id, wide(&array.data))).collect(),
        }
    }

    pub(super) fn nothing(&self) -> Read {
        Read(vec![Vec::new(); self.architecture.layers])
    }

    fn array(&self, id: ArrayId) -> Option<&[f64]> {
        self.arrays.get(&id).map(Vec::as_slice)
    }

    /// `x` after the norm of this role, or as it is where the architecture has none.
    fn norm(&self, x: Vec<f64>, role: Role, layer: Option<usize>) -> Vec<f64> {
        match self.array(ArrayId::weight(role, layer)) {
            Some(gain) => self.normed(&x, gain, self.array(ArrayId::bias(role, layer))),
            None => x,
        }
    }

    fn normed(&self, x: &[f64], gain: &[f64], bias: Option<&[f64]>) -> Vec<f64> {
        let norm = self.architecture.norm;
        let w = x.len();
        let (mean, offset) = match norm.kind {
            NormKind::Layer => (x.iter().sum::<f64>() / w as f64, 0.0),
            NormKind::Rms { plus_one } => (0.0, f64::from(u8::from(plus_one))),
        };
        let variance = x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / w as f64;
        let scale = 1.0 / (variance + norm.epsilon).sqrt();
        (0..w)
            .map(|i| (x[i] - mean) * scale * (offset + gain[i]) + bias.map_or(0.0, |bias| bias[i]))
            .collect()
    }

    fn linear(&self, x: &[f64], role: Role, layer: usize) -> Vec<f64> {
        let weight = &self.arrays[&ArrayId::weight(role, layer)];
        let mut y = match self.array(ArrayId::bias(role, layer)) {
            Some(bias) => bias.to_vec(),
            None => vec![0.0; weight.len() / x.len()],
        };
        for (v, row) in x.iter().zip(weight.chunks_exact(y.len())) {
            y.iter_mut().zip(row).for_each(|(y, w)| *y += v * w);
        }
        y
    }

    /// What goes into the first block.
    fn embed(&self, token: usize, position: usize) -> Vec<f64> {
        let w = self.architecture.width;
        let row = |id, row: usize| self.arrays[&id][row * w..][..w].iter();
        let token = row(ArrayId::TOKEN_EMBEDDING, token);
        let token = token.map(|t| t * self.architecture.embedding_scale);
        match self.architecture.positions {
            Positions::Rotary => token.collect(),
            Positions::Learned => {
                let position = row(ArrayId::POSITION_EMBEDDING, position);
                token.zip(position).map(|(t, p)| t + p).collect()
            }
        }
    }

    /// Queries or keys as they are compared: normed, then turned.
    fn turned(&self, heads: &[f64], norm: Role, layer: usize, position: usize) -> Vec<f64> {
        let width = self.architecture.heads.width;
        let gain = self.array(ArrayId::weight(norm, layer));
        let mut heads = match (self.architecture.attention.query_key_norm, gain) {
            (Some(QueryKeyNorm::All), Some(gain)) => self.normed(heads, gain, None),
            (Some(QueryKeyNorm::Head), Some(gain)) => {
                let heads = heads.chunks(width);
                heads
                    .flat_map(|head| self.normed(head, gain, None))
                    .collect()
            }
            _ => heads.to_vec(),
        };
        if let Some(rotary) = self.architecture.block_attention(layer).rotary {
            let half = rotary.width / 2;
            for head in heads.chunks_mut(width) {
                for (i, frequency) in rotary.frequencies().into_iter().enumerate() {
                    let (s, c) = (position as f64 * f64::from(frequency)).sin_cos();
                    let (a, b) = (head[i], head[half + i]);
                    head[i] = (a * c - b * s) * rotary.magnitude();
                    head[half + i] = (b * c + a * s) * rotary.magnitude();
                }
            }
        }
        heads
    }

    /// Attention of a token to those before it and itself, `past`, which grows by it.
    fn attend(&self, x: &[f64], layer: usize, past: &mut Vec<[Vec<f64>; 2]>) -> Vec<f64> {
        let (heads, dim) = (self.architecture.heads, self.architecture.heads.width);
        let attention = &self.architecture.attention;
        let position = past.len();
        let projected = self.linear(x, Role::QueryKeyValue, layer);
        let (queries, rest) = projected.split_at(heads.query_width());
        let (keys, values) = rest.split_at(heads.key_width());
        let queries = self.turned(queries, Role::QueryNorm, layer, position);
        let keys = self.turned(keys, Role::KeyNorm, layer, position);
        past.push([keys, values.to_vec()]);
        let window = self.architecture.block_attention(layer).window;
        let first = past.len() - window.unwrap_or(past.len()).min(past.len());
        let scale = attention.scale.unwrap_or(1.0 / (dim as f64).sqrt());
        let mut mixed = vec![0.0; queries.len()];
        for head in 0..heads.query {
            let (at, of) = (head * dim, head / (heads.query / heads.key) * dim);
            let scores: Vec<f64> = past[first..]
                .iter()
                .map(|[keys, _]| {
                    let dot = |i| queries[at + i] * keys[of + i];
                    let score = scale * (0..dim).map(dot).sum::<f64>();
                    capped(score, attention.score_cap)
                })
                .collect();
            let max = scores.iter().copied().fold(f64::MIN, f64::max);
            let total: f64 = scores.iter().map(|s| (s - max).exp()).sum();
            for (score, [_, values]) in scores.iter().zip(&past[first..]) {
                let weight = (score - max).exp() / total;
                for i in 0..dim {
                    mixed[at + i] += weight * values[of + i];
                }
            }
        }
        self.linear(&mixed, Role::AttentionOut, layer)
    }

    fn feed_forward(&self, x: &[f64], layer: usize) -> Vec<f64> {
        let mut up = self.linear(x, Role::Up, layer);
        let active: Vec<f64> = match self.architecture.feed_forward.kind {
            FeedForwardKind::Plain(kind) => up.into_iter().map(|v| activated(kind, v)).collect(),
            FeedForwardKind::Gated(kind) => {
                let gated = up.split_off(up.len() / 2);
                let both = up.into_iter().zip(gated);
                both.map(|(gate, v)| activated(kind, gate) * v).collect()
            }
        };
        self.linear(&active, Role::Down, layer)
    }

    /// The hidden state after the next token.
    pub(super) fn read(&self, read: &mut Read, token: u32) -> Vec<f64> {
        let mut x = self.embed(token as usize, read.0[0].len());
        for (layer, past) in read.0.iter_mut().enumerate() {
            let at = Some(layer);
            let before = x.clone();
            let out = self.attend(&self.norm(x.clone(), Role::AttentionNorm, at), layer, past);
            let out = self.norm(out, Role::AttentionPostNorm, at);
            x.iter_mut().zip(out).for_each(|(x, o)| *x += o);
            let input = if self.architecture.parallel {
                before
            } else {
                x.clone()
            };
            let out = self.feed_forward(&self.norm(input, Role::FeedForwardNorm, at), layer);
            let out = self.norm(out, Role::FeedForwardPostNorm, at);
            x.iter_mut().zip(out).for_each(|(x, o)| *x += o);
        }
        self.norm(x, Role::FinalNorm, None)
    }

    /// Logits of one hidden state.
    pub(super) fn logits(&self, hidden: &[f64]) -> Vec<f64> {
        let output = match self.architecture.output {
            Output::Tied => ArrayId::TOKEN_EMBEDDING,
            Output::Separate => ArrayId::OUTPUT,
        };
        let rows = self.arrays[&output].chunks_exact(hidden.len());
        rows.map(|row| {
            // Eight sums, or each addition would wait for the one before.
            let mut sums = [0.0; 8];
            for (a, b) in row.chunks(8).zip(hidden.chunks(8)) {
                for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
                    *sum += a * b;
                }
            }
            capped(sums.iter().sum(), self.architecture.logit_cap)
        })
        .collect()
    }
}

fn capped(value: f64, cap: Option<f64>) -> f64 {
    cap.map_or(value, |cap| cap * (value / cap).tanh())
}

/// What an activation makes of a value.
pub(super) fn activated(activation: Activation, v: f64) -> f64 {
    match activation {
        Activation::Gelu => 0.5 * v * (1.0 + libm::erf(v / std::f64::consts::SQRT_2)),
        Activation::GeluTanh => gelu_f64(v),
        Activation::Silu => v / (1.0 + (-v).exp()),
    }
}

pub(super) fn gelu_f64(v: f64) -> f64 {
    let inner = (2.0 / std::f64::consts::PI).sqrt() * (v + 0.044_715 * v.powi(3));
    0.5 * v * (1.0 + inner.tanh())
}
