//! What a model is, as a value: the few choices in which architectures differ, and the arrays that these make.
//!
//! In: a folder's `config.json`. Out: an [`Architecture`], which every way through a model reads, or a message that names
//! the key. A choice that nothing computes has no variant here: with a new one the compiler shows each place that has to
//! learn it. What a family calls its keys and arrays is in the family's file, and known there alone.

mod gpt2;
#[cfg(test)]
mod tests;

use std::fmt::Debug;
use std::path::Path;

use serde_json::Value;

pub use self::gpt2::Gpt2;
use super::error::ModelError;
use crate::disk;

/// The families that are read. Another is a file here and a line in this list.
const FAMILIES: &[&dyn Family] = &[
    &gpt2::OnHub,
    #[cfg(test)]
    &tests::Renamed,
];

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
    fn read(&self, config: Value, path: &Path) -> Result<Architecture, ModelError>;

    /// Checks that the numbers go together.
    ///
    /// # Errors
    /// The first that does not.
    fn check(&self, architecture: &Architecture) -> Result<(), ModelError>;

    /// The `config.json` from which HF transformers makes this architecture.
    fn config_json(&self, architecture: &Architecture) -> String;

    /// What an array is called.
    fn name(&self, id: ArrayId) -> String;

    /// What stands before the names of all arrays but the output's, where HF transformers writes them.
    fn prefix(&self) -> &'static str;

    /// What the output's array is called where a file repeats a tied one.
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

/// An architecture: a decoder of equal blocks, attention and then feed-forward, each normed before and added after.
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
    /// The norms.
    pub norm: Norm,
    /// The second half of a block.
    pub feed_forward: FeedForward,
    /// What makes logits.
    pub output: Output,
    /// The token that ends a text; `None` where the configuration names none, and the tokenizer's holds.
    pub end_of_text: Option<u32>,
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
}

/// A norm over the width.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Norm {
    /// What it takes out.
    pub kind: NormKind,
    /// Added to the variance.
    pub epsilon: f64,
}

/// What a norm takes out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NormKind {
    /// Mean and scale; a weight and a bias follow.
    Layer,
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
}

/// An activation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Activation {
    /// Gelu by its approximation with tanh.
    GeluTanh,
}

/// What makes logits of the last hidden state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Output {
    /// The token embedding, transposed.
    Tied,
}

/// What an array is for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Role {
    /// `[vocab_rows, width]`.
    TokenEmbedding,
    /// `[context, width]`.
    PositionEmbedding,
    /// Before a block's attention, `[width]`.
    AttentionNorm,
    /// Queries, keys and values at once, `[width, projected_width]`.
    QueryKeyValue,
    /// From the heads to the residual stream, `[query_width, width]`.
    AttentionOut,
    /// Before a block's feed-forward half, `[width]`.
    FeedForwardNorm,
    /// Into the feed-forward half, `[width, inner]`.
    Up,
    /// Out of it, `[inner, width]`.
    Down,
    /// After the last block, `[width]`.
    FinalNorm,
}

/// Which of a role's arrays.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Part {
    /// What is multiplied by: of a linear map `[inputs, outputs]`.
    Weight,
    /// What is added.
    Bias,
}

/// One array of a model.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ArrayId {
    /// What it is for.
    pub role: Role,
    /// In which block, from 0; `None` outside of them.
    pub layer: Option<usize>,
    /// Which part.
    pub part: Part,
}

impl ArrayId {
    /// The token embedding.
    pub const TOKEN_EMBEDDING: Self = Self::outside(Role::TokenEmbedding);
    /// The position embedding.
    pub const POSITION_EMBEDDING: Self = Self::outside(Role::PositionEmbedding);

    const fn outside(role: Role) -> Self {
        Self {
            role,
            layer: None,
            part: Part::Weight,
        }
    }

    /// What a role multiplies by.
    pub fn weight(role: Role, layer: impl Into<Option<usize>>) -> Self {
        Self {
            role,
            layer: layer.into(),
            part: Part::Weight,
        }
    }

    /// What a role adds.
    pub fn bias(role: Role, layer: impl Into<Option<usize>>) -> Self {
        Self {
            part: Part::Bias,
            ..Self::weight(role, layer)
        }
    }
}

/// An array as an architecture has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ArraySpec {
    /// Which.
    pub id: ArrayId,
    /// Its shape, in files as in memory.
    pub shape: Vec<usize>,
    /// The Hub's name, without the family's prefix.
    pub name: String,
}

impl ArraySpec {
    /// How many values it has.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Architecture {
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
        Self::parse(&bytes, &path)
    }

    /// Reads and checks what is in a `config.json`, which lies at `path`.
    ///
    /// # Errors
    /// It is malformed, or describes a model that this program does not run.
    pub fn parse(bytes: &[u8], path: &Path) -> Result<Self, ModelError> {
        let config: Value = serde_json::from_slice(bytes).map_err(|source| ModelError::Json {
            path: path.to_owned(),
            source,
        })?;
        // Before its keys: "model_type is llama" says more than "n_embd is missing".
        let named = &config["model_type"];
        let family = FAMILIES.iter().find(|family| named == family.model_type());
        let family = family.ok_or_else(|| ModelError::Unsupported {
            key: "model_type",
            found: named.to_string(),
            accepted: "\"gpt2\"",
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

    /// How many parameters it has; a tied output counts once. For numbers that are not checked yet, too.
    pub fn parameters(&self) -> u128 {
        let blocks = count(&self.block_shapes()).saturating_mul(self.layers as u128);
        count(&self.outer_shapes()).saturating_add(blocks)
    }

    /// All its arrays, in the order of their names: that in which they are drawn, summed and written.
    pub fn arrays(&self) -> Vec<ArraySpec> {
        let outer = self.outer_shapes().into_iter();
        let mut arrays: Vec<ArraySpec> = outer.map(|shape| self.spec(shape, None)).collect();
        let block = self.block_shapes();
        for layer in 0..self.layers {
            let block = block.iter().cloned();
            arrays.extend(block.map(|shape| self.spec(shape, Some(layer))));
        }
        arrays.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        arrays
    }

    /// Arrays of one block.
    pub(super) fn arrays_per_layer(&self) -> usize {
        self.block_shapes().len()
    }

    /// The Hub's name of an array, without the family's prefix.
    pub fn name(&self, id: ArrayId) -> String {
        self.family.name(id)
    }

    fn spec(&self, (role, part, shape): RoleShape, layer: Option<usize>) -> ArraySpec {
        let id = ArrayId { role, layer, part };
        let name = self.name(id);
        ArraySpec { id, shape, name }
    }

    /// The arrays outside of the blocks.
    fn outer_shapes(&self) -> Vec<RoleShape> {
        let embedding = |role, rows| (role, Part::Weight, vec![rows, self.width]);
        let mut shapes = match self.output {
            Output::Tied => vec![embedding(Role::TokenEmbedding, self.vocab_rows)],
        };
        match self.positions {
            Positions::Learned => shapes.push(embedding(Role::PositionEmbedding, self.context)),
        }
        shapes.extend(self.norm_shapes(Role::FinalNorm));
        shapes
    }

    /// The arrays of a block.
    fn block_shapes(&self) -> Vec<RoleShape> {
        let (width, heads, inner) = (self.width, self.heads, self.feed_forward.inner);
        let mut shapes = [
            self.norm_shapes(Role::AttentionNorm),
            linear_shapes(Role::QueryKeyValue, width, heads.projected_width()),
            linear_shapes(Role::AttentionOut, heads.query_width(), width),
            self.norm_shapes(Role::FeedForwardNorm),
        ]
        .concat();
        match self.feed_forward.kind {
            FeedForwardKind::Plain(_) => {
                shapes.extend(linear_shapes(Role::Up, width, inner));
                shapes.extend(linear_shapes(Role::Down, inner, width));
            }
        }
        shapes
    }

    fn norm_shapes(&self, role: Role) -> Vec<RoleShape> {
        match self.norm.kind {
            NormKind::Layer => [Part::Weight, Part::Bias]
                .map(|part| (role, part, vec![self.width]))
                .into(),
        }
    }
}

/// An array of a block or outside of them.
type RoleShape = (Role, Part, Vec<usize>);

fn linear_shapes(role: Role, inputs: usize, outputs: usize) -> Vec<RoleShape> {
    vec![
        (role, Part::Weight, vec![inputs, outputs]),
        (role, Part::Bias, vec![outputs]),
    ]
}

fn count(shapes: &[RoleShape]) -> u128 {
    let values = |(_, _, shape): &RoleShape| {
        let sizes = shape.iter().map(|size| *size as u128);
        sizes.fold(1, u128::saturating_mul)
    };
    shapes.iter().map(values).fold(0, u128::saturating_add)
}
