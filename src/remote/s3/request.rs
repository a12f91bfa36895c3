//! One request to an S3 server: signed, sent, tried again while that may help.

use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use ureq::Body;
use ureq::http::{HeaderMap, Request, Response};

use super::S3;
use crate::fetch::may_pass;
use crate::remote::sign::{self, Signable};
use crate::remote::{RemoteError, dates, xml};

/// Longest wait between two tries, and the longest that a server can ask for. Ours.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// Longest list page, error or answer of another kind that is read. Ours.
const ANSWER_BYTES: u64 = 16 << 20;

/// One request; its body is in memory, so that it can be sent again.
pub(super) struct Ask<'a> {
    pub(super) method: &'static str,
    /// Below the prefix; `None` for the bucket itself.
    pub(super) name: Option<&'a str>,
    pub(super) query: Vec<(&'a str, String)>,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: &'a [u8],
}

impl<'a> Ask<'a> {
    pub(super) fn new(method: &'static str, name: &'a str) -> Self {
        Self {
            method,
            name: Some(name),
            query: Vec::new(),
            headers: Vec::new(),
            body: &[],
        }
    }
}

/// Why a try failed.
pub(super) enum Failure {
    Final(RemoteError),
    /// Perhaps not the next time; the wait is what the server asked for.
    Passing(String, Option<Duration>),
}

impl From<RemoteError> for Failure {
    fn from(error: RemoteError) -> Self {
        Self::Final(error)
    }
}

impl S3 {
    /// Asks until there is an answer that `read` takes, or patience is at its end.
    pub(super) fn ask<T>(
        &self,
        ask: &Ask<'_>,
        mut read: impl FnMut(Response<Body>) -> Result<T, Failure>,
    ) -> Result<T, RemoteError> {
        self.patiently(ask.name, |_| read(self.send(ask)?))
    }

    /// Tries `once` again and again, with longer and longer waits; it is told how often it was tried before.
    pub(super) fn patiently<T>(
        &self,
        name: Option<&str>,
        mut once: impl FnMut(&mut u32) -> Result<T, Failure>,
    ) -> Result<T, RemoteError> {
        let (mut tried, mut wait) = (0, self.patience.wait);
        loop {
            let (reason, asked) = match once(&mut tried) {
                Ok(done) => return Ok(done),
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Passing(reason, asked)) => (reason, asked),
            };
            tried += 1;
            if self.cancel.is_cancelled() {
                return Err(RemoteError::Cancelled);
            }
            if tried >= self.patience.tries {
                return Err(RemoteError::Unreachable {
                    name: self.called(name),
                    reason,
                    tries: tried,
                });
            }
            // Not all machines at the same moment.
            let wait_now = wait.mul_f64(rand::random_range(0.5..1.0));
            self.cancel
                .sleep(asked.unwrap_or(wait_now).min(LONGEST_WAIT));
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    /// One try. An answer that says that it may work later is a failure; any other is an answer.
    pub(super) fn send(&self, ask: &Ask<'_>) -> Result<Response<Body>, Failure> {
        let request = self.request(ask)?;
        let agent = self.agent.clone();
        // A server may say nothing for long.
        let sent = self
            .cancel
            .patiently(Duration::ZERO, move || agent.run(request));
        let sent = sent.ok_or(RemoteError::Cancelled)?;
        let response = sent.map_err(|error| self.no_answer(ask, &error))?;
        self.look_at_clock(response.headers());
        let status = response.status().as_u16();
        if !matches!(status, 403 | 408 | 409 | 429 | 500 | 502..=599) {
            return Ok(response);
        }
        let asked = header(response.headers(), "retry-after")
            .and_then(|text| text.trim().parse().ok())
            .map(Duration::from_secs);
        let (code, message) = if ask.method == "HEAD" {
            (String::new(), String::new())
        } else {
            xml::error(&text_of(response).unwrap_or_default())
        };
        match (status, code.as_str()) {
            // The next try is signed by the server's own clock.
            (403, "RequestTimeTooSkewed") | (408 | 429 | 500 | 502..=599, _) => Err(
                Failure::Passing(format!("it was answered with status {status}"), asked),
            ),
            // Somebody else is putting the same name at this moment.
            (409, "ConditionalRequestConflict" | "OperationAborted") => Err(Failure::Passing(
                "somebody else puts it too".to_owned(),
                asked,
            )),
            _ => Err(self.refused(ask.name, status, code, message).into()),
        }
    }

    fn request(&self, ask: &Ask<'_>) -> Result<Request<Vec<u8>>, RemoteError> {
        let settings = &self.settings;
        let (scheme, host) = settings.origin.split_once("://").unwrap_or_default();
        let host = if settings.path_style {
            host.to_owned()
        } else {
            format!("{}.{host}", self.bucket)
        };
        let mut path = String::from("/");
        if settings.path_style {
            path += &self.bucket;
            if ask.name.is_some() {
                path.push('/');
            }
        }
        if let Some(name) = ask.name {
            let full = format!("{}{name}", self.prefix);
            let parts: Vec<String> = full.split('/').map(sign::encoded).collect();
            path += &parts.join("/");
        }
        let query = sign::query_text(&ask.query);
        let (at, body) = (dates::compact(self.server_time()), sign::sha256(ask.body));
        let mut headers = ask.headers.clone();
        headers.push(("host", host.clone()));
        headers.push(("x-amz-date", at.clone()));
        headers.push(("x-amz-content-sha256", body.clone()));
        let credentials = settings.credentials();
        if let Some(token) = credentials.as_ref().and_then(|each| each.token()) {
            headers.push(("x-amz-security-token", token.to_owned()));
        }
        let authorization = credentials.map(|credentials| {
            let signable = Signable {
                method: ask.method,
                path: &path,
                query: &ask.query,
                headers: &headers,
                body: &body,
                at: &at,
                region: &settings.region,
            };
            sign::authorization(&signable, &credentials)
        });
        let question = if query.is_empty() { "" } else { "?" };
        let address = format!("{scheme}://{host}{path}{question}{query}");
        let mut request = Request::builder().method(ask.method).uri(address);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        let bad =
            |_| RemoteError::Settings(format!("{} cannot be asked for", self.called(ask.name)));
        let request = request.body(ask.body.to_vec()).map_err(bad)?;
        let is_loopback = ["127.0.0.1", "localhost", "[::1]"]
            .iter()
            .any(|local| host == *local || host.starts_with(&format!("{local}:")));
        Ok(if is_loopback {
            // A proxy's loopback is another machine.
            self.agent.configure_request(request).proxy(None).build()
        } else {
            request
        })
    }

    fn no_answer(&self, ask: &Ask<'_>, error: &ureq::Error) -> Failure {
        let reason = match error {
            ureq::Error::HostNotFound => {
                "the server's name is not known (DNS)\nhint: AWS_ENDPOINT_URL names a server that is not Amazon's".to_owned()
            }
            other => other.to_string(),
        };
        match error {
            error if may_pass(error) => Failure::Passing(reason, None),
            // Its words may quote an address.
            ureq::Error::BadUri(_) => RemoteError::Settings(format!(
                "{} cannot be asked for: AWS_ENDPOINT_URL is no address of a server",
                self.called(ask.name)
            ))
            .into(),
            _ => RemoteError::Unreachable {
                name: self.called(ask.name),
                reason,
                tries: 1,
            }
            .into(),
        }
    }

    fn look_at_clock(&self, headers: &HeaderMap) {
        let date = header(headers, "date").and_then(|text| httpdate::parse_http_date(&text).ok());
        let Some(theirs) = date else { return };
        let ours = SystemTime::now();
        let ms = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        let ahead = match theirs.duration_since(ours) {
            Ok(ahead) => ms(ahead),
            Err(behind) => -ms(behind.duration()),
        };
        // A header has whole seconds, and took a moment to come.
        let ahead = if ahead.abs() < 2_000 { 0 } else { ahead };
        self.ahead_ms.store(ahead, Ordering::Relaxed);
    }

    pub(super) fn refused(
        &self,
        name: Option<&str>,
        status: u16,
        code: String,
        message: String,
    ) -> RemoteError {
        RemoteError::Refused {
            name: self.called(name),
            status,
            code,
            message,
            signed: self.settings.credentials().is_some(),
        }
    }

    /// The error that an answer is.
    pub(super) fn as_refused(&self, name: Option<&str>, response: Response<Body>) -> Failure {
        let status = response.status().as_u16();
        let (code, message) = xml::error(&text_of(response).unwrap_or_default());
        self.refused(name, status, code, message).into()
    }
}

pub(super) fn text_of(response: Response<Body>) -> Result<String, Failure> {
    response
        .into_body()
        .into_with_config()
        .limit(ANSWER_BYTES)
        .lossy_utf8(true)
        .read_to_string()
        .map_err(|error| Failure::Passing(format!("its answer broke off: {error}"), None))
}

pub(super) fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.to_owned())
}
