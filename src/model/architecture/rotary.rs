//! Rotary positions: queries and keys are turned by angles that grow with the position.
//!
//! Source: Su et al. 2021; HF transformers, `modeling_rope_utils.py` (linear; Llama 3; `YaRN`, Peng et al. 2023). Within a
//! head the first half of the rotated values is turned against the second half, as transformers lays weights out.

use std::f64::consts::PI;

/// Rotary positions of a block.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Rotary {
    /// The base of the wavelengths.
    pub theta: f64,
    /// Values of a head that are turned, its first; even.
    pub width: usize,
    /// How the wavelengths are stretched beyond the context of the first training.
    pub scaling: RotaryScaling,
}

/// How wavelengths are stretched.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum RotaryScaling {
    /// Not at all. HF's `dynamic` is this within `max_position_embeddings`, beyond which no text goes here.
    None,
    /// All by one factor.
    Linear {
        /// The factor.
        factor: f64,
    },
    /// The long ones by a factor, the short ones not, those between by a blend.
    Llama3 {
        /// The factor.
        factor: f64,
        /// Wavelengths above `context / low_frequency` are stretched.
        low_frequency: f64,
        /// Wavelengths below `context / high_frequency` are not.
        high_frequency: f64,
        /// The context of the first training, tokens.
        context: usize,
    },
    /// By how often a wavelength fits in the context, and scores are sharpened.
    Yarn {
        /// The factor.
        factor: f64,
        /// Turns within the context above which nothing is stretched.
        fast: f64,
        /// Turns within the context below which all is.
        slow: f64,
        /// The context of the first training, tokens.
        context: usize,
        /// What turned queries and keys are multiplied by.
        attention_factor: f64,
        /// Whether the bounds of the blend are whole numbers of values.
        truncate: bool,
    },
}

impl Rotary {
    /// What an angle grows by from a position to the next, in radians.
    ///
    /// # Shapes
    /// To `[width / 2]`.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::float_cmp,
        reason = "transformers' angles are f32, and equal bounds are equal"
    )]
    pub fn frequencies(&self) -> Vec<f32> {
        let width = self.width as f64;
        // Rounded as transformers rounds: at far positions the last bit of a frequency shows.
        let base = |pair: usize| {
            let exponent = (2 * pair) as f32 / self.width as f32;
            f64::from(1.0 / (libm::pow(self.theta, f64::from(exponent)) as f32))
        };
        let scaled = |pair: usize| {
            let frequency = base(pair);
            match self.scaling {
                RotaryScaling::None => frequency,
                RotaryScaling::Linear { factor } => frequency / factor,
                RotaryScaling::Llama3 {
                    factor,
                    low_frequency,
                    high_frequency,
                    context,
                } => {
                    let turns = context as f64 * frequency / (2.0 * PI);
                    let blend = (turns - low_frequency) / (high_frequency - low_frequency);
                    let blend = blend.clamp(0.0, 1.0);
                    frequency / factor * (1.0 - blend) + frequency * blend
                }
                RotaryScaling::Yarn {
                    factor,
                    fast,
                    slow,
                    context,
                    truncate,
                    ..
                } => {
                    // The pair whose wavelength fits so often into the context.
                    let pair_of = |turns: f64| {
                        let wavelengths = context as f64 / (turns * 2.0 * PI);
                        width * libm::log(wavelengths) / (2.0 * libm::log(self.theta))
                    };
                    let (mut low, mut high) = (pair_of(fast), pair_of(slow));
                    if truncate {
                        (low, high) = (low.floor(), high.ceil());
                    }
                    let (low, mut high) = (low.max(0.0), high.min(width - 1.0));
                    if low == high {
                        high += 0.001;
                    }
                    let stretched = ((pair as f64 - low) / (high - low)).clamp(0.0, 1.0);
                    frequency / factor * stretched + frequency * (1.0 - stretched)
                }
            }
        };
        (0..self.width / 2)
            .map(|pair| scaled(pair) as f32)
            .collect()
    }

    /// What turned queries and keys are multiplied by.
    pub fn magnitude(&self) -> f64 {
        match self.scaling {
            RotaryScaling::Yarn {
                attention_factor, ..
            } => attention_factor,
            _ => 1.0,
        }
    }

    /// Cosines and sines of a position's angles, times [`Rotary::magnitude`]: the same bits on every platform, which the
    /// system's functions are not.
    ///
    /// # Shapes
    /// `frequencies`, `cosines` and `sines` `[width / 2]`.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "f32 is the precision of products"
    )]
    pub fn turns(
        &self,
        frequencies: &[f32],
        position: usize,
        cosines: &mut [f32],
        sines: &mut [f32],
    ) {
        let magnitude = self.magnitude();
        for ((frequency, cosine), sine) in frequencies.iter().zip(cosines).zip(sines) {
            // Rounded to f32 as transformers does: at far positions that is what the weights were trained with.
            let (s, c) = libm::sincos(f64::from(position as f32 * frequency));
            *cosine = (c * magnitude) as f32;
            *sine = (s * magnitude) as f32;
        }
    }
}
