//! A stage that is out: its jobs, and how far each is.

use std::collections::BTreeMap;
use std::time::Instant;

use super::super::clock::Stopwatch;
use super::super::job::{End, EndOutcome, EventReader, Job, JobFolder, Part};
use super::class::Class;
use crate::event::Progress;
use crate::key::StageKey;
use crate::plan::NodeId;
use crate::stage::{Inputs, Shard};

/// A stage that is out.
pub(super) struct Flight {
    /// Its place with the scheduler.
    pub(super) place: usize,
    pub(super) node: NodeId,
    pub(super) key: StageKey,
    pub(super) inputs: Inputs,
    pub(super) folder: JobFolder,
    pub(super) job: Job,
    pub(super) class: Class,
    /// How many parts it has; `None` where it is done as a whole.
    pub(super) shards: Option<u32>,
    pub(super) watch: Stopwatch,
    /// Its jobs; none while another run looks after it.
    pub(super) parts: BTreeMap<Option<Shard>, Track>,
    /// Whether it was told that it has started.
    pub(super) is_told: bool,
    /// Whether it was given back to the scheduler.
    pub(super) is_over: bool,
    /// Whether its last step is left to be done here.
    pub(super) is_home: bool,
    /// Since when all its jobs are done and what they made cannot be seen.
    pub(super) unseen: Option<Instant>,
}

/// One job of a stage.
#[derive(Debug)]
pub(super) struct Track {
    /// From 1; what names its files.
    pub(super) attempt: u32,
    /// How often it was lost in this run.
    pub(super) losses: u32,
    /// How much more memory it asks for than its class.
    pub(super) growth: f64,
    pub(super) state: TrackState,
    /// As the queue calls it.
    pub(super) id: Option<String>,
    /// Whether it was seen to run.
    pub(super) has_run: bool,
    pub(super) events: EventReader,
    pub(super) progress: Option<Progress>,
}

/// How far a job is.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum TrackState {
    /// To be submitted.
    Ready,
    /// Submitted, or seen to wait in the queue.
    Waiting,
    /// Seen to run.
    Running,
    /// In the queue no more since then.
    Gone(Instant),
    Done(Box<End>),
}

impl Track {
    pub(super) fn new(attempt: u32) -> Self {
        Self {
            attempt,
            losses: 0,
            growth: 1.0,
            state: TrackState::Ready,
            id: None,
            has_run: false,
            events: EventReader::default(),
            progress: None,
        }
    }

    /// Is to be submitted again.
    pub(super) fn again(&mut self) {
        self.attempt += 1;
        self.state = TrackState::Ready;
        self.id = None;
        self.has_run = false;
        self.events = EventReader::default();
    }

    pub(super) fn is_in_queue(&self) -> bool {
        matches!(self.state, TrackState::Waiting | TrackState::Running)
    }
}

impl Flight {
    /// The jobs as what lies in the folder says: those that are done are done, and a try that was begun is not begun twice.
    pub(super) fn read_parts(&mut self) {
        let mut latest: BTreeMap<String, u32> = BTreeMap::new();
        let entries = std::fs::read_dir(self.folder.path())
            .into_iter()
            .flatten()
            .flatten();
        for entry in entries {
            let name = entry.file_name();
            let part = name.to_str().and_then(|name| {
                let stem = name.split_once('.')?.0;
                let part = stem
                    .strip_prefix("end-")
                    .or_else(|| stem.strip_prefix("events-"))?;
                let (part, attempt) = part.rsplit_once('-')?;
                Some((part.to_owned(), attempt.parse::<u32>().ok()?))
            });
            if let Some((part, attempt)) = part {
                let known = latest.entry(part).or_default();
                *known = attempt.max(*known);
            }
        }
        let shards: Vec<Option<Shard>> = match self.shards {
            None => vec![None],
            Some(count) => Shard::all(count).map(Some).collect(),
        };
        for shard in shards {
            let first = Part { shard, attempt: 0 }.to_string();
            let name = first.strip_suffix("-0").unwrap_or_default();
            let mut track = Track::new(1);
            if let Some(&attempt) = latest.get(name) {
                track.attempt = attempt;
                let end = End::read(&self.folder.end(Part { shard, attempt }));
                match end {
                    Some(end) if end.outcome == EndOutcome::Done => {
                        track.state = TrackState::Done(Box::new(end));
                    }
                    _ => track.again(),
                }
            }
            self.parts.insert(shard, track);
        }
    }

    /// The ids of its jobs in the queue.
    pub(super) fn ids(&self) -> impl Iterator<Item = String> {
        let out = self.parts.values().filter(|track| track.is_in_queue());
        out.filter_map(|track| track.id.clone())
    }

    pub(super) fn count(&self, is: impl Fn(&TrackState) -> bool) -> usize {
        self.parts.values().filter(|track| is(&track.state)).count()
    }

    /// How far all its jobs are together.
    pub(super) fn progress(&self) -> Option<Progress> {
        let mut all: Option<Progress> = None;
        for progress in self
            .parts
            .values()
            .filter_map(|track| track.progress.as_ref())
        {
            let sum = all.get_or_insert_with(|| Progress {
                unit: progress.unit.clone(),
                ..Progress::default()
            });
            sum.done += progress.done;
            sum.total += progress.total;
            sum.tokens += progress.tokens;
            if self.shards.is_none() {
                sum.detail.clone_from(&progress.detail);
            }
        }
        let mut all = all?;
        if let Some(shards) = self.shards {
            let running = self.count(|state| *state == TrackState::Running);
            let done = self.count(|state| matches!(state, TrackState::Done(_)));
            all.detail = format!("{shards} jobs: {done} done, {running} running");
            // Those that have not begun have not said how much they have to do.
            let begun = self
                .parts
                .values()
                .filter(|track| track.progress.is_some())
                .count() as u64;
            all.total = all.total * u64::from(shards) / begun.max(1);
        }
        Some(all)
    }
}
