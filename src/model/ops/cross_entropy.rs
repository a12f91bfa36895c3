//! The head and the loss in one: logits are made for a few rows at a time, only where the loss asks for them, and
//! turned into gradients at once, so that `[rows, vocabulary]` never exists.

use burn::tensor::{Int, Tensor, TensorData, activation};
use rayon::prelude::*;

use super::fused::{Kernel, apply, on_cpu};
use super::gemm::{Into, Matrix, product};
use super::math::exp;
use crate::model::rows::Targets;

/// Rows whose logits exist at a time; fixed, so that it is part of the arithmetic.
const ROWS: usize = 128;

/// `scale` times the sum of -ln p(target) over `targets`, with the head tied to `embedding`.
///
/// # Shapes
/// `hidden` `[rows, width]`, `embedding` `[vocabulary, width]` to `[1, 1]`.
pub(crate) fn cross_entropy(
    hidden: Tensor<2>,
    embedding: Tensor<2>,
    targets: &Targets,
    scale: f32,
) -> Tensor<2> {
    let [rows, width] = hidden.dims();
    let [vocabulary, _] = embedding.dims();
    if let (Some(hidden), Some(embedding)) = (on_cpu(&hidden), on_cpu(&embedding)) {
        let targets = targets.clone();
        let kernel = CrossEntropy {
            targets,
            rows,
            width,
            vocabulary,
            scale,
        };
        return apply(kernel, [hidden, embedding]);
    }
    let device = hidden.device();
    let count = targets.rows.len();
    let rows = targets
        .rows
        .iter()
        .map(|row| i64::try_from(*row).expect("rows fit"))
        .collect();
    let rows = Tensor::<1, Int>::from_data(TensorData::new::<i64, _>(rows, [count]), &device);
    let tokens = targets
        .tokens
        .iter()
        .map(|token| i64::from(*token))
        .collect();
    let tokens =
        Tensor::<2, Int>::from_data(TensorData::new::<i64, _>(tokens, [count, 1]), &device);
    let logits = hidden.select(0, rows).matmul(embedding.transpose());
    let chosen = activation::log_softmax(logits, 1).gather(1, tokens);
    (chosen.sum() * -scale).reshape([1, 1])
}

#[derive(Clone, Debug)]
struct CrossEntropy {
    targets: Targets,
    rows: usize,
    width: usize,
    vocabulary: usize,
    scale: f32,
}

impl Kernel<2> for CrossEntropy {
    /// Gradients of the targets' rows and of the embedding.
    type Saved = [Vec<f32>; 2];

    fn shape(&self) -> [usize; 2] {
        [1, 1]
    }

    fn forward(
        &self,
        [hidden, embedding]: [&[f32]; 2],
        track: bool,
    ) -> (Vec<f32>, Option<Self::Saved>) {
        let (width, vocabulary) = (self.width, self.vocabulary);
        let count = self.targets.rows.len();
        let embedding = Matrix::rows(embedding, width);
        let mut drows = vec![0.0; if track { count * width } else { 0 }];
        let mut dembedding = vec![0.0; if track { vocabulary * width } else { 0 }];
        let mut logits = vec![0.0; ROWS.min(count) * vocabulary];
        let mut loss = 0.0;
        let chunks = self
            .targets
            .rows
            .chunks(ROWS)
            .zip(self.targets.tokens.chunks(ROWS));
        for (chunk, (rows, tokens)) in chunks.enumerate() {
            let gathered: Vec<f32> = rows
                .iter()
                .flat_map(|row| &hidden[row * width..(row + 1) * width])
                .copied()
                .collect();
            let gathered = Matrix::rows(&gathered, width);
            let logits = &mut logits[..rows.len() * vocabulary];
            let sizes = [rows.len(), width, vocabulary];
            product(
                sizes,
                gathered,
                embedding.transposed(),
                Into::Set,
                logits,
                vocabulary,
            );
            let losses: Vec<f64> = logits
                .par_chunks_mut(vocabulary)
                .zip(tokens)
                .map(|(logits, token)| loss_and_gradient(logits, *token as usize, self.scale))
                .collect();
            loss += losses.iter().sum::<f64>();
            if track {
                let dlogits = Matrix::rows(logits, vocabulary);
                let sizes = [rows.len(), vocabulary, width];
                let drows = &mut drows[chunk * ROWS * width..];
                product(sizes, dlogits, embedding, Into::Set, drows, width);
                let sizes = [vocabulary, rows.len(), width];
                product(
                    sizes,
                    dlogits.transposed(),
                    gathered,
                    Into::Add,
                    &mut dembedding,
                    width,
                );
            }
        }
        #[expect(clippy::cast_possible_truncation, reason = "a tensor holds f32")]
        let loss = (loss * f64::from(self.scale)) as f32;
        (vec![loss], Some([drows, dembedding]))
    }

    fn backward(
        &self,
        _: [&[f32]; 2],
        [drows, mut dembedding]: Self::Saved,
        gradient: &[f32],
        wanted: [bool; 2],
    ) -> [Option<Vec<f32>>; 2] {
        let upstream = gradient[0];
        let mut dhidden = vec![0.0; if wanted[0] { self.rows * self.width } else { 0 }];
        if wanted[0] {
            for (row, drow) in self.targets.rows.iter().zip(drows.chunks_exact(self.width)) {
                let dhidden = &mut dhidden[row * self.width..(row + 1) * self.width];
                for (sum, value) in dhidden.iter_mut().zip(drow) {
                    *sum += upstream * value;
                }
            }
        }
        if upstream.to_bits() != 1.0_f32.to_bits() {
            for value in &mut dembedding {
                *value *= upstream;
            }
        }
        [
            wanted[0].then_some(dhidden),
            wanted[1].then_some(dembedding),
        ]
    }
}

/// -ln softmax(logits)[target]; leaves `scale` times its gradient in `logits`.
fn loss_and_gradient(logits: &mut [f32], target: usize, scale: f32) -> f64 {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let chosen = logits[target] - largest;
    for logit in &mut *logits {
        *logit = exp(*logit - largest);
    }
    let total = super::layer_norm::sum(logits.iter().copied());
    let factor = scale / total;
    for value in &mut *logits {
        *value *= factor;
    }
    logits[target] -= scale;
    f64::from(total).ln() - f64::from(chosen)
}
