//! Adam on a model's arrays, one fused pass over each. Source: Kingma & Ba 2015; every rounding as in `PyTorch` 2's
//! `torch.optim.Adam`; the decay is that of `torch.optim.AdamW`.

use rayon::prelude::*;

use super::options::TrainOptions;
use crate::model::{Array, Weights};

/// Elements that a thread takes at a time.
const BLOCK: usize = 1 << 14;
/// `PyTorch`'s `clip_grad_norm_`.
pub(super) const CLIP_EPSILON: f64 = 1e-6;

/// Moments of all weights, and how often they were updated.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Adam {
    pub(super) first: Weights,
    pub(super) second: Weights,
    pub(super) steps: usize,
}

impl Adam {
    /// Zero moments for these weights.
    pub(super) fn new(weights: &Weights) -> Self {
        Self {
            first: weights.zeros(),
            second: weights.zeros(),
            steps: 0,
        }
    }

    /// Moves `weights` against `gradients`, which are clipped first if the options say so.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the arithmetic is f32, as PyTorch's"
    )]
    pub(super) fn step(
        &mut self,
        weights: &mut Weights,
        gradients: &Weights,
        learning_rate: f64,
        options: &TrainOptions,
    ) {
        self.steps += 1;
        let clip = clip_factor(gradients, options.grad_clip);
        let power = i32::try_from(self.steps).unwrap_or(i32::MAX);
        let (beta1, beta2) = (options.adam_beta1, options.adam_beta2);
        let step_size = (learning_rate / (1.0 - beta1.powi(power))) as f32;
        let root = (1.0 - beta2.powi(power)).sqrt() as f32;
        let (lerp, keep, add) = ((1.0 - beta1) as f32, beta2 as f32, (1.0 - beta2) as f32);
        let epsilon = options.adam_epsilon as f32;
        let moments = self
            .first
            .arrays
            .values_mut()
            .zip(self.second.arrays.values_mut());
        let arrays = weights
            .arrays
            .values_mut()
            .zip(gradients.arrays.values())
            .zip(moments);
        for ((weights, gradients), (first, second)) in arrays {
            let decay = if weights.shape.len() > 1 {
                options.weight_decay
            } else {
                0.0
            };
            let decay = (1.0 - learning_rate * decay) as f32;
            let moments = first
                .data
                .par_chunks_mut(BLOCK)
                .zip(second.data.par_chunks_mut(BLOCK));
            let values = weights
                .data
                .par_chunks_mut(BLOCK)
                .zip(gradients.data.par_chunks(BLOCK));
            values
                .zip(moments)
                .for_each(|((weights, gradients), (first, second))| {
                    let moments = first.iter_mut().zip(second);
                    for ((weight, gradient), (m, v)) in
                        weights.iter_mut().zip(gradients).zip(moments)
                    {
                        let gradient = gradient * clip;
                        *m += lerp * (gradient - *m);
                        *v = *v * keep + add * gradient * gradient;
                        *weight = *weight * decay - step_size * *m / (v.sqrt() / root + epsilon);
                    }
                });
        }
    }
}

/// What brings the gradients' common norm down to `limit`.
#[expect(clippy::cast_possible_truncation, reason = "gradients are f32")]
fn clip_factor(gradients: &Weights, limit: Option<f64>) -> f32 {
    let Some(limit) = limit else { return 1.0 };
    let arrays: Vec<&Array> = gradients.arrays.values().collect();
    let squares = |array: &&Array| {
        array
            .data
            .iter()
            .map(|x| f64::from(*x) * f64::from(*x))
            .sum::<f64>()
    };
    // Each array is summed by one thread, and the sums in order.
    let sums: Vec<f64> = arrays.par_iter().map(squares).collect();
    clip_to(limit, sums.iter().sum::<f64>().sqrt()) as f32
}

/// What brings a norm down to `limit`, as `PyTorch`'s `clip_grad_norm_` does.
fn clip_to(limit: f64, norm: f64) -> f64 {
    (limit / (norm + CLIP_EPSILON)).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::architecture::ArrayId;
    use crate::model::distance::furthest;

    fn one(shape: &[usize], data: &[f32]) -> Weights {
        let array = Array {
            shape: shape.to_vec(),
            data: data.to_vec(),
        };
        Weights {
            arrays: std::iter::once((ArrayId::TOKEN_EMBEDDING, array)).collect(),
        }
    }

    #[test]
    fn two_steps_worked_by_hand() {
        let options = TrainOptions {
            adam_epsilon: 0.0,
            ..TrainOptions::default()
        };
        let mut weights = one(&[2], &[1.0, 1.0]);
        let mut adam = Adam::new(&weights);
        // The first step is the learning rate against the gradient's sign, whatever its size.
        adam.step(&mut weights, &one(&[2], &[4.0, -0.01]), 0.1, &options);
        let close = |weights: &Weights, expected: [f32; 2]| {
            let data = &weights.arrays[0].data;
            assert!(furthest(data, &expected) < 1e-5, "{data:?}");
        };
        close(&weights, [0.9, 1.1]);
        // m = 0.9 * 0.4 - 0.1 * 4 = -0.04, /0.19; v = 0.999 * 0.016 + 0.016 = 0.031984, /0.001999: -0.2105 / 4.
        adam.step(&mut weights, &one(&[2], &[-4.0, -0.01]), 0.1, &options);
        close(&weights, [0.9 + 0.1 * 0.052_632, 1.2]);
    }

    #[test]
    fn clipping_and_decay_worked_by_hand() {
        assert!((clip_factor(&one(&[2], &[3.0, 4.0]), Some(1.0)) - 0.2).abs() < 1e-6);
        assert_eq!(
            clip_factor(&one(&[2], &[0.3, 0.4]), Some(1.0)).to_bits(),
            1.0_f32.to_bits()
        );
        let options = TrainOptions {
            weight_decay: 0.5,
            ..TrainOptions::default()
        };
        for (shape, expected) in [(vec![2, 1], 0.95), (vec![2], 1.0)] {
            let mut weights = one(&shape, &[1.0, 1.0]);
            Adam::new(&weights).step(&mut weights, &one(&shape, &[0.0, 0.0]), 0.1, &options);
            assert_eq!(weights.arrays[0].data, [expected; 2]);
        }
    }
}
