//! The paper's manifests on real data and a small real student. Needs ../shared.

use crate::harness::Bench;
use crate::needs::shared;

#[test]
fn strategyqa_and_commonsenseqa_end_in_a_table() {
    let (Some(mirror), Some(student)) = (shared("mirror"), shared("models/qa-nano")) else {
        return;
    };
    let bench = Bench::new("");
    for dataset in ["strategyqa", "commonsenseqa"] {
        let manifest = format!("{}/experiments/{dataset}.toml", env!("CARGO_MANIFEST_DIR"));
        let student = format!("student.model={}", student.display());
        let run = bench
            .run(&[
                &manifest,
                "--progress",
                "json",
                "--mirror",
                mirror.to_str().unwrap(),
                "--set",
                &student,
                "--limit",
                "4",
                "--set",
                "defaults.sample.max_new_tokens=40",
                "--set",
                "defaults.predict.max_new_tokens=24",
                "--set",
                "defaults.finetune.epochs=1",
                "--set",
                "defaults.distill.epochs=1",
                "--set",
                "stages.kept.length.min_tokens=5",
                "--set",
                "stages.kept.pattern.direct_response=false",
            ])
            .ok();
        for arm in [
            "untrained",
            "Finetune",
            "RD",
            "SERT",
            "SERT+RD",
            "majority class",
            "chance",
        ] {
            assert!(
                run.stdout.contains(arm),
                "{arm} is missing:\n{}",
                run.stdout
            );
        }
    }
}

/// Ending a path once it is certain to be dropped changes which tokens are drawn, and nothing else.
#[test]
fn stop_rules_do_not_change_what_is_kept() {
    let (Some(mirror), Some(student)) = (shared("mirror"), shared("models/qa-nano")) else {
        return;
    };
    let bench = Bench::new("");
    let manifest = format!("{}/experiments/strategyqa.toml", env!("CARGO_MANIFEST_DIR"));
    let student = format!("student.model={}", student.display());
    let kept = |stop: &str| {
        let mut arguments = vec![
            manifest.as_str(),
            "--mirror",
            mirror.to_str().unwrap(),
            "--set",
            &student,
        ];
        arguments.extend([
            "--limit",
            "6",
            "--set",
            "defaults.sample.max_new_tokens=64",
            "--set",
            stop,
        ]);
        let mut run = arguments.clone();
        run.extend(["--stage", "kept"]);
        bench.run(&run).ok();
        let show = |stage: &str| {
            let mut show = vec!["show"];
            show.extend(&arguments);
            show.insert(2, stage);
            show.push("--json");
            bench.run(&show).ok().stdout
        };
        (show("kept"), show("sampled"))
    };
    let (kept_with, sampled_with) = kept("stages.sampled.stop=[\"imitative\"]");
    let (kept_without, sampled_without) = kept("stages.sampled.stop=[]");
    assert!(
        sampled_with.contains("\"end\":\"imitative\""),
        "the rule ended no path"
    );
    assert!(!sampled_without.contains("\"end\":\"imitative\""));
    assert!(!kept_with.is_empty());
    assert_eq!(kept_with, kept_without);
}
