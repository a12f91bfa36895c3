//! Paths of fields that were written without quotes: `stages.kept.length.min_tokens = [5, 25]` in `[sweep.grid]` is,
//! to TOML, a table `stages` with a table in it.
//!
//! In: the tree. Out: a mistake for each such path, and the tree as it was meant, so that nothing else is told of it.

use super::error::Diagnostic;
use super::tree::{Entry, Node, Table, Tree};
use super::words::dotted;

/// Reports the paths without quotes in `[sweep]`, `[profiles]`, `when` and `at`, and puts them in quotes.
pub(super) fn mend(tree: &mut Node, errors: &mut Vec<Diagnostic>) {
    let Some(root) = tree.as_table_mut() else {
        return;
    };
    if let Some(sweep) = below(root, "sweep") {
        for key in ["grid", "zip"] {
            if let Some(fields) = below(sweep, key) {
                mend_fields(fields, Values::Plain, errors);
            }
        }
        if let Some(labels) = below(sweep, "labels") {
            mend_fields(labels, Values::Tables, errors);
        }
        for key in ["points", "exclude"] {
            if let Some(Tree::Array(items)) = sweep.get_mut(key).map(|e| &mut e.value.value) {
                for item in items.iter_mut().filter_map(Node::as_table_mut) {
                    mend_fields(item, Values::Any, errors);
                }
            }
        }
    }
    for profile in tables(root, "profiles") {
        mend_fields(profile, Values::Any, errors);
    }
    for stage in tables(root, "stages") {
        if let Some(when) = below(stage, "when") {
            mend_fields(when, Values::Any, errors);
        }
    }
    for figure in tables(root, "figures") {
        if let Some(at) = below(figure, "at") {
            mend_fields(at, Values::Plain, errors);
        }
    }
}

/// What the fields of a section have as values.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Values {
    /// No tables.
    Plain,
    /// Tables of plain values.
    Tables,
    /// Tables too, which are written in braces.
    Any,
}

fn below<'t>(table: &'t mut Table, key: &str) -> Option<&'t mut Table> {
    table.get_mut(key)?.value.as_table_mut()
}

fn tables<'t>(root: &'t mut Table, key: &str) -> impl Iterator<Item = &'t mut Table> {
    let entries = below(root, key).map(|table| &mut table.entries);
    let entries = entries.into_iter().flatten();
    entries.filter_map(|entry| entry.value.as_table_mut())
}

fn mend_fields(fields: &mut Table, values: Values, errors: &mut Vec<Diagnostic>) {
    for entry in std::mem::take(&mut fields.entries) {
        if is_value(&entry.value, values) {
            fields.merge_entry(entry);
            continue;
        }
        let origin = entry.key_origin.clone();
        let mut leaves = Vec::new();
        flatten(entry, values, &mut Vec::new(), &mut leaves);
        for (path, value) in leaves {
            let path = dotted(&path);
            let message = format!("the path `{path}` stands without quotes");
            let hint = format!("put the path in quotes: `\"{path}\" = ...`");
            errors.push(Diagnostic::at(&origin, message).hint(hint));
            fields.merge_entry(Entry {
                key: path,
                key_origin: origin.clone(),
                value,
            });
        }
    }
}

/// Whether `node` may be the value of a field, and not a further part of its path.
fn is_value(node: &Node, values: Values) -> bool {
    let Some(table) = node.as_table() else {
        return true;
    };
    match values {
        Values::Plain => false,
        Values::Tables => table
            .entries
            .iter()
            .all(|each| each.value.as_table().is_none()),
        Values::Any => {
            let origin = &node.origin;
            origin.source.text[origin.span.start..].starts_with('{')
        }
    }
}

fn flatten(
    entry: Entry,
    values: Values,
    path: &mut Vec<String>,
    leaves: &mut Vec<(Vec<String>, Node)>,
) {
    path.push(entry.key);
    let whole = is_value(&entry.value, values);
    match entry.value.value {
        Tree::Table(table) if !whole => {
            for entry in table.entries {
                flatten(entry, values, path, leaves);
            }
        }
        value => {
            let origin = entry.value.origin;
            leaves.push((path.clone(), Node { value, origin }));
        }
    }
    path.pop();
}
