//! Removing what is no longer wanted.

use std::collections::BTreeSet;
use std::fs::{self, TryLockError};

use crate::key::{Digest, StageKey};

use super::claims::sign;
use super::error::Doing;
use super::index::OnIndex;
use super::own::{Leftover, Stranger, Survey};
use super::{IN_USE_LOCK, Store, StoreError, durable, recover};
use crate::beneath::{self, Kind};

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
    /// Damaged files that were set aside.
    pub set_aside: u64,
    /// Files and folders that killed processes left.
    pub leftovers: u64,
    /// Their size in bytes.
    pub leftover_bytes: u64,
    /// What is not the store's, and was left alone.
    pub strangers: Vec<Stranger>,
}

impl Store {
    /// Removes the results that are not kept, the objects that no remaining result names, work
    /// folders of finished stages, and debris. Call it when this process runs no stage.
    ///
    /// # Errors
    /// Another process has the store open, or something cannot be removed.
    pub fn gc(&self, options: GcOptions<'_>) -> Result<GcReport, StoreError> {
        self.may_write()?;
        self.alone(|| self.collect(options))?
            .unwrap_or_else(|| Err(StoreError::InUse(self.root.clone())))
    }

    /// Removes what killed processes left in the store, unless another process has it open. Call it when this process
    /// runs no stage.
    ///
    /// # Errors
    /// A folder cannot be read.
    pub fn collect_leftovers(&self) -> Result<Vec<Leftover>, StoreError> {
        if self.read_only().is_some() {
            return Ok(Vec::new());
        }
        // Looked for before others are shut out: most runs find nothing, and then never let go of their lock.
        let mut leftovers = Survey::of_temporaries(&self.root)?.leftovers;
        if leftovers.is_empty() {
            return Ok(leftovers);
        }
        let collected = self.alone(|| {
            // What somebody else of a group left may not be ours to remove.
            leftovers.retain(|each| durable::remove_any(&each.path).is_ok());
        })?;
        Ok(collected.map_or_else(Vec::new, |()| leftovers))
    }

    /// Does `work` while no other process has the store open; not at all where one has.
    fn alone<T>(&self, work: impl FnOnce() -> T) -> Result<Option<T>, StoreError> {
        let path = self.root.join(IN_USE_LOCK);
        let Some(lock) = &self.in_use else {
            return Ok(None);
        };
        // A run puts objects before the result that names them, so there must be no other run.
        // Released first: what a second lock through one handle does depends on the platform.
        lock.unlock().doing("unlock", &path)?;
        let done = match lock.try_lock() {
            Ok(()) => {
                sign(lock);
                Ok(Some(work()))
            }
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error).doing("lock", &path),
        };
        lock.unlock().doing("unlock", &path)?;
        lock.lock_shared().doing("lock", &path)?;
        done
    }

    fn collect(&self, options: GcOptions<'_>) -> Result<GcReport, StoreError> {
        let survey = Survey::of(&self.root)?;
        let mut report = GcReport::default();
        let act = !options.dry_run;
        let finished: BTreeSet<StageKey> = survey.results.iter().copied().collect();
        for (key, _) in &survey.work {
            let abandoned = options.unfinished && !options.keep.contains(key);
            // A kill between a stage's result and its clean-up leaves the folder of a finished stage.
            if finished.contains(key) || abandoned {
                report.work_dirs += 1;
                if act {
                    self.drop_work_dir(key)?;
                }
            }
        }

        // A stage's log goes with it.
        let gone = |key: &StageKey| {
            !options.keep.contains(key) && (finished.contains(key) || options.unfinished)
        };
        for (_, path) in survey.logs.iter().filter(|(key, _)| act && gone(key)) {
            durable::remove_file(path)?;
        }

        let mut roots: Vec<Digest> = Vec::new();
        for key in &finished {
            if options.keep.contains(key) {
                let result = self.here(key)?;
                roots.extend(result.into_iter().flat_map(|it| it.outputs.into_values()));
            } else {
                report.results += 1;
                if act {
                    self.drop_result(key)?;
                }
            }
        }
        // Results go before objects: a kill in between leaves objects too many, not too few.
        let reachable = self.reachable(roots)?;
        for object in survey.objects {
            if !reachable.contains(&object.digest) {
                report.objects += 1;
                report.object_bytes += object.bytes;
                if act {
                    self.evict_object(&object.digest)?;
                }
            }
        }
        report.set_aside = survey.set_aside.len() as u64;
        report.leftovers = survey.leftovers.len() as u64;
        report.leftover_bytes = survey.leftovers.iter().map(|each| each.bytes).sum();
        report.strangers = survey.strangers;
        if act {
            let leftovers = survey.leftovers.into_iter().map(|each| each.path);
            // No other process has the store open, so nobody waits for a lock. Empty and remade at
            // need, they are not worth a count.
            for path in survey
                .set_aside
                .into_iter()
                .chain(leftovers)
                .chain(survey.locks)
            {
                durable::remove_any(&path)?;
            }
        }
        if options.rows {
            self.collect_rows(act, &mut report)?;
        }
        Ok(report)
    }

    fn collect_rows(&self, act: bool, report: &mut GcReport) -> Result<(), StoreError> {
        let stats = self.stats()?;
        report.rows = stats.buckets.values().map(|bucket| bucket.rows).sum();
        report.row_bytes = stats.buckets.values().map(|bucket| bucket.bytes).sum();
        if !act {
            return Ok(());
        }
        let mut inner = self.lock();
        // A writer that went on would append to a file that has no name any more.
        inner.writers.clear();
        inner.readers.clear();
        for segment in recover::segments(&inner.connection).on(&self.index_path)? {
            let path = self.bucket_dir(&segment.bucket).join(&segment.name);
            // The file first: a kill in between leaves an index that knows too much, which is a miss.
            if matches!(beneath::kind(&self.root, &path), Ok(Some(Kind::File))) {
                durable::remove_file(&path)?;
            }
            recover::drop_segment(&mut inner.connection, segment.id).on(&self.index_path)?;
            // Goes only once it is empty; a file of someone else's may lie in it.
            let _ = fs::remove_dir(self.bucket_dir(&segment.bucket));
        }
        Ok(())
    }
}
