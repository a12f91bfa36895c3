//! Requests as files of many, through the provider's batch interface (`/files`, `/batches`).
//!
//! A file of JSON lines goes up, a batch is made of it and looked at until it is over, its output
//! and its errors come down; what is still missing goes into the next one. `batches.json` in the
//! stage's folder names what is at the provider, written before it is waited for: a killed run finds
//! its batch again and pays for nothing twice.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::client::{Client, ClientEvent};
use super::ledger::{Billed, Shortage};
use super::limits::seconds;
use super::outcome::{ReplyOutcome, outcome, shortened};
use super::provider::{Provider, sleep};
use super::transport::Response;
use super::{EndpointError, EndpointErrorKind, Reply, Request, Tokens, usage};
use crate::beneath;
use crate::key::Digest;

/// Most bytes of one input file; OpenAI's limit is 200 MB.
const FILE_BYTES: usize = 150_000_000;

/// What is at the provider.
#[derive(Serialize, Deserialize)]
struct Pending {
    /// The input file.
    file: String,
    /// The batch; `None` while it is being made.
    id: Option<String>,
    /// The number in the journal of each request, by its key.
    requests: BTreeMap<Digest, u64>,
}

/// The attempts at requests that have no reply yet, by their keys.
type FailedAttempts = BTreeMap<Digest, RequestAttempts>;

#[derive(Default)]
struct RequestAttempts {
    failures: u32,
    says: String,
    /// Whether a reply without a text came: the next one is believed.
    empty: bool,
}

impl RequestAttempts {
    fn failed(&mut self, says: String) {
        self.failures = self.failures.saturating_add(1);
        self.says = says;
    }
}

/// Asks for `missing`, of `wanted` distinct replies in all.
pub(super) fn ask(
    client: &Client<'_>,
    missing: &[&Request],
    wanted: usize,
) -> Result<(), EndpointError> {
    let batches = Batches {
        client,
        provider: Provider::new(client)?,
        note: client.folder.join("batches.json"),
        wanted,
    };
    let mut attempts = FailedAttempts::new();
    if let Some(pending) = batches.noted()? {
        batches.finish(pending, missing.len(), &mut attempts)?;
    }
    loop {
        let keys: Vec<Digest> = missing.iter().map(|request| request.key).collect();
        let kept = client.store.find(&keys).map_err(EndpointErrorKind::Keep)?;
        let tries = client.endpoint.limits.tries;
        let left: Vec<&Request> = missing
            .iter()
            .zip(&kept)
            .filter(|(_, reply)| reply.is_none())
            .map(|(request, _)| *request)
            .collect();
        let open: Vec<&Request> = left
            .iter()
            .copied()
            .filter(|request| {
                attempts
                    .get(&request.key)
                    .is_none_or(|request| request.failures < tries)
            })
            .collect();
        if open.is_empty() {
            return match left.first() {
                None => Ok(()),
                Some(first) => Err(EndpointErrorKind::SetAside {
                    count: left.len(),
                    says: attempts[&first.key].says.clone(),
                }
                .into()),
            };
        }
        let pending = batches.send(&open)?;
        batches.finish(pending, left.len(), &mut attempts)?;
    }
}

struct Batches<'a> {
    client: &'a Client<'a>,
    provider: Provider<'a>,
    note: PathBuf,
    wanted: usize,
}

impl Batches<'_> {
    /// Sends as many of `open` as one batch and the budget hold.
    fn send(&self, open: &[&Request]) -> Result<Pending, EndpointError> {
        let limits = &self.client.endpoint.limits;
        let most = open.len().min(limits.batch_requests as usize);
        let tokens: Vec<Tokens> = open[..most].iter().map(|request| request.tokens).collect();
        // What fits is sent; the budget is told when nothing fits any more.
        let fits = self.client.ledger().room(&tokens)?;
        let path = format!("/v1{}", self.client.endpoint.api.path());
        let mut lines = Vec::new();
        let mut sent = Vec::new();
        for request in &open[..fits] {
            let line = json!({
                "custom_id": request.key,
                "method": "POST",
                "url": path,
                "body": request.body,
            });
            let line = line.to_string();
            if !lines.is_empty() && lines.len() + line.len() > FILE_BYTES {
                break;
            }
            lines.extend_from_slice(line.as_bytes());
            lines.push(b'\n');
            sent.push(*request);
        }
        let file = self.provider.upload(&lines)?;
        // Booked once a batch can be made of the file: the file alone costs nothing.
        let mut requests = BTreeMap::new();
        for request in sent {
            let number = self.client.ledger().reserve(request.tokens)?;
            match number {
                Ok(number) => requests.insert(request.key, number),
                Err(Shortage::ForNow) => {
                    unreachable!("there was room, and nothing else is in flight")
                }
                Err(Shortage::Spent(why)) => return Err(why.into()),
            };
        }
        let mut pending = Pending {
            file,
            id: None,
            requests,
        };
        // Noted before and after: whoever finds a note without an id asks the provider for a batch of that file.
        self.write_note(Some(&pending))?;
        pending.id = Some(self.provider.create(&pending.file)?);
        self.write_note(Some(&pending))?;
        Ok(pending)
    }

    /// Waits until a batch is over, and keeps what it brought.
    fn finish(
        &self,
        mut pending: Pending,
        left: usize,
        attempts: &mut FailedAttempts,
    ) -> Result<(), EndpointError> {
        let id = match pending.id.take() {
            Some(id) => id,
            None => match self.provider.made_of(&pending.file)? {
                Some(id) => id,
                None => self.provider.create(&pending.file)?,
            },
        };
        pending.id = Some(id.clone());
        self.write_note(Some(&pending))?;
        (self.client.on_event)(ClientEvent::Info(format!(
            "the batch `{id}` of {} requests is at the provider; a run that is interrupted finds it again",
            pending.requests.len()
        )));
        let Some(batch) = self.wait(&id, left)? else {
            // Nobody knows what became of it: it may have been billed.
            for number in pending.requests.values() {
                self.client.ledger().failed(*number, Billed::Perhaps)?;
            }
            self.write_note(None)?;
            let (status, says) = ("gone".to_owned(), "the server does not know it".to_owned());
            return Err(EndpointErrorKind::Batch { id, status, says }.into());
        };
        let status = batch["status"].as_str().unwrap_or_default().to_owned();
        let mut stop = None;
        let mut open: BTreeSet<Digest> = pending.requests.keys().copied().collect();
        let mut unread = 0;
        for field in ["output_file_id", "error_file_id"] {
            let Some(file) = batch[field].as_str() else {
                continue;
            };
            let lines = self.provider.content(file)?;
            unread += lines.iter().filter(|line| line.is_none()).count();
            let lines = lines.iter().flatten();
            self.collect(lines, &pending, &mut open, attempts, &mut stop)?;
        }
        // Neither answered nor failed: it expired, and was not billed; or its line could not be read.
        let (billed, says) = match unread {
            0 => (Billed::No, format!("its batch is {status}")),
            _ => (
                Billed::Perhaps,
                "its line in the batch's output is missing or cannot be read".to_owned(),
            ),
        };
        for key in open {
            self.client
                .ledger()
                .failed(pending.requests[&key], billed)?;
            attempts.entry(key).or_default().failed(says.clone());
        }
        // Last: a run that is killed before this collects the batch again, and nothing is counted twice.
        self.write_note(None)?;
        if let Some(error) = stop {
            return Err(error);
        }
        if matches!(status.as_str(), "failed" | "cancelled") {
            let says = shortened(&batch["errors"]["data"][0]["message"].to_string());
            return Err(EndpointErrorKind::Batch { id, status, says }.into());
        }
        Ok(())
    }

    /// Looks at a batch until it is over; `None` where the provider does not know it.
    fn wait(&self, id: &str, left: usize) -> Result<Option<Value>, EndpointError> {
        loop {
            let Some(batch) = self.provider.look(id)? else {
                return Ok(None);
            };
            let count = |name: &str| {
                let count = usage::count(&batch["request_counts"][name]).unwrap_or(0);
                usize::try_from(count).unwrap_or(usize::MAX)
            };
            let done = (self.wanted - left)
                .saturating_add(count("completed"))
                .min(self.wanted);
            let over = count("completed").saturating_add(count("failed"));
            let in_flight = count("total").saturating_sub(over);
            let progress = self.client.progress(done, self.wanted, in_flight);
            (self.client.on_event)(ClientEvent::Progress(progress));
            if let Some("completed" | "failed" | "expired" | "cancelled") = batch["status"].as_str()
            {
                return Ok(Some(batch));
            }
            sleep(
                self.client,
                seconds(self.client.endpoint.limits.batch_poll_s),
            )?;
        }
    }

    /// Keeps the replies in a file of output or of errors.
    fn collect<'l>(
        &self,
        lines: impl Iterator<Item = &'l Value>,
        pending: &Pending,
        open: &mut BTreeSet<Digest>,
        attempts: &mut FailedAttempts,
        stop: &mut Option<EndpointError>,
    ) -> Result<(), EndpointError> {
        let mut rows: Vec<(Digest, Reply)> = Vec::new();
        let mut failed = Vec::new();
        for line in lines {
            let id = line["custom_id"].as_str().and_then(|id| id.parse().ok());
            let Some(key) = id.filter(|key| open.contains(key)) else {
                continue;
            };
            open.remove(&key);
            let response = inner(line);
            let mut billed = match response.status {
                200..300 => Billed::Perhaps,
                _ => Billed::No,
            };
            let request = attempts.entry(key).or_default();
            match outcome(&response, self.client.endpoint.api) {
                ReplyOutcome::Keep(reply) => {
                    rows.push((key, reply));
                    continue;
                }
                ReplyOutcome::Empty(reply) if request.empty => {
                    rows.push((key, reply));
                    continue;
                }
                ReplyOutcome::Empty(reply) => {
                    request.empty = true;
                    billed = reply.usage.map_or(billed, Billed::As);
                }
                ReplyOutcome::Again(says)
                | ReplyOutcome::Slow { says, .. }
                | ReplyOutcome::Unreadable(says) => {
                    request.failed(says);
                }
                ReplyOutcome::Rejected(says) => {
                    request.failed(says);
                    // It would be refused in the next batch too.
                    request.failures = u32::MAX;
                }
                ReplyOutcome::Stop(why) => {
                    stop.get_or_insert(why.into());
                }
            }
            failed.push((key, billed));
        }
        self.client
            .store
            .keep(&rows)
            .map_err(EndpointErrorKind::Keep)?;
        for (key, reply) in &rows {
            let number = pending.requests[key];
            self.client.ledger().done(number, reply.usage)?;
        }
        for (key, billed) in failed {
            self.client
                .ledger()
                .failed(pending.requests[&key], billed)?;
        }
        Ok(())
    }

    fn noted(&self) -> Result<Option<Pending>, EndpointError> {
        let folder = self.note.parent().unwrap_or(Path::new(""));
        match beneath::read(folder, &self.note) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.unwritten(error)),
        }
    }

    /// Notes what is at the provider, on the disk when this returns.
    fn write_note(&self, pending: Option<&Pending>) -> Result<(), EndpointError> {
        let written = match pending {
            Some(pending) => write_durably(&self.note, &json!(pending).to_string()),
            None => fs::remove_file(&self.note),
        };
        written.map_err(|error| self.unwritten(error))
    }

    fn unwritten(&self, source: std::io::Error) -> EndpointError {
        let path = self.note.clone();
        EndpointErrorKind::Journal { path, source }.into()
    }
}

/// The response to one request within a batch's line; some providers write its body as a text.
fn inner(line: &Value) -> Response {
    let response = &line["response"];
    let status = usage::count(&response["status_code"]).and_then(|status| status.try_into().ok());
    let (usual, body) = match (&response["body"], &line["error"]) {
        (Value::Null, error) => (500, json!({ "error": error }).to_string()),
        (Value::String(body), _) => (200, body.clone()),
        (body, _) => (200, body.to_string()),
    };
    Response {
        status: status.unwrap_or(usual),
        body,
        ..Response::default()
    }
}

/// Writes a file whole or not at all.
fn write_durably(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(path.parent().unwrap_or(Path::new(".")))?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    beneath::share(path); // a temporary file is private
    Ok(())
}
