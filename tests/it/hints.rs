//! What hints tell people to set is there to be set: the keys and values in them are those of the schema.

use std::collections::BTreeSet;
use std::path::Path;

use regex::Regex;
use serde_json::Value;
use sert_run::manifest::schema;
use sert_run::stage::KINDS;

use crate::layers::rust_files;

/// Words in backticks that are no keys of manifests but what a stage's key may be set to: the splits of `data`.
const OTHERS: &[&str] = &["data.test", "data.validation", "eos_token", "eos_token_id"];

/// The names that the schema knows.
#[derive(Default)]
struct Known {
    keys: BTreeSet<String>,
    /// A key and one right below it.
    pairs: BTreeSet<(String, String)>,
    values: BTreeSet<String>,
    /// Definitions that were read already, and below which key.
    read: BTreeSet<(String, String)>,
}

impl Known {
    /// Takes in what is below `above`. References may lead in circles.
    fn read(&mut self, root: &Value, node: &Value, above: &str) {
        if !node.is_object() {
            return;
        }
        if let Some(reference) = node["$ref"].as_str() {
            let target = root.pointer(reference.trim_start_matches('#')).unwrap();
            if self.read.insert((reference.to_owned(), above.to_owned())) {
                self.read(root, target, above);
            }
        }
        for (key, value) in node["properties"].as_object().into_iter().flatten() {
            self.keys.insert(key.clone());
            let is_new = self.pairs.insert((above.to_owned(), key.clone()));
            if is_new {
                self.read(root, value, key);
            }
        }
        for key in ["additionalProperties", "items"] {
            self.read(root, &node[key], above);
        }
        for key in ["oneOf", "anyOf", "allOf", "prefixItems"] {
            for branch in node[key].as_array().into_iter().flatten() {
                self.read(root, branch, above);
            }
        }
        self.values
            .extend(node["const"].as_str().map(str::to_owned));
        let values = node["enum"].as_array().into_iter().flatten();
        self.values
            .extend(values.filter_map(|value| Some(value.as_str()?.to_owned())));
    }

    /// What of a path is not there. `{}` stands for any key.
    fn missing(&self, path: &str) -> Option<String> {
        let keys: Vec<&str> = path.split('.').collect();
        let any = |key: &str| key.contains('{');
        if let Some(key) = keys
            .iter()
            .find(|key| !any(key) && !self.keys.contains(**key))
        {
            return Some((*key).to_owned());
        }
        let apart = keys.windows(2).find(|pair| {
            let fits = |(above, below): &(String, String)| {
                (any(pair[0]) || above == pair[0]) && (any(pair[1]) || below == pair[1])
            };
            !self.pairs.iter().any(fits)
        });
        apart.map(|pair| pair.join("."))
    }
}

/// The texts of hints in a source: after `hint: ` in a message, or given as a hint.
fn hints(source: &str) -> Vec<String> {
    let literal = Regex::new(r#""((?:[^"\\]|\\.)*)""#).unwrap();
    let mut found = Vec::new();
    for text in literal.captures_iter(source) {
        let whole = text.get(0).unwrap();
        let before = source[..whole.start()].trim_end();
        let before = before.strip_suffix("Some(").unwrap_or(before).trim_end();
        let given = [
            "hint(",
            "hint(format!(",
            "hint:",
            "hint =",
            "let hint = format!(",
        ];
        if let Some((_, hint)) = text[1].split_once("hint: ") {
            found.push(hint.to_owned());
        } else if given.iter().any(|mark| before.ends_with(mark)) {
            found.push(text[1].to_owned());
        }
    }
    found
}

#[test]
fn hints_name_keys_and_values_that_there_are() {
    let root = schema(KINDS);
    let mut known = Known::default();
    known.read(&root, &root, "");
    for definition in root["$defs"].as_object().into_iter().flatten() {
        known.read(&root, definition.1, definition.0);
    }
    assert!(known.missing("length.min_tokens").is_none());
    assert_eq!(
        known.missing("select.enabled").as_deref(),
        Some("select.enabled")
    );
    assert_eq!(known.missing("{}.enabled"), None);

    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    // A key, perhaps with a value.
    let named =
        Regex::new(r"`([a-z{][a-z0-9_{}]*(?:\.[a-z{][a-z0-9_{}]*)*)(?: = ([^`]*))?`").unwrap();
    let (mut count, mut wrong) = (0, Vec::new());
    for file in files {
        let name = file.strip_prefix(&src).unwrap().display().to_string();
        if name.contains("tests") {
            continue;
        }
        for hint in hints(&std::fs::read_to_string(&file).unwrap()) {
            let hint = hint.replace("\\\"", "\"");
            for key in named.captures_iter(&hint) {
                let (path, value) = (&key[1], key.get(2));
                // One word without a value may be a kind, a recording or a command as well.
                let is_key = value.is_some() || path.contains(['.', '_']);
                let is_placeholder = path.starts_with('{') && path.ends_with('}');
                if !is_key || is_placeholder || OTHERS.contains(&path) {
                    continue;
                }
                count += 1;
                if let Some(missing) = known.missing(path) {
                    wrong.push(format!("{name}: there is no key `{missing}`: {hint}"));
                }
                let word =
                    value.and_then(|value| value.as_str().strip_prefix('"')?.strip_suffix('"'));
                let word = word.filter(|word| !word.contains(['.', '{', '/']));
                // In capitals it stands for a name of the reader's own.
                let word = word.filter(|word| *word != word.to_uppercase());
                if let Some(word) = word.filter(|word| !known.values.contains(*word)) {
                    wrong.push(format!("{name}: `{path}` is never \"{word}\": {hint}"));
                }
            }
        }
    }
    assert!(count > 20, "{count} keys in hints were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
