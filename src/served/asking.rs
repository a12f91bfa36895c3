//! Many requests to one server, each answer handed on as it comes.
//!
//! `teacher::http` asks, tries again, waits and counts; it keeps replies in a store. Here that store is a hand: what is kept
//! for good is the row that a stage makes of an answer.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use super::ServedError;
use crate::event::CancelToken;
use crate::key::Digest;
use crate::teacher::http::{
    BoxError, Budget, Claim, Client, ClientEvent, Endpoint, EndpointError, EndpointErrorKind,
    EndpointUsage, Mode, Permissions, Reply, ReplyKind, ReplyStore, Request, Tokens,
};

/// What asking needs, beside the server: who may be asked, who is told, and when to stop.
pub(crate) struct Asking<'a> {
    /// Where the account of what was asked is.
    pub(crate) folder: PathBuf,
    pub(crate) cancel: &'a CancelToken,
    pub(crate) permissions: &'a Permissions,
    pub(crate) offline: bool,
    /// Is told what is to be told: a warning or not.
    pub(crate) tell: Box<dyn Fn(bool, String) + Sync + Send + 'a>,
}

/// One request: its body, and what it may cost.
pub(super) struct Question {
    pub(super) body: Value,
    pub(super) prompt: usize,
    pub(super) most: usize,
}

/// What a reply is taken by: which question it answers, and what came. An error ends the asking.
pub(super) type Take<'t> = dyn FnMut(usize, &Value) -> Result<(), ServedError> + Send + 't;

impl Asking<'_> {
    /// Asks `endpoint` every question, in whatever order; what was used is returned.
    pub(super) fn ask(
        &self,
        endpoint: &Endpoint,
        questions: Vec<Question>,
        take: &mut Take<'_>,
    ) -> Result<EndpointUsage, ServedError> {
        let mut places: BTreeMap<Digest, Vec<usize>> = BTreeMap::new();
        let mut lengths = Vec::with_capacity(questions.len());
        let mut requests = Vec::with_capacity(questions.len());
        for (place, question) in questions.into_iter().enumerate() {
            let tokens = Tokens {
                prompt: question.prompt as u64,
                completion: question.most as u64,
            };
            let request = Request::to_draw(endpoint, question.body, tokens);
            places.entry(request.key).or_default().push(place);
            lengths.push(question.prompt);
            requests.push(request);
        }
        let hand = Hand {
            at: endpoint.base(),
            places,
            lengths,
            taken: Mutex::default(),
            take: Mutex::new(Taking {
                take,
                failure: None,
            }),
        };
        let asked = self.with(endpoint, &hand, |client| {
            client.ask(&requests)?;
            Ok(client.usage())
        });
        let taking = hand
            .take
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        match (taking.failure, asked) {
            (Some(failure), _) => Err(failure),
            (None, asked) => asked,
        }
    }

    /// What the server says of itself, at the first of `paths` that is there.
    pub(super) fn look(&self, endpoint: &Endpoint, paths: &[&str]) -> Result<Value, ServedError> {
        let mut take = |_: usize, _: &Value| Ok(());
        let nobody = Hand {
            at: endpoint.base(),
            places: BTreeMap::new(),
            lengths: Vec::new(),
            taken: Mutex::default(),
            take: Mutex::new(Taking {
                take: &mut take,
                failure: None,
            }),
        };
        self.with(endpoint, &nobody, |client| {
            let mut last = None;
            for path in paths {
                match client.look(path) {
                    Ok(found) => return Ok(found),
                    Err(error) => last = Some(error),
                }
            }
            Err(last.unwrap_or_else(|| EndpointErrorKind::Cancelled.into()))
        })
    }

    /// Lets `work` use a client of the server.
    fn with<T>(
        &self,
        endpoint: &Endpoint,
        hand: &Hand<'_, '_>,
        work: impl FnOnce(&Client<'_>) -> Result<T, EndpointError>,
    ) -> Result<T, ServedError> {
        let on_event = |news| match news {
            ClientEvent::Info(message) => (self.tell)(false, message),
            ClientEvent::Warning(message) => (self.tell)(true, message),
            // Whoever asks counts sequences, not requests.
            ClientEvent::Progress(_) => {}
        };
        let client = Client::new(
            endpoint,
            Mode::Online,
            Budget::default(),
            &self.folder,
            hand,
            self.cancel,
            self.permissions,
            self.offline,
            &on_event,
        )?;
        Ok(work(&client)?)
    }
}

/// Hands replies on, and remembers only that they came.
struct Hand<'t, 'f> {
    at: &'t str,
    places: BTreeMap<Digest, Vec<usize>>,
    lengths: Vec<usize>,
    taken: Mutex<BTreeMap<Digest, Reply>>,
    take: Mutex<Taking<'t, 'f>>,
}

struct Taking<'t, 'f> {
    take: &'t mut Take<'f>,
    failure: Option<ServedError>,
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Hand<'_, '_> {
    /// Hands one reply to each question that it answers.
    fn hand_on(&self, key: &Digest, reply: &Reply) -> Result<(), ServedError> {
        let mut taking = lock(&self.take);
        let body: Value = serde_json::from_str(&reply.content).unwrap_or_default();
        for &place in self.places.get(key).into_iter().flatten() {
            if reply.kind != ReplyKind::Answered {
                return Err(ServedError::TooLong {
                    at: self.at.to_owned(),
                    tokens: self.lengths[place],
                    says: reply.raw.chars().take(200).collect(),
                });
            }
            (taking.take)(place, &body)?;
        }
        Ok(())
    }
}

impl ReplyStore for Hand<'_, '_> {
    fn find(&self, keys: &[Digest]) -> Result<Vec<Option<Reply>>, BoxError> {
        let taken = lock(&self.taken);
        Ok(keys.iter().map(|key| taken.get(key).cloned()).collect())
    }

    fn keep(&self, replies: &[(Digest, Reply)]) -> Result<(), BoxError> {
        for (key, reply) in replies {
            if let Err(failure) = self.hand_on(key, reply) {
                lock(&self.take).failure.get_or_insert(failure);
                return Err("a reply could not be used".into());
            }
            let came = Reply {
                content: String::new(),
                said: String::new(),
                raw: String::new(),
                ..reply.clone()
            };
            lock(&self.taken).insert(*key, came);
        }
        Ok(())
    }

    fn claim(&self, _: &Digest) -> Result<Option<Claim>, BoxError> {
        // Rows are claimed, by those who make them.
        Ok(Some(Box::new(())))
    }
}
