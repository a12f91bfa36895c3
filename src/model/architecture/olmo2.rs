//! `OLMo` 2: norms after each half instead of before, and one over all queries and one over all keys of a token.
//!
//! Source: `OLMo` et al. 2025; HF transformers, `Olmo2Config` and `modeling_olmo2.py`.

use super::like_llama::{Defaults, LikeLlama, module};
use super::{Placement, QueryKeyNorm};

/// The family.
pub(super) static OLMO2: LikeLlama = LikeLlama {
    model_type: "olmo2",
    class: "Olmo2ForCausalLM",
    keys: &[],
    defaults: Defaults {
        epsilon: 1e-5,
        ..Defaults::LLAMA
    },
    change: |_, architecture| {
        architecture.norm.placement = Placement {
            before: false,
            after: true,
        };
        architecture.attention.query_key_norm = Some(QueryKeyNorm::All);
        Ok(())
    },
    module,
};
