//! The files of a student's folder that training does not change: they go out byte for byte as they came in.
//!
//! transformers reads a tokenizer by `tokenizer_config.json`'s class and settings, pads by its `pad_token`, generates by
//! `generation_config.json` and talks by its chat template; what was written anew would lose whatever this program does
//! not read.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use serde_json::{Value, json};

use super::error::ModelError;
use crate::disk;

/// The configuration: of it alone something changes.
const CONFIG: &str = "config.json";

/// Files of a folder in Hub format, besides its weights, that make the student or go with it. Others (a trainer's state,
/// a model card) do not count.
pub const HUB_FILES: [&str; 10] = [
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
    CONFIG,
    "generation_config.json",
    "merges.txt",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.json",
];

/// The folder of chat templates that have names of their own.
const TEMPLATES: &str = "additional_chat_templates";

/// The files of a folder's further chat templates, as `additional_chat_templates/NAME.jinja`, in their order.
///
/// # Errors
/// The folder cannot be read.
pub(crate) fn template_files(folder: &Path) -> io::Result<Vec<String>> {
    let templates = folder.join(TEMPLATES);
    if !templates.is_dir() {
        return Ok(Vec::new());
    }
    let mut names = Vec::new();
    for entry in fs::read_dir(templates)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        if let Some(name) =
            name.filter(|_| path.extension().is_some_and(|end| end == "jinja") && path.is_file())
        {
            names.push(format!("{TEMPLATES}/{name}"));
        }
    }
    names.sort();
    Ok(names)
}

/// Files by name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Carried(BTreeMap<String, Vec<u8>>);

impl Carried {
    /// Reads what is there of them.
    pub(super) fn load(folder: &Path) -> Result<Self, ModelError> {
        let mut files = BTreeMap::new();
        let templates = template_files(folder).map_err(ModelError::reading(folder))?;
        let names = HUB_FILES.into_iter().map(str::to_owned).chain(templates);
        for name in names {
            let path = folder.join(&name);
            if disk::exists(&path).map_err(ModelError::reading(&path))? {
                let bytes = disk::read_small(&path).map_err(ModelError::reading(&path))?;
                files.insert(name, bytes);
            }
        }
        Ok(Self(files))
    }

    /// The bytes of one of them, if it is there.
    pub(super) fn get(&self, name: &str) -> Option<&[u8]> {
        self.0.get(name).map(Vec::as_slice)
    }

    /// The names of further chat templates within their folder.
    pub(super) fn further_templates(&self) -> Vec<String> {
        let inside =
            |name: &String| Some(name.strip_prefix(TEMPLATES)?.strip_prefix('/')?.to_owned());
        self.0.keys().filter_map(inside).collect()
    }

    /// Writes them beside weights in f32.
    pub(super) fn save(&self, folder: &Path) -> Result<(), ModelError> {
        for (name, bytes) in &self.0 {
            let path = folder.join(name);
            let below = path.parent().unwrap_or(folder);
            fs::create_dir_all(below).map_err(ModelError::writing(below))?;
            let changed = (name == CONFIG).then(|| in_f32(bytes)).flatten();
            let bytes = changed.as_ref().unwrap_or(bytes);
            fs::write(&path, bytes).map_err(ModelError::writing(&path))?;
        }
        Ok(())
    }
}

/// `config.json` with the number format that weights are written in; `None` where it says so already, or says nothing.
fn in_f32(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut config: Value = serde_json::from_slice(bytes).ok()?;
    let mut changed = false;
    for key in ["dtype", "torch_dtype"] {
        if let Some(value) = config.get_mut(key)
            && *value != json!("float32")
        {
            *value = json!("float32");
            changed = true;
        }
    }
    changed.then(|| format!("{config:#}\n").into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_go_out_as_they_came_in_but_for_the_number_format() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let config = r#"{"z": [1,  2], "torch_dtype": "float16", "a": {"dtype": "bfloat16"}}"#;
        fs::create_dir(from.path().join(TEMPLATES)).unwrap();
        for (name, text) in [
            ("additional_chat_templates/rag.jinja", "{{ r }}"),
            ("additional_chat_templates/notes.txt", "no"),
            ("config.json", config),
            ("tokenizer_config.json", r#"{"pad_token" : "<pad>" }"#),
            ("chat_template.jinja", "{{ x }}"),
            ("README.md", "no"),
        ] {
            fs::write(from.path().join(name), text).unwrap();
        }
        let carried = Carried::load(from.path()).unwrap();
        carried.save(to.path()).unwrap();
        let read = |name: &str| fs::read_to_string(to.path().join(name)).unwrap();
        assert_eq!(read("tokenizer_config.json"), r#"{"pad_token" : "<pad>" }"#);
        assert_eq!(read("chat_template.jinja"), "{{ x }}");
        assert_eq!(read("additional_chat_templates/rag.jinja"), "{{ r }}");
        assert_eq!(fs::read_dir(to.path().join(TEMPLATES)).unwrap().count(), 1);
        assert_eq!(fs::read_dir(to.path()).unwrap().count(), 4);
        // Keys in their order, and those of others untouched.
        let wanted = r#"{"z":[1,2],"torch_dtype":"float32","a":{"dtype":"bfloat16"}}"#;
        let found: Value = serde_json::from_str(&read("config.json")).unwrap();
        assert_eq!(found.to_string(), wanted);
        // What is in f32 already, or says nothing of it, is not even laid out anew.
        for config in ["{\"dtype\" :\"float32\"}", "{ }", "not JSON"] {
            assert_eq!(in_f32(config.as_bytes()), None);
        }
    }
}
