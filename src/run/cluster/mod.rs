//! Stages of models as jobs of a queue, everything else in the run itself.
//!
//! ```text
//! dispatch   what is ready goes out as arrays, what is out is watched, what is over comes back
//! flight     a stage that is out, and its jobs
//! array      which element of an array does what
//! class      what jobs ask for
//! claim      which run looks after a stage that several want
//! queue      what is needed of a queue
//! slurm      Slurm's, whose reasons `reasons` says in words
//! hq         HyperQueue's
//! processes  this machine's own
//! script     what an element runs on a node of the first two
//! ```
//!
//! A record in the remote says that a stage is done; the queue only says what need not be submitted. So a run may be
//! killed anywhere: the next one finds in the queue what is there, beside the jobs how they ended, and in the remote what
//! they made.

mod array;
mod claim;
mod class;
mod command;
mod dispatch;
mod flight;
mod hq;
mod preview;
mod processes;
mod queue;
mod reasons;
mod script;
mod slurm;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

pub(crate) use hq::HqQueue;
pub(crate) use preview::preview;
pub(crate) use processes::ProcessQueue;
pub(crate) use queue::{Queue, QueueError};
pub(crate) use slurm::SlurmQueue;

use super::job::JobSettings;
use super::scheduler::Scheduler;
use super::worker::Worker;
use crate::manifest::ClusterSection;
use crate::plan::{Estimates, Node};
use crate::stage::Environment;
use dispatch::Dispatch;

/// Defaults of `[run.slurm]` and its like; ours. The warning leaves time to write a checkpoint to a busy file server.
const TRIES: u32 = 3;
const MEMORY_GROWTH: f64 = 2.0;
pub(crate) const WARNING_S: u32 = 120;
const LOST_AFTER_S: u32 = 60;

/// The worker that sends stages to a queue.
pub(crate) struct ClusterWorker<'a> {
    /// As `--executor` and the manifest's section call it.
    pub(crate) executor: &'static str,
    pub(crate) queue: &'a dyn Queue,
    pub(crate) environment: Environment<'a>,
    pub(crate) section: &'a ClusterSection,
    pub(crate) job: JobSettings,
    /// Where jobs lie.
    pub(crate) jobs: PathBuf,
    /// The program on the nodes, unless the section says otherwise.
    pub(crate) program: String,
    /// What stages are estimated to take, on this machine.
    pub(crate) estimates: Estimates,
    /// Whether to leave once all that is ready was submitted.
    pub(crate) detach: bool,
}

impl ClusterWorker<'_> {
    fn tries(&self) -> u32 {
        self.section.tries.unwrap_or(TRIES)
    }

    fn memory_growth(&self) -> f64 {
        self.section.memory_growth.unwrap_or(MEMORY_GROWTH)
    }

    fn warning_s(&self) -> u32 {
        self.section.warning_s.unwrap_or(WARNING_S)
    }

    fn look_every(&self) -> Duration {
        Duration::from_secs(self.section.look_s.unwrap_or(self.queue.look_s()).into())
    }

    fn lost_after(&self) -> Duration {
        Duration::from_secs(self.section.lost_after_s.unwrap_or(LOST_AFTER_S).into())
    }
}

impl Worker for ClusterWorker<'_> {
    fn is_away(&self) -> bool {
        true
    }

    fn takes(&self, node: &Node) -> bool {
        node.may_go_out()
    }

    fn work(&self, scheduler: &Scheduler<'_>) {
        Dispatch::new(self, scheduler).run();
    }
}
