//! GPT-2: the keys of its `config.json`, and what its arrays are called.
//!
//! Source: Radford et al. 2019; HF transformers, `GPT2Config` and `modeling_gpt2.py`.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::check::{MOST, MOST_PARAMETERS};
use super::{
    Activation, Architecture, ArrayId, Attention, Biases, BlockAttention, Family, FeedForward,
    FeedForwardKind, Heads, Keys, Norm, NormKind, Output, Placement, Positions, Role,
};
use crate::model::ModelError;

/// GPT-2's, and the default of HF's `GPT2Config`.
const EPSILON: f64 = 1e-5;
/// GPT-2's `<|endoftext|>`, and the default of HF's `GPT2Config`.
const DEFAULT_EOS: u32 = 50256;

/// The sizes that tell one GPT-2 from another; the feed-forward half is four times as wide as the model.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Gpt2 {
    /// Rows of the token embedding.
    pub vocab_rows: usize,
    /// Context length in tokens.
    pub context: usize,
    /// Model width.
    pub width: usize,
    /// Number of blocks.
    pub layers: usize,
    /// Attention heads of a block.
    pub heads: usize,
}

impl Default for Gpt2 {
    /// GPT-2 small, 124M.
    fn default() -> Self {
        Self {
            vocab_rows: 50257,
            context: 1024,
            width: 768,
            layers: 12,
            heads: 12,
        }
    }
}

impl From<Gpt2> for Architecture {
    /// Whether the sizes go together is for [`Architecture::check`] to say.
    fn from(gpt2: Gpt2) -> Self {
        Self {
            family: &OnHub,
            vocab_rows: gpt2.vocab_rows,
            context: gpt2.context,
            width: gpt2.width,
            layers: gpt2.layers,
            heads: Heads {
                query: gpt2.heads,
                key: gpt2.heads,
                width: gpt2.width.checked_div(gpt2.heads).unwrap_or(0),
            },
            positions: Positions::Learned,
            embedding_scale: 1.0,
            attention: Attention {
                scale: None,
                score_cap: None,
                query_key_norm: None,
                pattern: vec![BlockAttention::default()],
            },
            norm: Norm {
                kind: NormKind::Layer,
                placement: Placement {
                    before: true,
                    after: false,
                },
                epsilon: EPSILON,
            },
            parallel: false,
            biases: Biases::ALL,
            feed_forward: FeedForward {
                kind: FeedForwardKind::Plain(Activation::GeluTanh),
                inner: gpt2.width.saturating_mul(4),
            },
            output: Output::Tied,
            logit_cap: None,
            end_of_text: None,
            ends: Vec::new(),
            config: Map::new(),
        }
    }
}

/// The keys of `config.json` that are read and written.
#[derive(Serialize, Deserialize)]
struct Config {
    vocab_size: usize,
    n_positions: usize,
    n_embd: usize,
    n_layer: usize,
    n_head: usize,
    /// `None` for four times the model width.
    #[serde(default)]
    n_inner: Option<usize>,
    #[serde(default = "default_epsilon")]
    layer_norm_epsilon: f64,
    #[serde(default)]
    eos_token_id: Option<u32>,
}

fn default_epsilon() -> f64 {
    EPSILON
}

impl From<Config> for Architecture {
    fn from(config: Config) -> Self {
        let mut architecture = Self::from(Gpt2 {
            vocab_rows: config.vocab_size,
            context: config.n_positions,
            width: config.n_embd,
            layers: config.n_layer,
            heads: config.n_head,
        });
        if let Some(inner) = config.n_inner {
            architecture.feed_forward.inner = inner;
        }
        architecture.norm.epsilon = config.layer_norm_epsilon;
        architecture.end_of_text = config.eos_token_id;
        architecture
    }
}

impl From<&Architecture> for Config {
    fn from(architecture: &Architecture) -> Self {
        let (width, inner) = (architecture.width, architecture.feed_forward.inner);
        Self {
            vocab_size: architecture.vocab_rows,
            n_positions: architecture.context,
            n_embd: width,
            n_layer: architecture.layers,
            n_head: architecture.heads.query,
            n_inner: (inner != width.saturating_mul(4)).then_some(inner),
            layer_norm_epsilon: architecture.norm.epsilon,
            eos_token_id: architecture.end_of_text,
        }
    }
}

/// The family.
#[derive(Debug)]
pub(super) struct OnHub;

impl Family for OnHub {
    fn model_type(&self) -> &'static str {
        "gpt2"
    }

    fn keys(&self) -> Keys {
        Keys {
            width: "n_embd",
            inner: "n_inner",
            layers: "n_layer",
        }
    }

    fn read(&'static self, mut config: Value, path: &Path) -> Result<Architecture, ModelError> {
        check_kind(&config)?;
        let eos = end_of_text(&config)?;
        if let Value::Object(map) = &mut config {
            map.insert("eos_token_id".to_owned(), json!(eos));
        }
        let config: Config = serde_json::from_value(config).map_err(|source| ModelError::Json {
            path: path.to_owned(),
            source,
        })?;
        Ok(config.into())
    }

    fn check(&self, architecture: &Architecture) -> Result<(), ModelError> {
        let (width, inner) = (architecture.width, architecture.feed_forward.inner);
        let (layers, heads) = (architecture.layers, architecture.heads);
        let positive = [
            ("vocab_size", architecture.vocab_rows),
            ("n_positions", architecture.context),
            ("n_embd", width),
            ("n_layer", layers),
            ("n_head", heads.query),
            // Where the file leaves it out it is not to blame.
            (
                "n_inner",
                if inner == width.saturating_mul(4) {
                    width
                } else {
                    inner
                },
            ),
        ];
        let bad = |says: String| Err(ModelError::BadShape(says));
        if let Some((key, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return bad(format!("`{key}` is 0, accepted: 1 or more"));
        }
        if let Some((key, value)) = positive.iter().find(|(_, value)| *value > MOST) {
            return bad(format!("`{key}` is {value}, accepted: up to {MOST}"));
        }
        let parameters = architecture.parameters();
        if parameters > MOST_PARAMETERS {
            return bad(format!(
                "`n_layer` {layers}, `n_embd` {width} and `vocab_size` {} make a model of {:.1e} parameters, accepted: up to {:.0e}",
                architecture.vocab_rows, parameters as f64, MOST_PARAMETERS as f64
            ));
        }
        if heads.query_width() != width {
            return bad(format!(
                "`n_embd` {width} is not a multiple of `n_head` {}",
                heads.query
            ));
        }
        if let Some(eos) = architecture.end_of_text
            && eos as usize >= architecture.vocab_rows
        {
            return bad(format!(
                "`eos_token_id` {eos} is outside the vocabulary of {}",
                architecture.vocab_rows
            ));
        }
        let epsilon = architecture.norm.epsilon;
        if !(epsilon.is_finite() && epsilon >= 0.0) {
            return bad(format!(
                "`layer_norm_epsilon` is {epsilon}, accepted: 0 or more"
            ));
        }
        Ok(())
    }

    /// What HF transformers needs first, then the shape.
    fn config_json(&self, architecture: &Architecture) -> String {
        let own = [
            ("architectures", json!(["GPT2LMHeadModel"])),
            ("model_type", json!(self.model_type())),
            ("activation_function", json!("gelu_new")),
            ("bos_token_id", json!(architecture.end_of_text)),
        ];
        let own = own.into_iter().map(|(key, value)| (key.to_owned(), value));
        let mut map: Map<String, Value> = own.collect();
        let keys = serde_json::to_value(Config::from(architecture));
        if let Value::Object(keys) = keys.expect("numbers serialise") {
            map.extend(keys);
        }
        let text = serde_json::to_string_pretty(&map);
        text.expect("a map with string keys serialises") + "\n"
    }

    fn name(&self, id: ArrayId) -> String {
        let module = match id.role {
            Role::TokenEmbedding => "wte",
            Role::PositionEmbedding => "wpe",
            Role::AttentionNorm => "ln_1",
            Role::QueryKeyValue => "attn.c_attn",
            Role::AttentionOut => "attn.c_proj",
            Role::FeedForwardNorm => "ln_2",
            Role::Up => "mlp.c_fc",
            Role::Down => "mlp.c_proj",
            Role::FinalNorm => "ln_f",
            Role::QueryNorm
            | Role::KeyNorm
            | Role::AttentionPostNorm
            | Role::FeedForwardPostNorm
            | Role::Output => unreachable!("GPT-2 has no {:?}", id.role),
        };
        let part = id.part.name();
        match id.layer {
            Some(layer) => format!("h.{layer}.{module}.{part}"),
            None => format!("{module}.{part}"),
        }
    }

    fn prefix(&self) -> &'static str {
        "transformer."
    }

    fn output_name(&self) -> &'static str {
        "lm_head.weight"
    }

    /// Older files carry the causal mask as arrays, in formats of their own.
    fn is_no_weight(&self, name: &str) -> bool {
        name.ends_with(".attn.bias") || name.ends_with(".attn.masked_bias")
    }
}

/// The one token that `eos_token_id` names. A list of one is that one; of null the tokenizer's end of text holds, as of
/// an absent key where HF's default lies outside the vocabulary.
fn end_of_text(value: &Value) -> Result<Option<u32>, ModelError> {
    let Some(named) = value.get("eos_token_id") else {
        let holds = value["vocab_size"].as_u64() > Some(u64::from(DEFAULT_EOS));
        return Ok(holds.then_some(DEFAULT_EOS));
    };
    let one = match named {
        Value::Null => return Ok(None),
        Value::Array(list) if list.len() == 1 => &list[0],
        other => other,
    };
    let id = one.as_u64().and_then(|id| u32::try_from(id).ok());
    id.map(Some)
        .ok_or_else(|| ModelError::EndOfTextId(named.to_string()))
}

/// Refuses what would run but compute something else than the file means.
fn check_kind(value: &Value) -> Result<(), ModelError> {
    let refuse = |key, accepted| {
        let found = value.get(key).unwrap_or(&Value::Null).to_string();
        Err(ModelError::Unsupported {
            key,
            found,
            accepted,
        })
    };
    if value
        .get("activation_function")
        .is_some_and(|name| name != "gelu_new")
    {
        return refuse("activation_function", "\"gelu_new\"");
    }
    for key in [
        "scale_attn_by_inverse_layer_idx",
        "reorder_and_upcast_attn",
        "add_cross_attention",
    ] {
        if value.get(key) == Some(&json!(true)) {
            return refuse(key, "false");
        }
    }
    for key in ["scale_attn_weights", "tie_word_embeddings"] {
        // A null is no, as in Python.
        if matches!(value.get(key), Some(Value::Null | Value::Bool(false))) {
            return refuse(key, "true");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn load(text: &str) -> Result<Architecture, ModelError> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("config.json"), text).unwrap();
        Architecture::load(folder.path())
    }

    const TINY: &str = r#"{"model_type": "gpt2", "vocab_size": 9, "n_positions": 8, "n_embd": 6,
        "n_layer": 1, "n_head": 2, "eos_token_id": 0, "resid_pdrop": 0.25, "torch_dtype": "float16""#;

    #[test]
    fn what_is_written_is_what_was_read() {
        for inner in ["", ", \"n_inner\": 7", ", \"n_inner\": 24"] {
            let read = load(&format!("{TINY}{inner}}}")).unwrap();
            let width = if inner.contains('7') { 7 } else { 24 };
            assert_eq!((read.feed_forward.inner, read.heads.width), (width, 3));
            let back: Value = serde_json::from_str(&read.config_json()).unwrap();
            let wanted = json!({
                "architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "activation_function": "gelu_new",
                "bos_token_id": 0, "vocab_size": 9, "n_positions": 8, "n_embd": 6, "n_layer": 1, "n_head": 2,
                "n_inner": (width == 7).then_some(7), "layer_norm_epsilon": 1e-5, "eos_token_id": 0,
            });
            // Their order too.
            assert_eq!(back.to_string(), wanted.to_string());
            let again = load(&read.config_json()).unwrap();
            assert_eq!(again.config_json(), read.config_json());
        }
    }

    /// The tiny file with another end of text.
    fn eos(written: &str) -> String {
        TINY.replace(
            "\"eos_token_id\": 0",
            &format!("\"eos_token_id\": {written}"),
        ) + "}"
    }

    #[test]
    fn an_end_of_text_is_a_number_a_list_of_one_or_left_to_the_tokenizer() {
        for (written, found) in [("3", Some(3)), ("[3]", Some(3)), ("null", None)] {
            assert_eq!(load(&eos(written)).unwrap().end_of_text, found, "{written}");
        }
        let absent = |vocabulary: &str| {
            let text = TINY.replace("\"eos_token_id\": 0, ", "");
            let text = text.replace("\"vocab_size\": 9", vocabulary) + "}";
            load(&text).unwrap().end_of_text
        };
        assert_eq!(absent("\"vocab_size\": 9"), None);
        assert_eq!(absent("\"vocab_size\": 50256"), None);
        assert_eq!(absent("\"vocab_size\": 50257"), Some(50256));
    }

    #[test]
    fn each_refusal_names_the_key() {
        let cases = [
            (
                r#"{"model_type": "bloom"}"#.to_owned(),
                "`model_type` is \"bloom\"",
            ),
            (
                format!(r#"{TINY}, "activation_function": "relu"}}"#),
                "`activation_function` is \"relu\"",
            ),
            (
                format!(r#"{TINY}, "reorder_and_upcast_attn": true}}"#),
                "`reorder_and_upcast_attn` is true",
            ),
            (
                format!(r#"{TINY}, "scale_attn_weights": false}}"#),
                "`scale_attn_weights` is false",
            ),
            (
                TINY.replace("\"n_head\": 2", "\"n_head\": 4") + "}",
                "`n_embd` 6 is not a multiple of `n_head` 4",
            ),
            (
                TINY.replace("\"n_head\": 2", "\"n_head\": 0") + "}",
                "`n_head` is 0",
            ),
            (eos("9"), "`eos_token_id` 9"),
            (eos("[0, 1]"), "`eos_token_id` is [0,1], accepted"),
            (eos("[]"), "`eos_token_id` is [], accepted"),
            (eos("\"0\""), "`eos_token_id` is \"0\", accepted"),
            (eos("-1"), "`eos_token_id` is -1, accepted"),
            (eos("[0.5]"), "`eos_token_id` is [0.5], accepted"),
            (TINY.replace("\"n_layer\": 1,", "") + "}", "n_layer"),
            ("{".to_owned(), "config.json"),
        ];
        for (text, expected) in cases {
            let message = load(&text).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
        let message = Architecture::load(Path::new("/no/such/folder"))
            .unwrap_err()
            .to_string();
        assert!(message.contains("does not exist\nhint: "), "{message}");
    }
}
