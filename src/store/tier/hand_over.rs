//! What machines that work on one run hand each other: inputs before a stage goes out, rows when they come back.

use std::collections::BTreeSet;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use crate::key::{Digest, StageKey};

use super::super::{Store, StoreError};
use super::push::not_shared;
use super::row_lists::Segments;
use super::{Presence, Tier, result_name};

impl Store {
    /// Makes sure that the remote has these objects and all that they name, for another machine to read.
    ///
    /// # Errors
    /// There is no remote, it may only be read, or one of them could not be put there.
    pub fn share(&self, objects: impl IntoIterator<Item = Digest>) -> Result<(), StoreError> {
        let tier = self.writable_tier()?;
        let objects = self.reachable(objects)?;
        let is_there =
            |digest: &Digest| matches!(tier.known().objects.get(digest), Some(Presence::There(_)));
        let lacking: BTreeSet<Digest> = objects
            .into_iter()
            .filter(|digest| !is_there(digest))
            .collect();
        if lacking.is_empty() {
            return Ok(());
        }
        tier.name_in_lease(lacking.iter().copied())?;
        for digest in &lacking {
            self.push_object(tier, digest, false)
                .map_err(|failure| not_shared(tier, digest, failure))?;
        }
        Ok(())
    }

    /// Somebody could not read one of these there, or what they name: those that are here are put there again.
    pub fn distrust(&self, objects: impl IntoIterator<Item = Digest>) {
        let Some(tier) = &self.tier else { return };
        for digest in self.reachable(objects).unwrap_or_default() {
            if self.has_object(&digest) {
                tier.known().objects.insert(digest, Presence::Damaged);
            }
        }
    }

    /// The segments of rows that this process has sealed there.
    pub fn sealed(&self) -> Segments {
        let tier = self.tier.as_ref();
        tier.map_or_else(Segments::new, |tier| tier.sealed().clone())
    }

    /// Puts rows, and seals them there at once; says in which segments.
    #[cfg(test)]
    pub(crate) fn seal_now(&self, bucket: &str, rows: &[(Digest, Vec<u8>)]) -> Segments {
        self.put_rows(bucket, rows).unwrap();
        let keys: Vec<Digest> = rows.iter().map(|(key, _)| *key).collect();
        let tier = self.tier().unwrap();
        std::mem::take(&mut *tier.sealed());
        assert!(self.seal_rows(tier, bucket, &keys).is_ok());
        std::mem::take(&mut *tier.sealed())
    }

    /// Takes in the rows of these segments; says how many segments are not there.
    ///
    /// # Errors
    /// The remote does not answer, or this store cannot be written to.
    pub fn take_segments(&self, segments: &Segments) -> Result<usize, StoreError> {
        let tier = self.tier()?;
        let mut missing = 0;
        for (bucket, digests) in segments {
            for digest in digests {
                missing += usize::from(!self.take_segment(tier, bucket, *digest)?);
            }
        }
        Ok(missing)
    }

    /// Whether the remote has the result under `key`, as far as it answers.
    pub fn is_shared(&self, key: &StageKey) -> bool {
        let tier = self.tier.as_ref();
        tier.is_some_and(|tier| matches!(tier.bucket.head(&result_name(key)), Ok(Some(_))))
    }

    /// How many results and rows the last run could not put there.
    pub fn unpushed(&self) -> u64 {
        let tier = self.tier.as_ref();
        tier.map_or(0, |tier| tier.unpushed.load(Ordering::Relaxed))
    }

    /// Forgets that the remote had no result under `key`: somebody says that it has.
    pub fn look_again(&self, key: &StageKey) {
        if let Some(tier) = &self.tier {
            tier.known().absent.remove(key);
        }
    }
}

impl Tier {
    fn sealed(&self) -> std::sync::MutexGuard<'_, Segments> {
        self.sealed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn note_sealed(&self, bucket: &str, segment: Digest) {
        let mut sealed = self.sealed();
        sealed.entry(bucket.to_owned()).or_default().insert(segment);
    }
}
