//! The student: architecture, tokenizer, weights, sampling engine, scoring and training.
//!
//! A [`Student`] is what a Hub folder holds. On the CPU [`engine`] samples from it and [`train`] trains it, on kernels
//! of our own; `network` does both on any device of burn. All read the same [`Architecture`], which says what the
//! model is, and work on the same [`Weights`], f32 arrays that know no backend.

pub mod architecture;
mod calibration;
mod carried;
pub mod chat;
mod chat_text;
pub mod device;
pub mod device_engine;
mod difference;
mod distance;
mod dropout;
mod dtype;
pub mod engine;
mod engine_error;
mod engine_options;
pub mod error;
pub mod gguf;
mod gguf_folder;
mod in_order;
mod inference;
mod init;
mod kernel;
pub mod lora;
mod network;
mod numerics;
mod ops;
#[cfg(test)]
mod parity;
mod rows;
mod safetensors;
pub mod sampling;
mod score_job;
pub mod self_test;
mod source;
pub mod student;
pub mod tokenizer;
mod tokenizer_file;
pub mod train;
mod vocabulary;
mod weight_bytes;
mod weight_files;
pub mod weights;

pub use architecture::Architecture;
pub use calibration::Calibration;
pub use carried::HUB_FILES;
pub(crate) use carried::template_files;
pub use chat::{ChatError, ChatFiles, ChatMessage, ChatSettings, ChatTemplate};
pub use chat_text::{ChatTurn, chat_prompt, chat_training};
pub use dtype::Dtype;
pub use engine_error::EngineError;
pub use engine_options::{EngineOptions, thread_pool};
pub use error::ModelError;
pub(crate) use gguf_folder::{GGUF_FILE, chat_files, find_gguf, gguf_architecture, is_gguf};
pub use inference::{Inference, InferenceError};
pub use init::INITIALIZER_RANGE;
pub(crate) use lora::{ADAPTER_CONFIG, ADAPTER_FILES, ADAPTER_WEIGHTS};
pub use lora::{Adapter, LoraOptions};
pub use numerics::{Arithmetic, Purpose};
pub use score_job::ScoreJob;
pub use source::WeightSource;
pub use student::Student;
pub use tokenizer::{PromptText, StudentTokenizer};
pub use vocabulary::Vocabulary;
pub use weight_bytes::weight_bytes;
pub use weight_files::WeightFiles;
pub use weights::{Array, Weights};
