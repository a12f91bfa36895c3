//! Rows: what a model made, kept one by one, so that a kill loses little and a change makes only the rest.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde_json::json;

use crate::key::{Digest, canonical_json};
use crate::model::{Student, WeightFiles};
use crate::stage::{Context, StageError};
use crate::store::{RowClaim, Store, StoreError};

/// Rows are written when this many wait, or when the first of them has waited so long (ours). The clock
/// decides when, never what.
const BATCH_ROWS: usize = 64;
const LONGEST_WAIT: Duration = Duration::from_millis(500);

/// f32 is what numbers were before there was a choice.
pub(super) const NEUTRAL_DTYPE: &[(&str, &str)] = &[("dtype", "\"f32\"")];

/// The key of a row: the digest of everything that its value depends on.
pub(crate) fn row_key(parts: &serde_json::Value) -> Digest {
    Digest::of(canonical_json(parts).as_bytes())
}

/// Jobs that are scored together: few enough that their claims do not keep other processes waiting for long (ours).
const SCORED_TOGETHER: usize = 128;
/// How often to look whether another process has let go of a row (ours).
const LOOK: Duration = Duration::from_millis(200);

/// What stands for the numerics where a random stream is seeded: the CPU's in f32 as they were when streams began, on every
/// backend and in every format, for ever. So the same draws are made wherever a path is sampled; which arithmetic made
/// it is in its row's key.
pub(super) fn stream_numerics() -> serde_json::Value {
    json!({"dtype": "f32", "backend": "cpu", "engine": 2})
}

/// The parts of a row's key with what ends a text, unless that is the one end that `config.json` names:
/// `generation_config.json`, which names others, is not in a model's identity.
pub(super) fn with_ends(
    mut parts: serde_json::Value,
    student: &Student<WeightFiles>,
) -> serde_json::Value {
    let ends = student.vocabulary.ends();
    if Some(ends)
        != student
            .architecture
            .end_of_text
            .as_ref()
            .map(std::slice::from_ref)
    {
        parts["ends"] = ends.into();
    }
    parts
}

/// The token that ended a text, as rows keep it: only where it is not the tokenizer's end of text.
pub(super) fn other_end(drawn: Option<u32>, student: &Student<WeightFiles>) -> Option<u32> {
    drawn.filter(|token| *token != student.tokenizer.eos_id())
}

/// Rows with their keys, encoded.
type EncodedRows = Vec<(Digest, Vec<u8>)>;

/// Collects rows of one bucket and writes them in batches. The first failure is kept and told by
/// [`RowWriter::finish`], so that it can be used in callbacks that cannot fail.
pub(crate) struct RowWriter<'a> {
    store: &'a Store,
    bucket: &'static str,
    waiting: EncodedRows,
    /// Rows of another bucket that those which wait are found by: they are written before them.
    before: Option<(&'static str, EncodedRows)>,
    /// What is being made by us, and what ends once all that waits is written.
    begun: BTreeMap<Digest, RowClaim>,
    ending: Vec<RowClaim>,
    /// What others are making.
    others: Vec<Digest>,
    written: Instant,
    failure: Option<StoreError>,
}

impl<'a> RowWriter<'a> {
    pub(crate) fn new(store: &'a Store, bucket: &'static str) -> Self {
        Self {
            store,
            bucket,
            waiting: Vec::new(),
            before: None,
            begun: BTreeMap::new(),
            ending: Vec::new(),
            others: Vec::new(),
            written: Instant::now(),
            failure: None,
        }
    }

    /// Claims what is kept under `key`, a row or several, against other threads and processes, until it is written. False
    /// where somebody else is at it.
    pub(crate) fn claim(&mut self, key: &Digest) -> bool {
        match self.store.claim_row(self.bucket, key) {
            Ok(Some(claim)) => {
                self.begun.insert(*key, claim);
                true
            }
            Ok(None) => {
                self.others.push(*key);
                false
            }
            Err(error) => {
                self.failure.get_or_insert(error);
                false
            }
        }
    }

    /// Claims a row that is to be made. False where somebody else is at it, or has made it since it was missed.
    pub(crate) fn begin(&mut self, key: &Digest) -> bool {
        if !self.claim(key) {
            return false;
        }
        match self.store.row(self.bucket, key) {
            Ok(None) => return true,
            Ok(Some(_)) => {}
            Err(error) => _ = self.failure.get_or_insert(error),
        }
        self.begun.remove(key);
        false
    }

    /// The claim on `key` ends, once what was pushed so far is written.
    pub(crate) fn end(&mut self, key: &Digest) {
        self.ending.extend(self.begun.remove(key));
    }

    pub(crate) fn push(&mut self, key: Digest, value: &impl serde::Serialize) {
        self.waiting.push((key, encode(value)));
        self.end(&key);
        if self.waiting.len() >= BATCH_ROWS || self.written.elapsed() >= LONGEST_WAIT {
            self.write();
        }
    }

    /// Adds a row of another bucket, always the same, by which later ones of this are found.
    pub(crate) fn push_before(
        &mut self,
        bucket: &'static str,
        key: Digest,
        value: &impl serde::Serialize,
    ) {
        let before = self.before.get_or_insert_with(|| (bucket, Vec::new()));
        before.1.push((key, encode(value)));
    }

    pub(crate) fn failed(&self) -> bool {
        self.failure.is_some()
    }

    fn write(&mut self) {
        let before = self.before.take();
        let waiting = (self.bucket, std::mem::take(&mut self.waiting));
        for (bucket, rows) in before.into_iter().chain([waiting]) {
            if self.failure.is_none()
                && let Err(error) = self.store.put_rows(bucket, &rows)
            {
                self.failure = Some(error);
            }
        }
        self.ending.clear();
        self.written = Instant::now();
    }

    /// Writes what waits, lets go of all claims, and gives the keys that others were at.
    pub(crate) fn finish(mut self) -> Result<Vec<Digest>, StoreError> {
        self.write();
        self.failure.map_or(Ok(self.others), Err)
    }
}

fn encode(value: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("rows hold only finite numbers and text")
}

/// The rows of `keys`. Those that the store lacks are made first: `make` is given their places, each
/// key once, and where to put them; it makes those that [`RowWriter::begin`] leaves to it, and may be called again for
/// what another process was making and did not finish.
pub(crate) fn cached_rows<T: DeserializeOwned>(
    context: &Context<'_>,
    bucket: &'static str,
    keys: &[Digest],
    mut make: impl FnMut(&[usize], &mut RowWriter<'_>) -> Result<(), StageError>,
) -> Result<Vec<T>, StageError> {
    let mut told = false;
    loop {
        let known = context.store.rows(bucket, keys)?;
        let mut seen = BTreeSet::new();
        let missing: Vec<usize> = (0..keys.len())
            .filter(|&place| known[place].is_none() && seen.insert(keys[place]))
            .collect();
        if missing.is_empty() {
            break;
        }
        let mut rows = RowWriter::new(context.store, bucket);
        let outcome = make(&missing, &mut rows);
        // What was made is kept, and a store that cannot keep it is the reason to tell.
        let others = rows.finish()?;
        outcome?;
        if others.is_empty() {
            break;
        }
        await_others(context, bucket, &others, &mut told)?;
    }
    read_rows(context.store, bucket, keys)
}

/// Does `work` on some of the `missing` places at a time: on those whose rows nobody else makes.
pub(crate) fn in_parts(
    keys: &[Digest],
    missing: &[usize],
    rows: &mut RowWriter<'_>,
    mut work: impl FnMut(&[usize], &mut RowWriter<'_>) -> Result<(), StageError>,
) -> Result<(), StageError> {
    for part in missing.chunks(SCORED_TOGETHER) {
        let mut ours = part.to_vec();
        ours.retain(|&place| rows.begin(&keys[place]));
        if !ours.is_empty() {
            work(&ours, rows)?;
        }
    }
    Ok(())
}

/// Waits until somebody lets go of one of `keys`, and says once for whom.
pub(crate) fn await_others(
    context: &Context<'_>,
    bucket: &str,
    keys: &[Digest],
    told: &mut bool,
) -> Result<(), StageError> {
    loop {
        for key in keys {
            if context.store.claim_row(bucket, key)?.is_some() {
                return Ok(());
            }
        }
        if let (false, Some(first)) = (*told, keys.first()) {
            *told = true;
            let who = context.store.row_holder(bucket, first);
            let rows = keys.len();
            context.report.info(format!(
                "{who} is making {rows} of these {bucket}; waiting for it"
            ));
        }
        if context.cancel.is_cancelled() {
            return Err(StageError::Cancelled);
        }
        std::thread::sleep(LOOK);
    }
}

/// The rows of `keys`, all of which were just made or found.
pub(crate) fn read_rows<T: DeserializeOwned>(
    store: &Store,
    bucket: &str,
    keys: &[Digest],
) -> Result<Vec<T>, StageError> {
    let decode = |bytes: Option<Vec<u8>>| {
        let bytes = bytes.ok_or_else(|| {
            StageError::Invalid(format!(
                "a row of `{bucket}` is gone from the store\nhint: run the same command again; it will be made anew"
            ))
        })?;
        Ok(serde_json::from_slice(&bytes)?)
    };
    store.rows(bucket, keys)?.into_iter().map(decode).collect()
}
