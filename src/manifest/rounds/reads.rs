//! What the stages of a tree read, before their references are resolved.

use std::collections::{BTreeMap, BTreeSet};

use super::GATHERED;
use crate::artifact::ArtifactKind;
use crate::manifest::stage_name::split_reference;
use crate::manifest::sugar::SUGAR;
use crate::manifest::tree::{Entry, Node};
use crate::stage::{Output, Port, Split, Stage};

/// The stages of a tree by name.
pub(super) struct Stages<'n> {
    pub(super) entries: &'n [Entry],
    kinds: BTreeMap<&'n str, &'static dyn Stage>,
    /// By stage, each input with the text that names what it reads.
    reads: BTreeMap<&'n str, Vec<(&'static Port, &'n str)>>,
}

impl<'n> Stages<'n> {
    pub(super) fn new(tree: &'n Node, kinds: &[&'static dyn Stage]) -> Self {
        let find = |name: &str| kinds.iter().copied().find(|kind| kind.name() == name);
        let entries = tree.get("stages").and_then(Node::as_table);
        let entries = entries.map_or(&[][..], |table| &table.entries);
        let mut stages = Self {
            entries,
            kinds: BTreeMap::new(),
            reads: BTreeMap::new(),
        };
        for (section, kind) in SUGAR {
            if tree.get(section).is_some() {
                stages.kinds.extend(find(kind).map(|kind| (section, kind)));
            }
        }
        for entry in entries {
            let kind = entry.value.get("kind").and_then(Node::as_str);
            stages
                .kinds
                .extend(kind.and_then(find).map(|kind| (entry.key.as_str(), kind)));
        }
        for entry in entries {
            let ports = stages.kind(&entry.key).map_or(&[][..], Stage::inputs);
            let mut reads = Vec::new();
            for port in ports {
                match entry.value.get(port.name) {
                    Some(written) => {
                        let texts = written.items().iter().filter_map(Node::as_str);
                        reads.extend(texts.map(|text| (port, text)));
                    }
                    None => reads.extend(port.default.map(|text| (port, text))),
                }
            }
            stages.reads.insert(&entry.key, reads);
        }
        stages
    }

    pub(super) fn kind(&self, name: &str) -> Option<&'static dyn Stage> {
        self.kinds.get(name).copied()
    }

    /// Whether `[stages]` has it.
    pub(super) fn has(&self, name: &str) -> bool {
        self.reads.contains_key(name)
    }

    /// Whether there is a stage or a section of that name.
    pub(super) fn is_taken(&self, name: &str) -> bool {
        self.has(name) || self.kinds.contains_key(name)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &'n str> {
        self.entries.iter().map(|entry| entry.key.as_str())
    }

    /// Each input of a stage with the text that names what it reads.
    pub(super) fn reads(&self, name: &str) -> &[(&'static Port, &'n str)] {
        self.reads.get(name).map_or(&[], Vec::as_slice)
    }

    /// The stage `from` and all that it needs.
    pub(super) fn needed<'s>(&'s self, from: &'s str) -> BTreeSet<&'s str> {
        let (mut open, mut found) = (vec![from], BTreeSet::from([from]));
        while let Some(name) = open.pop() {
            let before = self.reads(name).iter().map(|(_, text)| stage_of(text));
            open.extend(before.filter(|name| found.insert(*name)));
        }
        found
    }

    /// The stages that read one of `from`, or one that does, and so on; not `from` themselves, unless they do.
    pub(super) fn behind(&self, from: &BTreeSet<&str>) -> BTreeSet<&'n str> {
        let mut readers: BTreeMap<&str, Vec<&'n str>> = BTreeMap::new();
        for (reader, reads) in &self.reads {
            for (_, text) in reads {
                readers.entry(stage_of(text)).or_default().push(*reader);
            }
        }
        let mut found = BTreeSet::new();
        let mut open: Vec<&str> = from.iter().copied().collect();
        while let Some(name) = open.pop() {
            for reader in readers.get(name).into_iter().flatten().copied() {
                if found.insert(reader) {
                    open.push(reader);
                }
            }
        }
        found
    }

    /// Which questions a stage takes: those of the data set that come to it, through whatever stages.
    pub(super) fn splits(&self, name: &str) -> BTreeSet<&'static str> {
        let (mut open, mut seen) = (vec![name], BTreeSet::new());
        let mut splits = BTreeSet::new();
        while let Some(name) = open.pop() {
            let questions = (self.reads(name).iter())
                .filter(|(port, _)| port.accepts == ArtifactKind::Questions);
            for (_, text) in questions {
                match self.output(text).and_then(|output| output.split) {
                    Some(split) => {
                        splits.insert(called(split));
                    }
                    None if seen.insert(*text) => open.push(split_reference(text).0),
                    None => {}
                }
            }
        }
        splits
    }

    /// The output that a reference names.
    pub(super) fn output(&self, text: &str) -> Option<&'static Output> {
        let (stage, output) = split_reference(text);
        let outputs = self.kind(stage)?.outputs();
        match output {
            None => outputs.first(),
            Some(name) => outputs.iter().find(|output| output.name == name),
        }
    }
}

/// The name of the validation questions.
pub(super) const VALIDATION: &str = "validation";

fn called(split: Split) -> &'static str {
    match split {
        Split::Train => "training",
        Split::Validation => VALIDATION,
        Split::Test => "test",
        Split::All => "all",
    }
}

/// The stage whose output of this and all earlier rounds a reference gathers, if it does: `rounds.kept`.
pub(super) fn gathered(text: &str) -> Option<&str> {
    match split_reference(text) {
        (GATHERED, stage) => stage,
        _ => None,
    }
}

/// The stage that a reference names.
pub(in crate::manifest) fn stage_of(text: &str) -> &str {
    gathered(text).unwrap_or(split_reference(text).0)
}
