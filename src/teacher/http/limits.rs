//! How hard a server is asked, what its tokens cost, and what may be spent.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is wrong with an endpoint: the field, what is wrong, and what to do.
pub(crate) type FieldError = (&'static str, String, &'static str);

/// How hard a server is asked, and when to give up. Every default is ours. Nothing here changes a
/// reply, so nothing here is in a key.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Most requests at a time. Fewer are sent while the server answers 429 or becomes slow. Default
    /// 16.
    #[schemars(range(min = 1, max = 512))]
    pub concurrency: u32,
    /// Most requests a minute, retries included. Default none.
    #[schemars(range(min = 0.001))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<f64>,
    /// Most tokens a minute, estimated before each request: its prompt and the longest reply. Default
    /// none.
    #[schemars(range(min = 1.0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_minute: Option<f64>,
    /// Longest wait for a connection, in seconds. Default 10.
    #[schemars(range(min = 0.001, max = 86_400.0))]
    pub connect_timeout_s: f64,
    /// Longest silence of the server, in seconds; a reply comes as one piece, so this is the longest
    /// time to think. Default 300.
    #[schemars(range(min = 0.001, max = 86_400.0))]
    pub read_timeout_s: f64,
    /// Longest time for one request in all, in seconds. Default 600.
    #[schemars(range(min = 0.001, max = 86_400.0))]
    pub timeout_s: f64,
    /// How often one request is tried before it is set aside; a 429 does not count. Default 10.
    #[schemars(range(min = 1, max = 1000))]
    pub tries: u32,
    /// Longest wait before the second try, in seconds; it doubles with each further one, and the wait
    /// itself is drawn from 0 to it. Default 0.5.
    #[schemars(range(min = 0.0, max = 3600.0))]
    pub backoff_s: f64,
    /// What that longest wait grows to, in seconds. Default 60.
    #[schemars(range(min = 0.0, max = 86_400.0))]
    pub max_backoff_s: f64,
    /// Longest wait that the server may ask for by `Retry-After`, in seconds; the run stops where it
    /// asks for more. Default 300.
    #[schemars(range(min = 0.0, max = 604_800.0))]
    pub max_retry_after_s: f64,
    /// The run stops when nothing but failures came for so long, in seconds (ten times as long where
    /// all of them were 429). Default 60.
    #[schemars(range(min = 0.0, max = 604_800.0))]
    pub give_up_after_s: f64,
    /// `mode = "batch"` only: seconds between two looks at a batch. Default 30.
    #[schemars(range(min = 0.001, max = 86_400.0))]
    pub batch_poll_s: f64,
    /// `mode = "batch"` only: most requests of one batch. Default 50000 (OpenAI's limit).
    #[schemars(range(min = 1))]
    pub batch_requests: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            concurrency: 16,
            requests_per_minute: None,
            tokens_per_minute: None,
            connect_timeout_s: 10.0,
            read_timeout_s: 300.0,
            timeout_s: 600.0,
            tries: 10,
            backoff_s: 0.5,
            max_backoff_s: 60.0,
            max_retry_after_s: 300.0,
            give_up_after_s: 60.0,
            batch_poll_s: 30.0,
            batch_requests: 50_000,
        }
    }
}

impl Limits {
    pub(super) fn field_error(&self) -> Option<FieldError> {
        (self.read_timeout_s > self.timeout_s).then(|| {
            (
                "limits.read_timeout_s",
                format!(
                    "{} s is longer than `timeout_s`, {} s",
                    self.read_timeout_s, self.timeout_s
                ),
                "raise `timeout_s` too",
            )
        })
    }
}

/// A time that is as good as for ever, and can still be added to an instant: a hundred years.
const FOR_EVER: Duration = Duration::from_hours(100 * 365 * 24);

/// Seconds of a manifest, or of a reckoning with its numbers, as a duration.
pub(super) fn seconds(value: f64) -> Duration {
    let known = Duration::try_from_secs_f64(value).unwrap_or(FOR_EVER);
    known.min(FOR_EVER)
}

/// What tokens cost.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// US dollars for a million tokens of prompts.
    #[schemars(range(min = 0.0))]
    pub prompt_usd_per_million: f64,
    /// US dollars for a million tokens of replies.
    #[schemars(range(min = 0.0))]
    pub completion_usd_per_million: f64,
}

impl Price {
    /// What so many tokens cost, in US dollars.
    pub fn usd(&self, tokens: Tokens) -> f64 {
        (tokens.prompt as f64 * self.prompt_usd_per_million
            + tokens.completion as f64 * self.completion_usd_per_million)
            / 1e6
    }
}

/// Tokens of prompts and of replies.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Tokens {
    /// Of prompts.
    pub prompt: u64,
    /// Of replies.
    pub completion: u64,
}

impl Tokens {
    /// All of them.
    pub fn total(self) -> u64 {
        self.prompt.saturating_add(self.completion)
    }
}

/// A sum never wraps: whatever a server says that it counted, a budget that is spent stays spent.
impl std::ops::AddAssign for Tokens {
    fn add_assign(&mut self, more: Self) {
        self.prompt = self.prompt.saturating_add(more.prompt);
        self.completion = self.completion.saturating_add(more.completion);
    }
}

/// What a stage may spend until it is finished, over all runs that it takes. A request that may not fit
/// is not sent; what came is kept, and a larger budget goes on from there. Not in the key.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Budget {
    /// US dollars; needs `endpoint.price`. Default: no limit.
    #[schemars(range(min = 0.0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usd: Option<f64>,
    /// Tokens of prompts and replies together. Default: no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Requests, retries included. Default: no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
}
