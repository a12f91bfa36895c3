//! `[profiles.NAME]` and `--profile NAME`: named sets of changed fields, for example a small trial of a large experiment.

use super::error::Diagnostic;
use super::nearest::suggest;
use super::place::Field;
use super::source::{Origin, SourceText};
use super::tree::{Node, Table};

/// Takes the profiles out of `tree` and lays the one called `wanted` on it.
pub(super) fn apply(tree: &mut Node, wanted: Option<&str>) -> Vec<Diagnostic> {
    let mut errors = Vec::new();
    let profiles = tree.as_table_mut().and_then(|root| root.remove("profiles"));
    let Some(wanted) = wanted else {
        return errors;
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
        return errors;
    };
    lay(tree, profile, &mut errors);
    errors
}

fn lay(tree: &mut Node, profile: &Table, errors: &mut Vec<Diagnostic>) {
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
        if let Err(error) = field.place(tree, entry.value.clone()) {
            errors.push(*error);
        }
    }
}
