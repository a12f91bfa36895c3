//! `--executor slurm`: stages of models as jobs of the cluster that this machine submits to.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::exit::Failure;
use super::session::Session;
use crate::disk;
use crate::manifest::SlurmSection;
use crate::model::device::{DeviceChoice, DeviceName};
use crate::plan::{Estimates, NodeId, Plan, Resolved};
use crate::remote::RemoteUrl;
use crate::run::{Queue, Slurm, SlurmQueue, preview};
use crate::stage::Environment;

/// Where stages of models are run.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Executor {
    /// On this machine
    Local,
    /// As jobs of a Slurm cluster, which `[run.slurm]` and your slurm.toml say more of
    Slurm,
}

#[derive(Args)]
pub(crate) struct ExecutorArgs {
    /// Where stages of models are run; the others run here
    #[arg(long, value_enum, env = "SERT_EXECUTOR", id = "executor")]
    executor: Option<Executor>,
}

/// A cluster that stages of models are sent to.
pub(crate) struct Cluster {
    queue: SlurmQueue,
    section: SlurmSection,
    remote: RemoteUrl,
    jobs: PathBuf,
}

impl ExecutorArgs {
    /// The cluster, where stages go to one. Models then run on the device that is declared for its nodes.
    pub(crate) fn cluster(&self, session: &mut Session) -> Result<Option<Cluster>, Failure> {
        if self.executor != Some(Executor::Slurm) {
            return Ok(None);
        }
        let manifest = session.manifest.run.slurm.clone();
        let own = user_file();
        if let Some(key) = manifest.runs() {
            let own = own.as_deref().unwrap_or(Path::new("slurm.toml"));
            return Err(Failure::usage(format!(
                "run.slurm.{key} in {} says what is run on the nodes, which a manifest may not\nhint: say it in {}, as `{key}`",
                session.manifest.path.display(),
                own.display()
            )));
        }
        let section = manifest.over(read_user_file(own.as_deref())?);
        let Some(remote) = session.store.remote().cloned() else {
            return Err(Failure::usage(
                "nodes read a stage's inputs from a remote and put there what they make, and none is named that may be written to\nhint: --remote file:///FOLDER, on a file system that all nodes see, or --remote s3://BUCKET/PREFIX (docs/cluster.md)",
            ));
        };
        let jobs = match (&section.folder, &remote) {
            (Some(folder), _) => folder.clone(),
            (None, RemoteUrl::Folder(folder)) => folder.join("jobs-v1"),
            (None, RemoteUrl::S3 { .. }) => {
                return Err(Failure::usage(
                    "jobs lie in a folder while they are in the queue, and the remote is a bucket\nhint: name one that all nodes see: `folder` in `[run.slurm]` or in your slurm.toml",
                ));
            }
        };
        session.options.device = match section.device {
            DeviceChoice::Named(device) => device,
            DeviceChoice::Auto => DeviceName::Cpu,
        };
        session.why_device = None;
        // Told by who runs it: this machine may not have it at all.
        session.options.device_description = String::new();
        let queue = SlurmQueue::open().map_err(|error| Failure::usage(error.to_string()))?;
        Ok(Some(Cluster {
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
    ) -> Result<Slurm<'a>, Failure> {
        Ok(Slurm {
            queue: &self.queue,
            environment,
            section: &self.section,
            job: session.job_settings(self.remote.clone())?,
            jobs: self.jobs.clone(),
            program: std::env::current_exe()?.display().to_string(),
            // What is declared need not be measured.
            estimates: session.estimates(nodes, self.section.defaults.time.is_none()),
            detach,
        })
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
            self.queue.limits(),
        )?)
    }
}

/// The user's own file.
fn user_file() -> Option<PathBuf> {
    use etcetera::BaseStrategy;
    let folders = etcetera::choose_base_strategy().ok()?;
    Some(folders.config_dir().join("sert-run").join("slurm.toml"))
}

fn read_user_file(path: Option<&Path>) -> Result<SlurmSection, Failure> {
    let Some(path) = path.filter(|path| disk::exists(path).unwrap_or(false)) else {
        return Ok(SlurmSection::default());
    };
    let bytes = disk::read_small(path)?;
    let text = String::from_utf8_lossy(&bytes);
    toml::from_str(&text).map_err(|error| Failure::usage(format!("{}: {error}", path.display())))
}
