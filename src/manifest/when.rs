//! `when` of a stage: the stage is there only where fields of the manifest have these values.
//!
//! In a sweep over data sets, a recording that exists for one of them is a stage of that one's points; a table's
//! row that names it is a hole at the others, and says so.

use std::collections::BTreeMap;

use super::error::Diagnostic;
use super::place::Field;
use super::tree::{Node, Tree};

/// The stages that were left out, each with the reason.
pub(super) type LeftOut = BTreeMap<String, String>;

/// Takes the stages whose `when` does not hold out of `tree`, and `when` out of the others.
pub(super) fn apply(tree: &mut Node, errors: &mut Vec<Diagnostic>) -> LeftOut {
    let mut left_out = LeftOut::new();
    // Conditions hold for the manifest as it was, in whatever order stages are taken out of it.
    let whole = tree.clone();
    let Some(stages) = tree
        .as_table_mut()
        .and_then(|root| root.get_mut("stages"))
        .and_then(|stages| stages.value.as_table_mut())
    else {
        return left_out;
    };
    for stage in &mut stages.entries {
        let when = stage
            .value
            .as_table_mut()
            .and_then(|own| own.remove("when"));
        let conditions = when.as_ref().and_then(|entry| entry.value.as_table());
        for condition in conditions.into_iter().flat_map(|table| &table.entries) {
            match Field::parse(&condition.key, &condition.key_origin) {
                Ok(field) => {
                    let found = field.get(&whole);
                    if !holds(found, &condition.value) {
                        let wanted = super::words::plain(&condition.value.to_json());
                        let reason = format!(
                            "`{}` is there only where `{}` is `{wanted}`",
                            stage.key, field.text
                        );
                        left_out.entry(stage.key.clone()).or_insert(reason);
                    }
                }
                Err(error) => errors.push(*error),
            }
        }
    }
    stages
        .entries
        .retain(|stage| !left_out.contains_key(&stage.key));
    left_out
}

fn holds(found: Option<&Node>, wanted: &Node) -> bool {
    let Some(found) = found else { return false };
    match &wanted.value {
        Tree::Array(any) => any
            .iter()
            .any(|each| super::words::equal(&each.to_json(), found)),
        _ => super::words::equal(&wanted.to_json(), found),
    }
}
