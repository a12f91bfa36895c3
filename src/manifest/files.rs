//! A manifest and the chain of manifests that it extends, merged into one tree.
//!
//! In: a path. Out: a tree in which the nearest file wins, key by key, or every syntax error of the
//! first file that has any.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::Diagnostic;
use super::source::{Source, read};
use super::tree::{Node, Tree, parse};

/// Reads the manifest at `path` and what it extends.
pub(super) fn load(path: &Path) -> Result<Node, Vec<Diagnostic>> {
    let source = read(path, 0, None).map_err(|error| vec![*error])?;
    merged(path, &source)
}

/// Merges `source`, the text of the manifest at `path`, with what it extends.
pub(super) fn merged(path: &Path, source: &Arc<Source>) -> Result<Node, Vec<Diagnostic>> {
    let mut layers: Vec<Node> = Vec::new();
    let mut errors = Vec::new();
    let mut seen = vec![identity(path)];
    let mut path = path.to_owned();
    let mut next = Some(Arc::clone(source));
    while let Some(source) = next.take() {
        let mut layer = match parse(&source) {
            Ok(layer) => layer,
            Err(found) => {
                errors.extend(found);
                break;
            }
        };
        let extends = layer
            .as_table_mut()
            .and_then(|table| table.remove("extends"));
        layers.push(layer);
        let Some(extends) = extends.map(|entry| entry.value) else {
            break;
        };
        let Tree::String(base) = &extends.value else {
            errors.push(Diagnostic::at(
                &extends.origin,
                "`extends` must be a string, the path of a manifest relative to this file",
            ));
            break;
        };
        path = path.parent().unwrap_or(Path::new("")).join(base);
        let id = identity(&path);
        if seen.contains(&id) {
            let message = format!(
                "`extends` leads in a circle: `{}` is already part of this manifest",
                path.display()
            );
            errors.push(Diagnostic::at(&extends.origin, message));
            break;
        }
        seen.push(id);
        match read(&path, layers.len(), Some(&extends.origin)) {
            Ok(source) => next = Some(source),
            Err(error) => errors.push(*error),
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let mut layers = layers.into_iter().rev();
    let mut tree = layers
        .next()
        .expect("the first file was parsed, or there are errors");
    for layer in layers {
        tree.merge(layer);
    }
    Ok(tree)
}

/// The same for every way to write the path of one file.
fn identity(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}
