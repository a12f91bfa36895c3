//! What a remote holds, counted.

use std::collections::{BTreeMap, BTreeSet};

use crate::key::StageKey;

use super::super::{Store, StoreError};
use super::{OBJECTS, RESULTS, ROWS, digest_of, key_of};

/// What a remote holds.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RemoteStats {
    /// Results.
    pub results: u64,
    /// Of these, those that are here too.
    pub results_here: u64,
    /// Objects.
    pub objects: u64,
    /// Their size in bytes.
    pub object_bytes: u64,
    /// Of the objects, those that are here too.
    pub objects_here: u64,
    /// Segments and their size in bytes, by bucket.
    pub buckets: BTreeMap<String, (u64, u64)>,
    /// Runs in flight: who, for how many seconds without a heartbeat, and how many objects they rely on.
    pub runs: Vec<(String, u64, usize)>,
    /// Leases of runs that have ended.
    pub dead_leases: u64,
    /// Who is collecting.
    pub collectors: Vec<String>,
}

impl Store {
    /// Those of `keys` whose results the remote has.
    ///
    /// # Errors
    /// There is no remote, or it cannot be used.
    pub fn remote_has(&self, keys: &BTreeSet<StageKey>) -> Result<BTreeSet<StageKey>, StoreError> {
        let entries = self.tier()?.bucket.list(RESULTS)?;
        let there = entries.iter().filter_map(|entry| key_of(&entry.name));
        Ok(there.filter(|key| keys.contains(key)).collect())
    }

    /// Counts what the remote holds.
    ///
    /// # Errors
    /// There is no remote, or it cannot be used.
    pub fn remote_stats(&self) -> Result<RemoteStats, StoreError> {
        let tier = self.tier()?;
        let mut stats = RemoteStats::default();
        for entry in tier.bucket.list(RESULTS)? {
            if let Some(key) = key_of(&entry.name) {
                stats.results += 1;
                stats.results_here += u64::from(self.here(&key)?.is_some());
            }
        }
        for entry in tier.bucket.list(OBJECTS)? {
            if let Some(digest) = digest_of(&entry.name) {
                stats.objects += 1;
                stats.object_bytes += entry.bytes;
                stats.objects_here += u64::from(self.has_object(&digest));
            }
        }
        for entry in tier.bucket.list(ROWS)? {
            let place = entry.name[ROWS.len()..].strip_suffix(".seg");
            if let Some((bucket, _)) = place.and_then(|place| place.split_once('/')) {
                let (segments, bytes) = stats.buckets.entry(bucket.to_owned()).or_default();
                *segments += 1;
                *bytes += entry.bytes;
            }
        }
        for lease in tier.leases()? {
            if lease.is_stale {
                stats.dead_leases += 1;
            } else {
                let who = lease.text.holder.to_string();
                stats
                    .runs
                    .push((who, lease.age.as_secs(), lease.text.objects.len()));
            }
        }
        let collectors = tier.collectors()?;
        stats.collectors = collectors
            .into_iter()
            .map(|mark| mark.text.holder.to_string())
            .collect();
        Ok(stats)
    }
}
