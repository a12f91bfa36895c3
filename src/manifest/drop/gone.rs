//! Which stages are gone with those that are dropped.

use std::collections::{BTreeMap, BTreeSet};

use crate::manifest::error::Diagnostic;
use crate::manifest::nearest::{list, suggest};
use crate::manifest::place::Field;
use crate::manifest::references::{
    FIGURE_LISTS, Reference, entries, entries_mut, items, of_figure, of_item, of_rounds, of_row,
    of_stage,
};
use crate::manifest::source::Origin;
use crate::manifest::sugar::SUGAR;
use crate::manifest::tree::{Entry, Node};
use crate::stage::Stage;

pub(super) fn is_sugar(section: &str) -> bool {
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
pub(super) struct Gone {
    /// Those that the layer drops, and where it says so.
    dropped: BTreeMap<String, Origin>,
    /// By each that went with one, the dropped one.
    with: BTreeMap<String, String>,
    /// Those that are in the layer by another spelling (`student = false` and `[stages.student]`), so nobody misses them.
    replaced: BTreeSet<String>,
}

impl Gone {
    /// Follows what reads a dropped stage in `base`.
    pub(super) fn find(
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
                        why(&name, &cause)
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
    pub(super) fn breaks(&self, references: &[Reference<'_>], over: Option<&Node>) -> bool {
        let own = |key: &str| over.is_some_and(|over| over.get(key).is_some());
        let mut open = references.iter().filter(|name| !own(name.key));
        open.any(|name| self.misses(name.stage()))
    }

    pub(super) fn mistake(&self, origin: &Origin, message: String, cause: &str) -> Diagnostic {
        let mut error = Diagnostic::at(origin, message);
        if let Some(dropped) = self.dropped.get(cause) {
            error
                .related
                .push((dropped.clone(), "dropped here".to_owned()));
        }
        error
    }

    /// What the layer names itself must be there.
    pub(super) fn refuse_own(
        &self,
        layer: &Node,
        kinds: &[&'static dyn Stage],
        errors: &mut Vec<Diagnostic>,
    ) {
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
            let message = format!("there is no `{stage}`: {}", why(stage, cause));
            let hint = format!("name another stage, or keep `{cause}`");
            errors.push(self.mistake(&name.node.origin, message, cause).hint(hint));
        }
    }

    /// Takes the stages out. Those that went with others, for the note.
    pub(super) fn take_stages(&self, base: &mut Node) -> Vec<String> {
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
    pub(super) fn take_profile_fields(&self, base: &mut Node) {
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

    /// The names of those that are dropped.
    pub(super) fn dropped(&self) -> Vec<String> {
        self.dropped.keys().cloned().collect()
    }

    /// What went with what was dropped.
    pub(super) fn note(&self, with: &[String]) -> Option<String> {
        if with.is_empty() {
            return None;
        }
        let dropped = self.dropped();
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

/// Why a stage is not there.
fn why(name: &str, cause: &str) -> String {
    if name == cause {
        "that is dropped".to_owned()
    } else {
        format!("that went with `{cause}`, which is dropped")
    }
}

pub(super) fn names(names: &[String]) -> String {
    list(names.iter().map(String::as_str))
}

pub(super) fn plural(what: &str, of: &[String]) -> String {
    format!("{what}{}", if of.len() == 1 { "" } else { "s" })
}
