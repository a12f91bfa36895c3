//! Digests of files, remembered so that a large file is not read at each run.

use std::fs::{self, File, Metadata};
use std::path::{Path, PathBuf};
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
    /// those remembered with its digest. Good for telling whether there is something to do; of what is then read,
    /// [`Store::is_still`] tells whether it was that.
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
        let file = File::open(path).doing("open", path)?;
        self.digest_of(file, path)
    }

    /// As [`Store::remembered_digest`], of the open file at `path`.
    pub(super) fn digest_of(&self, mut file: File, path: &Path) -> Result<Digest, StoreError> {
        let before = stamp(&file.metadata().doing("read", path)?);
        if let Some(digest) = self.known_digest(path, &before)? {
            return Ok(digest);
        }
        let digest = Digest::of_reader(&mut file).doing("read", path)?;
        let meta = file.metadata().doing("read", path)?;
        // Not remembered where it changed while it was read, or where its next change might not show in its times.
        if stamp(&meta) == before && is_settled(&meta) {
            self.lock()
                .connection
                .prepare_cached("INSERT OR REPLACE INTO files VALUES (?1, ?2, ?3)")
                .and_then(|mut insert| {
                    insert.execute(params![name_of(path), before, digest.as_bytes()])
                })
                .on(&self.index_path)?;
        }
        Ok(digest)
    }

    /// Whether the open file at `path` was digested before and shows no change since, and the digest.
    pub(super) fn digest_unread(
        &self,
        file: &File,
        path: &Path,
    ) -> Result<Option<Digest>, StoreError> {
        self.known_digest(path, &stamp(&file.metadata().doing("read", path)?))
    }

    /// The digest of an outside file's content as it is now, whatever is remembered of it; `expected` is what it was
    /// taken to be. Where it is another one, the memory of it goes.
    ///
    /// # Errors
    /// The file cannot be read, or the index fails.
    pub fn is_still(&self, path: &Path, expected: &Digest) -> Result<bool, StoreError> {
        let canonical = fs::canonicalize(path).doing("find", path)?;
        let mut file = File::open(&canonical).doing("open", &canonical)?;
        let found = Digest::of_reader(&mut file).doing("read", &canonical)?;
        if found != *expected {
            self.forget_digest(&canonical)?;
        }
        Ok(found == *expected)
    }

    /// The outside files whose digests are remembered and that show no change since, with these digests.
    pub(super) fn remembered_files(&self) -> Result<Vec<(PathBuf, Digest)>, StoreError> {
        let entries: Vec<(Vec<u8>, Vec<u8>, [u8; 32])> = {
            let inner = self.lock();
            let all = || {
                inner
                    .connection
                    .prepare("SELECT path, stamp, digest FROM files ORDER BY path")?
                    .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
                    .collect::<rusqlite::Result<Vec<_>>>()
            };
            all().on(&self.index_path)?
        };
        // However the store's folder was written when it was opened.
        let roots = [Some(self.root.clone()), fs::canonicalize(&self.root).ok()];
        let own = roots.map(|root| root.map(|root| root.join("objects-v1")));
        // Objects are remembered in the same table, and `verify` has read them already.
        let is_own = |path: &Path| own.iter().flatten().any(|own| path.starts_with(own));
        let unchanged = |(name, remembered, digest): (Vec<u8>, Vec<u8>, [u8; 32])| {
            let path = path_of(name)?;
            let meta = fs::metadata(&path).ok()?;
            let counts = meta.is_file() && stamp(&meta) == remembered && !is_own(&path);
            counts.then(|| (path, Digest::from_bytes(digest)))
        };
        Ok(entries.into_iter().filter_map(unchanged).collect())
    }

    fn known_digest(&self, path: &Path, stamp: &[u8]) -> Result<Option<Digest>, StoreError> {
        let remembered: Option<[u8; 32]> = self
            .lock()
            .connection
            .prepare_cached("SELECT digest FROM files WHERE path = ?1 AND stamp = ?2")
            .and_then(|mut find| {
                find.query_row(params![name_of(path), stamp], |row| row.get(0))
                    .optional()
            })
            .on(&self.index_path)?;
        Ok(remembered.map(Digest::from_bytes))
    }

    /// Forgets the digest of `path`.
    pub(super) fn forget_digest(&self, path: &Path) -> Result<(), StoreError> {
        self.lock()
            .connection
            .execute("DELETE FROM files WHERE path = ?1", [name_of(path)])
            .on(&self.index_path)?;
        Ok(())
    }
}

/// How a path is written in the index.
fn name_of(path: &Path) -> &[u8] {
    path.as_os_str().as_encoded_bytes()
}

/// The path that is written so.
fn path_of(name: Vec<u8>) -> Option<PathBuf> {
    #[cfg(unix)]
    return Some(std::os::unix::ffi::OsStringExt::from_vec(name))
        .map(|name: std::ffi::OsString| name.into());
    #[cfg(not(unix))]
    String::from_utf8(name).ok().map(PathBuf::from)
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
