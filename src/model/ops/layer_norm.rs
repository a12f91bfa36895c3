//! Layer normalisation of every row. Source: Ba et al. 2016.

use burn::tensor::Tensor;
use rayon::prelude::*;

use super::fused::{Kernel, apply, on_cpu};
use super::linear::column_sums;

/// Rows that a thread takes at a time.
const ROWS: usize = 32;

/// `(x - mean) / sqrt(variance + epsilon) * gamma + beta`, row by row.
///
/// # Shapes
/// `x` `[rows, width]`, `gamma` and `beta` `[width]` to `[rows, width]`.
pub(crate) fn layer_norm(
    x: Tensor<2>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f64,
) -> Tensor<2> {
    let [rows, width] = x.dims();
    if let (Some(x), Some(gamma), Some(beta)) = (on_cpu(&x), on_cpu(&gamma), on_cpu(&beta)) {
        #[expect(clippy::cast_possible_truncation, reason = "the arithmetic is f32")]
        let epsilon = epsilon as f32;
        return apply(
            LayerNorm {
                rows,
                width,
                epsilon,
            },
            [x, gamma, beta],
        );
    }
    let centred = x.clone() - x.mean_dim(1);
    let variance = (centred.clone() * centred.clone()).mean_dim(1);
    centred / (variance + epsilon).sqrt() * gamma.unsqueeze() + beta.unsqueeze()
}

#[derive(Clone, Debug)]
struct LayerNorm {
    rows: usize,
    width: usize,
    epsilon: f32,
}

impl Kernel<3> for LayerNorm {
    /// Mean and 1 / standard deviation of each row.
    type Saved = Vec<[f32; 2]>;

    fn shape(&self) -> [usize; 2] {
        [self.rows, self.width]
    }

    fn forward(&self, [x, gamma, beta]: [&[f32]; 3], _: bool) -> (Vec<f32>, Option<Self::Saved>) {
        let width = self.width;
        let mut out = vec![0.0; x.len()];
        let mut moments = vec![[0.0; 2]; self.rows];
        let outputs = out
            .par_chunks_mut(ROWS * width)
            .zip(moments.par_chunks_mut(ROWS));
        outputs
            .zip(x.par_chunks(ROWS * width))
            .for_each(|((out, moments), x)| {
                let rows = out.chunks_exact_mut(width).zip(x.chunks_exact(width));
                for ((out, x), moments) in rows.zip(moments) {
                    let mean = sum(x.iter().copied()) / width as f32;
                    let variance = sum(x.iter().map(|x| (x - mean) * (x - mean))) / width as f32;
                    let scale = 1.0 / (variance + self.epsilon).sqrt();
                    for (((out, x), gamma), beta) in out.iter_mut().zip(x).zip(gamma).zip(beta) {
                        *out = (x - mean) * scale * gamma + beta;
                    }
                    *moments = [mean, scale];
                }
            });
        (out, Some(moments))
    }

    fn backward(
        &self,
        [x, gamma, _]: [&[f32]; 3],
        moments: Self::Saved,
        gradient: &[f32],
        _: [bool; 3],
    ) -> [Option<Vec<f32>>; 3] {
        let width = self.width;
        let mut dx = vec![0.0; x.len()];
        let inputs = x
            .par_chunks(ROWS * width)
            .zip(gradient.par_chunks(ROWS * width));
        let blocks = dx
            .par_chunks_mut(ROWS * width)
            .zip(inputs.zip(moments.par_chunks(ROWS)));
        blocks.for_each(|(dx, ((x, gradient), moments))| {
            let rows = x
                .chunks_exact(width)
                .zip(gradient.chunks_exact(width))
                .zip(moments);
            for (dx, ((x, gradient), &[mean, scale])) in dx.chunks_exact_mut(width).zip(rows) {
                // d/dx of the normalisation: remove from the upstream what changes mean and variance.
                let terms = || gradient.iter().zip(gamma).map(|(g, gamma)| g * gamma);
                let first = sum(terms()) / width as f32;
                let second =
                    sum(terms().zip(x).map(|(t, x)| t * (x - mean) * scale)) / width as f32;
                for ((dx, term), x) in dx.iter_mut().zip(terms()).zip(x) {
                    *dx = scale * (term - first - (x - mean) * scale * second);
                }
            }
        });
        let rows = || {
            x.chunks_exact(width)
                .zip(gradient.chunks_exact(width))
                .zip(&moments)
        };
        let dgamma = column_sums(width, |sums, columns| {
            for ((x, gradient), &[mean, scale]) in rows() {
                let pairs = x[columns.clone()].iter().zip(&gradient[columns.clone()]);
                for (sum, (x, g)) in sums.iter_mut().zip(pairs) {
                    *sum += g * (x - mean) * scale;
                }
            }
        });
        let dbeta = column_sums(width, |sums, columns| {
            for gradient in gradient.chunks_exact(width) {
                for (sum, g) in sums.iter_mut().zip(&gradient[columns.clone()]) {
                    *sum += g;
                }
            }
        });
        [Some(dx), Some(dgamma), Some(dbeta)]
    }
}

/// A sum in eight interleaved parts, which vectorises; the order is fixed.
pub(super) fn sum(mut values: impl Iterator<Item = f32>) -> f32 {
    let mut parts = [0.0; 8];
    'all: loop {
        for part in &mut parts {
            let Some(value) = values.next() else {
                break 'all;
            };
            *part += value;
        }
    }
    parts.iter().sum()
}
