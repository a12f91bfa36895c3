//! Asking for many replies: what is kept is taken, what is missing is asked for.

use std::collections::BTreeSet;

use super::client::{Client, lock};
use super::{EndpointError, EndpointErrorKind, Mode, Reply, Request, batch, online};
use crate::key::Digest;

impl Client<'_> {
    /// The replies to `requests`, in order; equal requests are asked once.
    ///
    /// # Errors
    /// Some could not be had; those that came are kept.
    pub(crate) fn ask(&self, requests: &[Request]) -> Result<Vec<Reply>, EndpointError> {
        let keys: Vec<Digest> = requests.iter().map(|request| request.key).collect();
        let distinct: BTreeSet<Digest> = keys.iter().copied().collect();
        let known = self.store.find(&keys).map_err(EndpointErrorKind::Keep)?;
        let mut seen = BTreeSet::new();
        let missing: Vec<&Request> = requests
            .iter()
            .zip(&known)
            .filter(|(request, reply)| reply.is_none() && seen.insert(request.key))
            .map(|(request, _)| request)
            .collect();
        let replies = if missing.is_empty() {
            known
        } else {
            self.get(&missing, distinct.len()).map_err(|error| {
                // How many came is counted where they are kept.
                let kept = self
                    .store
                    .find(&distinct.iter().copied().collect::<Vec<_>>());
                let kept = kept.map(|replies| replies.iter().flatten().count());
                EndpointError {
                    base_url: self.endpoint.base().to_owned(),
                    kept: kept.ok().map(|kept| (kept, distinct.len())),
                    ..error
                }
            })?;
            // Not what just came: where another process was first, its reply is the one that counts.
            self.store.find(&keys).map_err(EndpointErrorKind::Keep)?
        };
        let gone = || {
            EndpointErrorKind::Keep(
                "replies that were just kept are gone\nhint: run the same command again".into(),
            )
        };
        let replies: Vec<Reply> = replies
            .into_iter()
            .collect::<Option<_>>()
            .ok_or_else(gone)?;
        let mut given = lock(&self.given);
        for (key, reply) in keys.iter().zip(&replies) {
            given.insert(*key, (reply.kind, reply.served_by.clone()));
        }
        Ok(replies)
    }

    fn get(&self, missing: &[&Request], wanted: usize) -> Result<(), EndpointError> {
        if self.offline && !self.endpoint.is_local() {
            return Err(EndpointErrorKind::Offline.into());
        }
        if self.cancel.is_cancelled() {
            return Err(EndpointErrorKind::Cancelled.into());
        }
        match self.mode {
            Mode::Online => online::ask(self, missing, wanted),
            Mode::Batch => batch::ask(self, missing, wanted),
        }
    }
}
