//! `[profiles.NAME]` and `--profile NAME`: named sets of changed fields, for example a small trial of a large experiment.

use super::drop;
use super::error::Diagnostic;
use super::nearest::suggest;
use super::place::Field;
use super::source::{Origin, SourceText};
use super::tree::{Node, Table};
use crate::stage::Stage;

/// Takes the profiles out of `tree` and lays the one called `wanted` on it; adds what is wrong, and what is to be told.
pub(super) fn apply(
    tree: &mut Node,
    wanted: Option<&str>,
    kinds: &[&'static dyn Stage],
    (errors, notes): (&mut Vec<Diagnostic>, &mut Vec<String>),
) {
    let profiles = tree.as_table_mut().and_then(|root| root.remove("profiles"));
    let Some(wanted) = wanted else {
        return;
    };
    let profiles = profiles.map(|entry| entry.value);
    let known = profiles.as_ref().and_then(Node::as_table);
    let profile = known.and_then(|known| known.get(wanted));
    let Some(profile) = profile.and_then(|entry| entry.value.as_table()) else {
        let argument = std::sync::Arc::new(SourceText {
            name: "--profile".to_owned(),
            text: wanted.to_owned(),
            rank: super::source::ARGUMENTS,
        });
        let message = format!("this manifest has no profile `{wanted}`");
        let names: Vec<&str> = known.map_or_else(Vec::new, |known| known.keys().collect());
        let hint = suggest(wanted, names, "profiles")
            .unwrap_or_else(|| format!("add a section `[profiles.{wanted}]`"));
        errors.push(Diagnostic::at(&Origin::new(&argument, 0..wanted.len()), message).hint(hint));
        return;
    };
    for (field, value) in fields(profile, errors) {
        if let Some(mut layer) = drop::layer(&field.keys, value) {
            notes.extend(drop::apply(tree, &mut layer, kinds, errors));
        } else if let Err(error) = field.place(tree, value.clone()) {
            errors.push(*error);
        }
    }
}

/// The fields that a profile changes.
fn fields<'p>(profile: &'p Table, errors: &mut Vec<Diagnostic>) -> Vec<(Field, &'p Node)> {
    let mut fields = Vec::new();
    for entry in &profile.entries {
        let field = match Field::parse(&entry.key, &entry.key_origin) {
            Ok(field) => field,
            Err(error) => {
                errors.push(*error);
                continue;
            }
        };
        if ["extends", "profiles"].contains(&field.keys[0].as_str()) {
            errors.push(Diagnostic::at(
                &entry.key_origin,
                format!("a profile cannot change `{}`", field.keys[0]),
            ));
            continue;
        }
        fields.push((field, &entry.value));
    }
    fields
}
