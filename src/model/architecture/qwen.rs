//! Qwen 2 and 2.5 (`qwen2`), whose queries, keys and values have biases, and Qwen 3 (`qwen3`), whose queries and keys are
//! normed instead.
//!
//! Source: Yang et al. 2024 and 2025; HF transformers, `Qwen2Config`, `Qwen3Config` and their models.

use super::config::Config;
use super::like_llama::{Defaults, LikeLlama, module, slide};
use super::{Architecture, QueryKeyNorm};
use crate::model::ModelError;

const KEYS: &[&str] = &[
    "layer_types",
    "max_window_layers",
    "sliding_window",
    "use_sliding_window",
];
/// The window where `sliding_window` is absent; null says that there is none.
const DEFAULT_WINDOW: usize = 4096;
/// `max_window_layers` where it is absent.
const DEFAULT_FULL_LAYERS: usize = 28;

/// Qwen 2 and 2.5.
pub(super) static QWEN2: LikeLlama = LikeLlama {
    model_type: "qwen2",
    class: "Qwen2ForCausalLM",
    keys: KEYS,
    defaults: Defaults::LLAMA,
    change: |config, architecture| {
        architecture.biases.query_key_value = true;
        architecture.biases.attention_out = false;
        windows(config, architecture)
    },
    module,
};

/// Qwen 3.
pub(super) static QWEN3: LikeLlama = LikeLlama {
    model_type: "qwen3",
    class: "Qwen3ForCausalLM",
    keys: KEYS,
    defaults: Defaults {
        head_width: Some(128),
        ..Defaults::LLAMA
    },
    change: |config, architecture| {
        architecture.attention.query_key_norm = Some(QueryKeyNorm::Head);
        windows(config, architecture)
    },
    module,
};

/// Where `use_sliding_window` asks for it, blocks from `max_window_layers` on have a window.
fn windows(config: &Config, architecture: &mut Architecture) -> Result<(), ModelError> {
    let window = match (
        config.flag("use_sliding_window", false)?,
        config.has("sliding_window"),
    ) {
        (true, true) => config.size_or("sliding_window")?,
        (true, false) => Some(DEFAULT_WINDOW),
        (false, _) => None,
    };
    if window.is_none() && config.get("layer_types").is_none() {
        return Ok(());
    }
    let full = config
        .size_or("max_window_layers")?
        .unwrap_or(DEFAULT_FULL_LAYERS);
    let sliding = config.sliding(|layer| layer >= full)?;
    slide(config, architecture, window, &sliding)
}
