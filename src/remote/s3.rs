//! A bucket of an S3 server.

mod parts;
mod request;

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use ureq::http::Response;
use ureq::{Agent, Body};

use super::credentials::Settings;
use super::{Bucket, Entry, Existing, Patience, Pulled, Put, RemoteError, xml};
use crate::event::CancelToken;
use crate::fetch::{client_config, pieces};
use request::{Ask, Failure, header, text_of};

/// Bytes that go in one request; a longer file goes in parts of this size, or of larger ones where those would be
/// more than `MAX_PARTS`. Ours.
const PART_BYTES: u64 = if cfg!(test) { 64 << 10 } else { 16 << 20 };

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

impl S3 {
    pub(super) fn new(
        bucket: &str,
        prefix: &str,
        settings: Settings,
        patience: Patience,
        cancel: CancelToken,
    ) -> Result<Self, RemoteError> {
        let config = client_config(&["AWS_CA_BUNDLE", "SSL_CERT_FILE"]).map_err(|bad| {
            RemoteError::Settings(format!(
                "the certificates in `{}`, which {} names, cannot be used: {}\nhint: name a file of PEM certificates, or unset it to trust Mozilla's",
                bad.path.display(), bad.variable, bad.reason
            ))
        })?;
        let agent = config
            .timeout_resolve(Some(Duration::from_secs(15)))
            .timeout_connect(Some(Duration::from_secs(20).min(patience.silence)))
            .timeout_recv_response(Some(patience.silence))
            .timeout_per_read(Some(patience.silence))
            .accept_encoding("identity")
            .build()
            .new_agent();
        let prefix = match prefix {
            "" => String::new(),
            prefix => format!("{prefix}/"),
        };
        Ok(Self {
            bucket: bucket.to_owned(),
            prefix,
            settings,
            agent,
            patience,
            cancel,
            ahead_ms: AtomicI64::new(0),
            conditional: AtomicBool::new(true),
        })
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
            let total = response
                .body()
                .content_length()
                .map(|rest| rest.saturating_add(received));
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
            if let Some(token) = &next {
                query.push(("continuation-token", token.clone()));
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
                // What was not asked for is not looked at.
                name.starts_with(prefix).then_some(Entry { name, ..entry })
            }));
            if page.next.is_none() {
                return Ok(entries);
            }
            if page.next == next {
                return Err(RemoteError::Unreachable {
                    name: self.called(Some(prefix)),
                    reason: "its list goes round in circles".to_owned(),
                    tries: 1,
                });
            }
            next = page.next;
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
