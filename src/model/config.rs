//! `config.json` of a GPT-2 in Hub format.
//!
//! In: the file. Out: a [`Gpt2Config`] that this program can run, or a message that names the key.
//! Keys that mean nothing here are kept, so that what is written back is what was read.
//! Source: HF transformers, `GPT2Config`.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::error::ModelError;
use crate::disk;

/// The largest number of each kind that is believed (ours): products of a few of them can be counted.
const MOST: usize = 1 << 24;
/// The most parameters that are (ours), a hundred times the largest models of 2026.
const MOST_PARAMETERS: u128 = 1_000_000_000_000_000;

/// The shape of a GPT-2, field names as in the Hub's `config.json`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Gpt2Config {
    /// Vocabulary size.
    pub vocab_size: usize,
    /// Context length in tokens.
    pub n_positions: usize,
    /// Model width.
    pub n_embd: usize,
    /// Number of blocks.
    pub n_layer: usize,
    /// Attention heads per block.
    pub n_head: usize,
    /// Width of the feed-forward layer; `None` for four times the model width.
    #[serde(default)]
    pub n_inner: Option<usize>,
    /// Layer norm's epsilon.
    #[serde(default = "default_epsilon")]
    pub layer_norm_epsilon: f64,
    /// End-of-text token; `None` where the file names none, and the tokenizer's holds.
    #[serde(default)]
    pub eos_token_id: Option<u32>,
    /// Every other key of the file, as read.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// GPT-2's, and the default of HF's `GPT2Config`.
fn default_epsilon() -> f64 {
    1e-5
}

/// GPT-2's `<|endoftext|>`, and the default of HF's `GPT2Config`.
const DEFAULT_EOS: u32 = 50256;

impl Default for Gpt2Config {
    /// GPT-2 small, 124M.
    fn default() -> Self {
        Self {
            vocab_size: 50257,
            n_positions: 1024,
            n_embd: 768,
            n_layer: 12,
            n_head: 12,
            n_inner: None,
            layer_norm_epsilon: default_epsilon(),
            eos_token_id: Some(DEFAULT_EOS),
            other: Map::new(),
        }
    }
}

impl Gpt2Config {
    /// Width of the feed-forward layer.
    pub fn inner_width(&self) -> usize {
        self.n_inner.unwrap_or(self.n_embd.saturating_mul(4))
    }

    /// How many parameters it describes; the tied head counts once.
    pub fn parameters(&self) -> u128 {
        let [width, inner, vocab, positions, layers] = [
            self.n_embd,
            self.inner_width(),
            self.vocab_size,
            self.n_positions,
            self.n_layer,
        ]
        .map(|size| size as u128);
        let block = 4 * width * width + 2 * width * inner + 9 * width + inner;
        (vocab + positions) * width + layers * block + 2 * width
    }

    /// Width of one attention head.
    pub fn head_width(&self) -> usize {
        self.n_embd / self.n_head
    }

    /// Reads and checks `folder/config.json`.
    ///
    /// # Errors
    /// The folder or file is missing or malformed, or describes a model that this program does not run.
    pub fn load(folder: &Path) -> Result<Self, ModelError> {
        if !folder.is_dir() {
            return Err(ModelError::NoFolder(folder.to_owned()));
        }
        let path = folder.join("config.json");
        if !disk::exists(&path).map_err(ModelError::reading(&path))? {
            return Err(ModelError::NoFile {
                path,
                hint: "a model in Hub format has its shape in config.json",
            });
        }
        let bytes = disk::read_small(&path).map_err(ModelError::reading(&path))?;
        let mut value: Value =
            serde_json::from_slice(&bytes).map_err(|source| ModelError::Json {
                path: path.clone(),
                source,
            })?;
        // Before the fields: "model_type is llama" says more than "n_embd is missing".
        check_kind(&value)?;
        let eos = end_of_text(&value)?;
        if let Value::Object(map) = &mut value {
            map.insert("eos_token_id".to_owned(), json!(eos));
        }
        let config: Self =
            serde_json::from_value(value).map_err(|source| ModelError::Json { path, source })?;
        config.check()?;
        Ok(config)
    }

    /// Checks that the numbers go together.
    ///
    /// # Errors
    /// The first pair that does not.
    pub fn check(&self) -> Result<(), ModelError> {
        let positive = [
            ("vocab_size", self.vocab_size),
            ("n_positions", self.n_positions),
            ("n_embd", self.n_embd),
            ("n_layer", self.n_layer),
            ("n_head", self.n_head),
            ("n_inner", self.n_inner.unwrap_or(self.n_embd)),
        ];
        if let Some((key, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return Err(ModelError::BadShape(format!(
                "`{key}` is 0, accepted: 1 or more"
            )));
        }
        if let Some((key, value)) = positive.iter().find(|(_, value)| *value > MOST) {
            return Err(ModelError::BadShape(format!(
                "`{key}` is {value}, accepted: up to {MOST}"
            )));
        }
        if self.parameters() > MOST_PARAMETERS {
            return Err(ModelError::BadShape(format!(
                "`n_layer` {}, `n_embd` {} and `vocab_size` {} make a model of {:.1e} parameters, accepted: up to {:.0e}",
                self.n_layer,
                self.n_embd,
                self.vocab_size,
                self.parameters() as f64,
                MOST_PARAMETERS as f64
            )));
        }
        if !self.n_embd.is_multiple_of(self.n_head) {
            return Err(ModelError::BadShape(format!(
                "`n_embd` {} is not a multiple of `n_head` {}",
                self.n_embd, self.n_head
            )));
        }
        if let Some(eos) = self.eos_token_id
            && eos as usize >= self.vocab_size
        {
            return Err(ModelError::BadShape(format!(
                "`eos_token_id` {eos} is outside the vocabulary of {}",
                self.vocab_size
            )));
        }
        if !(self.layer_norm_epsilon.is_finite() && self.layer_norm_epsilon >= 0.0) {
            return Err(ModelError::BadShape(format!(
                "`layer_norm_epsilon` is {}, accepted: 0 or more",
                self.layer_norm_epsilon
            )));
        }
        Ok(())
    }

    /// The file's text: what HF transformers needs first, then the shape, then what else was read.
    pub fn to_json(&self) -> String {
        let mut map = Map::new();
        let own = [
            ("architectures", json!(["GPT2LMHeadModel"])),
            ("model_type", json!("gpt2")),
            ("activation_function", json!("gelu_new")),
            ("bos_token_id", json!(self.eos_token_id)),
        ];
        for (key, value) in own {
            let value = self.other.get(key).cloned().unwrap_or(value);
            map.insert(key.to_owned(), value);
        }
        let fields =
            serde_json::to_value(self).expect("numbers, strings and JSON values serialise");
        if let Value::Object(fields) = fields {
            map.extend(fields);
        }
        // The weights are always written as f32, whatever they were read from.
        for key in ["dtype", "torch_dtype"] {
            if let Some(value) = map.get_mut(key) {
                *value = json!("float32");
            }
        }
        let mut text =
            serde_json::to_string_pretty(&map).expect("a map with string keys serialises");
        text.push('\n');
        text
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
    if value.get("model_type") != Some(&json!("gpt2")) {
        return refuse("model_type", "\"gpt2\"");
    }
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
        if value.get(key) == Some(&json!(false)) {
            return refuse(key, "true");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn load(text: &str) -> Result<Gpt2Config, ModelError> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("config.json"), text).unwrap();
        Gpt2Config::load(folder.path())
    }

    const TINY: &str = r#"{"model_type": "gpt2", "vocab_size": 9, "n_positions": 8, "n_embd": 6,
        "n_layer": 1, "n_head": 2, "eos_token_id": 0, "resid_pdrop": 0.25, "torch_dtype": "float16""#;

    #[test]
    fn what_is_read_is_written_back_with_its_unknown_keys() {
        let config = load(&format!("{TINY}}}")).unwrap();
        assert_eq!((config.inner_width(), config.head_width()), (24, 3));
        let back: Value = serde_json::from_str(&config.to_json()).unwrap();
        assert_eq!(back["resid_pdrop"], json!(0.25));
        assert_eq!(back["torch_dtype"], json!("float32"));
        assert_eq!(back["layer_norm_epsilon"], json!(1e-5));
        assert_eq!(load(&config.to_json()).unwrap().to_json(), config.to_json());
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
            assert_eq!(
                load(&eos(written)).unwrap().eos_token_id,
                found,
                "{written}"
            );
        }
        let absent = |vocabulary: &str| {
            let text = TINY.replace("\"eos_token_id\": 0, ", "");
            let text = text.replace("\"vocab_size\": 9", vocabulary) + "}";
            load(&text).unwrap().eos_token_id
        };
        assert_eq!(absent("\"vocab_size\": 9"), None);
        assert_eq!(absent("\"vocab_size\": 50256"), None);
        assert_eq!(absent("\"vocab_size\": 50257"), Some(50256));
    }

    #[test]
    fn each_refusal_names_the_key() {
        let cases = [
            (
                r#"{"model_type": "llama"}"#.to_owned(),
                "`model_type` is \"llama\"",
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
        let message = Gpt2Config::load(Path::new("/no/such/folder"))
            .unwrap_err()
            .to_string();
        assert!(message.contains("does not exist\nhint: "), "{message}");
    }
}
