//! Why replies could not be had.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why asking stopped, and how far it had come. What came is kept; the same command goes on.
#[derive(Debug)]
pub struct EndpointError {
    /// Why.
    pub kind: Box<EndpointErrorKind>,
    /// Where: the endpoint's address. Empty before anything was asked.
    pub base_url: String,
    /// Replies that are kept, of those wanted; `None` before anything was asked.
    pub kept: Option<(usize, usize)>,
}

/// Why asking stopped.
#[derive(Debug, thiserror::Error)]
pub enum EndpointErrorKind {
    /// Somebody asked to stop.
    #[error("interrupted")]
    Cancelled,
    /// The variable that the manifest names is empty.
    #[error("the environment variable `{variable}`, which is to hold the key, is not set")]
    NoKey {
        /// The variable.
        variable: String,
    },
    /// It holds what cannot be sent.
    #[error(
        "the environment variable `{variable}` holds a text that cannot be a key: blanks, line breaks or letters outside ASCII"
    )]
    BadKey {
        /// The variable.
        variable: String,
    },
    /// The file of trusted roots cannot be used.
    #[error("the certificates in `{}`, which {variable} names, cannot be used: {reason}", path.display())]
    Roots {
        /// The environment variable that names it.
        variable: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The user has not permitted what the manifest asks for.
    #[error("this server is not allowed yet: {}", needed.words())]
    NotAllowed {
        /// What is needed.
        needed: super::Permission,
    },
    /// The network may not be used.
    #[error("replies are missing, and the network may not be used (offline)")]
    Offline,
    /// The server refused the key, or wants one.
    #[error("the server refused the key, or wants one (status {status})")]
    Denied {
        /// 401 or 403.
        status: u16,
    },
    /// There is no money left.
    #[error("the account has nothing left to spend: {says}")]
    Unpaid {
        /// The server's words.
        says: String,
    },
    /// The server has no such model.
    #[error("the server does not have the model: {says}")]
    Model {
        /// The server's words.
        says: String,
        /// The models that it has, nearest first.
        known: Vec<String>,
    },
    /// The server has no such interface.
    #[error("the server has nothing there (status {status}): {says}")]
    NoSuchPath {
        /// 404 or 405.
        status: u16,
        /// The server's words.
        says: String,
    },
    /// The server is somewhere else.
    #[error("the server sends us on to `{to}`, and a key is not sent on")]
    Redirected {
        /// Where.
        to: String,
    },
    /// Answers come as streams of events.
    #[error("the server answers with a stream of events, which nobody asked for")]
    Stream,
    /// The very first requests were refused as wrong.
    #[error("the server refused the request: {0}")]
    Rejected(String),
    /// Some requests were refused as wrong, or failed too often.
    #[error("{count} requests were set aside; the first: {says}")]
    SetAside {
        /// How many.
        count: usize,
        /// What happened to the first.
        says: String,
    },
    /// No request can reach the server, now or later.
    #[error("no request can be sent: {0}")]
    Unreachable(String),
    /// Nothing but failures.
    #[error("the server has not answered for {seconds:.0} seconds; the last failure: {last}")]
    Down {
        /// How long.
        seconds: f64,
        /// The last failure.
        last: String,
    },
    /// The server asks for too long a wait.
    #[error("the server asks to wait {seconds:.0} seconds: {says}")]
    Wait {
        /// How long.
        seconds: f64,
        /// Its words.
        says: String,
    },
    /// The budget is spent.
    #[error("the budget is spent: {spent} of {limit} {field}, and the next request may not fit")]
    Budget {
        /// `usd`, `tokens` or `requests`.
        field: &'static str,
        /// What is spent.
        spent: String,
        /// What may be.
        limit: String,
    },
    /// A batch went wrong at the provider.
    #[error("the batch `{id}` is {status}: {says}")]
    Batch {
        /// Its id.
        id: String,
        /// Its status.
        status: String,
        /// The server's words.
        says: String,
    },
    /// The stage's journal cannot be read or written.
    #[error("the journal of what was spent, `{}`, cannot be used: {source}", path.display())]
    Journal {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Replies cannot be kept.
    #[error("{0}")]
    Keep(#[source] Box<dyn Error + Send + Sync>),
}

impl From<EndpointErrorKind> for EndpointError {
    fn from(kind: EndpointErrorKind) -> Self {
        Self {
            kind: Box::new(kind),
            base_url: String::new(),
            kept: None,
        }
    }
}

impl EndpointErrorKind {
    /// What to do about it.
    fn hint(&self) -> &str {
        match self {
            Self::NoKey { .. } => {
                "set it, or leave `api_key_env` out for a server that wants no key"
            }
            Self::BadKey { .. } => "set it to the key alone",
            Self::Roots { .. } => "name a file of PEM certificates, or unset it to trust Mozilla's",
            Self::NotAllowed { .. } => {
                "if you trust it, add --allow-endpoint, or answer once on a terminal"
            }
            Self::Offline => "run without --offline",
            Self::Denied { .. } => {
                "look at the key in the variable that `api_key_env` names, and at what it may do"
            }
            Self::Unpaid { .. } => "top up the account, and run the same command again",
            Self::Model { known, .. } if known.is_empty() => {
                "set `endpoint.model` to a model that it has"
            }
            Self::Model { .. } => "set `endpoint.model` to one of the models named above",
            Self::NoSuchPath { .. } => {
                "`base_url` of a model usually ends in /v1, and some servers have only one of `api = \"chat\"` and `\"completions\"`; `http.url` of `verify` is the whole address"
            }
            Self::Redirected { .. } => {
                "set `base_url` to the address that it names, if you trust it"
            }
            Self::Stream => {
                "turn streaming off where the server is set up, or say so in each request: `endpoint.extra_body = { stream = false }`"
            }
            Self::Rejected(_) => {
                "a field may be at fault: see `extra_body` and `omit` in `sert-run schema`"
            }
            Self::SetAside { .. } => "run the same command again: only these are asked again",
            Self::Unreachable(_) => {
                "look at `base_url`, the proxy variables, and SSL_CERT_FILE for a certificate of your own"
            }
            Self::Down { .. } | Self::Wait { .. } => {
                "run the same command again once the server answers; it asks only for the rest"
            }
            Self::Budget { .. } => {
                "raise `budget` and run the same command again; it asks only for the rest"
            }
            Self::Batch { .. } => {
                "look at the batch with the provider; the same command sends what is missing in a new one"
            }
            Self::Journal { .. } | Self::Keep(_) => {
                "run the same command again once that is mended"
            }
            Self::Cancelled => "the same command goes on where this one stopped",
        }
    }
}

impl fmt::Display for EndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.base_url.is_empty() {
            write!(f, "{}: ", self.base_url)?;
        }
        // A store's error brings its own hint.
        let text = self.kind.to_string();
        let (text, hint) = text
            .split_once("\nhint: ")
            .unwrap_or((&text, self.kind.hint()));
        f.write_str(text)?;
        if let EndpointErrorKind::Model { known, .. } = &*self.kind
            && !known.is_empty()
        {
            write!(f, "; it has {}", known.join(", "))?;
        }
        if let Some((kept, wanted)) = self.kept {
            write!(f, "; {kept} of {wanted} replies are kept")?;
        }
        write!(f, "\nhint: {hint}")
    }
}

impl Error for EndpointError {}
