//! Who is at what: stages and rows, claimed against other threads and other processes by file locks.
//!
//! A lock's file names its holder, so that whoever waits can say for whom. A killed process's locks are free again.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, TryLockError};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::error::Doing;
use super::{ROW_LOCKS, Store, StoreError, lock_file, own};
use crate::beneath;
use crate::event::CancelToken;
use crate::key::{Digest, StageKey};

/// Time between two looks at whether a lock is free. Ours.
const LOOK_AT_LOCK: Duration = Duration::from_millis(50);
/// `ENOLCK`, which has no [`ErrorKind`].
const NO_LOCKS: i32 = 37;
/// A holder's name is no longer than this.
const MAX_NAME_BYTES: u64 = 300;

/// The row locks that this store holds, by bucket and number, with the rows for which.
#[derive(Default)]
pub(super) struct Claims(Mutex<BTreeMap<(String, u16), Held>>);

struct Held {
    _lock: File,
    keys: BTreeSet<Digest>,
}

/// A row that is claimed until this is dropped.
pub struct RowClaim {
    claims: Arc<Claims>,
    lock: (String, u16),
    key: Digest,
}

impl Drop for RowClaim {
    fn drop(&mut self) {
        let mut held = self.claims.held();
        if let Some(lock) = held.get_mut(&self.lock) {
            lock.keys.remove(&self.key);
            if lock.keys.is_empty() {
                // The file stays: else one process could lock the old file and another a new one of its name.
                held.remove(&self.lock);
            }
        }
    }
}

impl Claims {
    fn held(&self) -> MutexGuard<'_, BTreeMap<(String, u16), Held>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store {
    /// Waits until no other process runs the stage under `key`, and says so where it has to, with who that is. The claim
    /// ends with the file; `None` where `cancel` came first.
    ///
    /// # Errors
    /// The lock cannot be made.
    pub fn lock_stage(
        &self,
        key: &StageKey,
        waiting: &mut dyn FnMut(&str),
        cancel: &CancelToken,
    ) -> Result<Option<File>, StoreError> {
        self.may_write()?;
        lock_telling(&self.root, &format!("locks/{key}"), waiting, cancel)
    }

    /// Claims the row `key` of `bucket` against other threads and processes until the claim is dropped;
    /// `None` while somebody has it. Rows share 1,024 locks, so one may wait for another process's other row.
    ///
    /// # Errors
    /// The lock cannot be made.
    pub fn claim_row(&self, bucket: &str, key: &Digest) -> Result<Option<RowClaim>, StoreError> {
        own::check_bucket(bucket)?;
        self.may_write()?;
        let lock = (bucket.to_owned(), lock_number(key));
        let claim = |lock| RowClaim {
            claims: Arc::clone(&self.claims),
            lock,
            key: *key,
        };
        let mut held = self.claims.held();
        // A second handle would be refused by the lock that this process holds itself.
        if let Some(ours) = held.get_mut(&lock) {
            return Ok(ours.keys.insert(*key).then(|| claim(lock)));
        }
        let name = lock_name(bucket, key);
        let file = lock_file(&self.root, &name)?;
        match try_lock(&file) {
            Ok(()) => {
                sign(&file);
                let keys = BTreeSet::from([*key]);
                held.insert(lock.clone(), Held { _lock: file, keys });
                Ok(Some(claim(lock)))
            }
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error).doing("lock", &self.root.join(name)),
        }
    }

    /// Who has the row `key` of `bucket`, for a message.
    pub fn row_holder(&self, bucket: &str, key: &Digest) -> String {
        holder(&self.root, &lock_name(bucket, key))
    }
}

/// Locks a file, where its file system has locks. Where it has none (an NFS that is mounted without), nothing relies on them: two
/// that do the same work do it twice.
pub(super) fn try_lock(file: &File) -> Result<(), TryLockError> {
    match file.try_lock() {
        Err(TryLockError::Error(error))
            if error.kind() == ErrorKind::Unsupported || error.raw_os_error() == Some(NO_LOCKS) =>
        {
            Ok(())
        }
        locked => locked,
    }
}

/// Takes the lock of this name; says for whom it waits, where it has to. `None` where `cancel` came first.
pub(super) fn lock_telling(
    root: &Path,
    name: &str,
    waiting: &mut dyn FnMut(&str),
    cancel: &CancelToken,
) -> Result<Option<File>, StoreError> {
    let file = lock_file(root, name)?;
    let mut told = false;
    // Tried again and again: a `lock` that blocks could not be given up when the run is asked to stop.
    loop {
        match try_lock(&file) {
            Ok(()) => break,
            Err(TryLockError::Error(error)) => return Err(error).doing("lock", &root.join(name)),
            Err(TryLockError::WouldBlock) if cancel.is_cancelled() => return Ok(None),
            Err(TryLockError::WouldBlock) => {}
        }
        if !told {
            told = true;
            waiting(&holder(root, name));
        }
        cancel.sleep(LOOK_AT_LOCK);
    }
    sign(&file);
    Ok(Some(file))
}

/// Who holds the lock of this name: `process 12 on HOST`, or another thread of this very process.
pub(super) fn holder(root: &Path, name: &str) -> String {
    let mut text = String::new();
    let named = beneath::open(root, &root.join(name))
        .and_then(|file| file.take(MAX_NAME_BYTES).read_to_string(&mut text));
    match text.trim() {
        name if name == own_name() => "another worker of this run".to_owned(),
        name if named.is_ok() && !name.is_empty() => name.to_owned(),
        _ => "another process".to_owned(),
    }
}

/// Writes into a lock's file who holds it; only for messages, so that a failure does not matter.
pub(super) fn sign(mut file: &File) {
    let text = own_name() + "\n";
    let _ = file
        .set_len(0)
        .and_then(|()| file.seek(SeekFrom::Start(0)))
        .and_then(|_| file.write_all(text.as_bytes()));
}

fn own_name() -> String {
    let host = sysinfo::System::host_name().unwrap_or_default();
    format!("process {} on {host}", std::process::id())
}

fn lock_number(key: &Digest) -> u16 {
    let bytes = key.as_bytes();
    u16::from_le_bytes([bytes[0], bytes[1]]) % ROW_LOCKS
}

fn lock_name(bucket: &str, key: &Digest) -> String {
    format!("locks/{bucket}-{:04}", lock_number(key))
}
