//! Jobs: stages that other machines run, as files.
//!
//! ```text
//! JOBS/KEY/job.json                  the stage, resolved, and how to run it (`file`)
//! JOBS/KEY/events-PART-TRY.jsonl     what a run of it tells, line by line (`log`)
//! JOBS/KEY/end-PART-TRY.json         how it ended, at the very end (`end`)
//! JOBS/KEY/log-PART-TRY.txt          what its process printed
//! JOBS/KEY/work/                     checkpoints, which whoever tries next goes on from
//! ```
//!
//! A file is wholly there or not, but for events, which one process appends to and which no result depends on. What a
//! job makes is in the remote: that a record is there says that a stage is done, and nothing here does.

mod end;
mod file;
mod folder;
mod log;

pub(crate) use end::{End, EndOutcome};
pub(crate) use file::{Job, JobSettings};
pub(crate) use folder::{JobFolder, Part, write, write_new};
pub(crate) use log::{EventLog, EventReader};
