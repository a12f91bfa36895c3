//! Asking a model behind an OpenAI-compatible server, never twice for the same reply.
//!
//! In: an [`Endpoint`] and [`Request`]s. Out: a [`Reply`] for each, from where replies are kept or from
//! the server. A reply is on the disk before it counts; its key is the digest of who is asked and
//! of the whole request, so a killed run asks only for the rest, and another manifest with the same
//! request asks nothing.
//!
//! | part | what it does |
//! |---|---|
//! | `endpoint`, `limits`, `permit` | what a manifest says, and what a user lets it |
//! | `secret`, `spelling`, `transport` | the key, and finding it in what comes back; one request over HTTP |
//! | `request`, `reply`, `scored`, `outcome` | what is asked, what came (a text, or a score), what it means |
//! | `charset`, `lenient`, `message`, `usage` | a body as text, as JSON, as a message, as what it cost |
//! | `pace`, `ledger` | when the next request may go; what was spent |
//! | `client` | what asking needs: where replies are stored, what may be spent, who is told |
//! | `ask`, `online`, `batch`, `provider` | many requests: those that are missing, one by one or as files |

mod ask;
mod batch;
mod charset;
mod client;
mod endpoint;
mod error;
mod ledger;
mod lenient;
mod limits;
mod message;
mod online;
mod outcome;
mod pace;
mod permit;
mod provider;
mod reply;
mod request;
mod retry_after;
mod scored;
mod secret;
mod spelling;
mod transport;
mod usage;

pub(crate) use client::{
    BoxError, Claim, Client, ClientEvent, ClientProgress, EndpointUsage, ReplyStore,
};
pub(crate) use endpoint::{Api, Endpoint, Mode};
pub(crate) use error::{EndpointError, EndpointErrorKind};
pub(crate) use ledger::Spent;
pub(crate) use limits::{Budget, FieldError, Limits, Price, Tokens};
pub(crate) use permit::{NoPermission, Permission, Permissions};
pub(crate) use reply::{Reply, ReplyKind};
pub(crate) use request::{Request, Turn};
pub(crate) use scored::Scored;
pub(crate) use secret::ApiKey;
