//! Requests one by one, several at a time.
//!
//! Threads take requests from one desk, which knows what waits, what is in flight and how the server
//! takes it. The calling thread keeps what comes: many replies with one wait for the disk. A request
//! that failed goes back to the desk with the time at which it is due, so nobody sleeps on it.

use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::asker::{Asker, Claim, News, lock};
use super::ledger::{Billed, Short};
use super::line::{Broken, Line, Response};
use super::outcome::{Outcome, outcome};
use super::pace::{Next, Pace};
use super::{EndpointError, Reply, Request, Why, lenient};
use crate::key::Digest;

/// How often a reply is paid for that is worth nothing: it is then kept as empty, or set aside where it cannot
/// be read. Ours.
const VAIN_TRIES: u32 = 2;
/// Longest sleep between two looks at whether to stop. Ours.
const LOOK: Duration = Duration::from_millis(100);
/// When to look again at a request that another process has in flight, or that the budget has no room
/// for now. Ours.
const BUSY: Duration = Duration::from_millis(50);
/// Model names that an error lists. Ours.
const LISTED_MODELS: usize = 8;

/// Asks for `missing`, of `wanted` distinct replies in all.
pub(super) fn ask(
    asker: &Asker<'_>,
    missing: &[&Request],
    wanted: usize,
) -> Result<(), EndpointError> {
    let now = Instant::now();
    let limits = &asker.endpoint.limits;
    let online = Online {
        asker,
        line: asker.line()?,
        missing,
        wanted,
        desk: Mutex::new(Desk {
            waiting: (0..missing.len()).map(|job| (now, job)).collect(),
            troubles: vec![Troubles::default(); missing.len()],
            in_flight: 0,
            left: missing.len(),
            pace: Pace::new(limits),
            set_aside: Vec::new(),
            answered: false,
            last_failure: String::new(),
            told_open: false,
            stop: None,
        }),
        bell: Condvar::new(),
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
    let desk = online
        .desk
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    match (desk.stop, desk.set_aside.first()) {
        (Some(error), _) => Err(error),
        (None, _) if desk.left > 0 => Err(Why::Cancelled.into()),
        (None, Some(first)) => Err(Why::SetAside {
            count: desk.set_aside.len(),
            says: first.clone(),
        }
        .into()),
        (None, None) => Ok(()),
    }
}

struct Online<'a> {
    asker: &'a Asker<'a>,
    line: &'a Line,
    missing: &'a [&'a Request],
    wanted: usize,
    desk: Mutex<Desk>,
    bell: Condvar,
}

struct Desk {
    /// Requests by the time at which they are due.
    waiting: BTreeSet<(Instant, usize)>,
    troubles: Vec<Troubles>,
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

/// What happened to one request so far.
#[derive(Clone, Copy, Default)]
struct Troubles {
    failures: u32,
    slow: u32,
    vain: u32,
}

/// A request that is in somebody's hands.
struct Ticket {
    job: usize,
    sent: Instant,
}

/// A reply on its way to the disk; its claim ends once it is there.
type Kept = (Digest, Reply, Claim);

impl Online<'_> {
    /// What each thread does.
    fn work(&self, kept: &Sender<Kept>) {
        while let Some(ticket) = self.take() {
            if let Err(error) = self.carry_out(&ticket, kept) {
                self.stop(error);
            }
            self.bell.notify_all();
        }
    }

    /// The next request to send, once it may go; `None` when there is nothing more to do.
    fn take(&self) -> Option<Ticket> {
        let mut desk = lock(&self.desk);
        loop {
            if desk.stop.is_some() || desk.left == 0 || self.asker.cancel.is_cancelled() {
                return None;
            }
            let now = Instant::now();
            if let Some(waited) = desk.pace.down(now, desk.in_flight) {
                let last = std::mem::take(&mut desk.last_failure);
                let seconds = waited.as_secs_f64();
                desk.stop = Some(Why::Down { seconds, last }.into());
                return None;
            }
            let until = match desk.waiting.first() {
                Some(&(due, job)) if due <= now => match desk.pace.next(now, desk.in_flight) {
                    Next::Send => {
                        desk.waiting.pop_first();
                        desk.in_flight += 1;
                        desk.pace.sent(now, self.missing[job].tokens.total());
                        return Some(Ticket { job, sent: now });
                    }
                    Next::Wait(until) => until,
                },
                first => first.map(|&(due, _)| due),
            };
            let sleep = until.map_or(LOOK, |at| at.saturating_duration_since(now).min(LOOK));
            let woken = self.bell.wait_timeout(desk, sleep);
            desk = woken.unwrap_or_else(std::sync::PoisonError::into_inner).0;
        }
    }

    fn carry_out(&self, ticket: &Ticket, kept: &Sender<Kept>) -> Result<(), EndpointError> {
        let request = self.missing[ticket.job];
        let Some(claim) = self.asker.keeper.claim(&request.key).map_err(Why::Keep)? else {
            self.put_back(ticket);
            return Ok(());
        };
        // Another process may have kept it since this one looked.
        let found = self.asker.keeper.find(&[request.key]).map_err(Why::Keep)?;
        if found.iter().any(Option::is_some) {
            let mut desk = lock(&self.desk);
            desk.pace.held_back(request.tokens.total());
            desk.in_flight -= 1;
            desk.left -= 1;
            return Ok(());
        }
        let booked = self.asker.ledger().book(request.tokens)?;
        let number = match booked {
            Ok(number) => number,
            Err(Short::ForNow) => {
                self.put_back(ticket);
                return Ok(());
            }
            Err(Short::Spent(why)) => return Err(why.into()),
        };
        let path = self.asker.endpoint.api.path();
        let sent = Instant::now();
        let response = self.line.post(path, "application/json", &request.bytes());
        let latency = sent.elapsed();
        self.settle(ticket, number, response, latency, |reply| {
            // Fails only when the keeping thread is gone, and then the run is over.
            let _ = kept.send((request.key, reply, claim));
        })
    }

    /// Books what became of a request, and says when it goes out again if it does.
    fn settle(
        &self,
        ticket: &Ticket,
        number: u64,
        response: Result<Response, Broken>,
        latency: Duration,
        keep: impl FnOnce(Reply),
    ) -> Result<(), EndpointError> {
        let limits = &self.asker.endpoint.limits;
        let (meaning, billed, late) = match response {
            Ok(response) => {
                let success = (200..300).contains(&response.status);
                let billed = if success { Billed::Perhaps } else { Billed::No };
                (outcome(&response), billed, false)
            }
            Err(Broken::Passing {
                reason,
                billed,
                late,
            }) => {
                let billed = if billed { Billed::Perhaps } else { Billed::No };
                (Outcome::Again(reason), billed, late)
            }
            Err(Broken::Final(reason)) => (Outcome::Stop(Why::NoLine(reason)), Billed::No, false),
            Err(Broken::Stopped) => {
                // The server may have answered all the same, and counted it.
                self.asker.ledger().failed(number, Billed::Perhaps)?;
                lock(&self.desk).in_flight -= 1;
                return Ok(());
            }
        };
        // First in the journal, then on the desk.
        match &meaning {
            Outcome::Keep(reply) => self.asker.ledger().done(number, reply.usage)?,
            Outcome::Empty(reply) => {
                let last = lock(&self.desk).troubles[ticket.job].vain + 1 >= VAIN_TRIES;
                let mut ledger = self.asker.ledger();
                if last {
                    ledger.done(number, reply.usage)?;
                } else {
                    ledger.failed(number, reply.usage.map_or(Billed::Perhaps, Billed::As))?;
                }
            }
            _ => self.asker.ledger().failed(number, billed)?,
        }
        let now = Instant::now();
        let mut desk = lock(&self.desk);
        desk.in_flight -= 1;
        match meaning {
            Outcome::Keep(reply) => {
                desk.answered |= reply.reasoning().is_some();
                desk.pace.answered(latency);
                drop(desk);
                keep(reply);
            }
            Outcome::Empty(reply) => {
                desk.pace.answered(latency);
                if !desk.again_after_vain(now, ticket.job) {
                    drop(desk);
                    keep(reply);
                }
            }
            Outcome::Unreadable(says) => {
                desk.pace.answered(latency);
                if !desk.again_after_vain(now, ticket.job) {
                    desk.set_aside(says);
                }
            }
            Outcome::Again(says) => {
                desk.pace.failed(now, ticket.sent, late);
                desk.troubles[ticket.job].failures += 1;
                let failures = desk.troubles[ticket.job].failures;
                if failures < limits.tries {
                    let due = now + desk.pace.backoff(failures);
                    desk.waiting.insert((due, ticket.job));
                } else {
                    desk.set_aside(format!("failed {failures} times, the last time: {says}"));
                }
                self.failed(desk, &says);
            }
            Outcome::Slow { wait, says } => {
                let seconds = wait.unwrap_or_default().as_secs_f64();
                if seconds > limits.max_retry_after_s {
                    desk.stop.get_or_insert(Why::Wait { seconds, says }.into());
                    return Ok(());
                }
                desk.pace.overloaded(now, ticket.sent, wait);
                desk.troubles[ticket.job].slow += 1;
                let backoff = desk.pace.backoff(desk.troubles[ticket.job].slow);
                let due = now + backoff.max(wait.unwrap_or_default());
                desk.waiting.insert((due, ticket.job));
                self.failed(desk, &says);
            }
            Outcome::Rejected(says) if desk.answered => desk.set_aside(says),
            Outcome::Rejected(says) => {
                desk.stop.get_or_insert(Why::Rejected(says).into());
            }
            Outcome::Stop(Why::Model { says, .. }) => {
                drop(desk);
                let known = self.models();
                return Err(Why::Model { says, known }.into());
            }
            Outcome::Stop(why) => {
                desk.stop.get_or_insert(why.into());
            }
        }
        Ok(())
    }

    /// Remembers a failure, and tells it once when nothing else comes any more.
    fn failed(&self, mut desk: std::sync::MutexGuard<'_, Desk>, says: &str) {
        let open = desk.pace.is_open();
        let tell = open && !desk.told_open;
        desk.told_open = open;
        says.clone_into(&mut desk.last_failure);
        drop(desk);
        if tell {
            (self.asker.hear)(News::Warning(format!(
                "the server fails again and again ({says}); it is asked one request at a time until it answers, for up to {} s",
                self.asker.endpoint.limits.give_up_after_s
            )));
        }
    }

    /// A request goes back unsent.
    fn put_back(&self, ticket: &Ticket) {
        let mut desk = lock(&self.desk);
        desk.in_flight -= 1;
        desk.pace.held_back(self.missing[ticket.job].tokens.total());
        desk.waiting.insert((Instant::now() + BUSY, ticket.job));
    }

    fn stop(&self, error: EndpointError) {
        lock(&self.desk).stop.get_or_insert(error);
    }

    /// What the calling thread does: keeps replies, many at once where they come fast.
    fn keep(&self, kept: &Receiver<Kept>) {
        while let Ok(first) = kept.recv() {
            let mut rows = Vec::new();
            let mut claims = Vec::new();
            for (key, reply, claim) in std::iter::once(first).chain(kept.try_iter()) {
                rows.push((key, reply));
                claims.push(claim);
            }
            if let Err(error) = self.asker.keeper.keep(&rows) {
                self.stop(Why::Keep(error).into());
            }
            drop(claims);
            let mut desk = lock(&self.desk);
            desk.left -= rows.len();
            let done = self.wanted - desk.left - desk.set_aside.len();
            let in_flight = desk.in_flight;
            drop(desk);
            self.bell.notify_all();
            (self.asker.hear)(News::Progress(self.asker.standing(
                done,
                self.wanted,
                in_flight,
            )));
        }
    }

    /// The models that the server has, the most similar name first.
    fn models(&self) -> Vec<String> {
        let Ok(response) = self.line.get("/models") else {
            return Vec::new();
        };
        let list = lenient::parse(&response.body).unwrap_or_default();
        let mut names: Vec<String> = list["data"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|model| Some(model["id"].as_str()?.to_owned()))
            .collect();
        let wanted = &self.asker.endpoint.model;
        names.sort_by(|a, b| {
            let likeness = |name: &str| strsim::jaro_winkler(name, wanted);
            likeness(b).total_cmp(&likeness(a)).then(a.cmp(b))
        });
        names.truncate(LISTED_MODELS);
        names
    }
}

impl Desk {
    /// Whether a request whose reply was worth nothing goes out once more; if so, it waits again.
    fn again_after_vain(&mut self, now: Instant, job: usize) -> bool {
        let troubles = &mut self.troubles[job];
        troubles.vain += 1;
        let vain = troubles.vain;
        let again = vain < VAIN_TRIES;
        if again {
            let due = now + self.pace.backoff(vain);
            self.waiting.insert((due, job));
        }
        again
    }

    fn set_aside(&mut self, says: String) {
        self.left -= 1;
        self.set_aside.push(says);
    }
}
