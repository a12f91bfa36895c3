//! Fresh weights for a student that is pretrained here.
//!
//! In: a shape and a seed. Out: the same weights on every platform: only additions, multiplications, divisions and
//! square roots are used, which IEEE 754 defines to the last bit; `ln` of the system's library is not.
//! Source: Radford et al. 2019: N(0, 0.02), residual projections scaled by `1/sqrt(2 n_layer)`, biases 0, layer norms 1
//! (HF transformers, `GPT2PreTrainedModel._init_weights`).

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::config::Gpt2Config;
use super::weights::{Array, Weights};

/// GPT-2's `initializer_range`.
const STANDARD_DEVIATION: f64 = 0.02;

impl Weights {
    /// GPT-2's initialisation. Every array has a random stream of its own, by its place in name order.
    pub fn init(config: &Gpt2Config, seed: u64) -> Self {
        let residual = STANDARD_DEVIATION / (2.0 * config.n_layer as f64).sqrt();
        let mut arrays = std::collections::BTreeMap::new();
        for (stream, (name, shape)) in (0..).zip(Self::shapes(config)) {
            let array = match name.as_str() {
                name if name.strip_suffix(".bias").is_some() => Array::full(&shape, 0.0),
                _ if shape.len() == 1 => Array::full(&shape, 1.0),
                name if name.ends_with("c_proj.weight") => normal(&shape, residual, seed, stream),
                _ => normal(&shape, STANDARD_DEVIATION, seed, stream),
            };
            arrays.insert(name, array);
        }
        Self { arrays }
    }
}

fn normal(shape: &[usize], deviation: f64, seed: u64, stream: u64) -> Array {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    let mut array = Array::full(shape, 0.0);
    for pair in array.data.chunks_mut(2) {
        let (first, second) = standard_normal_pair(&mut rng);
        #[expect(clippy::cast_possible_truncation, reason = "weights are f32")]
        for (value, drawn) in pair.iter_mut().zip([first, second]) {
            *value = (deviation * drawn) as f32;
        }
    }
    array
}

/// Marsaglia's polar method.
fn standard_normal_pair(rng: &mut ChaCha8Rng) -> (f64, f64) {
    loop {
        let mut uniform = || (rng.next_u64() >> 11) as f64 * 2.0_f64.powi(-52) - 1.0;
        let (x, y) = (uniform(), uniform());
        let square = x * x + y * y;
        if square > 0.0 && square < 1.0 {
            let scale = (-2.0 * ln(square) / square).sqrt();
            return (x * scale, y * scale);
        }
    }
}

/// Natural logarithm of a positive normal number, by IEEE operations alone.
fn ln(x: f64) -> f64 {
    // x = mantissa * 2^exponent with the mantissa in [1, 2), then brought into [1/sqrt 2, sqrt 2).
    let bits = x.to_bits();
    let mut exponent = f64::from((bits >> 52) as u16) - 1023.0;
    let mut mantissa = f64::from_bits((bits & ((1 << 52) - 1)) | (1023 << 52));
    if mantissa > std::f64::consts::SQRT_2 {
        mantissa /= 2.0;
        exponent += 1.0;
    }
    // ln m = 2 atanh z = 2 (z + z^3/3 + z^5/5 + ...), |z| < 0.172: ten terms leave less than 1e-16.
    let z = (mantissa - 1.0) / (mantissa + 1.0);
    let square = z * z;
    let series = (0..11).rev().fold(0.0, |sum, term| {
        sum * square + 1.0 / (2.0 * f64::from(term) + 1.0)
    });
    exponent * std::f64::consts::LN_2 + 2.0 * z * series
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logarithm_is_right() {
        for x in [
            1e-300, 1e-9, 0.1, 0.5, 0.7, 0.71, 0.999_999, 1.0, 1.5, 2.0, 1e9_f64,
        ] {
            assert!(
                (ln(x) - x.ln()).abs() <= 1e-15 * x.ln().abs().max(1.0),
                "{x}: {} {}",
                ln(x),
                x.ln()
            );
        }
    }

    #[test]
    fn moments_and_scales_are_gpt2s() {
        let config = Gpt2Config {
            vocab_size: 300,
            n_positions: 32,
            n_embd: 64,
            n_layer: 2,
            n_head: 2,
            ..Gpt2Config::default()
        };
        let weights = Weights::init(&config, 7);
        let deviation = |name: &str| {
            let data = &weights.get(name).unwrap().data;
            let mean = data.iter().map(|x| f64::from(*x)).sum::<f64>() / data.len() as f64;
            let variance = data
                .iter()
                .map(|x| (f64::from(*x) - mean).powi(2))
                .sum::<f64>()
                / data.len() as f64;
            assert!(mean.abs() < 0.001, "{name}: {mean}");
            variance.sqrt()
        };
        assert!((deviation("wte.weight") - 0.02).abs() < 0.0005);
        // 0.02 / sqrt(2 * 2) = 0.01.
        assert!((deviation("h.1.mlp.c_proj.weight") - 0.01).abs() < 0.0003);
        assert_eq!(weights.get("h.0.ln_1.weight").unwrap().data, [1.0; 64]);
        assert_eq!(weights.get("h.0.ln_1.bias").unwrap().data, [0.0; 64]);
        assert_eq!(weights, Weights::init(&config, 7));
        assert_ne!(weights, Weights::init(&config, 8));
    }

    #[test]
    fn the_numbers_stay_what_they_are() {
        let config = Gpt2Config {
            vocab_size: 4,
            n_positions: 2,
            n_embd: 2,
            n_layer: 1,
            n_head: 1,
            eos_token_id: Some(0),
            ..Gpt2Config::default()
        };
        let mut bytes = Vec::new();
        for array in Weights::init(&config, 1).arrays.values() {
            bytes.extend(array.data.iter().flat_map(|value| value.to_le_bytes()));
        }
        // Recorded here: a change means that every pretrained student changes.
        assert_eq!(crate::key::Digest::of(&bytes).short(), "cfcafcb81f00");
    }
}
