//! Bases that are part of the program, and stages that a manifest does without.

use super::{load_of, load_with, meaning_of, mistakes_of};
use crate::manifest::{Manifest, ManifestErrors};
use crate::stage;

const HEAD: &str = "extends = \"builtin:arms\"\ndata = { dataset = \"microworld\" }\nstudent = { model = \"m\" }\n";
const TEACHER: &str = "[stages.teacher]\nkind = \"teach\"\nrecording = \"microworld-solver\"\n";

fn real(text: &str, set: &[&str]) -> Result<Manifest, ManifestErrors> {
    load_of(text, set, None, stage::KINDS)
}

fn names(manifest: &Manifest) -> Vec<&str> {
    let stages = manifest.stages.iter();
    stages.map(|stage| stage.name.as_str()).collect()
}

fn labels(manifest: &Manifest) -> Vec<&str> {
    let rows = manifest.tables.iter().flat_map(|table| &table.rows);
    rows.map(|row| row.label.as_str()).collect()
}

#[test]
fn a_builtin_is_the_file_of_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let base = concat!(env!("CARGO_MANIFEST_DIR"), "/experiments/base/arms.toml");
    let head = HEAD.replace("builtin:arms", base);
    let of_file = real(&format!("{head}{TEACHER}"), &[]).unwrap();
    let builtin = real(&format!("{HEAD}{TEACHER}"), &[]).unwrap();
    assert_eq!(meaning_of(&builtin), meaning_of(&of_file));
    assert_eq!(builtin.tables, of_file.tables);
    assert!(builtin.notes.is_empty());
    // A copy of a manifest of ours, without the folder that it extends.
    let copy = dir.path().join("copy.toml");
    std::fs::write(&copy, "extends = \"base/arms.toml\"\n").unwrap();
    let told = crate::manifest::load(&copy, &crate::manifest::Changes::default(), stage::KINDS);
    let told = told.unwrap_err().render(false);
    assert!(
        told.contains("`extends = \"builtin:arms\"` is part"),
        "{told}"
    );
}

#[test]
fn mistakes_in_and_about_builtins_have_their_place() {
    let mistakes = |text: &str| mistakes_of(real(text, &[]));
    assert_eq!(
        mistakes("extends = \"builtin:amrs\"\n"),
        [
            "1:11 there is no `builtin:amrs`; there are `builtin:arms`, `builtin:arms-without-teacher`, `builtin:methods`, `builtin:microworld` | did you mean `builtin:arms`?"
        ]
    );
    // The stage of the base reads one that nobody declares.
    let told = real(HEAD, &[]).unwrap_err();
    let told: Vec<&str> = told
        .errors
        .iter()
        .map(|error| error.origin.as_ref().unwrap().source.name.as_str())
        .collect();
    assert!(told.contains(&"builtin:arms"), "{told:?}");
    let rendered = real(HEAD, &[]).unwrap_err().render(false);
    assert!(rendered.contains("--> builtin:arms:"), "{rendered}");
}

#[test]
fn what_reads_a_dropped_stage_goes_with_it() {
    let without = real(&format!("{HEAD}[stages]\nteacher = false\n"), &[]).unwrap();
    assert_eq!(
        names(&without),
        [
            "sampled",
            "kept",
            "finetune",
            "sert",
            "predict-untrained",
            "predict-finetune",
            "predict-sert",
            "eval-untrained",
            "eval-finetune",
            "eval-sert",
            "data",
            "student"
        ]
    );
    assert_eq!(labels(&without), ["untrained", "Finetune", "SERT"]);
    assert_eq!(
        without.notes,
        [
            "`teacher` is dropped, and with it the stages `rd`, `sert-rd`, `predict-rd`, `predict-sert-rd`, `eval-rd`, `eval-sert-rd`; the rows `RD`, `SERT+RD` of `results`"
        ]
    );
    // The base that says so is the same, and what it does without needs no telling.
    let base = HEAD.replace("builtin:arms", "builtin:arms-without-teacher");
    let base = real(&base, &[]).unwrap();
    assert_eq!(meaning_of(&base), meaning_of(&without));
    assert!(base.notes.is_empty());
    // Where it is declared, and from the command line.
    let set = ["stages.teacher=false"];
    let set = real(&format!("{HEAD}{TEACHER}"), &set).unwrap();
    assert_eq!(meaning_of(&set), meaning_of(&without));
    assert_eq!(set.changed, ["--set stages.teacher=false"]);
    let profile = format!("{HEAD}{TEACHER}[profiles.alone]\n\"stages.teacher\" = false\n");
    let profile = load_of(&profile, &[], Some("alone"), stage::KINDS).unwrap();
    assert_eq!(meaning_of(&profile), meaning_of(&without));
}

#[test]
fn a_section_makes_room_for_a_stage_of_its_name() {
    let text = "extends = \"builtin:methods\"\nstudent = false\n[data]\ndataset = \"microworld\"\n[stages.student]\nkind = \"pretrain\"\n[tables.t]\nrows = [{ label = \"untrained\", eval = \"eval-untrained\" }]\n";
    let manifest = real(text, &[]).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(manifest.stage("student").unwrap().kind.name(), "pretrain");
    assert!(manifest.stage("predict-untrained").is_some());
}

#[test]
fn what_the_manifest_itself_says_of_a_dropped_stage_is_a_mistake() {
    let mistakes = |more: &str| mistakes_of(real(&format!("{HEAD}{more}"), &[]));
    assert_eq!(
        mistakes("[stages]\nteachr = false\nsampled = false\n"),
        [
            "5:1 there is no stage `teachr` to drop in what this extends | stages: `sampled`, `kept`, `finetune`, `rd`, `sert`, `sert-rd`, `predict-untrained`, `predict-finetune`, `predict-rd`, `predict-sert`, `predict-sert-rd`, `eval-untrained`, and 4 more"
        ]
    );
    assert_eq!(
        mistakes("[stages]\nteacher = false\n[stages.rd]\nepochs = 3\n"),
        [
            "6:9 `rd` reads `teacher` by its `paths`, and that is dropped | drop it too (`stages.rd = false`), or give it another `paths`"
        ]
    );
    // Another input of its own, and it stays.
    assert!(mistakes("[stages]\nteacher = false\n[stages.rd]\npaths = \"kept\"\n").is_empty());
    assert_eq!(
        mistakes(
            "[stages]\nteacher = false\n[stages.more]\nkind = \"filter\"\npaths = \"teacher.paths\"\n[tables.mine]\nrows = [{ label = \"RD\", eval = \"eval-rd\" }]\n[figures.f]\nkind = \"losses\"\ntrainings = [\"sert\", \"rd\"]\n"
        ),
        [
            "8:9 there is no `teacher`: that is dropped | name another stage, or keep `teacher`",
            "10:32 there is no `eval-rd`: that went with `teacher`, which is dropped | name another stage, or keep `teacher`",
            "13:22 there is no `rd`: that went with `teacher`, which is dropped | name another stage, or keep `teacher`",
        ]
    );
    assert_eq!(
        mistakes_of(load_with("[stages]\nx = false\n", &[], None)),
        [
            "2:1 there is no stage `x` to drop in what this extends | it extends nothing: take the stage out"
        ]
    );
}

/// Rows that name each other by their labels, figures, profiles: none is left that names what is gone.
#[test]
fn tables_figures_and_profiles_forget_what_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write(
        "base.toml",
        &format!(
            "{HEAD}{TEACHER}
[tables.results]
baseline = \"RD\"
tests = {{ metrics = [\"acc\"] }}
[tables.results.reported]
source = \"the paper\"
values = [{{ row = \"SERT\", acc = 50.0 }}, {{ row = \"SERT+RD\", acc = 51.0 }}]
[tables.only]
rows = [{{ label = \"RD\", eval = \"eval-rd\" }}]
[figures.losses]
kind = \"losses\"
trainings = [\"rd\", \"sert\"]
[figures.of-rd]
kind = \"losses\"
trainings = [\"rd\"]
[profiles.small]
\"stages.rd.epochs\" = 1
\"stages.sert.epochs\" = 1
"
        ),
    );
    write(
        "top.toml",
        "extends = \"base.toml\"\n[stages]\nteacher = false\n",
    );
    let changes = crate::manifest::Changes {
        profile: Some("small"),
        ..crate::manifest::Changes::default()
    };
    let top = dir.path().join("top.toml");
    let manifest = crate::manifest::load(&top, &changes, stage::KINDS)
        .unwrap_or_else(|errors| panic!("{errors}"));
    let [table] = manifest.tables.as_slice() else {
        panic!("{:?}", manifest.tables)
    };
    assert_eq!(labels(&manifest), ["untrained", "Finetune", "SERT"]);
    assert_eq!(table.baseline, None);
    let reported = &table.reported.as_ref().unwrap().values;
    assert_eq!(reported.len(), 1);
    let figures: Vec<&str> = manifest.figures.iter().map(|f| f.name.as_str()).collect();
    assert_eq!(figures, ["losses"]);
    assert_eq!(
        manifest.figures[0].refs.keys().collect::<Vec<_>>(),
        ["sert"]
    );
    assert!(
        manifest.notes[0].ends_with("the rows `RD`, `SERT+RD` of `results`; the tests of `results`, since its baseline is gone; the table `only`; the figure `of-rd`"),
        "{:?}",
        manifest.notes
    );
    write(
        "own.toml",
        "extends = \"base.toml\"\n[stages]\nteacher = false\n[tables.only]\ncaption = \"x\"\n[figures.of-rd]\ntitle = \"x\"\n",
    );
    let own = crate::manifest::load(&dir.path().join("own.toml"), &changes, stage::KINDS);
    let told: Vec<String> = own
        .unwrap_err()
        .errors
        .into_iter()
        .map(|e| e.message)
        .collect();
    assert_eq!(
        told,
        [
            "nothing is left of the table `only` without `teacher`",
            "nothing is left of the figure `of-rd` without `teacher`"
        ]
    );
}
