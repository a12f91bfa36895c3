//! Checking every byte of a store, and mending what was found.
//!
//! What is damaged is set aside, what is lost is out of use, and what the index had lost is taken in again, so that a
//! second look finds nothing. Of a store that may only be read all is told and nothing is mended.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::PoisonError;

use rusqlite::{Connection, TransactionBehavior};

use crate::beneath;
use crate::event::CancelToken;
use crate::key::{Digest, StageKey};

use super::claims::lock_telling;
use super::error::Doing;
use super::index::{self, OnIndex};
use super::own::{Stranger, Survey};
use super::recover::{IndexedSegment, RecordState};
use super::results::INPUTS_CHECKED;
use super::segment::{self, Span};
use super::{OPEN_LOCK, StageResult, Store, StoreError, lock_file, recover};

/// What [`Store::verify`] found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct VerifyReport {
    /// Sound objects.
    pub objects: u64,
    /// Sound rows.
    pub rows: u64,
    /// Sound results.
    pub results: u64,
    /// Outside files whose digests are remembered, and still are theirs.
    pub files: u64,
    /// What was not sound, and is out of use now.
    pub damage: Vec<Damage>,
    /// Results that are out of use now, as something that they need is gone.
    pub losses: Vec<Loss>,
    /// What the index did not know of any more, by segment: how many rows it knows again.
    pub taken_in: BTreeMap<PathBuf, u64>,
    /// What is not the store's, and was left alone.
    pub strangers: Vec<Stranger>,
}

/// One thing that was not sound.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Damage {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub what: String,
}

/// A result that counts no longer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Loss {
    /// Its stage's name in the manifest that first ran it.
    pub stage: String,
    /// Its key.
    pub key: StageKey,
    /// Why.
    pub why: String,
}

impl VerifyReport {
    /// Whether nothing was found that had to be mended.
    pub fn is_sound(&self) -> bool {
        self.damage.is_empty() && self.losses.is_empty() && self.taken_in.is_empty()
    }
}

impl Store {
    /// Reads everything and checks it. What is damaged or lost is taken out of use, so that the next run
    /// makes it again. What opening the store found is told here too. `progress` hears of the bytes read, and of how many
    /// there are in all.
    ///
    /// # Errors
    /// A file or the index cannot be read.
    pub fn verify(&self, progress: &mut dyn FnMut(u64, u64)) -> Result<VerifyReport, StoreError> {
        let mut report = VerifyReport::default();
        self.verify_index()?;
        let survey = Survey::of(&self.root)?;
        let segments = recover::segments(&self.lock().connection).on(&self.index_path)?;
        let total = survey
            .objects
            .iter()
            .map(|object| object.bytes)
            .sum::<u64>()
            + segments.iter().map(|at| at.indexed_bytes).sum::<u64>();
        let (mut sound, mut damaged) = (BTreeSet::new(), BTreeSet::new());
        let mut done = 0;
        for object in &survey.objects {
            if self.recheck_object(&object.digest)? {
                sound.insert(object.digest);
            // One that is there although it was set aside was put by another process since.
            } else if self.read_only().is_some() || !self.has_object(&object.digest) {
                damaged.insert(object.digest);
                report.damage.push(Damage {
                    path: object.path.clone(),
                    what: "its content is not what its name says".into(),
                });
            }
            done += object.bytes;
            progress(done, total);
        }
        report.objects = sound.len() as u64;
        for segment in &segments {
            self.verify_segment(segment, &mut report)?;
            done += segment.indexed_bytes;
            progress(done, total);
        }
        self.verify_placeless_rows(&mut report)?;
        for (path, digest) in self.remembered_files()? {
            // One that cannot be read is no damage of the store's; a run will say so.
            match self.is_still(&path, &digest) {
                Ok(true) => report.files += 1,
                Err(_) => {}
                Ok(false) => {
                    damaged.insert(digest);
                    let what =
                        "its content changed, its size and times did not; its digest is taken anew";
                    let what = what.to_owned();
                    report.damage.push(Damage { path, what });
                }
            }
        }
        self.verify_results(&survey, &sound, &damaged, &mut report)?;
        report.strangers = survey.strangers;
        let mut mended = self.mended.lock().unwrap_or_else(PoisonError::into_inner);
        report.damage.splice(..0, mended.drain(..));
        Ok(report)
    }

    /// Makes an index anew that `SQLite` does not find sound.
    fn verify_index(&self) -> Result<(), StoreError> {
        if self.read_only().is_some() || index::is_sound(&self.lock().connection) {
            return Ok(());
        }
        let _opening = lock_telling(&self.root, OPEN_LOCK, &mut |_| {}, &CancelToken::default())?;
        self.tell_damaged_index();
        self.reopen_index()?;
        self.recover()
    }

    fn verify_segment(
        &self,
        segment: &IndexedSegment,
        report: &mut VerifyReport,
    ) -> Result<(), StoreError> {
        let path = self.bucket_dir(&segment.bucket).join(&segment.name);
        let mut sound: BTreeMap<Span, Digest> = match beneath::open(&self.root, &path) {
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
                sound.remove(&span);
            } else {
                lost += 1;
                // Reading it takes it out of the index, unless it is sound after all.
                self.row(&segment.bucket, &key)?;
            }
        }
        if lost > 0 {
            report.damage.push(Damage {
                path: path.clone(),
                what: format!("{lost} rows do not match their checks; they are made again"),
            });
        }
        let found = self.take_in_all(segment, &sound)?;
        if found > 0 {
            report.rows += found;
            report.taken_in.insert(path, found);
        }
        Ok(())
    }

    /// Takes in sound records that the index does not know; says how many those are.
    fn take_in_all(
        &self,
        segment: &IndexedSegment,
        records: &BTreeMap<Span, Digest>,
    ) -> Result<u64, StoreError> {
        if records.is_empty() {
            return Ok(0);
        }
        let mut inner = self.lock();
        let mut found = 0;
        if self.read_only().is_some() {
            for key in records.values() {
                let known = is_known(&inner.connection, &segment.bucket, key);
                found += u64::from(!known.on(&self.index_path)?);
            }
            return Ok(found);
        }
        let transaction = inner
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .on(&self.index_path)?;
        for (span, key) in records {
            // A late value that nobody marked as such stays so: a rebuilt index might choose it, and it is as sound.
            let record = self.take_in(&transaction, &segment.bucket, segment.id, key, *span)?;
            found += u64::from(record == RecordState::New);
        }
        transaction.commit().on(&self.index_path)?;
        Ok(found)
    }

    /// Rows of which the index says that they are in a segment that it does not know.
    fn verify_placeless_rows(&self, report: &mut VerifyReport) -> Result<(), StoreError> {
        const PLACELESS: &str = "FROM rows WHERE segment NOT IN (SELECT id FROM segments)";
        let inner = self.lock();
        let count: i64 = inner
            .connection
            .query_row(&format!("SELECT count(*) {PLACELESS}"), [], |row| {
                row.get(0)
            })
            .on(&self.index_path)?;
        if count > 0 {
            if self.read_only().is_none() {
                let delete = format!("DELETE {PLACELESS}");
                inner.connection.execute(&delete, []).on(&self.index_path)?;
            }
            report.damage.push(Damage {
                path: self.index_path.clone(),
                what: format!("it places {count} rows where there is nothing; they are made again"),
            });
        }
        Ok(())
    }

    fn verify_results(
        &self,
        survey: &Survey,
        sound: &BTreeSet<Digest>,
        damaged: &BTreeSet<Digest>,
        report: &mut VerifyReport,
    ) -> Result<(), StoreError> {
        let listed: BTreeSet<Digest> = survey.objects.iter().map(|object| object.digest).collect();
        let is_there = |digest: &Digest| {
            // Put since they were listed.
            let is_new = || Ok(self.object_path(digest)?.is_some());
            if listed.contains(digest) {
                Ok(sound.contains(digest))
            } else {
                is_new()
            }
        };
        for key in &survey.results {
            let Some(result) = self.here(key)? else {
                report.damage.push(Damage {
                    path: self.result_path(key),
                    what: "the record does not match its check".into(),
                });
                continue;
            };
            let mut gone: Vec<String> = self
                .missing(&result, &is_there)?
                .into_iter()
                .map(|output| format!("`{}`", output.port))
                .collect();
            // An output that names files, as a model does, is missing once for each of them.
            gone.dedup();
            let why = if !gone.is_empty() {
                format!("its {} is gone", gone.join(", "))
            } else if self.is_doubtful(&result, damaged)? {
                "it was made from what is damaged, by a program that did not check what it read"
                    .into()
            } else {
                report.results += 1;
                continue;
            };
            // Whoever is at this stage puts a result in a moment.
            if self.read_only().is_none() {
                let file = lock_file(&self.root, &format!("locks/{key}"))?;
                if file.try_lock().is_err() {
                    continue;
                }
                self.set_result_aside(key)?;
            }
            report.losses.push(Loss {
                stage: result.stage,
                key: *key,
                why,
            });
        }
        Ok(())
    }

    /// Whether a result may come from damaged bytes: something that its stage read is damaged, and nothing says that it
    /// was checked when it was read.
    fn is_doubtful(
        &self,
        result: &StageResult,
        damaged: &BTreeSet<Digest>,
    ) -> Result<bool, StoreError> {
        if damaged.is_empty() || result.provenance[INPUTS_CHECKED] == true {
            return Ok(false);
        }
        let inputs = result
            .recipe
            .inputs
            .values()
            .chain(result.recipe.files.values());
        let read = self.reachable(inputs.copied())?;
        Ok(!read.is_disjoint(damaged))
    }
}

fn is_known(connection: &Connection, bucket: &str, key: &Digest) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT 1 FROM rows WHERE bucket = ?1 AND key = ?2")?
        .exists((bucket, key.as_bytes()))
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
