//! The templates and special tokens of a Hub folder, found as transformers finds them.
//!
//! Templates, of which the first that is there wins:
//! 1. `chat_template.jinja` (the one named `default`) and `additional_chat_templates/NAME.jinja`, together;
//! 2. `chat_template` in `tokenizer_config.json`: a text, or a list of named ones;
//! 3. `chat_template` in `chat_template.json`, which processors wrote for a time (a tokenizer alone does not read it).
//!
//! Special tokens are those of `tokenizer_config.json`, texts or objects with `content`; where it lists no
//! `added_tokens_decoder`, `special_tokens_map.json` wins over it; what neither names has its tokenizer class's default.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Map, Value};

use super::super::error::ModelError;
use super::error::ChatError;
use crate::disk;

/// The name of a template that is not asked for by name.
const DEFAULT: &str = "default";

/// The special tokens that templates see: transformers' list.
const TOKENS: [&str; 7] = [
    "bos_token",
    "eos_token",
    "unk_token",
    "sep_token",
    "pad_token",
    "cls_token",
    "mask_token",
];

/// Special tokens of tokenizer classes where no file names them, less an ending `Fast`; from transformers.
const CLASS_DEFAULTS: [(&str, &[(&str, &str)]); 5] = [
    (
        "GPT2Tokenizer",
        &[("unk_token", END), ("bos_token", END), ("eos_token", END)],
    ),
    (
        "Qwen2Tokenizer",
        &[("unk_token", END), ("eos_token", END), ("pad_token", END)],
    ),
    (
        "LlamaTokenizer",
        &[
            ("unk_token", "<unk>"),
            ("bos_token", "<s>"),
            ("eos_token", "</s>"),
        ],
    ),
    (
        "GemmaTokenizer",
        &[
            ("unk_token", "<unk>"),
            ("bos_token", "<bos>"),
            ("eos_token", "<eos>"),
            ("pad_token", "<pad>"),
            ("mask_token", "<mask>"),
        ],
    ),
    (
        "GPTNeoXTokenizer",
        &[
            ("unk_token", END),
            ("bos_token", END),
            ("eos_token", END),
            ("pad_token", "<|padding|>"),
        ],
    ),
];

const END: &str = "<|endoftext|>";

/// What a folder has for chats.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChatFiles {
    folder: String,
    /// Templates by name.
    pub templates: BTreeMap<String, String>,
    /// Special tokens by name, as templates see them.
    pub special_tokens: BTreeMap<String, String>,
}

impl ChatFiles {
    /// Reads what there is in `folder`; a folder without any template is no error.
    ///
    /// # Errors
    /// A file cannot be read, or says what transformers would not take.
    pub fn read(folder: &Path) -> Result<Self, ChatError> {
        let read = |name: &str| -> Result<Option<Vec<u8>>, ChatError> {
            let path = folder.join(name);
            let there = disk::exists(&path).map_err(ModelError::reading(&path))?;
            let bytes = there.then(|| disk::read_small(&path)).transpose();
            Ok(bytes.map_err(ModelError::reading(&path))?)
        };
        let mut more = Vec::new();
        let path = folder.join(MORE);
        if path.is_dir() {
            for entry in fs::read_dir(&path).map_err(ModelError::reading(&path))? {
                let entry = entry.map_err(ModelError::reading(&path))?;
                more.extend(entry.file_name().into_string());
            }
        }
        Self::of(folder.display().to_string(), &more, &read)
    }

    /// What there is in files that `read` gives by name; `more` are the names of those in the folder of further templates.
    ///
    /// # Errors
    /// A file says what transformers would not take.
    pub(in crate::model) fn of(
        folder: String,
        more: &[String],
        read: Read<'_>,
    ) -> Result<Self, ChatError> {
        let files = Files {
            folder: Path::new(&folder),
            read,
        };
        let config = files.json(CONFIG)?.unwrap_or_default();
        Ok(Self {
            templates: templates(files, more, &config)?,
            special_tokens: special_tokens(files, &config)?,
            folder,
        })
    }

    /// The template of that name; without one, the default.
    ///
    /// # Errors
    /// There is none, or none of that name.
    pub fn template(&self, name: Option<&str>) -> Result<&str, ChatError> {
        if self.templates.is_empty() {
            return Err(ChatError::NoTemplate(self.folder.clone()));
        }
        let name = name.unwrap_or(DEFAULT);
        let found = self.templates.get(name).map(String::as_str);
        found.ok_or_else(|| ChatError::NoSuchTemplate {
            folder: self.folder.clone(),
            name: name.to_owned(),
            names: self.templates.keys().cloned().collect(),
        })
    }
}

/// Gives a file's bytes by its name, if it is there.
type Read<'r> = &'r dyn Fn(&str) -> Result<Option<Vec<u8>>, ChatError>;

/// Files by name, and what errors call their folder.
#[derive(Clone, Copy)]
struct Files<'r> {
    folder: &'r Path,
    read: Read<'r>,
}

const CONFIG: &str = "tokenizer_config.json";
/// The folder of templates that have names of their own.
const MORE: &str = "additional_chat_templates";
const TOKENS_MAP: &str = "special_tokens_map.json";

fn templates(
    files: Files<'_>,
    more: &[String],
    config: &Map<String, Value>,
) -> Result<BTreeMap<String, String>, ChatError> {
    let mut found = BTreeMap::new();
    if let Some(text) = files.text("chat_template.jinja")? {
        found.insert(DEFAULT.to_owned(), text);
    }
    for file in more {
        if let Some(name) = file.strip_suffix(".jinja")
            && let Some(text) = files.text(&format!("{MORE}/{file}"))?
        {
            found.insert(name.to_owned(), text);
        }
    }
    if found.is_empty() {
        found = named(&files.path(CONFIG), config.get("chat_template"))?;
    }
    if found.is_empty()
        && let Some(file) = files.json("chat_template.json")?
    {
        found = named(&files.path("chat_template.json"), file.get("chat_template"))?;
    }
    Ok(found)
}

/// One template, or several with their names.
fn named(file: &str, entry: Option<&Value>) -> Result<BTreeMap<String, String>, ChatError> {
    let wrong = |found: &Value| ChatError::Entry {
        file: file.to_owned(),
        key: "chat_template".to_owned(),
        found: kind(found),
        accepted: "a text, or a list of objects with `name` and `template`",
    };
    let one = |name: &str, template: &str| (name.to_owned(), template.to_owned());
    match entry {
        None | Some(Value::Null) => Ok(BTreeMap::new()),
        Some(Value::String(template)) => Ok(BTreeMap::from([one(DEFAULT, template)])),
        Some(Value::Object(all)) => (all.iter())
            .map(|(name, template)| {
                Ok(one(name, template.as_str().ok_or_else(|| wrong(template))?))
            })
            .collect(),
        Some(Value::Array(all)) => (all.iter())
            .map(|entry| match (entry.get("name"), entry.get("template")) {
                (Some(Value::String(name)), Some(Value::String(template))) => {
                    Ok(one(name, template))
                }
                _ => Err(wrong(entry)),
            })
            .collect(),
        Some(other) => Err(wrong(other)),
    }
}

fn special_tokens(
    files: Files<'_>,
    config: &Map<String, Value>,
) -> Result<BTreeMap<String, String>, ChatError> {
    let class = config
        .get("tokenizer_class")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let class = class.strip_suffix("Fast").unwrap_or(class);
    let defaults = CLASS_DEFAULTS.iter().find(|(name, _)| *name == class);
    let mut tokens: BTreeMap<String, String> = (defaults.iter())
        .flat_map(|(_, tokens)| *tokens)
        .map(|(name, token)| ((*name).to_owned(), (*token).to_owned()))
        .collect();
    set(&mut tokens, &files.path(CONFIG), config)?;
    if !config.contains_key("added_tokens_decoder")
        && let Some(map) = files.json(TOKENS_MAP)?
    {
        set(&mut tokens, &files.path(TOKENS_MAP), &map)?;
    }
    Ok(tokens)
}

/// Takes the special tokens of a file: a text, an object with its `content`, or null for none.
fn set(
    tokens: &mut BTreeMap<String, String>,
    file: &str,
    fields: &Map<String, Value>,
) -> Result<(), ChatError> {
    for name in TOKENS {
        let Some(entry) = fields.get(name) else {
            continue;
        };
        let token = match entry {
            Value::Null => {
                tokens.remove(name);
                continue;
            }
            Value::String(token) => Some(token.as_str()),
            other => other.get("content").and_then(Value::as_str),
        };
        let token = token.ok_or_else(|| ChatError::Entry {
            file: file.to_owned(),
            key: name.to_owned(),
            found: kind(entry),
            accepted: "a text, an object with its `content`, or null",
        })?;
        tokens.insert(name.to_owned(), token.to_owned());
    }
    Ok(())
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object without what was expected",
    }
}

impl Files<'_> {
    /// What messages call a file.
    fn path(self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// The text of a file, if it is there; bytes that are no UTF-8 are an error, as in transformers.
    fn text(self, name: &str) -> Result<Option<String>, ChatError> {
        let Some(bytes) = (self.read)(name)? else {
            return Ok(None);
        };
        let text = String::from_utf8(bytes)
            .map_err(|error| std::io::Error::new(std::io::ErrorKind::InvalidData, error));
        Ok(Some(
            text.map_err(ModelError::reading(&self.folder.join(name)))?,
        ))
    }

    fn json(self, name: &str) -> Result<Option<Map<String, Value>>, ChatError> {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        let parsed = serde_json::from_str(&text).map_err(|source| ModelError::Json {
            path: self.folder.join(name),
            source,
        });
        Ok(Some(parsed?))
    }
}
