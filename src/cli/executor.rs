//! `--executor`: stages of models as jobs of a queue: Slurm's or HyperQueue's, where this machine submits to one, or its own.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::exit::Failure;
use super::session::Session;
use crate::disk;
use crate::manifest::{ClusterSection, RunSection};
use crate::model::device::{DeviceChoice, DeviceName};
use crate::plan::{Estimates, NodeId, Plan, Resolved};
use crate::remote::RemoteUrl;
use crate::run::{ClusterWorker, HqQueue, ProcessQueue, Queue, QueueError, SlurmQueue, preview};
use crate::stage::Environment;

/// Where stages of models are run.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Executor {
    /// In this process
    Local,
    /// As processes of this machine, which `[run.processes]` and your processes.toml say more of
    Processes,
    /// As jobs of a Slurm cluster, which `[run.slurm]` and your slurm.toml say more of
    Slurm,
    /// As tasks of HyperQueue, which `[run.hq]` and your hq.toml say more of
    Hq,
}

/// A queue that stages may go to.
struct QueueKind {
    /// As `--executor` and the manifest's section call it.
    name: &'static str,
    /// What the manifest says of it.
    section: ClusterSection,
    /// The keys of a section that it has no use for.
    useless: &'static [&'static str],
    open: fn(&ClusterSection) -> Result<Box<dyn Queue>, QueueError>,
}

impl Executor {
    /// Its queue; `None` where there is none.
    fn queue(self, run: &RunSection) -> Option<QueueKind> {
        Some(match self {
            Self::Local => return None,
            Self::Processes => QueueKind {
                name: "processes",
                section: run.processes.clone(),
                useless: &[
                    "partition",
                    "account",
                    "qos",
                    "gres",
                    "gpus",
                    "constraint",
                    "time",
                    "time_factor",
                    "warning_s",
                    "array_limit",
                    "setup",
                    "container",
                    "program",
                ],
                open: |section| Ok(Box::new(ProcessQueue::new(section.jobs))),
            },
            Self::Slurm => QueueKind {
                name: "slurm",
                section: run.slurm.clone(),
                useless: &["jobs"],
                open: |_| Ok(Box::new(SlurmQueue::open()?)),
            },
            Self::Hq => QueueKind {
                name: "hq",
                section: run.hq.clone(),
                useless: &[
                    "partition",
                    "account",
                    "qos",
                    "gres",
                    "constraint",
                    "time_factor",
                    "warning_s",
                    "array_limit",
                    "jobs",
                ],
                open: |_| Ok(Box::new(HqQueue::open()?)),
            },
        })
    }
}

#[derive(Args)]
pub(crate) struct ExecutorArgs {
    /// Where stages of models are run; the others run here
    #[arg(long, value_enum, env = "SERT_EXECUTOR", id = "executor")]
    executor: Option<Executor>,
}

/// A queue that stages of models are sent to.
pub(crate) struct Cluster {
    executor: &'static str,
    queue: Box<dyn Queue>,
    section: ClusterSection,
    remote: RemoteUrl,
    jobs: PathBuf,
}

impl ExecutorArgs {
    /// The queue, where stages go to one. Models then run on the device that is declared for its nodes.
    pub(crate) fn cluster(&self, session: &mut Session) -> Result<Option<Cluster>, Failure> {
        let kind = self
            .executor
            .and_then(|executor| executor.queue(&session.manifest.run));
        let Some(QueueKind {
            name,
            section: manifest,
            useless,
            open,
        }) = kind
        else {
            return Ok(None);
        };
        let own = user_file(name);
        let own_text = own
            .as_deref()
            .map_or_else(|| format!("{name}.toml"), |own| own.display().to_string());
        let section = manifest.clone().over(read_user_file(own.as_deref())?);
        if let Some(key) = section.first_of(useless) {
            return Err(Failure::usage(format!(
                "`{key}` in [run.{name}] or in {own_text} is nothing that `--executor {name}` has\nhint: docs/cluster.md says what it takes"
            )));
        }
        if let Some(key) = manifest.runs() {
            return Err(Failure::usage(format!(
                "run.{name}.{key} in {} says what is run on the nodes, which a manifest may not\nhint: say it in {own_text}, as `{key}`",
                session.manifest.path.display(),
            )));
        }
        let Some(remote) = session.store.remote().cloned() else {
            return Err(Failure::usage(
                "jobs read a stage's inputs from a remote and put there what they make, and none is named that may be written to\nhint: --remote file:///FOLDER, on a file system that all nodes see, or --remote s3://BUCKET/PREFIX (docs/cluster.md)",
            ));
        };
        let jobs = match (&section.folder, &remote) {
            (Some(folder), _) => folder.clone(),
            (None, RemoteUrl::Folder(folder)) => folder.join("jobs-v1"),
            (None, RemoteUrl::S3 { .. }) => {
                return Err(Failure::usage(format!(
                    "jobs lie in a folder while they are in the queue, and the remote is a bucket\nhint: name one that all nodes see: `folder` in `[run.{name}]` or in your {name}.toml"
                )));
            }
        };
        session.options.device = match section.device {
            DeviceChoice::Named(device) => device,
            DeviceChoice::Auto => DeviceName::Cpu,
        };
        session.why_device = None;
        // Told by who runs it: this machine may not have it at all.
        session.options.device_description = String::new();
        let queue = open(&section).map_err(|error| Failure::usage(error.to_string()))?;
        Ok(Some(Cluster {
            executor: name,
            queue,
            section,
            remote,
            jobs: std::path::absolute(jobs)?,
        }))
    }
}

impl Cluster {
    /// Who sends stages there.
    pub(crate) fn worker<'a>(
        &'a self,
        session: &Session,
        nodes: &[NodeId],
        environment: Environment<'a>,
        detach: bool,
    ) -> Result<ClusterWorker<'a>, Failure> {
        // What is declared, or not told to the queue, need not be measured.
        let is_time_asked =
            self.queue.takes_estimated_time() && self.section.defaults.time.is_none();
        Ok(ClusterWorker {
            executor: self.executor,
            queue: self.queue.as_ref(),
            environment,
            section: &self.section,
            job: session.job_settings(self.remote.clone())?,
            jobs: self.jobs.clone(),
            program: std::env::current_exe()?.display().to_string(),
            estimates: session.estimates(nodes, is_time_asked),
            detach,
        })
    }

    /// Whether its jobs go on without the run that has submitted them.
    pub(crate) fn goes_on_alone(&self) -> bool {
        self.queue.goes_on_alone()
    }

    /// What would be submitted.
    pub(crate) fn preview(
        &self,
        plan: &Plan,
        resolved: &[Resolved],
        estimates: &Estimates,
    ) -> Result<String, Failure> {
        Ok(preview(
            plan,
            resolved,
            estimates,
            &self.section,
            self.queue.as_ref(),
        )?)
    }
}

/// The user's own file.
fn user_file(executor: &str) -> Option<PathBuf> {
    use etcetera::BaseStrategy;
    let folders = etcetera::choose_base_strategy().ok()?;
    let file = format!("{executor}.toml");
    Some(folders.config_dir().join("sert-run").join(file))
}

fn read_user_file(path: Option<&Path>) -> Result<ClusterSection, Failure> {
    let Some(path) = path.filter(|path| disk::exists(path).unwrap_or(false)) else {
        return Ok(ClusterSection::default());
    };
    let bytes = disk::read_small(path)?;
    let text = String::from_utf8_lossy(&bytes);
    toml::from_str(&text).map_err(|error| Failure::usage(format!("{}: {error}", path.display())))
}
