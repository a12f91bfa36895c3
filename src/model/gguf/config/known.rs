//! The keys of the metadata under a family's name: what is not computed here is refused, not passed over.
//!
//! Source: the keys of the `gguf` package (`constants.py` of llama.cpp), and what its converter writes for these families.

use super::family::GgufFamily;
use crate::model::gguf::error::GgufError;
use crate::model::gguf::file::Gguf;
use crate::model::gguf::value::{List, Value};

/// What is read of every family, or says nothing of what is computed. The converter writes an epsilon of either norm where a
/// configuration has it, and older ones wrote `use_parallel_residual` into every file.
const SHARED: &[&str] = &[
    "attention.head_count",
    "attention.head_count_kv",
    "attention.key_length",
    "attention.layer_norm_epsilon",
    "attention.layer_norm_rms_epsilon",
    "attention.value_length",
    "block_count",
    "context_length",
    "embedding_length",
    "feed_forward_length",
    "tensor_data_layout",
    "use_parallel_residual",
    "vocab_size",
];

/// What is read of families with rotary positions.
const ROTARY: &[&str] = &[
    "rope.dimension_count",
    "rope.freq_base",
    "rope.scale_linear",
    "rope.scaling.factor",
    "rope.scaling.finetuned",
    "rope.scaling.original_context_length",
    "rope.scaling.type",
    "rope.scaling.yarn_beta_fast",
    "rope.scaling.yarn_beta_slow",
];

/// What is read of Gemma besides.
const GEMMA: &[&str] = &[
    "attention.sliding_window",
    "attention.sliding_window_pattern",
    "attn_logit_softcapping",
    "final_logit_softcapping",
];

/// Factors that change nothing where they are 1.
const FACTORS: &[&str] = &[
    "attention.output_scale",
    "embedding_scale",
    "logit_scale",
    "residual_scale",
    "rope.scaling.attn_factor",
    "rope.scaling.yarn_attn_factor",
    "rope.scaling.yarn_ext_factor",
];

/// Refuses a key of the family's that asks for something and is not read.
pub(super) fn refuse_unknown(gguf: &Gguf, family: GgufFamily) -> Result<(), GgufError> {
    let prefix = family.key("");
    for (key, value) in &gguf.metadata {
        let Some(name) = key.strip_prefix(&prefix) else {
            continue;
        };
        if !is_read(family, name) && asks(gguf, family, name, value) {
            let expected = "nothing that is not computed for this family";
            let hint = "what is not computed is refused, not left out; take another file of the model, or its folder in Hub format";
            return Err(gguf.refused(key, value.said(), expected, hint));
        }
    }
    Ok(())
}

fn is_read(family: GgufFamily, name: &str) -> bool {
    let more: &[&str] = match family {
        GgufFamily::Gpt2 => return SHARED.contains(&name),
        GgufFamily::Gemma2 => GEMMA,
        GgufFamily::Gemma3 => {
            if name == "rope.freq_base_swa" {
                return true;
            }
            GEMMA
        }
        // Refused by what it is, where it is read.
        GgufFamily::Olmo2 => &["attention.sliding_window"],
        GgufFamily::Llama | GgufFamily::Qwen2 | GgufFamily::Qwen3 | GgufFamily::GptNeox => &[],
    };
    [SHARED, ROTARY, more]
        .iter()
        .any(|known| known.contains(&name))
}

/// Whether a key that is not read would change what is computed.
fn asks(gguf: &Gguf, family: GgufFamily, name: &str, value: &Value) -> bool {
    match (name, value) {
        ("attention.causal", Value::Bool(causal)) => return !causal,
        // No text is longer than the context.
        ("attention.sliding_window", window) => {
            let context = gguf.metadata.get(&family.key("context_length"));
            let context = context.and_then(Value::as_count);
            return window.as_count() != Some(0) && window.as_count() < context.or(Some(u64::MAX));
        }
        _ => {}
    }
    match value {
        Value::Bool(yes) => *yes,
        Value::List(list) => !list.is_empty(),
        number => match number.as_number() {
            Some(number) => {
                number != 0.0 && !(FACTORS.contains(&name) && (number - 1.0).abs() < f64::EPSILON)
            }
            None => true,
        },
    }
}

/// Refuses layers that look at windows in another order than every one but each `period`th.
pub(super) fn check_pattern(gguf: &Gguf, family: GgufFamily, period: u64) -> Result<(), GgufError> {
    let key = family.key("attention.sliding_window_pattern");
    let Some(value) = gguf.metadata.get(&key) else {
        return Ok(());
    };
    let as_here = match value {
        Value::List(List::Bool(slide)) => (1_u64..)
            .zip(slide)
            .all(|(layer, slides)| *slides != layer.is_multiple_of(period)),
        other => other.as_count() == Some(period),
    };
    if as_here {
        return Ok(());
    }
    let expected = format!("all but each {period}th");
    let hint = "layers that look at windows in another order are not done for this family";
    Err(gguf.refused(&key, value.said(), expected, hint))
}
