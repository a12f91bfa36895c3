//! A file's metadata as the `config.json` that the Hub's folder of the same model has.
//!
//! In: a [`Gguf`]. Out: a JSON value with transformers' keys, from which a family's reader makes an architecture as of any
//! folder. What a file does not say and transformers needs is a fact of the family, with its source.

mod family;
mod known;
mod rope;

use serde_json::{Map, Value, json};

pub use self::family::GgufFamily;
use super::error::GgufError;
use super::file::Gguf;

/// Sizes and choices under transformers' names.
type Config = Map<String, Value>;

/// The `config.json` of a file's model.
///
/// # Errors
/// A key is missing or damaged, or asks for what is not done here.
pub fn config(gguf: &Gguf) -> Result<Value, GgufError> {
    let family = GgufFamily::of(gguf)?;
    refuse_parts(gguf, family)?;
    known::refuse_unknown(gguf, family)?;
    let mut config = Config::new();
    config.insert("architectures".into(), json!([family.class()]));
    config.insert("model_type".into(), json!(family.model_type()));
    match family {
        GgufFamily::Gpt2 => gpt2(gguf, &mut config)?,
        GgufFamily::GptNeox => gpt_neox(gguf, &mut config)?,
        modern => {
            llama_like(gguf, modern, &mut config)?;
            match modern {
                GgufFamily::Gemma2 => gemma2(gguf, &mut config)?,
                GgufFamily::Gemma3 => gemma3(gguf, &mut config)?,
                _ => {}
            }
        }
    }
    let tied = !gguf.tensors.contains_key("output.weight");
    config.insert("tie_word_embeddings".into(), json!(tied));
    for (name, key) in [
        ("bos_token_id", "tokenizer.ggml.bos_token_id"),
        ("eos_token_id", "tokenizer.ggml.eos_token_id"),
        ("pad_token_id", "tokenizer.ggml.padding_token_id"),
    ] {
        config.insert(name.into(), json!(gguf.count(key)?));
    }
    Ok(config.into())
}

/// The `generation_config.json`: every token that ends a text.
///
/// # Errors
/// A key is damaged.
pub fn generation_config(gguf: &Gguf) -> Result<Value, GgufError> {
    let mut ends = Vec::new();
    for name in ["eos", "eot", "eom"] {
        let end = gguf.count(&format!("tokenizer.ggml.{name}_token_id"))?;
        ends.extend(end.filter(|end| !ends.contains(end)));
    }
    Ok(json!({
        "bos_token_id": gguf.count("tokenizer.ggml.bos_token_id")?,
        "eos_token_id": ends,
        "pad_token_id": gguf.count("tokenizer.ggml.padding_token_id")?,
    }))
}

/// Refuses what is no whole model, or more than one.
fn refuse_parts(gguf: &Gguf, family: GgufFamily) -> Result<(), GgufError> {
    if let Some(parts) = gguf.count("split.count")?.filter(|parts| *parts > 1) {
        let hint =
            "put the parts together with llama.cpp's `llama-gguf-split --merge FIRST_PART WHOLE`";
        return Err(gguf.refused("split.count", format!("{parts} files"), "one", hint));
    }
    let key = family.key("expert_count");
    if let Some(experts) = gguf.count(&key)?.filter(|experts| *experts > 0) {
        let hint = "take a model without experts";
        return Err(gguf.refused(&key, format!("{experts} experts"), "none", hint));
    }
    if let Some(kind) = gguf.text("general.type")?.filter(|kind| *kind != "model") {
        let hint = "an adapter or a projector goes with a model, which is another file";
        return Err(gguf.refused("general.type", format!("{kind:?}"), "\"model\"", hint));
    }
    Ok(())
}

/// Rows of the token embedding: the tokens, and what a model was padded by.
fn vocab_rows(gguf: &Gguf) -> Option<usize> {
    let embedding = gguf.tensors.get("token_embd.weight")?;
    embedding.shape.first().copied()
}

/// Width of a head, checked to be a width.
fn head_width(gguf: &Gguf, family: GgufFamily) -> Result<u64, GgufError> {
    let heads = family.heads(gguf)?;
    let stated = gguf.layered(&family.key("attention.key_length"))?;
    let width = match stated {
        Some(width) => width,
        None => gguf.need_count(&family.key("embedding_length"))? / heads,
    };
    let value = family.key("attention.value_length");
    if let Some(other) = gguf.layered(&value)?.filter(|other| *other != width) {
        let hint = "heads whose keys and values differ in width are not done";
        return Err(gguf.refused(&value, other.to_string(), width.to_string(), hint));
    }
    Ok(width)
}

/// That keys have heads of their own number or width is known of families after GPT-NeoX.
fn check_plain_heads(gguf: &Gguf, family: GgufFamily) -> Result<(), GgufError> {
    let heads = family.heads(gguf)?;
    let width = gguf.need_count(&family.key("embedding_length"))? / heads;
    let hint = "this family has as many heads of keys as of queries, and they share the width";
    for (name, found, expected) in [
        ("attention.head_count_kv", family.key_heads(gguf)?, heads),
        ("attention.key_length", head_width(gguf, family)?, width),
    ] {
        if found != expected {
            let (found, expected) = (found.to_string(), expected.to_string());
            return Err(gguf.refused(&family.key(name), found, expected, hint));
        }
    }
    Ok(())
}

/// The sizes that every family after GPT-2 has under these names.
fn sizes(gguf: &Gguf, family: GgufFamily, config: &mut Config) -> Result<(), GgufError> {
    let count = |name| gguf.need_count(&family.key(name));
    let entries = [
        ("vocab_size", json!(vocab_rows(gguf))),
        ("hidden_size", json!(count("embedding_length")?)),
        ("intermediate_size", json!(count("feed_forward_length")?)),
        ("num_hidden_layers", json!(count("block_count")?)),
        ("num_attention_heads", json!(family.heads(gguf)?)),
        ("max_position_embeddings", json!(count("context_length")?)),
    ];
    config.extend(entries.map(|(name, value)| (name.to_owned(), value)));
    Ok(())
}

/// What Llama and those after it have in common.
fn llama_like(gguf: &Gguf, family: GgufFamily, config: &mut Config) -> Result<(), GgufError> {
    let key = |name| family.key(name);
    sizes(gguf, family, config)?;
    let width = head_width(gguf, family)?;
    let turned = key("rope.dimension_count");
    if let Some(part) = gguf.count(&turned)?.filter(|part| *part != width) {
        let hint = "heads that are turned in part are not done for this family";
        return Err(gguf.refused(&turned, part.to_string(), width.to_string(), hint));
    }
    let activation = match family {
        GgufFamily::Gemma2 | GgufFamily::Gemma3 => ("hidden_activation", "gelu_pytorch_tanh"),
        _ => ("hidden_act", "silu"),
    };
    let bias = |name: &str| gguf.tensors.contains_key(&format!("blk.0.{name}.bias"));
    let epsilon = gguf.need_number(&key("attention.layer_norm_rms_epsilon"))?;
    let entries = [
        ("num_key_value_heads", json!(family.key_heads(gguf)?)),
        ("head_dim", json!(width)),
        ("rms_norm_eps", json!(epsilon)),
        (
            "rope_theta",
            json!(gguf.number(&key("rope.freq_base"))?.unwrap_or(rope::THETA)),
        ),
        ("rope_scaling", rope::scaling(gguf, family, width)?),
        (activation.0, json!(activation.1)),
        ("attention_bias", json!(bias("attn_q"))),
    ];
    config.extend(entries.map(|(name, value)| (name.to_owned(), value)));
    if family == GgufFamily::Llama {
        config.insert("mlp_bias".into(), json!(bias("ffn_up")));
    }
    if family == GgufFamily::Olmo2
        && let Some(window) = gguf.count(&key("attention.sliding_window"))?
    {
        let hint = "OLMo 3 has the same name in GGUF and is not done";
        let key = key("attention.sliding_window");
        return Err(gguf.refused(&key, window.to_string(), "nothing, as of OLMo 2", hint));
    }
    Ok(())
}

/// What scores are divided by the root of: the width of a head, but for the 27B models of Gemma 2 and 3, which are known by
/// their depth (llama.cpp does the same).
fn query_scale(gguf: &Gguf, family: GgufFamily, deepest: u64) -> Result<u64, GgufError> {
    if gguf.need_count(&family.key("block_count"))? == deepest {
        let width = gguf.need_count(&family.key("embedding_length"))?;
        return Ok(width / family.heads(gguf)?);
    }
    head_width(gguf, family)
}

/// Layers that look at all before them, and those that look at a window only.
fn layer_types(gguf: &Gguf, family: GgufFamily, period: u64) -> Result<Value, GgufError> {
    known::check_pattern(gguf, family, period)?;
    let layers = gguf.need_count(&family.key("block_count"))?;
    if layers > family::MOST_LAYERS {
        let most = format!("{} at most", family::MOST_LAYERS);
        return Err(gguf.wrong(&family.key("block_count"), layers.to_string(), most));
    }
    let types = (1..=layers).map(|layer| {
        if layer.is_multiple_of(period) {
            "full_attention"
        } else {
            "sliding_attention"
        }
    });
    Ok(json!(types.collect::<Vec<_>>()))
}

fn gemma2(gguf: &Gguf, config: &mut Config) -> Result<(), GgufError> {
    let family = GgufFamily::Gemma2;
    let window = gguf.count(&family.key("attention.sliding_window"))?;
    let cap = |name, usual| -> Result<f64, GgufError> {
        Ok(gguf.number(&family.key(name))?.unwrap_or(usual))
    };
    let entries = [
        (
            "query_pre_attn_scalar",
            json!(query_scale(gguf, family, 46)?),
        ),
        // Gemma 2's, where an old file does not say (HF's `Gemma2Config`).
        ("sliding_window", json!(window.unwrap_or(4096))),
        (
            "attn_logit_softcapping",
            json!(cap("attn_logit_softcapping", 50.0)?),
        ),
        (
            "final_logit_softcapping",
            json!(cap("final_logit_softcapping", 30.0)?),
        ),
        ("layer_types", layer_types(gguf, family, 2)?),
    ];
    config.extend(entries.map(|(name, value)| (name.to_owned(), value)));
    Ok(())
}

fn gemma3(gguf: &Gguf, config: &mut Config) -> Result<(), GgufError> {
    let family = GgufFamily::Gemma3;
    let window = gguf.need_count(&family.key("attention.sliding_window"))?;
    let local = gguf.number(&family.key("rope.freq_base_swa"))?;
    let entries = [
        (
            "query_pre_attn_scalar",
            json!(query_scale(gguf, family, 62)?),
        ),
        ("sliding_window", json!(window)),
        ("rope_local_base_freq", json!(local.unwrap_or(rope::THETA))),
        (
            "attn_logit_softcapping",
            json!(gguf.number(&family.key("attn_logit_softcapping"))?),
        ),
        (
            "final_logit_softcapping",
            json!(gguf.number(&family.key("final_logit_softcapping"))?),
        ),
        ("layer_types", layer_types(gguf, family, 6)?),
    ];
    config.extend(entries.map(|(name, value)| (name.to_owned(), value)));
    Ok(())
}

/// The share of a head that is turned, of which transformers and our families' files take the whole number of
/// values: 26/46 of 46 comes to less than 26.
fn share(turned: u64, width: u64) -> f64 {
    let width = width.max(1) as f64;
    let exact = turned as f64 / width;
    if (exact * width).floor() < turned as f64 {
        (turned as f64 + 0.5) / width
    } else {
        exact
    }
}

fn gpt_neox(gguf: &Gguf, config: &mut Config) -> Result<(), GgufError> {
    let family = GgufFamily::GptNeox;
    let key = |name| family.key(name);
    sizes(gguf, family, config)?;
    check_plain_heads(gguf, family)?;
    let width = head_width(gguf, family)?;
    let turned = gguf.count(&key("rope.dimension_count"))?.unwrap_or(width);
    let epsilon = gguf.need_number(&key("attention.layer_norm_epsilon"))?;
    let entries = [
        ("layer_norm_eps", json!(epsilon)),
        ("rotary_pct", json!(share(turned, width))),
        (
            "rotary_emb_base",
            json!(gguf.number(&key("rope.freq_base"))?.unwrap_or(rope::THETA)),
        ),
        (
            "use_parallel_residual",
            json!(gguf.truth(&key("use_parallel_residual"))?.unwrap_or(true)),
        ),
        ("rope_scaling", rope::scaling(gguf, family, width)?),
        // Pythia's; the file does not say.
        ("hidden_act", json!("gelu")),
        ("attention_bias", json!(true)),
    ];
    config.extend(entries.map(|(name, value)| (name.to_owned(), value)));
    Ok(())
}

fn gpt2(gguf: &Gguf, config: &mut Config) -> Result<(), GgufError> {
    let family = GgufFamily::Gpt2;
    let key = |name| family.key(name);
    check_plain_heads(gguf, family)?;
    let epsilon = gguf.need_number(&key("attention.layer_norm_epsilon"))?;
    let entries = [
        ("vocab_size", json!(vocab_rows(gguf))),
        ("n_embd", json!(gguf.need_count(&key("embedding_length"))?)),
        (
            "n_inner",
            json!(gguf.need_count(&key("feed_forward_length"))?),
        ),
        ("n_layer", json!(gguf.need_count(&key("block_count"))?)),
        ("n_head", json!(family.heads(gguf)?)),
        (
            "n_positions",
            json!(gguf.need_count(&key("context_length"))?),
        ),
        ("layer_norm_epsilon", json!(epsilon)),
        ("activation_function", json!("gelu_new")),
    ];
    config.extend(entries.map(|(name, value)| (name.to_owned(), value)));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_a_head_comes_to_as_many_values() {
        for width in 1..=256_u64 {
            for turned in (0..=width).step_by(2) {
                let values = share(turned, width) * width as f64;
                let above = values - turned as f64;
                assert!((0.0..1.0).contains(&above), "{turned} of {width}");
            }
        }
        assert_eq!(share(16, 64).to_bits(), 0.25_f64.to_bits());
    }
}
