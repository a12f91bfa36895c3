//! Fresh weights for a student that is pretrained here.
//!
//! In: a shape and a seed. Out: the same weights on every platform: only additions, multiplications, divisions and
//! square roots are used, which IEEE 754 defines to the last bit; `ln` of the system's library is not.
//! Source: Radford et al. 2019: N(0, 0.02), residual projections scaled by `1/sqrt(2 n_layer)`, biases 0, layer norms 1
//! (HF transformers, `GPT2PreTrainedModel._init_weights`).

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::architecture::{Architecture, ArraySpec, NormKind, Part, Role};
use super::weights::{Array, Weights};

/// GPT-2's `initializer_range`: the standard deviation of fresh weights.
pub const INITIALIZER_RANGE: f64 = 0.02;

impl Weights {
    /// GPT-2's initialisation. Every array has a random stream of its own, by its place among [`Architecture::arrays`].
    pub fn init(architecture: &Architecture, seed: u64) -> Self {
        Self::init_within(architecture, INITIALIZER_RANGE, seed)
    }

    /// The same with another standard deviation.
    pub fn init_within(architecture: &Architecture, deviation: f64, seed: u64) -> Self {
        let residual = deviation / (2.0 * architecture.layers as f64).sqrt();
        // What leaves a norm as it is.
        let neutral = match architecture.norm.kind {
            NormKind::Rms { plus_one: true } => 0.0,
            NormKind::Rms { plus_one: false } | NormKind::Layer => 1.0,
        };
        let array = |(stream, ArraySpec { id, shape, .. })| {
            let array = match (id.part, id.role) {
                (Part::Bias, _) => Array::full(&shape, 0.0),
                (
                    _,
                    Role::AttentionNorm
                    | Role::AttentionPostNorm
                    | Role::FeedForwardNorm
                    | Role::FeedForwardPostNorm
                    | Role::FinalNorm
                    | Role::QueryNorm
                    | Role::KeyNorm,
                ) => Array::full(&shape, neutral),
                (_, Role::AttentionOut | Role::Down) => normal(&shape, residual, seed, stream),
                (
                    _,
                    Role::TokenEmbedding
                    | Role::PositionEmbedding
                    | Role::QueryKeyValue
                    | Role::Up
                    | Role::Output,
                ) => normal(&shape, deviation, seed, stream),
            };
            (id, array)
        };
        let arrays = (0..).zip(architecture.arrays()).map(array).collect();
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
    use crate::model::architecture::{ArrayId, Gpt2};

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
        let architecture = Architecture::from(Gpt2 {
            vocab_rows: 300,
            context: 32,
            width: 64,
            layers: 2,
            heads: 2,
        });
        let weights = Weights::init(&architecture, 7);
        let deviation = |id: ArrayId| {
            let data = &weights.arrays[&id].data;
            let mean = data.iter().map(|x| f64::from(*x)).sum::<f64>() / data.len() as f64;
            let variance = data
                .iter()
                .map(|x| (f64::from(*x) - mean).powi(2))
                .sum::<f64>()
                / data.len() as f64;
            assert!(mean.abs() < 0.001, "{id:?}: {mean}");
            variance.sqrt()
        };
        assert!((deviation(ArrayId::TOKEN_EMBEDDING) - 0.02).abs() < 0.0005);
        // 0.02 / sqrt(2 * 2) = 0.01.
        assert!((deviation(ArrayId::weight(Role::Down, 1)) - 0.01).abs() < 0.0003);
        let norm = Role::AttentionNorm;
        assert_eq!(weights.arrays[&ArrayId::weight(norm, 0)].data, [1.0; 64]);
        assert_eq!(weights.arrays[&ArrayId::bias(norm, 0)].data, [0.0; 64]);
        assert_eq!(weights, Weights::init(&architecture, 7));
        assert_ne!(weights, Weights::init(&architecture, 8));
    }

    #[test]
    fn the_numbers_stay_what_they_are() {
        let architecture = Architecture::from(Gpt2 {
            vocab_rows: 4,
            context: 2,
            width: 2,
            layers: 1,
            heads: 1,
        });
        let mut bytes = Vec::new();
        for array in Weights::init(&architecture, 1).arrays.values() {
            bytes.extend(array.data.iter().flat_map(|value| value.to_le_bytes()));
        }
        // Recorded here: a change means that every pretrained student changes.
        assert_eq!(crate::key::Digest::of(&bytes).short(), "cfcafcb81f00");
    }
}
