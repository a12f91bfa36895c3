//! What is kept stays right: silent damage, kills, other processes, other people's stores.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::harness::{Bench, Run, TINY};
use crate::needs::{Need, skip};

/// The largest object: the weights of a student.
fn weights(bench: &Bench) -> PathBuf {
    let shards = std::fs::read_dir(bench.path("cache/objects-v1")).unwrap();
    let files = shards.flat_map(|shard| std::fs::read_dir(shard.unwrap().path()).unwrap());
    let files = files.map(|file| file.unwrap().path());
    files
        .max_by_key(|path| std::fs::metadata(path).unwrap().len())
        .unwrap()
}

/// Runs a stage that is a hit once more, so that the digests of its files are remembered: those of files that changed just
/// now are not.
#[cfg(unix)]
fn remember(bench: &Bench, stage: &str) {
    std::thread::sleep(std::time::Duration::from_millis(2100));
    bench.run_manifest(&["--stage", stage]).ok();
}

/// Changes bytes of a file so that neither its size nor its times tell: the index is told what they are now.
#[cfg(unix)]
fn rot(bench: &Bench, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    use std::os::unix::fs::MetadataExt;
    let stamp = |path: &Path| -> Vec<u8> {
        let meta = std::fs::metadata(path).unwrap();
        let parts = [
            meta.size().cast_signed(),
            meta.mtime(),
            meta.mtime_nsec(),
            meta.ctime(),
            meta.ctime_nsec(),
            meta.ino().cast_signed(),
            meta.dev().cast_signed(),
        ];
        parts.iter().flat_map(|part| part.to_le_bytes()).collect()
    };
    let before = stamp(path);
    let mut bytes = std::fs::read(path).unwrap();
    change(&mut bytes);
    std::fs::remove_file(path).unwrap();
    std::fs::write(path, bytes).unwrap();
    let index = rusqlite::Connection::open(bench.path("cache/index-v1.sqlite")).unwrap();
    let changed = index.execute(
        "UPDATE files SET stamp = ?1 WHERE stamp = ?2",
        (stamp(path), before),
    );
    assert_eq!(changed.unwrap(), 1, "its digest was remembered");
}

/// Weights that the disk has changed draw no path: they are made again, with a warning, and everything comes out as
/// from sound ones.
#[cfg(unix)]
#[test]
fn silently_changed_weights_are_noticed_as_they_are_loaded() {
    let more = ["--set", "stages.sampled.max_new_tokens=12"];
    let undisturbed = Bench::new(TINY).run_manifest(&more).ok();
    let bench = Bench::new(TINY);
    bench.run_manifest(&["--stage", "student"]).ok();
    remember(&bench, "student");
    rot(&bench, &weights(&bench), |bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x10;
    });
    // Nothing is read to tell a hit.
    let hit = bench.run_manifest(&["--stage", "student"]).ok();
    assert!(hit.ran().is_empty(), "{:?}", hit.ran());
    let run = bench.run_manifest(&more).ok();
    assert_eq!(run.stdout, undisturbed.stdout);
    assert_eq!(
        run.ran().iter().filter(|stage| *stage == "student").count(),
        1
    );
    for word in ["was damaged", "it is made again"] {
        assert!(run.stderr.contains(word), "{}", run.stderr);
    }
    bench.run(&["cache", "verify"]).ok();
}

#[cfg(unix)]
#[test]
fn verify_finds_silently_changed_weights_and_they_count_no_more() {
    let bench = Bench::new(TINY);
    let first = bench.run_manifest(&["--stage", "sampled"]).ok();
    remember(&bench, "sampled");
    let path = weights(&bench);
    rot(&bench, &path, |bytes| *bytes.last_mut().unwrap() ^= 1);
    let verify = bench.run(&["cache", "verify"]);
    assert_eq!(verify.code, Some(1), "{}", verify.stdout);
    assert!(
        verify.stdout.contains("1 damaged, 1 results lost"),
        "{}",
        verify.stdout
    );
    assert!(!path.exists());
    bench.run(&["cache", "verify"]).ok();
    let again = bench.run_manifest(&["--stage", "sampled"]).ok();
    // The paths were drawn from sound weights, which came out again.
    assert_eq!(again.ran(), ["student"]);
    assert_eq!(again.stdout, first.stdout);
}

/// A file of ours that changed under its remembered digest: the result is that of what is there now, under its own key.
#[cfg(unix)]
#[test]
fn a_silently_changed_data_file_is_noticed_as_it_is_read() {
    let manifest = "[stages.data]\nkind = \"dataset\"\ndataset = \"jsonl\"\npath = \"q.jsonl\"\n";
    let bench = Bench::new(manifest);
    let line = |n: usize, answer: &str| {
        format!("{{\"id\": \"q{n}\", \"question\": \"Is {n} even?\", \"answer\": \"{answer}\"}}\n")
    };
    let rows: String = (0..30)
        .map(|n| line(n, if n % 2 == 0 { "yes" } else { "no" }))
        .collect();
    bench.write("q.jsonl", &rows);
    std::thread::sleep(std::time::Duration::from_millis(2100));
    bench.run_manifest(&[]).ok();
    bench.run_manifest(&[]).ok();
    let changed = rows.replace("Is 3 even", "Is 5 even");
    rot(&bench, &bench.path("q.jsonl"), |bytes| {
        *bytes = changed.clone().into_bytes();
    });
    assert!(bench.run_manifest(&[]).ok().ran().is_empty());
    let run = bench.run_manifest(&["--limit", "20"]).ok();
    assert!(
        run.stderr.contains("its size and times did not"),
        "{}",
        run.stderr
    );
    let shown = bench
        .run(&["show", "m.toml", "data.all", "--json", "--limit", "20"])
        .ok();
    let fresh = Bench::new(manifest);
    fresh.write("q.jsonl", &changed);
    fresh.run_manifest(&["--limit", "20"]).ok();
    let expected = fresh
        .run(&["show", "m.toml", "data.all", "--json", "--limit", "20"])
        .ok();
    assert_eq!(shown.stdout, expected.stdout);
    bench.run(&["cache", "verify"]).ok();
}

#[test]
fn what_kills_left_is_told_and_the_next_run_removes_it() {
    let bench = Bench::new(TINY);
    bench.run_manifest(&["--stage", "teacher"]).ok();
    bench.write(
        "cache/tmp/sert-run-a1b2c3/model.safetensors",
        vec![0; 2 << 20],
    );
    bench.write("cache/tmp/.tmpZYXWVU/model.safetensors", vec![0; 1 << 20]);
    bench.write("cache/tmp/thesis/chapter1.tex", "only copy");
    let stats = bench.run(&["cache", "stats"]).ok().stdout;
    assert!(stats.contains("left over          2  3.00 MiB"), "{stats}");
    assert!(stats.contains("thesis (a folder)"), "{stats}");
    let gc = bench
        .run(&["cache", "gc", "m.toml", "--dry-run", "--force"])
        .ok()
        .stdout;
    assert!(gc.contains("2 left over by killed runs (3.00 MiB)"), "{gc}");
    let run = bench.run(&["m.toml", "--stage", "teacher"]).ok();
    assert!(
        run.stderr.contains("removed what killed runs left"),
        "{}",
        run.stderr
    );
    bench.run(&["cache", "gc", "m.toml", "--force"]).ok();
    let left: Vec<_> = std::fs::read_dir(bench.path("cache/tmp"))
        .unwrap()
        .collect();
    assert_eq!(left.len(), 1, "{left:?}");
    assert!(bench.path("cache/tmp/thesis/chapter1.tex").exists());
}

#[cfg(unix)]
#[test]
fn a_link_in_a_store_from_somebody_else_leads_nowhere() {
    let bench = Bench::new(TINY);
    bench.write("victim", "precious");
    bench.write("cache/rows-v1/paths/notes", "");
    let link = bench.path("cache/rows-v1/paths/000000.seg");
    std::os::unix::fs::symlink(bench.path("victim"), &link).unwrap();
    let stats = bench.run(&["cache", "stats"]).ok().stdout;
    assert!(
        stats.contains("a symbolic link), in the store's way"),
        "{stats}"
    );
    bench.run_manifest(&["--stage", "sampled"]).ok();
    bench.run(&["cache", "verify"]).ok();
    let rebuilt = bench.run(&["cache", "rebuild"]).ok().stdout;
    assert!(rebuilt.contains("000000.seg.foreign"), "{rebuilt}");
    assert_eq!(
        std::fs::read_to_string(bench.path("victim")).unwrap(),
        "precious"
    );
    assert!(
        bench
            .run_manifest(&["--stage", "sampled"])
            .ok()
            .ran()
            .is_empty()
    );
}

#[test]
fn verify_tells_losses_by_its_exit_code_and_mends_them() {
    type Spoil = fn(&Bench);
    let cases: [(&str, Spoil); 4] = [
        ("results lost", |bench| {
            std::fs::remove_dir_all(bench.path("cache/objects-v1")).unwrap();
        }),
        ("it is shorter than it was", |bench| {
            let segment = bench.path("cache/rows-v1/paths/000000.seg");
            let file = std::fs::File::options().write(true).open(segment).unwrap();
            file.set_len(file.metadata().unwrap().len() / 2).unwrap();
        }),
        ("rows taken in again", |bench| {
            let index = rusqlite::Connection::open(bench.path("cache/index-v1.sqlite")).unwrap();
            index.execute_batch("DELETE FROM rows").unwrap();
        }),
        ("the checkpoint does not match", |bench| {
            let folder = "cache/work/".to_owned() + &"ab".repeat(32);
            bench.write(&format!("{folder}/current.ckpt"), vec![1; 100]);
        }),
    ];
    let whole = Bench::new(TINY);
    let expected = whole.run_manifest(&["--stage", "sampled"]).ok();
    for (told, spoil) in cases {
        let bench = Bench::new(TINY);
        bench.run_manifest(&["--stage", "sampled"]).ok();
        bench.run(&["cache", "verify"]).ok();
        spoil(&bench);
        let verify = bench.run(&["cache", "verify"]);
        assert_eq!(verify.code, Some(1), "{told}: {}", verify.stdout);
        assert!(verify.stdout.contains(told), "{told}: {}", verify.stdout);
        bench.run(&["cache", "verify"]).ok();
        let run = bench.run_manifest(&["--stage", "sampled"]).ok();
        assert_eq!(run.stdout, expected.stdout);
    }
}

/// How many paths a run drew: each path has a token at least.
fn drawn(run: &Run) -> u64 {
    let mut last = 0;
    let mut drawn = 0;
    for event in run.events().filter(|event| event["stage"] == "sampled") {
        let tokens = event["progress"]["tokens"].as_u64().unwrap_or(0);
        drawn += u64::from(tokens > last);
        last = tokens;
    }
    drawn
}

#[test]
fn overlapping_runs_draw_each_path_once() {
    let bench = Bench::new(TINY);
    bench.run_manifest(&["--stage", "student"]).ok();
    // 12, 10 and 8 of the same questions, 24 paths each.
    let start = |limit: &str| {
        let mut command = bench.command(&["m.toml", "--progress", "json", "--stage", "sampled"]);
        command.args(["--limit", limit, "--threads", "1"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    let runs = ["12", "10", "8"].map(start);
    let runs = runs.map(|run| Run::of(&run.wait_with_output().unwrap()).ok());
    let drawn: Vec<u64> = runs.iter().map(drawn).collect();
    assert_eq!(drawn.iter().sum::<u64>(), 12 * 24, "{drawn:?}");
    let alone = Bench::new(TINY);
    alone
        .run_manifest(&["--stage", "sampled", "--limit", "12"])
        .ok();
    let show = |bench: &Bench| {
        let shown = bench.run(&["show", "m.toml", "sampled", "--json", "--limit", "12"]);
        shown.ok().stdout
    };
    assert_eq!(show(&bench), show(&alone));
}

/// Killed at once, a run goes on from all that was written: the paths of a question are found by its first tokens, which
/// are kept before them.
#[test]
fn progress_after_a_kill_begins_at_what_is_kept() {
    let bench = Bench::new(TINY);
    bench.run_manifest(&["--stage", "student"]).ok();
    let arguments = ["m.toml", "--progress", "json", "--stage", "sampled"];
    let done_of = |line: &str| {
        let event: serde_json::Value = serde_json::from_str(line).ok()?;
        (event["stage"] == "sampled").then(|| event["progress"]["done"].as_u64())?
    };
    let mut command = bench.command(&arguments);
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    for line in lines.map_while(Result::ok) {
        if done_of(&line).is_some_and(|done| done >= 100) {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let stats = bench.run(&["cache", "stats"]).ok().stdout;
    let kept = stats.lines().find(|line| line.ends_with("  paths"));
    let kept = kept.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    let kept = kept.expect("some were written");
    let next = bench.run(&arguments).ok();
    assert_eq!(next.stderr.lines().find_map(done_of), Some(kept));
    assert_eq!(drawn(&next), 12 * 24 - kept);
}

/// Everything that only looks, of a store that its user may not write to.
#[cfg(unix)]
#[test]
fn a_store_that_may_only_be_read_shows_all_and_runs_hits() {
    use std::os::unix::fs::PermissionsExt;
    let bench = Bench::new(TINY);
    let first = bench.run_manifest(&[]).ok();
    let table = bench.run(&["table", "m.toml"]).ok().stdout;
    let mut open = vec![bench.folder.path().to_owned()];
    while let Some(path) = open.pop() {
        let is_dir = path.is_dir();
        if is_dir {
            open.extend(
                std::fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        }
        let mode = if is_dir { 0o555 } else { 0o444 };
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    let out = tempfile::tempdir().unwrap();
    std::fs::set_permissions(out.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let program = out.path().join("sert-run");
    std::fs::copy(env!("CARGO_BIN_EXE_sert-run"), &program).unwrap();
    // Root may write whatever the rights are, so it is somebody else who looks.
    let is_root = std::fs::write(bench.path("probe"), b"").is_ok();
    let run = |arguments: &[&str]| {
        let mut command = if is_root {
            let mut command = std::process::Command::new("setpriv");
            command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
            command.arg(&program);
            command
        } else {
            std::process::Command::new(&program)
        };
        command.args(arguments).current_dir(bench.folder.path());
        command.env_remove("SERT_CACHE").env_remove("SERT_DEVICE");
        Run::of(&command.output().unwrap())
    };
    if run(&["--version"]).code != Some(0) {
        skip(Need::Setpriv, "setpriv is not here");
        return;
    }
    assert_eq!(run(&["table", "m.toml"]).ok().stdout, table);
    let to = |name: &str| out.path().join(name).to_string_lossy().into_owned();
    for looks in [
        &["show", "m.toml", "kept.funnel"][..],
        &["plan", "m.toml"],
        &["why", "m.toml", "SERT+RD:acc"],
        &["diff", "m.toml", "m.toml"],
        &["report", "m.toml", "--out", &to("report")],
        &["export", "m.toml", "sert", &to("model")],
        &["table", "m.toml", "--out", &to("table.md")],
        &["cache", "stats"],
        &["cache", "verify"],
    ] {
        run(looks).ok();
    }
    let hits = run(&["m.toml", "--progress", "json"]).ok();
    assert_eq!(
        (hits.stdout, hits.stderr.contains("\"ran\"")),
        (first.stdout, false)
    );
    let refused = run(&["m.toml", "--set", "stages.sampled.max_new_tokens=9"]);
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    assert!(
        refused.stderr.contains("may only be read"),
        "{}",
        refused.stderr
    );
    assert!(
        refused.stderr.contains("hint: name another"),
        "{}",
        refused.stderr
    );
    // So that it can be removed again.
    let mut open = vec![bench.folder.path().to_owned()];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
            open.extend(
                std::fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        }
    }
}
