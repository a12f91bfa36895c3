//! A GGUF file as the small files of a Hub folder, from which a student is read as from any other.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::architecture::Architecture;
use super::chat::{ChatError, ChatFiles};
use super::error::ModelError;
use super::gguf::Gguf;
use super::gguf::config::{GgufFamily, config, generation_config};
use super::gguf::tokenizer::{tokenizer, tokenizer_config};
use crate::disk;

/// What a file is called where only one is meant: in the store, and in what a student's files are known by.
pub(crate) const GGUF_FILE: &str = "model.gguf";
const ENDING: &str = "gguf";

/// Whether a path is called as a GGUF file is, or is one by its first bytes.
pub(crate) fn is_gguf(path: &Path) -> bool {
    let named = (path.extension()).is_some_and(|ending| ending.eq_ignore_ascii_case(ENDING));
    let begins = || {
        let mut magic = [0; 4];
        let read = disk::open(path).and_then(|mut file| file.read_exact(&mut magic));
        read.is_ok() && magic == *b"GGUF"
    };
    named || begins()
}

/// The GGUF file that a model's path means: the path itself, or the only one in a folder that is not in Hub format.
///
/// # Errors
/// The folder cannot be read, or has several.
pub(crate) fn find_gguf(path: &Path) -> Result<Option<PathBuf>, ModelError> {
    if !path.is_dir() {
        return Ok((is_gguf(path) && path.is_file()).then(|| path.to_owned()));
    }
    let config = path.join("config.json");
    if disk::exists(&config).map_err(ModelError::reading(&config))? {
        return Ok(None);
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(path).map_err(ModelError::reading(path))? {
        let file = entry.map_err(ModelError::reading(path))?.path();
        if is_gguf(&file) && file.is_file() {
            found.push(file);
        }
    }
    found.sort();
    if found.len() > 1 {
        let name = |file: &PathBuf| {
            let name = file.file_name().unwrap_or_default();
            name.to_string_lossy().into_owned()
        };
        return Err(ModelError::SeveralGguf {
            folder: path.to_owned(),
            names: found.iter().map(name).collect(),
        });
    }
    Ok(found.pop())
}

/// The architecture that a GGUF file tells, its arrays unread; `None` where it tells none.
pub(crate) fn gguf_architecture(path: &Path) -> Option<Architecture> {
    let gguf = Gguf::open(path).ok()?;
    let config = config(&gguf).ok()?.to_string();
    Architecture::parse(config.as_bytes(), path).ok()
}

/// What a model's folder or GGUF file has for chats.
///
/// # Errors
/// A file cannot be read, or says what transformers would not take.
pub(crate) fn chat_files(model: &Path) -> Result<ChatFiles, ChatError> {
    let Some(path) = find_gguf(model)? else {
        return ChatFiles::read(model);
    };
    let gguf = Gguf::open(&path).map_err(ModelError::Gguf)?;
    unpacked(&gguf, |folder| {
        let read = |name: &str| -> Result<Option<Vec<u8>>, ChatError> {
            let file = folder.join(name);
            let there = file.is_file().then(|| disk::read_small(&file));
            Ok(there.transpose().map_err(ModelError::reading(&file))?)
        };
        Ok(ChatFiles::of(path.display().to_string(), &[], &read))
    })?
}

/// What `read` makes of a file's small files, which lie in a folder for as long; what is wrong with them is said of the file.
///
/// # Errors
/// As of [`unpack`], or of `read`.
pub(super) fn unpacked<T>(
    gguf: &Gguf,
    read: impl FnOnce(&Path) -> Result<T, ModelError>,
) -> Result<T, ModelError> {
    let folder = tempfile::tempdir();
    let folder = folder.map_err(ModelError::writing(&std::env::temp_dir()))?;
    unpack(gguf, folder.path())?;
    read(folder.path()).map_err(|error| of_file(error, gguf, folder.path()))
}

/// The keys of `config.json` that messages name, and those that they are made of; the last are under the family's name.
const KEYS: [(&str, &str); 22] = [
    ("hidden_size", "embedding_length"),
    ("n_embd", "embedding_length"),
    ("intermediate_size", "feed_forward_length"),
    ("n_inner", "feed_forward_length"),
    ("num_hidden_layers", "block_count"),
    ("n_layer", "block_count"),
    ("num_attention_heads", "attention.head_count"),
    ("n_head", "attention.head_count"),
    ("num_key_value_heads", "attention.head_count_kv"),
    ("head_dim", "attention.key_length"),
    ("max_position_embeddings", "context_length"),
    ("n_positions", "context_length"),
    ("rms_norm_eps", "attention.layer_norm_rms_epsilon"),
    ("layer_norm_eps", "attention.layer_norm_epsilon"),
    ("layer_norm_epsilon", "attention.layer_norm_epsilon"),
    ("rope_theta", "rope.freq_base"),
    ("rotary_emb_base", "rope.freq_base"),
    ("rotary_pct", "rope.dimension_count"),
    ("rope_scaling", "rope.scaling.type"),
    ("sliding_window", "attention.sliding_window"),
    ("final_logit_softcapping", "final_logit_softcapping"),
    ("attn_logit_softcapping", "attn_logit_softcapping"),
];

/// An error about the folder at `folder` as one about the file that it was made of, with the file's own keys.
fn of_file(error: ModelError, gguf: &Gguf, folder: &Path) -> ModelError {
    // What has no key in a file is told as it is.
    let Ok(family) = GgufFamily::of(gguf) else {
        return error;
    };
    let file = format!("`{}`", gguf.path().display());
    let mut said = error.to_string();
    for name in [
        "config.json",
        "generation_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
    ] {
        said = said.replace(&format!("`{}`", folder.join(name).display()), &file);
    }
    for (key, own) in KEYS {
        said = said.replace(&format!("`{key}`"), &format!("`{}`", family.key(own)));
    }
    said = said.replace("`vocab_size`", "`token_embd.weight`");
    said = said.replace("eos_token_id", "tokenizer.ggml.eos_token_id");
    said = match said.strip_prefix("config.json: ") {
        Some(rest) => format!("{file}: {rest}"),
        None => said,
    };
    for words in [
        "the config.json that the model's author published",
        "its own config.json",
    ] {
        said = said.replace(words, "the file that the model's author published");
    }
    said = said.replace("config.json", "the file");
    if !said.contains(&file) {
        said = format!("{file}: {said}");
    }
    ModelError::OfGguf(said)
}

/// Writes `config.json`, `generation_config.json`, `tokenizer.json` and `tokenizer_config.json` as the Hub has them.
///
/// # Errors
/// The file says what is not done here, or the folder cannot be written.
fn unpack(gguf: &Gguf, folder: &Path) -> Result<(), ModelError> {
    let write = |name: &str, text: String| {
        let path = folder.join(name);
        fs::write(&path, text).map_err(ModelError::writing(&path))
    };
    let pretty = |value: Value| format!("{value:#}\n");
    write(
        "config.json",
        pretty(config(gguf).map_err(ModelError::Gguf)?),
    )?;
    write(
        "generation_config.json",
        pretty(generation_config(gguf).map_err(ModelError::Gguf)?),
    )?;
    write(
        "tokenizer_config.json",
        pretty(tokenizer_config(gguf).map_err(ModelError::Gguf)?),
    )?;
    let tokenizer = serde_json::to_string(&tokenizer(gguf).map_err(ModelError::Gguf)?);
    write("tokenizer.json", tokenizer.expect("a tokenizer serialises"))
}
