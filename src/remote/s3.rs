//! A bucket of an S3 server.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use ureq::http::{HeaderMap, Request, Response};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body};

use super::credentials::Settings;
use super::sign::{self, Signable};
use super::{Bucket, Entry, Existing, Patience, Pulled, Put, RemoteError, dates, xml};
use crate::disk;
use crate::event::CancelToken;
use crate::fetch::pieces;

/// Bytes that go in one request; a longer file goes in parts of this size, or of larger ones where those would be
/// more than `MAX_PARTS`. Ours.
const PART_BYTES: u64 = if cfg!(test) { 64 << 10 } else { 16 << 20 };
/// Parts of an upload; a server takes 10,000.
const MAX_PARTS: u64 = 9_000;
/// Longest wait between two tries, and the longest that a server can ask for. Ours.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// Longest list page, error or answer of another kind that is read. Ours.
const ANSWER_BYTES: u64 = 16 << 20;

pub(super) struct S3 {
    bucket: String,
    /// What all names begin with, with its `/`; or empty.
    prefix: String,
    settings: Settings,
    agent: Agent,
    patience: Patience,
    cancel: CancelToken,
    /// The server's clock less ours, in milliseconds, as it last said.
    ahead_ms: AtomicI64,
    /// Whether it heeds `If-None-Match`, as far as is known.
    conditional: AtomicBool,
}

/// One request; its body is in memory, so that it can be sent again.
struct Ask<'a> {
    method: &'static str,
    /// Below the prefix; `None` for the bucket itself.
    name: Option<&'a str>,
    query: Vec<(&'a str, String)>,
    headers: Vec<(&'static str, String)>,
    body: &'a [u8],
}

impl<'a> Ask<'a> {
    fn new(method: &'static str, name: &'a str) -> Self {
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
enum Failure {
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
    pub(super) fn new(
        bucket: &str,
        prefix: &str,
        settings: Settings,
        patience: Patience,
        cancel: CancelToken,
    ) -> Self {
        let mut tls = TlsConfig::builder();
        if let Some(roots) = own_roots() {
            tls = tls.root_certs(RootCerts::new_with_certs(&roots));
        }
        let config = Agent::config_builder()
            .tls_config(tls.build())
            .http_status_as_error(false)
            // What is signed is signed for one host.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_resolve(Some(Duration::from_secs(15)))
            .timeout_connect(Some(Duration::from_secs(20).min(patience.silence)))
            .timeout_recv_response(Some(patience.silence))
            .timeout_per_read(Some(patience.silence))
            .accept_encoding("identity")
            .user_agent(concat!("sert-run/", env!("CARGO_PKG_VERSION")))
            .build();
        let prefix = match prefix {
            "" => String::new(),
            prefix => format!("{prefix}/"),
        };
        Self {
            bucket: bucket.to_owned(),
            prefix,
            settings,
            agent: Agent::new_with_config(config),
            patience,
            cancel,
            ahead_ms: AtomicI64::new(0),
            conditional: AtomicBool::new(true),
        }
    }

    /// How something is called in messages.
    fn called(&self, name: Option<&str>) -> String {
        let name = name.unwrap_or_default();
        format!("s3://{}/{}{name}", self.bucket, self.prefix)
    }

    fn server_time(&self) -> SystemTime {
        let ahead = self.ahead_ms.load(Ordering::Relaxed);
        let by = Duration::from_millis(ahead.unsigned_abs());
        if ahead < 0 {
            SystemTime::now() - by
        } else {
            SystemTime::now() + by
        }
    }

    /// Asks until there is an answer that `read` takes, or patience is at its end.
    fn ask<T>(
        &self,
        ask: &Ask<'_>,
        mut read: impl FnMut(Response<Body>) -> Result<T, Failure>,
    ) -> Result<T, RemoteError> {
        self.patiently(ask.name, |_| read(self.send(ask)?))
    }

    /// Tries `once` again and again, with longer and longer waits; it is told how often it was tried before.
    fn patiently<T>(
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
    fn send(&self, ask: &Ask<'_>) -> Result<Response<Body>, Failure> {
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
            ureq::Error::Io(_)
            | ureq::Error::Timeout(_)
            | ureq::Error::HostNotFound
            | ureq::Error::ConnectionFailed
            | ureq::Error::ConnectProxyFailed(_)
            | ureq::Error::Protocol(_) => Failure::Passing(reason, None),
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

    fn refused(
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
    fn as_refused(&self, name: Option<&str>, response: Response<Body>) -> Failure {
        let status = response.status().as_u16();
        let (code, message) = xml::error(&text_of(response).unwrap_or_default());
        self.refused(name, status, code, message).into()
    }

    /// Puts `ask`, whose body is that of `name`; under the condition that nothing has its name, where that is wanted.
    fn put_once(&self, mut ask: Ask<'_>, existing: Existing) -> Result<Put, RemoteError> {
        let name = ask.name.unwrap_or_default();
        if existing == Existing::Stays && self.conditional.load(Ordering::Relaxed) {
            ask.headers.push(("if-none-match", "*".to_owned()));
            let put = self.ask(&ask, |response| match response.status().as_u16() {
                200..=299 => self.finished(ask.name, response).map(|()| Some(Put::New)),
                412 => Ok(Some(Put::Present)),
                // What it makes of a condition that it does not know.
                400 | 501 => Ok(None),
                _ => Err(self.as_refused(ask.name, response)),
            })?;
            if let Some(put) = put {
                return Ok(put);
            }
            ask.headers.pop();
            // Whether the condition was what it did not take, an answer without it tells.
            let put = self.put_unless_there(&ask, name)?;
            self.conditional.store(false, Ordering::Relaxed);
            return Ok(put);
        }
        match existing {
            Existing::Stays => self.put_unless_there(&ask, name),
            Existing::IsReplaced => self.put_now(&ask),
        }
    }

    fn put_unless_there(&self, ask: &Ask<'_>, name: &str) -> Result<Put, RemoteError> {
        match self.head(name)? {
            Some(_) => Ok(Put::Present),
            None => self.put_now(ask),
        }
    }

    fn put_now(&self, ask: &Ask<'_>) -> Result<Put, RemoteError> {
        self.ask(ask, |response| match response.status().as_u16() {
            200..=299 => self.finished(ask.name, response).map(|()| Put::New),
            _ => Err(self.as_refused(ask.name, response)),
        })
    }

    /// Reads an answer of success to its end: the end of an upload may turn out to be an error after all.
    fn finished(&self, name: Option<&str>, response: Response<Body>) -> Result<(), Failure> {
        let text = text_of(response)?;
        match xml::error(&text) {
            (code, message) if code.is_empty() && message.is_empty() => Ok(()),
            (code, _)
                if ["InternalError", "SlowDown", "ServiceUnavailable"].contains(&code.as_str()) =>
            {
                Err(Failure::Passing(
                    format!("it was answered with {code}"),
                    None,
                ))
            }
            (code, message) => Err(self.refused(name, 200, code, message).into()),
        }
    }

    fn put_parts(
        &self,
        name: &str,
        file: &File,
        bytes: u64,
        existing: Existing,
    ) -> Result<Put, RemoteError> {
        let begin = Ask {
            query: vec![("uploads", String::new())],
            ..Ask::new("POST", name)
        };
        let upload = self.ask(&begin, |response| match response.status().as_u16() {
            200..=299 => {
                let upload = xml::field(&text_of(response)?, "UploadId");
                upload.ok_or_else(|| Failure::Passing("it named no upload".to_owned(), None))
            }
            _ => Err(self.as_refused(Some(name), response)),
        })?;
        let put = self.put_parts_of(name, file, bytes, &upload, existing);
        if !matches!(put, Ok(Put::New)) {
            // Parts that nobody completes are paid for until somebody removes them.
            let abort = Ask {
                query: vec![("uploadId", upload.clone())],
                ..Ask::new("DELETE", name)
            };
            let _ = self.send(&abort);
        }
        put
    }

    fn put_parts_of(
        &self,
        name: &str,
        mut file: &File,
        bytes: u64,
        upload: &str,
        existing: Existing,
    ) -> Result<Put, RemoteError> {
        use std::fmt::Write as _;

        let part_bytes = PART_BYTES.max(bytes.div_ceil(MAX_PARTS));
        let sink = |error| RemoteError::Sink(error);
        file.seek(SeekFrom::Start(0)).map_err(sink)?;
        let mut list = String::from("<CompleteMultipartUpload>");
        let mut buffer = Vec::new();
        for number in 1..=bytes.div_ceil(part_bytes) {
            buffer.clear();
            file.take(part_bytes)
                .read_to_end(&mut buffer)
                .map_err(sink)?;
            let part = Ask {
                query: vec![
                    ("partNumber", number.to_string()),
                    ("uploadId", upload.to_owned()),
                ],
                body: &buffer,
                ..Ask::new("PUT", name)
            };
            let tag = self.ask(&part, |response| match response.status().as_u16() {
                200..=299 => header(response.headers(), "etag")
                    .ok_or_else(|| Failure::Passing("a part has no ETag".to_owned(), None)),
                _ => Err(self.as_refused(Some(name), response)),
            })?;
            let tag = tag.replace('&', "&amp;").replace('<', "&lt;");
            let _ = write!(
                list,
                "<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag></Part>"
            );
        }
        list += "</CompleteMultipartUpload>";
        let complete = Ask {
            query: vec![("uploadId", upload.to_owned())],
            body: list.as_bytes(),
            ..Ask::new("POST", name)
        };
        self.put_once(complete, existing)
    }
}

impl Bucket for S3 {
    fn pull(&self, name: &str, most: u64, out: &mut dyn Write) -> Result<Pulled, RemoteError> {
        let mut received = 0;
        self.patiently(Some(name), |tried| {
            let mut ask = Ask::new("GET", name);
            if received > 0 {
                // What came is kept: whoever names bytes by their content checks the whole.
                ask.headers.push(("range", format!("bytes={received}-")));
            }
            let response = self.send(&ask)?;
            let status = response.status().as_u16();
            match status {
                404 => return Ok(Pulled::Absent),
                200 if received == 0 => {}
                206 if received > 0 => {}
                200 | 206 | 416 => {
                    let reason = "it is not what it was a moment ago".to_owned();
                    return Err(RemoteError::Unreachable {
                        name: self.called(Some(name)),
                        reason,
                        tries: *tried + 1,
                    }
                    .into());
                }
                _ => return Err(self.as_refused(Some(name), response)),
            }
            let total = response.body().content_length().map(|rest| received + rest);
            if let Some(total) = total.filter(|&total| total > most) {
                return Ok(Pulled::TooLong(total));
            }
            let pieces = pieces(response.into_body().into_reader());
            loop {
                let piece = self.cancel.receive(&pieces, Duration::ZERO);
                let Ok(piece) = piece.ok_or(RemoteError::Cancelled)? else {
                    break;
                };
                let piece = piece.map_err(|error| {
                    Failure::Passing(
                        format!("it broke off after {received} bytes: {error}"),
                        None,
                    )
                })?;
                out.write_all(&piece).map_err(RemoteError::Sink)?;
                received += piece.len() as u64;
                // A slow server that goes on is no server that does not answer.
                *tried = 0;
                if received > most {
                    return Ok(Pulled::TooLong(received));
                }
            }
            match total {
                Some(total) if total != received => Err(Failure::Passing(
                    format!("it broke off after {received} of {total} bytes"),
                    None,
                )),
                _ => Ok(Pulled::Whole),
            }
        })
    }

    fn head(&self, name: &str) -> Result<Option<Entry>, RemoteError> {
        self.ask(&Ask::new("HEAD", name), |response| {
            let headers = response.headers();
            match response.status().as_u16() {
                404 => Ok(None),
                200..=299 => Ok(Some(Entry {
                    name: name.to_owned(),
                    bytes: header(headers, "content-length")
                        .and_then(|text| text.parse().ok())
                        .unwrap_or_default(),
                    modified: header(headers, "last-modified")
                        .and_then(|text| httpdate::parse_http_date(&text).ok())
                        .unwrap_or_else(|| self.server_time()),
                })),
                _ => Err(self.as_refused(Some(name), response)),
            }
        })
    }

    fn put(&self, name: &str, bytes: &[u8], existing: Existing) -> Result<Put, RemoteError> {
        let ask = Ask {
            body: bytes,
            ..Ask::new("PUT", name)
        };
        self.put_once(ask, existing)
    }

    fn put_file(
        &self,
        name: &str,
        mut file: &File,
        bytes: u64,
        existing: Existing,
    ) -> Result<Put, RemoteError> {
        if bytes > PART_BYTES {
            return self.put_parts(name, file, bytes, existing);
        }
        let mut buffer = Vec::new();
        file.seek(SeekFrom::Start(0))
            .and_then(|_| file.read_to_end(&mut buffer))
            .map_err(RemoteError::Sink)?;
        self.put(name, &buffer, existing)
    }

    fn list(&self, prefix: &str) -> Result<Vec<Entry>, RemoteError> {
        let (mut entries, mut next) = (Vec::new(), None::<String>);
        loop {
            let mut query = vec![
                ("list-type", "2".to_owned()),
                ("prefix", format!("{}{prefix}", self.prefix)),
            ];
            if let Some(token) = next.take() {
                query.push(("continuation-token", token));
            }
            let ask = Ask {
                method: "GET",
                name: None,
                query,
                headers: Vec::new(),
                body: &[],
            };
            let page = self.ask(&ask, |response| match response.status().as_u16() {
                200..=299 => xml::page(&text_of(response)?)
                    .ok_or_else(|| Failure::Passing("its list cannot be read".to_owned(), None)),
                _ => Err(self.as_refused(None, response)),
            })?;
            entries.extend(page.entries.into_iter().filter_map(|entry| {
                let name = entry.name.strip_prefix(&self.prefix)?.to_owned();
                Some(Entry { name, ..entry })
            }));
            next = page.next;
            if next.is_none() {
                return Ok(entries);
            }
        }
    }

    fn remove(&self, name: &str) -> Result<(), RemoteError> {
        self.ask(&Ask::new("DELETE", name), |response| {
            match response.status().as_u16() {
                200..=299 | 404 => Ok(()),
                _ => Err(self.as_refused(Some(name), response)),
            }
        })
    }

    fn now(&self) -> Result<SystemTime, RemoteError> {
        Ok(self.server_time())
    }

    fn puts_once(&self, present: &str, bytes: &[u8]) -> Result<bool, RemoteError> {
        if self.conditional.load(Ordering::Relaxed) {
            let put = self.put(present, bytes, Existing::Stays)?;
            // Put again all the same: it does not know the condition, and does not say so.
            if put == Put::New {
                self.conditional.store(false, Ordering::Relaxed);
            }
        }
        Ok(self.conditional.load(Ordering::Relaxed))
    }
}

/// The certificates in the file that `AWS_CA_BUNDLE` or `SSL_CERT_FILE` names, where there is one.
fn own_roots() -> Option<Vec<Certificate<'static>>> {
    let path = ["AWS_CA_BUNDLE", "SSL_CERT_FILE"]
        .iter()
        .find_map(|name| std::env::var_os(name).filter(|path| !path.is_empty()))?;
    let pem = disk::read_small(path.as_ref()).ok()?;
    let roots: Vec<Certificate<'static>> = parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    (!roots.is_empty()).then_some(roots)
}

fn text_of(response: Response<Body>) -> Result<String, Failure> {
    response
        .into_body()
        .into_with_config()
        .limit(ANSWER_BYTES)
        .lossy_utf8(true)
        .read_to_string()
        .map_err(|error| Failure::Passing(format!("its answer broke off: {error}"), None))
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.to_owned())
}
