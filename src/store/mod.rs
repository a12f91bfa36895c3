//! The store: everything that stages make, kept by content.
//!
//! ```text
//! ROOT/objects-v1/ab/cdef...      content-addressed files: temporary file, fsync, rename
//! ROOT/rows-v1/BUCKET/NNNNNN.seg  rows (paths, replies, ...): append-only checksummed records
//! ROOT/results-v1/ab/KEY.json     one immutable record for each finished stage
//! ROOT/index-v1.sqlite            the index over rows and results, rebuilt from them if damaged; elsewhere, where many see ROOT
//! ROOT/work/KEY/                  checkpoints of stages that are not finished
//! ROOT/tmp/sert-run-XXXXXX        files before they have their names
//! ROOT/locks/                     who runs which stage, who makes which rows
//! ```
//!
//! Below it may lie a remote that many machines share (`tier`): what is not here is looked for there.
//!
//! Goes in: bytes, rows by key, results of stages. Comes out: the same, checked at each read;
//! damage is a miss with a warning, never a wrong answer. Same key: the first value wins.
//! Several processes on one machine may share a store; each appends to segments of its own,
//! held by a file lock. A store that may only be read is read. Whatever in its folder is not its own (`own`) is
//! neither followed nor written to nor deleted. A change of format takes a new folder name (as in uv's cache buckets), so
//! that old and new programs do not meet in one.

mod claims;
mod durable;
mod error;
mod files;
mod gc;
mod index;
mod objects;
mod own;
mod rebuild;
mod recover;
mod results;
mod rows;
mod segment;
mod site;
mod stats;
mod tier;
mod verify;
mod work;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;

use crate::beneath::{self, Kind};
use crate::event::CancelToken;

use error::Doing;

pub(crate) use claims::RowClaim;
pub(crate) use error::StoreError;
pub(crate) use gc::GcOptions;
pub(crate) use own::Stranger;
pub(crate) use results::{INPUTS_CHECKED, StageResult};
use site::Site;
pub(crate) use tier::{RemoteChoice, RemoteGcOptions, Segments};
pub(crate) use verify::Damage;

/// Backup tools skip a folder that holds this (<https://bford.info/cachedir/>).
const CACHEDIR_TAG: &[u8] = b"Signature: 8a477f597d28d172789f06886806bc55\n\
    # This folder is a cache made by sert-run.\n";

/// Held while the store is opened.
const OPEN_LOCK: &str = "open.lock";
/// Held, shared, as long as it is open.
const IN_USE_LOCK: &str = "in-use.lock";

/// Locks that the rows of a bucket share: enough that two processes seldom meet at one, few enough that
/// their files do not pile up. Ours.
const ROW_LOCKS: u16 = 1024;

/// An open store. Threads share it by reference.
pub struct Store {
    root: PathBuf,
    index_path: PathBuf,
    site: Site,
    inner: Mutex<Inner>,
    warnings: Mutex<Vec<String>>,
    /// What was found damaged when the store was opened, for [`Store::verify`].
    mended: Mutex<Vec<Damage>>,
    claims: Arc<claims::Claims>,
    access: Access,
    /// Locked shared as long as the store is open: nothing is collected under a run. A store that may only be read may
    /// have none.
    in_use: Option<File>,
    /// Where checkpoints are, if not in it.
    work_root: Option<PathBuf>,
    /// What is below it.
    tier: Option<tier::Tier>,
}

/// What may be done with a store.
enum Access {
    Write,
    /// Why nothing may be written.
    Read(String),
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
    /// takes in what an earlier process wrote but did not index. One that may only be read is opened to be read.
    ///
    /// # Errors
    /// `root` is a file or may not be read, something is in the way, the index is locked, or a newer program wrote it.
    pub fn open(root: &Path) -> Result<Store, StoreError> {
        Self::open_telling(root, &mut |_| {})
    }

    /// The same; where it has to wait for another process, `waiting` hears for whom.
    ///
    /// # Errors
    /// As of [`Store::open`].
    pub fn open_telling(root: &Path, waiting: &mut dyn FnMut(&str)) -> Result<Store, StoreError> {
        if fs::metadata(root).is_ok_and(|meta| !meta.is_dir()) {
            return Err(StoreError::RootIsFile(root.to_owned()));
        }
        match Self::open_to_write(root, waiting) {
            Err(refused @ StoreError::NotAllowed { .. }) => Self::open_to_read(root, refused),
            opened => opened,
        }
    }

    fn open_to_write(root: &Path, waiting: &mut dyn FnMut(&str)) -> Result<Store, StoreError> {
        Self::open_at(root, Site::of(root), waiting)
    }

    fn open_at(
        root: &Path,
        site: Site,
        waiting: &mut dyn FnMut(&str),
    ) -> Result<Store, StoreError> {
        fs::create_dir_all(root).doing("create the folder", root)?;
        for folder in own::FOLDERS {
            durable::create_dir(root, &root.join(folder))?;
        }
        tag(root)?;
        // One process at a time rebuilds; the lock ends with this call.
        let _opening = claims::lock_telling(root, OPEN_LOCK, waiting, &CancelToken::default())?;
        let in_use = lock_file(root, IN_USE_LOCK)?;
        if matches!(in_use.try_lock_shared(), Err(TryLockError::WouldBlock)) {
            waiting(&claims::holder(root, IN_USE_LOCK)); // it collects
            in_use
                .lock_shared()
                .doing("lock", &root.join(IN_USE_LOCK))?;
        }

        let index_path = site.index(root);
        let (connection, rebuilt) = match &site.index_folder {
            Some(folder) => index::open(folder, &index_path)?,
            None => (index::in_memory(&index_path)?, false),
        };
        let store = Self::new(root, site, connection, Access::Write, Some(in_use));
        if rebuilt {
            store.tell_damaged_index();
        }
        match store.recover() {
            // SQLite meets some damage only when it reads the tables.
            Err(StoreError::IndexDamaged(_)) => {
                store.tell_damaged_index();
                store.reopen_index()?;
                store.recover()?;
            }
            recovered => recovered?,
        }
        Ok(store)
    }

    /// Opens a store to which nothing may be written; `refused` says why.
    fn open_to_read(root: &Path, refused: StoreError) -> Result<Store, StoreError> {
        let readable = |folder: &str| {
            let path = root.join(folder);
            matches!(Kind::of(&path), Ok(Some(Kind::Folder))) && fs::read_dir(&path).is_ok()
        };
        if !readable("results-v1") || !readable("objects-v1") {
            return Err(refused);
        }
        // So that nothing is collected meanwhile, where that much is allowed.
        let in_use = beneath::open(root, &root.join(IN_USE_LOCK))
            .ok()
            .filter(|file| file.try_lock_shared().is_ok());
        let reason = refused.to_string();
        // Without its hint: messages quote it in a sentence, and have hints of their own.
        let reason = reason.lines().next().unwrap_or_default().to_owned();
        let site = Site::of(root);
        let index_path = site.index(root);
        let indexed = match &site.index_folder {
            Some(folder) => index::open_to_read(folder, &index_path)?,
            None => None,
        };
        let (connection, is_complete) = match indexed {
            // Of one that machines share, the index of this one may lack what others made.
            Some(connection) if site.machine.is_none() => (connection, true),
            _ => (index::in_memory(&index_path)?, false),
        };
        let store = Self::new(root, site, connection, Access::Read(reason), in_use);
        if !is_complete {
            store.recover()?;
        }
        Ok(store)
    }

    fn new(
        root: &Path,
        site: Site,
        connection: Connection,
        access: Access,
        in_use: Option<File>,
    ) -> Self {
        Self {
            root: root.to_owned(),
            index_path: site.index(root),
            site,
            inner: Mutex::new(Inner {
                connection,
                writers: BTreeMap::new(),
                readers: BTreeMap::new(),
            }),
            warnings: Mutex::default(),
            mended: Mutex::default(),
            claims: Arc::default(),
            access,
            in_use,
            work_root: None,
            tier: None,
        }
    }

    /// The store's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Why nothing may be written to the store, if that is so.
    pub fn read_only(&self) -> Option<&str> {
        match &self.access {
            Access::Write => None,
            Access::Read(reason) => Some(reason),
        }
    }

    /// What was found damaged and mended since the last call, one sentence each.
    pub fn take_warnings(&self) -> Vec<String> {
        std::mem::take(&mut *self.warnings.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Brings the index up to what lies in the folders: after a kill or a power cut a little,
    /// after the loss of the index everything.
    fn recover(&self) -> Result<(), StoreError> {
        let files = own::Survey::of_index(&self.root)?;
        self.recover_rows(&files)?;
        self.recover_results(&files)
    }

    /// Begins the index anew, empty, as the one that is there is damaged.
    fn reopen_index(&self) -> Result<(), StoreError> {
        let mut inner = self.lock();
        inner.writers.clear();
        inner.readers.clear();
        inner.connection = index::in_memory(&self.index_path)?; // lets go of the damaged one
        if let Some(folder) = &self.site.index_folder {
            inner.connection = index::reopen(folder, &self.index_path)?;
        }
        Ok(())
    }

    fn may_write(&self) -> Result<(), StoreError> {
        match &self.access {
            Access::Write => Ok(()),
            Access::Read(reason) => Err(StoreError::ReadOnly {
                root: self.root.clone(),
                reason: reason.clone(),
            }),
        }
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

    /// Tells of damage that was found while the store was opened.
    fn tell_damage(&self, path: &Path, what: String) {
        self.warn(format!("{}: {what}", path.display()));
        let mut mended = self.mended.lock().unwrap_or_else(PoisonError::into_inner);
        let path = path.to_owned();
        mended.push(Damage { path, what });
    }

    fn tell_damaged_index(&self) {
        let what = "the index was damaged; it was set aside and rebuilt from the stored files";
        self.tell_damage(&self.index_path, what.to_owned());
    }
}

/// Marks the folder as a cache, unless something has the mark's name.
fn tag(root: &Path) -> Result<(), StoreError> {
    let path = root.join("CACHEDIR.TAG");
    if Kind::of(&path).doing("read", &path)?.is_some() {
        return Ok(());
    }
    let made = beneath::open_or_create(root, &path);
    made.and_then(|mut file| file.write_all(CACHEDIR_TAG))
        .doing("write", &path)
}

/// The file of a lock, by its name below the store's root.
fn lock_file(root: &Path, name: &str) -> Result<File, StoreError> {
    let path = root.join(name);
    beneath::open_or_create(root, &path).doing("open", &path)
}
