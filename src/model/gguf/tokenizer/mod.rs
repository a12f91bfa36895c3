//! A file's tokenizer, as one of the `tokenizers` crate.
//!
//! In: the metadata under `tokenizer.`. Out: a `Tokenizer` that gives the ids of the Hub's tokenizer of the same model, and a
//! `tokenizer_config.json` with what else the file says. Two kinds are read: byte-level BPE (`gpt2`, [`byte_level`]) and
//! `SentencePiece`'s BPE (`llama`, [`pieces`]). Control tokens are found in a text as they are written, before anything else is
//! done to it.
//! Source: llama.cpp's `llama-vocab.cpp`; transformers' converters of slow tokenizers.

pub mod byte_level;
pub mod pieces;
mod vocabulary;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokenizers::models::bpe::BPE;
use tokenizers::normalizers::NormalizerWrapper;
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::processors::PostProcessorWrapper;
use tokenizers::{AddedToken, DecoderWrapper, Tokenizer};

use self::vocabulary::{Kind, Vocabulary};
use super::error::{Fault, GgufError};
use super::file::Gguf;
use crate::guard::catch;

/// The key that says which kind it is.
const MODEL: &str = "tokenizer.ggml.model";

/// The chat template, and the names of further ones, which stand behind its key and a point.
const TEMPLATE: &str = "tokenizer.chat_template";
const TEMPLATES: &str = "tokenizer.chat_templates";

/// What a kind makes of a file: a model, and what is done before and after it.
struct Parts {
    model: BPE,
    normalizer: Value,
    pre_tokenizer: Value,
    decoder: Value,
    /// Whether user-defined tokens are found in a text after the normalizer, not before.
    normalized: bool,
    /// Tokens before and after each text.
    begin: Option<u32>,
    end: Option<u32>,
}

/// The tokenizer of a file.
///
/// # Errors
/// A key is missing or damaged, or asks for a tokenizer that is not made here.
pub fn tokenizer(gguf: &Gguf) -> Result<Tokenizer, GgufError> {
    let kind = gguf.need_text(MODEL)?;
    let vocabulary = Vocabulary::read(gguf)?;
    let parts = match kind {
        "gpt2" => byte_level::parts(gguf, &vocabulary)?,
        "llama" => pieces::parts(gguf, &vocabulary)?,
        other => {
            let hint = "take a model with one of these tokenizers, or its folder in Hub format";
            let expected = "\"gpt2\" (byte-level BPE) or \"llama\" (SentencePiece's BPE)";
            return Err(gguf.refused(MODEL, format!("{other:?}"), expected, hint));
        }
    };
    // A file may be made to fail the crate.
    let built = catch(|| build(&vocabulary, parts))
        .unwrap_or_else(|panic| Err(format!("the library that makes it failed: {panic}")));
    let failed = |error: String| {
        Fault::damaged("the tokenizer", error, "one that can be made").at(gguf.path())
    };
    built.map_err(failed)
}

fn build(vocabulary: &Vocabulary<'_>, parts: Parts) -> Result<Tokenizer, String> {
    let template = template(vocabulary, parts.begin, parts.end);
    let mut tokenizer = Tokenizer::new(parts.model);
    tokenizer.with_normalizer(part::<NormalizerWrapper>(parts.normalizer)?);
    tokenizer.with_pre_tokenizer(part::<PreTokenizerWrapper>(parts.pre_tokenizer)?);
    tokenizer.with_decoder(part::<DecoderWrapper>(parts.decoder)?);
    tokenizer.with_post_processor(part::<PostProcessorWrapper>(template)?);
    let mut added = Vec::new();
    for (text, kind) in vocabulary.tokens.iter().zip(&vocabulary.kinds) {
        let special = match kind {
            Kind::Control | Kind::Unknown => true,
            Kind::Defined => false,
            Kind::Normal | Kind::Byte | Kind::Unused => continue,
        };
        added.push(AddedToken::from(&**text, special).normalized(!special && parts.normalized));
    }
    // Each is in the vocabulary, so it keeps its id.
    tokenizer.add_tokens(&added);
    Ok(tokenizer)
}

/// A part of the crate's, from how its files write it; null is none.
fn part<T: DeserializeOwned>(value: Value) -> Result<Option<T>, String> {
    serde_json::from_value(value).map_err(|error| error.to_string())
}

/// What puts tokens before and after a text; null where there are none.
fn template(vocabulary: &Vocabulary<'_>, begin: Option<u32>, end: Option<u32>) -> Value {
    let special = |id: u32| {
        let token = &vocabulary.tokens[id as usize];
        json!({"SpecialToken": {"id": token, "type_id": 0}})
    };
    let text = |name: &str, kind: u32| json!({"Sequence": {"id": name, "type_id": kind}});
    let around = |name, kind| -> Vec<Value> {
        let before = begin.map(special).into_iter();
        before
            .chain([text(name, kind)])
            .chain(end.map(special))
            .collect()
    };
    let mut tokens = serde_json::Map::new();
    for id in begin.into_iter().chain(end) {
        let token = &vocabulary.tokens[id as usize];
        let entry = json!({"id": token, "ids": [id], "tokens": [token]});
        tokens.insert(token.to_string(), entry);
    }
    if tokens.is_empty() {
        return Value::Null;
    }
    let pair = [around("A", 0), around("B", 1)].concat();
    json!({
        "type": "TemplateProcessing",
        "single": around("A", 0),
        "pair": pair,
        "special_tokens": tokens,
    })
}

/// The `tokenizer_config.json`: named tokens, whether a text begins with one, and the chat template.
///
/// # Errors
/// A key is missing or damaged.
pub fn tokenizer_config(gguf: &Gguf) -> Result<Value, GgufError> {
    let vocabulary = Vocabulary::read(gguf)?;
    let mut config = json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": false,
    });
    for (name, key) in [
        ("bos_token", "bos"),
        ("eos_token", "eos"),
        ("unk_token", "unknown"),
        ("pad_token", "padding"),
    ] {
        if let Some(id) = vocabulary.named(gguf, key)? {
            config[name] = json!(vocabulary.tokens[id as usize]);
        }
    }
    if let Some(templates) = chat_templates(gguf)? {
        config["chat_template"] = templates;
    }
    Ok(config)
}

/// The file's chat template, or several with their names, as `tokenizer_config.json` has them.
fn chat_templates(gguf: &Gguf) -> Result<Option<Value>, GgufError> {
    let default = gguf.text(TEMPLATE)?;
    let names = gguf.get(TEMPLATES, "a list of names", |value| {
        Some(value.as_texts()?.to_vec())
    })?;
    let names = names.unwrap_or_default();
    if names.is_empty() {
        return Ok(default.map(|template| json!(template)));
    }
    let one = |name: &str, template: &str| json!({"name": name, "template": template});
    let mut all: Vec<Value> = default
        .map(|template| one("default", template))
        .into_iter()
        .collect();
    for name in names {
        all.push(one(&name, gguf.need_text(&format!("{TEMPLATE}.{name}"))?));
    }
    Ok(Some(json!(all)))
}
