//! `stages.NAME = false`: a manifest does without a stage of the one that it extends.
//!
//! In: what is below, already merged, and the layer on top of it, which may drop stages. Out: both without them. What is below
//! and cannot be without them goes too: stages that read one, rows of tables, figures, fields of profiles. What the layer
//! itself says of a stage that is gone is a mistake, told at its place.

mod gone;
mod shown;

use std::collections::BTreeMap;

use self::gone::{Gone, is_sugar};
use super::error::Diagnostic;
use super::source::Origin;
use super::tree::{Entry, Node, Table, Tree};
use crate::stage::Stage;

/// Takes out of `base` what `layer` drops, and out of `layer` that it does so. What went with it, to be told.
pub(in crate::manifest) fn apply(
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
    with.extend(shown::take_rows(&gone, base, layer, errors));
    with.extend(shown::take_figures(&gone, base, layer, errors));
    gone.note(&with)
}

/// A layer that drops a stage, where the field of that value says so.
pub(in crate::manifest) fn layer(keys: &[String], value: &Node) -> Option<Node> {
    let is_stage = match keys {
        [section, _] => section == "stages" || section == "rounds",
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
