//! How large inputs and outputs are, and how much work a stage is: told before anything runs.
//!
//! Upper bounds where a length is not known beforehand: a path is counted as long as it may get.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use crate::artifact::ModelFolder;
use crate::model::architecture::FeedForwardKind;
use crate::model::{Architecture, Dtype, GGUF_FILE, gguf_architecture, weight_bytes};
use crate::store::{Store, StoreError};

/// Bytes of text per token, roughly, for sizes that are not counted (ours).
const TEXT_BYTES_PER_TOKEN: u64 = 4;
/// Bytes that a row takes in the store for each of its tokens, roughly (ours).
const ROW_BYTES_PER_TOKEN: u64 = 12;

/// The size of one artifact.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize)]
pub struct Size {
    /// Rows.
    pub rows: u64,
    /// Tokens in all rows together.
    pub tokens: u64,
    /// The model's shape, for a student.
    pub model: Option<Shape>,
}

/// What of a model's shape decides time and memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Shape {
    /// Parameters, embeddings included.
    pub parameters: u64,
    /// Those that each token is multiplied by: not those of which it takes a row.
    pub multiplied: u64,
    /// Blocks.
    pub layers: u64,
    /// Width.
    pub width: u64,
    /// Vocabulary.
    pub vocab: u64,
    /// Context in tokens.
    pub positions: u64,
    /// Bytes of the weights while texts are drawn from them or read with them.
    pub held: HeldBytes,
    /// Values that a block keeps of each token while it generates: its keys and values.
    pub block_cache: u64,
    /// Values that a block keeps of each token while it trains, roughly (ours).
    pub block_activations: u64,
    /// Inputs and outputs of all a block's linear maps, where each has a module of its own: times a rank, the most that an
    /// adapter has.
    pub block_sides: u64,
}

/// Bytes that the CPU's engine holds a model's weights in, by number format.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct HeldBytes {
    f32: u64,
    half: u64,
    int8: u64,
}

impl HeldBytes {
    fn of(architecture: &Architecture) -> Self {
        Self {
            f32: weight_bytes(architecture, Dtype::F32),
            half: weight_bytes(architecture, Dtype::Bf16),
            int8: weight_bytes(architecture, Dtype::Int8),
        }
    }

    /// In this format.
    pub fn by(self, dtype: Dtype) -> u64 {
        match dtype {
            Dtype::F32 | Dtype::Tf32 => self.f32,
            Dtype::Bf16 | Dtype::F16 => self.half,
            Dtype::Int8 => self.int8,
        }
    }
}

/// How much work a stage is.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize)]
pub struct Work {
    /// Tokens read: prompts, and texts that are scored.
    pub read_tokens: u64,
    /// Tokens generated, at most.
    pub generated_tokens: u64,
    /// Tokens trained on, all epochs together.
    pub trained_tokens: u64,
    /// Floating-point operations of reading and generating.
    pub inference_flop: f64,
    /// Floating-point operations of training.
    pub training_flop: f64,
    /// Peak memory.
    pub memory_bytes: u64,
    /// What it adds to the store.
    pub disk_bytes: u64,
    /// Requests to a server, retries not counted.
    pub requests: u64,
    /// Tokens of their prompts, estimated.
    pub prompt_tokens: u64,
    /// Tokens of their replies, at most.
    pub reply_tokens: u64,
    /// What they cost in US dollars, where the manifest gives prices.
    pub usd: Option<f64>,
}

/// The sizes of a stage's inputs, by name.
pub type Sizes = BTreeMap<String, Size>;

/// A stage's work and the sizes of its outputs, by output.
pub type Estimate = (Work, BTreeMap<&'static str, Size>);

impl Size {
    /// Rows of text of so many bytes.
    pub fn of_text(rows: u64, bytes: u64) -> Self {
        Self {
            rows,
            tokens: bytes / TEXT_BYTES_PER_TOKEN,
            model: None,
        }
    }

    /// A student.
    pub fn of_model(shape: Shape) -> Self {
        Self {
            model: Some(shape),
            ..Self::default()
        }
    }

    /// Tokens of one row, on average.
    pub fn tokens_per_row(&self) -> u64 {
        self.tokens.div_ceil(self.rows.max(1))
    }
}

impl Shape {
    /// The shape of an architecture.
    pub fn of(architecture: &Architecture) -> Self {
        let count = |count: u128| u64::try_from(count).unwrap_or(u64::MAX);
        let (width, heads) = (architecture.width as u64, architecture.heads);
        let rows_only = architecture.parameters_read_by_row();
        let feed_forward = architecture.feed_forward;
        let up = match feed_forward.kind {
            FeedForwardKind::Plain(_) => feed_forward.inner as u64,
            FeedForwardKind::Gated(_) => product(&[2, feed_forward.inner as u64]),
        };
        let projected = heads.projected_width() as u64;
        let sum = |parts: &[(u64, u64)]| {
            let parts = parts
                .iter()
                .map(|(times, values)| product(&[*times, *values]));
            parts.fold(0, u64::saturating_add)
        };
        let (queries, inner) = (heads.query_width() as u64, feed_forward.inner as u64);
        let gates = up.checked_div(inner).unwrap_or(1);
        let sides = [
            (3 + 1 + gates + 1, width),
            (1, projected),
            (1, queries),
            (1, up),
            (1, inner),
        ];
        Self {
            parameters: count(architecture.parameters()),
            multiplied: count(architecture.parameters().saturating_sub(rows_only)),
            layers: architecture.layers as u64,
            width,
            vocab: architecture.vocab_rows as u64,
            positions: architecture.context as u64,
            held: HeldBytes::of(architecture),
            block_cache: product(&[2, heads.key_width() as u64]),
            block_activations: sum(&[(10, width), (4, projected), (3, up)]),
            block_sides: sum(&sides),
        }
    }

    /// The shape of a student in the store; `None` where its files are not there, or tell none.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(crate) fn stored(store: &Store, folder: &ModelFolder) -> Result<Option<Self>, StoreError> {
        let files = &folder.files;
        let architecture = match (files.get("config.json"), files.get(GGUF_FILE)) {
            (Some(config), _) => store
                .object(config)?
                .and_then(|bytes| Architecture::parse(&bytes, Path::new("config.json")).ok()),
            (None, Some(file)) => store
                .object_path(file)?
                .and_then(|path| gguf_architecture(&path)),
            (None, None) => None,
        };
        Ok(architecture.as_ref().map(Self::of))
    }

    /// Operations for one token forward: two for each weight that multiplies.
    fn forward_flop(&self) -> f64 {
        2.0 * self.multiplied as f64
    }

    /// Bytes of the keys and values of `batch` sequences of at most `length` tokens, in f32.
    pub fn cache_bytes(&self, batch: u64, length: u64) -> u64 {
        let length = length.min(self.positions);
        product(&[batch, length, self.layers, self.block_cache, 4])
    }

    fn weight_bytes(&self) -> u64 {
        4 * self.parameters
    }
}

impl Work {
    /// Reading and generating with a student in `dtype`; at most `batch` sequences of `length` tokens at once.
    pub fn inference(
        shape: Shape,
        dtype: Dtype,
        read_tokens: u64,
        generated_tokens: u64,
        batch: u64,
        length: u64,
    ) -> Self {
        let cache = shape.cache_bytes(batch, length);
        Self {
            read_tokens,
            generated_tokens,
            inference_flop: (read_tokens + generated_tokens) as f64 * shape.forward_flop(),
            // Weights are packed a matrix at a time, as they are read.
            memory_bytes: cache.saturating_add(shape.held.by(dtype)),
            disk_bytes: product(&[generated_tokens, ROW_BYTES_PER_TOKEN]),
            ..Self::default()
        }
    }

    /// Training on so many tokens, in batches of `batch_tokens`.
    pub fn training(shape: Shape, trained_tokens: u64, batch_tokens: u64) -> Self {
        let blocks = product(&[shape.layers, shape.block_activations]);
        let of_token = blocks.saturating_add(product(&[3, shape.vocab]));
        let activations = product(&[batch_tokens, of_token, 4]);
        Self {
            trained_tokens,
            training_flop: 3.0 * trained_tokens as f64 * shape.forward_flop(),
            // Weights, gradients and Adam's two moments, and the activations of one batch.
            memory_bytes: activations.saturating_add(4 * shape.weight_bytes()),
            disk_bytes: shape.weight_bytes(),
            ..Self::default()
        }
    }

    /// The same of an adapter of this rank beside all linear maps: no more than that of one beside some of them.
    pub fn adapting(shape: Shape, rank: u64, trained_tokens: u64, batch_tokens: u64) -> Self {
        let all = Self::training(shape, trained_tokens, batch_tokens);
        let adapter = product(&[4, rank, shape.layers, shape.block_sides]);
        let frozen = product(&[3, shape.weight_bytes()]);
        Self {
            // A frozen weight has no gradient: forward, and back to its input.
            training_flop: all.training_flop * 2.0 / 3.0,
            memory_bytes: all
                .memory_bytes
                .saturating_sub(frozen)
                .saturating_add(product(&[4, adapter])),
            disk_bytes: adapter,
            ..all
        }
    }

    /// This work and then the other: their sums, and of memory the larger.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            read_tokens: self.read_tokens.saturating_add(other.read_tokens),
            generated_tokens: self.generated_tokens.saturating_add(other.generated_tokens),
            trained_tokens: self.trained_tokens.saturating_add(other.trained_tokens),
            inference_flop: self.inference_flop + other.inference_flop,
            training_flop: self.training_flop + other.training_flop,
            memory_bytes: self.memory_bytes.max(other.memory_bytes),
            disk_bytes: self.disk_bytes.saturating_add(other.disk_bytes),
            requests: self.requests.saturating_add(other.requests),
            prompt_tokens: self.prompt_tokens.saturating_add(other.prompt_tokens),
            reply_tokens: self.reply_tokens.saturating_add(other.reply_tokens),
            usd: match (self.usd, other.usd) {
                (Some(a), Some(b)) => Some(a + b),
                (known, None) | (None, known) => known,
            },
        }
    }
}

/// A product, or the largest number where it would be larger: numbers of a manifest multiply fast.
pub(crate) fn product(factors: &[u64]) -> u64 {
    factors
        .iter()
        .fold(1, |product, factor| product.saturating_mul(*factor))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// GPT-2 small has 124,439,808 parameters, of which no token is multiplied by its 1,024 positions.
    #[test]
    fn the_shape_of_gpt2_small() {
        let gpt2 = crate::model::architecture::Gpt2::default();
        let shape = Shape::of(&gpt2.into());
        assert_eq!(shape.parameters, 124_439_808);
        assert_eq!(shape.multiplied, 124_439_808 - 1024 * 768);
        assert_eq!(shape.block_cache, 2 * 768);
        assert_eq!(shape.block_activations, 34 * 768);
    }

    /// Of GPT-2 small at rank 8 PEFT counts 1,179,648 trainable parameters beside its four linear maps; queries, keys and
    /// values are one module there, so the bound is twice its width above that in each block.
    #[test]
    fn an_adapter_takes_a_model_and_little_more() {
        let shape = Shape::of(&crate::model::architecture::Gpt2::default().into());
        assert_eq!(8 * 12 * (shape.block_sides - 2 * 768), 1_179_648);
        let (all, adapter) = (Work::training(shape, 9, 0), Work::adapting(shape, 8, 9, 0));
        let bytes = 4 * 8 * 12 * shape.block_sides;
        assert_eq!(adapter.disk_bytes, bytes);
        assert_eq!(adapter.memory_bytes, all.memory_bytes / 4 + 4 * bytes);
        assert!(adapter.training_flop < 0.67 * all.training_flop);
    }

    /// SmolLM2-135M has 134,515,008 parameters; three query heads share a key head. Sources: its model card; its
    /// `config.json`.
    #[test]
    fn the_shape_of_a_model_with_grouped_keys() {
        let mut config = serde_json::json!({
            "model_type": "llama",
            "vocab_size": 49_152,
            "max_position_embeddings": 8192,
            "hidden_size": 576,
            "num_hidden_layers": 30,
            "num_attention_heads": 9,
            "num_key_value_heads": 3,
            "intermediate_size": 1536,
            "tie_word_embeddings": true,
        });
        let shape = |config: &serde_json::Value| {
            let path = std::path::Path::new("config.json");
            Shape::of(&Architecture::parse(config.to_string().as_bytes(), path).unwrap())
        };
        let tied = shape(&config);
        assert_eq!(tied.parameters, 134_515_008);
        assert_eq!(tied.multiplied, tied.parameters);
        assert_eq!(tied.block_cache, 2 * 3 * 64);
        // An output of its own is multiplied by; of the token embedding a row is taken then.
        config["tie_word_embeddings"] = false.into();
        let separate = shape(&config);
        assert_eq!(separate.parameters, tied.parameters + 49_152 * 576);
        assert_eq!(separate.multiplied, tied.multiplied);
        // A sequence at its full length is 8192 * 30 * 384 values of four bytes.
        let cache = 8192 * 30 * 384 * 4;
        let memory = |dtype| Work::inference(tied, dtype, 0, 0, 1, u64::MAX).memory_bytes;
        assert_eq!(memory(Dtype::F32), cache + 4 * tied.parameters);
        // Norms stay in f32: two of each block, and the last.
        let norms = 61 * 576;
        let matrices = tied.parameters - norms;
        assert_eq!(memory(Dtype::Bf16), cache + 2 * matrices + 4 * norms);
        assert_eq!(memory(Dtype::Int8), cache + matrices + 4 * norms);
    }
}
