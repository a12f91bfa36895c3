//! The operations of a GPT-2, each in two forms: stock burn operations for any device, and one fused kernel with its
//! own backward pass for the CPU with autodiff, where training runs. Tests compare the two.
//!
//! Rows are tokens: sequences are laid end to end and never padded.

pub(crate) mod attention;
pub(crate) mod cross_entropy;
mod fused;
pub(crate) mod gelu;
mod gemm;
pub(crate) mod layer_norm;
pub(crate) mod linear;
mod math;

#[cfg(test)]
mod tests;
