//! Two machines and one remote: what one ran the other does not run again, and prints the same bytes.

use std::path::Path;

use crate::harness::{Bench, Run, TINY};

/// How an event begins that is a warning of the store's, and not of a stage.
const STORE_WARNS: &str = r#""stage":"","level":"warning""#;

/// The name of a remote in a folder of its own.
fn remote(folder: &Path) -> String {
    let folder = folder.join("remote");
    std::fs::create_dir_all(&folder).unwrap();
    format!("file://{}", folder.display())
}

/// How many files there are below a folder of the remote.
fn count(folder: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return 0;
    };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .map(|path| if path.is_dir() { count(&path) } else { 1 })
        .sum()
}

#[test]
fn a_second_store_runs_nothing_and_prints_the_same() {
    let shared = tempfile::tempdir().unwrap();
    let url = remote(shared.path());
    let folder = shared.path().join("remote");
    let a = Bench::new(TINY);
    let first = a.run_manifest(&["--remote", &url]).ok();
    assert!(!first.ran().is_empty());
    assert!(!first.stderr.contains(STORE_WARNS), "{}", first.stderr);
    assert_eq!(
        (count(&folder.join("leases-v1")), count(&folder.join("tmp"))),
        (0, 0)
    );

    // As the manifest says it.
    let manifest = format!("{TINY}\n[store]\nremote = \"{url}\"\n");
    let b = Bench::new(&manifest);
    // A manifest alone may neither send anything anywhere, nor have results count that lie elsewhere.
    let refused = b.run_manifest(&[]);
    assert_eq!(refused.code, Some(2));
    let expected = "which you have not allowed; it was not asked, and nothing was sent";
    assert!(refused.stderr.contains(expected), "{}", refused.stderr);
    let plan = b.run(&["plan", "m.toml"]).ok();
    assert!(
        plan.stderr.contains(expected) && !plan.stdout.contains("hit (remote)"),
        "{}",
        plan.stdout
    );
    b.write(
        "config/sert-run/remotes",
        format!("# ours\nfile://{}\n", shared.path().display()),
    );
    let plan = b.run(&["plan", "m.toml"]).ok();
    assert!(plan.stdout.contains("hit (remote)"), "{}", plan.stdout);
    // A look brings what is small: it is here from then on. Another store has not looked yet.
    let plan = b
        .run(&["plan", "m.toml", "--json", "--cache", "other"])
        .ok();
    let plan: serde_json::Value = serde_json::from_str(&plan.stdout).unwrap();
    for stage in plan["stages"].as_array().unwrap() {
        assert_eq!(
            (&stage["state"], &stage["why"]),
            (&"hit".into(), &"hit (remote)".into())
        );
    }
    let second = b.run_manifest(&[]).ok();
    assert_eq!(second.ran(), Vec::<String>::new());
    assert_eq!(second.stdout, first.stdout);
    b.run(&["cache", "verify"]).ok();
    // Once here, it needs no remote.
    let third = b.run_manifest(&["--remote", "none"]).ok();
    assert_eq!(
        (third.ran(), third.stdout),
        (Vec::new(), first.stdout.clone())
    );

    // Whoever only looks may have an empty store too.
    let c = Bench::new(TINY);
    let table = c.run(&["table", "m.toml", "--remote", &url]).ok();
    assert!(
        first.stdout.contains(table.stdout.trim_end()),
        "{}",
        table.stdout
    );
    let lines = c.run(&["cache", "ls", "m.toml", "--remote", &url]).ok();
    assert!(
        lines.stdout.contains("here too") && lines.stdout.contains("of these manifests: 9 of 9"),
        "{}",
        lines.stdout
    );
}

#[test]
fn rows_of_a_killed_run_are_drawn_once() {
    let shared = tempfile::tempdir().unwrap();
    let url = remote(shared.path());
    let a = Bench::new(TINY);
    a.run_manifest(&["--stage", "student", "--remote", &url])
        .ok();
    // All its rows and not its result.
    a.run_manifest(&["--stage", "sampled"]).ok();
    let pushed = a.run(&["cache", "push", "--remote", &url]).ok();
    assert!(pushed.stdout.contains("results, "), "{}", pushed.stdout);
    let records = shared.path().join("remote/results-v1");
    std::fs::remove_dir_all(&records).unwrap();
    let b = Bench::new(TINY);
    let run = b
        .run_manifest(&["--stage", "sampled", "--remote", &url])
        .ok();
    assert!(run.ran().contains(&"sampled".to_owned()));
    assert_eq!(
        run.progress_events("sampled"),
        0,
        "no path is drawn again: {}",
        run.stderr
    );
}

#[test]
fn push_pull_and_collect_by_hand() {
    let shared = tempfile::tempdir().unwrap();
    let url = remote(shared.path());
    let a = Bench::new(TINY);
    let first = a.run_manifest(&[]).ok();
    let said = |bench: &Bench, arguments: &[&str]| {
        let mut all = vec!["cache"];
        all.extend(arguments);
        all.extend(["--remote", &url]);
        bench.run(&all).ok().stdout
    };
    assert!(said(&a, &["push", "m.toml"]).contains("9 results, 0 rows"));
    let rest = said(&a, &["push"]);
    assert!(
        rest.contains("0 results") && !rest.contains(" 0 rows"),
        "{rest}"
    );
    let b = Bench::new(TINY);
    let pulled = said(&b, &["pull", "--rows"]);
    assert!(
        pulled.contains("9 results") && !pulled.contains(" 0 rows"),
        "{pulled}"
    );
    let alone = b.run_manifest(&[]).ok();
    assert_eq!((alone.ran(), alone.stdout), (Vec::new(), first.stdout));

    assert!(said(&b, &["gc", "m.toml", "--rows"]).contains("deleted in file://"));
    assert!(
        said(&b, &["ls", "m.toml"]).contains("9 of 9"),
        "a week's grace"
    );
    b.write("other.toml", TINY.replace("entities = 12", "entities = 13"));
    let dry = said(
        &b,
        &["gc", "other.toml", "--grace", "0", "--force", "--dry-run"],
    );
    let done = said(&b, &["gc", "other.toml", "--grace", "0", "--force"]);
    assert!(done.contains("9 results"), "{done}");
    assert_eq!(dry.replace("would delete", "deleted"), done);
    assert!(said(&b, &["ls", "m.toml"]).contains("0 of 9"));
    // This machine's store was not what was collected.
    assert_eq!(b.run_manifest(&[]).ok().ran(), Vec::<String>::new());
}

#[test]
fn two_at_once_end_with_one_table() {
    let shared = tempfile::tempdir().unwrap();
    let url = remote(shared.path());
    let benches = [Bench::new(TINY), Bench::new(TINY)];
    let runs: Vec<Run> = std::thread::scope(|scope| {
        let start = |bench| {
            let url = &url;
            scope.spawn(move || Bench::run_manifest(bench, &["--remote", url]).ok())
        };
        let running: Vec<_> = benches.iter().map(start).collect();
        running.into_iter().map(|run| run.join().unwrap()).collect()
    });
    assert_eq!(runs[0].stdout, runs[1].stdout);
    assert_eq!(count(&shared.path().join("remote/results-v1")), 9);
    let c = Bench::new(TINY);
    let third = c.run_manifest(&["--remote", &url]).ok();
    assert_eq!((third.ran(), &third.stdout), (Vec::new(), &runs[0].stdout));
}

#[test]
fn a_remote_that_cannot_be_meant_is_said() {
    let bench = Bench::new(TINY);
    for (arguments, expected) in [
        (
            &["m.toml", "--remote", "lab/x"][..],
            "--remote: `lab/x` names no remote",
        ),
        (
            &["m.toml", "--remote", "file:///not/there"],
            "there is no folder /not/there",
        ),
        (&["cache", "push"], "no remote is named"),
        (
            &[
                "cache",
                "gc",
                "m.toml",
                "--grace",
                "1y",
                "--remote",
                "file:///x",
            ],
            "for example 7d",
        ),
    ] {
        let run = bench.run(arguments);
        assert!(
            run.code != Some(0) && run.stderr.contains(expected),
            "{arguments:?}: {}",
            run.stderr
        );
    }
    bench.write(
        "bad.toml",
        format!("{TINY}\n[store]\nremote = \"https://x\"\n"),
    );
    let run = bench.run(&["plan", "bad.toml"]);
    assert_eq!(run.code, Some(2));
    assert!(
        run.stderr.contains("store.remote") && run.stderr.contains("bad.toml"),
        "{}",
        run.stderr
    );
}
