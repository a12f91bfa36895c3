//! What families after GPT-2 share: the keys of their `config.json`, their arrays' names, and the checks of their sizes.
//!
//! A family reads its own `config.json` through a [`Config`], starts from [`Config::llama`] and changes what it does
//! otherwise. What it was read from is kept in [`Architecture::config`], of which [`written`] gives back the keys that count.

use serde_json::{Map, Value, json};

use super::{
    Activation, Architecture, ArrayId, Attention, Biases, BlockAttention, Family, FeedForward,
    FeedForwardKind, FileArray, Heads, Keys, Layout, Norm, NormKind, Output, OutputOrder, Part,
    Placement, Positions, Role, Rotary, RotaryScaling,
};
use crate::model::ModelError;

/// The largest number of each kind that is believed (ours): products of a few of them can be counted.
const MOST: usize = 1 << 24;
/// The most parameters that are (ours), a hundred times the largest models of 2026.
const MOST_PARAMETERS: u128 = 1_000_000_000_000_000;

/// The keys that these families share.
pub(super) const KEYS: Keys = Keys {
    width: "hidden_size",
    inner: "intermediate_size",
    layers: "num_hidden_layers",
};

/// Keys that say nothing of what is computed here, and are not written either. Beside the ids of tokens, which tokenizer and
/// generation settings name, they are of training, of loading, and of transformers' own bookkeeping.
const SILENT: &[&str] = &[
    "_name_or_path",
    "_attn_implementation_autoset",
    "architectures",
    "attention_dropout",
    "attention_probs_dropout_prob",
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
    "torch_dtype",
    "transformers.js_config",
    "transformers_version",
    "use_cache",
    "use_return_dict",
];

/// A `config.json`.
pub(super) struct Config {
    map: Map<String, Value>,
    /// The family's own name, for the keys that it writes.
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
        if let Some((key, value)) = strange {
            return Err(ModelError::UnknownKey {
                key: key.clone(),
                found: value.to_string(),
                model_type,
            });
        }
        Ok(Self { map, model_type })
    }

    /// A value, `None` where it is absent or null.
    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    fn wrong(&self, key: &'static str, accepted: &'static str) -> ModelError {
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

    /// A number, `None` where it is absent or null.
    pub(super) fn number_or(&self, key: &'static str) -> Result<Option<f64>, ModelError> {
        let number = |value: &Value| value.as_f64().ok_or_else(|| self.wrong(key, "a number"));
        self.get(key).map(number).transpose()
    }

    /// Yes or no.
    pub(super) fn flag(&self, key: &'static str, default: bool) -> Result<bool, ModelError> {
        let flag = |value: &Value| {
            value
                .as_bool()
                .ok_or_else(|| self.wrong(key, "true or false"))
        };
        Ok(self.get(key).map(flag).transpose()?.unwrap_or(default))
    }

    /// An activation by transformers' name.
    pub(super) fn activation(
        &self,
        key: &'static str,
        default: Activation,
    ) -> Result<Activation, ModelError> {
        match self.get(key).map(Value::as_str) {
            None => Ok(default),
            Some(Some("silu" | "swish")) => Ok(Activation::Silu),
            Some(Some("gelu")) => Ok(Activation::Gelu),
            Some(Some("gelu_new" | "gelu_pytorch_tanh")) => Ok(Activation::GeluTanh),
            Some(_) => Err(self.wrong(
                key,
                "\"silu\", \"gelu\", \"gelu_new\", \"gelu_pytorch_tanh\"",
            )),
        }
    }

    /// Llama's architecture with these sizes, from which the others differ in a few choices. `tied` is the family's
    /// default of `tie_word_embeddings`.
    pub(super) fn llama(
        self,
        family: &'static dyn Family,
        tied: bool,
    ) -> Result<Architecture, ModelError> {
        let (width, query) = (self.size("hidden_size")?, self.size("num_attention_heads")?);
        let heads = Heads {
            query,
            key: self.size_or("num_key_value_heads")?.unwrap_or(query),
            width: match self.size_or("head_dim")? {
                Some(head_width) => head_width,
                None => width.checked_div(query).unwrap_or(0),
            },
        };
        let rotary = self.rotary(heads.width, None)?;
        let tied = self.flag("tie_word_embeddings", tied)?;
        let (end_of_text, ends) = self.ends()?;
        let bias = self.flag("attention_bias", false)?;
        Ok(Architecture {
            family,
            vocab_rows: self.size("vocab_size")?,
            context: self.size("max_position_embeddings")?,
            width,
            layers: self.size("num_hidden_layers")?,
            heads,
            positions: Positions::Rotary,
            embedding_scale: 1.0,
            attention: Attention {
                scale: None,
                score_cap: None,
                query_key_norm: None,
                pattern: vec![BlockAttention {
                    window: None,
                    rotary: Some(rotary),
                }],
            },
            norm: Norm {
                kind: NormKind::Rms { plus_one: false },
                placement: Placement {
                    before: true,
                    after: false,
                },
                epsilon: self.number_or("rms_norm_eps")?.unwrap_or(1e-6),
            },
            parallel: false,
            biases: Biases {
                query_key_value: bias,
                attention_out: bias,
                feed_forward: self.flag("mlp_bias", false)?,
            },
            feed_forward: FeedForward {
                kind: FeedForwardKind::Gated(self.activation("hidden_act", Activation::Silu)?),
                inner: self.size("intermediate_size")?,
            },
            output: if tied { Output::Tied } else { Output::Separate },
            logit_cap: None,
            end_of_text,
            ends,
            config: self.kept(),
        })
    }

    /// What is written again.
    fn kept(self) -> Map<String, Value> {
        let mut kept = self.map;
        kept.retain(|key, value| !value.is_null() && !SILENT.contains(&key.as_str()));
        kept.insert("model_type".to_owned(), json!(self.model_type));
        kept.sort_keys();
        kept
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

    /// Rotary positions of heads of this width: `rope_theta` and `rope_scaling` as transformers wrote them up to version 4, or
    /// `rope_parameters` as it does since, where `of` names the blocks that it is for.
    pub(super) fn rotary(&self, head_width: usize, of: Option<&str>) -> Result<Rotary, ModelError> {
        const TYPES: &str = "\"default\", \"linear\", \"dynamic\", \"llama3\", \"yarn\"";
        let named = self.get("rope_parameters").map(|all| match of {
            Some(of) if all.get(of).is_some() => &all[of],
            _ => all,
        });
        let (key, scaling) = match named {
            Some(named) => ("rope_parameters", Some(named)),
            None => ("rope_scaling", self.get("rope_scaling")),
        };
        let null = Value::Null;
        let scaling = scaling.unwrap_or(&null);
        let number = |name: &str| scaling.get(name).and_then(Value::as_f64);
        let needed = |name: &str, accepted| {
            let positive = number(name).filter(|value| *value > 0.0 && value.is_finite());
            positive.ok_or_else(|| self.wrong(key, accepted))
        };
        let theta = match number("rope_theta") {
            Some(theta) => theta,
            None => self.number_or("rope_theta")?.unwrap_or(10_000.0),
        };
        let partial = match number("partial_rotary_factor") {
            Some(partial) => partial,
            None => self.number_or("partial_rotary_factor")?.unwrap_or(1.0),
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "transformers truncates too; the width is checked"
        )]
        let width = (head_width as f64 * partial) as usize;
        // The context of the first training.
        let first_context = || {
            let named = scaling.get("original_max_position_embeddings");
            match named.and_then(Value::as_u64) {
                Some(context) => Ok(usize::try_from(context).unwrap_or(usize::MAX)),
                None => self.size("max_position_embeddings"),
            }
        };
        let kind = scaling.get("rope_type").or_else(|| scaling.get("type"));
        let scaling = match kind.map_or(Some("default"), Value::as_str) {
            // Within `max_position_embeddings` dynamic scaling changes nothing.
            Some("default" | "dynamic") => RotaryScaling::None,
            Some("linear") => RotaryScaling::Linear {
                factor: needed("factor", "a `factor` above 0 with \"linear\"")?,
            },
            Some("llama3") => {
                const WANTS: &str =
                    "`factor`, `low_freq_factor` and `high_freq_factor` above 0 with \"llama3\"";
                RotaryScaling::Llama3 {
                    factor: needed("factor", WANTS)?,
                    low_frequency: needed("low_freq_factor", WANTS)?,
                    high_frequency: needed("high_freq_factor", WANTS)?,
                    context: first_context()?,
                }
            }
            Some("yarn") => {
                let factor = needed("factor", "a `factor` above 0 with \"yarn\"")?;
                RotaryScaling::Yarn {
                    factor,
                    fast: number("beta_fast").unwrap_or(32.0),
                    slow: number("beta_slow").unwrap_or(1.0),
                    context: first_context()?,
                    attention_factor: yarn_magnitude(factor, &number),
                    truncate: scaling.get("truncate") != Some(&json!(false)),
                }
            }
            _ => return Err(self.wrong(key, TYPES)),
        };
        Ok(Rotary {
            theta,
            width,
            scaling,
        })
    }
}

/// What `YaRN` multiplies queries and keys by. Source: HF transformers, `_compute_yarn_parameters`.
fn yarn_magnitude(factor: f64, number: &dyn Fn(&str) -> Option<f64>) -> f64 {
    let sharpened = |by: f64| {
        if factor <= 1.0 {
            1.0
        } else {
            0.1 * by * libm::log(factor) + 1.0
        }
    };
    if let Some(named) = number("attention_factor") {
        return named;
    }
    match (number("mscale"), number("mscale_all_dim")) {
        (Some(own), Some(all)) if own != 0.0 && all != 0.0 => sharpened(own) / sharpened(all),
        _ => sharpened(1.0),
    }
}

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

/// Checks that the numbers go together.
///
/// # Errors
/// The first that does not.
pub(super) fn check(architecture: &Architecture) -> Result<(), ModelError> {
    let keys = architecture.family.keys();
    let (layers, heads) = (architecture.layers, architecture.heads);
    let sizes = [
        ("vocab_size", architecture.vocab_rows),
        ("max_position_embeddings", architecture.context),
        (keys.width, architecture.width),
        (keys.layers, layers),
        (keys.inner, architecture.feed_forward.inner),
        ("num_attention_heads", heads.query),
        ("num_key_value_heads", heads.key),
        ("head_dim", heads.width),
    ];
    let bad = |says: String| Err(ModelError::BadShape(says));
    if let Some((key, _)) = sizes.iter().find(|(_, value)| *value == 0) {
        return bad(format!("`{key}` is 0, accepted: 1 or more"));
    }
    if let Some((key, value)) = sizes.iter().find(|(_, value)| *value > MOST) {
        return bad(format!("`{key}` is {value}, accepted: up to {MOST}"));
    }
    let parameters = architecture.parameters();
    if parameters > MOST_PARAMETERS {
        return bad(format!(
            "`{}` {layers}, `{}` {} and `vocab_size` {} make a model of {:.1e} parameters, accepted: up to {:.0e}",
            keys.layers,
            keys.width,
            architecture.width,
            architecture.vocab_rows,
            parameters as f64,
            MOST_PARAMETERS as f64
        ));
    }
    if heads.query % heads.key != 0 {
        return bad(format!(
            "`num_attention_heads` {} is not a multiple of `num_key_value_heads` {}",
            heads.query, heads.key
        ));
    }
    let epsilon = architecture.norm.epsilon;
    if !(epsilon.is_finite() && epsilon >= 0.0) {
        return bad(format!(
            "the norms' epsilon is {epsilon}, accepted: 0 or more"
        ));
    }
    for block in &architecture.attention.pattern {
        if block.window == Some(0) {
            return bad("`sliding_window` is 0, accepted: 1 or more".to_owned());
        }
        if let Some(Rotary { theta, width, .. }) = block.rotary {
            if !(theta.is_finite() && theta > 1.0) {
                return bad(format!("`rope_theta` is {theta}, accepted: above 1"));
            }
            if width == 0 || width % 2 != 0 || width > heads.width {
                return bad(format!(
                    "rotary positions turn {width} values of a head of {}, accepted: an even number up to that",
                    heads.width
                ));
            }
        }
    }
    let ends = architecture.end_of_text.iter().chain(&architecture.ends);
    for end in ends {
        if *end as usize >= architecture.vocab_rows {
            return bad(format!(
                "`eos_token_id` {end} is outside the vocabulary of {}",
                architecture.vocab_rows
            ));
        }
    }
    Ok(())
}

/// What Llama and most after it call an array; of several that make one, the first.
pub(super) fn name(id: ArrayId) -> String {
    named(id, module(id.role))
}

/// Llama's name of a role.
fn module(role: Role) -> &'static str {
    match role {
        Role::TokenEmbedding => "embed_tokens",
        Role::AttentionNorm => "input_layernorm",
        Role::QueryKeyValue => "self_attn.q_proj",
        Role::QueryNorm => "self_attn.q_norm",
        Role::KeyNorm => "self_attn.k_norm",
        Role::AttentionOut => "self_attn.o_proj",
        Role::AttentionPostNorm => "post_attention_layernorm",
        Role::FeedForwardNorm => "post_attention_layernorm",
        Role::Up => "mlp.gate_proj",
        Role::Down => "mlp.down_proj",
        Role::FeedForwardPostNorm => "post_feedforward_layernorm",
        Role::FinalNorm => "norm",
        Role::Output => "lm_head",
        Role::PositionEmbedding => unreachable!("positions are rotary"),
    }
}

/// An array's name where its module is called so.
pub(super) fn named(id: ArrayId, module: &str) -> String {
    let part = match id.part {
        Part::Weight => "weight",
        Part::Bias => "bias",
    };
    match id.layer {
        Some(layer) => format!("layers.{layer}.{module}.{part}"),
        None => format!("{module}.{part}"),
    }
}

/// What Llama's files hold of an array: maps as `[outputs, inputs]`; queries, keys and values apart, and the gate from what it
/// gates. `name` is the family's.
pub(super) fn files(
    architecture: &Architecture,
    id: ArrayId,
    shape: &[usize],
    name: String,
) -> Vec<FileArray> {
    let heads = architecture.heads;
    let parts: Vec<(String, usize)> = match id.role {
        Role::QueryKeyValue => vec![
            (name, heads.query_width()),
            (named(id, "self_attn.k_proj"), heads.key_width()),
            (named(id, "self_attn.v_proj"), heads.key_width()),
        ],
        Role::Up => vec![
            (name, architecture.feed_forward.inner),
            (named(id, "mlp.up_proj"), architecture.feed_forward.inner),
        ],
        Role::AttentionOut | Role::Down => vec![(name, architecture.width)],
        _ => return vec![FileArray::same(name, shape.to_vec())],
    };
    let mut first = 0;
    let file = |(name, outputs)| {
        let layout = Layout::Outputs {
            first,
            order: OutputOrder::Same,
        };
        first += outputs;
        let shape = match id.part {
            Part::Weight => vec![outputs, shape[0]],
            Part::Bias => vec![outputs],
        };
        FileArray {
            name,
            shape,
            layout,
        }
    };
    parts.into_iter().map(file).collect()
}
