//! Who is at work on a remote: leases of runs in flight, and marks of collectors.
//!
//! A run names what it relies on in its lease, and looks for collectors after that; a collector leaves its mark, and
//! reads the leases after that. So of a run and a collector at the same moment at least one sees the other: the collector
//! leaves what it sees named, the run waits for the collector that it sees (or pulls at once what it needs). Times are the
//! bucket's.

use std::collections::BTreeSet;
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};

use crate::key::Digest;
use crate::remote::{Entry, Existing, Holder, Pulled, RemoteError};

use super::{COLLECTING, LEASES, Tier};

/// Time between two heartbeats. Ours.
pub(super) const HEARTBEAT: Duration = Duration::from_mins(1);
/// A lease without a heartbeat for so long is a dead run's. Ours: a network may be gone for a while.
pub(super) const STALE_AFTER: Duration = Duration::from_mins(30);
/// A collector's mark without one for so long is a dead collector's. Ours.
pub(super) const MARK_STALE_AFTER: Duration = Duration::from_mins(10);
const MAX_LEASE_BYTES: u64 = 256 << 20;

/// What a lease, or a mark, says.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct LeaseText {
    #[serde(flatten)]
    pub(super) holder: Holder,
    /// The last heartbeat, in seconds since 1970 by the bucket's clock.
    heartbeat: u64,
    /// What must not go.
    pub(super) objects: BTreeSet<Digest>,
}

impl LeaseText {
    fn encode(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).expect("only texts and numbers")
    }
}

/// This process's lease.
pub(super) struct Lease {
    name: String,
    text: LeaseText,
    beaten: Instant,
}

/// Somebody's lease or mark, as found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Found {
    pub(super) name: String,
    pub(super) text: LeaseText,
    /// Since its last heartbeat.
    pub(super) age: Duration,
    pub(super) is_stale: bool,
}

/// A name that no other process takes.
fn own_name(folder: &str) -> String {
    let bytes: [u8; 16] = rand::random();
    format!("{folder}{}.json", &Digest::of(&bytes).to_string()[..32])
}

impl Tier {
    /// Takes a lease, and finds out whether what is put once stays; says if not.
    pub(super) fn open_lease(&self) -> Result<bool, RemoteError> {
        let lease = Lease {
            name: own_name(LEASES),
            text: LeaseText {
                holder: Holder::this(),
                ..LeaseText::default()
            },
            beaten: Instant::now(),
        };
        let name = lease.name.clone();
        *self.lease() = Some(lease);
        self.beat()?;
        let bytes = match &*self.lease() {
            Some(lease) => lease.text.encode(),
            None => Vec::new(),
        };
        self.bucket.puts_once(&name, &bytes)
    }

    fn lease(&self) -> std::sync::MutexGuard<'_, Option<Lease>> {
        self.lease
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Says that this process lives, and what it relies on. After a long silence a collector may have taken this process
    /// for dead, so nothing that was known of the remote counts any more.
    pub(super) fn beat(&self) -> Result<(), RemoteError> {
        let now = self.bucket.now()?;
        let mut lease = self.lease();
        let Some(lease) = &mut *lease else {
            return Ok(());
        };
        let heartbeat = now.duration_since(SystemTime::UNIX_EPOCH);
        lease.text.heartbeat = heartbeat.unwrap_or_default().as_secs();
        self.bucket
            .put(&lease.name, &lease.text.encode(), Existing::IsReplaced)?;
        if lease.beaten.elapsed() > STALE_AFTER / 2 {
            self.known().objects.clear();
        }
        lease.beaten = Instant::now();
        Ok(())
    }

    /// Names objects that must not go as long as this process lives; on return that is to be read there.
    pub(super) fn name_in_lease(
        &self,
        objects: impl IntoIterator<Item = Digest>,
    ) -> Result<(), RemoteError> {
        let is_new = match &mut *self.lease() {
            Some(lease) => {
                let before = lease.text.objects.len();
                lease.text.objects.extend(objects);
                lease.text.objects.len() > before
            }
            None => false,
        };
        if is_new { self.beat() } else { Ok(()) }
    }

    /// The lease need not name these any more: a record does. That is written with the next heartbeat.
    pub(super) fn unname_in_lease(&self, objects: &BTreeSet<Digest>) {
        if let Some(lease) = &mut *self.lease() {
            lease
                .text
                .objects
                .retain(|object| !objects.contains(object));
        }
    }

    /// Gives the lease back.
    pub(super) fn close_lease(&self) {
        if let Some(lease) = self.lease().take() {
            // Else it grows stale.
            let _ = self.bucket.remove(&lease.name);
        }
    }

    /// Those who are collecting now.
    pub(super) fn collectors(&self) -> Result<Vec<Found>, RemoteError> {
        let mut found = self.found(COLLECTING, MARK_STALE_AFTER)?;
        found.retain(|mark| !mark.is_stale);
        Ok(found)
    }

    /// The leases of all runs, dead ones too.
    pub(super) fn leases(&self) -> Result<Vec<Found>, RemoteError> {
        self.found(LEASES, STALE_AFTER)
    }

    fn found(&self, folder: &str, stale_after: Duration) -> Result<Vec<Found>, RemoteError> {
        let entries = self.bucket.list(folder)?;
        if entries.is_empty() {
            return Ok(Vec::new());
        }
        let now = self.bucket.now()?;
        let mut found = Vec::new();
        for Entry { name, modified, .. } in entries {
            let mut bytes = Vec::new();
            if self.bucket.pull(&name, MAX_LEASE_BYTES, &mut bytes)? != Pulled::Whole {
                continue; // given back since it was listed
            }
            // One that cannot be read names nothing, but somebody is there.
            let text: LeaseText = serde_json::from_slice(&bytes).unwrap_or_default();
            let age = now.duration_since(modified).unwrap_or_default();
            found.push(Found {
                is_stale: age > stale_after || text.holder.has_ended(),
                name,
                text,
                age,
            });
        }
        Ok(found)
    }

    /// Puts, or renews, a collector's mark.
    pub(super) fn mark(&self, name: &str) -> Result<(), RemoteError> {
        let text = LeaseText {
            holder: Holder::this(),
            ..LeaseText::default()
        };
        self.bucket
            .put(name, &text.encode(), Existing::IsReplaced)?;
        Ok(())
    }

    /// The name of a new mark.
    pub(super) fn mark_name() -> String {
        own_name(COLLECTING)
    }
}
