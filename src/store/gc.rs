//! Removing what is no longer wanted.

use std::collections::BTreeSet;
use std::fs::{self, TryLockError};

use crate::key::{Digest, StageKey};

use super::error::Doing;
use super::index::OnIndex;
use super::{Store, StoreError, durable, recover};

/// What to keep.
#[derive(Clone, Copy, Debug)]
pub struct GcOptions<'k> {
    /// The results to keep, with every object that they name. All others go.
    pub keep: &'k BTreeSet<StageKey>,
    /// Whether to remove all rows too (sampled paths, replies, ...); they are costly to make.
    pub rows: bool,
    /// Whether to remove checkpoints of stages that are neither finished nor in `keep`.
    pub unfinished: bool,
    /// Whether to count only.
    pub dry_run: bool,
}

/// What was removed, or would be.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct GcReport {
    /// Results.
    pub results: u64,
    /// Objects.
    pub objects: u64,
    /// Their size in bytes.
    pub object_bytes: u64,
    /// Rows.
    pub rows: u64,
    /// Size of their segments in bytes.
    pub row_bytes: u64,
    /// Work folders.
    pub work_dirs: u64,
    /// Files and folders left by killed processes, and damaged files that were set aside.
    pub debris: u64,
}

impl Store {
    /// Removes the results that are not kept, the objects that no remaining result names, work
    /// folders of finished stages, and debris. Call it when this process runs no stage.
    ///
    /// # Errors
    /// Another process has the store open, or something cannot be removed.
    pub fn gc(&self, options: GcOptions<'_>) -> Result<GcReport, StoreError> {
        let lock = self.root.join("in-use.lock");
        // A run puts objects before the result that names them, so there must be no other run.
        // Released first: what a second lock through one handle does depends on the platform.
        self.in_use.unlock().doing("unlock", &lock)?;
        let collected = match self.in_use.try_lock() {
            Ok(()) => self.collect(options),
            Err(TryLockError::WouldBlock) => Err(StoreError::InUse(self.root.clone())),
            Err(TryLockError::Error(error)) => Err(error).doing("lock", &lock),
        };
        self.in_use.unlock().doing("unlock", &lock)?;
        self.in_use.lock_shared().doing("lock", &lock)?;
        collected
    }

    fn collect(&self, options: GcOptions<'_>) -> Result<GcReport, StoreError> {
        let mut report = GcReport::default();
        let act = !options.dry_run;
        let finished: BTreeSet<StageKey> = self.list_results()?.into_iter().collect();
        self.collect_work(&options, &finished, &mut report)?;

        let mut roots: Vec<Digest> = Vec::new();
        for key in &finished {
            if options.keep.contains(key) {
                let result = self.result(key)?;
                roots.extend(result.into_iter().flat_map(|it| it.outputs.into_values()));
            } else {
                report.results += 1;
                if act {
                    self.drop_result(key)?;
                }
            }
        }
        // Results go before objects: a kill in between leaves objects too many, not too few.
        let reachable = self.reachable(roots);
        let list = self.list_objects()?;
        for (digest, _, bytes) in list.objects {
            if !reachable.contains(&digest) {
                report.objects += 1;
                report.object_bytes += bytes;
                if act {
                    self.evict_object(&digest)?;
                }
            }
        }
        let mut debris = durable::list(&self.temp_dir())?;
        debris.extend(self.list_set_aside()?);
        for path in debris {
            report.debris += 1;
            if act {
                durable::remove_any(&path)?;
            }
        }
        // No other process has the store open, so nobody waits for a stage. Empty and remade at
        // need, they are not worth a count.
        for path in durable::list(&self.root.join("locks"))? {
            if act {
                durable::remove_file(&path)?;
            }
        }
        if options.rows {
            self.collect_rows(act, &mut report)?;
        }
        Ok(report)
    }

    fn collect_work(
        &self,
        options: &GcOptions<'_>,
        finished: &BTreeSet<StageKey>,
        report: &mut GcReport,
    ) -> Result<(), StoreError> {
        for folder in durable::list(&self.root.join("work"))? {
            let Ok(key) = durable::name_of(&folder).parse().map(StageKey) else {
                continue; // not ours
            };
            let abandoned = options.unfinished && !options.keep.contains(&key);
            if finished.contains(&key) || abandoned {
                report.work_dirs += 1;
                if !options.dry_run {
                    self.drop_work_dir(&key)?;
                }
            }
        }
        Ok(())
    }

    fn collect_rows(&self, act: bool, report: &mut GcReport) -> Result<(), StoreError> {
        let stats = self.stats()?;
        report.rows = stats.buckets.values().map(|bucket| bucket.rows).sum();
        report.row_bytes = stats.buckets.values().map(|bucket| bucket.bytes).sum();
        if !act {
            return Ok(());
        }
        let mut inner = self.lock();
        inner.writers.clear();
        inner.readers.clear();
        for segment in recover::segments(&inner.connection).on(&self.index_path)? {
            let path = self.bucket_dir(&segment.bucket).join(&segment.name);
            // The file first: a kill in between leaves an index that knows too much, which is a miss.
            durable::remove_file(&path)?;
            recover::drop_segment(&mut inner.connection, segment.id).on(&self.index_path)?;
            // Goes only once it is empty; a file of someone else's may lie in it.
            let _ = fs::remove_dir(self.bucket_dir(&segment.bucket));
        }
        Ok(())
    }
}
