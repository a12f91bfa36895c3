//! Digests of files, remembered so that a large file is not read at each run.

use std::fs::{self, File, Metadata};
use std::path::Path;
use std::time::{Duration, SystemTime};

use rusqlite::{OptionalExtension, params};

use crate::disk;
use crate::key::Digest;

use super::error::Doing;
use super::index::OnIndex;
use super::{Store, StoreError};

/// A file written to within this time may be written to again with no visible change of its
/// times: file systems count in steps of up to 2 s (FAT). Git calls such a file racy.
const CLOCK_GRAIN: Duration = Duration::from_secs(2);
/// The same where the time of its last change is no multiple of a step of those file systems (FAT 2 s, HFS+ 1 s, exFAT
/// 10 ms): then the step is that of the system's clock, at most 10 ms.
#[cfg(unix)]
const FINE_GRAIN: Duration = Duration::from_millis(100);

impl Store {
    /// The digest of an outside file. It is read only where its size, times or inode differ from
    /// those remembered with its digest.
    ///
    /// # Errors
    /// The file cannot be read, or the index fails.
    pub fn file_digest(&self, path: &Path) -> Result<Digest, StoreError> {
        disk::check(path).doing("read", path)?;
        let canonical = fs::canonicalize(path).doing("find", path)?;
        self.remembered_digest(&canonical)
    }

    /// As [`Store::file_digest`], for a path that is always spelled the same.
    pub(super) fn remembered_digest(&self, path: &Path) -> Result<Digest, StoreError> {
        let mut file = File::open(path).doing("open", path)?;
        let before = stamp(&file.metadata().doing("read", path)?);
        let name = path.as_os_str().as_encoded_bytes();
        let remembered: Option<[u8; 32]> = self
            .lock()
            .connection
            .prepare_cached("SELECT digest FROM files WHERE path = ?1 AND stamp = ?2")
            .and_then(|mut find| {
                find.query_row(params![name, before], |row| row.get(0))
                    .optional()
            })
            .on(&self.index_path)?;
        if let Some(digest) = remembered {
            return Ok(Digest::from_bytes(digest));
        }
        let digest = Digest::of_reader(&mut file).doing("read", path)?;
        let meta = file.metadata().doing("read", path)?;
        if stamp(&meta) == before && is_settled(&meta) {
            self.lock()
                .connection
                .prepare_cached("INSERT OR REPLACE INTO files VALUES (?1, ?2, ?3)")
                .and_then(|mut insert| insert.execute(params![name, before, digest.as_bytes()]))
                .on(&self.index_path)?;
        }
        Ok(digest)
    }

    /// Forgets the digest of `path`.
    pub(super) fn forget_digest(&self, path: &Path) -> Result<(), StoreError> {
        self.lock()
            .connection
            .execute(
                "DELETE FROM files WHERE path = ?1",
                [path.as_os_str().as_encoded_bytes()],
            )
            .on(&self.index_path)?;
        Ok(())
    }
}

/// All that tells one state of a file from another without reading it.
#[cfg(unix)]
fn stamp(meta: &Metadata) -> Vec<u8> {
    use std::os::unix::fs::MetadataExt;
    // The change time too: a program can set a file's modification time back, but not that.
    [
        meta.size().cast_signed(),
        meta.mtime(),
        meta.mtime_nsec(),
        meta.ctime(),
        meta.ctime_nsec(),
        meta.ino().cast_signed(),
        meta.dev().cast_signed(),
    ]
    .iter()
    .flat_map(|part| part.to_le_bytes())
    .collect()
}

#[cfg(not(unix))]
fn stamp(meta: &Metadata) -> Vec<u8> {
    let modified = meta
        .modified()
        .ok()
        .and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok())
        .unwrap_or_default();
    let mut stamp = meta.len().to_le_bytes().to_vec();
    stamp.extend(modified.as_nanos().to_le_bytes());
    stamp
}

/// Whether the file was last written to so long ago that a new write would show in its times.
/// This is the store's only clock; it decides what is remembered, never what an answer is.
fn is_settled(meta: &Metadata) -> bool {
    #[cfg(unix)]
    let (changed, grain) = {
        use std::os::unix::fs::MetadataExt;
        let (seconds, nanos) =
            (meta.ctime(), meta.ctime_nsec()).max((meta.mtime(), meta.mtime_nsec()));
        let since =
            |seconds| Duration::from_secs(seconds) + Duration::from_nanos(nanos.unsigned_abs());
        // Before 1970 is settled too.
        let changed = u64::try_from(seconds).map_or(Duration::ZERO, since);
        let fine = meta.ctime_nsec() % 10_000_000 != 0;
        let grain = if fine { FINE_GRAIN } else { CLOCK_GRAIN };
        (SystemTime::UNIX_EPOCH.checked_add(changed), grain)
    };
    #[cfg(not(unix))]
    let (changed, grain) = (meta.modified().ok(), CLOCK_GRAIN);
    // A time in the future, or none, is never settled.
    changed
        .and_then(|changed| SystemTime::now().duration_since(changed).ok())
        .is_some_and(|age| age >= grain)
}
