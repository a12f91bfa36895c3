//! Llama 2 and 3, and what is built as they are: `TinyLlama`, `SmolLM2`, Vicuna, Yi and others.
//!
//! Source: Touvron et al. 2023; HF transformers, `LlamaConfig` and `modeling_llama.py`.

use super::like_llama::{Defaults, LikeLlama, module};

/// The family.
pub(super) static LLAMA: LikeLlama = LikeLlama {
    model_type: "llama",
    class: "LlamaForCausalLM",
    keys: &[],
    defaults: Defaults::LLAMA,
    change: |_, _| Ok(()),
    module,
};
