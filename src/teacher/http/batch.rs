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
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::ask::{Asker, News};
use super::ledger::{Billed, Short};
use super::limits::seconds;
use super::line::{Broken, Line, Response};
use super::outcome::{Outcome, outcome, shortened};
use super::pace::Backoff;
use super::{EndpointError, Reply, ReplyVerdict, Request, Tokens, Why};
use crate::key::Digest;

/// Most bytes of one input file; OpenAI's limit is 200 MB.
const FILE_BYTES: usize = 150_000_000;
/// Batches that are looked through for one that was made and not noted. OpenAI's limit of a page.
const LISTED: usize = 100;
/// Longest sleep between two looks at whether to stop. Ours.
const LOOK: Duration = Duration::from_millis(100);

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

/// Asks for `missing`, of `wanted` distinct replies in all.
pub(super) fn ask(
    asker: &Asker<'_>,
    missing: &[&Request],
    wanted: usize,
) -> Result<(), EndpointError> {
    let batches = Batches {
        asker,
        line: asker.line()?,
        note: asker.folder.join("batches.json"),
        wanted,
    };
    let mut troubles: BTreeMap<Digest, (u32, String)> = BTreeMap::new();
    if let Some(pending) = batches.noted()? {
        batches.finish(pending, missing.len(), &mut troubles)?;
    }
    loop {
        let keys: Vec<Digest> = missing.iter().map(|request| request.key).collect();
        let kept = asker.keeper.find(&keys).map_err(Why::Keep)?;
        let tries = asker.endpoint.limits.tries;
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
                troubles
                    .get(&request.key)
                    .is_none_or(|(count, _)| *count < tries)
            })
            .collect();
        if open.is_empty() {
            return match left.first() {
                None => Ok(()),
                Some(first) => Err(Why::SetAside {
                    count: left.len(),
                    says: troubles[&first.key].1.clone(),
                }
                .into()),
            };
        }
        let pending = batches.send(&open)?;
        batches.finish(pending, left.len(), &mut troubles)?;
    }
}

struct Batches<'a> {
    asker: &'a Asker<'a>,
    line: &'a Line,
    note: PathBuf,
    wanted: usize,
}

impl Batches<'_> {
    /// Sends as many of `open` as one batch and the budget hold.
    fn send(&self, open: &[&Request]) -> Result<Pending, EndpointError> {
        let limits = &self.asker.endpoint.limits;
        let most = open.len().min(limits.batch_requests as usize);
        let tokens: Vec<Tokens> = open[..most].iter().map(|request| request.tokens).collect();
        // What fits is sent; the budget is told when nothing fits any more.
        let fits = self.asker.ledger().room(&tokens)?;
        let path = format!("/v1{}", self.asker.endpoint.api.path());
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
        let (content_type, body) = form(&lines);
        let file = self.control(|line| line.post("/files", &content_type, &body))?;
        // Booked once a batch can be made of the file: the file alone costs nothing.
        let mut requests = BTreeMap::new();
        for request in sent {
            let number = self.asker.ledger().book(request.tokens)?;
            match number {
                Ok(number) => requests.insert(request.key, number),
                Err(Short::ForNow) => unreachable!("there was room, and nothing else is in flight"),
                Err(Short::Spent(why)) => return Err(why.into()),
            };
        }
        let mut pending = Pending {
            file: id_of(&file)?,
            id: None,
            requests,
        };
        self.write_note(Some(&pending))?;
        pending.id = Some(self.create(&pending.file)?);
        self.write_note(Some(&pending))?;
        Ok(pending)
    }

    /// Makes the batch of an input file, once.
    fn create(&self, file: &str) -> Result<String, EndpointError> {
        let body = json!({
            "input_file_id": file,
            "endpoint": format!("/v1{}", self.asker.endpoint.api.path()),
            "completion_window": "24h",
        });
        let body = body.to_string().into_bytes();
        let mut patience = Patience::new(self.asker);
        loop {
            match self.line.post("/batches", "application/json", &body) {
                Ok(response) if response.status < 300 => return id_of(&json_of(&response)?),
                trouble => patience.after(trouble)?,
            }
            // It may have been made all the same.
            if let Some(id) = self.made_of(file)? {
                return Ok(id);
            }
        }
    }

    /// The batch that was made of an input file, if there is one.
    fn made_of(&self, file: &str) -> Result<Option<String>, EndpointError> {
        let list = self.control(|line| line.get(&format!("/batches?limit={LISTED}")))?;
        let batches = list["data"].as_array().into_iter().flatten();
        let mut ours = batches.filter(|batch| batch["input_file_id"] == file);
        ours.next().map(id_of).transpose()
    }

    /// Waits until a batch is over, and keeps what it brought.
    fn finish(
        &self,
        mut pending: Pending,
        left: usize,
        troubles: &mut BTreeMap<Digest, (u32, String)>,
    ) -> Result<(), EndpointError> {
        let id = match pending.id.take() {
            Some(id) => id,
            None => match self.made_of(&pending.file)? {
                Some(id) => id,
                None => self.create(&pending.file)?,
            },
        };
        pending.id = Some(id.clone());
        self.write_note(Some(&pending))?;
        (self.asker.hear)(News::Info(format!(
            "the batch `{id}` of {} requests is at the provider; a run that is interrupted finds it again",
            pending.requests.len()
        )));
        let batch = self.wait(&id, left)?;
        let status = batch["status"].as_str().unwrap_or_default().to_owned();
        let mut stop = None;
        let mut open: BTreeSet<Digest> = pending.requests.keys().copied().collect();
        for field in ["output_file_id", "error_file_id"] {
            let Some(file) = batch[field].as_str() else {
                continue;
            };
            let text = self.content(file)?;
            self.collect(&text, &pending, &mut open, troubles, &mut stop)?;
        }
        // Neither answered nor failed: it expired, and was not billed.
        for key in open {
            self.asker
                .ledger()
                .failed(pending.requests[&key], Billed::No)?;
            let trouble = troubles.entry(key).or_default();
            *trouble = (trouble.0 + 1, format!("its batch is {status}"));
        }
        self.write_note(None)?;
        if let Some(error) = stop {
            return Err(error);
        }
        if matches!(status.as_str(), "failed" | "cancelled") {
            let says = shortened(&batch["errors"]["data"][0]["message"].to_string());
            return Err(Why::Batch { id, status, says }.into());
        }
        Ok(())
    }

    /// Looks at a batch until it is over.
    fn wait(&self, id: &str, left: usize) -> Result<Value, EndpointError> {
        loop {
            let batch = self.control(|line| line.get(&format!("/batches/{id}")))?;
            let count = |name: &str| {
                let count = batch["request_counts"][name].as_u64().unwrap_or(0);
                usize::try_from(count).unwrap_or(usize::MAX)
            };
            let done = (self.wanted - left)
                .saturating_add(count("completed"))
                .min(self.wanted);
            let in_flight = count("total").saturating_sub(count("completed") + count("failed"));
            let standing = self.asker.standing(done, self.wanted, in_flight);
            (self.asker.hear)(News::Progress(standing));
            if let Some("completed" | "failed" | "expired" | "cancelled") = batch["status"].as_str()
            {
                return Ok(batch);
            }
            self.sleep(seconds(self.asker.endpoint.limits.batch_poll_s))?;
        }
    }

    /// Keeps the replies in a file of output or of errors.
    fn collect(
        &self,
        text: &str,
        pending: &Pending,
        open: &mut BTreeSet<Digest>,
        troubles: &mut BTreeMap<Digest, (u32, String)>,
        stop: &mut Option<EndpointError>,
    ) -> Result<(), EndpointError> {
        let mut rows: Vec<(Digest, Reply)> = Vec::new();
        let mut failed = Vec::new();
        for line in text.lines() {
            let Ok(line) = serde_json::from_str::<Value>(line) else {
                continue; // what it would have told is asked for again
            };
            let id = line["custom_id"].as_str().and_then(|id| id.parse().ok());
            let Some(key) = id.filter(|key| open.contains(key)) else {
                continue;
            };
            open.remove(&key);
            let mut again = |says: String, most: bool| {
                let trouble = troubles.entry(key).or_default();
                let count = if most { u32::MAX } else { trouble.0 + 1 };
                *trouble = (count, says);
                failed.push(key);
            };
            match outcome(self.asker.endpoint.api, &inner(&line)) {
                Outcome::Keep(reply) => rows.push((key, reply)),
                Outcome::Empty(reply) => rows.push((key, reply)),
                Outcome::Again(says) | Outcome::Slow { says, .. } => again(says, false),
                Outcome::Rejected(says) => again(says, true),
                Outcome::Stop(why) => {
                    failed.push(key);
                    stop.get_or_insert(why.into());
                }
            }
        }
        self.asker.keeper.keep(&rows).map_err(Why::Keep)?;
        for (key, reply) in &rows {
            let refused = reply.verdict != ReplyVerdict::Answered;
            let usage = reply.usage.or(refused.then(Tokens::default));
            self.asker.ledger().done(pending.requests[key], usage)?;
        }
        for key in failed {
            self.asker
                .ledger()
                .failed(pending.requests[&key], Billed::No)?;
        }
        Ok(())
    }

    /// A call that steers, tried until it succeeds or the server has been away for too long.
    fn control(
        &self,
        call: impl Fn(&Line) -> Result<Response, Broken>,
    ) -> Result<Value, EndpointError> {
        json_of(&self.patiently(call)?)
    }

    fn content(&self, file: &str) -> Result<String, EndpointError> {
        let path = format!("/files/{file}/content");
        Ok(self.patiently(|line| line.get(&path))?.body)
    }

    fn patiently(
        &self,
        call: impl Fn(&Line) -> Result<Response, Broken>,
    ) -> Result<Response, EndpointError> {
        let mut patience = Patience::new(self.asker);
        loop {
            match call(self.line) {
                Ok(response) if response.status < 300 => return Ok(response),
                trouble => patience.after(trouble)?,
            }
        }
    }

    fn sleep(&self, time: Duration) -> Result<(), EndpointError> {
        sleep(self.asker, time)
    }

    fn noted(&self) -> Result<Option<Pending>, EndpointError> {
        match fs::read(&self.note) {
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
        Why::Journal { path, source }.into()
    }
}

/// How long failures of calls that steer are put up with.
struct Patience<'a> {
    asker: &'a Asker<'a>,
    began: Instant,
    failures: u32,
}

impl<'a> Patience<'a> {
    fn new(asker: &'a Asker<'a>) -> Self {
        Self {
            asker,
            began: Instant::now(),
            failures: 0,
        }
    }

    /// Waits after a failure, or gives up.
    fn after(&mut self, trouble: Result<Response, Broken>) -> Result<(), EndpointError> {
        let limits = &self.asker.endpoint.limits;
        let (says, asked) = match trouble {
            Err(Broken::Final(reason)) => return Err(Why::NoLine(reason).into()),
            Err(Broken::Passing { reason, .. }) => (reason, None),
            Ok(response) => match outcome(self.asker.endpoint.api, &response) {
                Outcome::Stop(why) => return Err(why.into()),
                Outcome::Again(says) => (says, None),
                Outcome::Slow { wait, says } => (says, wait),
                Outcome::Rejected(says) => return Err(Why::Rejected(says).into()),
                Outcome::Keep(_) | Outcome::Empty(_) => {
                    return Err(Why::Rejected(shortened(&response.body)).into());
                }
            },
        };
        self.failures += 1;
        let waited = self.began.elapsed();
        if waited >= seconds(limits.give_up_after_s) {
            return Err(Why::Down {
                seconds: waited.as_secs_f64(),
                last: says,
            }
            .into());
        }
        let wait = Backoff::new(limits).wait(self.failures);
        sleep(self.asker, wait.max(asked.unwrap_or_default()))
    }
}

fn sleep(asker: &Asker<'_>, time: Duration) -> Result<(), EndpointError> {
    let began = Instant::now();
    while let Some(left) = time
        .checked_sub(began.elapsed())
        .filter(|left| !left.is_zero())
    {
        if asker.cancel.is_cancelled() {
            return Err(Why::Cancelled.into());
        }
        thread::sleep(left.min(LOOK));
    }
    Ok(())
}

/// The response to one request within a batch's line.
fn inner(line: &Value) -> Response {
    let response = &line["response"];
    let status = response["status_code"]
        .as_u64()
        .and_then(|status| status.try_into().ok());
    let body = match (&response["body"], &line["error"]) {
        (Value::Null, error) => json!({ "error": error }),
        (body, _) => body.clone(),
    };
    Response {
        status: status.unwrap_or(500),
        retry_after: None,
        location: None,
        body: body.to_string(),
    }
}

fn json_of(response: &Response) -> Result<Value, EndpointError> {
    serde_json::from_str(&response.body).map_err(|_| {
        let says = format!("the answer is no JSON: {}", shortened(&response.body));
        EndpointError::from(Why::Rejected(says))
    })
}

fn id_of(object: &Value) -> Result<String, EndpointError> {
    let id = object["id"].as_str().map(str::to_owned);
    id.ok_or_else(|| {
        let says = format!("the answer has no id: {}", shortened(&object.to_string()));
        Why::Rejected(says).into()
    })
}

/// A form of one file (RFC 7578), and its content type.
fn form(lines: &[u8]) -> (String, Vec<u8>) {
    // A digest of the file is in no file.
    let boundary = Digest::of(lines).to_string();
    let mut body = Vec::with_capacity(lines.len() + 512);
    let head = format!(
        "--{boundary}\r\ncontent-disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n\
         --{boundary}\r\ncontent-disposition: form-data; name=\"file\"; filename=\"requests.jsonl\"\r\n\
         content-type: application/jsonl\r\n\r\n"
    );
    body.extend_from_slice(head.as_bytes());
    body.extend_from_slice(lines);
    body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    (format!("multipart/form-data; boundary={boundary}"), body)
}

/// Writes a file whole or not at all.
fn write_durably(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(path.parent().unwrap_or(Path::new(".")))?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}
