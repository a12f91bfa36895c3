//! Vector kernels that sampling and training share: lanes, aligned memory, the micro-kernel of matrix products, and
//! functions of rows. No result depends on the instruction set.

pub(crate) mod activation;
pub(crate) mod buffer;
pub(crate) mod half;
pub(crate) mod int8;
pub(crate) mod lanes;
pub(crate) mod rms_norm;
pub(crate) mod rotary;
pub(crate) mod scalar;
pub(crate) mod soft_cap;
pub(crate) mod tile;
pub(crate) mod vector;

#[cfg(test)]
mod tests;
