//! One download over HTTP: redirects, tries, resumption, checksum.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::Duration;

use ureq::http::{HeaderMap, Response, Uri};
use ureq::{Agent, Body};

use super::http::{BadRoots, client_config, may_pass};
use super::record::{self, Downloaded, beside, folder_of, sha256_of};
use super::token::Token;
use super::{Ears, FetchError, OnProgress, PinnedFile};
use crate::beneath;
use crate::event::Progress;

/// Tries per file, the first included. Ours.
const TRIES: u32 = 3;
/// Redirects per try. Ours; the Hub uses one or two.
const MAX_REDIRECTS: u32 = 8;
/// Longest wait between tries that a server can ask for by `Retry-After`. Ours.
const MAX_RETRY_AFTER_S: u64 = 30;
/// Pieces of a body that are read before they are written. Ours.
const PIECES_AHEAD: usize = 16;
/// Bytes between two reports of progress. Ours.
const REPORT_EVERY_BYTES: u64 = 1 << 20;

/// How a try failed: for good, or perhaps not.
enum Failure {
    Final(FetchError),
    Passing(FetchError, Option<Duration>),
}

impl From<FetchError> for Failure {
    fn from(error: FetchError) -> Self {
        Self::Final(error)
    }
}

/// An HTTP client with our timeouts.
#[derive(Debug)]
pub(super) struct Client {
    /// Told when something is asked for: whoever has all files needs no network.
    agent: Result<Agent, BadRoots>,
    token: Token,
    /// Wait before the second try; four times that before the third.
    pub(super) backoff: Duration,
}

impl Client {
    pub(super) fn new(token: Token) -> Self {
        // Redirects are followed here, so that each hop's headers are seen and the token stays with its host.
        let agent = client_config(&["SSL_CERT_FILE"]).map(|config| {
            config
                .timeout_resolve(Some(Duration::from_secs(15)))
                .timeout_connect(Some(Duration::from_secs(20)))
                .timeout_recv_response(Some(Duration::from_mins(1)))
                .timeout_per_read(Some(Duration::from_mins(1)))
                // A checksum is over the file's bytes, not over a compressed transfer's.
                .accept_encoding("identity")
                .build()
                .new_agent()
        });
        Self {
            agent,
            token,
            backoff: Duration::from_millis(500),
        }
    }

    /// Brings `from` to `path`: streamed into `path.part`, checked, renamed.
    pub(super) fn download(
        &self,
        from: &str,
        file: &PinnedFile,
        path: &Path,
        ears: &Ears<'_>,
    ) -> Result<Downloaded, FetchError> {
        let mut wait = self.backoff;
        let mut tried = 1;
        loop {
            match self.attempt(from, file, path, tried, ears) {
                Ok(done) => return Ok(done),
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Passing(..)) if ears.cancel.is_cancelled() => {
                    let url = from.to_owned();
                    return Err(FetchError::Cancelled { url, received: 0 });
                }
                Err(Failure::Passing(error, _)) if tried == TRIES => return Err(error),
                Err(Failure::Passing(_, asked)) => {
                    ears.cancel.sleep(asked.unwrap_or(wait));
                    wait *= 4;
                    tried += 1;
                }
            }
        }
    }

    fn attempt(
        &self,
        from: &str,
        file: &PinnedFile,
        path: &Path,
        tried: u32,
        ears: &Ears<'_>,
    ) -> Result<Downloaded, Failure> {
        let part = beside(path, ".part");
        let part_etag = beside(path, ".part.etag");
        // A part is only worth something if it is known to be of the same file.
        let etag_before = beneath::read(folder_of(path), &part_etag).ok();
        let etag_before = etag_before.and_then(|bytes| String::from_utf8(bytes).ok());
        let etag_before = etag_before.filter(|tag| !tag.is_empty());
        let have = match fs::symlink_metadata(&part) {
            Ok(metadata) if etag_before.is_some() => metadata.len(),
            _ => 0,
        };
        let resume = etag_before
            .as_deref()
            .filter(|_| have > 0)
            .map(|etag| (have, etag));
        let stopped = |received| {
            let url = from.to_owned();
            Failure::Final(FetchError::Cancelled { url, received })
        };
        // A server may say nothing for long.
        let asking = self.asking(from, resume)?;
        let asked = ears.cancel.patiently(Duration::ZERO, move || asking.get());
        let (response, linked_etag) = asked.ok_or_else(|| stopped(have))??;
        let status = response.status().as_u16();
        let starts = format!("bytes {have}-");
        let resumed = status == 206
            && resume.is_some()
            && header(response.headers(), "content-range").is_some_and(|r| r.starts_with(&starts));
        match status {
            200 => {}
            206 if resumed => {}
            206 | 416 => {
                // Not the bytes that were asked for, or more are here than there are: start over.
                if resume.is_some() {
                    fs::remove_file(&part).map_err(|e| FetchError::io(&part, e))?;
                }
                let error = status_error(from, status);
                return Err(Failure::Passing(error, Some(Duration::ZERO)));
            }
            404 | 410 => {
                let url = from.to_owned();
                return Err(FetchError::NotFound { url }.into());
            }
            401 | 403 => {
                return Err(FetchError::Gated {
                    url: from.to_owned(),
                    status,
                    token_set: self.token.is_set(),
                }
                .into());
            }
            429 | 500..=599 => {
                let asked = header(response.headers(), "retry-after")
                    .and_then(|text| text.parse().ok())
                    .map(|s: u64| Duration::from_secs(s.min(MAX_RETRY_AFTER_S)));
                return Err(Failure::Passing(status_error(from, status), asked));
            }
            _ => return Err(status_error(from, status).into()),
        }

        let etag = header(response.headers(), "etag");
        let start = if resumed { have } else { 0 };
        let announced = response.body().content_length().map(|rest| start + rest);
        // Before the part is emptied: killed between the two, an old tag would vouch for new bytes, or a new one for old bytes.
        if !resumed {
            record::write(&part_etag, b"")?;
        }
        let mut out = if resumed {
            beneath::open_or_create(folder_of(path), &part).and_then(|mut file| {
                file.seek(SeekFrom::End(0))?;
                Ok(file)
            })
        } else {
            beneath::create(folder_of(path), &part)
        }
        .map_err(|e| FetchError::io(&part, e))?;
        // A weak tag does not promise equal bytes, so it cannot vouch for a resumption.
        match etag.as_deref().filter(|tag| !tag.starts_with("W/")) {
            Some(tag) => record::write(&part_etag, tag.as_bytes())?,
            None => drop(fs::remove_file(&part_etag)),
        }
        let mut tell = Teller {
            progress: ears.progress,
            tried,
            total: announced.or(file.size).unwrap_or(0),
            told: 0,
        };
        let incomplete = |received, reason: String| {
            let error = FetchError::Incomplete {
                url: from.to_owned(),
                received,
                expected: announced,
                reason,
            };
            Failure::Passing(error, None)
        };
        let mut received = start;
        let pieces = pieces(response.into_body().into_reader());
        loop {
            let piece = ears.cancel.receive(&pieces, Duration::ZERO);
            let Ok(piece) = piece.ok_or_else(|| stopped(received))? else {
                break;
            };
            let piece = piece.map_err(|e| incomplete(received, e.to_string()))?;
            if ears.cancel.is_cancelled() {
                return Err(stopped(received));
            }
            write_all(&mut out, &piece, &part)?;
            received += piece.len() as u64;
            tell.at(received, false);
        }
        if announced.is_some_and(|total| total != received) {
            return Err(incomplete(received, "the connection was closed".into()));
        }
        tell.at(received, true);
        // Before a record says that it came whole.
        out.sync_all().map_err(|e| FetchError::io(&part, e))?;
        drop(out);

        // Not digested as it came: of a resumed part the beginning came in an earlier try, perhaps of another process.
        let sha256 = sha256_of(&part)?;
        // The Hub names the SHA-256 of a large file in its own header before it redirects.
        let linked = linked_etag.filter(|tag| tag.len() == 64 && is_hex(tag));
        // Whatever the checksum says, nothing is left to resume.
        let _ = fs::remove_file(&part_etag);
        if let Some(expected) = file.sha256.as_deref().or(linked.as_deref())
            && expected != sha256
        {
            let kept = beside(path, ".bad");
            record::rename(&part, &kept)?;
            return Err(FetchError::Checksum {
                url: from.to_owned(),
                expected: expected.to_owned(),
                found: sha256,
                kept,
            }
            .into());
        }
        record::rename(&part, path)?;
        Ok(Downloaded { sha256, etag })
    }

    fn asking(&self, from: &str, resume: Option<(u64, &str)>) -> Result<Asking, Failure> {
        let agent = self.agent.as_ref().map_err(FetchError::roots)?;
        Ok(Asking {
            agent: agent.clone(),
            token: self.token.clone(),
            from: from.to_owned(),
            uri: from.parse().map_err(|_| bad_url(from))?,
            resume: resume.map(|(have, etag)| (have, etag.to_owned())),
        })
    }
}

/// A request for a file, or for the rest of one.
struct Asking {
    agent: Agent,
    token: Token,
    from: String,
    uri: Uri,
    /// The bytes that are here, and the entity tag that they had.
    resume: Option<(u64, String)>,
}

impl Asking {
    /// The response after redirects, and the `X-Linked-ETag` of any hop.
    fn get(self) -> Result<(Response<Body>, Option<String>), Failure> {
        let (from, mut uri) = (self.from.as_str(), self.uri);
        let mut linked_etag = None;
        for _ in 0..=MAX_REDIRECTS {
            let mut request = self.agent.get(&uri);
            if is_loopback(&uri) {
                // A proxy's loopback is another machine.
                request = request.config().proxy(None).build();
            }
            if let Some(token) = self.token.for_uri(&uri) {
                request = request.header("authorization", format!("Bearer {token}"));
            }
            if let Some((have, etag)) = &self.resume {
                request = request
                    .header("range", format!("bytes={have}-"))
                    .header("if-range", etag);
            }
            let response = request.call().map_err(|e| connect_error(from, &uri, &e))?;
            linked_etag = header(response.headers(), "x-linked-etag").or(linked_etag);
            if !response.status().is_redirection() || response.status().as_u16() == 304 {
                return Ok((response, linked_etag));
            }
            let target = header_raw(response.headers(), "location")
                .ok_or_else(|| status_error(from, response.status().as_u16()))?;
            uri = redirected(&uri, &target).ok_or_else(|| bad_url(&target))?;
        }
        Err(FetchError::Connect {
            host: uri.host().unwrap_or_default().to_owned(),
            url: from.to_owned(),
            reason: format!("more than {MAX_REDIRECTS} redirects"),
        }
        .into())
    }
}

/// What comes of a body, piece by piece; a thread of its own reads, for a server may fall silent.
pub(crate) fn pieces(mut body: impl Read + Send + 'static) -> Receiver<io::Result<Vec<u8>>> {
    let (sender, receiver) = sync_channel(PIECES_AHEAD);
    thread::spawn(move || {
        let mut buffer = vec![0; 1 << 16];
        loop {
            let piece = match body.read(&mut buffer) {
                Ok(0) => return,
                Ok(read) => Ok(buffer[..read].to_vec()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => Err(error),
            };
            let last = piece.is_err();
            // Nobody waits for it any more.
            if sender.send(piece).is_err() || last {
                return;
            }
        }
    });
    receiver
}

fn bad_url(url: &str) -> FetchError {
    FetchError::BadUrl {
        url: url.to_owned(),
    }
}

/// Reports progress, but not for every buffer.
struct Teller<'a> {
    progress: OnProgress<'a>,
    tried: u32,
    total: u64,
    told: u64,
}

impl Teller<'_> {
    fn at(&mut self, done: u64, last: bool) {
        if last || done >= self.told + REPORT_EVERY_BYTES {
            self.told = done;
            (self.progress)(Progress {
                done,
                total: self.total.max(done),
                unit: "bytes".into(),
                tokens: 0,
                detail: match self.tried {
                    1 => String::new(),
                    tried => format!("try {tried} of {TRIES}"),
                },
            });
        }
    }
}

/// Where a redirect leads; never from https back to http.
fn redirected(from: &Uri, location: &str) -> Option<Uri> {
    let absolute = if location.starts_with("//") {
        format!("{}:{location}", from.scheme_str()?)
    } else if location.starts_with('/') {
        format!("{}://{}{location}", from.scheme_str()?, from.authority()?)
    } else {
        location.to_owned()
    };
    let to: Uri = absolute.parse().ok()?;
    let downgraded = from.scheme_str() == Some("https") && to.scheme_str() != Some("https");
    (to.host().is_some() && !downgraded).then_some(to)
}

fn connect_error(url: &str, uri: &Uri, error: &ureq::Error) -> Failure {
    let reason = match error {
        ureq::Error::HostNotFound => "its name is not known (DNS)".to_owned(),
        other => other.to_string(),
    };
    let ours = FetchError::Connect {
        host: uri.host().unwrap_or_default().to_owned(),
        url: url.to_owned(),
        reason,
    };
    if may_pass(error) {
        Failure::Passing(ours, None)
    } else {
        Failure::Final(ours)
    }
}

fn status_error(url: &str, status: u16) -> FetchError {
    FetchError::Status {
        url: url.to_owned(),
        status,
    }
}

fn write_all(out: &mut File, bytes: &[u8], path: &Path) -> Result<(), Failure> {
    out.write_all(bytes)
        .map_err(|e| Failure::Final(FetchError::io(path, e)))
}

fn header_raw(headers: &HeaderMap, name: &str) -> Option<String> {
    let value = headers.get(name)?.to_str().ok()?;
    Some(value.to_owned())
}

/// A header's text, as it came; only the Hub's tag of a large file, which is its SHA-256, without quotation marks.
fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    let value = header_raw(headers, name)?;
    Some(match name {
        "x-linked-etag" => value.trim_matches('"').to_owned(),
        _ => value,
    })
}

fn is_hex(text: &str) -> bool {
    text.bytes()
        .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

fn is_loopback(uri: &Uri) -> bool {
    matches!(uri.host(), Some("127.0.0.1" | "localhost" | "[::1]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> Uri {
        text.parse().unwrap()
    }

    #[test]
    fn redirects_are_resolved_and_never_lose_encryption() {
        let from = uri("https://a.example/x/y");
        let to = |location| redirected(&from, location).map(|uri| uri.to_string());
        assert_eq!(to("/z").as_deref(), Some("https://a.example/z"));
        assert_eq!(to("//b.example/z").as_deref(), Some("https://b.example/z"));
        assert_eq!(
            to("https://b.example/z").as_deref(),
            Some("https://b.example/z")
        );
        assert_eq!(to("http://b.example/z"), None);
    }
}
