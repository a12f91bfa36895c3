//! What a job's place in the queue, the record of its end, or the want of one, says.

use std::path::Path;
use std::time::Instant;

use super::super::super::job::{End, EndOutcome, Part};
use super::super::flight::{Flight, TrackState};
use super::super::queue::Left;
use super::{Dispatch, InQueue};
use crate::disk;
use crate::stage::{Shard, StageError};

/// Lines of what a process printed that are told where it ended without a record.
const LAST_LINES: usize = 5;
/// How a shell says that a program was killed by `SIGKILL`, as it is where memory is short.
const KILLED: i32 = 137;
/// And that it could not learn how a program ended, as where both were told to end at once.
const NOT_KNOWN: i32 = -1;
/// How a job was lost of which nobody knows more.
const WITHOUT_A_WORD: &str = "it ended without a word";

/// What became of a job, as far as its flight is concerned.
pub(super) enum Verdict {
    /// It goes on, or is tried again.
    GoesOn,
    Fails(StageError),
    Stops,
}

impl Dispatch<'_> {
    /// Follows one job of a flight.
    pub(super) fn follow(
        &mut self,
        flight: &mut Flight,
        shard: Option<Shard>,
        queued: &InQueue,
    ) -> Verdict {
        let Some(track) = flight.parts.get_mut(&shard) else {
            return Verdict::GoesOn;
        };
        if let TrackState::Done(_) = track.state {
            return Verdict::GoesOn;
        }
        if let Some((attempt, job)) = queued.get(&(flight.key, shard)) {
            if track.state == TrackState::Ready {
                // An earlier run's, or one of ours of which it was not known whether it was submitted.
                track.attempt = *attempt;
            }
            track.id = Some(job.id.clone());
            track.has_run |= job.runs;
            track.state = if job.runs {
                TrackState::Running
            } else {
                TrackState::Waiting
            };
            return Verdict::GoesOn;
        }
        let since = match track.state {
            TrackState::Ready | TrackState::Done(_) => return Verdict::GoesOn,
            TrackState::Gone(since) => since,
            TrackState::Waiting | TrackState::Running => {
                let now = Instant::now();
                track.state = TrackState::Gone(now);
                now
            }
        };
        let part = Part {
            shard,
            attempt: track.attempt,
        };
        match End::read(&flight.folder.end(part)) {
            Some(end) => self.ended(flight, shard, end),
            None => self.gone(flight, shard, since),
        }
    }

    /// What follows from a record of a job's end.
    fn ended(&self, flight: &mut Flight, shard: Option<Shard>, end: End) -> Verdict {
        let folder = flight.folder.clone();
        let inputs = flight.inputs.clone();
        let Some(track) = flight.parts.get(&shard) else {
            return Verdict::GoesOn;
        };
        let part = Part {
            shard,
            attempt: track.attempt,
        };
        let whom = format!("job {} on {}", track.id.as_deref().unwrap_or("?"), end.host);
        // A signal looks the same to a program whoever sends it; the queue knows whether its node was taken from it, or
        // somebody took it out of the queue before it could say so.
        if let EndOutcome::Cancelled | EndOutcome::Died = end.outcome
            && let Some(verdict) = self.as_the_queue_says(flight, shard)
        {
            return verdict;
        }
        match end.outcome {
            EndOutcome::Done | EndOutcome::Saved => {
                if let Some(track) = flight.parts.get_mut(&shard) {
                    if end.outcome == EndOutcome::Done {
                        track.state = TrackState::Done(Box::new(end));
                    } else {
                        track.again(); // it could not put itself back into the queue
                    }
                }
                Verdict::GoesOn
            }
            EndOutcome::Cancelled => Verdict::Stops,
            EndOutcome::Failed if end.memory => {
                self.lost(flight, shard, true, "there was too little memory for it")
            }
            EndOutcome::Failed => {
                if let Some(port) = end.lacks {
                    let store = self.cluster.environment.store;
                    store.distrust(inputs.values().copied());
                    return Verdict::Fails(StageError::InputGone { port });
                }
                let why = end.error.unwrap_or_else(|| "it did not say why".to_owned());
                Verdict::Fails(StageError::Invalid(format!("{whom}: {why}")))
            }
            EndOutcome::Died if end.exit == KILLED => self.lost(
                flight,
                shard,
                true,
                "it was killed, as where it takes more memory than it asked for",
            ),
            EndOutcome::Died if end.exit > 128 => {
                let why = format!("it was ended by signal {}", end.exit - 128);
                self.lost(flight, shard, false, &why)
            }
            EndOutcome::Died if end.exit == NOT_KNOWN => {
                self.lost(flight, shard, false, WITHOUT_A_WORD)
            }
            EndOutcome::Died => {
                let (log, executor) = (folder.log(part), self.cluster.executor);
                let setup = if self.cluster.queue.goes_on_alone() {
                    format!("look at `setup`, `container` and `program` in your {executor}.toml; ")
                } else {
                    String::new() // nothing is set up for what is started from here
                };
                Verdict::Fails(StageError::Invalid(format!(
                    "{whom} ended with code {} before it had begun:\n{}\nhint: {setup}all that it printed is in {}",
                    end.exit,
                    last_lines(&log),
                    log.display()
                )))
            }
        }
    }

    /// What follows where a job is in the queue no more and has left no record.
    fn gone(&self, flight: &mut Flight, shard: Option<Shard>, since: Instant) -> Verdict {
        if let Some(verdict) = self.as_the_queue_says(flight, shard) {
            return verdict;
        }
        // Its record may only be late.
        if since.elapsed() >= self.cluster.lost_after() {
            return self.lost(flight, shard, false, WITHOUT_A_WORD);
        }
        Verdict::GoesOn
    }

    /// What follows from how a job left the queue, where the queue knows more than that it ended.
    fn as_the_queue_says(&self, flight: &mut Flight, shard: Option<Shard>) -> Option<Verdict> {
        let track = flight.parts.get(&shard)?;
        let id = track.id.as_deref()?;
        let left = self.cluster.queue.left(id, track.has_run)?;
        Some(match left {
            Left::Cancelled => Verdict::Stops,
            left => self.lost(flight, shard, left == Left::OutOfMemory, left.text()),
        })
    }

    /// A job was lost: it is tried again, with more memory where that may be why, unless it was too often.
    pub(super) fn lost(
        &self,
        flight: &mut Flight,
        shard: Option<Shard>,
        memory: bool,
        why: &str,
    ) -> Verdict {
        let name = self.name(flight).to_owned();
        let class = flight.class.clone();
        let Some(track) = flight.parts.get_mut(&shard) else {
            return Verdict::GoesOn;
        };
        track.losses += 1;
        let whom = format!("job {}", track.id.as_deref().unwrap_or("?"));
        if track.losses >= self.cluster.tries() {
            let part = Part {
                shard,
                attempt: track.attempt,
            };
            return Verdict::Fails(StageError::Invalid(format!(
                "{whom} was lost, the {} of {} tries: {why}\nhint: what it printed is in {}; `memory`, `time` and `tries` in `[run.{}]` say how it is run",
                ordinal(track.losses),
                self.cluster.tries(),
                flight.folder.log(part).display(),
                self.cluster.executor
            )));
        }
        let mut what = format!("{whom} was lost: {why}; it is tried again");
        if memory {
            let before = class.grown(track.growth).memory_mib;
            track.growth *= self.cluster.memory_growth();
            let now = class.grown(track.growth).memory_mib;
            what = format!("{what} with {now} MiB of memory in place of {before}");
        }
        track.again();
        self.reporter(&name).warn(what);
        Verdict::GoesOn
    }
}

fn last_lines(path: &Path) -> String {
    let bytes = disk::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
}

fn ordinal(number: u32) -> String {
    match number {
        1 => "first".to_owned(),
        2 => "second".to_owned(),
        3 => "third".to_owned(),
        number => format!("{number}th"),
    }
}
