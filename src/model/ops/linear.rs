//! Affine map of every row: product and bias in one pass.

use burn::tensor::Tensor;
use rayon::prelude::*;

use super::fused::{Kernel, apply, on_cpu};
use super::gemm::{Into, Matrix, product};

/// Columns that one thread sums at a time; fixed, so that threads do not change a sum.
const COLUMNS: usize = 64;

/// `x * weight + bias`.
///
/// # Shapes
/// `x` `[rows, inputs]`, `weight` `[inputs, outputs]`, `bias` `[outputs]` to `[rows, outputs]`.
pub(crate) fn linear(x: Tensor<2>, weight: Tensor<2>, bias: Tensor<1>) -> Tensor<2> {
    let [rows, inputs] = x.dims();
    let [_, outputs] = weight.dims();
    if let (Some(x), Some(weight), Some(bias)) = (on_cpu(&x), on_cpu(&weight), on_cpu(&bias)) {
        let kernel = Linear {
            rows,
            inputs,
            outputs,
        };
        return apply(kernel, [x, weight, bias]);
    }
    x.matmul(weight) + bias.unsqueeze()
}

#[derive(Clone, Debug)]
struct Linear {
    rows: usize,
    inputs: usize,
    outputs: usize,
}

impl Kernel<3> for Linear {
    type Saved = ();

    fn shape(&self) -> [usize; 2] {
        [self.rows, self.outputs]
    }

    fn forward(&self, [x, weight, bias]: [&[f32]; 3], _: bool) -> (Vec<f32>, Option<()>) {
        let mut out = vec![0.0; self.rows * self.outputs];
        let sizes = [self.rows, self.inputs, self.outputs];
        let (left, right) = (
            Matrix::rows(x, self.inputs),
            Matrix::rows(weight, self.outputs),
        );
        product(sizes, left, right, Into::Bias(bias), &mut out, self.outputs);
        (out, Some(()))
    }

    fn backward(
        &self,
        [x, weight, _]: [&[f32]; 3],
        (): (),
        gradient: &[f32],
        wanted: [bool; 3],
    ) -> [Option<Vec<f32>>; 3] {
        let Self {
            rows,
            inputs,
            outputs,
        } = *self;
        let upstream = Matrix::rows(gradient, outputs);
        let dx = wanted[0].then(|| {
            let mut dx = vec![0.0; rows * inputs];
            let weight = Matrix::rows(weight, outputs).transposed();
            product(
                [rows, outputs, inputs],
                upstream,
                weight,
                Into::Set,
                &mut dx,
                inputs,
            );
            dx
        });
        let dweight = wanted[1].then(|| {
            let mut dweight = vec![0.0; inputs * outputs];
            let x = Matrix::rows(x, inputs).transposed();
            product(
                [inputs, rows, outputs],
                x,
                upstream,
                Into::Set,
                &mut dweight,
                outputs,
            );
            dweight
        });
        let dbias = wanted[2].then(|| {
            column_sums(outputs, |sums, columns| {
                for row in gradient.chunks_exact(outputs) {
                    for (sum, value) in sums.iter_mut().zip(&row[columns.clone()]) {
                        *sum += value;
                    }
                }
            })
        });
        [dx, dweight, dbias]
    }
}

/// Sums over rows, by blocks of columns: `add` adds all rows' values of the columns it is given.
pub(super) fn column_sums(
    columns: usize,
    add: impl Fn(&mut [f32], std::ops::Range<usize>) + Sync,
) -> Vec<f32> {
    let mut sums = vec![0.0; columns];
    sums.par_chunks_mut(COLUMNS)
        .enumerate()
        .for_each(|(block, sums)| {
            let start = block * COLUMNS;
            let end = start + sums.len();
            add(sums, start..end);
        });
    sums
}
