//! The paper's manifests on real data and a small real student. Needs ../shared.

use crate::harness::{Bench, shared};

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
