//! Calls on a provider's batch interface: files up and down, batches made and looked at.
//!
//! Each call is tried until it succeeds or the server has been away for too long. Making a batch is
//! the one call that costs money, so before it is tried again the provider is asked whether it was made.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::client::Client;
use super::outcome::{ReplyOutcome, outcome, shortened};
use super::pace::Backoff;
use super::transport::{Response, Transport, TransportError};
use super::{EndpointError, EndpointErrorKind, lenient};
use crate::key::Digest;

/// Batches that are looked through for one that was made and not noted: one page of OpenAI's.
const LISTED: usize = 100;
/// Longest sleep between two looks at whether to stop. Ours.
const POLL: Duration = Duration::from_millis(100);

/// A provider's batch interface.
pub(super) struct Provider<'a> {
    client: &'a Client<'a>,
    transport: &'a Transport,
}

impl<'a> Provider<'a> {
    pub(super) fn new(client: &'a Client<'a>) -> Result<Self, EndpointError> {
        let transport = client.transport()?;
        Ok(Self { client, transport })
    }

    /// Sends a file of requests, and gives its id. A file alone costs nothing.
    pub(super) fn upload(&self, lines: &[u8]) -> Result<String, EndpointError> {
        let (content_type, body) = form(lines);
        id_of(&self.json(|transport| transport.post("/files", &content_type, &body))?)
    }

    /// Makes the batch of an input file, once, and gives its id.
    pub(super) fn create(&self, file: &str) -> Result<String, EndpointError> {
        let body = json!({
            "input_file_id": file,
            "endpoint": format!("/v1{}", self.client.endpoint.api.path()),
            "completion_window": "24h",
        });
        let body = body.to_string().into_bytes();
        let mut patience = Patience::new(self.client);
        loop {
            match self.transport.post("/batches", "application/json", &body) {
                Ok(response) if response.status < 300 => return id_of(&json_of(&response)?),
                failed => patience.after(failed)?,
            }
            // It may have been made all the same.
            if let Some(id) = self.made_of(file)? {
                return Ok(id);
            }
        }
    }

    /// The batch that was made of an input file, if there is one.
    pub(super) fn made_of(&self, file: &str) -> Result<Option<String>, EndpointError> {
        let list = self.json(|transport| transport.get(&format!("/batches?limit={LISTED}")))?;
        let batches = list["data"].as_array().into_iter().flatten();
        let mut ours = batches.filter(|batch| batch["input_file_id"] == file);
        ours.next().map(id_of).transpose()
    }

    /// The batch as it is now; `None` where the provider does not know it.
    pub(super) fn look(&self, id: &str) -> Result<Option<Value>, EndpointError> {
        match self.json(|transport| transport.get(&format!("/batches/{id}"))) {
            Ok(batch) => Ok(Some(batch)),
            Err(error)
                if matches!(
                    *error.kind,
                    EndpointErrorKind::NoSuchPath { status: 404, .. }
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The lines of a file, each as JSON; `None` for one that is none. A file of nothing else is asked for
    /// again: it is paid for, and stands there still.
    pub(super) fn content(&self, file: &str) -> Result<Vec<Option<Value>>, EndpointError> {
        let path = format!("/files/{file}/content");
        let mut patience = Patience::new(self.client);
        loop {
            let failed = match self.transport.get(&path) {
                Ok(response) if response.status < 300 => {
                    let lines = response.body.lines();
                    let lines = lines.filter(|line| !line.trim().is_empty());
                    // A letter that was spoilt makes its line unreadable, not the others.
                    let spoilt = response.no_text.is_some();
                    let whole = |line: &&str| !(spoilt && line.contains('\u{fffd}'));
                    let read = |line| Some(line).filter(whole).and_then(lenient::parse);
                    let lines: Vec<Option<Value>> = lines.map(read).collect();
                    if lines.is_empty() || lines.iter().any(Option::is_some) {
                        return Ok(lines);
                    }
                    let none = response
                        .no_text
                        .as_deref()
                        .unwrap_or("its lines are no JSON");
                    let says = format!("the batch's file `{file}` cannot be read: {none}");
                    Err(TransportError::Passing {
                        reason: says,
                        billed: false,
                        late: false,
                    })
                }
                failed => failed,
            };
            patience.after(failed)?;
        }
    }

    fn json(
        &self,
        call: impl Fn(&Transport) -> Result<Response, TransportError>,
    ) -> Result<Value, EndpointError> {
        json_of(&self.patiently(call)?)
    }

    fn patiently(
        &self,
        call: impl Fn(&Transport) -> Result<Response, TransportError>,
    ) -> Result<Response, EndpointError> {
        let mut patience = Patience::new(self.client);
        loop {
            match call(self.transport) {
                Ok(response) if response.status < 300 => return Ok(response),
                failed => patience.after(failed)?,
            }
        }
    }
}

/// How long failures are put up with.
struct Patience<'a> {
    client: &'a Client<'a>,
    began: Instant,
    failures: u32,
}

impl<'a> Patience<'a> {
    fn new(client: &'a Client<'a>) -> Self {
        Self {
            client,
            began: Instant::now(),
            failures: 0,
        }
    }

    /// Waits after a failure, or gives up.
    fn after(&mut self, failed: Result<Response, TransportError>) -> Result<(), EndpointError> {
        let limits = &self.client.endpoint.limits;
        let (says, asked) = match failed {
            Err(TransportError::Final(reason)) => {
                return Err(EndpointErrorKind::Unreachable(reason).into());
            }
            Err(TransportError::Stopped) => return Err(EndpointErrorKind::Cancelled.into()),
            Err(TransportError::Passing { reason, .. }) => (reason, None),
            Ok(response) => match outcome(&response, self.client.endpoint.api) {
                ReplyOutcome::Stop(why) => return Err(why.into()),
                ReplyOutcome::Again(says) | ReplyOutcome::Unreadable(says) => (says, None),
                ReplyOutcome::Slow { wait, says } => (says, wait),
                ReplyOutcome::Rejected(says) => {
                    return Err(EndpointErrorKind::Rejected(says).into());
                }
                ReplyOutcome::Keep(_) | ReplyOutcome::Empty(_) => {
                    return Err(EndpointErrorKind::Rejected(shortened(&response.body)).into());
                }
            },
        };
        self.failures += 1;
        let waited = self.began.elapsed().as_secs_f64();
        let asked = asked.unwrap_or_default();
        if asked.as_secs_f64() > limits.max_retry_after_s {
            let seconds = asked.as_secs_f64();
            return Err(EndpointErrorKind::Wait { seconds, says }.into());
        }
        if waited >= limits.give_up_after_s {
            let (seconds, last) = (waited, says);
            return Err(EndpointErrorKind::Down { seconds, last }.into());
        }
        sleep(
            self.client,
            Backoff::new(limits).wait(self.failures).max(asked),
        )
    }
}

/// Sleeps, unless somebody asks to stop.
pub(super) fn sleep(client: &Client<'_>, time: Duration) -> Result<(), EndpointError> {
    let began = Instant::now();
    while let Some(left) = time
        .checked_sub(began.elapsed())
        .filter(|left| !left.is_zero())
    {
        if client.cancel.is_cancelled() {
            return Err(EndpointErrorKind::Cancelled.into());
        }
        thread::sleep(left.min(POLL));
    }
    Ok(())
}

fn json_of(response: &Response) -> Result<Value, EndpointError> {
    lenient::parse(&response.body).ok_or_else(|| {
        let says = format!("the answer is no JSON: {}", shortened(&response.body));
        EndpointError::from(EndpointErrorKind::Rejected(says))
    })
}

fn id_of(object: &Value) -> Result<String, EndpointError> {
    let id = object["id"].as_str().map(str::to_owned);
    id.ok_or_else(|| {
        let says = format!("the answer has no id: {}", shortened(&object.to_string()));
        EndpointErrorKind::Rejected(says).into()
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
