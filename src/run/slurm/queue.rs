//! A cluster's queue, as far as it is needed: what Slurm's commands do, or what stands for them in tests.

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
    /// Its name, by which it is found again.
    pub(crate) name: String,
    /// How many elements it has, counted from 0.
    pub(crate) elements: u32,
    /// What it asks for, as options of `sbatch`.
    pub(crate) options: Vec<String>,
    /// What each element does.
    pub(crate) script: String,
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
    /// Why it waits, in Slurm's words.
    pub(crate) reason: String,
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

/// A cluster's queue.
pub(crate) trait Queue: Sync {
    /// What may be submitted.
    fn limits(&self) -> Limits;
    /// Submits an array; gives what its elements' ids begin with, where that is told.
    fn submit(&self, submission: &Submission) -> Result<Option<String>, QueueError>;
    /// What of ours is in the queue.
    fn queued(&self) -> Result<Vec<Queued>, QueueError>;
    /// Takes jobs out of the queue, and ends those that run.
    fn cancel(&self, ids: &[String]) -> Result<(), QueueError>;
    /// How a job ended that is in the queue no more, in Slurm's words, where the controller still knows; `has_run` says
    /// whether it was seen to run.
    fn ended(&self, id: &str, has_run: bool) -> Option<String>;
}
