//! Requests one by one, several at a time.
//!
//! Threads take requests from one queue, which knows what waits, what is in flight and how the server
//! takes it. The calling thread stores what comes: many replies with one wait for the disk. A request
//! that failed goes back into the queue with the time at which it is due, so no thread sleeps on it.

use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::client::{Claim, Client, ClientEvent, lock};
use super::ledger::{Billed, Shortage};
use super::outcome::{ReplyOutcome, outcome};
use super::pace::{Next, Pace};
use super::transport::{Response, Transport, TransportError};
use super::{EndpointError, EndpointErrorKind, Reply, Request, lenient};
use crate::key::Digest;

/// How often a reply without use is paid for: it is then stored as empty, or set aside where it cannot be read. Ours.
const USELESS_TRIES: u32 = 2;
/// Longest sleep between two looks at whether to stop. Ours.
const POLL: Duration = Duration::from_millis(100);
/// When to look again at a request that another process has in flight, or that the budget has no room
/// for now. Ours.
const RETRY_HELD_BACK: Duration = Duration::from_millis(50);
/// Model names that an error lists. Ours.
const LISTED_MODELS: usize = 8;

/// Asks for `missing`, of `wanted` distinct replies in all.
pub(super) fn ask(
    client: &Client<'_>,
    missing: &[&Request],
    wanted: usize,
) -> Result<(), EndpointError> {
    let now = Instant::now();
    let limits = &client.endpoint.limits;
    let online = Online {
        client,
        transport: client.transport()?,
        missing,
        wanted,
        queue: Mutex::new(Queue {
            waiting: (0..missing.len()).map(|job| (now, job)).collect(),
            attempts: vec![Attempts::default(); missing.len()],
            in_flight: 0,
            left: missing.len(),
            pace: Pace::new(limits),
            set_aside: Vec::new(),
            answered: false,
            last_failure: String::new(),
            told_open: false,
            stop: None,
        }),
        wake: Condvar::new(),
    };
    let (sender, receiver) = channel();
    thread::scope(|scope| {
        for _ in 0..missing.len().min(limits.concurrency as usize) {
            let (online, sender) = (&online, sender.clone());
            scope.spawn(move || online.work(&sender));
        }
        drop(sender);
        online.keep(&receiver);
    });
    let queue = online
        .queue
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    match (queue.stop, queue.set_aside.first()) {
        (Some(error), _) => Err(error),
        (None, _) if queue.left > 0 => Err(EndpointErrorKind::Cancelled.into()),
        (None, Some(first)) => Err(EndpointErrorKind::SetAside {
            count: queue.set_aside.len(),
            says: first.clone(),
        }
        .into()),
        (None, None) => Ok(()),
    }
}

struct Online<'a> {
    client: &'a Client<'a>,
    transport: &'a Transport,
    missing: &'a [&'a Request],
    wanted: usize,
    queue: Mutex<Queue>,
    wake: Condvar,
}

struct Queue {
    /// Requests by the time at which they are due.
    waiting: BTreeSet<(Instant, usize)>,
    attempts: Vec<Attempts>,
    in_flight: usize,
    /// Requests without a kept reply that are not set aside.
    left: usize,
    pace: Pace,
    set_aside: Vec<String>,
    /// Whether any request of this run was answered.
    answered: bool,
    last_failure: String,
    told_open: bool,
    stop: Option<EndpointError>,
}

/// How often one request was tried in vain so far, by what went wrong.
#[derive(Clone, Copy, Default)]
struct Attempts {
    failures: u32,
    slow: u32,
    useless: u32,
}

/// A request that a thread has taken from the queue.
struct InFlight {
    job: usize,
    sent: Instant,
}

/// A reply on its way to the disk; its claim ends once it is there.
type Kept = (Digest, Reply, Claim);

impl Online<'_> {
    /// What each thread does.
    fn work(&self, kept: &Sender<Kept>) {
        while let Some(flight) = self.take() {
            if let Err(error) = self.carry_out(&flight, kept) {
                self.stop(error);
            }
            self.wake.notify_all();
        }
    }

    /// The next request to send, once it may go; `None` when there is nothing more to do.
    fn take(&self) -> Option<InFlight> {
        let mut queue = lock(&self.queue);
        loop {
            if queue.stop.is_some() || queue.left == 0 || self.client.cancel.is_cancelled() {
                return None;
            }
            let now = Instant::now();
            if let Some(waited) = queue.pace.down(now, queue.in_flight) {
                let last = std::mem::take(&mut queue.last_failure);
                let seconds = waited.as_secs_f64();
                queue.stop = Some(EndpointErrorKind::Down { seconds, last }.into());
                return None;
            }
            let until = match queue.waiting.first() {
                Some(&(due, job)) if due <= now => match queue.pace.next(now, queue.in_flight) {
                    Next::Send => {
                        queue.waiting.pop_first();
                        queue.in_flight += 1;
                        queue.pace.sent(now, self.missing[job].tokens.total());
                        return Some(InFlight { job, sent: now });
                    }
                    Next::Wait(until) => until,
                },
                first => first.map(|&(due, _)| due),
            };
            let sleep = until.map_or(POLL, |at| at.saturating_duration_since(now).min(POLL));
            let woken = self.wake.wait_timeout(queue, sleep);
            queue = woken.unwrap_or_else(std::sync::PoisonError::into_inner).0;
        }
    }

    fn carry_out(&self, flight: &InFlight, kept: &Sender<Kept>) -> Result<(), EndpointError> {
        let request = self.missing[flight.job];
        let Some(claim) = self
            .client
            .store
            .claim(&request.key)
            .map_err(EndpointErrorKind::Keep)?
        else {
            self.put_back(flight);
            return Ok(());
        };
        // Another process may have kept it since this one looked.
        let found = self
            .client
            .store
            .find(&[request.key])
            .map_err(EndpointErrorKind::Keep)?;
        if found.iter().any(Option::is_some) {
            let mut queue = lock(&self.queue);
            queue.pace.held_back(request.tokens.total());
            queue.in_flight -= 1;
            queue.left -= 1;
            return Ok(());
        }
        let booked = self.client.ledger().reserve(request.tokens)?;
        let number = match booked {
            Ok(number) => number,
            Err(Shortage::ForNow) => {
                self.put_back(flight);
                return Ok(());
            }
            Err(Shortage::Spent(why)) => return Err(why.into()),
        };
        let path = self.client.endpoint.api.path();
        let sent = Instant::now();
        let response = self
            .transport
            .post(path, "application/json", &request.bytes());
        let latency = sent.elapsed();
        self.settle(flight, number, response, latency, |reply| {
            // Fails only when the storing thread is gone, and then the run is over.
            let _ = kept.send((request.key, reply, claim));
        })
    }

    /// Books what became of a request, and says when it goes out again if it does.
    fn settle(
        &self,
        flight: &InFlight,
        number: u64,
        response: Result<Response, TransportError>,
        latency: Duration,
        keep: impl FnOnce(Reply),
    ) -> Result<(), EndpointError> {
        let limits = &self.client.endpoint.limits;
        let (meaning, billed, late) = match response {
            Ok(response) => {
                let success = (200..300).contains(&response.status);
                let billed = if success { Billed::Perhaps } else { Billed::No };
                (outcome(&response, self.client.endpoint.api), billed, false)
            }
            Err(TransportError::Passing {
                reason,
                billed,
                late,
            }) => {
                let billed = if billed { Billed::Perhaps } else { Billed::No };
                (ReplyOutcome::Again(reason), billed, late)
            }
            Err(TransportError::Final(reason)) => (
                ReplyOutcome::Stop(EndpointErrorKind::Unreachable(reason)),
                Billed::No,
                false,
            ),
            Err(TransportError::Stopped) => {
                // The server may have answered all the same, and counted it.
                self.client.ledger().failed(number, Billed::Perhaps)?;
                lock(&self.queue).in_flight -= 1;
                return Ok(());
            }
        };
        // First in the journal, then in the queue.
        match &meaning {
            ReplyOutcome::Keep(reply) => self.client.ledger().done(number, reply.usage)?,
            ReplyOutcome::Empty(reply) => {
                let last = lock(&self.queue).attempts[flight.job].useless + 1 >= USELESS_TRIES;
                let mut ledger = self.client.ledger();
                if last {
                    ledger.done(number, reply.usage)?;
                } else {
                    ledger.failed(number, reply.usage.map_or(Billed::Perhaps, Billed::As))?;
                }
            }
            _ => self.client.ledger().failed(number, billed)?,
        }
        let now = Instant::now();
        let mut queue = lock(&self.queue);
        queue.in_flight -= 1;
        match meaning {
            ReplyOutcome::Keep(reply) => {
                // A refusal is kept too, but does not show that the server takes requests of this form.
                queue.answered |= reply.reasoning().is_some();
                queue.pace.answered(latency);
                drop(queue);
                keep(reply);
            }
            ReplyOutcome::Empty(reply) => {
                queue.pace.answered(latency);
                if !queue.retry_useless(now, flight.job) {
                    drop(queue);
                    keep(reply);
                }
            }
            ReplyOutcome::Unreadable(says) => {
                queue.pace.answered(latency);
                if !queue.retry_useless(now, flight.job) {
                    queue.set_aside(says);
                }
            }
            ReplyOutcome::Again(says) => {
                queue.pace.failed(now, flight.sent, late);
                queue.attempts[flight.job].failures += 1;
                let failures = queue.attempts[flight.job].failures;
                if failures < limits.tries {
                    let due = now + queue.pace.backoff(failures);
                    queue.waiting.insert((due, flight.job));
                } else {
                    queue.set_aside(format!("failed {failures} times, the last time: {says}"));
                }
                self.failed(queue, &says);
            }
            ReplyOutcome::Slow { wait, says } => {
                let seconds = wait.unwrap_or_default().as_secs_f64();
                if seconds > limits.max_retry_after_s {
                    queue
                        .stop
                        .get_or_insert(EndpointErrorKind::Wait { seconds, says }.into());
                    return Ok(());
                }
                queue.pace.overloaded(now, flight.sent, wait);
                queue.attempts[flight.job].slow += 1;
                let backoff = queue.pace.backoff(queue.attempts[flight.job].slow);
                let due = now + backoff.max(wait.unwrap_or_default());
                queue.waiting.insert((due, flight.job));
                self.failed(queue, &says);
            }
            ReplyOutcome::Rejected(says) if queue.answered => queue.set_aside(says),
            // Before any answer it is more likely what all requests share that is wrong, and they would be paid for.
            ReplyOutcome::Rejected(says) => {
                queue
                    .stop
                    .get_or_insert(EndpointErrorKind::Rejected(says).into());
            }
            ReplyOutcome::Stop(EndpointErrorKind::Model { says, .. }) => {
                drop(queue);
                let known = self.models();
                return Err(EndpointErrorKind::Model { says, known }.into());
            }
            ReplyOutcome::Stop(why) => {
                queue.stop.get_or_insert(why.into());
            }
        }
        Ok(())
    }

    /// Remembers a failure, and tells it once when nothing else comes any more.
    fn failed(&self, mut queue: std::sync::MutexGuard<'_, Queue>, says: &str) {
        let open = queue.pace.is_open();
        let tell = open && !queue.told_open;
        queue.told_open = open;
        says.clone_into(&mut queue.last_failure);
        drop(queue);
        if tell {
            (self.client.on_event)(ClientEvent::Warning(format!(
                "the server fails again and again ({says}); it is asked one request at a time until it answers, for up to {} s",
                self.client.endpoint.limits.give_up_after_s
            )));
        }
    }

    /// Puts a request that was not sent back into the queue.
    fn put_back(&self, flight: &InFlight) {
        let mut queue = lock(&self.queue);
        queue.in_flight -= 1;
        queue
            .pace
            .held_back(self.missing[flight.job].tokens.total());
        queue
            .waiting
            .insert((Instant::now() + RETRY_HELD_BACK, flight.job));
    }

    fn stop(&self, error: EndpointError) {
        lock(&self.queue).stop.get_or_insert(error);
    }

    /// What the calling thread does: stores replies, many at once where they come fast.
    fn keep(&self, kept: &Receiver<Kept>) {
        while let Ok(first) = kept.recv() {
            let mut rows = Vec::new();
            let mut claims = Vec::new();
            for (key, reply, claim) in std::iter::once(first).chain(kept.try_iter()) {
                rows.push((key, reply));
                claims.push(claim);
            }
            if let Err(error) = self.client.store.keep(&rows) {
                self.stop(EndpointErrorKind::Keep(error).into());
            }
            // Not before the rows are on the disk: another process may ask as soon as a claim ends.
            drop(claims);
            let mut queue = lock(&self.queue);
            queue.left -= rows.len();
            let done = self.wanted - queue.left - queue.set_aside.len();
            let in_flight = queue.in_flight;
            drop(queue);
            self.wake.notify_all();
            (self.client.on_event)(ClientEvent::Progress(self.client.progress(
                done,
                self.wanted,
                in_flight,
            )));
        }
    }

    /// The models that the server has, the most similar name first.
    fn models(&self) -> Vec<String> {
        let Ok(response) = self.transport.get("/models") else {
            return Vec::new();
        };
        let list = lenient::parse(&response.body).unwrap_or_default();
        let mut names: Vec<String> = list["data"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|model| Some(model["id"].as_str()?.to_owned()))
            .collect();
        let wanted = &self.client.endpoint.model;
        names.sort_by(|a, b| {
            let likeness = |name: &str| strsim::jaro_winkler(name, wanted);
            likeness(b).total_cmp(&likeness(a)).then(a.cmp(b))
        });
        names.truncate(LISTED_MODELS);
        names
    }
}

impl Queue {
    /// Whether a request whose reply was of no use goes out once more; if so, it waits again.
    fn retry_useless(&mut self, now: Instant, job: usize) -> bool {
        let attempts = &mut self.attempts[job];
        attempts.useless += 1;
        let useless = attempts.useless;
        let again = useless < USELESS_TRIES;
        if again {
            let due = now + self.pace.backoff(useless);
            self.waiting.insert((due, job));
        }
        again
    }

    fn set_aside(&mut self, says: String) {
        self.left -= 1;
        self.set_aside.push(says);
    }
}
