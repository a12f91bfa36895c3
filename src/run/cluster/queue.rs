//! A queue of jobs, as far as it is needed: Slurm's, HyperQueue's, this machine's own, or what stands for them in tests.

use std::path::PathBuf;

use super::array::Array;
use super::class::{Class, Estimate};
use crate::manifest::{ClusterSection, JobResources};
use crate::plan::{Estimates, NodeId};
use crate::stage::StageError;

/// What the cluster lets one submit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Limits {
    /// Elements of an array.
    pub(crate) array: u32,
    /// Jobs of ours in the queue, each element counted, where that is limited.
    pub(crate) submitted: Option<u32>,
}

/// An array to submit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Submission {
    /// What its elements do, from which its name is made.
    pub(crate) array: Array,
    /// What each element asks for.
    pub(crate) class: Class,
    /// Where jobs lie.
    pub(crate) jobs: PathBuf,
    /// The program on the nodes, unless the class says otherwise.
    pub(crate) program: String,
    /// Seconds before its time is over at which a job is to be warned.
    pub(crate) warning_s: u32,
    /// Whether it computes on a GPU.
    pub(crate) is_gpu: bool,
}

impl Submission {
    /// The name by which it is found again.
    pub(super) fn name(&self) -> String {
        self.array.name()
    }

    /// Where the list of its elements lies.
    pub(super) fn list(&self) -> PathBuf {
        Array::path(&self.jobs, &self.name())
    }
}

/// Something of ours in the queue.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Queued {
    /// The name of its array.
    pub(crate) name: String,
    /// Which element it is.
    pub(crate) element: u32,
    /// As the queue's commands call it: `12_3`.
    pub(crate) id: String,
    /// Whether it runs, or is ending; else it waits.
    pub(crate) runs: bool,
    /// Why it waits, as a person would say it, where the queue says.
    pub(crate) waits: Option<String>,
}

/// How a job left the queue, where the queue knows more than that it ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Left {
    /// Somebody wished it.
    Cancelled,
    OutOfMemory,
    NodeFailed,
    TimeOver,
    Preempted,
    NodeNotStarted,
}

impl Left {
    /// How a job was lost.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Cancelled => "it was cancelled",
            Self::OutOfMemory => "it took more memory than it had asked for",
            Self::NodeFailed => "its node failed",
            Self::TimeOver => "its time was over before it had saved",
            Self::Preempted => "another job took its node",
            Self::NodeNotStarted => "its node did not start",
        }
    }
}

/// Why the queue did not do what was asked.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum QueueError {
    /// It is not there for now; whether it did it is not known.
    #[error("{0}")]
    Away(String),
    /// No more may be submitted for now.
    #[error("{0}")]
    Full(String),
    /// It will not do it.
    #[error("{0}")]
    Refused(String),
}

/// A queue of jobs.
pub(crate) trait Queue: Sync {
    /// Seconds between two looks at it, unless the section says otherwise.
    fn look_s(&self) -> u32 {
        10
    }
    /// Whether it is told how long a job is estimated to take, where its time is not declared.
    fn takes_estimated_time(&self) -> bool {
        false
    }
    /// Whether what is in it goes on when the run that has submitted it ends.
    fn goes_on_alone(&self) -> bool {
        true
    }
    /// What may be submitted.
    fn limits(&self) -> Limits;
    /// The most seconds that a job may ask for there, or where jobs go that name no partition, if that is limited and told.
    fn longest_s(&self, _partition: Option<&str>) -> Option<u64> {
        None
    }
    /// Submits an array; gives what its elements' ids begin with, where that is told.
    fn submit(&self, submission: &Submission) -> Result<Option<String>, QueueError>;
    /// What of ours is in the queue.
    fn queued(&self) -> Result<Vec<Queued>, QueueError>;
    /// Takes jobs out of the queue, and ends those that run.
    fn cancel(&self, ids: &[String]) -> Result<(), QueueError>;
    /// How a job left the queue that is there no more, where that is still known; `has_run` says whether it was seen to run.
    fn left(&self, id: &str, has_run: bool) -> Option<Left>;
}

impl dyn Queue + '_ {
    /// What a job of a stage in so many parts asks for here.
    ///
    /// # Errors
    /// As of [`Class::new`].
    pub(super) fn class(
        &self,
        (resources, section): (JobResources, &ClusterSection),
        (estimates, stage, shards): (&Estimates, NodeId, Option<u32>),
    ) -> Result<Class, StageError> {
        let mut estimate = Estimate::of(estimates, stage, shards);
        if !self.takes_estimated_time() {
            estimate.time = None;
        }
        let longest_s = self.longest_s(resources.partition.as_deref());
        Ok(Class::new(resources, estimate, section)?.within(longest_s))
    }
}
