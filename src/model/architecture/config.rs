//! A `config.json`, key by key: what a family asks it for, and what it is written as.

use serde_json::{Map, Value, json};

use super::{Activation, Architecture};
use crate::model::ModelError;

/// Blocks that are described one by one, at most (ours): a list of so many is no burden.
const MOST_LAYERS: usize = 1 << 16;

/// Keys that say nothing of what is computed here, and are not written either. Beside the ids of tokens, which tokenizer and
/// generation settings name, they are of training, of loading, and of transformers' own bookkeeping.
const SILENT: &[&str] = &[
    "_name_or_path",
    "_attn_implementation",
    "_attn_implementation_autoset",
    "architectures",
    "attention_dropout",
    "attention_probs_dropout_prob",
    "attn_implementation",
    "auto_map",
    "bos_token_id",
    "classifier_dropout",
    "cache_implementation",
    "dtype",
    "embd_pdrop",
    "eos_token_id",
    "hidden_dropout",
    "hidden_dropout_prob",
    "id2label",
    "initializer_range",
    "is_decoder",
    "is_llama_config",
    "label2id",
    "model_type",
    "output_attentions",
    "output_hidden_states",
    "pad_token_id",
    "pretraining_tp",
    "problem_type",
    "resid_pdrop",
    "return_dict",
    "tokenizer_class",
    "torch_dtype",
    "transformers.js_config",
    "transformers_version",
    "unsloth_fixed",
    "unsloth_version",
    "use_cache",
    "use_return_dict",
];

/// Keys that mean the same in each of these families.
const SHARED: &[&str] = &[
    "attention_bias",
    "head_dim",
    "hidden_act",
    "hidden_size",
    "intermediate_size",
    "max_position_embeddings",
    "mlp_bias",
    "num_attention_heads",
    "num_hidden_layers",
    "num_key_value_heads",
    "rms_norm_eps",
    "rope_parameters",
    "rope_scaling",
    "rope_theta",
    "tie_word_embeddings",
    "vocab_size",
];

/// A `config.json`.
pub(super) struct Config {
    map: Map<String, Value>,
    /// The family's own name, for messages and for what is written.
    model_type: &'static str,
}

impl Config {
    /// The keys of `config`, of which `known` and those that all these families share count. One that neither says
    /// nothing here nor is known is refused where it asks for anything: what is not computed is not ignored.
    ///
    /// # Errors
    /// A key that asks for something unknown.
    pub(super) fn new(
        config: Value,
        model_type: &'static str,
        known: &[&'static str],
    ) -> Result<Self, ModelError> {
        let Value::Object(map) = config else {
            return Err(ModelError::BadShape("it is no object".to_owned()));
        };
        let asks = |value: &Value| match value {
            Value::Null | Value::Bool(false) => false,
            Value::Array(list) => !list.is_empty(),
            Value::Object(map) => !map.is_empty(),
            Value::Number(number) => number.as_f64() != Some(0.0),
            _ => true,
        };
        let counts = |key: &str| SHARED.contains(&key) || known.contains(&key);
        let strange = map
            .iter()
            .find(|(key, value)| !SILENT.contains(&key.as_str()) && !counts(key) && asks(value));
        let strange = strange.map(|(key, value)| (key.clone(), value.clone()));
        let config = Self { map, model_type };
        match strange {
            Some((key, value)) => Err(config.unknown(key, &value)),
            None => Ok(config),
        }
    }

    /// That a key is not known of the family.
    pub(super) fn unknown(&self, key: String, value: &Value) -> ModelError {
        ModelError::UnknownKey {
            key,
            found: value.to_string(),
            model_type: self.model_type,
        }
    }

    /// A value, `None` where it is absent or null.
    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    /// A value, `None` where it is absent; a null is refused, with which transformers fails too.
    fn no_null(
        &self,
        key: &'static str,
        accepted: &'static str,
    ) -> Result<Option<&Value>, ModelError> {
        match self.map.get(key) {
            Some(Value::Null) => Err(self.wrong(key, accepted)),
            found => Ok(found),
        }
    }

    /// Whether a key is there, if only as null.
    pub(super) fn has(&self, key: &str) -> bool {
        self.map.contains_key(key)
    }

    /// That a key's value is none of those accepted.
    pub(super) fn wrong(&self, key: &'static str, accepted: &'static str) -> ModelError {
        let found = self
            .map
            .get(key)
            .map_or("missing".to_owned(), Value::to_string);
        ModelError::Unsupported {
            key,
            found,
            accepted,
        }
    }

    /// A whole number, `None` where it is absent or null.
    pub(super) fn size_or(&self, key: &'static str) -> Result<Option<usize>, ModelError> {
        let size = |value: &Value| {
            let size = value.as_u64().and_then(|size| usize::try_from(size).ok());
            size.ok_or_else(|| self.wrong(key, "a whole number"))
        };
        self.get(key).map(size).transpose()
    }

    /// A whole number.
    pub(super) fn size(&self, key: &'static str) -> Result<usize, ModelError> {
        let size = self.size_or(key)?;
        size.ok_or_else(|| self.wrong(key, "a whole number"))
    }

    /// What is added to a norm's variance.
    pub(super) fn epsilon(&self, key: &'static str, default: f64) -> Result<f64, ModelError> {
        self.no_null(key, "a number")?;
        Ok(self.number_or(key)?.unwrap_or(default))
    }

    /// A number, `None` where it is absent or null.
    fn number_or(&self, key: &'static str) -> Result<Option<f64>, ModelError> {
        let number = |value: &Value| value.as_f64().ok_or_else(|| self.wrong(key, "a number"));
        self.get(key).map(number).transpose()
    }

    /// A number above 0, `None` where it is absent or null.
    pub(super) fn positive_or(&self, key: &'static str) -> Result<Option<f64>, ModelError> {
        let number = self.number_or(key)?;
        if number.is_none_or(|number| number > 0.0 && number.is_finite()) {
            Ok(number)
        } else {
            Err(self.wrong(key, "a number above 0"))
        }
    }

    /// Yes or no; a null is no, as in Python.
    pub(super) fn flag(&self, key: &'static str, default: bool) -> Result<bool, ModelError> {
        match self.map.get(key) {
            None => Ok(default),
            Some(Value::Null) => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(self.wrong(key, "true or false")),
        }
    }

    /// An activation by transformers' name.
    pub(super) fn activation(
        &self,
        key: &'static str,
        default: Activation,
    ) -> Result<Activation, ModelError> {
        const ACCEPTED: &str =
            "\"silu\", \"gelu\", \"gelu_new\", \"gelu_fast\", \"gelu_pytorch_tanh\"";
        match self.no_null(key, ACCEPTED)?.map(Value::as_str) {
            None => Ok(default),
            Some(Some("silu" | "swish")) => Ok(Activation::Silu),
            Some(Some("gelu")) => Ok(Activation::Gelu),
            Some(Some("gelu_new" | "gelu_fast" | "gelu_pytorch_tanh")) => Ok(Activation::GeluTanh),
            Some(_) => Err(self.wrong(key, ACCEPTED)),
        }
    }

    /// What is said of every block, one by one: `list` if it is there, `default` of each block's number otherwise.
    ///
    /// # Errors
    /// The list has another length, or an entry of which `read` makes nothing.
    pub(super) fn by_layer<T>(
        &self,
        key: &'static str,
        accepted: &'static str,
        read: impl Fn(&Value) -> Option<T>,
        default: impl Fn(usize) -> T,
    ) -> Result<Vec<T>, ModelError> {
        let layers = self.size("num_hidden_layers")?;
        if layers > MOST_LAYERS {
            let most = format!("`num_hidden_layers` is {layers}, accepted: up to {MOST_LAYERS}");
            return Err(ModelError::BadShape(most));
        }
        let Some(named) = self.get(key) else {
            return Ok((0..layers).map(default).collect());
        };
        let list = named.as_array().filter(|list| list.len() == layers);
        let read = list.and_then(|list| list.iter().map(read).collect());
        read.ok_or_else(|| self.wrong(key, accepted))
    }

    /// Which blocks see a window alone, by `layer_types`, or by `default` where that is absent.
    ///
    /// # Errors
    /// As of [`Config::by_layer`].
    pub(super) fn sliding(&self, default: impl Fn(usize) -> bool) -> Result<Vec<bool>, ModelError> {
        let read = |kind: &Value| match kind.as_str()? {
            "full_attention" => Some(false),
            "sliding_attention" => Some(true),
            _ => None,
        };
        let accepted = "\"full_attention\" or \"sliding_attention\" for each layer";
        self.by_layer("layer_types", accepted, read, default)
    }

    /// The one token that `eos_token_id` names, or all of several.
    pub(super) fn ends(&self) -> Result<(Option<u32>, Vec<u32>), ModelError> {
        let id = |value: &Value| {
            let id = value.as_u64().and_then(|id| u32::try_from(id).ok());
            id.ok_or_else(|| ModelError::EndOfTextId(value.to_string()))
        };
        match self.get("eos_token_id") {
            None => Ok((None, Vec::new())),
            Some(Value::Array(list)) => match list.as_slice() {
                [one] => Ok((Some(id(one)?), Vec::new())),
                several => Ok((None, several.iter().map(id).collect::<Result<_, _>>()?)),
            },
            Some(one) => Ok((Some(id(one)?), Vec::new())),
        }
    }

    /// What is written again. A null stays: with some keys it says another thing than their absence.
    pub(super) fn kept(&self) -> Map<String, Value> {
        let mut kept = self.map.clone();
        kept.retain(|key, _| !SILENT.contains(&key.as_str()));
        kept.insert("model_type".to_owned(), json!(self.model_type));
        kept.sort_keys();
        kept
    }
}

/// The `config.json` of an architecture that was read from one: the keys that count, as they were, in f32.
pub(super) fn written(architecture: &Architecture, class: &str) -> String {
    let mut map = architecture.config.clone();
    map.insert("architectures".to_owned(), json!([class]));
    map.insert("torch_dtype".to_owned(), json!("float32"));
    let ends = &architecture.ends;
    let end = architecture.end_of_text.map_or_else(
        || (!ends.is_empty()).then(|| json!(ends)),
        |end| Some(json!(end)),
    );
    map.extend(end.map(|end| ("eos_token_id".to_owned(), end)));
    let text = serde_json::to_string_pretty(&map);
    text.expect("a map with string keys serialises") + "\n"
}
