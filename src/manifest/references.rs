//! Where in a section stages are named, before it is known whether what is named is there.
//!
//! In: the entry of a stage, of rounds, a row of a table, a figure. Out: the nodes that name stages, each under the key of the
//! entry that it stands in.

use super::rounds::stage_of;
use super::tree::{Entry, Node, Tree};
use crate::stage::Stage;

/// A text that names a stage.
#[derive(Clone, Copy)]
pub(super) struct Reference<'n> {
    /// The key that it stands under, for example a port.
    pub(super) key: &'n str,
    /// The text.
    pub(super) node: &'n Node,
}

impl<'n> Reference<'n> {
    /// The stage that it names.
    pub(super) fn stage(&self) -> &'n str {
        self.node.as_str().map_or("", stage_of)
    }
}

/// What a stage's ports name.
pub(super) fn of_stage<'n>(stage: &'n Node, kind: &'static dyn Stage) -> Vec<Reference<'n>> {
    let ports = kind.inputs().iter();
    let fed = ports.filter_map(|port| Some((port.name, stage.get(port.name)?)));
    fed.flat_map(|(key, node)| texts(key, node)).collect()
}

/// What a section `[rounds.NAME]` names.
pub(super) fn of_rounds(rounds: &Node) -> Vec<Reference<'_>> {
    let carried = entries(rounds, "carry").iter().map(|entry| &entry.value);
    let mut found: Vec<_> = carried.flat_map(|node| texts("carry", node)).collect();
    found.extend(
        rounds
            .get("stages")
            .into_iter()
            .flat_map(|n| texts("stages", n)),
    );
    let eval = rounds.get("stop").and_then(|stop| stop.get("eval"));
    found.extend(eval.into_iter().flat_map(|node| texts("stop", node)));
    found
}

/// What a row of a table, a row of a curve or a series of paths names.
pub(super) fn of_row(row: &Node) -> Vec<Reference<'_>> {
    let single = ["eval", "paths"]
        .into_iter()
        .filter_map(|key| Some((key, row.get(key)?)));
    let figures = entries(row, "figures").iter();
    let figures = figures.map(|entry| ("figures", &entry.value));
    single
        .chain(figures)
        .flat_map(|(key, node)| texts(key, node))
        .collect()
}

/// The keys of a figure under which a list stands whose items each name a stage.
pub(super) const FIGURE_LISTS: [&str; 3] = ["rows", "series", "trainings"];

/// What an item of one of [`FIGURE_LISTS`] names.
pub(super) fn of_item(item: &Node) -> Vec<Reference<'_>> {
    if item.as_str().is_some() {
        texts("trainings", item)
    } else {
        of_row(item)
    }
}

/// What a figure names beside its lists.
pub(super) fn of_figure(figure: &Node) -> Vec<Reference<'_>> {
    let single = ["eval", "filter"].into_iter();
    let single = single.filter_map(|key| Some((key, figure.get(key)?)));
    single.flat_map(|(key, node)| texts(key, node)).collect()
}

/// The entries of a table at `key`; none where there is no table.
pub(super) fn entries<'n>(node: &'n Node, key: &str) -> &'n [Entry] {
    let table = node.get(key).and_then(Node::as_table);
    table.map_or(&[], |table| &table.entries)
}

/// The items of a list at `key`; none where there is no list.
pub(super) fn items<'n>(node: &'n Node, key: &str) -> &'n [Node] {
    match node.get(key).map(|node| &node.value) {
        Some(Tree::Array(items)) => items,
        _ => &[],
    }
}

/// The entries of a table at `key`, to change; none where there is no table.
pub(super) fn entries_mut<'n>(node: &'n mut Node, key: &str) -> &'n mut [Entry] {
    let entry = node.as_table_mut().and_then(|table| table.get_mut(key));
    let table = entry.and_then(|entry| entry.value.as_table_mut());
    table.map_or(&mut [], |table| &mut table.entries)
}

fn texts<'n>(key: &'n str, node: &'n Node) -> Vec<Reference<'n>> {
    let texts = node.items().iter().filter(|item| item.as_str().is_some());
    texts.map(|node| Reference { key, node }).collect()
}
