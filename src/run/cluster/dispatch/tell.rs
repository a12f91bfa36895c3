//! What a run tells of its stages that are away.

use std::collections::{BTreeMap, BTreeSet};

use super::super::super::job::Part;
use super::super::array::Element;
use super::super::class::Class;
use super::super::flight::{Flight, TrackState};
use super::{Dispatch, InQueue};
use crate::event::{Level, Reporter, RunEvent};
use crate::key::StageKey;
use crate::stage::Shard;

/// So many logs are looked at for news each time: a file server has others to serve. Ours.
const LOGS: usize = 32;

impl<'s> Dispatch<'s> {
    pub(super) fn tell_submitted(
        &self,
        flights: &[Flight],
        class: &Class,
        jobs: &[(usize, Element)],
    ) {
        let stages: BTreeSet<&str> = jobs
            .iter()
            .map(|(place, _)| self.name(&flights[*place]))
            .collect();
        let first = stages.iter().next().copied().unwrap_or_default();
        let what = match stages.len() {
            1 => format!("`{first}`"),
            more => format!("{more} stages (`{first}`, ...)"),
        };
        self.note(
            Level::Info,
            format!("submitted {} jobs for {what}: {}", jobs.len(), class.text()),
        );
    }

    /// Why jobs wait, each reason once.
    pub(super) fn tell_waiting(&mut self, flights: &[Flight], queued: &InQueue) {
        let keys: BTreeSet<StageKey> = flights.iter().map(|flight| flight.key).collect();
        let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
        for ((key, _), (_, job)) in queued {
            if let Some(why) = job.waits.as_deref().filter(|_| !job.runs)
                && keys.contains(key)
            {
                *reasons.entry(why).or_default() += 1;
            }
        }
        for (reason, jobs) in reasons {
            if self.told.insert(format!("reason {reason}")) {
                self.note(Level::Info, format!("{jobs} jobs wait: {reason}"));
            }
        }
    }

    /// Tells what jobs tell, as of stages that run here.
    pub(super) fn tell_progress(&mut self, flights: &mut [Flight]) {
        let running: Vec<(usize, Option<Shard>)> = flights
            .iter()
            .enumerate()
            .flat_map(|(place, flight)| {
                let tracks = flight.parts.iter();
                let running = tracks.filter(|(_, track)| track.state == TrackState::Running);
                running.map(move |(shard, _)| (place, *shard))
            })
            .collect();
        if running.is_empty() {
            return;
        }
        let from = self.next_log % running.len();
        self.next_log = from + LOGS;
        let some = running
            .iter()
            .cycle()
            .skip(from)
            .take(running.len().min(LOGS));
        let mut changed = BTreeSet::new();
        for &(place, shard) in some {
            let flight = &mut flights[place];
            let plan = self.scheduler.plan();
            let node = plan.node(flight.node);
            if !flight.is_told {
                flight.is_told = true;
                self.cluster
                    .environment
                    .observer
                    .event(&RunEvent::StageStarted {
                        stage: node.name().to_owned(),
                        kind: node.kind.name().to_owned(),
                    });
            }
            let shards = flight.shards;
            let Some(track) = flight.parts.get_mut(&shard) else {
                continue;
            };
            let part = Part {
                shard,
                attempt: track.attempt,
            };
            for event in track.events.news(&flight.folder.events(part)) {
                match event {
                    RunEvent::Progress { progress, .. } => {
                        track.progress = Some(progress);
                        changed.insert(place);
                    }
                    // Of a stage in parts, its last step here says all of it.
                    RunEvent::Note { .. } if shards.is_none() => {
                        self.cluster.environment.observer.event(&event);
                    }
                    _ => {}
                }
            }
        }
        for place in changed {
            let flight = &flights[place];
            if let Some(progress) = flight.progress() {
                self.reporter(self.name(flight)).progress(progress);
            }
        }
    }

    pub(super) fn name(&self, flight: &Flight) -> &'s str {
        self.scheduler.plan().node(flight.node).name()
    }

    pub(super) fn reporter<'a>(&'a self, stage: &'a str) -> Reporter<'a> {
        Reporter::new(stage, self.cluster.environment.observer)
    }

    pub(super) fn note(&self, level: Level, message: String) {
        self.cluster.environment.observer.event(&RunEvent::Note {
            stage: String::new(),
            level,
            message,
        });
    }

    pub(super) fn tell_once(&mut self, level: Level, message: &str) {
        if self.told.insert(message.to_owned()) {
            self.note(level, message.to_owned());
        }
    }
}
