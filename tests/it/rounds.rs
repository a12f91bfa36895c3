//! Rounds: a kill in the third goes on to the same bytes, one more round runs one round, and a stop leaves out what follows.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::harness::{Bench, Run};

/// Three rounds of the tiny experiment, measured on validation and test questions.
const ROUNDS: &str = r#"
title = "rounds"
seed = 7

[data]
dataset = "microworld"
microworld = { entities = 12, train_questions = 16, test_questions = 6, pretrain_questions = 60, fact_repeats = 2 }
validation_fraction = 0.5

[stages.student]
kind = "pretrain"
vocab_size = 300
width = 32
layers = 2
heads = 2
context = 160
epochs = 2
learning_rate = 3e-3

[rounds.loop]
count = 3
carry = { model = "sert" }

[stages.sampled]
kind = "sample"
first_tokens = 2
paths_per_first_token = 2
max_new_tokens = 32

[stages.kept]
kind = "filter"
paths = "sampled"
length = { min_tokens = 2 }
repetition = { max_rate = 1.0 }
perplexity = { min_perplexity = 0.0 }
pattern = { enabled = false }

[stages.sert]
kind = "finetune"
paths = "kept"
epochs = 1
if_empty = "keep-student"

[stages.checked]
kind = "predict"
model = "sert"
questions = "data.validation"
max_new_tokens = 32

[stages.validated]
kind = "eval"
predictions = "checked"
questions = "data.validation"

[stages.answers]
kind = "predict"
model = "loop"
max_new_tokens = 32

[stages.measured]
kind = "eval"
predictions = "answers"

[tables.validation]
metrics = ["acc", "len"]
rows = [{ label = "SERT", eval = "validated" }]

[tables.results]
metrics = ["acc", "len"]
rows = [{ label = "best", eval = "measured" }]

[figures.length]
kind = "curve"
measure = "len"
x = "round"
rows = [{ label = "SERT", eval = "validated" }]
"#;

const COUNT: &str = "rounds.loop.count=4";

/// Stops by the share of answers in form, in which round 2 is no better than round 1 here.
fn stop(patience: usize) -> String {
    format!("rounds.loop.stop={{ metric = \"fmt\", patience = {patience} }}")
}

/// How stages ended, by name.
fn outcome(run: &Run, stage: &str) -> String {
    let ended = run
        .events()
        .find(|event| event["event"] == "stage-finished" && event["stage"].as_str() == Some(stage));
    let ended = ended.unwrap_or_else(|| panic!("`{stage}` did not end\n{}", run.stderr));
    ended["outcome"].as_str().unwrap_or_default().to_owned()
}

/// Of the stages that ran, those that sample, train or answer.
fn model_stages(run: &Run) -> Vec<String> {
    let of_models = ["student", "sampled", "sert", "checked", "answers"];
    let ran = run.ran().into_iter();
    ran.filter(|name| of_models.iter().any(|model| name.starts_with(model)))
        .collect()
}

#[test]
fn a_kill_in_the_third_round_goes_on_to_the_same_bytes() {
    let undisturbed = Bench::new(ROUNDS);
    let expected = undisturbed.run_manifest(&[]).ok();
    let bench = Bench::new(ROUNDS);
    let mut child = bench
        .command(&["m.toml", "--progress", "json"])
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut in_third = lines
        .map_while(Result::ok)
        .filter(|line| line.contains("\"progress\"") && line.contains("\"sampled[round=3]\""));
    assert!(in_third.next().is_some(), "the third round never sampled");
    child.kill().unwrap();
    child.wait().unwrap();
    let resumed = bench.run_manifest(&[]).ok();
    assert_eq!(resumed.stdout, expected.stdout);
    assert!(resumed.stdout.contains("3 / SERT"), "{}", resumed.stdout);
    for hit in ["sampled[round=2]", "sert[round=2]"] {
        assert_eq!(outcome(&resumed, hit), "hit", "{hit}");
    }
    // The weights too, not only what is measured of them.
    let model = |bench: &Bench| bench.run(&["show", "m.toml", "loop", "--json"]).ok().stdout;
    assert_eq!(model(&bench), model(&undisturbed));

    // One more round runs one round.
    let more = bench.run_manifest(&["--set", COUNT]).ok();
    let ran = model_stages(&more);
    assert_eq!(
        ran,
        [
            "sampled[round=4]",
            "sert[round=4]",
            "checked[round=4]",
            "answers"
        ]
    );
    let plan = bench.run(&["plan", "m.toml", "--set", COUNT]).ok().stdout;
    assert!(
        plan.contains("sert[round=4]") && plan.contains(" hit, 0 to run"),
        "{plan}"
    );
    let figure = bench.run(&["figure", "m.toml", "--out", "figures"]).ok();
    assert!(bench.path("figures/length.svg").exists(), "{figure:?}");
}

#[test]
fn a_stop_leaves_out_what_follows_and_takes_the_best() {
    let bench = Bench::new(ROUNDS);
    let first = bench.run_manifest(&["--set", &stop(1)]).ok();
    for (stage, expected) in [
        ("sert[round=2]", "ran"),
        ("loop:stop[round=2]", "ran"),
        ("sampled[round=3]", "not-needed"),
        ("validated[round=3]", "not-needed"),
        ("loop:stop[round=3]", "not-needed"),
        ("loop", "ran"),
        ("measured", "ran"),
    ] {
        assert_eq!(outcome(&first, stage), expected, "{stage}");
    }
    // The first of equals is the best.
    let peak = bench.run(&["show", "m.toml", "loop", "--json", "--set", &stop(1)]);
    let of_first = bench.run(&[
        "show",
        "m.toml",
        "sert[round=1]",
        "--json",
        "--set",
        &stop(1),
    ]);
    assert_eq!(peak.ok().stdout, of_first.ok().stdout);
    assert!(
        first.stdout.contains("not needed")
            && first
                .stdout
                .contains("Not needed: 3 / SERT: `loop:stop[round=2]` stopped (Fmt"),
        "{}",
        first.stdout
    );

    // A state of its own wherever stages are told of.
    let with_stop = stop(1);
    let look = |arguments: &[&str]| {
        let arguments = [arguments, &["--set", &with_stop]].concat();
        bench.run(&arguments).ok().stdout
    };
    let plan = look(&["plan", "m.toml"]);
    assert!(
        plan.contains("not needed") && plan.contains("loop:stop[round=2] stopped"),
        "{plan}"
    );
    let why = look(&["why", "m.toml", "validation:3 / SERT:acc"]);
    assert!(
        why.contains("not needed: `loop:stop[round=2]` stopped (Fmt"),
        "{why}"
    );
    let why = look(&["why", "m.toml", "validation:2 / SERT:acc"]);
    assert!(why.contains("needed by loop:stop[round=1]: Fmt"), "{why}");
    let table = look(&[
        "table",
        "m.toml",
        "--table",
        "validation",
        "--format",
        "json",
    ]);
    assert!(table.contains("\"not-needed\""), "{table}");
    look(&["report", "m.toml", "--out", "page"]);
    let page = std::fs::read_to_string(bench.path("page/index.html")).unwrap();
    assert!(page.contains("not needed"));
    assert!(page.contains("Device-seconds") && page.contains(" s on cpu</td>"));

    // More rounds after a stop change nothing.
    let more = bench
        .run_manifest(&["--set", &with_stop, "--set", COUNT])
        .ok();
    assert_eq!(more.ran(), Vec::<String>::new());
    assert_eq!(outcome(&more, "sampled[round=4]"), "not-needed");
    assert_eq!(outcome(&more, "loop"), "hit");

    // Another patience decides anew, and samples only what is new.
    let patient = bench.run_manifest(&["--set", &stop(2)]).ok();
    assert_eq!(
        model_stages(&patient),
        ["sampled[round=3]", "sert[round=3]", "checked[round=3]"]
    );
    assert_eq!(outcome(&patient, "loop:stop[round=1]"), "ran");
    let again = bench.run_manifest(&["--set", &with_stop]).ok();
    assert_eq!(again.ran(), Vec::<String>::new());
    assert_eq!(again.stdout, first.stdout);
    // Without a stop the last round's model is what comes out; nothing is sampled anew.
    let without = bench.run_manifest(&[]).ok();
    assert_eq!(model_stages(&without), ["answers"]);
}
