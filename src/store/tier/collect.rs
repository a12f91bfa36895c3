//! Collecting on a remote that others use meanwhile: only what no lease names, and what is older than a grace period.

use std::collections::BTreeSet;
use std::time::{Duration, Instant, SystemTime};

use crate::key::{Digest, StageKey};
use crate::remote::{Entry, Pulled};

use super::super::results::decode;
use super::super::{StageResult, Store, StoreError};
use super::lease::{Found, MARK_STALE_AFTER};
use super::row_lists::{KEYS, MERGED};
use super::{OBJECTS, Presence, RESULTS, ROWS, Tier, digest_of, key_of, object_name};

/// A collector renews its mark after this time; half of it before others take it for dead, it stops. Ours.
const MARK_EVERY: Duration = Duration::from_secs(30);
/// How often what was put while it was looked for is read again: lists of files name no lists, so once is enough but where
/// the remote fails. Ours.
const READ_AGAIN: usize = 3;

/// What to keep there.
#[derive(Clone, Copy, Debug)]
pub struct RemoteGcOptions<'k> {
    /// The results to keep, with every object that they name.
    pub keep: &'k BTreeSet<StageKey>,
    /// Whether rows go too.
    pub rows: bool,
    /// What is younger stays, whatever it is.
    pub grace: Duration,
    /// Whether to count only.
    pub dry_run: bool,
}

/// What was removed there, or would be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RemoteGcReport {
    /// Results.
    pub results: u64,
    /// Objects.
    pub objects: u64,
    /// Their size in bytes.
    pub object_bytes: u64,
    /// Segments of rows.
    pub segments: u64,
    /// Their size in bytes.
    pub row_bytes: u64,
    /// Leases of runs that have ended without giving them back.
    pub leases: u64,
    /// Leases of runs in flight.
    pub in_flight: u64,
    /// Results and objects that nobody needs, but that are younger than the grace period.
    pub young: u64,
}

/// What a collector's deleting goes through: its mark is renewed in time, or nothing more is deleted.
struct Deleting<'a> {
    tier: &'a Tier,
    /// `None` where nothing is deleted.
    mark: Option<String>,
    renewed: Instant,
}

impl Deleting<'_> {
    fn remove(&mut self, name: &str) -> Result<(), StoreError> {
        let Some(mark) = &self.mark else {
            return Ok(());
        };
        if self.renewed.elapsed() >= MARK_EVERY {
            self.tier.mark(mark)?;
            // A renewal that took too long came too late: others took this collector for dead.
            if self.renewed.elapsed() > MARK_STALE_AFTER / 2 {
                return Err(StoreError::CollectorTooSlow(self.tier.url.to_string()));
            }
            self.renewed = Instant::now();
        }
        Ok(self.tier.bucket.remove(name)?)
    }

    fn remove_segments(
        &mut self,
        is_old: &dyn Fn(&Entry) -> bool,
        report: &mut RemoteGcReport,
    ) -> Result<(), StoreError> {
        let mut entries = self.tier.bucket.list(ROWS)?;
        entries.retain(is_old);
        let has_end = |entry: &Entry, end: &str| entry.name.rsplit('.').next() == Some(end);
        let is_list = |entry: &Entry| has_end(entry, KEYS) || has_end(entry, MERGED);
        // Lists before segments: a segment that nothing lists costs nobody a request.
        entries.sort_by_key(|entry| !is_list(entry));
        for entry in entries {
            let is_segment = has_end(&entry, "seg");
            if is_segment || is_list(&entry) {
                self.remove(&entry.name)?;
                report.segments += u64::from(is_segment);
                report.row_bytes += entry.bytes;
            }
        }
        Ok(())
    }
}

impl Drop for Deleting<'_> {
    fn drop(&mut self) {
        if let Some(mark) = &self.mark {
            // Else it grows stale.
            let _ = self.tier.bucket.remove(mark);
        }
    }
}

impl Store {
    /// Removes from the remote what is not kept, as far as no run in flight relies on it and it is older than the grace
    /// period. Runs may go on meanwhile.
    ///
    /// # Errors
    /// There is no remote, it may only be read, somebody else is collecting there, or it cannot be used.
    pub fn gc_remote(&self, options: RemoteGcOptions<'_>) -> Result<RemoteGcReport, StoreError> {
        let tier = self.writable_tier()?;
        let mut deleting = Deleting {
            tier,
            mark: None,
            renewed: Instant::now(),
        };
        if !options.dry_run {
            let mark = Tier::mark_name();
            tier.mark(&mark)?;
            deleting.mark = Some(mark.clone());
            // After the mark: of two who begin at once, both may see the other, and neither collects.
            let other = tier
                .collectors()?
                .into_iter()
                .find(|each| each.name != mark);
            if let Some(other) = other {
                return Err(StoreError::IsCollecting {
                    remote: tier.url.to_string(),
                    who: other.text.holder.to_string(),
                });
            }
        }
        let mut report = RemoteGcReport::default();
        // Leases first, then what there is: what is put since is young, or named in a lease that was read.
        let mut named: BTreeSet<Digest> = BTreeSet::new();
        let mut dead = Vec::new();
        for Found {
            name,
            text,
            is_stale,
            ..
        } in tier.leases()?
        {
            if is_stale {
                report.leases += 1;
                dead.push(name);
            } else {
                report.in_flight += 1;
                named.extend(text.objects);
            }
        }
        let now = tier.bucket.now()?;
        let is_old = |entry: &Entry| is_older(now, entry.modified, options.grace);

        let mut going = Vec::new();
        let mut roots = named;
        for entry in tier.bucket.list(RESULTS)? {
            let Some(key) = key_of(&entry.name) else {
                continue; // not ours
            };
            let is_kept = options.keep.contains(&key);
            if !is_kept && is_old(&entry) {
                going.push(entry);
                continue;
            }
            report.young += u64::from(!is_kept);
            if let Some(result) = self.remote_record(tier, &key, &entry.name)? {
                roots.extend(result.outputs.into_values());
            }
        }
        let mut reachable = BTreeSet::new();
        self.reach(roots, &mut reachable)?;
        let objects = tier.bucket.list(OBJECTS)?;
        // What was not there to be read and is in the list: a run named it in its lease and has put it since. What it names
        // is not known, so it would go.
        let unread = |reachable: &BTreeSet<Digest>| -> BTreeSet<Digest> {
            let known = tier.known();
            let is_unread = |digest: &Digest| {
                reachable.contains(digest)
                    && matches!(known.objects.get(digest), Some(Presence::Absent(_)))
            };
            let there = objects.iter().filter_map(|entry| digest_of(&entry.name));
            there.filter(is_unread).collect()
        };
        let mut late = unread(&reachable);
        for _ in 0..READ_AGAIN {
            if late.is_empty() {
                break;
            }
            for digest in &late {
                tier.known().objects.remove(digest);
                reachable.remove(digest);
            }
            self.reach(late, &mut reachable)?;
            late = unread(&reachable);
        }
        if !tier.is_up() {
            return Err(StoreError::RemoteDown(tier.url.to_string()));
        }
        if let Some(unread) = late.first() {
            return Err(StoreError::UnreadRemote {
                remote: tier.url.to_string(),
                name: object_name(unread),
            });
        }
        // Records before objects: a kill in between leaves objects too many, not too few.
        for entry in going {
            deleting.remove(&entry.name)?;
            report.results += 1;
        }
        for entry in objects {
            let Some(digest) = digest_of(&entry.name) else {
                continue;
            };
            if reachable.contains(&digest) {
                continue;
            }
            if !is_old(&entry) {
                report.young += 1;
                continue;
            }
            deleting.remove(&entry.name)?;
            report.objects += 1;
            report.object_bytes += entry.bytes;
        }
        if options.rows {
            deleting.remove_segments(&is_old, &mut report)?;
        }
        for name in dead {
            deleting.remove(&name)?;
        }
        Ok(report)
    }

    /// Adds to `reachable` these objects and all that they name. Lists of files are small: whatever of them is not here is
    /// pulled, or what it names would be taken for unneeded.
    fn reach(
        &self,
        roots: BTreeSet<Digest>,
        reachable: &mut BTreeSet<Digest>,
    ) -> Result<(), StoreError> {
        let mut open: Vec<Digest> = roots.into_iter().collect();
        while let Some(digest) = open.pop() {
            if !reachable.insert(digest) {
                continue;
            }
            if self.object_path(&digest)?.is_none() {
                self.is_remote_object(&digest)?;
            }
            open.extend(self.references(&digest)?.into_iter().flatten());
        }
        Ok(())
    }

    /// A record of the remote, or the same of here.
    fn remote_record(
        &self,
        tier: &Tier,
        key: &StageKey,
        name: &str,
    ) -> Result<Option<StageResult>, StoreError> {
        let mut bytes = Vec::new();
        // Not the one that is here: another may have come first there, with other outputs.
        match tier.bucket.pull(name, u64::MAX, &mut bytes)? {
            Pulled::Whole => {}
            Pulled::Absent | Pulled::TooLong(_) => return Ok(None),
        }
        let record = decode(&bytes).filter(|record| record.result.key == *key);
        if record.is_none() {
            self.warn(format!(
                "{name} of {} is damaged; what it named is not kept for its sake",
                tier.url
            ));
        }
        Ok(record.map(|record| record.result))
    }
}

fn is_older(now: SystemTime, modified: SystemTime, grace: Duration) -> bool {
    now.duration_since(modified).unwrap_or_default() >= grace
}
