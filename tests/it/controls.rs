//! The controls without which nobody believes a result: as many updates, and paths of other questions.

use serde_json::Value;

use crate::harness::{Bench, TINY};

const CONTROLS: &str = r#"
[stages.rd]
kind = "distill"
paths = "teacher"
epochs = 2

[stages.rd-long]
kind = "distill"
paths = "teacher"
epochs = 2
add_updates_of = "sert.losses"

[stages.foreign]
kind = "shuffle"
paths = "kept"

[stages.sert-foreign]
kind = "finetune"
paths = "foreign"
epochs = 1
"#;

fn rows(bench: &Bench, stage: &str) -> Vec<Value> {
    let shown = bench.run(&["show", "m.toml", stage, "--json"]).ok();
    let lines = shown.stdout.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn controls_run_beside_the_arms() {
    let bench = Bench::new(TINY);
    bench.run_manifest(&["--stage", "sert"]).ok();
    bench.write("m.toml", format!("{TINY}{CONTROLS}"));
    let plan = bench
        .run(&["plan", "m.toml", "--stage", "rd-long", "--offline"])
        .ok();
    assert!(plan.stdout.contains("estimate: "), "{}", plan.stdout);
    let run = bench
        .run_manifest(&[
            "--stage",
            "rd",
            "--stage",
            "rd-long",
            "--stage",
            "sert-foreign",
        ])
        .ok();
    // A port that stays empty is in no key: `sert` is a hit.
    assert_eq!(
        run.ran(),
        ["teacher", "rd", "rd-long", "foreign", "sert-foreign"]
    );

    let steps = |stage: &str| -> Vec<u64> {
        let losses = rows(&bench, &format!("{stage}.losses"));
        losses
            .iter()
            .map(|point| point["step"].as_u64().unwrap())
            .collect()
    };
    let (sert, rd, long) = (steps("sert"), steps("rd"), steps("rd-long"));
    assert_eq!(long.last().unwrap(), &(rd[1] + sert[2]));
    assert!(
        run.stderr.contains(&format!("{} updates more", sert[2])),
        "{}",
        run.stderr
    );
    // Its beginning is RD's: the same order at a constant rate.
    let losses = |stage: &str| rows(&bench, &format!("{stage}.losses"));
    assert_eq!(losses("rd-long")[..2], losses("rd")[..2]);

    let (kept, foreign) = (rows(&bench, "kept"), rows(&bench, "foreign"));
    assert_eq!((kept.len(), foreign.len()), (12, 12));
    for (own, other) in kept.iter().zip(&foreign) {
        assert_eq!(own["question_id"], other["question_id"]);
        assert!(
            kept.iter().any(|giver| giver["text"] == other["text"]
                && giver["question_id"] != other["question_id"])
        );
    }
}

/// A filter that keeps nothing fails the training as a rule, and where the manifest says so leaves the student as it was.
#[test]
fn an_arm_that_kept_nothing_is_a_row_where_the_manifest_says_so() {
    let arm = r#"
[stages.none]
kind = "filter"
paths = "sampled"
length = { min_tokens = 100000 }

[stages.sert-none]
kind = "finetune"
paths = "none"

[stages.predict-none]
kind = "predict"
model = "sert-none"
max_new_tokens = 8
"#;
    let bench = Bench::new(&format!("{TINY}{arm}"));
    let failed = bench.run_manifest(&["--stage", "predict-none"]);
    assert_eq!(failed.code, Some(1), "{}", failed.stderr);
    assert!(
        failed.stderr.contains("nothing to train on") && failed.stderr.contains("if_empty"),
        "{}",
        failed.stderr
    );
    let kept = arm.replace(
        "paths = \"none\"",
        "paths = \"none\"\nif_empty = \"keep-student\"",
    );
    let untrained = "[stages.predict-raw]\nkind = \"predict\"\nmax_new_tokens = 8\n";
    bench.write("m.toml", format!("{TINY}{kept}{untrained}"));
    let run = bench
        .run_manifest(&["--stage", "predict-none", "--stage", "predict-raw"])
        .ok();
    assert!(
        run.stderr.contains("comes out as it went in"),
        "{}",
        run.stderr
    );
    let (none, raw) = (rows(&bench, "predict-none"), rows(&bench, "predict-raw"));
    assert!(!none.is_empty() && none[0]["option_log_probs"].is_array());
    assert_eq!(none, raw);
}
