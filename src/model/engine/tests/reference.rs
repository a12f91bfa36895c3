//! GPT-2 in f64, written for clarity.

use crate::model::{Gpt2Config, Weights};

/// Logits `[tokens, vocab]`.
pub(super) fn reference(config: &Gpt2Config, weights: &Weights, tokens: &[u32]) -> Vec<f64> {
    let get = |name: &str| -> Vec<f64> {
        let data = &weights.arrays[name].data;
        data.iter().map(|&v| f64::from(v)).collect()
    };
    let (w, heads) = (config.n_embd, config.n_head);
    let norm = |x: &[f64], name: &str| -> Vec<f64> {
        let (gain, bias) = (get(&format!("{name}.weight")), get(&format!("{name}.bias")));
        let mean = x.iter().sum::<f64>() / w as f64;
        let variance = x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / w as f64;
        let scale = 1.0 / (variance + config.layer_norm_epsilon).sqrt();
        (0..w)
            .map(|i| (x[i] - mean) * scale * gain[i] + bias[i])
            .collect()
    };
    let linear = |x: &[f64], name: &str| -> Vec<f64> {
        let (weight, mut y) = (get(&format!("{name}.weight")), get(&format!("{name}.bias")));
        let n = y.len();
        for (k, v) in x.iter().enumerate() {
            for (j, y) in y.iter_mut().enumerate() {
                *y += v * weight[k * n + j];
            }
        }
        y
    };
    let (wte, wpe) = (get("wte.weight"), get("wpe.weight"));
    let mut xs: Vec<Vec<f64>> = tokens
        .iter()
        .enumerate()
        .map(|(p, &t)| {
            (0..w)
                .map(|i| wte[t as usize * w + i] + wpe[p * w + i])
                .collect()
        })
        .collect();
    for layer in 0..config.n_layer {
        let h = format!("h.{layer}");
        let projected: Vec<Vec<f64>> = xs
            .iter()
            .map(|x| linear(&norm(x, &format!("{h}.ln_1")), &format!("{h}.attn.c_attn")))
            .collect();
        let dim = w / heads;
        for (p, x) in xs.iter_mut().enumerate() {
            let mut mixed = vec![0.0; w];
            for head in 0..heads {
                let at = head * dim;
                let scores: Vec<f64> = (0..=p)
                    .map(|t| {
                        let dot = |i| projected[p][at + i] * projected[t][w + at + i];
                        (0..dim).map(dot).sum::<f64>() / (dim as f64).sqrt()
                    })
                    .collect();
                let max = scores.iter().copied().fold(f64::MIN, f64::max);
                let total: f64 = scores.iter().map(|s| (s - max).exp()).sum();
                for (t, score) in scores.iter().enumerate() {
                    let weight = (score - max).exp() / total;
                    for i in 0..dim {
                        mixed[at + i] += weight * projected[t][2 * w + at + i];
                    }
                }
            }
            let out = linear(&mixed, &format!("{h}.attn.c_proj"));
            x.iter_mut().zip(out).for_each(|(x, o)| *x += o);
            let up = linear(&norm(x, &format!("{h}.ln_2")), &format!("{h}.mlp.c_fc"));
            let active: Vec<f64> = up.iter().map(|&v| gelu_f64(v)).collect();
            let out = linear(&active, &format!("{h}.mlp.c_proj"));
            x.iter_mut().zip(out).for_each(|(x, o)| *x += o);
        }
    }
    xs.iter()
        .flat_map(|x| {
            let x = norm(x, "ln_f");
            let logits = wte.chunks_exact(w);
            logits
                .map(|row| row.iter().zip(&x).map(|(a, b)| a * b).sum())
                .collect::<Vec<f64>>()
        })
        .collect()
}

pub(super) fn gelu_f64(v: f64) -> f64 {
    let inner = (2.0 / std::f64::consts::PI).sqrt() * (v + 0.044_715 * v.powi(3));
    0.5 * v * (1.0 + inner.tanh())
}
