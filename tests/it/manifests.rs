//! Every manifest in experiments/ loads, names its schema, and plans; the schema is fresh.

use std::path::Path;

use sert_run::manifest::{self, Changes};
use sert_run::plan::Plan;
use sert_run::stage::KINDS;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn every_manifest_plans_and_names_its_schema() {
    let mut count = 0;
    for entry in std::fs::read_dir(root().join("experiments")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(
            text.starts_with("#:schema ../schemas/"),
            "{} names no schema",
            path.display()
        );
        let manifest = manifest::load(&path, &Changes::default(), KINDS)
            .unwrap_or_else(|errors| panic!("{}", errors.render(false)));
        assert!(
            !manifest.tables.is_empty() || !manifest.figures.is_empty(),
            "{} declares no table and no figure",
            path.display()
        );
        Plan::new(&manifest).unwrap();
        count += 1;
    }
    assert!(count >= 3, "{count} manifests found");
}

#[test]
fn the_schema_is_fresh() {
    let written = std::fs::read_to_string(root().join("schemas/manifest.schema.json")).unwrap();
    let fresh = manifest::schema_text(KINDS);
    let first = written
        .lines()
        .zip(fresh.lines())
        .find(|(old, new)| old != new);
    assert!(
        written == fresh,
        "run `just schema`; the first difference: {first:?}"
    );
}

/// Whatever comes into these kinds, a student aside, shapes a model or a choice. A student is never made from
/// test data, because of these very ports.
#[test]
fn nothing_made_from_test_data_comes_near_training() {
    for name in ["filter", "pretrain", "finetune", "distill"] {
        let kind = sert_run::stage::kind(name).unwrap();
        let mut ports = kind
            .inputs()
            .iter()
            .filter(|port| port.name != "model")
            .peekable();
        assert!(ports.peek().is_some(), "`{name}` takes nothing");
        for port in ports {
            assert!(port.trains, "`{}` of `{name}`", port.name);
        }
    }
    // Others only record: what they make is kept out where it would be used.
    let score = sert_run::stage::kind("score").unwrap();
    assert!(score.inputs().iter().all(|port| !port.trains));
}

/// A parameter that has the name of a port could not be written in a manifest.
#[test]
fn parameters_and_ports_have_different_names() {
    for kind in KINDS {
        let params = kind.complete(&serde_json::Map::new()).unwrap();
        for port in kind.inputs() {
            assert!(
                !params.contains_key(port.name),
                "`{}` of `{}`",
                port.name,
                kind.name()
            );
        }
        for reserved in ["kind", "seed"] {
            assert!(
                !params.contains_key(reserved),
                "`{reserved}` of `{}`",
                kind.name()
            );
        }
    }
}

/// The README tells of every kind, and of every figure's definition only what is so.
#[test]
fn the_readme_names_every_kind_and_its_ports() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    for kind in KINDS {
        let row = readme
            .lines()
            .find(|line| {
                line.starts_with('|')
                    && line
                        .split('|')
                        .nth(1)
                        .is_some_and(|cell| cell.contains(&format!("`{}`", kind.name())))
            })
            .unwrap_or_else(|| panic!("no row of README.md names `{}`", kind.name()));
        for port in kind.inputs() {
            assert!(
                row.contains(&format!("`{}`", port.name)),
                "`{}` is not in: {row}",
                port.name
            );
        }
    }
}
