//! A run that stops: what it leaves in the queue and on disk.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::super::super::job::JobFolder;
use super::super::super::one::Finished;
use super::super::array::Array;
use super::super::claim::Coordinator;
use super::super::flight::{Flight, TrackState};
use super::Dispatch;
use crate::event::Level;
use crate::key::StageKey;

/// So long is waited for jobs that were cancelled: queues kill them half a minute after they have told them.
const LONGEST_END: Duration = Duration::from_mins(1);

impl Dispatch<'_> {
    /// Takes a flight's jobs out of the queue.
    pub(super) fn recall(&self, flight: &Flight) {
        let ids: Vec<String> = flight.ids().collect();
        self.cancel(&ids);
    }

    fn cancel(&self, ids: &[String]) {
        if !ids.is_empty()
            && let Err(error) = self.cluster.queue.cancel(ids)
        {
            self.note(
                Level::Warning,
                format!("{} jobs may still be in the queue: {error}", ids.len()),
            );
        }
    }

    /// The run is asked to stop: nothing of it stays in the queue, and checkpoints alone on disk.
    pub(super) fn stop(&mut self) {
        // What was submitted since the last look has no number yet.
        let in_queue = self
            .cluster
            .queue
            .queued()
            .map(|queued| self.by_work(queued));
        let in_queue = in_queue.unwrap_or_default();
        let flights = std::mem::take(&mut self.flights);
        let ours: BTreeSet<StageKey> = flights
            .iter()
            .filter(|flight| !flight.parts.is_empty())
            .map(|flight| flight.key)
            .collect();
        let of_ours = in_queue.iter().filter(|((key, _), _)| ours.contains(key));
        let ids: Vec<String> = of_ours.map(|(_, (_, job))| job.id.clone()).collect();
        self.cancel(&ids);
        self.wait_until_gone(&ids);
        for flight in std::mem::take(&mut self.home) {
            sweep(&flight.folder);
        }
        for mut flight in flights {
            if ours.contains(&flight.key) {
                sweep(&flight.folder);
            }
            let interrupted = Finished::interrupted(flight.node);
            self.land(&mut flight, interrupted);
        }
        self.clear();
    }

    /// Waits, though not for ever, until jobs that were cancelled have written what they keep.
    fn wait_until_gone(&self, ids: &[String]) {
        let since = Instant::now();
        while !ids.is_empty() && since.elapsed() < LONGEST_END {
            match self.cluster.queue.queued() {
                Ok(queued) if !queued.iter().any(|job| ids.contains(&job.id)) => return,
                _ => std::thread::sleep(Duration::from_millis(500)),
            }
        }
    }

    /// Removes the files of those arrays of which `is_over` says so.
    fn remove_of_arrays(&self, is_over: impl Fn(&str) -> bool) {
        let files = std::fs::read_dir(self.cluster.jobs.join("arrays"));
        for entry in files.into_iter().flatten().flatten() {
            let name = entry.file_name();
            let array = name.to_str().and_then(|name| name.split('.').next());
            if array.is_some_and(&is_over) {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }

    /// Removes what is needed no more: files of stages that are done, as runs that were killed leave them too, and lists of
    /// arrays that are over.
    pub(super) fn clear(&mut self) {
        let jobs = &self.cluster.jobs;
        let Ok(entries) = std::fs::read_dir(jobs) else {
            return; // nobody has sent anything away
        };
        if self.coordinator.is_none() {
            self.coordinator = Coordinator::new(jobs).ok();
        }
        let Some(coordinator) = &self.coordinator else {
            return;
        };
        coordinator.forget_the_dead();
        let store = self.cluster.environment.store;
        for entry in entries.flatten() {
            let name = entry.file_name();
            let Some(key) = name.to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            let key = StageKey(key);
            let folder = JobFolder::of(jobs, &key);
            let is_done = store.result(&key).is_ok_and(|result| result.is_some());
            if is_done && matches!(coordinator.claim(&folder), Ok(Ok(()))) {
                let _ = std::fs::remove_dir_all(folder.path());
            }
        }
        // Lists of arrays that are in the queue no more.
        let Ok(queued) = self.cluster.queue.queued() else {
            return;
        };
        self.remove_of_arrays(|name| {
            let is_queued = queued.iter().any(|job| job.name == name);
            let is_needed = Array::load(jobs, name).is_some_and(|array| {
                let mut elements = array.0.iter();
                elements.any(|element| JobFolder::of(jobs, &element.key).job().exists())
            });
            !is_queued && !is_needed
        });
    }

    /// Where nothing more is to be begun, jobs that wait need not; those that run go on to their end.
    pub(super) fn recall_those_that_wait(&mut self) {
        let flights = std::mem::take(&mut self.flights);
        for mut flight in flights {
            let runs =
                flight.count(|state| matches!(state, TrackState::Running | TrackState::Gone(_)));
            if runs > 0 {
                self.flights.push(flight);
                continue;
            }
            self.recall(&flight);
            let skipped = Finished::skipped(flight.node);
            self.land(&mut flight, skipped);
        }
    }

    /// Where all is submitted and nothing goes on here, leaves the rest to the queue.
    pub(super) fn leaves(&mut self) -> bool {
        let unsent = |flight: &Flight| flight.count(|state| *state == TrackState::Ready) > 0;
        if !self.scheduler.is_quiet_here() || !self.is_full && self.flights.iter().any(unsent) {
            return false;
        }
        let flights = std::mem::take(&mut self.flights);
        let jobs: usize = flights
            .iter()
            .map(|flight| flight.count(|state| !matches!(state, TrackState::Done(_))))
            .sum();
        self.note(Level::Info, format!("{jobs} jobs of {} stages are left to the queue; the same command shows how far they are and goes on", flights.len()));
        for mut flight in flights {
            let skipped = Finished::skipped(flight.node);
            self.land(&mut flight, skipped);
        }
        true
    }
}

/// Removes a job's files but for its checkpoints.
fn sweep(folder: &JobFolder) {
    for entry in std::fs::read_dir(folder.path())
        .into_iter()
        .flatten()
        .flatten()
    {
        if entry.file_type().is_ok_and(|kind| kind.is_file()) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
    // Those that are empty.
    for entry in std::fs::read_dir(folder.path().join("work"))
        .into_iter()
        .flatten()
        .flatten()
    {
        let _ = std::fs::remove_dir(entry.path());
    }
    let _ = std::fs::remove_dir(folder.path().join("work"));
    let _ = std::fs::remove_dir(folder.path());
}
