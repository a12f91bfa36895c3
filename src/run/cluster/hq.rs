//! HyperQueue's queue, by its program: many jobs inside a few allocations of a cluster, or on machines that have none.

use std::time::Duration;

use serde::Deserialize;

use super::array::NAME;
use super::command::{Says, cancel, output};
use super::queue::{Left, Limits, Queue, QueueError, Queued, Submission};
use super::script::{Words, script};
use crate::disk;

const WORDS: Words = Words {
    element: "HQ_TASK_ID",
    again: "",
};
const SAYS: Says = Says {
    full: &[],
    away: &["is unreachable", "Connection refused", "Connection reset"],
};

/// So long a task has that is cancelled, and a little more.
const GRACE: Duration = Duration::from_millis(1200);

/// The server that this machine's `hq` finds.
pub(crate) struct HqQueue;

/// What `hq submit` prints.
#[derive(Deserialize)]
struct Submitted {
    id: u64,
}

/// A job, as `hq job list` and `hq job info` print it.
#[derive(Deserialize)]
struct Job {
    id: u64,
    name: String,
    task_stats: TaskStats,
}

#[derive(Deserialize)]
struct TaskStats {
    running: u64,
    waiting: u64,
    canceled: u64,
}

#[derive(Deserialize)]
struct JobInfo {
    info: Job,
    tasks: Vec<Task>,
}

#[derive(Deserialize)]
struct Task {
    #[serde(default)]
    error: Option<String>,
}

impl HqQueue {
    /// The server, if there is one.
    ///
    /// # Errors
    /// `hq` is not on the `PATH`, or finds no server.
    pub(crate) fn open() -> Result<Self, QueueError> {
        hq(&["server", "info"]).map_err(|error| {
            QueueError::Refused(format!(
                "{error}\nhint: `hq server start` starts one where `hq` is on the PATH; workers come by `hq alloc add` or `hq worker start`"
            ))
        })?;
        Ok(Self)
    }
}

impl Queue for HqQueue {
    /// It takes any number of tasks and as many jobs; of a job it cancels all tasks, so each job has one.
    fn limits(&self) -> Limits {
        Limits {
            array: 1,
            submitted: None,
        }
    }

    fn submit(&self, submission: &Submission) -> Result<Option<String>, QueueError> {
        let path = submission.list().with_extension("sh");
        disk::write(&path, script(submission, &WORDS).as_bytes()).map_err(|error| {
            QueueError::Refused(format!("cannot write {}: {error}", path.display()))
        })?;
        let mut arguments = options(submission);
        arguments.extend(["--", "bash"].map(str::to_owned));
        arguments.push(path.display().to_string());
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let said = hq(&arguments)?;
        let submitted: Option<Submitted> = serde_json::from_str(&said).ok();
        Ok(submitted.map(|job| job.id.to_string()))
    }

    fn queued(&self) -> Result<Vec<Queued>, QueueError> {
        let jobs = hq(&["job", "list", "--filter", "waiting,running"])?;
        let jobs: Vec<Job> = serde_json::from_str(&jobs).map_err(|error| {
            QueueError::Refused(format!(
                "`hq job list` prints what is not understood: {error}"
            ))
        })?;
        let ours = jobs.into_iter().filter(|job| job.name.starts_with(NAME));
        Ok(ours
            .map(|job| Queued {
                name: job.name,
                element: 0,
                id: format!("{}_0", job.id),
                runs: job.task_stats.running > 0,
                waits: (job.task_stats.waiting > 0)
                    .then(|| "no worker has room for them (`hq worker list`)".to_owned()),
            })
            .collect())
    }

    fn cancel(&self, ids: &[String]) -> Result<(), QueueError> {
        let jobs: Vec<&str> = ids.iter().map(|id| job_of(id)).collect();
        cancel(&jobs, ("hq job cancel", ","), |some| {
            hq(&["job", "cancel", &some.join(",")])
        })?;
        // They are off the list at once, and have a moment to save.
        std::thread::sleep(GRACE);
        Ok(())
    }

    fn left(&self, id: &str, _: bool) -> Option<Left> {
        left(&hq(&["job", "info", job_of(id)]).ok()?)
    }
}

fn hq(arguments: &[&str]) -> Result<String, QueueError> {
    let mut all = vec!["--output-mode=json"];
    all.extend(arguments);
    output(&SAYS, "hq", &all, "")
}

/// The job of an element's id: `12` of `12_0`.
fn job_of(id: &str) -> &str {
    id.split('_').next().unwrap_or(id)
}

/// What `hq job info` says of how a job ended.
fn left(info: &str) -> Option<Left> {
    let jobs: Vec<JobInfo> = serde_json::from_str(info).ok()?;
    let job = jobs.into_iter().next()?;
    if job.info.task_stats.canceled > 0 {
        return Some(Left::Cancelled);
    }
    let error = job.tasks.into_iter().find_map(|task| task.error)?;
    match error {
        error if error.contains("Time limit reached") => Some(Left::TimeOver),
        // The worker died under it, again and again.
        error if error.contains("worker") && error.contains("lost") => Some(Left::NodeFailed),
        _ => None,
    }
}

/// A job as arguments of `hq`.
fn options(submission: &Submission) -> Vec<String> {
    let class = &submission.class;
    let mut options = vec![
        "submit".to_owned(),
        format!("--name={}", submission.name()),
        "--array=0".to_owned(),
        format!("--cpus={}", class.resources.cpus.unwrap_or(1)),
        // Workers tell their memory in MiB, unless they were told not to.
        format!("--resource=mem={}", class.memory_mib),
    ];
    if let Some(gpus) = class.resources.gpus {
        options.push(format!("--resource=gpus/nvidia={gpus}"));
    }
    // A worker is asked to have as much time left only where somebody said so: its allocation may be shorter than a guess.
    if let Some(seconds) = class.seconds() {
        options.push(format!("--time-limit={seconds}s"));
        options.push(format!("--time-request={seconds}s"));
    }
    let printed = submission.list();
    options.extend([
        format!("--cwd={}", submission.jobs.display()),
        format!("--stdout={}", printed.with_extension("out").display()),
        format!("--stderr={}", printed.with_extension("err").display()),
    ]);
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hq_prints_is_understood() {
        let info = |stats: &str, task: &str| {
            format!(
                r#"[{{"info": {{"id": 3, "name": "sert-run-a", "task_stats": {{"aborted": 0, "canceled": {stats}, "failed": 1, "finished": 0, "running": 0, "waiting": 0}}}}, "tasks": [{{"id": 0, "state": "failed"{task}}}]}}]"#
            )
        };
        assert_eq!(left(&info("1", "")), Some(Left::Cancelled));
        let over = r#", "error": "Time limit reached""#;
        assert_eq!(left(&info("0", over)), Some(Left::TimeOver));
        let code = r#", "error": "Program terminated with exit code 3""#;
        assert_eq!(left(&info("0", code)), None);
        assert_eq!(left("[]"), None, "it is forgotten");
        assert_eq!(job_of("12_0"), "12");
    }
}
