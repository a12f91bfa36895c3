//! Jobs: one stage, described by a file, on a machine that has nothing but the remote.

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use serde_json::Value;

use crate::harness::{Bench, Run, TINY};

/// A remote, a coordinator's store that has `--stage` and all before it, and the jobs that its plan writes.
struct Cluster {
    shared: tempfile::TempDir,
    url: String,
    home: Bench,
}

impl Cluster {
    fn with(stage: &str) -> Self {
        let shared = tempfile::tempdir().unwrap();
        std::fs::create_dir(shared.path().join("remote")).unwrap();
        let url = format!("file://{}", shared.path().join("remote").display());
        let home = Bench::new(TINY);
        home.run_manifest(&["--stage", stage, "--remote", &url])
            .ok();
        Self { shared, url, home }
    }

    /// The job of a stage that could run now.
    fn job(&self, stage: &str) -> PathBuf {
        self.job_with(stage, &[])
    }

    /// The same, of a manifest that is changed.
    fn job_with(&self, stage: &str, more: &[&str]) -> PathBuf {
        let jobs = self.shared.path().join("jobs").display().to_string();
        let mut arguments = vec!["plan", "m.toml", "--remote", &self.url, "--jobs", &jobs];
        arguments.extend(more);
        let plan = self.home.run(&arguments).ok().stdout;
        let begin = format!("{stage}: sert-run exec ");
        let line = plan.lines().find_map(|line| line.strip_prefix(&begin));
        let line = line.unwrap_or_else(|| panic!("{plan}"));
        line.split_whitespace().next().unwrap().into()
    }

    /// A node: an empty folder, and one for its store.
    fn exec(job: &Path, more: &[&str]) -> Run {
        let node = Bench::new("");
        let mut arguments = vec!["exec", job.to_str().unwrap()];
        arguments.extend(more);
        let output = node
            .command(&arguments)
            .env("TMPDIR", node.path(""))
            .output()
            .unwrap();
        let left: Vec<_> = std::fs::read_dir(node.path("")).unwrap().collect();
        assert_eq!(left.len(), 1, "only m.toml: {left:?}");
        Run::of(&output)
    }

    /// Changes the job's file.
    fn edit(job: &Path, change: impl FnOnce(&mut Value)) {
        let mut value = read(job);
        change(&mut value);
        std::fs::write(job, value.to_string()).unwrap();
    }
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn parts_leave_rows_and_the_whole_is_put_together_from_them() {
    let alone = Bench::new(TINY).run_manifest(&[]).ok();
    let cluster = Cluster::with("student");
    let job = cluster.job("sampled");
    assert_eq!(read(&job)["enforce_eager"], false);
    let mut bytes = 0;
    for shard in ["2/3", "0/3", "1/3"] {
        Cluster::exec(&job, &["--shard", shard]).ok();
        let end = read(&job.with_file_name(format!("end-{}-1.json", shard.replace('/', "of"))));
        assert_eq!(end["outcome"], "done");
        assert_eq!(end["rows"]["paths"].as_array().unwrap().len(), 1, "{end}");
        bytes += end["peak_memory_bytes"].as_u64().unwrap();
    }
    assert!(bytes > 0);
    let events = std::fs::read_to_string(job.with_file_name("events-0of3-1.jsonl")).unwrap();
    let first: Value = serde_json::from_str(events.lines().next().unwrap()).unwrap();
    assert_eq!(
        (&first["v"], &first["event"]),
        (&1.into(), &"stage-started".into())
    );
    assert!(first["unix_s"].as_u64().unwrap() > 1_700_000_000);
    assert!(events.contains("\"outcome\":\"ran\""), "{events}");
    // Nothing is under the stage's key, and nothing is drawn again.
    let whole = cluster.home.run_manifest(&["--remote", &cluster.url]).ok();
    assert!(whole.ran().contains(&"sampled".to_owned()));
    assert_eq!(whole.progress_events("sampled"), 0, "{}", whole.stderr);
    assert_eq!(whole.stdout, alone.stdout);
}

#[test]
fn a_job_that_is_warned_saves_and_goes_on_elsewhere() {
    let cluster = Cluster::with("kept");
    // Long enough to be met in the middle.
    let job = cluster.job_with("sert", &["--set", "stages.sert.epochs=400"]);
    let whole = read(&job)["key"].as_str().unwrap().to_owned();
    let node = Bench::new("");
    let child = node
        .command(&["exec", job.to_str().unwrap(), "--events"])
        .env("TMPDIR", node.path(""))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (code, told) = warn_when(child, |line| line.contains("\"done\":8,"));
    assert_eq!(code, Some(75), "{told}");
    let end = job.with_file_name("end-whole-1.json");
    assert_eq!(read(&end)["outcome"], "saved");
    Cluster::exec(&job, &[]).ok();
    assert_eq!(read(&end)["outcome"], "done");
    let events = std::fs::read_to_string(job.with_file_name("events-whole-1.jsonl")).unwrap();
    let done: Vec<u64> = events
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|line| line["event"] == "progress")
        .map(|line| line["progress"]["done"].as_u64().unwrap())
        .collect();
    let first_again = done
        .windows(2)
        .position(|two| two[1] < two[0])
        .unwrap_or(done.len());
    assert!(
        done[first_again..].iter().all(|done| *done > 2),
        "it began anew: {done:?}"
    );
    let result = cluster
        .shared
        .path()
        .join("remote/results-v1")
        .join(&whole[..2]);
    assert!(result.join(format!("{whole}.json")).exists());
    assert!(
        !job.with_file_name("work").join(&whole).exists(),
        "checkpoints are dropped"
    );
}

/// Sends `SIGUSR1` when a line of stderr is there; the exit code, and all that was told.
fn warn_when(mut child: Child, is_time: impl Fn(&str) -> bool) -> (Option<i32>, String) {
    use std::io::{BufRead, BufReader};
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let (mut told, mut sent) = (String::new(), false);
    for line in lines.map_while(Result::ok) {
        if !sent && is_time(&line) {
            sent = true;
            let pid = child.id().to_string();
            std::process::Command::new("kill")
                .args(["-USR1", &pid])
                .status()
                .unwrap();
        }
        told += &line;
        told.push('\n');
    }
    (child.wait().unwrap().code(), told)
}

#[test]
fn a_training_is_shared_out_over_the_devices_of_its_job() {
    let cluster = Cluster::with("kept");
    let job = cluster.job("sert");
    let refused = Cluster::exec(&job, &["--data-parallel", "2"]);
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.stderr.contains("--data-parallel is for cards")
            && refused.stderr.contains("hint: "),
        "{}",
        refused.stderr
    );
    let (flex, remote) = (["--device", "flex"], ["--remote", &cluster.url]);
    let run = |stage| {
        let arguments = [&["--stage", stage], &remote[..], &flex].concat();
        cluster.home.run_manifest(&arguments).ok()
    };
    run("kept");
    let job = cluster.job_with("sert", &flex);
    Cluster::exec(&job, &["--data-parallel", "2"]).ok();
    let end = read(&job.with_file_name("end-whole-1.json"));
    assert_eq!(end["outcome"], "done", "{end}");
    assert!(!run("sert").ran().contains(&"sert".to_owned()));
    let key = read(&job)["key"].as_str().unwrap().to_owned();
    let result = format!("cache/results-v1/{}/{key}.json", &key[..2]);
    let provenance = read(&cluster.home.path(&result))["provenance"].to_string();
    assert!(
        provenance.contains(r#""devices":["flex","flex"]"#),
        "{provenance}"
    );
}

#[test]
fn a_job_that_is_not_this_machines_says_why() {
    let cluster = Cluster::with("student");
    let job = cluster.job("sampled");
    let original = std::fs::read(&job).unwrap();
    let says = |change: &dyn Fn(&mut Value), more: &[&str], expected: &[&str]| {
        std::fs::write(&job, &original).unwrap();
        Cluster::edit(&job, |job| change(job));
        let run = Cluster::exec(&job, more);
        assert_ne!(run.code, Some(0));
        for each in expected {
            assert!(run.stderr.contains(each), "{each}: {}", run.stderr);
        }
    };
    says(
        &|job| job["seed"] = 8.into(),
        &[],
        &[
            "the stage's key is",
            "`seed` is 7 there and 8 here",
            "hint: both must run the same program",
        ],
    );
    if !cfg!(feature = "cuda") {
        let cuda = |job: &mut Value| job["device"] = "cuda:3".into();
        says(
            &cuda,
            &[],
            &["the job is for device cuda:3, and this machine", " has cpu"],
        );
    }
    says(
        &|job| job["version"] = 2.into(),
        &[],
        &["version 2", "reads version 1"],
    );
    says(
        &|job| job["kind"] = "sampler".into(),
        &[],
        &["of kind `sampler`, which this program"],
    );
    says(&|job| *job = Value::Null, &[], &["no job"]);
    says(
        &|_| {},
        &["--shard", "3/3"],
        &["`3/3` is no part", "0/8 to 7/8"],
    );
    let remote = |job: &mut Value| job["remote"] = "file:///not/there".into();
    says(&remote, &[], &["there is no folder /not/there"]);

    let cluster = Cluster::with("kept");
    let job = cluster.job("sert");
    let run = Cluster::exec(&job, &["--shard", "0/2"]);
    assert!(
        run.stderr
            .contains("a stage of kind `finetune` is done as a whole"),
        "{}",
        run.stderr
    );
    assert_eq!(
        read(&job.with_file_name("end-0of2-1.json"))["outcome"],
        "failed"
    );
    // An input that is gone is said as such: the coordinator makes it again.
    let objects = cluster.shared.path().join("remote/objects-v1");
    let paths = read(&job)["inputs"]["paths"].as_str().unwrap().to_owned();
    std::fs::remove_file(objects.join(&paths[..2]).join(&paths[2..])).unwrap();
    let run = Cluster::exec(&job, &[]);
    assert!(
        run.stderr.contains("the input `paths` is gone"),
        "{}",
        run.stderr
    );
    assert_eq!(
        read(&job.with_file_name("end-whole-1.json"))["lacks"],
        "paths"
    );
}
