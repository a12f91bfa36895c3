//! Where jobs lie: a folder that all machines of a run see.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::disk;
use crate::key::StageKey;
use crate::stage::Shard;

/// A try of a job, or of a part of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Part {
    pub(crate) shard: Option<Shard>,
    /// From 1.
    pub(crate) attempt: u32,
}

impl fmt::Display for Part {
    /// As files have it in their names: `whole-1`, `3of8-2`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.shard {
            Some(shard) => write!(f, "{}of{}", shard.index(), shard.count())?,
            None => f.write_str("whole")?,
        }
        write!(f, "-{}", self.attempt)
    }
}

/// The folder of one job.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct JobFolder(PathBuf);

impl JobFolder {
    /// The folder of the job of a stage, among those in `jobs`.
    pub(crate) fn of(jobs: &Path, key: &StageKey) -> Self {
        Self(jobs.join(key.to_string()))
    }

    /// This folder.
    pub(crate) fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn job(&self) -> PathBuf {
        self.0.join("job.json")
    }

    pub(crate) fn events(&self, part: Part) -> PathBuf {
        self.0.join(format!("events-{part}.jsonl"))
    }

    pub(crate) fn end(&self, part: Part) -> PathBuf {
        self.0.join(format!("end-{part}.json"))
    }

    pub(crate) fn log(&self, part: Part) -> PathBuf {
        self.0.join(format!("log-{part}.txt"))
    }
}

/// Writes a file that machines share, wholly or not at all.
///
/// # Errors
/// The file system refuses.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    disk::write(path, bytes).map_err(|error| io::Error::other(error.to_string()))
}
