//! Rows of the remote: sealed segments, and lists of what is in each.
//!
//! A row's key is a digest of all that its value depends on, so that keys of one stage share no beginning. Beside each
//! segment lies a list of the first 8 bytes of its keys (`row_lists`): 8 MB for a million rows, read once, tell which segments
//! hold what a stage lacks, and those are pulled whole.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::key::Digest;
use crate::remote::{Existing, Pulled, RemoteError};

use super::super::error::Doing;
use super::super::index::OnIndex;
use super::super::{Store, StoreError, durable, own, segment};
use super::row_lists::{KEYS, RemoteRows, encode_keys, prefix_of};
use super::{ROWS, Tier};

/// How old the list of segments may be that a missing row is looked for in. Ours.
const LISTED_EVERY: Duration = Duration::from_mins(1);
/// A sealed segment is about this long. Ours.
pub(super) const SEGMENT_BYTES: usize = 8 << 20;
/// The longest that is pulled; one row may have some megabytes.
const MOST_BYTES: u64 = 8 << 30;

impl Store {
    /// Pulls what the remote has of the rows under `keys`; says whether anything came.
    pub(in super::super) fn pull_rows(
        &self,
        bucket: &str,
        keys: &[Digest],
    ) -> Result<bool, StoreError> {
        let Some(tier) = self
            .tier
            .as_ref()
            .filter(|tier| tier.is_running() && tier.is_up())
        else {
            return Ok(false);
        };
        let mut all = tier.rows();
        let rows = all.entry(bucket.to_owned()).or_default();
        if rows
            .listed
            .is_none_or(|listed| listed.elapsed() >= LISTED_EVERY)
        {
            self.list_rows(tier, bucket, rows);
        }
        let mut came = 0;
        for number in rows.holding(keys) {
            came += self.pull_segment(tier, bucket, rows, number)?;
        }
        Ok(came > 0)
    }

    /// Takes in the rows of one segment; says how many were new.
    fn pull_segment(
        &self,
        tier: &Tier,
        bucket: &str,
        rows: &mut RemoteRows,
        number: usize,
    ) -> Result<usize, StoreError> {
        let digest = rows.segments[number];
        let name = segment_name(bucket, &digest);
        let mut copy = durable::temporary(&self.temp_dir())?;
        let path = copy.path().to_owned();
        match tier.bucket.pull(&name, MOST_BYTES, copy.as_file_mut()) {
            Ok(Pulled::Whole) => {}
            Ok(Pulled::Absent | Pulled::TooLong(_)) => {
                rows.pulled.insert(number);
                return Ok(0);
            }
            Err(RemoteError::Sink(error)) => return Err(error).doing("write", &path),
            Err(error) => {
                self.tell_remote(tier, &error, "its rows are made here");
                return Ok(0);
            }
        }
        rows.pulled.insert(number);
        let mut file = copy.reopen().doing("read", &path)?;
        let length = file.metadata().doing("read", &path)?.len();
        if Digest::of_reader(&mut file).doing("read", &path)? != digest {
            self.warn(format!(
                "{name} of {} is damaged; what is not whole in it is made here",
                tier.url
            ));
        }
        // Whatever is damaged in it, each record has a check of its own.
        let scan = segment::scan(&file, bucket, 0, length).doing("read", &path)?;
        let mut found = Vec::with_capacity(scan.records.len());
        for (key, span) in scan.records {
            let row = segment::read(&file, bucket, &key, span).doing("read", &path)?;
            found.extend(row.map(|row| (key, row)));
        }
        self.keep_rows(bucket, &found)
    }

    /// Seals rows that are here in a segment of the remote.
    pub(super) fn seal_rows(
        &self,
        tier: &Tier,
        bucket: &str,
        keys: &[Digest],
    ) -> Result<(), PushFailure> {
        let mut bytes = Vec::new();
        let mut sealed = BTreeSet::new();
        for (key, row) in keys.iter().zip(self.rows_here(bucket, keys)?) {
            // One that was lost meanwhile is made again, and sealed then.
            if let Some(row) = row {
                let offset = bytes.len() as u64;
                segment::encode(&mut bytes, bucket, offset, key, &row);
                sealed.insert(prefix_of(key));
            }
        }
        if bytes.is_empty() {
            return Ok(());
        }
        let digest = Digest::of(&bytes);
        tier.bucket
            .put(&segment_name(bucket, &digest), &bytes, Existing::Stays)?;
        let list = encode_keys(sealed.iter().copied());
        let name = format!("{ROWS}{bucket}/{digest}.{KEYS}");
        tier.bucket.put(&name, &list, Existing::Stays)?;
        tier.note_sealed(bucket, digest);
        let mut all = tier.rows();
        let rows = all.entry(bucket.to_owned()).or_default();
        rows.add(digest, sealed, true);
        Ok(())
    }

    /// Takes in one segment, whose name is known though it may not be listed yet; says whether it is there.
    pub(super) fn take_segment(
        &self,
        tier: &Tier,
        bucket: &str,
        digest: Digest,
    ) -> Result<bool, StoreError> {
        own::check_bucket(bucket)?;
        if tier.bucket.head(&segment_name(bucket, &digest))?.is_none() {
            return Ok(false);
        }
        let mut all = tier.rows();
        let rows = all.entry(bucket.to_owned()).or_default();
        rows.add(digest, [], false);
        let number = rows.segments.iter().position(|known| *known == digest);
        if let Some(number) = number.filter(|number| !rows.pulled.contains(number)) {
            self.pull_segment(tier, bucket, rows, number)?;
        }
        Ok(true)
    }

    /// Pulls every segment of every bucket; says how many rows were new.
    pub(super) fn pull_every_row(&self, tier: &Tier) -> Result<u64, StoreError> {
        let mut came = 0;
        let mut all = tier.rows();
        for bucket in tier.row_buckets()? {
            let rows = all.entry(bucket.clone()).or_default();
            self.list_rows(tier, &bucket, rows);
            for number in 0..rows.segments.len() {
                if !rows.pulled.contains(&number) && !tier.cancel.is_cancelled() {
                    came += self.pull_segment(tier, &bucket, rows, number)? as u64;
                }
            }
        }
        Ok(came)
    }

    /// The keys of the rows here that the remote does not list, by bucket.
    pub(super) fn rows_to_push(
        &self,
        tier: &Tier,
    ) -> Result<BTreeMap<String, Vec<(Digest, u64)>>, StoreError> {
        let here = {
            let inner = self.lock();
            let collect = || {
                inner
                    .connection
                    .prepare(
                        "SELECT bucket, key, length FROM rows ORDER BY bucket, segment, offset",
                    )?
                    .query_map([], |row| {
                        let length = row.get::<_, i64>(2)?.cast_unsigned();
                        let bucket: String = row.get(0)?;
                        Ok((bucket, (Digest::from_bytes(row.get(1)?), length)))
                    })?
                    .collect::<rusqlite::Result<Vec<_>>>()
            };
            collect().on(&self.index_path)?
        };
        let mut by_bucket: BTreeMap<String, Vec<(Digest, u64)>> = BTreeMap::new();
        for (bucket, row) in here {
            by_bucket.entry(bucket).or_default().push(row);
        }
        let mut all = tier.rows();
        for (bucket, keys) in &mut by_bucket {
            let rows = all.entry(bucket.clone()).or_default();
            self.list_rows(tier, bucket, rows);
            keys.retain(|(key, _)| !rows.has(key));
        }
        by_bucket.retain(|_, keys| !keys.is_empty());
        Ok(by_bucket)
    }
}

impl Tier {
    /// The buckets that the remote has rows of.
    fn row_buckets(&self) -> Result<BTreeSet<String>, RemoteError> {
        let bucket = |name: &str| {
            let bucket = name.strip_prefix(ROWS)?.split_once('/')?.0;
            own::check_bucket(bucket).ok()?;
            Some(bucket.to_owned())
        };
        let entries = self.bucket.list(ROWS)?;
        Ok(entries
            .iter()
            .filter_map(|entry| bucket(&entry.name))
            .collect())
    }
}

/// Why something was not pushed.
pub(super) enum PushFailure {
    Remote(RemoteError),
    Here(StoreError),
    /// Somebody has been deleting there for too long.
    Collected(String),
    /// An object is neither here nor there.
    Gone(Digest),
}

impl From<RemoteError> for PushFailure {
    fn from(error: RemoteError) -> Self {
        Self::Remote(error)
    }
}

impl From<StoreError> for PushFailure {
    fn from(error: StoreError) -> Self {
        Self::Here(error)
    }
}

fn segment_name(bucket: &str, digest: &Digest) -> String {
    format!("{ROWS}{bucket}/{digest}.seg")
}
