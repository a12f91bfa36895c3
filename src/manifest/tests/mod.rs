//! The manifest as a whole, on fake stage kinds.

mod dropping;
mod fake;
mod graph;
mod lists;
mod loading;
mod mistakes;
mod overriding;
mod reading;
mod rounds;
mod sweeping;

use std::path::Path;
use std::sync::Arc;

use super::{Changes, Manifest, ManifestErrors, SourceText, build, files};
use crate::stage::Stage;

/// A manifest of every section that is right.
pub(super) const VALID: &str = r#"#:schema ../schemas/manifest.schema.json
title = "A test"
description = "Does it load?"
seed = 7

[data]
dataset = "strategyqa"

[student]
model = "gpt2"

[run]
threads = 2
batch_size = 8

[defaults.finetune]
epochs = 20

[stages.sample]
kind = "sample"
seed = 3
temperature = 1 # an integer where a number is wanted
teacher = { from = "http", url = "http://localhost" }

[stages.kept]
kind = "filter"
paths = "sample"
[stages.kept.length]
min_tokens = 25

[stages.sert]
kind = "finetune"
paths = "kept.paths"

[stages.answers]
kind = "predict"
model = "sert"

[stages.eval-sert]
kind = "eval"
predictions = "answers"

[tables.results]
caption = "Results"
rows = [{ label = "SERT", eval = "eval-sert" }]
"#;

/// Loads a text as if it were the file `test.toml`.
fn load(text: &str, overrides: &[&str]) -> Result<Manifest, ManifestErrors> {
    load_with(text, overrides, None)
}

/// The same with a profile.
fn load_with(
    text: &str,
    overrides: &[&str],
    profile: Option<&str>,
) -> Result<Manifest, ManifestErrors> {
    load_of(text, overrides, profile, fake::KINDS)
}

/// The same of other kinds.
fn load_of(
    text: &str,
    overrides: &[&str],
    profile: Option<&str>,
    kinds: &[&'static dyn Stage],
) -> Result<Manifest, ManifestErrors> {
    let source = Arc::new(SourceText {
        name: "test.toml".to_owned(),
        text: text.to_owned(),
        rank: 0,
    });
    let path = Path::new("test.toml");
    let loaded = files::merged(path, &source, kinds).map_err(ManifestErrors::new)?;
    let overrides: Vec<String> = overrides.iter().map(|text| (*text).to_owned()).collect();
    let changes = Changes {
        profile,
        overrides: &overrides,
        ..Changes::default()
    };
    build(path, loaded, &changes, kinds)
}

/// What decides the keys of its stages.
fn meaning_of(manifest: &Manifest) -> Vec<String> {
    let mut stages: Vec<String> = manifest
        .stages
        .iter()
        .map(|stage| {
            format!(
                "{} {:?} {:?} {}",
                stage.name,
                serde_json::json!(stage.params),
                stage.inputs,
                stage.seed
            )
        })
        .collect();
    stages.sort();
    stages
}

/// The valid manifest with one text in it replaced; `from` must occur once.
fn with(from: &str, to: &str) -> String {
    assert_eq!(VALID.matches(from).count(), 1, "{from}");
    VALID.replace(from, to)
}

/// The mistakes as `line:column message | hint`.
fn mistakes(text: &str, overrides: &[&str]) -> Vec<String> {
    mistakes_of(load(text, overrides))
}

fn mistakes_of(loaded: Result<Manifest, ManifestErrors>) -> Vec<String> {
    let errors = match loaded {
        Ok(_) => return Vec::new(),
        Err(errors) => errors.errors,
    };
    errors
        .iter()
        .map(|error| {
            let place = error.origin.as_ref().map(|origin| {
                let (line, column) = origin.line_column();
                let name = origin
                    .source
                    .name
                    .strip_prefix("test.toml")
                    .unwrap_or(&origin.source.name);
                format!(
                    "{name}{}{line}:{column} ",
                    if name.is_empty() { "" } else { ":" }
                )
            });
            let hint = error.hint.as_ref().map(|hint| format!(" | {hint}"));
            format!(
                "{}{}{}",
                place.unwrap_or_default(),
                error.message,
                hint.unwrap_or_default()
            )
        })
        .collect()
}
