//! Where jobs lie: a folder that all machines of a run see.

use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

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

/// Writes a file that machines share, wholly or not at all, in place of one that may be there.
///
/// # Errors
/// The file system refuses.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let written = beside(path, bytes)?.persist(path);
    written.map(drop).map_err(|failed| failed.error)
}

/// The same, unless there is one: of many that write at once one does. Says whether it did.
///
/// # Errors
/// The file system refuses.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> io::Result<bool> {
    match beside(path, bytes)?.persist_noclobber(path) {
        Ok(_) => Ok(true),
        Err(failed) if failed.error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(failed) => Err(failed.error),
    }
}

/// A file with these bytes, on the disk, that has no name yet which counts. No lock says whose it is, unlike that of `disk`:
/// here many machines write.
fn beside(path: &Path, bytes: &[u8]) -> io::Result<NamedTempFile> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(".sert-run-");
    #[cfg(unix)]
    // Temporary files are private, and others of a group are to read these.
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    Ok(file)
}
