//! Llama 2 and 3, and what is built as they are: `TinyLlama`, `SmolLM2`, Vicuna, Yi and others.
//!
//! Source: Touvron et al. 2023; HF transformers, `LlamaConfig` and `modeling_llama.py`.

use std::path::Path;

use serde_json::Value;

use super::config::{self, Config};
use super::{Architecture, ArrayId, Family, FileArray, Keys};
use crate::model::ModelError;

/// The family.
#[derive(Debug)]
pub(super) struct Llama;

impl Family for Llama {
    fn model_type(&self) -> &'static str {
        "llama"
    }

    fn keys(&self) -> Keys {
        config::KEYS
    }

    fn read(&self, config: Value, _: &Path) -> Result<Architecture, ModelError> {
        Config::new(config, self.model_type(), &[])?.llama(&Llama, false)
    }

    fn check(&self, architecture: &Architecture) -> Result<(), ModelError> {
        config::check(architecture)
    }

    fn config_json(&self, architecture: &Architecture) -> String {
        config::written(architecture, "LlamaForCausalLM")
    }

    fn name(&self, id: ArrayId) -> String {
        config::name(id)
    }

    fn files(&self, architecture: &Architecture, id: ArrayId, shape: &[usize]) -> Vec<FileArray> {
        config::files(architecture, id, shape, self.name(id))
    }

    fn prefix(&self) -> &'static str {
        "model."
    }

    fn output_name(&self) -> &'static str {
        "lm_head.weight"
    }

    /// Older files carry the frequencies of rotary positions.
    fn is_no_weight(&self, name: &str) -> bool {
        name.ends_with(".rotary_emb.inv_freq")
    }
}
