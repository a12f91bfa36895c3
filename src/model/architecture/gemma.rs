//! Gemma 2 (`gemma2`) and the text models of Gemma 3 (`gemma3_text`): norms before and after each half, whose weights one is
//! added to, a scaled embedding, and windows in most blocks. Gemma 2 caps scores and logits, Gemma 3 norms queries and keys
//! and has rotary positions of their own where there is a window.
//!
//! Source: Riviere et al. 2024, Kamath et al. 2025; HF transformers, `Gemma2Config`, `Gemma3TextConfig` and their models.

use super::config::Config;
use super::like_llama::{Defaults, LikeLlama, module as llama_module, slide};
use super::rope_keys::RotaryDefaults;
use super::{Activation, Architecture, BlockAttention, NormKind, Placement, QueryKeyNorm, Role};
use crate::model::ModelError;

/// The window where `sliding_window` is absent.
const DEFAULT_WINDOW: usize = 4096;
/// `query_pre_attn_scalar` where it is absent.
const DEFAULT_SCALAR: f64 = 256.0;
/// Of Gemma 3's blocks one of so many sees all, where nothing else is said.
const DEFAULT_PATTERN: usize = 6;
/// The base of Gemma 3's wavelengths where a block has a window, where nothing else is said.
const DEFAULT_LOCAL_THETA: f64 = 10_000.0;

const DEFAULTS: Defaults = Defaults {
    tied: true,
    head_width: Some(256),
    epsilon: 1e-6,
    activation: (Activation::GeluTanh, "hidden_activation"),
    rotary: RotaryDefaults::theta(10_000.0),
};

/// Gemma 2.
pub(super) static GEMMA2: LikeLlama = LikeLlama {
    model_type: "gemma2",
    class: "Gemma2ForCausalLM",
    keys: &[
        "attn_logit_softcapping",
        "final_logit_softcapping",
        "hidden_activation",
        "layer_types",
        "query_pre_attn_scalar",
        "sliding_window",
    ],
    defaults: DEFAULTS,
    change: |config, architecture| {
        gemma(config, architecture)?;
        let cap = |key, default| {
            if config.has(key) {
                config.positive_or(key)
            } else {
                Ok(Some(default))
            }
        };
        architecture.attention.score_cap = cap("attn_logit_softcapping", 50.0)?;
        architecture.logit_cap = cap("final_logit_softcapping", 30.0)?;
        let sliding = match config.get("layer_types") {
            Some(_) => config.sliding(|_| false)?,
            None => vec![true, false],
        };
        slide(config, architecture, window(config)?, &sliding)
    },
    module,
};

/// Gemma 3's text models.
pub(super) static GEMMA3: LikeLlama = LikeLlama {
    model_type: "gemma3_text",
    class: "Gemma3ForCausalLM",
    keys: &[
        "_sliding_window_pattern",
        "attn_logit_softcapping",
        "final_logit_softcapping",
        "hidden_activation",
        "layer_types",
        "query_pre_attn_scalar",
        "rope_local_base_freq",
        "sliding_window",
        "sliding_window_pattern",
    ],
    defaults: DEFAULTS_3,
    change: |config, architecture| {
        gemma(config, architecture)?;
        architecture.attention.query_key_norm = Some(QueryKeyNorm::Head);
        // transformers' Gemma 3 does not cap scores, whatever stands there.
        architecture.logit_cap = config.positive_or("final_logit_softcapping")?;
        if config.get("attn_logit_softcapping").is_some() {
            return Err(config.wrong("attn_logit_softcapping", "null"));
        }
        let sliding = if config.get("layer_types").is_some() {
            config.sliding(|_| false)?
        } else {
            let every = config.size_or("sliding_window_pattern")?;
            let every = every.unwrap_or(DEFAULT_PATTERN);
            if !(1..=1 << 16).contains(&every) {
                return Err(config.wrong("sliding_window_pattern", "1 to 65536"));
            }
            (1..=every).map(|block| block % every != 0).collect()
        };
        slide(config, architecture, window(config)?, &sliding)?;
        let (head_width, said) = (architecture.heads.width, config.get("rope_parameters"));
        let said = said.and_then(|said| said.get("sliding_attention"));
        let said = said.filter(|said| !said.is_null());
        let local = config.rotary_of(head_width, "rope_parameters", said, LOCAL)?;
        for BlockAttention { window, rotary } in &mut architecture.attention.pattern {
            if window.is_some() {
                *rotary = Some(local);
            }
        }
        Ok(())
    },
    module,
};

const DEFAULTS_3: Defaults = Defaults {
    rotary: RotaryDefaults {
        of: Some("full_attention"),
        ..RotaryDefaults::theta(1_000_000.0)
    },
    ..DEFAULTS
};

const LOCAL: RotaryDefaults = RotaryDefaults {
    theta: (DEFAULT_LOCAL_THETA, "rope_local_base_freq"),
    ..RotaryDefaults::theta(DEFAULT_LOCAL_THETA)
};

/// What both do otherwise than Llama.
fn gemma(config: &Config, architecture: &mut Architecture) -> Result<(), ModelError> {
    architecture.norm.kind = NormKind::Rms { plus_one: true };
    architecture.norm.placement = Placement {
        before: true,
        after: true,
    };
    architecture.embedding_scale = (architecture.width as f64).sqrt();
    let scalar = config.positive_or("query_pre_attn_scalar")?;
    architecture.attention.scale = Some(1.0 / scalar.unwrap_or(DEFAULT_SCALAR).sqrt());
    Ok(())
}

fn window(config: &Config) -> Result<Option<usize>, ModelError> {
    if config.has("sliding_window") {
        config.size_or("sliding_window")
    } else {
        Ok(Some(DEFAULT_WINDOW))
    }
}

fn module(role: Role) -> &'static str {
    match role {
        Role::FeedForwardNorm => "pre_feedforward_layernorm",
        other => llama_module(other),
    }
}
