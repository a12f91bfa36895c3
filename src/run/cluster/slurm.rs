//! Slurm's queue, by its commands: what they print is the interface that clusters of all versions have.

use std::sync::OnceLock;

use super::array::NAME;
use super::class::{Class, seconds};
use super::command::{Says, cancel, output};
use super::queue::{Left, Limits, Queue, QueueError, Queued, Submission};
use super::reasons::waits;
use super::script::{Words, script};

const WORDS: Words = Words {
    element: "SLURM_ARRAY_TASK_ID",
    again: r#"scontrol requeue "$SLURM_JOB_ID""#,
};
/// `MaxArraySize` where the cluster does not tell: Slurm's default.
const ARRAY: u32 = 1001;
const SAYS: Says = Says {
    // By which `sbatch` says that there are too many jobs for now.
    full: &[
        "submit limit",
        "MaxSubmit",
        "Job violates accounting/QOS policy",
        "temporarily unable to accept job",
        "Resource temporarily unavailable",
    ],
    // And any command that the controller is not there.
    away: &[
        "Unable to contact",
        "Socket timed out",
        "Connection refused",
        "Transport endpoint",
        "Connection timed out",
    ],
};

/// The cluster that this machine submits to.
pub(crate) struct SlurmQueue {
    /// Its partitions, as it tells of them: one a line.
    partitions: OnceLock<String>,
}

impl SlurmQueue {
    /// The cluster, if its commands are here and it answers.
    ///
    /// # Errors
    /// They are not, or it does not.
    pub(crate) fn open() -> Result<Self, QueueError> {
        output(&SAYS, "sbatch", &["--version"], "").map_err(|error| {
            QueueError::Refused(format!(
                "{error}\nhint: run this where jobs are submitted, on a login node of the cluster"
            ))
        })?;
        Ok(Self {
            partitions: OnceLock::new(),
        })
    }
}

impl Queue for SlurmQueue {
    fn takes_estimated_time(&self) -> bool {
        true
    }

    fn limits(&self) -> Limits {
        let config = output(&SAYS, "scontrol", &["show", "config"], "").unwrap_or_default();
        // Where there is an accounting, and it may be asked; a limit that is not known shows when it is met.
        let format = "format=MaxSubmitJobs,GrpSubmitJobs";
        let user = format!("user={}", std::env::var("USER").unwrap_or_default());
        let accounting = output(
            &SAYS,
            "sacctmgr",
            &["-nP", "show", "assoc", &user, format],
            "",
        );
        Limits {
            array: max_array(&config).unwrap_or(ARRAY).max(1),
            submitted: max_submit(&accounting.unwrap_or_default()),
        }
    }

    fn longest_s(&self, partition: Option<&str>) -> Option<u64> {
        let partitions = self.partitions.get_or_init(|| {
            output(&SAYS, "scontrol", &["-o", "show", "partition"], "").unwrap_or_default()
        });
        longest(partitions, partition)
    }

    fn submit(&self, submission: &Submission) -> Result<Option<String>, QueueError> {
        let mut arguments = vec!["--parsable".to_owned()];
        arguments.extend(options(submission));
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let said = output(&SAYS, "sbatch", &arguments, &script(submission, &WORDS))?;
        // `12`, or `12;cluster`.
        let id = said.trim().split(';').next().unwrap_or_default();
        Ok((!id.is_empty()).then(|| id.to_owned()))
    }

    fn queued(&self) -> Result<Vec<Queued>, QueueError> {
        // One line for each element, those that wait together too.
        let lines = output(
            &SAYS,
            "squeue",
            &["--me", "-r", "-h", "-o", "%i|%j|%T|%r"],
            "",
        )?;
        Ok(lines.lines().filter_map(queued).collect())
    }

    fn cancel(&self, ids: &[String]) -> Result<(), QueueError> {
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        cancel(&ids, ("scancel", " "), |some| {
            output(&SAYS, "scancel", some, "")
        })
    }

    fn left(&self, id: &str, has_run: bool) -> Option<Left> {
        let known = |id: &str| output(&SAYS, "scontrol", &["-o", "show", "job", id], "");
        if let Ok(job) = known(id) {
            return left(state_of(&job)?);
        }
        // An element is a job of its own from when it starts. One that is cancelled before is taken off its array, and is
        // found no more where the array is.
        let (array, _) = id.split_once('_')?;
        (!has_run && known(array).is_ok()).then_some(Left::Cancelled)
    }
}

/// An array as options of `sbatch`.
fn options(submission: &Submission) -> Vec<String> {
    let Class {
        resources: it,
        memory_mib,
        ..
    } = &submission.class;
    let mut options = vec![
        format!("--job-name={}", submission.name()),
        format!("--mem={memory_mib}M"),
        "--ntasks=1".to_owned(),
    ];
    let mut add = |name: &str, value: Option<String>| {
        options.extend(value.map(|value| format!("--{name}={value}")));
    };
    add("partition", it.partition.clone());
    add("account", it.account.clone());
    add("qos", it.qos.clone());
    add("gres", it.gres.clone());
    add("gpus", it.gpus.map(|gpus| gpus.to_string()));
    add("constraint", it.constraint.clone());
    add("cpus-per-task", it.cpus.map(|cpus| cpus.to_string()));
    add("time", it.time.clone());
    let last = submission.array.0.len().saturating_sub(1);
    let limit = it.array_limit.map(|limit| format!("%{limit}"));
    let printed = submission.list().with_extension("%a.out");
    options.extend([
        format!("--array=0-{last}{}", limit.unwrap_or_default()),
        format!("--signal=B:USR1@{}", submission.warning_s),
        "--requeue".to_owned(),
        "--open-mode=append".to_owned(),
        format!("--chdir={}", submission.jobs.display()),
        format!("--output={}", printed.display()),
    ]);
    options
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

/// `MaxTime` of a partition, or of that for jobs that name none, in what `scontrol show partition` prints. Of several (`a,b`)
/// the cluster chooses: that of the one that lets a job run longest.
fn longest(partitions: &str, partition: Option<&str>) -> Option<u64> {
    let limits = partitions.lines().filter_map(|line| {
        let field = |name| {
            line.split_whitespace()
                .find_map(|word| word.strip_prefix(name))
        };
        let is_meant = match partition {
            Some(names) => names
                .split(',')
                .any(|name| field("PartitionName=") == Some(name)),
            None => field("Default=") == Some("YES"),
        };
        is_meant.then(|| seconds(field("MaxTime=")?))
    });
    // One without a limit is the longest.
    limits.collect::<Option<Vec<u64>>>()?.into_iter().max()
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
        waits: waits(reason),
    })
}

/// `JobState` in what `scontrol show job` prints.
fn state_of(job: &str) -> Option<&str> {
    let after = job.split("JobState=").nth(1)?;
    after.split_whitespace().next()
}

/// What a state says, in which a job left the queue.
fn left(state: &str) -> Option<Left> {
    match state {
        "CANCELLED" => Some(Left::Cancelled),
        "OUT_OF_MEMORY" => Some(Left::OutOfMemory),
        "NODE_FAIL" => Some(Left::NodeFailed),
        "TIMEOUT" => Some(Left::TimeOver),
        "PREEMPTED" => Some(Left::Preempted),
        "BOOT_FAIL" => Some(Left::NodeNotStarted),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::job::Part;
    use super::super::array::{Array, Element};
    use super::super::class::Estimate;
    use super::*;
    use crate::key::{Digest, StageKey};
    use crate::manifest::{ClusterSection, JobResources};

    #[test]
    fn what_is_asked_for_is_passed_on() {
        let resources = JobResources {
            partition: Some("gpu".into()),
            gres: Some("gpu:1".into()),
            cpus: Some(4),
            memory: Some("16G".into()),
            time: Some("4:00:00".into()),
            array_limit: Some(7),
            ..JobResources::default()
        };
        let element = Element {
            key: StageKey(Digest::of(b"a")),
            part: Part {
                shard: None,
                attempt: 1,
            },
        };
        let section = ClusterSection::default();
        let submission = Submission {
            array: Array(vec![element; 3]),
            class: Class::new(resources, Estimate::default(), &section).unwrap(),
            jobs: "/jobs".into(),
            program: "sert-run".into(),
            warning_s: 60,
            is_gpu: false,
        };
        let name = submission.name();
        assert_eq!(
            options(&submission),
            [
                &format!("--job-name={name}"),
                "--mem=16384M",
                "--ntasks=1",
                "--partition=gpu",
                "--gres=gpu:1",
                "--cpus-per-task=4",
                "--time=4:00:00",
                "--array=0-2%7",
                "--signal=B:USR1@60",
                "--requeue",
                "--open-mode=append",
                "--chdir=/jobs",
                &format!("--output=/jobs/arrays/{name}.%a.out"),
            ]
        );
    }

    #[test]
    fn what_slurm_prints_is_understood() {
        let config = "Configuration data as of 2026-11-29\nMaxArraySize            = 10\nMaxJobCount             = 10000\n";
        assert_eq!(max_array(config), Some(10));
        assert_eq!(max_array(""), None);
        assert_eq!(max_submit("500|\n200|1000\n"), Some(200));
        assert_eq!(max_submit("|\n"), None);
        let partitions = "PartitionName=short AllowGroups=ALL Default=YES MaxTime=01:00:00 State=UP\nPartitionName=long Default=NO MaxTime=2-00:00:00\nPartitionName=free MaxTime=UNLIMITED\n";
        for (partition, expected) in [
            (None, Some(3600)),
            (Some("long"), Some(172_800)),
            (Some("short,long"), Some(172_800)),
            (Some("short,free"), None),
            (Some("other"), None),
        ] {
            assert_eq!(longest(partitions, partition), expected, "{partition:?}");
        }
        let line = "12_3|sert-run-ab|PENDING|Nodes required for job are DOWN, DRAINED";
        let found = queued(line).unwrap();
        assert_eq!(
            (
                found.element,
                found.id.as_str(),
                found.runs,
                found.waits.as_deref()
            ),
            (
                3,
                "12_3",
                false,
                Some(
                    "nodes that it could run on are down or drained (Slurm: Nodes required for job are DOWN, DRAINED)"
                )
            )
        );
        assert!(queued("13_0|sert-run-ab|RUNNING|None").unwrap().runs);
        assert!(queued("13_0|sert-run-ab|COMPLETING|None").unwrap().runs);
        for other in ["14_0|mine|RUNNING|None", "15|sert-run-ab|RUNNING|None", ""] {
            assert_eq!(queued(other), None);
        }
        let job =
            "JobId=7 ArrayJobId=7 JobName=sert-run-ab JobState=OUT_OF_MEMORY Reason=OutOfMemory";
        assert_eq!(state_of(job).and_then(left), Some(Left::OutOfMemory));
    }
}
