//! The transport to one server: one request over HTTP, and its response without the key.

use std::io::{ErrorKind, Read};
use std::time::{Duration, SystemTime};

use ureq::{Agent, Body};

use super::charset;
use super::limits::seconds;
use super::retry_after::retry_after;
use super::secret::ApiKey;
use super::{Api, Endpoint, EndpointError, EndpointErrorKind};
use crate::event::CancelToken;
use crate::fetch::{BadRoots, client_config};

/// Longest body that is read, unpacked; a batch's output is the longest. Ours.
const BODY_BYTES: u64 = 2 << 30;
/// Longest body that is a score: as much as a program may write for a path. It is kept whole, path by path. Ours.
const SCORE_BYTES: u64 = 64 << 10;
/// How long an answer that is under way is waited for once somebody asked to stop: it may be paid for. Ours.
const PATIENCE: Duration = Duration::from_secs(3);

/// A server's response, whatever its status, with the key taken out.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) retry_after: Option<Duration>,
    pub(super) location: Option<String>,
    pub(super) content_type: String,
    /// Why the body is no text, where it is none; `body` is then what can be shown of it.
    pub(super) no_text: Option<String>,
    pub(super) body: String,
}

impl Response {
    /// Whether it is a stream of events: so it says, or so it begins.
    pub(super) fn is_stream(&self) -> bool {
        let kind = self.content_type.to_lowercase();
        let names = ["text/event-stream", "application/x-ndjson"];
        let heads = ["data:", "event:", ":"];
        names.iter().any(|name| kind.starts_with(name))
            || heads
                .iter()
                .any(|head| self.body.trim_start().starts_with(head))
    }
}

/// Why there is no response.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum TransportError {
    /// It may work next time.
    Passing {
        reason: String,
        /// Whether the server may have answered, and counted it.
        billed: bool,
        /// Whether it was too slow.
        late: bool,
    },
    /// It will not.
    Final(String),
    /// Somebody asked to stop, and it did not come soon.
    Stopped,
}

impl TransportError {
    /// The same in other words.
    fn map_words(self, words: impl FnOnce(String) -> String) -> Self {
        match self {
            Self::Passing {
                reason,
                billed,
                late,
            } => Self::Passing {
                reason: words(reason),
                billed,
                late,
            },
            Self::Final(reason) => Self::Final(words(reason)),
            Self::Stopped => Self::Stopped,
        }
    }
}

/// The transport to one server.
#[derive(Debug)]
pub(super) struct Transport {
    agent: Agent,
    base: String,
    local: bool,
    key: ApiKey,
    key_header: Option<String>,
    /// Longest body, in bytes.
    longest: u64,
    cancel: CancelToken,
}

impl Transport {
    /// A transport to `endpoint`. TLS trusts Mozilla's roots, or those in the file that `SSL_CERT_FILE`
    /// names; proxies come from `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`.
    pub(super) fn new(
        endpoint: &Endpoint,
        key: ApiKey,
        cancel: &CancelToken,
    ) -> Result<Self, EndpointError> {
        let limits = &endpoint.limits;
        let roots = |BadRoots {
                         variable,
                         path,
                         reason,
                     }| EndpointErrorKind::Roots {
            variable,
            path,
            reason,
        };
        // No redirect is followed: a POST would become a GET.
        let config = client_config(&["SSL_CERT_FILE"])
            .map_err(roots)?
            .timeout_resolve(Some(seconds(limits.connect_timeout_s)))
            .timeout_connect(Some(seconds(limits.connect_timeout_s)))
            .timeout_recv_response(Some(seconds(limits.read_timeout_s)))
            .timeout_per_read(Some(seconds(limits.read_timeout_s)))
            .timeout_global(Some(seconds(limits.timeout_s)))
            // As many as threads: ureq keeps few by itself, and the others would be made anew for each request.
            .max_idle_connections(limits.concurrency as usize)
            .max_idle_connections_per_host(limits.concurrency as usize)
            .build();
        Ok(Self {
            agent: Agent::new_with_config(config),
            base: endpoint.base().to_owned(),
            local: endpoint.is_local(),
            key,
            key_header: endpoint.api_key_header.clone(),
            longest: match endpoint.api {
                Api::Score => SCORE_BYTES,
                Api::Chat | Api::Completions | Api::Tokens(_) => BODY_BYTES,
            },
            cancel: cancel.clone(),
        })
    }

    /// Sends `body` to `path` below the base.
    pub(super) fn post(
        &self,
        path: &str,
        content_type: &str,
        body: &[u8],
    ) -> Result<Response, TransportError> {
        let request = self.headers(self.agent.post(self.address(path)));
        let request = request.header("content-type", content_type);
        let body = body.to_vec();
        self.read(move || request.send(&body))
    }

    /// Gets `path` below the base.
    pub(super) fn get(&self, path: &str) -> Result<Response, TransportError> {
        let request = self.headers(self.agent.get(self.address(path)));
        self.read(move || request.call())
    }

    fn address(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    fn headers<T>(&self, mut request: ureq::RequestBuilder<T>) -> ureq::RequestBuilder<T> {
        if self.local {
            // A proxy's loopback is another machine.
            request = request.config().proxy(None).build();
        }
        let (name, scheme) = match &self.key_header {
            Some(name) => (name.as_str(), ""),
            None => ("authorization", "Bearer "),
        };
        match self.key.header(scheme) {
            Some(value) => request.header(name, value),
            None => request,
        }
    }

    /// What comes of a call. A server may say nothing for as long as the timeouts let it.
    fn read(
        &self,
        call: impl FnOnce() -> Result<ureq::http::Response<Body>, ureq::Error> + Send + 'static,
    ) -> Result<Response, TransportError> {
        let longest = self.longest;
        let whole = move || {
            let mut response = call().map_err(|error| transport_error(&error))?;
            let bytes = bytes_of(response.body_mut(), longest)?;
            Ok((response.into_parts().0, bytes))
        };
        let came = self.cancel.patiently(PATIENCE, whole);
        let came = came.unwrap_or(Err(TransportError::Stopped));
        let (head, bytes) =
            came.map_err(|error| error.map_words(|words| self.key.redact(words)))?;
        let headers = &head.headers;
        let text = |name: &str| {
            let value = headers.get(name)?.to_str().ok()?;
            Some(self.key.redact(value.to_owned()))
        };
        let content_type = text("content-type").unwrap_or_default();
        let (body, no_text) = match charset::text(bytes, &content_type) {
            Ok(body) => (body, None),
            Err(none) => {
                let packed = text("content-encoding").map(|name| format!(", packed as `{name}`"));
                (none.shown, Some(none.reason + &packed.unwrap_or_default()))
            }
        };
        Ok(Response {
            status: head.status.as_u16(),
            retry_after: retry_after(headers, SystemTime::now()),
            location: text("location"),
            content_type,
            no_text,
            body: self.key.redact(body),
        })
    }
}

/// Not `read_to_string`: whether the bytes are text, and in which charset, is `charset`'s to say.
fn bytes_of(body: &mut Body, longest: u64) -> Result<Vec<u8>, TransportError> {
    let mut bytes = Vec::new();
    let passing = |reason: String, late| TransportError::Passing {
        reason,
        billed: true,
        late,
    };
    // Bytes as they are unpacked: a small answer may become a large one.
    let reader = body.with_config().limit(u64::MAX).reader();
    match reader.take(longest + 1).read_to_end(&mut bytes) {
        Ok(count) if count as u64 > longest => Err(passing(
            format!("the answer is longer than {} KiB", longest >> 10),
            false,
        )),
        Ok(_) => Ok(bytes),
        Err(error) => Err(passing(
            format!("the answer broke off after {} bytes: {error}", bytes.len()),
            error.kind() == ErrorKind::TimedOut,
        )),
    }
}

fn transport_error(error: &ureq::Error) -> TransportError {
    let passing = |reason: String, billed| TransportError::Passing {
        reason,
        billed,
        late: matches!(error, ureq::Error::Timeout(_)),
    };
    match error {
        ureq::Error::HostNotFound => passing("its name is not known (DNS)".to_owned(), false),
        ureq::Error::ConnectionFailed | ureq::Error::ConnectProxyFailed(_) => {
            passing(error.to_string(), false)
        }
        ureq::Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve) => {
            passing("no connection in time".to_owned(), false)
        }
        ureq::Error::Timeout(_) => passing("no answer in time".to_owned(), true),
        ureq::Error::Io(source) => match source.kind() {
            // A certificate that is not trusted comes so.
            ErrorKind::InvalidData => TransportError::Final(source.to_string()),
            // What never came to a connection cost nothing; one that broke may have.
            ErrorKind::ConnectionRefused
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable
            | ErrorKind::AddrNotAvailable => passing(source.to_string(), false),
            _ if is_lookup(source) => passing("its name is not known (DNS)".to_owned(), false),
            _ => passing(source.to_string(), true),
        },
        ureq::Error::Protocol(_) => passing(error.to_string(), true),
        // A certificate that is not trusted, an impossible proxy: the same next time.
        other => TransportError::Final(other.to_string()),
    }
}

/// Whether a host's name could not be looked up; the standard library has no kind of its own for it.
fn is_lookup(error: &std::io::Error) -> bool {
    error.to_string().contains("failed to lookup address")
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::fetch::tests::server::{Server, reply_bytes};

    /// A score is short, however it is packed; a completion may be long.
    #[test]
    fn a_score_that_is_too_long_is_not_taken_in() {
        let text =
            |letters: usize| format!("{{\"correct\":1,\"reason\":\"{}\"}}", "a".repeat(letters));
        let server = Server::start(move |_, request| {
            let long = if request.path.contains("short") {
                60_000
            } else {
                1 << 20
            };
            let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            packed.write_all(text(long).as_bytes()).unwrap();
            reply_bytes(200, packed.finish().unwrap()).with("content-encoding", "gzip")
        });
        let post = |endpoint: &Endpoint, path: &str| {
            let transport = Transport::new(endpoint, ApiKey::default(), &CancelToken::default());
            transport.unwrap().post(path, "application/json", b"{}")
        };
        let scorer = Endpoint::that_scores(&server.origin);
        assert_eq!(post(&scorer, "/short").unwrap().body, text(60_000));
        let TransportError::Passing { reason, .. } = post(&scorer, "/long").unwrap_err() else {
            panic!("it may be shorter next time");
        };
        assert_eq!(reason, "the answer is longer than 64 KiB");
        let model = Endpoint {
            api: Api::Chat,
            ..scorer
        };
        assert_eq!(
            post(&model, "/long").unwrap().body.len(),
            text(1 << 20).len()
        );
    }
}
