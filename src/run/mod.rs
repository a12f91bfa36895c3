//! The run: carries out a plan against a store, tells it as events, and records provenance.
//!
//! The times that are recorded are taken here (clocks elsewhere pace, wait or measure); the runner never prints.

mod ask;
mod clock;
mod cluster;
mod exec;
mod executor;
mod forecast;
mod job;
mod json_lines;
mod one;
mod provenance;
mod scheduler;
mod terminal;
#[cfg(test)]
mod tests;
mod worker;

pub(crate) use ask::ask;
pub(crate) use cluster::{
    ClusterWorker, HqQueue, ProcessQueue, Queue, QueueError, SlurmQueue, preview,
};
pub(crate) use exec::Exec;
pub(crate) use executor::{Execution, execute};
pub(crate) use forecast::Forecast;
pub(crate) use job::{EndOutcome, Job, JobFolder, JobSettings, Part};
pub(crate) use json_lines::JsonLines;
pub(crate) use scheduler::Policy;
pub(crate) use terminal::Terminal;
pub(crate) use worker::{Here, Worker};
