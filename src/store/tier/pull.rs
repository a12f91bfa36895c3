//! Pulling: records, and the objects that they name.
//!
//! An object is digested as it comes. One that is not what its name says is set aside nowhere: it is a miss, said, and
//! replaced by whoever makes it again.

use std::collections::BTreeSet;
use std::io::BufWriter;
use std::time::Instant;

use indicatif::HumanBytes;

use crate::key::{Digest, DigestWriter, StageKey};
use crate::remote::Pulled;

use super::super::error::Doing;
use super::super::results::decode;
use super::super::{StageResult, Store, StoreError, durable};
use super::{ABSENT_FOR, Presence, RESULTS, SMALL_BYTES, Tier, key_of, object_name, result_name};

/// The longest record that is read. Ours; a record of a large sweep's report names some thousand outputs.
const MAX_RECORD_BYTES: u64 = 64 << 20;

/// What [`Store::pull_all`] brought.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PullReport {
    /// Results that were not here.
    pub results: u64,
    /// Objects that were not here.
    pub objects: u64,
    /// Rows that were not here.
    pub rows: u64,
    /// Objects that could not be had.
    pub missing: u64,
}

impl Store {
    /// The result under `key` of the remote; kept here as if it had been made here.
    pub(in super::super) fn pull_result(
        &self,
        key: &StageKey,
    ) -> Result<Option<StageResult>, StoreError> {
        let Some(tier) = self.tier.as_ref().filter(|tier| tier.is_up()) else {
            return Ok(None);
        };
        if is_recent(tier.known().absent.get(key)) {
            return Ok(None);
        }
        let name = result_name(key);
        let mut bytes = Vec::new();
        match tier.bucket.pull(&name, MAX_RECORD_BYTES, &mut bytes) {
            Ok(Pulled::Whole) => {}
            Ok(Pulled::Absent | Pulled::TooLong(_)) => {
                tier.known().absent.insert(*key, Instant::now());
                return Ok(None);
            }
            Err(error) => {
                self.tell_remote(tier, &error, "its stage runs if it has to");
                tier.known().absent.insert(*key, Instant::now());
                return Ok(None);
            }
        }
        let record = decode(&bytes).filter(|record| record.result.key == *key);
        let Some(record) = record else {
            self.warn(format!(
                "{name} of {} is damaged: it does not match its check; its stage runs again",
                tier.url
            ));
            let mut known = tier.known();
            known.absent.insert(*key, Instant::now());
            known.doubtful.insert(*key);
            return Ok(None);
        };
        self.keep_result(&record.result)?;
        tier.known().pulled.insert(*key);
        Ok(Some(record.result))
    }

    /// Whether the remote has the object, so that it can be pulled when it is needed. A small one is pulled at once.
    pub(in super::super) fn is_remote_object(&self, digest: &Digest) -> Result<bool, StoreError> {
        let Some(tier) = self.tier.as_ref().filter(|tier| tier.is_up()) else {
            return Ok(false);
        };
        match tier.known().objects.get(digest) {
            Some(Presence::There(_)) => return Ok(true),
            Some(Presence::Damaged) => return Ok(false),
            Some(Presence::Absent(since)) if is_recent(Some(since)) => return Ok(false),
            Some(Presence::Absent(_)) | None => {}
        }
        match self.pull_up_to(tier, digest, SMALL_BYTES)? {
            Pulled::Whole => Ok(true),
            Pulled::Absent => Ok(false),
            Pulled::TooLong(bytes) => self.rely_on(tier, digest, bytes),
        }
    }

    /// Pulls an object that is not here; says whether it is here now.
    pub(in super::super) fn pull_object(&self, digest: &Digest) -> Result<bool, StoreError> {
        let Some(tier) = self.tier.as_ref().filter(|tier| tier.is_up()) else {
            return Ok(false);
        };
        let known = tier.known().objects.get(digest).copied();
        match known {
            Some(Presence::Damaged) => return Ok(false),
            Some(Presence::Absent(since)) if is_recent(Some(&since)) => return Ok(false),
            Some(Presence::There(bytes)) if bytes > SMALL_BYTES => tier.say(&format!(
                "pulling {} from {}: {}",
                object_name(digest),
                tier.url,
                HumanBytes(bytes)
            )),
            _ => {}
        }
        Ok(self.pull_up_to(tier, digest, u64::MAX)? == Pulled::Whole)
    }

    /// Whether a result is a hit by what the remote has: its record came from there, or an output is only there.
    pub fn is_remote_hit(&self, result: &StageKey, outputs: &[Digest]) -> bool {
        let Some(tier) = &self.tier else { return false };
        let known = tier.known();
        let only_there = |digest: &Digest| {
            matches!(known.objects.get(digest), Some(Presence::There(_)))
                && !self.has_object(digest)
        };
        known.pulled.contains(result) || outputs.iter().any(only_there)
    }

    /// Notes that a result counts for nothing as it is, here and there: what is made in its place takes its place there
    /// too.
    pub(in super::super) fn doubt(&self, key: &StageKey) {
        if let Some(tier) = self.tier.as_ref().filter(|tier| tier.is_up()) {
            tier.known().doubtful.insert(*key);
        }
    }

    fn pull_up_to(&self, tier: &Tier, digest: &Digest, most: u64) -> Result<Pulled, StoreError> {
        let name = object_name(digest);
        let copy = durable::temporary(&self.temp_dir())?;
        let target = copy.path().to_owned();
        let mut writer = BufWriter::with_capacity(1 << 20, DigestWriter::new(copy));
        let pulled = match tier.bucket.pull(&name, most, &mut writer) {
            Err(crate::remote::RemoteError::Sink(error)) => {
                return Err(error).doing("write", &target);
            }
            Err(error) => {
                self.tell_remote(tier, &error, "what made it runs again if it is needed");
                Pulled::Absent
            }
            Ok(pulled) => pulled,
        };
        match pulled {
            Pulled::TooLong(_) => return Ok(pulled),
            Pulled::Absent => {
                let absent = Presence::Absent(Instant::now());
                tier.known().objects.insert(*digest, absent);
                return Ok(pulled);
            }
            Pulled::Whole => {}
        }
        let (copy, found) = writer
            .into_inner()
            .map_err(std::io::IntoInnerError::into_error)
            .doing("write", &target)?
            .finish();
        if found != *digest {
            self.warn(format!(
                "{name} of {} is damaged: its digest is {found}; what made it runs again, and takes its place",
                tier.url
            ));
            tier.known().objects.insert(*digest, Presence::Damaged);
            return Ok(Pulled::Absent);
        }
        let bytes = copy.as_file().metadata().doing("read", &target)?.len();
        durable::publish(&self.root, copy, &self.path_of(digest))?;
        let there = Presence::There(bytes);
        tier.known().objects.insert(*digest, there);
        Ok(pulled)
    }

    /// Relies on an object that stays where it is: a collector that looks from now on sees that it is needed, and one
    /// that has looked already is seen here.
    fn rely_on(&self, tier: &Tier, digest: &Digest, bytes: u64) -> Result<bool, StoreError> {
        // Where nothing can be said there, it may go; then it is a miss when it is needed.
        let mut is_there = true;
        if tier.is_running() && tier.may_write() {
            let relied = tier
                .name_in_lease([*digest])
                .and_then(|()| Ok(tier.collectors()?.is_empty()));
            match relied {
                // Looked at again, now that nobody takes it away.
                Ok(true) => match tier.bucket.head(&object_name(digest)) {
                    Ok(entry) => is_there = entry.is_some(),
                    Err(error) => {
                        self.tell_remote(tier, &error, "what made it runs again if it is needed");
                        is_there = false;
                    }
                },
                // Not waited for: what is here nobody collects.
                Ok(false) => return Ok(self.pull_up_to(tier, digest, u64::MAX)? == Pulled::Whole),
                Err(error) => self.tell_remote(tier, &error, "it is pulled when it is needed"),
            }
        }
        let presence = if is_there {
            Presence::There(bytes)
        } else {
            Presence::Absent(Instant::now())
        };
        tier.known().objects.insert(*digest, presence);
        Ok(is_there)
    }

    /// Pulls the results under `keys`, or all that the remote has, with their objects; and all rows, where those are
    /// wanted. `progress` hears how many results there are and how many are done.
    ///
    /// # Errors
    /// There is no remote, it cannot be used, or this store cannot be written to.
    pub fn pull_all(
        &self,
        keys: Option<&BTreeSet<StageKey>>,
        rows: bool,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<PullReport, StoreError> {
        let tier = self.tier()?;
        self.may_write()?;
        let listed;
        let keys = if let Some(keys) = keys {
            keys
        } else {
            let entries = tier.bucket.list(RESULTS)?;
            listed = entries
                .iter()
                .filter_map(|entry| key_of(&entry.name))
                .collect();
            &listed
        };
        let mut report = PullReport::default();
        for (key, done) in keys.iter().zip(0..) {
            progress(done, keys.len() as u64);
            if tier.cancel.is_cancelled() || !tier.is_up() {
                break;
            }
            let here = self.here(key)?;
            report.results += u64::from(here.is_none());
            let Some(result) = here.map_or_else(|| self.pull_result(key), |here| Ok(Some(here)))?
            else {
                report.results -= 1;
                continue;
            };
            let mut open: Vec<Digest> = result.outputs.values().copied().collect();
            let mut seen = BTreeSet::new();
            while let Some(digest) = open.pop() {
                if !seen.insert(digest) {
                    continue;
                }
                if self.object_path(&digest)?.is_none() {
                    if !self.pull_object(&digest)? {
                        report.missing += 1;
                        continue;
                    }
                    report.objects += 1;
                }
                open.extend(self.references(&digest)?.into_iter().flatten());
            }
        }
        progress(keys.len() as u64, keys.len() as u64);
        if rows {
            report.rows = self.pull_every_row(tier)?;
        }
        Ok(report)
    }
}

fn is_recent(since: Option<&Instant>) -> bool {
    since.is_some_and(|since| since.elapsed() < ABSENT_FOR)
}
