//! What families after Llama share: how a `config.json` is read, what arrays are called, and what files hold.
//!
//! Such a family is a value: it says what it does otherwise.

use std::fmt;
use std::path::Path;

use serde_json::Value;

use super::check::check;
use super::config::{Config, written};
use super::rope_keys::RotaryDefaults;
use super::{
    Activation, Architecture, ArrayId, Attention, Biases, BlockAttention, Family, FeedForward,
    FeedForwardKind, FileArray, Heads, Keys, Layout, Norm, NormKind, Output, OutputOrder, Part,
    Placement, Positions, Role,
};
use crate::model::ModelError;

/// The keys that these families share.
pub(super) const KEYS: Keys = Keys {
    width: "hidden_size",
    inner: "intermediate_size",
    layers: "num_hidden_layers",
};

/// A family whose files are laid out as Llama's.
pub(super) struct LikeLlama {
    /// Its `model_type`.
    pub(super) model_type: &'static str,
    /// transformers' class for it.
    pub(super) class: &'static str,
    /// Keys of its own.
    pub(super) keys: &'static [&'static str],
    /// What holds where a key is absent.
    pub(super) defaults: Defaults,
    /// What it does otherwise.
    pub(super) change: fn(&Config, &mut Architecture) -> Result<(), ModelError>,
    /// What it calls a role's arrays; of several that make one, the first.
    pub(super) module: fn(Role) -> &'static str,
}

impl fmt::Debug for LikeLlama {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.model_type)
    }
}

/// What holds where a key of a `config.json` is absent.
#[derive(Clone, Copy)]
pub(super) struct Defaults {
    /// `tie_word_embeddings`.
    pub(super) tied: bool,
    /// `head_dim`; `None` for the width shared out among the heads.
    pub(super) head_width: Option<usize>,
    /// `rms_norm_eps`.
    pub(super) epsilon: f64,
    /// The activation, and the key of it.
    pub(super) activation: (Activation, &'static str),
    /// Rotary positions.
    pub(super) rotary: RotaryDefaults,
}

impl Defaults {
    /// Llama's.
    pub(super) const LLAMA: Self = Self {
        tied: false,
        head_width: None,
        epsilon: 1e-6,
        activation: (Activation::Silu, "hidden_act"),
        rotary: RotaryDefaults::theta(10_000.0),
    };
}

impl Family for LikeLlama {
    fn model_type(&self) -> &'static str {
        self.model_type
    }

    fn keys(&self) -> Keys {
        KEYS
    }

    fn read(&'static self, config: Value, _: &Path) -> Result<Architecture, ModelError> {
        let config = Config::new(config, self.model_type, self.keys)?;
        let mut architecture = llama(&config, self, self.defaults)?;
        (self.change)(&config, &mut architecture)?;
        Ok(architecture)
    }

    fn check(&self, architecture: &Architecture) -> Result<(), ModelError> {
        check(architecture)
    }

    fn config_json(&self, architecture: &Architecture) -> String {
        written(architecture, self.class)
    }

    fn name(&self, id: ArrayId) -> String {
        named(id, (self.module)(id.role))
    }

    fn files(&self, architecture: &Architecture, id: ArrayId, shape: &[usize]) -> Vec<FileArray> {
        let (heads, inner) = (architecture.heads, architecture.feed_forward.inner);
        let parts = match id.role {
            Role::QueryKeyValue => vec![
                (self.name(id), heads.query_width()),
                (named(id, "self_attn.k_proj"), heads.key_width()),
                (named(id, "self_attn.v_proj"), heads.key_width()),
            ],
            Role::Up => vec![(self.name(id), inner), (named(id, "mlp.up_proj"), inner)],
            Role::AttentionOut | Role::Down => vec![(self.name(id), architecture.width)],
            _ => return vec![FileArray::same(self.name(id), shape.to_vec())],
        };
        outputs(id, shape, OutputOrder::Same, parts)
    }

    fn prefix(&self) -> &'static str {
        "model."
    }

    fn output_name(&self) -> &'static str {
        "lm_head.weight"
    }

    /// Older files carry the frequencies of rotary positions.
    fn is_no_weight(&self, name: &str) -> bool {
        name.ends_with("rotary_emb.inv_freq")
    }
}

/// Llama's architecture with these sizes.
fn llama(
    config: &Config,
    family: &'static dyn Family,
    defaults: Defaults,
) -> Result<Architecture, ModelError> {
    let width = config.size("hidden_size")?;
    let query = config.size("num_attention_heads")?;
    let head_width = match config.size_or("head_dim")?.or(defaults.head_width) {
        Some(head_width) => head_width,
        None if query != 0 && width % query == 0 => width / query,
        None => {
            return Err(ModelError::BadShape(format!(
                "`hidden_size` {width} is not a multiple of `num_attention_heads` {query}"
            )));
        }
    };
    let tied = config.flag("tie_word_embeddings", defaults.tied)?;
    let (end_of_text, ends) = config.ends()?;
    let bias = config.flag("attention_bias", false)?;
    let (activation, activation_key) = defaults.activation;
    Ok(Architecture {
        family,
        vocab_rows: config.size("vocab_size")?,
        context: config.size("max_position_embeddings")?,
        width,
        layers: config.size("num_hidden_layers")?,
        heads: Heads {
            query,
            key: config.size_or("num_key_value_heads")?.unwrap_or(query),
            width: head_width,
        },
        positions: Positions::Rotary,
        embedding_scale: 1.0,
        attention: Attention {
            scale: None,
            score_cap: None,
            query_key_norm: None,
            pattern: vec![BlockAttention {
                window: None,
                rotary: Some(config.rotary(head_width, defaults.rotary)?),
            }],
        },
        norm: Norm {
            kind: NormKind::Rms { plus_one: false },
            placement: Placement {
                before: true,
                after: false,
            },
            epsilon: config.epsilon("rms_norm_eps", defaults.epsilon)?,
        },
        parallel: false,
        biases: Biases {
            query_key_value: bias,
            attention_out: bias,
            feed_forward: config.flag("mlp_bias", false)?,
        },
        feed_forward: FeedForward {
            kind: FeedForwardKind::Gated(config.activation(activation_key, activation)?),
            inner: config.size("intermediate_size")?,
        },
        output: if tied { Output::Tied } else { Output::Separate },
        logit_cap: None,
        end_of_text,
        ends,
        config: config.kept(),
    })
}

/// Lets the blocks that are `sliding` see the last `window` positions alone.
///
/// # Errors
/// There are some, and no window.
pub(super) fn slide(
    config: &Config,
    architecture: &mut Architecture,
    window: Option<usize>,
    sliding: &[bool],
) -> Result<(), ModelError> {
    if !sliding.contains(&true) {
        return Ok(());
    }
    let window = window
        .ok_or_else(|| config.wrong("sliding_window", "a whole number where layers slide"))?;
    let block = architecture.attention.pattern[0];
    let blocks = sliding.iter().map(|sliding| BlockAttention {
        window: sliding.then_some(window),
        ..block
    });
    architecture.attention.pattern = blocks.collect();
    Ok(())
}

/// What Llama and most after it call a role's arrays.
pub(super) fn module(role: Role) -> &'static str {
    match role {
        Role::TokenEmbedding => "embed_tokens",
        Role::AttentionNorm => "input_layernorm",
        Role::QueryKeyValue => "self_attn.q_proj",
        Role::QueryNorm => "self_attn.q_norm",
        Role::KeyNorm => "self_attn.k_norm",
        Role::AttentionOut => "self_attn.o_proj",
        Role::AttentionPostNorm | Role::FeedForwardNorm => "post_attention_layernorm",
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
    let part = id.part.name();
    match id.layer {
        Some(layer) => format!("layers.{layer}.{module}.{part}"),
        None => format!("{module}.{part}"),
    }
}

/// The files' arrays of a linear map, each with its name and its outputs, one after the other: weights as
/// `[outputs, inputs]`.
///
/// # Shapes
/// `shape` is that of the whole in memory.
pub(super) fn outputs(
    id: ArrayId,
    shape: &[usize],
    order: OutputOrder,
    parts: Vec<(String, usize)>,
) -> Vec<FileArray> {
    let mut first = 0;
    let file = |(name, outputs)| {
        let layout = Layout::Outputs { first, order };
        first += outputs;
        let shape = match id.part {
            Part::Bias => vec![outputs],
            _ => vec![outputs, shape[0]],
        };
        FileArray {
            name,
            shape,
            layout,
        }
    };
    parts.into_iter().map(file).collect()
}
