//! The store: everything that stages make, kept by content.
//!
//! ```text
//! ROOT/objects-v1/ab/cdef...      content-addressed files: temporary file, fsync, rename
//! ROOT/rows-v1/BUCKET/NNNNNN.seg  rows (paths, replies, ...): append-only checksummed records
//! ROOT/results-v1/ab/KEY.json     one immutable record for each finished stage
//! ROOT/index-v1.sqlite            the index over rows and results, rebuilt from them if damaged
//! ROOT/work/KEY/                  checkpoints of stages that are not finished
//! ```
//!
//! Goes in: bytes, rows by key, results of stages. Comes out: the same, checked at each read;
//! damage is a miss with a warning, never a wrong answer. Same key: the first value wins.
//! Several processes on one machine may share a store; each appends to segments of its own,
//! held by a file lock. A change of format takes a new folder name (as in uv's cache buckets), so
//! that old and new programs do not meet in one.

mod durable;
mod error;
mod files;
mod gc;
mod holder;
mod index;
mod objects;
mod recover;
mod results;
mod rows;
mod segment;
mod verify;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;

use crate::key::{Digest, StageKey};

use error::Doing;
use index::OnIndex;

pub use error::StoreError;
pub use gc::{GcOptions, GcReport};
pub use holder::Holder;
pub use results::{MissingOutput, StageResult};
pub use verify::{BucketStats, Damage, StoreStats, VerifyReport};

/// Backup tools skip a folder that holds this (<https://bford.info/cachedir/>).
const CACHEDIR_TAG: &[u8] = b"Signature: 8a477f597d28d172789f06886806bc55\n\
    # This folder is a cache made by sert-run.\n";

/// Locks that the rows of a bucket share: enough that two requests in flight seldom meet, few enough that
/// their files do not pile up. Ours.
const ROW_LOCKS: u16 = 1024;

/// An open store. Threads share it by reference.
pub struct Store {
    root: PathBuf,
    index_path: PathBuf,
    inner: Mutex<Inner>,
    warnings: Mutex<Vec<String>>,
    /// Locked shared as long as the store is open: nothing is collected under a run.
    in_use: File,
}

/// What one thread at a time works with.
struct Inner {
    connection: Connection,
    /// The segment that this store appends to, by bucket.
    writers: BTreeMap<String, rows::Writer>,
    /// Open segments by their number in the index.
    readers: BTreeMap<i64, File>,
}

/// Stages run side by side and share one store.
const _: () = {
    const fn shared<T: Send + Sync>() {}
    shared::<Store>();
};

impl Store {
    /// Opens the store at `root`, makes it where there is none, brings its index up to date and
    /// takes in what an earlier process wrote but did not index.
    ///
    /// # Errors
    /// `root` is a file or may not be written, the index is locked, or a newer program wrote it.
    pub fn open(root: &Path) -> Result<Store, StoreError> {
        if fs::metadata(root).is_ok_and(|meta| !meta.is_dir()) {
            return Err(StoreError::RootIsFile(root.to_owned()));
        }
        for folder in [
            "objects-v1",
            "rows-v1",
            "results-v1",
            "work",
            "tmp",
            "locks",
        ] {
            durable::create_dir(&root.join(folder))?;
        }
        let tag = root.join("CACHEDIR.TAG");
        if !tag.exists() {
            fs::write(&tag, CACHEDIR_TAG).doing("write", &tag)?;
        }
        // One process at a time rebuilds; the lock ends with this call.
        let opening = lock_file(&root.join("open.lock"))?;
        opening.lock().doing("lock", &root.join("open.lock"))?;
        let in_use = lock_file(&root.join("in-use.lock"))?;
        in_use
            .lock_shared()
            .doing("lock", &root.join("in-use.lock"))?;

        let index_path = root.join("index-v1.sqlite");
        let (connection, rebuilt) = index::open(&index_path)?;
        let store = Store {
            root: root.to_owned(),
            index_path,
            inner: Mutex::new(Inner {
                connection,
                writers: BTreeMap::new(),
                readers: BTreeMap::new(),
            }),
            warnings: Mutex::default(),
            in_use,
        };
        if rebuilt {
            store.warn_of_damaged_index();
        }
        match store.recover() {
            // SQLite meets some damage only when it reads the tables.
            Err(StoreError::IndexDamaged(_)) => {
                store.warn_of_damaged_index();
                {
                    let mut inner = store.lock();
                    inner.connection = Connection::open_in_memory().on(&store.index_path)?;
                    inner.connection = index::open(&store.index_path)?.0;
                }
                store.recover()?;
            }
            recovered => recovered?,
        }
        Ok(store)
    }

    /// The store's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What was found damaged and mended since the last call, one sentence each.
    pub fn take_warnings(&self) -> Vec<String> {
        std::mem::take(&mut *self.warnings.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The folder where an unfinished stage keeps its checkpoints; made if needed.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn work_dir(&self, key: &StageKey) -> Result<PathBuf, StoreError> {
        let folder = self.root.join("work").join(key.to_string());
        durable::create_dir(&folder)?;
        Ok(folder)
    }

    /// Removes a stage's work folder, if there is one.
    ///
    /// # Errors
    /// Something in it cannot be removed.
    pub fn drop_work_dir(&self, key: &StageKey) -> Result<(), StoreError> {
        let folder = self.root.join("work").join(key.to_string());
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            removed => removed.doing("remove the folder", &folder),
        }
    }

    /// Brings the index up to what lies in the folders: after a kill or a power cut a little,
    /// after the loss of the index everything.
    fn recover(&self) -> Result<(), StoreError> {
        self.recover_rows()?;
        self.recover_results()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic elsewhere leaves SQLite with a rolled-back transaction, which is sound.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn warn(&self, message: String) {
        self.warnings
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(message);
    }

    fn warn_of_damaged_index(&self) {
        self.warn(format!(
            "the index {} was damaged; it was set aside and rebuilt from the stored files",
            self.index_path.display()
        ));
    }

    /// Where files are written before they get their name; on the same file system as the store.
    pub fn temp_dir(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// Waits until nobody else runs the stage under `key`; where it has to, it says for whom. The claim ends with
    /// the file.
    ///
    /// # Errors
    /// The lock cannot be made.
    pub fn lock_stage(
        &self,
        key: &StageKey,
        waiting: &mut dyn FnMut(&Holder),
    ) -> Result<File, StoreError> {
        let path = self.root.join("locks").join(key.to_string());
        let file = lock_file(&path)?;
        if file.try_lock().is_err() {
            waiting(&Holder::of(&path));
            file.lock().doing("lock", &path)?;
        }
        Holder::sign(&file);
        Ok(file)
    }

    /// Claims the row `key` of `bucket` against other threads and processes until the file is dropped;
    /// `None` while somebody has it. Rows share 1,024 locks, so one may wait for another.
    ///
    /// # Errors
    /// The lock cannot be made.
    pub fn claim_row(&self, bucket: &str, key: &Digest) -> Result<Option<File>, StoreError> {
        rows::check_bucket(bucket)?;
        let bytes = key.as_bytes();
        let number = u16::from_le_bytes([bytes[0], bytes[1]]) % ROW_LOCKS;
        let path = self
            .root
            .join("locks")
            .join(format!("{bucket}-{number:04}"));
        let file = lock_file(&path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error).doing("lock", &path),
        }
    }
}

fn lock_file(path: &Path) -> Result<File, StoreError> {
    File::options()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(path)
        .doing("open", path)
}
