//! A GGUF file as the small files of a Hub folder, from which a student is read as from any other.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::chat::{ChatError, ChatFiles};
use super::error::ModelError;
use super::gguf::Gguf;
use super::gguf::config::{config, generation_config};
use super::gguf::tokenizer::{tokenizer, tokenizer_config};
use crate::disk;

/// What a file is called where only one is meant: in the store, and in what a student's files are known by.
pub(crate) const GGUF_FILE: &str = "model.gguf";
const ENDING: &str = "gguf";

/// Whether a path is called as a GGUF file is.
pub(crate) fn is_gguf(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == ENDING)
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

/// What a model's folder or GGUF file has for chats.
///
/// # Errors
/// A file cannot be read, or says what transformers would not take.
pub(crate) fn chat_files(model: &Path) -> Result<ChatFiles, ChatError> {
    let Some(path) = find_gguf(model)? else {
        return ChatFiles::read(model);
    };
    let gguf = Gguf::open(&path).map_err(ModelError::Gguf)?;
    let folder = tempfile::tempdir();
    let folder = folder.map_err(ModelError::writing(&std::env::temp_dir()))?;
    unpack(&gguf, folder.path())?;
    ChatFiles::read(folder.path())
}

/// Writes `config.json`, `generation_config.json`, `tokenizer.json` and `tokenizer_config.json` as the Hub has them.
///
/// # Errors
/// The file says what is not done here, or the folder cannot be written.
pub(super) fn unpack(gguf: &Gguf, folder: &Path) -> Result<(), ModelError> {
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
