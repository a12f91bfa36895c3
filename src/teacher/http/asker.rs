//! Who asks one endpoint for one stage, and what that takes.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use serde::Serialize;

use super::ledger::Ledger;
use super::line::Line;
use super::{ApiKey, Budget, Endpoint, EndpointError, Mode, Permissions, Reply, Spent, Why};
use crate::event::CancelToken;
use crate::key::Digest;

/// Any error of whoever keeps replies.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// Holds a key until it is dropped.
pub type Claim = Box<dyn Send>;

/// Where replies are kept.
pub trait Keeper: Sync {
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

/// What asking tells on the way.
#[derive(Clone, PartialEq, Debug)]
pub enum News {
    /// How far it has come.
    Progress(Standing),
    /// Good to know.
    Info(String),
    /// To look at.
    Warning(String),
}

/// How far asking has come.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Standing {
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

/// What a stage used, for its provenance.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Account {
    /// Who was asked.
    pub provider: String,
    /// The model that was asked for.
    pub model: String,
    /// The models that answered, as the server says.
    pub served_by: BTreeSet<String>,
    /// Distinct replies that the stage is made of.
    pub replies: usize,
    /// How many of them are no answer, by verdict.
    pub refused: BTreeMap<&'static str, usize>,
    /// What was spent on them, over all runs that it took.
    #[serde(flatten)]
    pub spent: Spent,
    /// Its cost in US dollars, where the price is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usd: Option<f64>,
}

/// Asks one endpoint on behalf of one stage.
pub struct Asker<'a> {
    pub(super) endpoint: &'a Endpoint,
    pub(super) mode: Mode,
    pub(super) folder: &'a Path,
    pub(super) keeper: &'a dyn Keeper,
    pub(super) cancel: &'a CancelToken,
    pub(super) hear: &'a (dyn Fn(News) + Sync),
    permissions: &'a Permissions,
    pub(super) offline: bool,
    ledger: Mutex<Ledger>,
    line: OnceLock<Line>,
    pub(super) account: Mutex<BTreeMap<Digest, (super::ReplyVerdict, Option<String>)>>,
}

impl<'a> Asker<'a> {
    /// Asks `endpoint` in `mode` within `budget`, as far as `permissions` go. `folder` is the stage's, for what is unfinished;
    /// where the network may not be used (`offline`), only a server on this machine is asked.
    ///
    /// # Errors
    /// The journal in `folder` cannot be read or written.
    #[expect(
        clippy::too_many_arguments,
        reason = "each is another thing that a stage has"
    )]
    pub fn new(
        endpoint: &'a Endpoint,
        mode: Mode,
        budget: Budget,
        folder: &'a Path,
        keeper: &'a dyn Keeper,
        cancel: &'a CancelToken,
        permissions: &'a Permissions,
        offline: bool,
        hear: &'a (dyn Fn(News) + Sync),
    ) -> Result<Self, EndpointError> {
        let ledger = Ledger::open(&folder.join("spent.jsonl"), budget, endpoint.price)?;
        Ok(Self {
            endpoint,
            mode,
            folder,
            keeper,
            cancel,
            hear,
            permissions,
            offline,
            ledger: Mutex::new(ledger),
            line: OnceLock::new(),
            account: Mutex::default(),
        })
    }

    /// What was used so far, by the replies that [`Asker::ask`] gave.
    pub fn account(&self) -> Account {
        let account = lock(&self.account);
        let mut refused = BTreeMap::new();
        for (verdict, _) in account.values() {
            if *verdict != super::ReplyVerdict::Answered {
                *refused.entry(verdict.name()).or_default() += 1;
            }
        }
        let ledger = self.ledger();
        Account {
            provider: self.endpoint.provider().to_owned(),
            model: self.endpoint.model.clone(),
            served_by: account
                .values()
                .filter_map(|(_, model)| model.clone())
                .collect(),
            replies: account.len(),
            refused,
            spent: ledger.spent(),
            usd: ledger.usd(),
        }
    }

    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        lock(&self.ledger)
    }

    /// The line, made when it is first needed: what is all kept needs no key.
    pub(super) fn line(&self) -> Result<&Line, EndpointError> {
        if let Some(line) = self.line.get() {
            return Ok(line);
        }
        if let Some(needed) = self.permissions.lacking(self.endpoint) {
            return Err(Why::NotAllowed { needed }.into());
        }
        let key = ApiKey::from_env(self.endpoint.api_key_env.as_deref())?;
        if key.is_set()
            && self.endpoint.base_url.starts_with("http://")
            && !self.endpoint.is_local()
        {
            (self.hear)(News::Warning(
                "the key goes over http without encryption; use https where the server has it"
                    .to_owned(),
            ));
        }
        let line = Line::new(self.endpoint, key, self.cancel)?;
        Ok(self.line.get_or_init(|| line))
    }

    pub(super) fn standing(&self, done: usize, wanted: usize, in_flight: usize) -> Standing {
        let ledger = self.ledger();
        Standing {
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
