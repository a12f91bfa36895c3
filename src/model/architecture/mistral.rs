//! Mistral: Llama with a window.
//!
//! Source: Jiang et al. 2023; HF transformers, `MistralConfig` and `modeling_mistral.py`.

use super::like_llama::{Defaults, LikeLlama, module, slide};

/// The window where `sliding_window` is absent; null says that there is none.
const DEFAULT_WINDOW: usize = 4096;

/// The family.
pub(super) static MISTRAL: LikeLlama = LikeLlama {
    model_type: "mistral",
    class: "MistralForCausalLM",
    keys: &["sliding_window"],
    defaults: Defaults::LLAMA,
    change: |config, architecture| {
        let window = if config.has("sliding_window") {
            config.size_or("sliding_window")?
        } else {
            Some(DEFAULT_WINDOW)
        };
        slide(config, architecture, window, &[window.is_some()])
    },
    module,
};
