//! What tables and figures show of stages that are gone.

use super::gone::{Gone, names, plural};
use crate::manifest::error::Diagnostic;
use crate::manifest::references::{FIGURE_LISTS, entries_mut, items, of_figure, of_item, of_row};
use crate::manifest::source::Origin;
use crate::manifest::tree::{Entry, Node, Tree};

/// Takes the rows out of the tables, and the tables that have no other.
pub(super) fn take_rows(
    gone: &Gone,
    base: &mut Node,
    layer: &Node,
    errors: &mut Vec<Diagnostic>,
) -> Vec<String> {
    let mut told = Vec::new();
    let mut empty = Vec::new();
    for entry in entries_mut(base, "tables") {
        let over = own(layer, "tables", &entry.key);
        if over.is_some_and(|over| over.value.get("rows").is_some()) {
            continue;
        }
        let mut labels = Vec::new();
        let left = retain(&mut entry.value, "rows", |row| {
            let stays = !gone.breaks(&of_row(row), None);
            if !stays {
                let label = row.get("label").and_then(Node::as_str);
                labels.push(label.unwrap_or_default().to_owned());
            }
            stays
        });
        if labels.is_empty() {
            continue;
        }
        let table = &entry.key;
        match over {
            _ if left > 0 => {
                let rows = plural("row", &labels);
                told.push(format!("the {rows} {} of `{table}`", names(&labels)));
                if forget_labels(&mut entry.value, &labels) {
                    told.push(format!(
                        "the tests of `{table}`, since its baseline is gone"
                    ));
                }
            }
            Some(over) => errors.push(bare(gone, &over.key_origin, "table", table)),
            None => empty.push(table.clone()),
        }
    }
    told.extend(remove(base, "tables", &empty));
    told
}

/// Takes stages out of figures, and out figures that show nothing else.
pub(super) fn take_figures(
    gone: &Gone,
    base: &mut Node,
    layer: &Node,
    errors: &mut Vec<Diagnostic>,
) -> Vec<String> {
    let mut empty = Vec::new();
    for entry in entries_mut(base, "figures") {
        let over = own(layer, "figures", &entry.key);
        let of_over = over.map(|over| &over.value);
        let mut breaks = gone.breaks(&of_figure(&entry.value), of_over);
        for key in FIGURE_LISTS {
            let replaced = of_over.is_some_and(|over| over.get(key).is_some());
            let before = items(&entry.value, key).len();
            if !replaced && before > 0 {
                let stays = |item: &Node| !gone.breaks(&of_item(item), None);
                breaks |= retain(&mut entry.value, key, stays) == 0;
            }
        }
        match over {
            _ if !breaks => {}
            Some(over) => errors.push(bare(gone, &over.key_origin, "figure", &entry.key)),
            None => empty.push(entry.key.clone()),
        }
    }
    remove(base, "figures", &empty)
}

/// That nothing is left of something which the layer says something of.
fn bare(gone: &Gone, origin: &Origin, what: &str, name: &str) -> Diagnostic {
    let dropped = gone.dropped();
    let message = format!(
        "nothing is left of the {what} `{name}` without {}",
        names(&dropped)
    );
    let hint = format!("say what it shows, or take `[{what}s.{name}]` out");
    let cause = dropped.first().map_or("", String::as_str);
    gone.mistake(origin, message, cause).hint(hint)
}

/// The layer's own words on a table or a figure.
fn own<'n>(layer: &'n Node, section: &str, name: &str) -> Option<&'n Entry> {
    layer.get(section)?.as_table()?.get(name)
}

/// Keeps the items of the list at `key` that stay. How many those are.
fn retain(node: &mut Node, key: &str, stays: impl FnMut(&Node) -> bool) -> usize {
    let entry = node.as_table_mut().and_then(|table| table.get_mut(key));
    match entry.map(|entry| &mut entry.value.value) {
        Some(Tree::Array(items)) => {
            items.retain(stays);
            items.len()
        }
        _ => 0,
    }
}

/// Takes tables or figures out; what they were, for the note.
fn remove(base: &mut Node, section: &str, gone: &[String]) -> Vec<String> {
    if gone.is_empty() {
        return Vec::new();
    }
    let entry = base.as_table_mut().and_then(|root| root.get_mut(section));
    if let Some(table) = entry.and_then(|entry| entry.value.as_table_mut()) {
        table.entries.retain(|entry| !gone.contains(&entry.key));
    }
    let what = plural(section.trim_end_matches('s'), gone);
    vec![format!("the {what} {}", names(gone))]
}

/// Takes out what a table says of rows that are gone. Whether one of them was the row that others are tested against.
fn forget_labels(table: &mut Node, gone: &[String]) -> bool {
    let is_gone = |node: &Node| node.as_str().is_some_and(|l| gone.iter().any(|g| g == l));
    let Some(entries) = table.as_table_mut() else {
        return false;
    };
    let baseline = entries.get("baseline");
    let untested = baseline.is_some_and(|entry| is_gone(&entry.value));
    if untested {
        entries.remove("baseline");
        entries.remove("tests");
    }
    if let Some(tests) = entries.get_mut("tests")
        && !items(&tests.value, "rows").is_empty()
        && retain(&mut tests.value, "rows", |row| !is_gone(row)) == 0
    {
        entries.remove("tests");
    }
    // A published row is named as it is printed: the values of the sweep's axes, then the label.
    let of_gone = |row: &str| {
        gone.iter().any(|label| {
            row.strip_suffix(label.as_str())
                .is_some_and(|axes| axes.is_empty() || axes.ends_with(" / "))
        })
    };
    if let Some(reported) = entries.get_mut("reported") {
        retain(&mut reported.value, "values", |value| {
            !value.get("row").and_then(Node::as_str).is_some_and(of_gone)
        });
    }
    untested
}
