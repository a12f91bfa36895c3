//! GPT-2's activation, the tanh approximation of GELU (`gelu_new`), in one pass.
//! Source: Hendrycks & Gimpel 2016; HF transformers, `NewGELUActivation`.

use burn::tensor::{Tensor, activation};
use rayon::prelude::*;

use super::fused::{Kernel, apply, on_cpu};
use super::gemm::isa;
use crate::model::kernel::vector::{gelu_all, gelu_backward};

/// Elements that a thread takes at a time.
const BLOCK: usize = 1 << 13;

/// `0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))`, element by element.
///
/// # Shapes
/// `[rows, columns]` to the same.
pub(crate) fn gelu(x: Tensor<2>) -> Tensor<2> {
    if let Some(input) = on_cpu(&x) {
        return apply(Gelu(x.dims()), [input]);
    }
    activation::gelu_approximate(x)
}

#[derive(Clone, Debug)]
struct Gelu([usize; 2]);

impl Kernel<1> for Gelu {
    type Saved = ();

    fn shape(&self) -> [usize; 2] {
        self.0
    }

    fn forward(&self, [x]: [&[f32]; 1], _: bool) -> (Vec<f32>, Option<()>) {
        let mut out = vec![0.0; x.len()];
        out.par_chunks_mut(BLOCK)
            .zip(x.par_chunks(BLOCK))
            .for_each(|(out, x)| gelu_all(isa(), x, out));
        (out, Some(()))
    }

    fn backward(
        &self,
        [x]: [&[f32]; 1],
        (): (),
        gradient: &[f32],
        _: [bool; 1],
    ) -> [Option<Vec<f32>>; 1] {
        let mut dx = vec![0.0; x.len()];
        let blocks = x.par_chunks(BLOCK).zip(gradient.par_chunks(BLOCK));
        dx.par_chunks_mut(BLOCK)
            .zip(blocks)
            .for_each(|(dx, (x, gradient))| gelu_backward(isa(), x, gradient, dx));
        [Some(dx)]
    }
}
