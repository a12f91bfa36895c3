//! `stages.NAME = false`: a manifest does without a stage of the one that it extends.
//!
//! In: what is below, already merged, and the layer on top of it, which may drop stages. Out: both without them. What is below
//! and cannot be without them goes too: stages that read one, rows of tables, figures, fields of profiles. What the layer
//! itself says of a stage that is gone is a mistake, told at its place.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::error::Diagnostic;
use super::nearest::{list, suggest};
use super::place::Field;
use super::references::{FIGURE_LISTS, Reference, entries, of_figure, of_item, of_row};
use super::references::{of_rounds, of_stage};
use super::source::Origin;
use super::sugar::SUGAR;
use super::tree::{Entry, Node, Table, Tree};
use crate::stage::Stage;

/// Takes out of `base` what `layer` drops, and out of `layer` that it does so. What went with it, to be told.
pub(super) fn apply(
    base: &mut Node,
    layer: &mut Node,
    kinds: &[&'static dyn Stage],
    errors: &mut Vec<Diagnostic>,
) -> Option<String> {
    let dropped = take(layer);
    if dropped.is_empty() {
        return None;
    }
    let gone = Gone::find(base, layer, dropped, kinds, errors);
    gone.refuse_own(layer, kinds, errors);
    let mut with = gone.take_stages(base);
    gone.take_profile_fields(base);
    with.extend(gone.take_rows(base, layer, errors));
    with.extend(gone.take_figures(base, layer, errors));
    gone.note(&with)
}

/// A layer that drops a stage, where the field of that value says so.
pub(super) fn layer(keys: &[String], value: &Node) -> Option<Node> {
    let is_stage = match keys {
        [section, _] => section == "stages",
        [section] => is_sugar(section),
        _ => false,
    };
    if !is_stage || !matches!(value.value, Tree::Bool(false)) {
        return None;
    }
    let wrap = |inner: Node, key: &String| Node {
        origin: value.origin.clone(),
        value: Tree::Table(Table {
            entries: vec![Entry {
                key: key.clone(),
                key_origin: value.origin.clone(),
                value: inner,
            }],
        }),
    };
    Some(keys.iter().rev().fold(value.clone(), wrap))
}

/// Lets a stage be `false` in a file that extends another, in that file's schema.
///
/// The properties of the schema are those of such a file.
pub(super) fn allow(properties: &mut Value) {
    let or_false = |schema: &mut Value| {
        *schema = json!({
            "if": { "type": "boolean" },
            "then": { "const": false, "description": "Do without this stage, and with all that reads it." },
            "else": schema.take(),
        });
    };
    for (section, _) in SUGAR {
        properties.get_mut(section).map(or_false);
    }
    for section in ["stages", "rounds"] {
        let each = properties.get_mut(section);
        each.and_then(|section| section.get_mut("additionalProperties"))
            .map(or_false);
    }
}

/// Takes the stages that are `false` out of a layer.
fn take(layer: &mut Node) -> BTreeMap<String, Origin> {
    let mut dropped = BTreeMap::new();
    let Some(root) = layer.as_table_mut() else {
        return dropped;
    };
    let mut take = |table: &mut Table, any: bool| {
        table.entries.retain(|entry| {
            let is =
                matches!(entry.value.value, Tree::Bool(false)) && (any || is_sugar(&entry.key));
            if is {
                dropped.insert(entry.key.clone(), entry.key_origin.clone());
            }
            !is
        });
    };
    take(root, false);
    for section in ["stages", "rounds"] {
        if let Some(table) = root
            .get_mut(section)
            .and_then(|entry| entry.value.as_table_mut())
        {
            take(table, true);
        }
    }
    dropped
}

fn is_sugar(section: &str) -> bool {
    SUGAR.iter().any(|(name, _)| *name == section)
}

/// The entries that are stages, or short for stages.
fn stages(tree: &Node) -> impl Iterator<Item = &Entry> {
    let root = tree.as_table().map_or(&[][..], |table| &table.entries);
    let sections = root.iter().filter(|entry| is_sugar(&entry.key));
    let stages = entries(tree, "stages").iter();
    sections.chain(stages).chain(entries(tree, "rounds"))
}

/// What the stages of `tree`, as far as `over` says nothing else, name.
fn reads<'n>(
    tree: &'n Node,
    over: Option<&Node>,
    kinds: &[&'static dyn Stage],
) -> Vec<(&'n Entry, Vec<Reference<'n>>)> {
    let mut found = Vec::new();
    for entry in entries(tree, "stages") {
        let over = over.and_then(|over| over.get("stages")?.get(&entry.key));
        let kind = over.and_then(|over| over.get("kind"));
        let kind = kind.or_else(|| entry.value.get("kind"));
        let kind = kind.and_then(Node::as_str);
        let kind = kinds.iter().find(|each| Some(each.name()) == kind);
        let mut names = kind.map_or_else(Vec::new, |kind| of_stage(&entry.value, *kind));
        names.retain(|name| over.is_none_or(|over| over.get(name.key).is_none()));
        found.push((entry, names));
    }
    for entry in entries(tree, "rounds") {
        let over = over.and_then(|over| over.get("rounds")?.get(&entry.key));
        let mut names = of_rounds(&entry.value);
        names.retain(|name| over.is_none_or(|over| over.get(name.key).is_none()));
        found.push((entry, names));
    }
    found
}

/// The stages that are there no longer.
struct Gone {
    /// Those that the layer drops, and where it says so.
    dropped: BTreeMap<String, Origin>,
    /// By each that went with one, the dropped one.
    with: BTreeMap<String, String>,
    /// Those that are in the layer by another spelling (`student = false` and `[stages.student]`), so nobody misses them.
    replaced: BTreeSet<String>,
}

impl Gone {
    /// Follows what reads a dropped stage in `base`.
    fn find(
        base: &Node,
        layer: &Node,
        mut dropped: BTreeMap<String, Origin>,
        kinds: &[&'static dyn Stage],
        errors: &mut Vec<Diagnostic>,
    ) -> Self {
        let read = reads(base, Some(layer), kinds);
        let mut readers: BTreeMap<&str, Vec<(&str, Reference<'_>)>> = BTreeMap::new();
        for (entry, names) in &read {
            for name in names {
                let readers = readers.entry(name.stage()).or_default();
                readers.push((entry.key.as_str(), *name));
            }
        }
        let known: Vec<&str> = stages(base).map(|entry| entry.key.as_str()).collect();
        dropped.retain(|name, origin| {
            // A base may leave it to others to declare a stage that it reads.
            let there = known.contains(&name.as_str()) || readers.contains_key(name.as_str());
            if !there {
                let message = format!("there is no stage `{name}` to drop in what this extends");
                let hint = suggest(name, known.iter().copied(), "stages")
                    .unwrap_or_else(|| "it extends nothing: take the stage out".to_owned());
                errors.push(Diagnostic::at(origin, message).hint(hint));
            }
            there
        });
        let own: BTreeMap<&str, &Entry> = stages(layer)
            .map(|entry| (entry.key.as_str(), entry))
            .collect();
        let replaced = |name: &&String| own.contains_key(name.as_str());
        let replaced: BTreeSet<String> = dropped.keys().filter(replaced).cloned().collect();
        let mut gone = Self {
            with: BTreeMap::new(),
            replaced,
            dropped,
        };
        let first = gone.dropped.keys().filter(|name| gone.misses(name));
        let mut open: Vec<(String, String)> = first.map(|n| (n.clone(), n.clone())).collect();
        while let Some((name, cause)) = open.pop() {
            for (reader, port) in readers.get(name.as_str()).into_iter().flatten() {
                if gone.misses(reader) {
                    continue;
                }
                if let Some(entry) = own.get(reader) {
                    let message = format!(
                        "`{reader}` reads `{name}` by its `{}`, and {}",
                        port.key,
                        gone.why(&name, &cause)
                    );
                    let hint = format!(
                        "drop it too (`stages.{reader} = false`), or give it another `{}`",
                        port.key
                    );
                    errors.push(gone.mistake(&entry.key_origin, message, &cause).hint(hint));
                } else {
                    gone.with.insert((*reader).to_owned(), cause.clone());
                    open.push(((*reader).to_owned(), cause.clone()));
                }
            }
        }
        gone
    }

    /// Whether a stage is gone without another in its place.
    fn misses(&self, name: &str) -> bool {
        self.with.contains_key(name)
            || self.dropped.contains_key(name) && !self.replaced.contains(name)
    }

    /// Whether one of `references` names a stage that is missed.
    fn breaks(&self, references: &[Reference<'_>], over: Option<&Node>) -> bool {
        let own = |key: &str| over.is_some_and(|over| over.get(key).is_some());
        let mut open = references.iter().filter(|name| !own(name.key));
        open.any(|name| self.misses(name.stage()))
    }

    fn why(&self, name: &str, cause: &str) -> String {
        if name == cause {
            "that is dropped".to_owned()
        } else {
            format!("that went with `{cause}`, which is dropped")
        }
    }

    fn mistake(&self, origin: &Origin, message: String, cause: &str) -> Diagnostic {
        let mut error = Diagnostic::at(origin, message);
        if let Some(dropped) = self.dropped.get(cause) {
            error
                .related
                .push((dropped.clone(), "dropped here".to_owned()));
        }
        error
    }

    /// What the layer names itself must be there.
    fn refuse_own(&self, layer: &Node, kinds: &[&'static dyn Stage], errors: &mut Vec<Diagnostic>) {
        let mut named: Vec<Reference<'_>> = Vec::new();
        named.extend(reads(layer, None, kinds).into_iter().flat_map(|(_, n)| n));
        for table in entries(layer, "tables") {
            named.extend(items(&table.value, "rows").iter().flat_map(of_row));
        }
        for figure in entries(layer, "figures") {
            named.extend(of_figure(&figure.value));
            let lists = FIGURE_LISTS.iter();
            let items = lists.flat_map(|key| items(&figure.value, key));
            named.extend(items.flat_map(of_item));
        }
        for name in named.iter().filter(|name| self.misses(name.stage())) {
            let stage = name.stage();
            let cause = self.with.get(stage).map_or(stage, String::as_str);
            let message = format!("there is no `{stage}`: {}", self.why(stage, cause));
            let hint = format!("name another stage, or keep `{cause}`");
            errors.push(self.mistake(&name.node.origin, message, cause).hint(hint));
        }
    }

    /// Takes the stages out. Those that went with others, for the note.
    fn take_stages(&self, base: &mut Node) -> Vec<String> {
        let is_gone = |name: &str| self.dropped.contains_key(name) || self.with.contains_key(name);
        let all = stages(base).map(|entry| entry.key.clone());
        let with: Vec<String> = all.filter(|name| self.with.contains_key(name)).collect();
        if let Some(root) = base.as_table_mut() {
            root.entries
                .retain(|entry| !(is_sugar(&entry.key) && is_gone(&entry.key)));
            for section in ["stages", "rounds"] {
                let table = root.get_mut(section);
                if let Some(table) = table.and_then(|entry| entry.value.as_table_mut()) {
                    table.entries.retain(|entry| !is_gone(&entry.key));
                }
            }
        }
        if with.is_empty() {
            return Vec::new();
        }
        vec![format!("the {} {}", plural("stage", &with), names(&with))]
    }

    /// Takes the fields of stages that are gone out of the profiles.
    fn take_profile_fields(&self, base: &mut Node) {
        let is_of_gone = |entry: &Entry| match Field::parse(&entry.key, &entry.key_origin) {
            Ok(field) => match field.keys.as_slice() {
                [section, name, ..] if section == "stages" => self.misses(name),
                [section, ..] => is_sugar(section) && self.misses(section),
                [] => false,
            },
            Err(_) => false, // told where profiles are read
        };
        for profile in entries_mut(base, "profiles") {
            if let Some(fields) = profile.value.as_table_mut() {
                fields.entries.retain(|entry| !is_of_gone(entry));
            }
        }
    }

    /// Takes the rows out of the tables, and the tables that have no other.
    fn take_rows(
        &self,
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
                let stays = !self.breaks(&of_row(row), None);
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
                Some(over) => errors.push(self.bare(&over.key_origin, "table", table)),
                None => empty.push(table.clone()),
            }
        }
        told.extend(remove(base, "tables", &empty));
        told
    }

    /// Takes stages out of figures, and out figures that show nothing else.
    fn take_figures(
        &self,
        base: &mut Node,
        layer: &Node,
        errors: &mut Vec<Diagnostic>,
    ) -> Vec<String> {
        let mut empty = Vec::new();
        for entry in entries_mut(base, "figures") {
            let over = own(layer, "figures", &entry.key);
            let of_over = over.map(|over| &over.value);
            let mut breaks = self.breaks(&of_figure(&entry.value), of_over);
            for key in FIGURE_LISTS {
                let replaced = of_over.is_some_and(|over| over.get(key).is_some());
                let before = items(&entry.value, key).len();
                if !replaced && before > 0 {
                    let stays = |item: &Node| !self.breaks(&of_item(item), None);
                    breaks |= retain(&mut entry.value, key, stays) == 0;
                }
            }
            match over {
                _ if !breaks => {}
                Some(over) => errors.push(self.bare(&over.key_origin, "figure", &entry.key)),
                None => empty.push(entry.key.clone()),
            }
        }
        remove(base, "figures", &empty)
    }

    /// That nothing is left of something which the layer says something of.
    fn bare(&self, origin: &Origin, what: &str, name: &str) -> Diagnostic {
        let dropped: Vec<&str> = self.dropped.keys().map(String::as_str).collect();
        let message = format!(
            "nothing is left of the {what} `{name}` without {}",
            list(dropped)
        );
        let hint = format!("say what it shows, or take `[{what}s.{name}]` out");
        let cause = self.dropped.keys().next().map_or("", String::as_str);
        self.mistake(origin, message, cause).hint(hint)
    }

    /// What went with what was dropped.
    fn note(&self, with: &[String]) -> Option<String> {
        if with.is_empty() {
            return None;
        }
        let dropped: Vec<String> = self.dropped.keys().cloned().collect();
        let (are, them) = match dropped.len() {
            1 => ("is", "it"),
            _ => ("are", "them"),
        };
        Some(format!(
            "{} {are} dropped, and with {them} {}",
            names(&dropped),
            with.join("; ")
        ))
    }
}

/// The layer's own words on a table or a figure.
fn own<'n>(layer: &'n Node, section: &str, name: &str) -> Option<&'n Entry> {
    layer.get(section)?.as_table()?.get(name)
}

/// The items of a list at `key`; none where there is no list.
fn items<'n>(node: &'n Node, key: &str) -> &'n [Node] {
    match node.get(key).map(|node| &node.value) {
        Some(Tree::Array(items)) => items,
        _ => &[],
    }
}

fn entries_mut<'n>(node: &'n mut Node, key: &str) -> &'n mut [Entry] {
    let entry = node.as_table_mut().and_then(|table| table.get_mut(key));
    let table = entry.and_then(|entry| entry.value.as_table_mut());
    table.map_or(&mut [], |table| &mut table.entries)
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

fn names(names: &[String]) -> String {
    list(names.iter().map(String::as_str))
}

fn plural(what: &str, of: &[String]) -> String {
    format!("{what}{}", if of.len() == 1 { "" } else { "s" })
}
