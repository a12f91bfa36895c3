//! Results: one immutable record for each finished stage.
//!
//! A record is a JSON file whose first line holds the digest of all lines after it, so that it
//! is checked by its bytes: a float's spelling need not survive parsing.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, TransactionBehavior, params};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::beneath::{self, Foreign, Kind};
use crate::key::{Digest, Recipe, StageKey};

use super::error::Doing;
use super::index::OnIndex;
use super::own::Survey;
use super::{Store, StoreError, durable, own};

/// Marks, in a result's provenance, that all that its stage read was checked against its digests as it was read. Results
/// without the mark are of programs that trusted a file's size and times.
pub(crate) const INPUTS_CHECKED: &str = "inputs_checked";

/// What a finished stage leaves.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct StageResult {
    /// The stage's key.
    pub key: StageKey,
    /// The stage's name in the manifest that first ran it.
    pub stage: String,
    /// What the key is made from.
    pub recipe: Recipe,
    /// The object of each output, by port.
    pub outputs: BTreeMap<String, Digest>,
    /// What does not count for the key: host, times, threads, paths.
    pub provenance: Value,
}

/// An output of a result that is not in the store.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct MissingOutput {
    /// The output's port.
    pub port: String,
    /// The object that is absent or damaged.
    pub digest: Digest,
    /// Whether the output itself is there and only a file that it names is not: evicted
    /// weights, which are needed only by a stage that runs the model.
    pub is_part: bool,
}

/// The file's form: the result, and its place in the order of results.
#[derive(Serialize, Deserialize)]
pub(super) struct StoredResult {
    sequence: i64,
    #[serde(flatten)]
    pub(super) result: StageResult,
}

impl Store {
    /// The result under `key`, whether its outputs are there or not; a damaged record is `None`,
    /// with a warning. What is not here is looked for at the remote.
    ///
    /// # Errors
    /// The record cannot be read for another reason than absence.
    pub fn result(&self, key: &StageKey) -> Result<Option<StageResult>, StoreError> {
        match self.here(key)? {
            Some(result) => Ok(Some(result)),
            None => self.pull_result(key),
        }
    }

    /// The same of this store alone.
    pub(super) fn here(&self, key: &StageKey) -> Result<Option<StageResult>, StoreError> {
        Ok(self.record(key)?.map(|record| record.result))
    }

    /// The outputs of `result` that are absent or damaged (with a warning), and the files that
    /// its outputs name. Empty means a hit. What the remote has is not missing; it is pulled when it is read.
    ///
    /// # Errors
    /// The file system or the index fails.
    pub fn missing_outputs(&self, result: &StageResult) -> Result<Vec<MissingOutput>, StoreError> {
        let missing = self.missing(result, &|digest| {
            Ok(self.object_path(digest)?.is_some() || self.is_remote_object(digest)?)
        })?;
        if !missing.is_empty() {
            self.doubt(&result.key);
        }
        Ok(missing)
    }

    /// The same, where `is_there` knows which objects are sound.
    pub(super) fn missing(
        &self,
        result: &StageResult,
        is_there: &dyn Fn(&Digest) -> Result<bool, StoreError>,
    ) -> Result<Vec<MissingOutput>, StoreError> {
        let mut missing = Vec::new();
        for (port, output) in &result.outputs {
            let (mut open, mut seen) = (vec![*output], BTreeSet::new());
            while let Some(digest) = open.pop() {
                if !seen.insert(digest) {
                    continue;
                }
                let named = if is_there(&digest)? {
                    self.references(&digest)?
                } else {
                    None
                };
                match named {
                    Some(named) => open.extend(named),
                    None => missing.push(MissingOutput {
                        port: port.clone(),
                        digest,
                        is_part: digest != *output,
                    }),
                }
            }
        }
        Ok(missing)
    }

    /// Keeps a result, durable on return; says whether it is new. The first value wins, as long as its outputs are there.
    /// It is pushed to the remote, where there is one.
    ///
    /// # Errors
    /// The disk is full or refuses, or the index is locked.
    pub fn put_result(&self, result: &StageResult) -> Result<bool, StoreError> {
        let is_new = self.keep_result(result)?;
        self.note_result(&result.key);
        Ok(is_new)
    }

    /// The same, and nothing is pushed.
    pub(super) fn keep_result(&self, result: &StageResult) -> Result<bool, StoreError> {
        self.may_write()?;
        // Before the index is locked: to look for the outputs takes that lock too, and may read gigabytes.
        let lost = match self.here(&result.key)? {
            Some(present) if !self.missing_outputs(&present)?.is_empty() => Some(present),
            _ => None,
        };
        let mut inner = self.lock();
        let index = &self.index_path;
        // Immediate: no other process can put the same key, or take the same number, meanwhile.
        let transaction = inner
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .on(index)?;
        // Another process may have put one since.
        if let Some(present) = self.record(&result.key)?
            && Some(&present.result) != lost.as_ref()
        {
            // Its file may have come without the index: a kill between the two, or a copied store.
            insert(&transaction, &present).on(index)?;
            transaction.commit().on(index)?;
            return Ok(false);
        }
        // Or `insert`, which leaves a known key alone, would keep the lost result's place in the order.
        transaction
            .execute(
                "DELETE FROM results WHERE key = ?1",
                [result.key.0.as_bytes()],
            )
            .on(index)?;
        let record = StoredResult {
            sequence: next_sequence(&transaction).on(index)?,
            result: result.clone(),
        };
        let path = self.result_path(&result.key);
        let bytes = encode(&record);
        // The file before the commit: after a kill in between the next opening takes the record in.
        durable::write_new(&self.root, &self.temp_dir(), &path, bytes.as_bytes())?;
        insert(&transaction, &record).on(index)?;
        transaction.commit().on(index)?;
        Ok(true)
    }

    /// The newest result of a stage of this name and kind, to tell which field changed since.
    ///
    /// # Errors
    /// The index or a record cannot be read.
    pub fn latest_result_like(
        &self,
        stage: &str,
        kind: &str,
    ) -> Result<Option<StageResult>, StoreError> {
        let keys = self.result_keys(
            "SELECT key FROM results WHERE stage = ?1 AND kind = ?2 ORDER BY sequence DESC",
            &[stage, kind],
        )?;
        for key in keys {
            if let Some(result) = self.here(&key)? {
                return Ok(Some(result));
            }
        }
        Ok(None)
    }

    /// Every result, oldest first.
    ///
    /// # Errors
    /// The index or a record cannot be read.
    pub fn results(&self) -> Result<Vec<StageResult>, StoreError> {
        let keys = self.result_keys("SELECT key FROM results ORDER BY sequence", &[])?;
        let mut results = Vec::with_capacity(keys.len());
        for key in keys {
            results.extend(self.here(&key)?);
        }
        Ok(results)
    }

    /// Makes the index's list of results that of the files.
    pub(super) fn recover_results(&self, files: &Survey) -> Result<(), StoreError> {
        let known: BTreeSet<StageKey> = self
            .result_keys("SELECT key FROM results", &[])?
            .into_iter()
            .collect();
        let found: BTreeSet<StageKey> = files.results.iter().copied().collect();
        let mut new = Vec::new();
        for key in found.difference(&known) {
            new.extend(self.record(key)?);
        }
        // A rebuilt index has to give the order in which they came: `latest_result_like` goes by it.
        new.sort_by_key(|record| (record.sequence, record.result.key));
        let mut inner = self.lock();
        let transaction = inner
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .on(&self.index_path)?;
        for record in &new {
            insert(&transaction, record).on(&self.index_path)?;
        }
        for key in known.difference(&found) {
            // Looked at again, now that nobody can put it: it may have come since the listing.
            if Kind::of(&self.result_path(key)).ok().flatten() != Some(Kind::File) {
                transaction
                    .execute("DELETE FROM results WHERE key = ?1", [key.0.as_bytes()])
                    .on(&self.index_path)?;
            }
        }
        transaction.commit().on(&self.index_path)
    }

    /// Removes a result; its objects stay.
    pub(super) fn drop_result(&self, key: &StageKey) -> Result<(), StoreError> {
        durable::remove_file(&self.result_path(key))?;
        self.forget_result(key)
    }

    /// Takes a result out of use, but keeps its record for inspection.
    pub(super) fn set_result_aside(&self, key: &StageKey) -> Result<(), StoreError> {
        durable::quarantine(&self.result_path(key))?;
        self.forget_result(key)
    }

    fn forget_result(&self, key: &StageKey) -> Result<(), StoreError> {
        self.lock()
            .connection
            .execute("DELETE FROM results WHERE key = ?1", [key.0.as_bytes()])
            .on(&self.index_path)?;
        Ok(())
    }

    pub(super) fn result_path(&self, key: &StageKey) -> PathBuf {
        let hex = key.to_string();
        self.root
            .join("results-v1")
            .join(&hex[..2])
            .join(format!("{hex}.json"))
    }

    fn record(&self, key: &StageKey) -> Result<Option<StoredResult>, StoreError> {
        let path = self.result_path(key);
        let bytes = match beneath::read(&self.root, &path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) if Foreign::of(&error).is_some() => return Ok(None),
            bytes => bytes.doing("read", &path)?,
        };
        let record = decode(&bytes).filter(|record| record.result.key == *key);
        if record.is_none() {
            self.set_record_aside(&path)?;
        }
        Ok(record)
    }

    /// The sound record of a result in the file at `path`, whatever that is called.
    pub(super) fn read_result(&self, path: &Path) -> Option<StageResult> {
        let bytes = beneath::read(&self.root, path).ok()?;
        let result = decode(&bytes)?.result;
        let name = own::name_of(path);
        name.starts_with(&result.key.to_string()).then_some(result)
    }

    fn set_record_aside(&self, path: &Path) -> Result<(), StoreError> {
        if self.read_only().is_some() {
            self.warn(format!("the result {} is damaged", path.display()));
            return Ok(());
        }
        // Its entry in the index stays: `put_result` comes here with the index locked, and without a file
        // it counts for nothing.
        durable::quarantine(path)?;
        self.warn(format!(
            "the result {} was damaged; it was renamed to *.damaged and its stage runs again",
            path.display()
        ));
        Ok(())
    }

    fn result_keys(&self, query: &str, values: &[&str]) -> Result<Vec<StageKey>, StoreError> {
        let inner = self.lock();
        let collect = || {
            inner
                .connection
                .prepare_cached(query)?
                .query_map(rusqlite::params_from_iter(values), |row| row.get(0))?
                .map(|key| key.map(|key| StageKey(Digest::from_bytes(key))))
                .collect::<rusqlite::Result<Vec<_>>>()
        };
        collect().on(&self.index_path)
    }
}

fn encode(record: &StoredResult) -> String {
    let json = serde_json::to_string_pretty(record).expect("a record holds only JSON values");
    let rest = json.trim_start_matches("{\n").to_owned() + "\n";
    let check = Digest::of(rest.as_bytes());
    format!("{{ \"digest_of_the_lines_below\": \"{check}\",\n{rest}")
}

/// The record as a remote has it: there is no order there.
pub(super) fn encode_shared(result: &StageResult) -> Vec<u8> {
    let record = StoredResult {
        sequence: 0,
        result: result.clone(),
    };
    encode(&record).into_bytes()
}

pub(super) fn decode(bytes: &[u8]) -> Option<StoredResult> {
    let (first, rest) = std::str::from_utf8(bytes).ok()?.split_once('\n')?;
    let check = first.split('"').nth(3)?.parse::<Digest>().ok()?;
    if Digest::of(rest.as_bytes()) != check {
        return None;
    }
    serde_json::from_str(&format!("{{{rest}")).ok()
}

/// Adds a record to the index; where its number is taken (a store merged from two), at the end.
fn insert(connection: &Connection, record: &StoredResult) -> rusqlite::Result<()> {
    let StageResult {
        key, stage, recipe, ..
    } = &record.result;
    let mut add =
        connection.prepare_cached("INSERT OR IGNORE INTO results VALUES (?1, ?2, ?3, ?4)")?;
    let mut add =
        |sequence: i64| add.execute(params![sequence, key.0.as_bytes(), stage, recipe.kind]);
    if add(record.sequence)? == 0 {
        // Also ignored where the key is known already.
        add(next_sequence(connection)?)?;
    }
    Ok(())
}

fn next_sequence(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row(
        "SELECT coalesce(max(sequence), 0) + 1 FROM results",
        [],
        |row| row.get(0),
    )
}
