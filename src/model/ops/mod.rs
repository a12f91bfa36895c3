//! The operations that training needs, forward and backward, as functions on slices that write into
//! buffers they are given. Gradients of weights are added to what is there. Tests compare them with burn's autodiff.
//!
//! Rows are tokens: sequences are laid end to end and never padded.

pub(crate) mod activation;
pub(crate) mod attention;
pub(crate) mod cross_entropy;
pub(crate) mod gemm;
pub(crate) mod layer_norm;
pub(crate) mod linear;
mod norm_rows;
pub(crate) mod query_key_norm;
pub(crate) mod rms_norm;
pub(crate) mod rotary;

#[cfg(test)]
mod tests;
