//! `reading` at the top of a manifest, on the real kinds.

use serde_json::json;

use super::load_of;
use crate::manifest::Manifest;
use crate::stage::KINDS;

const MANIFEST: &str = r#"
title = "reading"
reading = "paper"

[data]
dataset = "strategyqa"

[student]
model = "gpt2"

[stages.sampled]
kind = "sample"

[stages.kept]
kind = "filter"
paths = "sampled"

[stages.sert]
kind = "finetune"
paths = "kept"

[stages.answers]
kind = "predict"
model = "sert"

[stages.measured]
kind = "eval"
predictions = "answers"

[tables.shown]
rows = [{ label = "SERT", eval = "measured" }]
"#;

fn load(text: &str, set: &[&str], profile: Option<&str>) -> Manifest {
    load_of(text, set, profile, KINDS).unwrap_or_else(|errors| panic!("{errors}"))
}

/// The reading of each stage that has one.
fn readings(manifest: &Manifest) -> Vec<String> {
    let of = |stage: &crate::manifest::StageSpec| {
        let reading = stage.params.get("reading")?.as_str()?;
        Some(format!("{} {reading}", stage.name))
    };
    manifest.stages.iter().filter_map(of).collect()
}

#[test]
fn it_is_the_parameter_of_every_stage_that_reads_answers() {
    let all =
        |reading: &str| ["kept", "sert", "measured"].map(|stage| format!("{stage} {reading}"));
    let of = |text: &str, set: &[&str]| readings(&load(text, set, None));
    assert_eq!(of(MANIFEST, &[]), all("paper"));
    let silent = MANIFEST.replace("reading = \"paper\"\n", "");
    assert_eq!(of(&silent, &[]), all("standard"));
    assert_eq!(of(&silent, &["reading=paper"]), all("paper"));
    assert_eq!(of(MANIFEST, &["reading=standard"]), all("standard"));
    let profile = format!("{MANIFEST}\n[profiles.chat]\nreading = \"standard\"\n");
    assert_eq!(
        readings(&load(&profile, &[], Some("chat"))),
        all("standard")
    );
}

#[test]
fn the_defaults_of_a_kind_win_over_it_and_a_stage_over_them() {
    let manifest = load(
        MANIFEST,
        &[
            "defaults.eval.reading=standard",
            "stages.kept.reading=standard",
        ],
        None,
    );
    assert_eq!(
        readings(&manifest),
        ["kept standard", "sert paper", "measured standard"]
    );
    let manifest = load(
        MANIFEST,
        &[
            "defaults.eval.reading=standard",
            "stages.measured.reading=paper",
        ],
        None,
    );
    assert_eq!(
        readings(&manifest),
        ["kept paper", "sert paper", "measured paper"]
    );
}

/// A manifest that names the paper's reading has the keys that it had before there was a choice.
#[test]
fn the_papers_reading_is_in_no_key() {
    for kind in KINDS.iter().filter(|kind| kind.reads_answers()) {
        let complete = |reading: &str| {
            let params = json!({ "reading": reading }).as_object().cloned().unwrap();
            kind.key_params(&kind.complete(&params).unwrap())
        };
        assert!(
            !complete("paper").contains_key("reading"),
            "{}",
            kind.name()
        );
    }
    let names: Vec<&str> = KINDS
        .iter()
        .filter(|kind| {
            kind.complete(&serde_json::Map::new())
                .unwrap()
                .contains_key("reading")
        })
        .map(|kind| kind.name())
        .collect();
    assert_eq!(
        names,
        [
            "teach", "score", "verify", "filter", "finetune", "distill", "eval"
        ]
    );
    assert!(
        KINDS
            .iter()
            .all(|kind| kind.reads_answers() == names.contains(&kind.name()))
    );
}

#[test]
fn a_sweep_may_vary_it() {
    let swept = format!("{MANIFEST}\n[sweep.grid]\nreading = [\"paper\", \"standard\"]\n");
    let manifest = load(&swept, &[], None);
    let points: Vec<&str> = manifest
        .stages
        .iter()
        .map(|stage| stage.name.as_str())
        .collect();
    // What reads no answer is shared as far as nothing before it does.
    assert!(points.contains(&"sampled"), "{points:?}");
    for name in ["kept", "sert", "answers", "measured"] {
        for reading in ["paper", "standard"] {
            let stage = format!("{name}[reading={reading}]");
            assert!(
                points.contains(&stage.as_str()),
                "{stage} is not in {points:?}"
            );
        }
    }
}

#[test]
fn a_mistake_in_it_is_told_once_and_there() {
    let wrong = MANIFEST.replace("\"paper\"", "\"papper\"");
    let errors = load_of(&wrong, &[], None, KINDS).unwrap_err().errors;
    let [error] = &errors[..] else {
        panic!("{errors:?}")
    };
    assert!(
        error.message.contains("`reading`") && error.message.contains("papper"),
        "{}",
        error.message
    );
    assert_eq!(error.origin.as_ref().unwrap().line_column().0, 3);
}
