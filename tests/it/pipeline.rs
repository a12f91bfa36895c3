//! The whole pipeline on a tiny world: caching, early cut-off, what is and is not in a key.

use crate::harness::{Bench, TINY};

/// One run of the tiny experiment, shared by the checks below since it costs seconds.
#[test]
fn keys_see_meaning_and_nothing_else() {
    let bench = Bench::new(TINY);
    let first = bench.run_manifest(&[]).ok();
    assert_eq!(
        first.ran(),
        [
            "data", "student", "sampled", "kept", "teacher", "sert", "sert-rd", "answers",
            "measured"
        ]
    );
    assert!(first.stdout.contains("SERT+RD"), "{}", first.stdout);
    assert!(first.stdout.contains("majority class"), "{}", first.stdout);
    assert!(
        first.stdout.contains("What ran: student pretrained here, 0.04M parameters (2 layers of width 32); microworld, 12 training and 8 test questions, ")
            && first.stdout.contains(" documents of text; teacher microworld-solver.\n"),
        "{}",
        first.stdout
    );

    // Unchanged: all hits, the same bytes.
    let second = bench.run_manifest(&[]).ok();
    assert!(second.ran().is_empty(), "{:?}", second.ran());
    assert_eq!(first.stdout, second.stdout);

    // A comment, another order, other names, another batch size and thread count: all hits.
    let (head, stages) = TINY.split_once("[stages.student]").unwrap();
    let (tables, stages): (Vec<&str>, Vec<&str>) = stages
        .split("\n\n")
        .partition(|part| part.starts_with("[tables"));
    let mut moved = format!("# a comment\n{head}\n{}\n", tables.join("\n\n"));
    for part in stages.iter().rev() {
        let part = if part.starts_with('[') {
            (*part).to_owned()
        } else {
            format!("[stages.student]{part}")
        };
        moved.extend([&part, "\n\n"]);
    }
    let renamed = moved
        .replace("stages.kept", "stages.good")
        .replace("paths = \"kept\"", "paths = \"good\"");
    bench.write("m.toml", renamed);
    let third = bench
        .run_manifest(&["--threads", "1", "--batch-size", "3"])
        .ok();
    assert!(third.ran().is_empty(), "{:?}", third.ran());
    assert_eq!(
        first.stdout,
        third
            .stdout
            .replace("good: which paths", "kept: which paths")
    );

    // A threshold that keeps the same paths runs the filter alone: early cut-off.
    bench.write("m.toml", TINY);
    let same_kept = bench
        .run_manifest(&["--set", "stages.kept.length.min_tokens=1"])
        .ok();
    assert_eq!(same_kept.ran(), ["kept"]);

    // A threshold that keeps other paths runs what depends on them, and never the sampling.
    let other_kept = bench
        .run_manifest(&["--set", "stages.kept.select.rule=highest-perplexity"])
        .ok();
    assert_eq!(
        other_kept.ran(),
        ["kept", "sert", "sert-rd", "answers", "measured"]
    );

    // The plan tells a miss by the field that changed, from what to what.
    let plan = bench
        .run(&["plan", "m.toml", "--set", "stages.kept.length.min_tokens=9"])
        .ok();
    assert!(
        plan.stdout.contains("params.length.min_tokens: "),
        "{}",
        plan.stdout
    );
    assert!(plan.stdout.contains("-> 9"), "{}", plan.stdout);
    assert!(plan.stdout.contains("depends"), "{}", plan.stdout);
    assert!(plan.stdout.contains("estimate: "), "{}", plan.stdout);

    // More draws: only the new ones are sampled.
    let more = bench
        .run_manifest(&[
            "--stage",
            "sampled",
            "--set",
            "stages.sampled.paths_per_first_token=9",
        ])
        .ok();
    // One event tells that it begins.
    let sampled = more.progress_events("sampled") - 1;
    assert!(
        (1..=36).contains(&sampled),
        "{sampled} paths were drawn, at most 36 are new"
    );

    show_export_import(&bench);
    damage_is_noticed(&bench, &first.stdout);
}

fn show_export_import(bench: &Bench) {
    let funnel = bench.run(&["show", "m.toml", "kept.funnel"]).ok();
    assert!(
        funnel.stdout.contains("questions left"),
        "{}",
        funnel.stdout
    );
    let verdicts = bench
        .run(&["show", "m.toml", "kept.verdicts", "--rows", "2"])
        .ok();
    assert!(verdicts.stdout.contains("=> "), "{}", verdicts.stdout);
    assert!(
        verdicts.stdout.contains("2 of 288 paths shown"),
        "{}",
        verdicts.stdout
    );
    let losses = bench.run(&["show", "m.toml", "sert.losses"]).ok();
    assert!(losses.stdout.contains("training loss"), "{}", losses.stdout);

    bench
        .run(&["export", "m.toml", "sampled", "paths.jsonl"])
        .ok();
    bench.run(&["export", "m.toml", "sert", "sert-folder"]).ok();
    assert!(bench.path("sert-folder/model.safetensors").exists());
    assert_eq!(
        bench.run(&["export", "m.toml", "sert", "sert-folder"]).code,
        Some(2)
    );

    // Outside paths and a checkpoint as typed inputs: the same content, so the same keys below.
    let imported = format!(
        "{}\n[stages.outside]\nkind = \"import-paths\"\npath = \"paths.jsonl\"\n\n[stages.checkpoint]\nkind = \"student\"\nmodel = \"./sert-folder\"\n",
        crate::harness::TINY.replace("paths = \"sampled\"", "paths = \"outside\"")
    );
    bench.write("imported.toml", imported);
    let run = bench.run(&["imported.toml", "--progress", "json"]).ok();
    assert_eq!(run.ran(), ["outside", "checkpoint"]);

    let diff = bench
        .run(&[
            "diff",
            "m.toml",
            "m.toml",
            "--set-b",
            "stages.kept.select.rule=highest-perplexity",
            "--questions",
        ])
        .ok();
    assert!(
        diff.stdout.contains("params.select.rule"),
        "{}",
        diff.stdout
    );
    assert!(diff.stdout.contains("both right"), "{}", diff.stdout);
}

/// A damaged object is a miss with a warning, and the same bytes come out again.
fn damage_is_noticed(bench: &Bench, expected: &str) {
    let objects = bench.path("cache/objects-v1");
    let mut files: Vec<_> = std::fs::read_dir(&objects)
        .unwrap()
        .flat_map(|folder| std::fs::read_dir(folder.unwrap().path()).unwrap())
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    for path in files {
        let mut bytes = std::fs::read(&path).unwrap();
        if let Some(middle) = bytes.len().checked_div(2).filter(|_| !bytes.is_empty()) {
            bytes[middle] ^= 1;
            std::fs::remove_file(&path).unwrap();
            std::fs::write(&path, bytes).unwrap();
        }
    }
    let verify = bench.run(&["cache", "verify"]);
    assert_eq!(verify.code, Some(1), "{}", verify.stdout);
    let again = bench.run_manifest(&[]).ok();
    assert!(again.ran().len() >= 9, "{:?}", again.ran());
    assert_eq!(again.stdout, expected);
}

#[test]
fn stats_and_gc() {
    let bench = Bench::new(TINY);
    bench.run_manifest(&["--stage", "kept"]).ok();
    bench
        .run_manifest(&[
            "--stage",
            "kept",
            "--set",
            "stages.kept.length.min_tokens=5",
        ])
        .ok();
    let stats = bench.run(&["cache", "stats"]).ok();
    assert!(stats.stdout.contains("paths"), "{}", stats.stdout);
    let dry = bench
        .run(&["cache", "gc", "m.toml", "--force", "--dry-run"])
        .ok();
    assert!(
        dry.stdout.contains("would delete 1 results"),
        "{}",
        dry.stdout
    );
    bench.run(&["cache", "gc", "m.toml", "--force"]).ok();
    assert!(
        bench
            .run_manifest(&["--stage", "kept"])
            .ok()
            .ran()
            .is_empty()
    );
    bench.run(&["cache", "verify"]).ok();
}
