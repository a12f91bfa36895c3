//! What a model is, as a value: the few choices in which architectures differ, and the arrays that these make.
//!
//! In: a folder's `config.json`. Out: an [`Architecture`], which every way through a model reads, or a message that names
//! the key. A choice that nothing computes has no variant here: with a new one the compiler shows each place that has to
//! learn it. What a family calls its keys and arrays is in the family's file, and known there alone.

mod arrays;
mod check;
mod config;
mod gemma;
mod gpt2;
mod gpt_neox;
mod like_llama;
mod llama;
mod mistral;
mod olmo2;
mod qwen;
mod rope_keys;
mod rotary;
mod smollm3;
#[cfg(test)]
pub(in crate::model) mod tests;

use std::fmt::Debug;
use std::path::Path;

use serde_json::{Map, Value};

pub use self::arrays::{ArrayId, ArraySpec, FileArray, Layout, OutputOrder, Part, Role};
pub use self::gpt2::Gpt2;
pub use self::rotary::{Rotary, RotaryScaling};
use super::error::ModelError;
use crate::disk;

/// The families that are read. Another is a file here and a line in this list.
const FAMILIES: &[&dyn Family] = &[
    &gpt2::OnHub,
    &llama::LLAMA,
    &mistral::MISTRAL,
    &qwen::QWEN2,
    &qwen::QWEN3,
    &gemma::GEMMA2,
    &gemma::GEMMA3,
    &olmo2::OLMO2,
    &gpt_neox::GptNeox,
    &smollm3::SMOLLM3,
    #[cfg(test)]
    &tests::Renamed,
];

/// What messages say of [`FAMILIES`].
const ACCEPTED: &str = "\"gpt2\", \"llama\", \"mistral\", \"qwen2\", \"qwen3\", \"gemma2\", \"gemma3_text\", \"olmo2\", \"gpt_neox\", \"smollm3\"";

/// What a family of models calls things on the Hub.
pub trait Family: Debug + Sync {
    /// Its `model_type`.
    fn model_type(&self) -> &'static str;

    /// How `config.json` calls the sizes that messages name.
    fn keys(&self) -> Keys;

    /// What a `config.json` of this `model_type` means.
    ///
    /// # Errors
    /// It lacks a key, or asks for what this program does not do.
    fn read(&'static self, config: Value, path: &Path) -> Result<Architecture, ModelError>;

    /// Checks that the numbers go together.
    ///
    /// # Errors
    /// The first that does not.
    fn check(&self, architecture: &Architecture) -> Result<(), ModelError>;

    /// The `config.json` from which HF transformers makes this architecture.
    fn config_json(&self, architecture: &Architecture) -> String;

    /// What an array is called; of several in files that make one in memory, the first.
    fn name(&self, id: ArrayId) -> String;

    /// What an array of this shape is in files.
    fn files(&self, _: &Architecture, id: ArrayId, shape: &[usize]) -> Vec<FileArray> {
        vec![FileArray::same(self.name(id), shape.to_vec())]
    }

    /// What stands before the names of all arrays but the output's, where HF transformers writes them.
    fn prefix(&self) -> &'static str;

    /// What the output's array is called, which a file may repeat where it is tied.
    fn output_name(&self) -> &'static str;

    /// Whether a file's array of this name is none of the weights.
    fn is_no_weight(&self, name: &str) -> bool;
}

/// Keys of `config.json`.
#[derive(Clone, Copy, Debug)]
pub struct Keys {
    /// That of the width.
    pub width: &'static str,
    /// That of the feed-forward half's inner width.
    pub inner: &'static str,
    /// That of the number of blocks.
    pub layers: &'static str,
}

/// An architecture: a decoder of blocks, each attention and a feed-forward half that are added to the residual stream.
#[derive(Clone, Debug)]
pub struct Architecture {
    /// What its configuration and arrays are called.
    pub family: &'static dyn Family,
    /// Rows of the token embedding: at least the tokenizer's tokens.
    pub vocab_rows: usize,
    /// Context length in tokens.
    pub context: usize,
    /// Width of the residual stream.
    pub width: usize,
    /// Number of blocks.
    pub layers: usize,
    /// The heads of a block's attention.
    pub heads: Heads,
    /// How a token's position is known.
    pub positions: Positions,
    /// What the token embedding is multiplied by.
    pub embedding_scale: f64,
    /// How the heads look back.
    pub attention: Attention,
    /// The norms.
    pub norm: Norm,
    /// Whether both halves of a block read its input, and not the second what the first gives.
    pub parallel: bool,
    /// Which linear maps add a bias.
    pub biases: Biases,
    /// The second half of a block.
    pub feed_forward: FeedForward,
    /// What makes logits.
    pub output: Output,
    /// `cap * tanh(logit / cap)` of each logit.
    pub logit_cap: Option<f64>,
    /// The token that ends a text; `None` where the configuration names none or several, and the tokenizer's holds.
    pub end_of_text: Option<u32>,
    /// Where the configuration names several, all that end what a model writes.
    pub ends: Vec<u32>,
    /// The keys of `config.json` that count, where the family writes them as it read them; else empty.
    pub config: Map<String, Value>,
}

/// The heads of attention.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Heads {
    /// Of queries.
    pub query: usize,
    /// Of keys and of values: as many.
    pub key: usize,
    /// Width of each.
    pub width: usize,
}

impl Heads {
    /// All queries of a token, and what attention gives.
    pub fn query_width(self) -> usize {
        self.query.saturating_mul(self.width)
    }

    /// All keys of a token, or all values.
    pub fn key_width(self) -> usize {
        self.key.saturating_mul(self.width)
    }

    /// Queries, keys and values of a token.
    pub fn projected_width(self) -> usize {
        let twice = self.key_width().saturating_mul(2);
        self.query_width().saturating_add(twice)
    }
}

/// How a token's position is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Positions {
    /// By an embedding of its own for each, added to the token's.
    Learned,
    /// By how queries and keys are turned; block by block, [`BlockAttention::rotary`].
    Rotary,
}

/// How heads look back.
#[derive(Clone, PartialEq, Debug)]
pub struct Attention {
    /// What scores are multiplied by; `None` for `1 / sqrt(head width)`.
    pub scale: Option<f64>,
    /// `cap * tanh(score / cap)` of each scaled score.
    pub score_cap: Option<f64>,
    /// The norm of queries and keys, before they are turned.
    pub query_key_norm: Option<QueryKeyNorm>,
    /// What differs from block to block, repeated over all of them; at least one.
    pub pattern: Vec<BlockAttention>,
}

/// What a block's attention does.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct BlockAttention {
    /// The last positions that are seen, the token's own among them; `None` for all.
    pub window: Option<usize>,
    /// How queries and keys are turned; `None` where they are not.
    pub rotary: Option<Rotary>,
}

/// Over what queries and keys are normed, by [`NormKind::Rms`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum QueryKeyNorm {
    /// Each head by itself; all heads share the weight.
    Head,
    /// All heads of a token together.
    All,
}

/// The norms over the width.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Norm {
    /// What it takes out.
    pub kind: NormKind,
    /// Where blocks have them.
    pub placement: Placement,
    /// Added to the variance.
    pub epsilon: f64,
}

/// Where a block's norms are; the last block is always followed by one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Placement {
    /// Before each half.
    pub before: bool,
    /// After each half, before it is added.
    pub after: bool,
}

/// Which linear maps add a bias.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Biases {
    /// That to queries, keys and values.
    pub query_key_value: bool,
    /// That from the heads to the residual stream.
    pub attention_out: bool,
    /// Those of the feed-forward half.
    pub feed_forward: bool,
}

impl Biases {
    /// On every map.
    pub const ALL: Self = Self {
        query_key_value: true,
        attention_out: true,
        feed_forward: true,
    };
    /// On none.
    pub const NONE: Self = Self {
        query_key_value: false,
        attention_out: false,
        feed_forward: false,
    };
}

/// What a norm takes out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NormKind {
    /// Mean and scale; a weight and a bias follow.
    Layer,
    /// The root of the mean square; a weight follows.
    Rms {
        /// Whether one is added to the weight.
        plus_one: bool,
    },
}

/// The second half of a block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FeedForward {
    /// How it is made.
    pub kind: FeedForwardKind,
    /// Its inner width.
    pub inner: usize,
}

/// How a feed-forward half is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FeedForwardKind {
    /// Up, through an activation, down.
    Plain(Activation),
    /// Up twice, one through an activation and times the other, down.
    Gated(Activation),
}

/// An activation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Activation {
    /// Gelu.
    Gelu,
    /// Gelu by its approximation with tanh.
    GeluTanh,
    /// `x * sigmoid(x)`.
    Silu,
}

/// What makes logits of the last hidden state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Output {
    /// The token embedding, transposed.
    Tied,
    /// An array of its own, transposed.
    Separate,
}

impl Architecture {
    /// Reads and checks `folder/config.json`.
    ///
    /// # Errors
    /// The folder or file is missing or malformed, or describes a model that this program does not run.
    pub fn load(folder: &Path) -> Result<Self, ModelError> {
        if !folder.is_dir() {
            let there = disk::exists(folder).map_err(ModelError::reading(folder))?;
            let missing = if there {
                ModelError::NoModelFile
            } else {
                ModelError::NoModel
            };
            return Err(missing(folder.to_owned()));
        }
        let path = folder.join("config.json");
        if !disk::exists(&path).map_err(ModelError::reading(&path))? {
            return Err(ModelError::NoFile {
                path,
                hint: "a model in Hub format has its shape in config.json",
            });
        }
        let bytes = disk::read_small(&path).map_err(ModelError::reading(&path))?;
        Self::parse(&bytes, &path)
    }

    /// Reads and checks what is in a `config.json`, which lies at `path`.
    ///
    /// # Errors
    /// It is malformed, or describes a model that this program does not run.
    pub fn parse(bytes: &[u8], path: &Path) -> Result<Self, ModelError> {
        let config: Map<String, Value> =
            serde_json::from_slice(bytes).map_err(|source| ModelError::Json {
                path: path.to_owned(),
                source,
            })?;
        let config = Value::Object(config);
        // Before its keys: "model_type is llama" says more than "n_embd is missing".
        let named = &config["model_type"];
        let family = FAMILIES.iter().find(|family| named == family.model_type());
        let family = family.ok_or_else(|| ModelError::Unsupported {
            key: "model_type",
            found: named.to_string(),
            accepted: ACCEPTED,
        })?;
        let architecture = family.read(config, path)?;
        architecture.check()?;
        Ok(architecture)
    }

    /// Checks that the numbers go together.
    ///
    /// # Errors
    /// The first that does not, by its key in `config.json`.
    pub fn check(&self) -> Result<(), ModelError> {
        self.family.check(self)
    }

    /// The `config.json` from which HF transformers makes this architecture.
    pub fn config_json(&self) -> String {
        self.family.config_json(self)
    }

    /// What block `layer`'s attention does.
    pub fn block_attention(&self, layer: usize) -> BlockAttention {
        let pattern = &self.attention.pattern;
        pattern[layer % pattern.len()]
    }

    /// What scores are multiplied by, where the configuration names nothing else.
    pub fn default_scale(&self) -> f64 {
        1.0 / (self.heads.width as f64).sqrt()
    }
}
