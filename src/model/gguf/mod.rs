//! GGUF, the one-file format of llama.cpp: read as it lies on people's disks.
//!
//! In: a file. Out: what a Hub folder holds: a `config.json` ([`config`]), a tokenizer ([`tokenizer`]) and arrays under the Hub's
//! names and in its layout ([`arrays`]), in f32 whatever they are stored in ([`blocks`]). [`mod@file`] reads the format itself.

pub mod arrays;
pub mod blocks;
pub mod config;
mod cursor;
mod error;
pub mod file;
mod keys;
pub mod tensor;
#[cfg(test)]
mod tests;
pub mod tokenizer;
pub mod value;

pub use arrays::HubArray;
pub use blocks::BlockType;
pub use cursor::ReadAt;
pub use error::{Fault, GgufError};
pub use file::Gguf;
pub use tensor::TensorInfo;
pub use value::{List, Value};
