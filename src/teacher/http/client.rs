//! The client that asks one endpoint for one stage, and what it needs for that.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use serde::Serialize;
use serde_json::Value;

use super::ledger::Ledger;
use super::outcome::shortened;
use super::transport::{Transport, TransportError};
use super::{
    ApiKey, Budget, Endpoint, EndpointError, EndpointErrorKind, Mode, Permissions, Reply, Spent,
    lenient,
};
use crate::event::CancelToken;
use crate::key::Digest;

/// Any error of a [`ReplyStore`].
pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// Holds a key until it is dropped.
pub(crate) type Claim = Box<dyn Send>;

/// Where replies are stored.
pub(crate) trait ReplyStore: Sync {
    /// The replies under `keys`, in order, as far as they are kept.
    ///
    /// # Errors
    /// They cannot be read.
    fn find(&self, keys: &[Digest]) -> Result<Vec<Option<Reply>>, BoxError>;

    /// Keeps replies: they are on the disk when this returns. The first value of a key wins.
    ///
    /// # Errors
    /// They cannot be written.
    fn keep(&self, replies: &[(Digest, Reply)]) -> Result<(), BoxError>;

    /// Claims `key`; `None` while another thread or process has that request in flight.
    ///
    /// # Errors
    /// It cannot be told.
    fn claim(&self, key: &Digest) -> Result<Option<Claim>, BoxError>;
}

/// What a client tells while it asks.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum ClientEvent {
    /// How far it has come.
    Progress(ClientProgress),
    /// Good to know.
    Info(String),
    /// To look at.
    Warning(String),
}

/// How far asking has come.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct ClientProgress {
    /// Replies that are kept, of this round's distinct ones.
    pub done: usize,
    /// Distinct replies wanted in this round.
    pub wanted: usize,
    /// Requests in flight.
    pub in_flight: usize,
    /// What was spent, earlier runs included.
    pub spent: Spent,
    /// Its cost in US dollars, where the price is known.
    pub usd: Option<f64>,
}

/// What a stage used of its endpoint, for its provenance.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub(crate) struct EndpointUsage {
    /// Who was asked.
    pub provider: String,
    /// The model that was asked for.
    pub model: String,
    /// The models that answered, as the server says.
    pub served_by: BTreeSet<String>,
    /// Distinct replies that the stage is made of.
    pub replies: usize,
    /// How many of them are no answer, by kind.
    pub refused: BTreeMap<&'static str, usize>,
    /// What was spent on them, over all runs that it took.
    #[serde(flatten)]
    pub spent: Spent,
    /// Its cost in US dollars, where the price is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usd: Option<f64>,
}

/// Asks one endpoint on behalf of one stage.
pub(crate) struct Client<'a> {
    pub(super) endpoint: &'a Endpoint,
    pub(super) mode: Mode,
    pub(super) folder: &'a Path,
    pub(super) store: &'a dyn ReplyStore,
    pub(super) cancel: &'a CancelToken,
    pub(super) on_event: &'a (dyn Fn(ClientEvent) + Sync),
    permissions: &'a Permissions,
    pub(super) offline: bool,
    ledger: Mutex<Ledger>,
    transport: OnceLock<Transport>,
    /// The replies that [`Client::ask`] gave, by key: their kind, and the model that answered.
    pub(super) given: Mutex<BTreeMap<Digest, (super::ReplyKind, Option<String>)>>,
}

impl<'a> Client<'a> {
    /// Asks `endpoint` in `mode` within `budget`, as far as `permissions` go. `folder` is the stage's, for what is unfinished;
    /// where the network may not be used (`offline`), only a server on this machine is asked.
    ///
    /// # Errors
    /// The journal in `folder` cannot be read or written.
    #[expect(
        clippy::too_many_arguments,
        reason = "each is another thing that a stage has"
    )]
    pub(crate) fn new(
        endpoint: &'a Endpoint,
        mode: Mode,
        budget: Budget,
        folder: &'a Path,
        store: &'a dyn ReplyStore,
        cancel: &'a CancelToken,
        permissions: &'a Permissions,
        offline: bool,
        on_event: &'a (dyn Fn(ClientEvent) + Sync),
    ) -> Result<Self, EndpointError> {
        let ledger = Ledger::open(&folder.join("spent.jsonl"), budget, endpoint.price)?;
        Ok(Self {
            endpoint,
            mode,
            folder,
            store,
            cancel,
            on_event,
            permissions,
            offline,
            ledger: Mutex::new(ledger),
            transport: OnceLock::new(),
            given: Mutex::default(),
        })
    }

    /// What was used so far, by the replies that [`Client::ask`] gave.
    pub(crate) fn usage(&self) -> EndpointUsage {
        let given = lock(&self.given);
        let mut refused = BTreeMap::new();
        for (kind, _) in given.values() {
            if *kind != super::ReplyKind::Answered {
                *refused.entry(kind.name()).or_default() += 1;
            }
        }
        let ledger = self.ledger();
        EndpointUsage {
            provider: self.endpoint.provider().to_owned(),
            model: self.endpoint.model.clone(),
            served_by: given
                .values()
                .filter_map(|(_, model)| model.clone())
                .collect(),
            replies: given.len(),
            refused,
            spent: ledger.spent(),
            usd: ledger.usd(),
        }
    }

    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        lock(&self.ledger)
    }

    /// The transport, made when it is first needed: where every reply is stored already, no key is needed.
    pub(super) fn transport(&self) -> Result<&Transport, EndpointError> {
        if let Some(transport) = self.transport.get() {
            return Ok(transport);
        }
        if let Some(needed) = self.permissions.lacking(self.endpoint) {
            return Err(EndpointErrorKind::NotAllowed { needed }.into());
        }
        let key = ApiKey::from_env(self.endpoint.api_key_env.as_deref())?;
        if key.is_set()
            && self.endpoint.base_url.starts_with("http://")
            && !self.endpoint.is_local()
        {
            (self.on_event)(ClientEvent::Warning(
                "the key goes over http without encryption; use https where the server has it"
                    .to_owned(),
            ));
        }
        let transport = Transport::new(self.endpoint, key, self.cancel)?;
        Ok(self.transport.get_or_init(|| transport))
    }

    /// What the server says of itself at `path` below its address, as JSON.
    ///
    /// # Errors
    /// It may not be asked, does not answer, or refuses.
    pub(crate) fn look(&self, path: &str) -> Result<Value, EndpointError> {
        let at = |kind: EndpointErrorKind| EndpointError {
            base_url: self.endpoint.base().to_owned(),
            ..EndpointError::from(kind)
        };
        if self.offline && !self.endpoint.is_local() {
            return Err(at(EndpointErrorKind::Offline));
        }
        let response = match self.transport()?.get(path) {
            Ok(response) => response,
            Err(TransportError::Stopped) => return Err(at(EndpointErrorKind::Cancelled)),
            Err(TransportError::Passing { reason, .. } | TransportError::Final(reason)) => {
                return Err(at(EndpointErrorKind::Unreachable(reason)));
            }
        };
        match response.status {
            200..=299 => Ok(lenient::parse(&response.body).unwrap_or_default()),
            status @ (401 | 403) => Err(at(EndpointErrorKind::Denied { status })),
            status => Err(at(EndpointErrorKind::NoSuchPath {
                status,
                says: shortened(&response.body),
            })),
        }
    }

    pub(super) fn progress(&self, done: usize, wanted: usize, in_flight: usize) -> ClientProgress {
        let ledger = self.ledger();
        ClientProgress {
            done,
            wanted,
            in_flight,
            spent: ledger.spent(),
            usd: ledger.usd(),
        }
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere ends the run anyway; what is guarded here is whole between two calls.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
