//! Slurm's queue, by its commands: what they print is the interface that clusters of all versions have.

use std::io::Write;
use std::process::{Command, Stdio};

use super::queue::{Limits, Queue, QueueError, Queued, Submission};

/// How the names of our arrays begin.
pub(super) const NAME: &str = "sert-run-";
/// `MaxArraySize` where the cluster does not tell: Slurm's default.
const ARRAY: u32 = 1001;
/// Parts of messages by which `sbatch` says that there are too many jobs for now.
const FULL: [&str; 5] = [
    "submit limit",
    "MaxSubmit",
    "Job violates accounting/QOS policy",
    "temporarily unable to accept job",
    "Resource temporarily unavailable",
];
/// And by which any command says that the controller is not there.
const AWAY: [&str; 5] = [
    "Unable to contact",
    "Socket timed out",
    "Connection refused",
    "Transport endpoint",
    "Connection timed out",
];
/// Jobs named in one call of `scancel`.
const CANCELLED_TOGETHER: usize = 500;

/// The cluster that this machine submits to.
pub(crate) struct SlurmQueue;

impl SlurmQueue {
    /// The cluster, if its commands are here and it answers.
    ///
    /// # Errors
    /// They are not, or it does not.
    pub(crate) fn open() -> Result<Self, QueueError> {
        output("sbatch", &["--version"], "").map_err(|error| {
            QueueError::Refused(format!(
                "{error}\nhint: run this where jobs are submitted, on a login node of the cluster"
            ))
        })?;
        Ok(Self)
    }
}

impl Queue for SlurmQueue {
    fn limits(&self) -> Limits {
        let config = output("scontrol", &["show", "config"], "").unwrap_or_default();
        // Where there is an accounting, and it may be asked; a limit that is not known shows when it is met.
        let format = "format=MaxSubmitJobs,GrpSubmitJobs";
        let user = format!("user={}", std::env::var("USER").unwrap_or_default());
        let accounting = output("sacctmgr", &["-nP", "show", "assoc", &user, format], "");
        Limits {
            array: max_array(&config).unwrap_or(ARRAY).max(1),
            submitted: max_submit(&accounting.unwrap_or_default()),
        }
    }

    fn submit(&self, submission: &Submission) -> Result<Option<String>, QueueError> {
        let name = format!("--job-name={}", submission.name);
        let mut arguments = vec!["--parsable", &name];
        arguments.extend(submission.options.iter().map(String::as_str));
        // `12`, or `12;cluster`.
        let said = output("sbatch", &arguments, &submission.script)?;
        let id = said.trim().split(';').next().unwrap_or_default();
        Ok((!id.is_empty()).then(|| id.to_owned()))
    }

    fn queued(&self) -> Result<Vec<Queued>, QueueError> {
        // One line for each element, those that wait together too.
        let lines = output("squeue", &["--me", "-r", "-h", "-o", "%i|%j|%T|%r"], "")?;
        Ok(lines.lines().filter_map(queued).collect())
    }

    fn cancel(&self, ids: &[String]) -> Result<(), QueueError> {
        for some in ids.chunks(CANCELLED_TOGETHER) {
            let some: Vec<&str> = some.iter().map(String::as_str).collect();
            output("scancel", &some, "")?;
        }
        Ok(())
    }

    fn ended(&self, id: &str, has_run: bool) -> Option<String> {
        let known = |id: &str| output("scontrol", &["-o", "show", "job", id], "");
        if let Ok(job) = known(id) {
            return Some(state_of(&job)?.to_owned());
        }
        // An element is a job of its own from when it starts. One that is cancelled before is taken off its array, and is
        // found no more where the array is.
        let (array, _) = id.split_once('_')?;
        (!has_run && known(array).is_ok()).then(|| "CANCELLED".to_owned())
    }
}

/// What a command prints; it is given `input`.
fn output(command: &str, arguments: &[&str], input: &str) -> Result<String, QueueError> {
    let refused =
        |why: std::io::Error| QueueError::Refused(format!("cannot run `{command}`: {why}"));
    let mut child = Command::new(command)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(refused)?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that does not read it says why.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(refused)?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let said = format!("`{command}`: {}", said.trim());
    let has = |parts: &[&str]| parts.iter().any(|part| said.contains(part));
    Err(if has(&AWAY) {
        QueueError::Away(said)
    } else if command == "sbatch" && has(&FULL) {
        QueueError::Full(said)
    } else {
        QueueError::Refused(said)
    })
}

/// `MaxArraySize` in what `scontrol show config` prints.
fn max_array(config: &str) -> Option<u32> {
    let line = config
        .lines()
        .find(|line| line.starts_with("MaxArraySize"))?;
    line.split_once('=')?.1.trim().parse().ok()
}

/// The least of the limits that `sacctmgr` lists.
fn max_submit(associations: &str) -> Option<u32> {
    associations
        .lines()
        .flat_map(|line| line.split('|'))
        .filter_map(|limit| limit.trim().parse().ok())
        .min()
}

/// A line of `squeue`, where it is one of ours.
fn queued(line: &str) -> Option<Queued> {
    let mut parts = line.splitn(4, '|');
    let (id, name, state, reason) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let element = id.split_once('_')?.1.parse().ok()?;
    name.starts_with(NAME).then(|| Queued {
        name: name.to_owned(),
        element,
        id: id.to_owned(),
        runs: ![
            "PENDING",
            "REQUEUED",
            "REQUEUE_HOLD",
            "REQUEUE_FED",
            "SUSPENDED",
        ]
        .contains(&state),
        reason: reason.to_owned(),
    })
}

/// `JobState` in what `scontrol show job` prints.
fn state_of(job: &str) -> Option<&str> {
    let after = job.split("JobState=").nth(1)?;
    after.split_whitespace().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_slurm_prints_is_understood() {
        let config = "Configuration data as of 2026-11-29\nMaxArraySize            = 10\nMaxJobCount             = 10000\n";
        assert_eq!(max_array(config), Some(10));
        assert_eq!(max_array(""), None);
        assert_eq!(max_submit("500|\n200|1000\n"), Some(200));
        assert_eq!(max_submit("|\n"), None);
        let line = "12_3|sert-run-ab|PENDING|Nodes required for job are DOWN, DRAINED";
        let found = queued(line).unwrap();
        assert_eq!(
            (
                found.element,
                found.id.as_str(),
                found.runs,
                found.reason.as_str()
            ),
            (3, "12_3", false, "Nodes required for job are DOWN, DRAINED")
        );
        assert!(queued("13_0|sert-run-ab|RUNNING|None").unwrap().runs);
        assert!(queued("13_0|sert-run-ab|COMPLETING|None").unwrap().runs);
        for other in ["14_0|mine|RUNNING|None", "15|sert-run-ab|RUNNING|None", ""] {
            assert_eq!(queued(other), None);
        }
        let job =
            "JobId=7 ArrayJobId=7 JobName=sert-run-ab JobState=OUT_OF_MEMORY Reason=OutOfMemory";
        assert_eq!(state_of(job), Some("OUT_OF_MEMORY"));
    }
}
