//! Counting what a store holds; no contents are read.

use std::collections::BTreeMap;

use rusqlite::Connection;

use super::index::OnIndex;
use super::own::{Leftover, Stranger, Survey};
use super::{Store, StoreError, recover};

/// What a store holds.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct StoreStats {
    /// Objects.
    pub objects: u64,
    /// Their size in bytes.
    pub object_bytes: u64,
    /// Rows, by bucket.
    pub buckets: BTreeMap<String, BucketStats>,
    /// Results of stages.
    pub results: u64,
    /// Work folders of stages.
    pub work_dirs: u64,
    /// Damaged files that were set aside; [`Store::gc`] removes them.
    pub set_aside: u64,
    /// What killed processes left, or what running ones are at; [`Store::collect_leftovers`] removes it.
    pub leftovers: Vec<Leftover>,
    /// What is not the store's.
    pub strangers: Vec<Stranger>,
}

/// What a bucket holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct BucketStats {
    /// Rows.
    pub rows: u64,
    /// Size of its segments in bytes.
    pub bytes: u64,
}

impl Store {
    /// Counts what the store holds; reads no contents.
    ///
    /// # Errors
    /// A folder or the index cannot be read.
    pub fn stats(&self) -> Result<StoreStats, StoreError> {
        let survey = Survey::of(&self.root)?;
        let mut stats = StoreStats {
            objects: survey.objects.len() as u64,
            object_bytes: survey.objects.iter().map(|object| object.bytes).sum(),
            results: survey.results.len() as u64,
            work_dirs: survey.work.len() as u64,
            set_aside: survey.set_aside.len() as u64,
            leftovers: survey.leftovers,
            strangers: survey.strangers,
            ..StoreStats::default()
        };
        let inner = self.lock();
        for segment in recover::segments(&inner.connection).on(&self.index_path)? {
            stats.buckets.entry(segment.bucket).or_default().bytes += segment.indexed_bytes;
        }
        for (bucket, rows) in row_counts(&inner.connection).on(&self.index_path)? {
            stats.buckets.entry(bucket).or_default().rows = rows;
        }
        Ok(stats)
    }
}

fn row_counts(connection: &Connection) -> rusqlite::Result<Vec<(String, u64)>> {
    connection
        .prepare("SELECT bucket, count(*) FROM rows GROUP BY bucket")?
        .query_map([], |row| {
            Ok((row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned()))
        })?
        .collect()
}
