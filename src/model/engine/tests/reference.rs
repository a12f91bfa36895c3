//! A model in f64, written for clarity; a token at a time, so that continuations of one text can share its reading.

use indexmap::IndexMap;

use crate::model::Weights;
use crate::model::architecture::{
    Activation, Architecture, ArrayId, FeedForwardKind, NormKind, Output, Positions, Role,
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

    fn norm(&self, x: &[f64], role: Role, layer: Option<usize>) -> Vec<f64> {
        let norm = self.architecture.norm;
        let NormKind::Layer = norm.kind else {
            todo!("families")
        };
        let gain = &self.arrays[&ArrayId::weight(role, layer)];
        let bias = &self.arrays[&ArrayId::bias(role, layer)];
        let w = x.len();
        let mean = x.iter().sum::<f64>() / w as f64;
        let variance = x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / w as f64;
        let scale = 1.0 / (variance + norm.epsilon).sqrt();
        (0..w)
            .map(|i| (x[i] - mean) * scale * gain[i] + bias[i])
            .collect()
    }

    fn linear(&self, x: &[f64], role: Role, layer: usize) -> Vec<f64> {
        let weight = &self.arrays[&ArrayId::weight(role, layer)];
        let mut y = self.arrays[&ArrayId::bias(role, layer)].clone();
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
        match self.architecture.positions {
            Positions::Rotary => todo!("families"),
            Positions::Learned => {
                let position = row(ArrayId::POSITION_EMBEDDING, position);
                token.zip(position).map(|(t, p)| t + p).collect()
            }
        }
    }

    /// Attention of a token to those before it and itself, `past`, which grows by it.
    fn attend(&self, x: &[f64], layer: usize, past: &mut Vec<[Vec<f64>; 2]>) -> Vec<f64> {
        let (heads, dim) = (self.architecture.heads, self.architecture.heads.width);
        let projected = self.linear(x, Role::QueryKeyValue, layer);
        let (queries, rest) = projected.split_at(heads.query_width());
        let (keys, values) = rest.split_at(heads.key_width());
        past.push([keys.to_vec(), values.to_vec()]);
        let mut mixed = vec![0.0; queries.len()];
        for at in (0..heads.query).map(|head| head * dim) {
            let scores: Vec<f64> = past
                .iter()
                .map(|[keys, _]| {
                    let dot = |i| queries[at + i] * keys[at + i];
                    (0..dim).map(dot).sum::<f64>() / (dim as f64).sqrt()
                })
                .collect();
            let max = scores.iter().copied().fold(f64::MIN, f64::max);
            let total: f64 = scores.iter().map(|s| (s - max).exp()).sum();
            for (score, [_, values]) in scores.iter().zip(&*past) {
                let weight = (score - max).exp() / total;
                for i in at..at + dim {
                    mixed[i] += weight * values[i];
                }
            }
        }
        self.linear(&mixed, Role::AttentionOut, layer)
    }

    fn feed_forward(&self, x: &[f64], layer: usize) -> Vec<f64> {
        let up = self.linear(x, Role::Up, layer);
        let active: Vec<f64> = match self.architecture.feed_forward.kind {
            FeedForwardKind::Plain(Activation::GeluTanh) => up.into_iter().map(gelu_f64).collect(),
            _ => todo!("families"),
        };
        self.linear(&active, Role::Down, layer)
    }

    /// The hidden state after the next token.
    pub(super) fn read(&self, read: &mut Read, token: u32) -> Vec<f64> {
        let mut x = self.embed(token as usize, read.0[0].len());
        for (layer, past) in read.0.iter_mut().enumerate() {
            let normed = self.norm(&x, Role::AttentionNorm, Some(layer));
            let out = self.attend(&normed, layer, past);
            x.iter_mut().zip(out).for_each(|(x, o)| *x += o);
            let normed = self.norm(&x, Role::FeedForwardNorm, Some(layer));
            let out = self.feed_forward(&normed, layer);
            x.iter_mut().zip(out).for_each(|(x, o)| *x += o);
        }
        self.norm(&x, Role::FinalNorm, None)
    }

    /// Logits of one hidden state.
    pub(super) fn logits(&self, hidden: &[f64]) -> Vec<f64> {
        let Output::Tied = self.architecture.output else {
            todo!("families")
        };
        let rows = self.arrays[&ArrayId::TOKEN_EMBEDDING].chunks_exact(hidden.len());
        rows.map(|row| {
            // Eight sums, or each addition would wait for the one before.
            let mut sums = [0.0; 8];
            for (a, b) in row.chunks(8).zip(hidden.chunks(8)) {
                for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
                    *sum += a * b;
                }
            }
            sums.iter().sum()
        })
        .collect()
    }
}

pub(super) fn gelu_f64(v: f64) -> f64 {
    let inner = (2.0 / std::f64::consts::PI).sqrt() * (v + 0.044_715 * v.powi(3));
    0.5 * v * (1.0 + inner.tanh())
}
