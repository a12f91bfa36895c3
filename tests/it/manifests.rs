//! Every manifest in experiments/ loads, names its schema, and plans; the schema is fresh.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use serde_json::Value;
use sert_run::filter::STEPS;
use sert_run::manifest::{self, Changes};
use sert_run::metric::Metric;
use sert_run::plan::Plan;
use sert_run::stage::KINDS;

use crate::harness::Bench;
use crate::json_schema::{Fault, faults};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn every_manifest_plans_and_names_its_schema() {
    let mut count = 0;
    let mut files = Vec::new();
    files_of_type("toml", &root().join("experiments"), &mut files);
    // What others are made of is no manifest by itself.
    files.retain(|path| !path.parent().is_some_and(|folder| folder.ends_with("base")));
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(
            text.starts_with("#:schema ../"),
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
    assert!(count >= 20, "{count} manifests found");
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

/// What grows is told where people look for it.
#[test]
fn docs_name_every_metric_and_every_step() {
    let read = |name: &str| std::fs::read_to_string(root().join(name)).unwrap();
    let sweeps = read("docs/sweeps.md");
    let metrics = read("docs/metrics.md");
    for metric in Metric::all() {
        let title = metric.k().map_or(metric.title(), |_| "pass@k");
        assert!(metrics.contains(&format!("\n| {title} | ")), "{metric:?}");
        assert!(sweeps.contains(metric.name()), "{metric:?}");
        let name = metric.k().map_or(metric.name(), |_| "pass@k");
        assert!(metrics.contains(&format!("\n| `{name}` | ")), "{metric:?}");
    }
    let filters = read("docs/filters.md");
    for step in STEPS {
        assert!(
            filters.contains(&format!("`{}`", step.name)),
            "{}",
            step.name
        );
    }
}

/// What an editor makes of a manifest.
fn as_an_editor_sees(toml: &str) -> Vec<Fault> {
    static SCHEMA: LazyLock<Value> = LazyLock::new(|| manifest::file_schema(KINDS));
    let value: Value = toml::from_str(toml).unwrap();
    faults(&SCHEMA, &value)
}

fn files_of_type(wanted: &str, folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files_of_type(wanted, &path, into);
        } else if path
            .extension()
            .is_some_and(|extension| extension == wanted)
        {
            into.push(path);
        }
    }
}

#[test]
fn editors_accept_every_manifest_and_every_one_of_the_docs() {
    let mut files = Vec::new();
    files_of_type("toml", &root().join("experiments"), &mut files);
    assert!(files.len() >= 13, "{files:?}");
    for file in files {
        let found = as_an_editor_sees(&std::fs::read_to_string(&file).unwrap());
        assert!(found.is_empty(), "{}: {found:#?}", file.display());
    }
    let mut pages = vec![root().join("README.md"), root().join("CONTRIBUTING.md")];
    files_of_type("md", &root().join("docs"), &mut pages);
    let mut count = 0;
    for page in pages {
        let text = std::fs::read_to_string(&page).unwrap();
        for example in blocks(&text) {
            let found = as_an_editor_sees(example);
            assert!(found.is_empty(), "{}: {example}{found:#?}", page.display());
            count += 1;
        }
    }
    assert!(count >= 20, "{count} examples found");
}

/// Each is told once, and at its key.
#[test]
fn editors_tell_a_typo_at_its_key() {
    let path = root().join("tests/fixtures/typos.toml");
    let listed: toml::Table = toml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let typos = listed["typo"].as_array().unwrap();
    assert!(typos.len() >= 10);
    for typo in typos {
        let (manifest, key) = (
            typo["manifest"].as_str().unwrap(),
            typo["key"].as_str().unwrap(),
        );
        let found = as_an_editor_sees(manifest);
        let places: Vec<&str> = found.iter().map(|fault| fault.place.as_str()).collect();
        assert_eq!(places, [key], "{manifest}{found:#?}");
    }
}

/// The blocks of TOML in a document.
fn blocks(document: &str) -> Vec<&str> {
    let blocks = document.split("```toml\n").skip(1);
    blocks.filter_map(|rest| rest.split("```").next()).collect()
}

/// Each block of docs/manifest.md is a file, by the name in its first line; so is the README's.
#[test]
fn every_block_of_the_page_on_manifests_plans() {
    let read = |name: &str| std::fs::read_to_string(root().join(name)).unwrap();
    let (page, readme) = (read("docs/manifest.md"), read("README.md"));
    let bench = Bench::new(blocks(&readme)[0]);
    let row = |i: usize| {
        format!(
            "Is {i} even?,{},Look at its last digit.\n",
            ["yes", "no"][i % 2]
        )
    };
    let rows: String = (0..12).map(row).collect();
    bench.write(
        "questions.csv",
        format!("question,answer,rationale\n{rows}"),
    );
    let mut files = vec!["m.toml"];
    for block in blocks(&page) {
        let name = block
            .lines()
            .next()
            .and_then(|line| line.strip_prefix("# "));
        let name = name.unwrap_or_else(|| panic!("a block without a name:\n{block}"));
        bench.write(name, block);
        files.push(name);
    }
    assert!(files.len() >= 10, "{files:?}");
    for file in files {
        let planned = bench.run(&["plan", file, "--offline"]);
        assert_eq!(planned.code, Some(0), "{file}: {}", planned.stderr);
        assert!(
            planned.stdout.contains("stages: 0 hit"),
            "{file}: {}",
            planned.stdout
        );
    }
    // A mistake is told as the page shows it.
    let ten = blocks(&page)[0];
    let wrong = format!("{ten}\n[stages.kept.length]\nmin_token = 30\n");
    bench.write("ten.toml", &wrong);
    let told = bench.run(&["plan", "ten.toml", "--offline"]).stderr;
    let shown = page
        .split("```text\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next());
    assert_eq!(told.trim(), shown.unwrap().trim());
    // The profile that it names, and what it says of a stage that is dropped.
    bench.write("ten.toml", ten);
    bench
        .run(&["plan", "trial.toml", "--profile", "small", "--offline"])
        .ok();
    let alone = bench.run(&["plan", "alone.toml", "--offline"]).ok();
    assert!(
        alone
            .stderr
            .contains("note: `teacher` is dropped, and with it the stages `rd`"),
        "{}",
        alone.stderr
    );
}

/// A file that extends another says only what it changes; any other says all, and what no stage has neither may say.
#[test]
fn editors_refuse_what_is_wrong_in_a_part_too() {
    let extends = "extends = \"base.toml\"\n";
    for (text, whole, part) in [
        ("[stages.kept.length]\nmin_tokens = 30", false, true),
        ("[stages.kept]\nkind = \"filter\"", false, true),
        (
            "[stages.kept]\nkind = \"filter\"\npaths = \"sampled\"",
            true,
            true,
        ),
        ("[stages.teacher.endpoint]\nmax_tokens = 5", false, true),
        ("[tables.results]\ncaption = \"x\"", false, true),
        ("[figures.f.at]\nseed = \"0\"", false, true),
        // Only what was inherited can be dropped.
        ("[stages]\nteacher = false", false, true),
        ("[stages]\nteacher = true", false, false),
        ("student = false", false, true),
        ("[rounds]\nself = false", false, true),
        // Defaults are parts of stages in any file.
        ("[defaults.judge.endpoint]\nmax_tokens = 5", true, true),
        ("[stages.kept.length]\nmin_token = 30", false, false),
        ("[stages.kept.length]\nmin_tokens = \"30\"", false, false),
        ("[stages.kept]\nkind = \"fliter\"", false, false),
        ("[stages.kept]\nscores = [{ min = 3 }]", false, false),
        // The kind is in the other file, so a field of any may stand here; that it is one of this kind, the program tells.
        ("[stages.kept]\nlength = {}\nfirst_tokens = 3", false, true),
        ("[stages.kept]\nfirst_tokens = \"3\"", false, false),
        (
            "[stages.kept]\nkind = \"filter\"\nfirst_tokens = 3",
            false,
            false,
        ),
        ("[stags.kept]\nkind = \"filter\"", false, false),
    ] {
        let found = as_an_editor_sees(text);
        assert_eq!(found.is_empty(), whole, "{text}: {found:?}");
        let text = format!("{extends}{text}");
        let found = as_an_editor_sees(&text);
        assert_eq!(found.is_empty(), part, "{text}: {found:?}");
    }
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
    for port in score.inputs() {
        // The examples of a prompt shape what comes out.
        assert_eq!(port.trains, port.name == "examples", "`{}`", port.name);
    }
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

#[test]
fn the_docs_name_every_kind_and_its_ports() {
    let docs = std::fs::read_to_string(root().join("docs/manifest.md")).unwrap();
    for kind in KINDS {
        let row = docs
            .lines()
            .find(|line| {
                line.starts_with('|')
                    && line
                        .split('|')
                        .nth(1)
                        .is_some_and(|cell| cell.contains(&format!("`{}`", kind.name())))
            })
            .unwrap_or_else(|| panic!("no row of docs/manifest.md names `{}`", kind.name()));
        for port in kind.inputs() {
            assert!(
                row.contains(&format!("`{}`", port.name)),
                "`{}` is not in: {row}",
                port.name
            );
        }
    }
}

#[test]
fn a_wrong_kind_is_one_mistake_whatever_reads_from_its_stage() {
    let tiny = std::fs::read_to_string(root().join("experiments/tiny.toml")).unwrap();
    let wrong = tiny.replacen("kind = \"sample\"", "kind = \"sampel\"", 1);
    assert_ne!(wrong, tiny);
    let refused = Bench::new(&wrong).run(&["m.toml"]);
    assert_eq!(refused.code, Some(2));
    assert!(
        refused.stderr.contains("unknown kind `sampel`")
            && refused.stderr.matches("error:").count() == 1,
        "{}",
        refused.stderr
    );
}
