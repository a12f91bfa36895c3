//! Rows: what a model made, kept one by one, so that a kill loses little and a change makes only the rest.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;

use crate::key::{Digest, canonical_json};
use crate::model::{Student, WeightFiles};
use crate::stage::{Context, StageError};
use crate::store::{Store, StoreError};

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

/// The parts of a row's key with what ends a text, unless that is the one end that `config.json` names:
/// `generation_config.json`, which names others, is not in a model's identity.
pub(super) fn with_ends(
    mut parts: serde_json::Value,
    student: &Student<WeightFiles>,
) -> serde_json::Value {
    let ends = student.vocabulary.ends();
    if Some(ends) != student.config.eos_token_id.as_ref().map(std::slice::from_ref) {
        parts["ends"] = ends.into();
    }
    parts
}

/// The token that ended a text, as rows keep it: only where it is not the tokenizer's end of text.
pub(super) fn other_end(drawn: Option<u32>, student: &Student<WeightFiles>) -> Option<u32> {
    drawn.filter(|token| *token != student.tokenizer.eos_id())
}

/// Collects rows of one bucket and writes them in batches. The first failure is kept and told by
/// [`RowWriter::finish`], so that it can be used in callbacks that cannot fail.
pub(crate) struct RowWriter<'a> {
    store: &'a Store,
    bucket: &'static str,
    waiting: Vec<(Digest, Vec<u8>)>,
    written: Instant,
    failure: Option<StoreError>,
}

impl<'a> RowWriter<'a> {
    pub(crate) fn new(store: &'a Store, bucket: &'static str) -> Self {
        Self {
            store,
            bucket,
            waiting: Vec::new(),
            written: Instant::now(),
            failure: None,
        }
    }

    pub(crate) fn push(&mut self, key: Digest, value: &impl serde::Serialize) {
        let bytes = serde_json::to_vec(value).expect("rows hold only finite numbers and text");
        self.waiting.push((key, bytes));
        if self.waiting.len() >= BATCH_ROWS || self.written.elapsed() >= LONGEST_WAIT {
            self.write();
        }
    }

    pub(crate) fn failed(&self) -> bool {
        self.failure.is_some()
    }

    fn write(&mut self) {
        if self.failure.is_none()
            && let Err(error) = self.store.put_rows(self.bucket, &self.waiting)
        {
            self.failure = Some(error);
        }
        self.waiting.clear();
        self.written = Instant::now();
    }

    pub(crate) fn finish(mut self) -> Result<(), StoreError> {
        self.write();
        self.failure.map_or(Ok(()), Err)
    }
}

/// The rows of `keys`. Those that the store lacks are made first: `make` is given their places, each
/// key once, and where to put them.
pub(crate) fn cached_rows<T: DeserializeOwned>(
    context: &Context<'_>,
    bucket: &'static str,
    keys: &[Digest],
    make: impl FnOnce(&[usize], &mut RowWriter<'_>) -> Result<(), StageError>,
) -> Result<Vec<T>, StageError> {
    let known = context.store.rows(bucket, keys)?;
    let mut seen = BTreeSet::new();
    let missing: Vec<usize> = (0..keys.len())
        .filter(|&place| known[place].is_none() && seen.insert(keys[place]))
        .collect();
    if !missing.is_empty() {
        let mut rows = RowWriter::new(context.store, bucket);
        let outcome = make(&missing, &mut rows);
        // What was made is kept, and a store that cannot keep it is the reason to tell.
        rows.finish()?;
        outcome?;
    }
    read_rows(context.store, bucket, keys)
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
