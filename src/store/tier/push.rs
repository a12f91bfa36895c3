//! Pushing: what a run makes goes to the remote while it goes on.
//!
//! A thread of the run's pushes results as they are put, and seals rows as they gather. Nothing that fails here fails the
//! run: it is tried again at the end, and told; `cache push` finds out by itself what is lacking there.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use crate::beneath;
use crate::key::{Digest, StageKey};
use crate::remote::{Existing, Put};

use super::super::error::Doing;
use super::super::results::encode_shared;
use super::super::{Store, StoreError};
use super::lease::{HEARTBEAT, MARK_STALE_AFTER};
use super::rows::{PushFailure, SEGMENT_BYTES};
use super::{Presence, RESULTS, Say, Tier, key_of, object_name, result_name};

/// Rows that wait are sealed after this time, or when they are enough for a segment. Ours.
const SEAL_EVERY: Duration = Duration::from_mins(1);
/// Time between two looks. Ours.
const LOOK: Duration = Duration::from_millis(500);
/// Whether an object is there is asked before it is sent only where it is longer than this. Ours.
const SENT_UNASKED_BYTES: u64 = 64 << 10;

/// What is to be pushed.
#[derive(Default)]
pub(super) struct Queue {
    results: VecDeque<StageKey>,
    rows: BTreeMap<String, Waiting>,
    /// What was tried in vain, and why.
    failed: Vec<(StageKey, String)>,
    failed_rows: u64,
    /// Whether nothing more comes.
    closed: bool,
}

/// Rows of a bucket that are not sealed yet.
#[derive(Default)]
struct Waiting {
    keys: Vec<Digest>,
    bytes: usize,
    since: Option<Instant>,
}

/// What [`Store::push_all`] did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PushReport {
    /// Results that were not there.
    pub results: u64,
    /// Rows that were not there.
    pub rows: u64,
    /// Results here whose objects are gone, so that they cannot be pushed.
    pub incomplete: u64,
    /// What was tried in vain, and why.
    pub failed: Vec<String>,
}

impl Store {
    /// Does `work` while what it makes is pushed; then waits for the rest. `say` hears of that, and of what takes long to
    /// pull. What could not be pushed is among the warnings.
    pub fn while_pushing<T>(&self, say: Say, work: impl FnOnce() -> T) -> T {
        let Some(tier) = &self.tier else {
            return work();
        };
        *tier.say.lock().unwrap_or_else(PoisonError::into_inner) = Some(say);
        tier.running.store(true, Ordering::Relaxed);
        self.begin(tier);
        let done = thread::scope(|scope| {
            // Even if `work` panics, or the threads would be waited for without end.
            let closing = Closing(tier);
            let pushing = scope.spawn(|| {
                let _beating = Beating(tier);
                self.push_until_closed(tier);
            });
            scope.spawn(|| beat(tier));
            let done = work();
            let left = tier.queue().results.len();
            if left > 0 && !tier.cancel.is_cancelled() {
                let remote = &tier.url;
                tier.say(&format!("pushing what is left to {remote}: {left} results"));
            }
            drop(closing);
            let _ = pushing.join();
            done
        });
        self.end(tier);
        tier.say
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        done
    }

    /// Takes a lease, and finds out what may be done there.
    fn begin(&self, tier: &Tier) {
        tier.beating.store(true, Ordering::Relaxed);
        if !tier.may_write() {
            return;
        }
        match tier.open_lease() {
            Ok(true) => {}
            Ok(false) => self.warn(format!(
                "{} does not keep a name from being put twice (it has no conditional writes); it is looked first, and \
                 where two machines put the same at the same moment the last one stays (docs/store.md)",
                tier.url
            )),
            Err(error) if error.is_denied() => {
                tier.may_write.store(false, Ordering::Relaxed);
                self.warn(format!(
                    "nothing is pushed to {}, which may only be read: {error}\nhint: `readonly = true` in `[store]`, or \
                     --remote-readonly, says so beforehand",
                    tier.url
                ));
            }
            Err(error) => self.tell_remote(tier, &error, "it is used all the same"),
        }
    }

    fn end(&self, tier: &Tier) {
        tier.running.store(false, Ordering::Relaxed);
        tier.close_lease();
        let mut queue = tier.queue();
        let left = std::mem::take(&mut *queue);
        drop(queue);
        let rows = left.failed_rows
            + left
                .rows
                .values()
                .map(|each| each.keys.len() as u64)
                .sum::<u64>();
        let results = left.failed.len() + left.results.len();
        tier.unpushed
            .store(results as u64 + rows, Ordering::Relaxed);
        if tier.may_write() && results as u64 + rows > 0 {
            let why = match left.failed.first() {
                Some((key, why)) => {
                    let here = self.here(key).ok().flatten();
                    let stage =
                        here.map_or_else(String::new, |result| format!("`{}`: ", result.stage));
                    format!(" ({stage}{why})")
                }
                None if tier.cancel.is_cancelled() => " (stopped)".to_owned(),
                None => String::new(),
            };
            self.warn(format!(
                "not pushed to {}: {results} results, {rows} rows{why}\nhint: they are here; `sert-run cache push --remote {}` \
                 pushes what is not there",
                tier.url, tier.url
            ));
        }
    }

    fn push_until_closed(&self, tier: &Tier) {
        let mut tried_again = false;
        loop {
            let (next, closed) = {
                let queue = tier.queue();
                let nothing = queue.results.is_empty() && !queue.closed;
                let mut queue = if nothing {
                    let waited = tier.wake.wait_timeout(queue, LOOK);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                } else {
                    queue
                };
                (queue.results.pop_front(), queue.closed)
            };
            if tier.cancel.is_cancelled() {
                // Whatever is left is told.
                if let Some(key) = next {
                    tier.queue().results.push_front(key);
                }
                if closed {
                    return;
                }
                thread::sleep(LOOK);
                continue;
            }
            self.seal_waiting(tier, closed);
            match next {
                Some(key) => {
                    if let Err(failure) = self.push_result(tier, &key) {
                        let why = self.why_not_pushed(tier, failure);
                        tier.queue().failed.push((key, why));
                    }
                }
                None if closed && !tried_again && !tier.queue().failed.is_empty() => {
                    tried_again = true;
                    tier.known().down = None;
                    let mut queue = tier.queue();
                    let again = std::mem::take(&mut queue.failed);
                    queue.results.extend(again.into_iter().map(|(key, _)| key));
                }
                None if closed => return,
                None => {}
            }
        }
    }

    /// Seals the rows of each bucket that are enough, or have waited long enough, or all of them.
    fn seal_waiting(&self, tier: &Tier, all: bool) {
        let due: Vec<(String, Vec<Digest>)> = {
            let mut queue = tier.queue();
            let is_due = |each: &Waiting| {
                let waited = each
                    .since
                    .is_some_and(|since| since.elapsed() >= SEAL_EVERY);
                all || waited || each.bytes >= SEGMENT_BYTES
            };
            let due = queue.rows.iter_mut().filter(|(_, each)| is_due(each));
            let take = |(bucket, each): (&String, &mut Waiting)| {
                (bucket.clone(), std::mem::take(each).keys)
            };
            let due = due.map(take).collect();
            queue.rows.retain(|_, each| !each.keys.is_empty());
            due
        };
        for (bucket, keys) in due {
            if let Err(failure) = self.seal_rows(tier, &bucket, &keys) {
                let _ = self.why_not_pushed(tier, failure);
                let mut queue = tier.queue();
                if all {
                    queue.failed_rows += keys.len() as u64;
                } else {
                    let waiting = queue.rows.entry(bucket).or_default();
                    waiting.keys.extend(keys);
                    waiting.since = Some(Instant::now());
                }
            }
        }
    }

    /// What is told of a failure; one of the remote as a whole is told once, by itself.
    fn why_not_pushed(&self, tier: &Tier, failure: PushFailure) -> String {
        match failure {
            PushFailure::Remote(error) => {
                let why = error.to_string();
                let why = why.lines().next().unwrap_or_default().to_owned();
                if error.is_denied() {
                    tier.may_write.store(false, Ordering::Relaxed);
                    self.warn(format!("nothing more is pushed to {}: {error}", tier.url));
                } else if error.is_of_all() {
                    self.tell_remote(tier, &error, "");
                }
                why
            }
            PushFailure::Here(error) => error.to_string(),
            PushFailure::Collected(who) => format!("{who} is collecting there"),
            PushFailure::Gone(digest) => format!("the object {digest} is neither here nor there"),
        }
    }

    /// Pushes a result that is here: its objects, then its record.
    fn push_result(&self, tier: &Tier, key: &StageKey) -> Result<(), PushFailure> {
        if !tier.may_write() {
            return Ok(());
        }
        if !tier.is_up() {
            return Err(PushFailure::Remote(crate::remote::RemoteError::Settings(
                "the remote did not answer".to_owned(),
            )));
        }
        let Some(result) = self.here(key)? else {
            return Ok(());
        };
        let objects = self.reachable(result.outputs.values().copied())?;
        tier.name_in_lease(objects.iter().copied())?;
        tier.wait_for_collectors()?;
        let doubtful = tier.known().doubtful.contains(key);
        for digest in &objects {
            self.push_object(tier, digest, doubtful)?;
        }
        let name = result_name(key);
        let existing = if doubtful {
            Existing::IsReplaced
        } else {
            Existing::Stays
        };
        let put = tier.bucket.put(&name, &encode_shared(&result), existing)?;
        tracing::debug!(stage = result.stage, %key, new = put == Put::New, "pushed");
        let mut known = tier.known();
        known.absent.remove(key);
        known.doubtful.remove(key);
        drop(known);
        tier.unname_in_lease(&objects);
        Ok(())
    }

    /// Pushes an object unless it is there; where what is there is `doubtful`, in its place.
    pub(super) fn push_object(
        &self,
        tier: &Tier,
        digest: &Digest,
        doubtful: bool,
    ) -> Result<(), PushFailure> {
        let name = object_name(digest);
        let path = self.path_of(digest);
        let file = beneath::open(&self.root, &path).ok();
        let length = match &file {
            Some(file) => Some(file.metadata().doing("read", &path)?.len()),
            None => None,
        };
        let damaged = doubtful && length.is_some()
            || tier.known().objects.get(digest) == Some(&Presence::Damaged);
        let mut existing = if damaged {
            Existing::IsReplaced
        } else {
            Existing::Stays
        };
        // A short one is sent unasked: mostly it is new.
        let long = length.is_none_or(|length| length > SENT_UNASKED_BYTES);
        if long && !damaged {
            match tier.bucket.head(&name)? {
                Some(entry) if length.is_none_or(|length| length == entry.bytes) => {
                    return Ok(());
                }
                // Of another length, it is not what its name says.
                Some(_) => existing = Existing::IsReplaced,
                None => {}
            }
        }
        let (Some(file), Some(length)) = (file, length) else {
            return Err(PushFailure::Gone(*digest));
        };
        // What a disk lost since must not be sent under the name of what it was.
        if self.object_path(digest)?.is_none() {
            return Err(PushFailure::Gone(*digest));
        }
        let put = tier.bucket.put_file(&name, &file, length, existing)?;
        if put == Put::Present
            && !long
            && let Some(entry) = tier.bucket.head(&name)?
            && entry.bytes != length
        {
            tier.bucket
                .put_file(&name, &file, length, Existing::IsReplaced)?;
        }
        tier.known()
            .objects
            .insert(*digest, Presence::There(length));
        Ok(())
    }

    /// Notes a result that was just put, to be pushed.
    pub(in super::super) fn note_result(&self, key: &StageKey) {
        if let Some(tier) = self
            .tier
            .as_ref()
            .filter(|tier| tier.is_running() && tier.may_write())
        {
            tier.queue().results.push_back(*key);
            tier.wake.notify_all();
        }
    }

    /// Notes rows that were just put, to be sealed.
    pub(in super::super) fn note_rows(&self, bucket: &str, rows: &[(Digest, Vec<u8>)]) {
        if let Some(tier) = self
            .tier
            .as_ref()
            .filter(|tier| tier.is_running() && tier.may_write())
        {
            let mut queue = tier.queue();
            let waiting = queue.rows.entry(bucket.to_owned()).or_default();
            waiting.keys.extend(rows.iter().map(|(key, _)| *key));
            waiting.bytes += rows.iter().map(|(_, row)| row.len()).sum::<usize>();
            waiting.since.get_or_insert_with(Instant::now);
        }
    }

    /// Pushes what is here and not there: results (of `keys`, where given) and, where wanted, rows. `progress` hears how
    /// many results there are to push and how many are done.
    ///
    /// # Errors
    /// There is no remote, it may only be read, or it cannot be used.
    pub fn push_all(
        &self,
        keys: Option<&BTreeSet<StageKey>>,
        rows: bool,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<PushReport, StoreError> {
        let tier = self.writable_tier()?;
        let there: BTreeSet<StageKey> = tier
            .bucket
            .list(RESULTS)?
            .iter()
            .filter_map(|entry| key_of(&entry.name))
            .collect();
        let mut report = PushReport::default();
        tier.running.store(true, Ordering::Relaxed);
        self.begin(tier);
        tier.queue().closed = true;
        let pushed = thread::scope(|scope| {
            let _beating = Beating(tier);
            scope.spawn(|| beat(tier));
            self.push_lacking(tier, keys, &there, rows, &mut report, progress)
        });
        tier.running.store(false, Ordering::Relaxed);
        tier.close_lease();
        *tier.queue() = Queue::default();
        pushed.map(|()| report)
    }

    fn push_lacking(
        &self,
        tier: &Tier,
        keys: Option<&BTreeSet<StageKey>>,
        there: &BTreeSet<StageKey>,
        rows: bool,
        report: &mut PushReport,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(), StoreError> {
        let mut lacking = Vec::new();
        for result in self.results()? {
            if keys.is_none_or(|keys| keys.contains(&result.key)) && !there.contains(&result.key) {
                lacking.push(result);
            }
        }
        let total = lacking.len() as u64;
        for (result, done) in lacking.iter().zip(0..) {
            progress(done, total);
            if tier.cancel.is_cancelled() {
                report.failed.push("stopped".to_owned());
                return Ok(());
            }
            match self.push_result(tier, &result.key) {
                Ok(()) if !tier.may_write() => {
                    return Err(StoreError::ReadOnlyRemote(tier.url.to_string()));
                }
                Ok(()) => report.results += 1,
                Err(PushFailure::Gone(_)) => report.incomplete += 1,
                Err(failure) => {
                    let why = self.why_not_pushed(tier, failure);
                    report.failed.push(format!("`{}`: {why}", result.stage));
                }
            }
        }
        progress(total, total);
        if !rows {
            return Ok(());
        }
        for (bucket, lacking) in self.rows_to_push(tier)? {
            let mut from = 0;
            while from < lacking.len() && !tier.cancel.is_cancelled() {
                let (mut to, mut bytes) = (from, 0);
                while to < lacking.len() && bytes < SEGMENT_BYTES as u64 {
                    bytes += lacking[to].1;
                    to += 1;
                }
                let keys: Vec<Digest> = lacking[from..to].iter().map(|(key, _)| *key).collect();
                match self.seal_rows(tier, &bucket, &keys) {
                    Ok(()) => report.rows += keys.len() as u64,
                    Err(failure) => {
                        let why = self.why_not_pushed(tier, failure);
                        let rows = keys.len();
                        report
                            .failed
                            .push(format!("{rows} rows of {bucket}: {why}"));
                    }
                }
                from = to;
            }
        }
        Ok(())
    }
}

impl Tier {
    /// Waits until nobody deletes there: what is there now might not be in a moment.
    fn wait_for_collectors(&self) -> Result<(), PushFailure> {
        let since = Instant::now();
        loop {
            let collectors = self.collectors()?;
            let Some(first) = collectors.first() else {
                return Ok(());
            };
            let too_long = since.elapsed() > MARK_STALE_AFTER && self.queue().closed;
            if self.cancel.is_cancelled() || too_long {
                return Err(PushFailure::Collected(first.text.holder.to_string()));
            }
            self.cancel.sleep(LOOK);
        }
    }
}

/// What is told where an object that another machine is to read could not be put there.
pub(super) fn not_shared(tier: &Tier, digest: &Digest, failure: PushFailure) -> StoreError {
    match failure {
        PushFailure::Remote(error) => error.into(),
        PushFailure::Here(error) => error,
        PushFailure::Gone(_) => StoreError::MissingObject(*digest),
        PushFailure::Collected(who) => StoreError::IsCollecting {
            remote: tier.url.to_string(),
            who,
        },
    }
}

/// Says that nothing more comes, when it is dropped.
struct Closing<'a>(&'a Tier);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.queue().closed = true;
        self.0.wake.notify_all();
    }
}

/// The lease is renewed until this is dropped.
struct Beating<'a>(&'a Tier);

impl Drop for Beating<'_> {
    fn drop(&mut self) {
        self.0.beating.store(false, Ordering::Relaxed);
    }
}

/// Renews the lease as long as the run goes on, and while what it made is pushed.
fn beat(tier: &Tier) {
    let mut beaten = Instant::now();
    while tier.beating.load(Ordering::Relaxed) {
        thread::sleep(LOOK / 5);
        if beaten.elapsed() >= HEARTBEAT && tier.may_write() {
            beaten = Instant::now();
            // What fails is tried again in a minute; who collects waits for half an hour.
            let _ = tier.beat();
        }
    }
}
