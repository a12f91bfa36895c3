//! What a feed-forward half does between its two linear maps: each activation is its input times a gate between 0 and 1.
//! Source: Hendrycks & Gimpel 2016.

use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};

use burn::tensor::{Tensor, activation};

use crate::model::architecture::Activation;

/// How much of the cube the approximated normal distribution takes.
const CUBE: f64 = 0.044_715;
/// 2 sqrt(2 / pi): a half and half a hyperbolic tangent of `z` are the logistic function of `2 z`.
const STEEPNESS: f64 = 2.0 * FRAC_2_SQRT_PI * FRAC_1_SQRT_2;

/// What an activation multiplies its input by.
///
/// # Shapes
/// `x` `[rows, inner]`; to the same.
pub(super) fn gate(activation: Activation, x: Tensor<2>) -> Tensor<2> {
    match activation {
        Activation::Silu => activation::sigmoid(x),
        Activation::Gelu => (x * FRAC_1_SQRT_2).erf() * 0.5 + 0.5,
        Activation::GeluTanh => {
            let bend = x.clone() * x.clone() * (STEEPNESS * CUBE) + STEEPNESS;
            activation::sigmoid(bend * x)
        }
    }
}

/// The derivative of an activation, from its input, its gate and its output.
///
/// # Shapes
/// `[rows, inner]` each; to the same.
pub(super) fn slope(activation: Activation, [x, gate, active]: [Tensor<2>; 3]) -> Tensor<2> {
    // Of the logistic function s: s (1 - s), times x.
    let logistic = |active: Tensor<2>, gate: Tensor<2>| active.clone() - active * gate;
    match activation {
        Activation::Silu => logistic(active, gate.clone()) + gate,
        Activation::Gelu => {
            let density = (x.clone() * x.clone() * -0.5).exp();
            density * x * (FRAC_2_SQRT_PI * FRAC_1_SQRT_2 / 2.0) + gate
        }
        Activation::GeluTanh => {
            let steepness = x.clone() * x * (3.0 * STEEPNESS * CUBE) + STEEPNESS;
            logistic(active, gate.clone()) * steepness + gate
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    /// Values from scipy, and slopes as the difference of two of them.
    #[test]
    fn gates_are_those_of_the_formulas_and_slopes_their_derivatives() {
        let device = Device::flex();
        let row = |values: &[f32]| Tensor::<1>::from_floats(values, &device).unsqueeze::<2>();
        let apply = |activation, x: &Tensor<2>| gate(activation, x.clone()) * x.clone();
        let values = |x: Tensor<2>| x.into_data().try_into_vec::<f32>().unwrap();
        let x = row(&[-6.0, -1.0, 0.0, 0.5, 3.0]);
        let expected = [
            (
                Activation::Silu,
                [-0.014_836, -0.268_941, 0.0, 0.311_230, 2.857_722],
            ),
            (
                Activation::Gelu,
                [-5.9e-9, -0.158_655, 0.0, 0.345_731, 2.995_95],
            ),
            (
                Activation::GeluTanh,
                [0.0, -0.158_808, 0.0, 0.345_714, 2.996_363],
            ),
        ];
        for (activation, expected) in expected {
            for (found, expected) in values(apply(activation, &x)).iter().zip(expected) {
                assert!(
                    (found - expected).abs() < 1e-5,
                    "{activation:?}: {found} {expected}"
                );
            }
            let step = 1e-2;
            let [up, down] = [step, -step].map(|step| apply(activation, &(x.clone() + step)));
            let difference = values((up - down) / (2.0 * step));
            let (gate, active) = (gate(activation, x.clone()), apply(activation, &x));
            let slopes = values(slope(activation, [x.clone(), gate, active]));
            for (found, expected) in slopes.iter().zip(difference) {
                assert!(
                    (found - expected).abs() < 1e-3,
                    "{activation:?}: {found} {expected}"
                );
            }
        }
    }
}
