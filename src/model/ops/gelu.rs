//! GPT-2's activation, the tanh approximation of GELU (`gelu_new`), in one pass.
//! Source: Hendrycks & Gimpel 2016; HF transformers, `NewGELUActivation`.

use rayon::prelude::*;

use super::gemm::isa;
use crate::model::architecture::Activation;
use crate::model::kernel::activation::{activate, activate_backward};

/// Elements that a thread takes at a time; each stands alone, so it changes no bit.
const BLOCK: usize = 1 << 13;

/// `0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))`, element by element, into `out`.
///
/// # Shapes
/// `x` and `out` are of one length.
pub(crate) fn gelu(x: &[f32], out: &mut [f32]) {
    let blocks = out.par_chunks_mut(BLOCK).zip(x.par_chunks(BLOCK));
    blocks.for_each(|(out, x)| activate(isa(), Activation::GeluTanh, x, out));
}

/// The gradient of `x`, into `dx`.
///
/// # Shapes
/// `x`, `upstream` and `dx` are of one length.
pub(crate) fn gelu_gradient(x: &[f32], upstream: &[f32], dx: &mut [f32]) {
    let blocks = x.par_chunks(BLOCK).zip(upstream.par_chunks(BLOCK));
    dx.par_chunks_mut(BLOCK)
        .zip(blocks)
        .for_each(|(dx, (x, upstream))| {
            activate_backward(isa(), Activation::GeluTanh, x, upstream, dx)
        });
}
