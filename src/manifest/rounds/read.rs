//! `[rounds]` of a tree, as far as it is right: what does not fit the schema was told.

use crate::manifest::source::Origin;
use crate::manifest::tree::{Entry, Node, Table, Tree};

/// A section `[rounds.NAME]`, as it is written.
pub(super) struct Rounds<'n> {
    pub(super) name: &'n str,
    /// Where its name was written.
    pub(super) origin: &'n Origin,
    pub(super) count: usize,
    /// By input, the stage of the round before that it reads.
    pub(super) carry: Vec<(&'n Entry, &'n str)>,
    /// Whether each round trains what the first one does.
    pub(super) from_base: bool,
    /// The stages, where they are named.
    pub(super) stages: Vec<(&'n Node, &'n str)>,
    pub(super) stop: Option<&'n Table>,
    node: &'n Node,
}

impl<'n> Rounds<'n> {
    /// The sections of `rounds`, in order of declaration.
    pub(super) fn all(rounds: &'n Node) -> Vec<Self> {
        let entries = rounds.as_table().map_or(&[][..], |table| &table.entries);
        let tables = entries
            .iter()
            .filter(|entry| entry.value.as_table().is_some());
        tables.map(Self::read).collect()
    }

    fn read(entry: &'n Entry) -> Self {
        let node = &entry.value;
        let count = match node.get("count").map(|node| &node.value) {
            Some(Tree::Integer(count)) => usize::try_from(*count).unwrap_or_default(),
            _ => 1,
        };
        let carry = node.get("carry").and_then(Node::as_table);
        let carry = carry.map_or(&[][..], |table| &table.entries).iter();
        let stages = node.get("stages").map_or(&[][..], Node::items).iter();
        Self {
            name: &entry.key,
            origin: &entry.key_origin,
            count,
            carry: carry
                .filter_map(|entry| Some((entry, entry.value.as_str()?)))
                .collect(),
            from_base: node.get("start").and_then(Node::as_str) == Some("base"),
            stages: stages
                .filter_map(|node| Some((node, node.as_str()?)))
                .collect(),
            stop: node.get("stop").and_then(Node::as_table),
            node,
        }
    }

    /// Where a key was written, or else the section.
    pub(super) fn at(&self, key: &str) -> &'n Origin {
        self.node.get(key).map_or(self.origin, |node| &node.origin)
    }

    /// The keys that lead to it.
    pub(super) fn path(&self) -> Vec<String> {
        vec!["rounds".to_owned(), self.name.to_owned()]
    }
}
