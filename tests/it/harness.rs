//! A folder with a tiny experiment, and the program run in it.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// A whole pipeline on a world so small that it runs in seconds.
pub(crate) const TINY: &str = include_str!("../../experiments/tiny.toml");

/// A temporary folder to run the program in.
pub(crate) struct Bench {
    pub(crate) folder: tempfile::TempDir,
}

impl Bench {
    /// An empty folder with `manifest` as `m.toml`.
    pub(crate) fn new(manifest: &str) -> Self {
        let bench = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        bench.write("m.toml", manifest);
        bench
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sert-run"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            // Nobody's own permissions, nor a place to keep any.
            .env("XDG_CONFIG_HOME", self.path("config"))
            .env_remove("SERT_ALLOW_ENDPOINT")
            .env_remove("SERT_ALLOW_PROGRAMS")
            .env_remove("SERT_MIRROR")
            .env_remove("SERT_CACHE")
            .env_remove("SERT_REMOTE")
            .env_remove("SERT_DEVICE")
            .env_remove("COLUMNS");
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        Run::of(&self.command(arguments).output().unwrap())
    }

    /// Runs `m.toml` with events as JSON lines.
    pub(crate) fn run_manifest(&self, more: &[&str]) -> Run {
        let mut arguments = vec!["m.toml", "--progress", "json"];
        arguments.extend(more);
        self.run(&arguments)
    }
}

/// What a run printed and how it ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    pub(crate) fn of(output: &Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The run, which must have ended well.
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{}\n{}", self.stdout, self.stderr);
        self
    }

    /// How many units a stage told of as it made them.
    pub(crate) fn progress_events(&self, stage: &str) -> usize {
        let of_stage = format!("\"stage\":\"{stage}\"");
        self.stderr
            .lines()
            .filter(|line| line.contains("\"event\":\"progress\"") && line.contains(&of_stage))
            .count()
    }

    /// What was told as JSON lines.
    pub(crate) fn events(&self) -> impl Iterator<Item = serde_json::Value> {
        self.stderr
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
    }

    /// The stages that ran, in order.
    pub(crate) fn ran(&self) -> Vec<String> {
        self.events()
            .filter(|event| event["event"] == "stage-started")
            .map(|event| event["stage"].as_str().unwrap_or_default().to_owned())
            .collect()
    }
}
