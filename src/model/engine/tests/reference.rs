//! GPT-2 in f64, written for clarity; a token at a time, so that continuations of one text can share its reading.

use std::collections::BTreeMap;

use crate::model::{Gpt2Config, Weights};

/// Logits `[tokens, vocab]`.
pub(super) fn reference(config: &Gpt2Config, weights: &Weights, tokens: &[u32]) -> Vec<f64> {
    let plain = Plain::new(config, weights);
    let mut read = plain.nothing();
    let rows = tokens.iter().map(|&token| {
        let hidden = plain.read(&mut read, token);
        plain.logits(&hidden)
    });
    rows.collect::<Vec<_>>().concat()
}

/// A model.
pub(super) struct Plain {
    config: Gpt2Config,
    arrays: BTreeMap<String, Vec<f64>>,
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
    pub(super) fn new(config: &Gpt2Config, weights: &Weights) -> Self {
        let wide = |data: &[f32]| data.iter().map(|&v| f64::from(v)).collect();
        let arrays = weights.arrays.iter();
        Self {
            config: config.clone(),
            arrays: arrays
                .map(|(name, array)| (name.clone(), wide(&array.data)))
                .collect(),
        }
    }

    pub(super) fn nothing(&self) -> Read {
        Read(vec![Vec::new(); self.config.n_layer])
    }

    fn norm(&self, x: &[f64], name: &str) -> Vec<f64> {
        let gain = &self.arrays[&format!("{name}.weight")];
        let bias = &self.arrays[&format!("{name}.bias")];
        let w = x.len();
        let mean = x.iter().sum::<f64>() / w as f64;
        let variance = x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / w as f64;
        let scale = 1.0 / (variance + self.config.layer_norm_epsilon).sqrt();
        (0..w)
            .map(|i| (x[i] - mean) * scale * gain[i] + bias[i])
            .collect()
    }

    fn linear(&self, x: &[f64], name: &str) -> Vec<f64> {
        let weight = &self.arrays[&format!("{name}.weight")];
        let mut y = self.arrays[&format!("{name}.bias")].clone();
        for (v, row) in x.iter().zip(weight.chunks_exact(y.len())) {
            y.iter_mut().zip(row).for_each(|(y, w)| *y += v * w);
        }
        y
    }

    /// The hidden state after the next token.
    pub(super) fn read(&self, read: &mut Read, token: u32) -> Vec<f64> {
        let (w, heads) = (self.config.n_embd, self.config.n_head);
        let (position, token) = (read.0[0].len(), token as usize);
        let (wte, wpe) = (&self.arrays["wte.weight"], &self.arrays["wpe.weight"]);
        let mut x: Vec<f64> = (0..w)
            .map(|i| wte[token * w + i] + wpe[position * w + i])
            .collect();
        let dim = w / heads;
        for (layer, past) in read.0.iter_mut().enumerate() {
            let h = format!("h.{layer}");
            let projected = self.linear(
                &self.norm(&x, &format!("{h}.ln_1")),
                &format!("{h}.attn.c_attn"),
            );
            past.push([projected[w..2 * w].to_vec(), projected[2 * w..].to_vec()]);
            let mut mixed = vec![0.0; w];
            for at in (0..heads).map(|head| head * dim) {
                let scores: Vec<f64> = past
                    .iter()
                    .map(|[keys, _]| {
                        let dot = |i| projected[at + i] * keys[at + i];
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
            let out = self.linear(&mixed, &format!("{h}.attn.c_proj"));
            x.iter_mut().zip(out).for_each(|(x, o)| *x += o);
            let up = self.linear(
                &self.norm(&x, &format!("{h}.ln_2")),
                &format!("{h}.mlp.c_fc"),
            );
            let active: Vec<f64> = up.iter().map(|&v| gelu_f64(v)).collect();
            let out = self.linear(&active, &format!("{h}.mlp.c_proj"));
            x.iter_mut().zip(out).for_each(|(x, o)| *x += o);
        }
        self.norm(&x, "ln_f")
    }

    /// Logits of one hidden state.
    pub(super) fn logits(&self, hidden: &[f64]) -> Vec<f64> {
        let rows = self.arrays["wte.weight"].chunks_exact(hidden.len());
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
