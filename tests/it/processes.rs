//! Stages as processes of this machine: the same results, and nothing of them outlives the run.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::harness::{Bench, TINY};

const SHARED_OUT: &str = "\n[run.processes.kinds.sample]\nshards = 5\n";

/// A folder that stands for the remote.
fn remote(bench: &Bench) -> String {
    std::fs::create_dir_all(bench.path("remote")).unwrap();
    format!("file://{}", bench.path("remote").display())
}

fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path.display().to_string());
        }
    }
    found
}

#[test]
fn processes_make_the_same_bytes() {
    let alone = Bench::new(TINY).run_manifest(&[]).ok();
    let bench = Bench::new(&format!("{TINY}{SHARED_OUT}"));
    let url = remote(&bench);
    let ran = bench
        .run_manifest(&["--remote", &url, "--executor", "processes"])
        .ok();
    assert_eq!(ran.stdout, alone.stdout);
    assert!(
        ran.stderr.contains("submitted 5 jobs for `sampled`"),
        "{}",
        ran.stderr
    );
    assert_eq!(files(&bench.path("remote/jobs-v1")), Vec::<String>::new());
    for (more, error) in [
        (&["--detach"][..], "processes of this run"),
        (
            &["--set", "run.processes.defaults.partition=x"],
            "`defaults.partition` in [run.processes] or in ",
        ),
    ] {
        let mut arguments = vec!["--remote", &url, "--executor", "processes"];
        arguments.extend(more);
        let refused = bench.run_manifest(&arguments);
        assert_eq!(refused.code, Some(2), "{}", refused.stderr);
        assert!(refused.stderr.contains(error), "{}", refused.stderr);
    }
}

#[cfg(unix)]
#[test]
fn a_run_that_is_killed_takes_its_processes_with_it_and_goes_on_later() {
    let bench = Bench::new(&format!("{TINY}{SHARED_OUT}"));
    let url = remote(&bench);
    let mut arguments = vec!["run", "m.toml", "--remote", &url];
    arguments.extend(["--executor", "processes", "--enforce-eager"]);
    let jobs = bench.path("remote/jobs-v1");
    let has = |end: &str| files(&jobs).iter().any(|path| path.ends_with(end));
    let mut child = bench.command(&arguments).spawn().unwrap();
    let since = Instant::now();
    // A part of the paths is being drawn.
    while !has("of5-1.jsonl") {
        assert!(since.elapsed() < Duration::from_mins(2), "nothing ran");
        assert_eq!(child.try_wait().unwrap(), None, "it ended");
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // Each part that was begun says how it ended; none is killed.
    let begun = |kind: &str| {
        let of_kind = |path: &&String| path.contains(kind) && path.contains("of5-1.");
        files(&jobs).iter().filter(of_kind).count()
    };
    while begun("/events-") > begun("/end-") {
        assert!(since.elapsed() < Duration::from_mins(3), "it goes on");
        std::thread::sleep(Duration::from_millis(50));
    }
    let job = files(&jobs)
        .into_iter()
        .find(|path| path.ends_with("/job.json"));
    let job = std::fs::read_to_string(job.unwrap()).unwrap();
    assert!(job.contains("\"enforce_eager\": true"), "{job}");
    let after = bench.run(&arguments).ok();
    assert_eq!(after.stdout, Bench::new(TINY).run_manifest(&[]).ok().stdout);
    assert_eq!(files(&jobs), Vec::<String>::new());
}
