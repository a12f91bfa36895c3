//! The second tier: a remote below the store, which many machines share.
//!
//! ```text
//! objects-v1/ab/cdef...          as in a store
//! results-v1/ab/KEY.json         as in a store
//! rows-v1/BUCKET/DIGEST.seg      sealed segments: rows that one machine made, in records as of a store's segments
//! rows-v1/BUCKET/DIGEST.keys     which rows are in it
//! rows-v1/BUCKET/DIGEST.lists    the same of many segments
//! leases-v1/ID.json              runs in flight, and what they rely on
//! collecting-v1/ID.json          who deletes
//! ```
//!
//! What the store lacks is looked for here and pulled; what a run makes is pushed, objects before the record that names
//! them. Nothing that goes wrong with a remote is an error of a run: it is a miss, or is pushed later, and said.

mod collect;
mod hand_over;
mod lease;
mod listing;
mod pull;
mod push;
mod row_lists;
mod rows;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::event::CancelToken;
use crate::key::{Digest, StageKey};
use crate::remote::{self, Bucket, RemoteError, RemoteUrl};

use super::{Store, StoreError};
use lease::Lease;
use push::Queue;
use row_lists::RemoteRows;

pub(crate) use collect::RemoteGcOptions;
pub(crate) use row_lists::Segments;

const RESULTS: &str = "results-v1/";
const OBJECTS: &str = "objects-v1/";
const ROWS: &str = "rows-v1/";
const LEASES: &str = "leases-v1/";
const COLLECTING: &str = "collecting-v1/";

/// An object up to this size is pulled where it is enough to know that it is there: then it is checked, and here. Ours:
/// weights are longer, lists of files and what tables are made of are not.
const SMALL_BYTES: u64 = if cfg!(test) { 256 << 10 } else { 4 << 20 };
/// What is not there is asked for again after this time. Ours.
const ABSENT_FOR: Duration = Duration::from_secs(10);
/// A remote that does not answer is left alone for so long. Ours.
const LEFT_ALONE_FOR: Duration = Duration::from_mins(5);

/// A remote, as a person names it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RemoteChoice {
    /// Where it is.
    pub url: RemoteUrl,
    /// Whether to pull only.
    pub readonly: bool,
}

/// Says something to whoever watches a run.
pub(super) type Say = Arc<dyn Fn(&str) + Send + Sync>;

/// A store's remote.
pub(super) struct Tier {
    bucket: Arc<dyn Bucket>,
    url: RemoteUrl,
    cancel: CancelToken,
    may_write: AtomicBool,
    /// Whether a run is in flight: only then are rows pulled and is anything pushed by itself.
    running: AtomicBool,
    /// Whether the lease is renewed.
    beating: AtomicBool,
    /// Whom a run tells what takes long.
    say: Mutex<Option<Say>>,
    known: Mutex<Known>,
    rows: Mutex<BTreeMap<String, RemoteRows>>,
    lease: Mutex<Option<Lease>>,
    queue: Mutex<Queue>,
    /// What was sealed by this process.
    sealed: Mutex<Segments>,
    /// Results and rows that a run left behind here.
    unpushed: AtomicU64,
    wake: Condvar,
}

/// What this process knows of the remote.
#[derive(Default)]
struct Known {
    absent: BTreeMap<StageKey, Instant>,
    objects: BTreeMap<Digest, Presence>,
    /// Results whose records came from there.
    pulled: BTreeSet<StageKey>,
    /// Results whose records or objects there turned out to be damaged or gone: what is made here takes their place.
    doubtful: BTreeSet<StageKey>,
    /// Since when it is left alone.
    down: Option<Instant>,
    /// What was said, so that it is said once.
    said: BTreeSet<&'static str>,
}

/// What is known of an object there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Presence {
    /// With so many bytes.
    There(u64),
    Absent(Instant),
    /// Its bytes are others than its name says.
    Damaged,
}

impl Tier {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rows(&self) -> MutexGuard<'_, BTreeMap<String, RemoteRows>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn may_write(&self) -> bool {
        self.may_write.load(Ordering::Relaxed)
    }

    fn is_running(&self) -> bool {
        self.running.load(Ordering::Relaxed)
    }

    /// Whether it answered the last time, or that is long ago.
    fn is_up(&self) -> bool {
        let mut known = self.known();
        if known
            .down
            .is_some_and(|since| since.elapsed() >= LEFT_ALONE_FOR)
        {
            known.down = None;
        }
        known.down.is_none()
    }

    fn say(&self, text: &str) {
        let say = self
            .say
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let Some(say) = say {
            say(text);
        }
    }

    /// Whether something is said for the first time.
    fn first_time(&self, what: &'static str) -> bool {
        self.known().said.insert(what)
    }
}

impl Store {
    /// Puts a remote below this store; `cancel` ends what waits for it.
    ///
    /// # Errors
    /// Its settings cannot be read, or its folder is not there.
    pub fn attach(
        &mut self,
        choice: &RemoteChoice,
        cancel: &CancelToken,
    ) -> Result<(), StoreError> {
        let bucket = remote::open(&choice.url, cancel)?;
        self.attach_bucket(bucket, choice, cancel);
        Ok(())
    }

    pub(super) fn attach_bucket(
        &mut self,
        bucket: Arc<dyn Bucket>,
        choice: &RemoteChoice,
        cancel: &CancelToken,
    ) {
        if let Some(reason) = self.read_only() {
            self.warn(format!(
                "the store may only be read ({reason}), so nothing is pulled into it from {}",
                choice.url
            ));
            return;
        }
        let mut may_write = !choice.readonly;
        // Its index would not know what is put beside it.
        if let RemoteUrl::Folder(folder) = &choice.url
            && folder.join(super::IN_USE_LOCK).exists()
            && may_write
        {
            self.warn(format!(
                "{} is itself a store that programs work in, so it is only read; a remote to push to is a folder of its own",
                choice.url
            ));
            may_write = false;
        }
        self.tier = Some(Tier {
            bucket,
            url: choice.url.clone(),
            cancel: cancel.clone(),
            may_write: AtomicBool::new(may_write),
            running: AtomicBool::new(false),
            beating: AtomicBool::new(false),
            say: Mutex::default(),
            known: Mutex::default(),
            rows: Mutex::default(),
            lease: Mutex::default(),
            queue: Mutex::default(),
            sealed: Mutex::default(),
            unpushed: AtomicU64::new(0),
            wake: Condvar::new(),
        });
    }

    /// Where the remote is, where there is one that may be written to.
    pub fn remote(&self) -> Option<&RemoteUrl> {
        let tier = self.tier.as_ref().filter(|tier| tier.may_write());
        tier.map(|tier| &tier.url)
    }

    /// The remote's name, where there is one.
    pub fn remote_name(&self) -> Option<String> {
        self.tier.as_ref().map(|tier| tier.url.to_string())
    }

    fn tier(&self) -> Result<&Tier, StoreError> {
        self.tier.as_ref().ok_or(StoreError::NoRemote)
    }

    fn writable_tier(&self) -> Result<&Tier, StoreError> {
        let tier = self.tier()?;
        if tier.may_write() {
            Ok(tier)
        } else {
            Err(StoreError::ReadOnlyRemote(tier.url.to_string()))
        }
    }

    /// Says what went wrong with the remote, and what follows from it; some of it once.
    fn tell_remote(&self, tier: &Tier, error: &RemoteError, follows: &str) {
        if matches!(error, RemoteError::Cancelled) {
            return;
        }
        if error.is_of_all() {
            let mut known = tier.known();
            if known.down.is_none() {
                known.down = Some(Instant::now());
                drop(known);
                self.warn(format!(
                    "the remote {} cannot be used and is left alone for {} minutes: {error}",
                    tier.url,
                    LEFT_ALONE_FOR.as_secs() / 60
                ));
            }
        } else if !error.is_denied() || tier.first_time("denied") {
            self.warn(format!("{error}; {follows}"));
        }
    }
}

fn result_name(key: &StageKey) -> String {
    let hex = key.to_string();
    format!("{RESULTS}{}/{hex}.json", &hex[..2])
}

fn object_name(digest: &Digest) -> String {
    let hex = digest.to_string();
    format!("{OBJECTS}{}/{}", &hex[..2], &hex[2..])
}

/// The key whose record has this name.
fn key_of(name: &str) -> Option<StageKey> {
    let hex = name.strip_prefix(RESULTS)?.strip_suffix(".json")?;
    let (shard, key) = hex.split_once('/')?;
    let key = key.starts_with(shard).then(|| key.parse().ok())??;
    Some(StageKey(key))
}

/// The digest of the object that has this name.
fn digest_of(name: &str) -> Option<Digest> {
    let (shard, rest) = name.strip_prefix(OBJECTS)?.split_once('/')?;
    format!("{shard}{rest}").parse().ok()
}
