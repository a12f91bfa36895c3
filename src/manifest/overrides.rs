//! `--set PATH=VALUE` and `--limit N`: one-line manifests laid on top of the files.
//!
//! In: the arguments. Out: changes to the tree, each with the argument as its origin. A value
//! that is not TOML is taken as a string, so that `--set student.model=../x` needs no quotes.

use std::sync::Arc;

use super::Changes;
use super::drop;
use super::error::Diagnostic;
use super::nearest::suggest;
use super::source::{ARGUMENTS, Origin, SourceText};
use super::sugar::SUGAR;
use super::tree::{Entry, Node, Table, Tree, parse};
use crate::stage::Stage;

/// Lays the arguments on `tree`, the first one first; adds what is wrong, and what is to be told.
pub(super) fn apply(
    tree: &mut Node,
    changes: &Changes<'_>,
    kinds: &[&'static dyn Stage],
    (errors, notes): (&mut Vec<Diagnostic>, &mut Vec<String>),
) {
    let overrides = changes.overrides;
    for (index, text) in overrides.iter().enumerate() {
        let source = Arc::new(SourceText {
            name: format!("--set #{}", index + 1),
            text: text.clone(),
            rank: ARGUMENTS + index,
        });
        match argument(&source) {
            Ok(mut layer) => {
                notes.extend(drop::apply(tree, &mut layer, kinds, errors));
                lay(tree, layer, errors);
            }
            Err(error) => errors.push(*error),
        }
    }
    if let Some(limit) = changes.limit {
        let source = Arc::new(SourceText {
            name: "--limit".to_owned(),
            text: format!("data.limit={limit}"),
            rank: ARGUMENTS + overrides.len(),
        });
        let there = tree.get("data").is_some()
            || tree
                .get("stages")
                .is_some_and(|stages| stages.get("data").is_some());
        match argument(&source) {
            Ok(layer) if there => lay(tree, layer, errors),
            _ => errors.push(
                Diagnostic::at(
                    &Origin::new(&source, 0..4),
                    "`--limit` needs a stage `data`, and there is none",
                )
                .hint("add a section `[data]`".to_owned()),
            ),
        }
    }
}

/// The changes as their arguments, but for those of how to run, which change no result.
pub(super) fn told(changes: &Changes<'_>) -> Vec<String> {
    let profile = changes.profile.map(|name| format!("--profile {name}"));
    let limit = changes.limit.map(|limit| format!("--limit {limit}"));
    let sets = changes.overrides.iter().map(|text| text.trim());
    let sets = sets
        .filter(|text| !text.starts_with("run."))
        .map(|text| format!("--set {text}"));
    profile.into_iter().chain(limit).chain(sets).collect()
}

/// Parses `PATH=VALUE` into a tree with one leaf.
fn argument(source: &Arc<SourceText>) -> Result<Node, Box<Diagnostic>> {
    let text = source.text.as_str();
    // Further lines would be further assignments, which TOML may lay into the same table.
    let one_line = !text.contains(['\n', '\r']);
    if one_line
        && let Ok(node) = parse(source)
        && node
            .as_table()
            .is_some_and(|table| table.entries.len() == 1)
        && text.contains('=')
    {
        return Ok(node);
    }
    let complain = || {
        let whole = Origin::new(source, 0..text.len());
        Box::new(
            Diagnostic::at(&whole, "`--set` takes PATH=VALUE")
                .hint("for example `--set stages.kept.length.min_tokens=30`".to_owned()),
        )
    };
    let at = equals(text).ok_or_else(complain)?;
    // The path alone, with a placeholder: its spans are those of the argument.
    let path = Arc::new(SourceText {
        name: source.name.clone(),
        text: format!("{}=0", &text[..at]),
        rank: source.rank,
    });
    let mut node = parse(&path).map_err(|_| complain())?;
    let value = text[at + 1..].trim();
    let start = at + 1 + (text.len() - at - 1 - text[at + 1..].trim_start().len());
    let leaf = Node {
        value: Tree::String(value.to_owned()),
        origin: Origin::new(source, start..start + value.len()),
    };
    place(&mut node, leaf, source);
    Ok(node)
}

/// Puts `leaf` where the placeholder is, and gives every key its place in `source`.
fn place(node: &mut Node, leaf: Node, source: &Arc<SourceText>) {
    node.origin = Origin::new(source, node.origin.span.clone());
    match node
        .as_table_mut()
        .and_then(|table| table.entries.first_mut())
    {
        Some(entry) => {
            entry.key_origin = Origin::new(source, entry.key_origin.span.clone());
            place(&mut entry.value, leaf, source);
        }
        None => *node = leaf,
    }
}

/// Where the first `=` outside quotes is.
fn equals(text: &str) -> Option<usize> {
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (None, '=') => return Some(at),
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            _ => {}
        }
    }
    None
}

fn lay(tree: &mut Node, mut layer: Node, errors: &mut Vec<Diagnostic>) {
    let (Some(root), Some(over)) = (tree.as_table_mut(), layer.as_table_mut()) else {
        return;
    };
    if let Some(entry) = over.get("extends") {
        let message = "`extends` can only stand in a file";
        errors.push(Diagnostic::at(&entry.key_origin, message));
        return;
    }
    respell(root, over);
    let before = errors.len();
    if let Some(stages) = over.get("stages").and_then(|entry| entry.value.as_table()) {
        let known: Vec<&str> = root
            .get("stages")
            .and_then(|entry| entry.value.as_table())
            .map_or_else(Vec::new, |table| table.keys().collect());
        for entry in &stages.entries {
            // A whole stage may be added; a field needs a stage to stand in.
            if !known.contains(&entry.key.as_str()) && entry.value.get("kind").is_none() {
                let message = format!("there is no stage `{}` to set a field of", entry.key);
                let hint = suggest(&entry.key, known.iter().copied(), "stages");
                errors.push(Diagnostic::at(&entry.key_origin, message).hint(hint));
            }
        }
    }
    if errors.len() == before {
        // The root's origin means nothing; each entry brings its own.
        for entry in std::mem::take(&mut over.entries) {
            root.merge_entry(entry);
        }
    }
}

/// Spells `data` and `student` as the files do: as sections, or as stages.
fn respell(root: &Table, over: &mut Table) {
    for (section, _) in SUGAR {
        let has_stage = |table: &Table| {
            let stages = table.get("stages").map(|entry| &entry.value);
            stages.is_some_and(|stages| stages.get(section).is_some())
        };
        let as_stage = has_stage(root);
        if as_stage && root.get(section).is_none() {
            if let Some(entry) = over.remove(section) {
                let key_origin = entry.key_origin.clone();
                over.merge_entry(Entry {
                    key: "stages".to_owned(),
                    value: Node {
                        origin: entry.value.origin.clone(),
                        value: Tree::Table(Table {
                            entries: vec![entry],
                        }),
                    },
                    key_origin,
                });
            }
        } else if !as_stage
            && let Some(stages) = over
                .get_mut("stages")
                .and_then(|entry| entry.value.as_table_mut())
            && stages
                .get(section)
                .is_some_and(|entry| entry.value.get("kind").is_none())
            && let Some(entry) = stages.remove(section)
        {
            if stages.entries.is_empty() {
                over.remove("stages");
            }
            over.merge_entry(entry);
        }
    }
}
