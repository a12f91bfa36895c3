//! What can be wrong with a student's folder.

use std::io;
use std::path::{Path, PathBuf};

use serde_json::error::Category;

use super::gguf::GgufError;
use crate::disk::advice;
use crate::memory::Shortage;

/// A model folder that cannot be read, written or believed.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// There is no model.
    #[error(
        "model `{}` does not exist\nhint: give a folder with config.json, model.safetensors and tokenizer.json, or a GGUF file", .0.display()
    )]
    NoModel(PathBuf),
    /// A file that is no model.
    #[error(
        "model `{}` is neither a folder nor a file in GGUF\nhint: a model in Hub format is named by its folder, not by one of its files", .0.display()
    )]
    NoModelFile(PathBuf),
    /// A file that the folder needs is not there.
    #[error("`{}` is missing\nhint: {hint}", path.display())]
    NoFile {
        /// The file.
        path: PathBuf,
        /// What to do.
        hint: &'static str,
    },
    /// Only a pickle holds the weights.
    #[error(
        "`{}` has weights only as pytorch_model.bin, which is not read\nhint: convert it: in Python, \
         `AutoModelForCausalLM.from_pretrained(FOLDER).save_pretrained(FOLDER)` writes model.safetensors", .0.display()
    )]
    OnlyPickle(PathBuf),
    /// The operating system refused.
    #[error("cannot {action} `{}`: {source}{}", path.display(), advice(source))]
    Io {
        /// `read` or `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A GGUF file is damaged, or asks for what is not done.
    #[error(transparent)]
    Gguf(GgufError),
    /// Several GGUF files lie in a folder.
    #[error("`{}` has several GGUF files: {}\nhint: name one of them as the model", folder.display(), names.join(", "))]
    SeveralGguf {
        /// The folder.
        folder: PathBuf,
        /// Their names.
        names: Vec<String>,
    },
    /// An adapter is to have a branch beside a module that the model has not.
    #[error(
        "`targets` names `{target}`, which no linear map of this student is called\nhint: its linear maps are {}; \"all-linear\" takes all", modules.join(", ")
    )]
    LoraTarget {
        /// The name.
        target: String,
        /// What they are called.
        modules: Vec<String>,
    },
    /// There is not so much memory.
    #[error(transparent)]
    Memory(Shortage),
    /// A file of the hub's storage stands in for the file itself.
    #[error(
        "`{}` is a pointer of Git LFS, not the file itself\nhint: run `git lfs pull` in its folder, or fetch the file from where the pointer is from", .0.display()
    )]
    LfsPointer(PathBuf),
    /// The JSON does not parse or lacks a field.
    #[error("`{}` is not what was expected: {source}\nhint: {}", path.display(), of_json(source))]
    Json {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// An option of `config.json` that this program does not do.
    #[error(
        "config.json: `{key}` is {found}, accepted: {accepted}\nhint: {}",
        of_key(key, accepted)
    )]
    Unsupported {
        /// The key.
        key: &'static str,
        /// Its value.
        found: String,
        /// What would do.
        accepted: &'static str,
    },
    /// A key of `config.json` that is not known of this family.
    #[error(
        "config.json: `{key}` is {found}, which is not known of `model_type` \"{model_type}\"\nhint: what is not computed is refused, not left out; if it changes nothing, take the key out"
    )]
    UnknownKey {
        /// The key.
        key: String,
        /// Its value.
        found: String,
        /// The family.
        model_type: &'static str,
    },
    /// `eos_token_id` of `config.json` is not one token.
    #[error(
        "config.json: `eos_token_id` is {0}, accepted: a token's id, a list of one, or null\nhint: it is the end that training texts get; name it alone, and further ends in generation_config.json"
    )]
    EndOfTextId(String),
    /// `eos_token_id` of `generation_config.json` is not a list of tokens.
    #[error(
        "`{}`: `eos_token_id` is {found}, accepted: a token's id, a list of ids, or null\nhint: name the tokens that end a text by their ids in the vocabulary", path.display()
    )]
    Ends {
        /// The file.
        path: PathBuf,
        /// Its value.
        found: String,
    },
    /// Numbers of `config.json` that contradict each other.
    #[error(
        "config.json: {0}\nhint: sizes go together as the model's author wrote them: take its own config.json, and the weights that it belongs to"
    )]
    BadShape(String),
    /// The safetensors file is damaged.
    #[error("`{}` is not a whole safetensors file: {reason}\nhint: it may have been cut off; fetch or write it again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The index of shards says what is not so.
    #[error("`{}`: {says}\nhint: the index and the shards are of one model, in one folder: fetch all of them again", path.display())]
    Index {
        /// The index.
        path: PathBuf,
        /// What is wrong.
        says: String,
    },
    /// What is wrong with the weights of this folder or file.
    #[error("weights of `{}`: {}", place.display(), said(error))]
    Weights {
        /// The folder or file.
        place: PathBuf,
        /// What is wrong.
        error: Box<ModelError>,
    },
    /// What is wrong with a GGUF file, which is read as the Hub's folder of the same model.
    #[error("{0}")]
    OfGguf(String),
    /// A file is not what its digest says.
    #[error(
        "`{}` is damaged: its bytes are not those that its digest was taken of\nhint: run again; if it comes again, have the disk and the memory checked", .0.display()
    )]
    Digest(PathBuf),
    /// A number format that is not read.
    #[error(
        "`{}`: array `{name}` is stored as {found}, accepted: F32, F16, BF16\nhint: take the model as it was before it was quantised, or convert it: in Python, `AutoModelForCausalLM.from_pretrained(FOLDER, dtype=\"bfloat16\").save_pretrained(FOLDER)`", path.display()
    )]
    NumberFormat {
        /// The file.
        path: PathBuf,
        /// The array.
        name: String,
        /// Its format.
        found: String,
    },
    /// An array is not there.
    #[error(
        "weights: array `{name}` is missing, expected with shape {expected:?}\nhint: does config.json belong to these weights?"
    )]
    MissingArray {
        /// The array.
        name: String,
        /// The shape that the config asks for.
        expected: Vec<usize>,
    },
    /// An array is there under a name with something before its own.
    #[error(
        "weights: there is `{found}` where `{expected}` was expected\nhint: the family's prefix (`model.`, `transformer.`), `module.` and `_orig_mod.` may stand before a name, nothing else"
    )]
    ArrayName {
        /// Its name there.
        found: String,
        /// Its own.
        expected: String,
    },
    /// An array has another shape than the config says.
    #[error(
        "weights: array `{name}` has shape {found:?}, but config.json asks for {expected:?}\nhint: does config.json belong to these weights?"
    )]
    ArrayShape {
        /// The array.
        name: String,
        /// Its shape.
        found: Vec<usize>,
        /// The shape that the config asks for.
        expected: Vec<usize>,
    },
    /// An array that the architecture does not have.
    #[error(
        "weights: array `{0}` has no place in the model that config.json describes\nhint: does config.json belong to these weights?"
    )]
    UnknownArray(String),
    /// An array is there under two names that mean the same.
    #[error(
        "weights: array `{name}` is there twice: in {}\nhint: names with and without the family's prefix (`model.`, `transformer.`), `module.` or `_orig_mod.` mean the same array", files.join(" and in ")
    )]
    ArrayTwice {
        /// The array.
        name: String,
        /// The files that have it.
        files: [String; 2],
    },
    /// Infinite or not a number.
    #[error(
        "weights: array `{name}` holds {value} at index {index}\nhint: the training that made it diverged, or the file is damaged"
    )]
    NotFinite {
        /// The array.
        name: String,
        /// Where, row-major.
        index: usize,
        /// What.
        value: f32,
    },
    /// A weight does not fit in the number format that is asked for.
    #[error(
        "weights: array `{name}` holds {value} at index {index}, which is beyond the range of 16 bits here\nhint: f16 ends at 65,504; dtype = \"bf16\" has the range of f32"
    )]
    BeyondRange {
        /// The array.
        name: String,
        /// Where, row-major.
        index: usize,
        /// What.
        value: f32,
    },
    /// What makes logits is tied to the embedding, and differs from it.
    #[error(
        "weights: `{output}` differs from `{embedding}`, but config.json ties them\nhint: an output of its own is `\"tie_word_embeddings\": false`; GPT-2's is always tied"
    )]
    UntiedHead {
        /// What makes logits.
        output: &'static str,
        /// The token embedding.
        embedding: String,
    },
    /// The tokenizer cannot be read, trained or used.
    #[error("tokenizer{}: {}", at(path.as_deref()), hinted(reason))]
    Tokenizer {
        /// The file, if it is about a file.
        path: Option<PathBuf>,
        /// What is wrong.
        reason: String,
    },
    /// There is no `tokenizer.json`, and what there is does not say all of a tokenizer.
    #[error(
        "`{0}` has only {found}, {why}\nhint: have transformers write tokenizer.json, once: python -c \"from transformers import AutoTokenizer; AutoTokenizer.from_pretrained('{0}').save_pretrained('{0}')\" (pip install transformers sentencepiece tiktoken)", folder.display()
    )]
    SlowTokenizer {
        /// The folder.
        folder: PathBuf,
        /// Its files of a tokenizer.
        found: String,
        /// Why they do not do.
        why: String,
    },
    /// Tokenizer and weights do not belong together.
    #[error(
        "the tokenizer has {tokenizer} tokens, but config.json says vocab_size {model}\nhint: take both from the same folder"
    )]
    VocabularySize {
        /// Tokens of the tokenizer.
        tokenizer: usize,
        /// Rows of the embedding.
        model: usize,
    },
    /// Far more rows than tokens.
    #[error(
        "the tokenizer has {tokenizer} tokens, but config.json says vocab_size {model}: {} rows would have no token\nhint: padding is a few rows in a hundred at most, so this is another model's tokenizer: take both from the same folder", model - tokenizer
    )]
    VocabularyRows {
        /// Tokens of the tokenizer.
        tokenizer: usize,
        /// Rows of the embedding.
        model: usize,
    },
    /// Tokenizer and config do not end a text alike.
    #[error(
        "the tokenizer's end of text is {tokenizer}, but config.json says eos_token_id {model}\nhint: take both from the same folder"
    )]
    EndOfText {
        /// The tokenizer's id.
        tokenizer: u32,
        /// The config's id.
        model: u32,
    },
}

fn at(path: Option<&Path>) -> String {
    path.map_or_else(String::new, |path| format!(" `{}`", path.display()))
}

/// What to do about a JSON file.
fn of_json(source: &serde_json::Error) -> &'static str {
    match source.classify() {
        Category::Data => {
            "a key is missing, or is not what transformers writes there: take the file as its author published it"
        }
        _ => "the file was cut off or is no JSON: fetch or write it again",
    }
}

/// What to do about a key of `config.json`: a value of another kind is a mistake, another choice is not done here.
fn of_key(key: &str, accepted: &str) -> &'static str {
    if key == "model_type" {
        return "docs/students.md lists the models that are students";
    }
    if accepted.starts_with("a ") || accepted == "true or false" {
        return "transformers writes nothing else there: take the config.json that the model's author published";
    }
    "what is not computed is refused, not left out: docs/students.md says what is done of each family"
}

/// What is wrong with a tokenizer, with what to do.
fn hinted(reason: &str) -> String {
    if reason.contains("\nhint: ") {
        return reason.to_owned();
    }
    format!(
        "{reason}\nhint: is the file whole, and as its author published it? transformers writes it anew: `AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)`"
    )
}

/// What an error says of weights, once it is known of which.
fn said(error: &ModelError) -> String {
    let said = error.to_string();
    said.strip_prefix("weights: ")
        .map_or(said.clone(), str::to_owned)
}

/// Whether bytes are what Git LFS leaves where a file was not fetched.
pub(super) fn is_lfs_pointer(bytes: &[u8]) -> bool {
    bytes.starts_with(b"version https://git-lfs.github.com/")
}

impl ModelError {
    /// The same of weights that lie at `place`, where it is about weights.
    pub(super) fn of_weights(self, place: &Path) -> Self {
        match self {
            Self::MissingArray { .. }
            | Self::ArrayName { .. }
            | Self::ArrayShape { .. }
            | Self::UnknownArray(_)
            | Self::UntiedHead { .. } => Self::Weights {
                place: place.to_owned(),
                error: Box::new(self),
            },
            other => other,
        }
    }

    /// Reading `path` failed.
    pub(crate) fn reading(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io {
            action: "read",
            path,
            source,
        }
    }

    /// Writing `path` failed.
    pub(crate) fn writing(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io {
            action: "write",
            path,
            source,
        }
    }
}
