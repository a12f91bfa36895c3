//! Counting what a store holds, and checking every byte of it.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;

use rusqlite::Connection;

use crate::key::Digest;

use super::error::Doing;
use super::index::OnIndex;
use super::recover::IndexedSegment;
use super::segment::{self, Span};
use super::{Store, StoreError, durable, recover};

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
}

/// What a bucket holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct BucketStats {
    /// Rows.
    pub rows: u64,
    /// Size of its segments in bytes.
    pub bytes: u64,
}

/// What [`Store::verify`] found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct VerifyReport {
    /// Sound objects.
    pub objects: u64,
    /// Sound rows.
    pub rows: u64,
    /// Sound results.
    pub results: u64,
    /// Results with an output that is absent, for example evicted weights; no damage by itself.
    pub results_without_outputs: u64,
    /// What was not sound, and is out of use now.
    pub damage: Vec<Damage>,
}

/// One thing that was not sound.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Damage {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub what: String,
}

impl Store {
    /// Counts what the store holds; reads no contents.
    ///
    /// # Errors
    /// A folder or the index cannot be read.
    pub fn stats(&self) -> Result<StoreStats, StoreError> {
        let list = self.list_objects()?;
        let mut stats = StoreStats {
            objects: list.objects.len() as u64,
            object_bytes: list.objects.iter().map(|(_, _, bytes)| bytes).sum(),
            results: self.list_results()?.len() as u64,
            work_dirs: durable::list(&self.root.join("work"))?.len() as u64,
            set_aside: self.list_set_aside()?.len() as u64,
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

    /// Reads everything and checks it. What is damaged is taken out of use, so that the next run
    /// makes it again. `progress` hears of the bytes read, and of how many there are in all.
    ///
    /// # Errors
    /// A file or the index cannot be read.
    pub fn verify(&self, progress: &mut dyn FnMut(u64, u64)) -> Result<VerifyReport, StoreError> {
        let list = self.list_objects()?;
        let segments = recover::segments(&self.lock().connection).on(&self.index_path)?;
        let total = list.objects.iter().map(|(_, _, bytes)| bytes).sum::<u64>()
            + segments.iter().map(|at| at.indexed_bytes).sum::<u64>();
        let mut report = VerifyReport::default();
        let mut done = 0;
        for (digest, path, bytes) in list.objects {
            let found = File::open(&path).and_then(|mut file| Digest::of_reader(&mut file));
            if found.is_ok_and(|found| found == digest) {
                report.objects += 1;
            } else if path.exists() {
                self.set_object_aside(&digest)?;
                report.damage.push(Damage {
                    path,
                    what: "its content is not what its name says".into(),
                });
            }
            done += bytes;
            progress(done, total);
        }
        for segment in segments {
            self.verify_segment(&segment, &mut report)?;
            done += segment.indexed_bytes;
            progress(done, total);
        }
        for key in self.list_results()? {
            if let Some(result) = self.result(&key)? {
                report.results += 1;
                let whole = self.missing_outputs(&result)?.is_empty();
                report.results_without_outputs += u64::from(!whole);
            } else {
                report.damage.push(Damage {
                    path: self.result_path(&key),
                    what: "the record does not match its check".into(),
                });
            }
        }
        Ok(report)
    }

    fn verify_segment(
        &self,
        segment: &IndexedSegment,
        report: &mut VerifyReport,
    ) -> Result<(), StoreError> {
        let path = self.bucket_dir(&segment.bucket).join(&segment.name);
        let sound: BTreeMap<Span, Digest> = match File::open(&path) {
            Ok(file) => segment::scan(&file, &segment.bucket, 0, segment.indexed_bytes)
                .doing("read", &path)?
                .records
                .into_iter()
                .map(|(key, span)| (span, key))
                .collect(),
            Err(_) => BTreeMap::new(),
        };
        let indexed = {
            let inner = self.lock();
            entries(&inner.connection, segment).on(&self.index_path)?
        };
        let mut lost = 0;
        for (key, span) in indexed {
            if sound.get(&span) == Some(&key) {
                report.rows += 1;
            } else {
                lost += 1;
                // Reading it takes it out of the index, unless it is sound after all.
                self.row(&segment.bucket, &key)?;
            }
        }
        if lost > 0 {
            report.damage.push(Damage {
                path,
                what: format!("{lost} rows do not match their checks"),
            });
        }
        Ok(())
    }

    /// Every `*.damaged` file.
    pub(super) fn list_set_aside(&self) -> Result<Vec<PathBuf>, StoreError> {
        let mut folders = durable::list(&self.root.join("objects-v1"))?;
        folders.extend(durable::list(&self.root.join("results-v1"))?);
        folders.push(self.root.clone());
        let mut found = Vec::new();
        for folder in folders {
            let is_damaged = |path: &PathBuf| path.extension().is_some_and(|end| end == "damaged");
            found.extend(durable::list(&folder)?.into_iter().filter(is_damaged));
        }
        Ok(found)
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

/// The rows that the index has within the verified part of a segment.
fn entries(
    connection: &Connection,
    segment: &IndexedSegment,
) -> rusqlite::Result<Vec<(Digest, Span)>> {
    connection
        .prepare(
            "SELECT key, offset, length FROM rows WHERE segment = ?1 AND offset < ?2 ORDER BY offset",
        )?
        .query_map((segment.id, segment.indexed_bytes.cast_signed()), |row| {
            Ok((
                Digest::from_bytes(row.get(0)?),
                Span {
                    offset: row.get::<_, i64>(1)?.cast_unsigned(),
                    length: row.get::<_, i64>(2)?.cast_unsigned(),
                },
            ))
        })?
        .collect()
}
