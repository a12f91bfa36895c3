//! What is ready goes out, as arrays of jobs that ask for the same.

use std::collections::BTreeMap;

use super::super::super::job::Part;
use super::super::super::one::Finished;
use super::super::array::{Array, Element};
use super::super::class::Class;
use super::super::flight::{Flight, Track, TrackState};
use super::super::queue::{QueueError, Submission};
use super::Dispatch;
use crate::event::Level;
use crate::model::device::DeviceName;
use crate::stage::{Shard, StageError};

impl Dispatch<'_> {
    /// Submits what is ready, as arrays of jobs that ask for the same.
    pub(super) fn submit(&mut self, flights: &mut [Flight], in_queue: usize) {
        let mut ready: BTreeMap<Class, Vec<(usize, Element)>> = BTreeMap::new();
        for (place, flight) in flights.iter().enumerate() {
            for (shard, track) in &flight.parts {
                if track.state == TrackState::Ready
                    && !self.may_be_on_its_way(flight, *shard, track)
                {
                    let part = Part {
                        shard: *shard,
                        attempt: track.attempt,
                    };
                    let element = Element {
                        key: flight.key,
                        part,
                    };
                    let class = flight.class.grown(track.growth);
                    ready.entry(class).or_default().push((place, element));
                }
            }
        }
        let most = self
            .limits
            .submitted
            .map_or(usize::MAX, |most| most as usize);
        let mut room = most.saturating_sub(in_queue);
        self.is_full = false;
        for (class, jobs) in ready {
            let (sent, refused) = self.submit_class(flights, &class, &jobs, &mut room);
            if !sent.is_empty() {
                self.tell_submitted(flights, &class, &sent);
            }
            match refused {
                None => {}
                Some(QueueError::Full(why)) => {
                    self.is_full = true;
                    self.tell_once(Level::Info, &format!("no more jobs may be submitted for now, and the rest follows as these end: {why}"));
                    return;
                }
                // Looked for in the queue before it is submitted again.
                Some(QueueError::Away(why)) => {
                    self.tell_once(
                        Level::Warning,
                        &format!("the queue cannot be reached: {why}; it is tried again"),
                    );
                    return;
                }
                Some(QueueError::Refused(why)) => {
                    for (place, _) in &jobs[sent.len()..] {
                        self.refuse(&mut flights[*place], &class, &why);
                    }
                }
            }
        }
    }

    /// Submits jobs of one class, as far as there is room; gives those that were, and why the next was not.
    fn submit_class(
        &mut self,
        flights: &mut [Flight],
        class: &Class,
        jobs: &[(usize, Element)],
        room: &mut usize,
    ) -> (Vec<(usize, Element)>, Option<QueueError>) {
        let mut sent = Vec::new();
        for jobs in jobs.chunks(self.limits.array as usize) {
            let jobs = &jobs[..jobs.len().min(*room)];
            if jobs.is_empty() {
                self.is_full = true;
                break;
            }
            // A queue of many small arrays takes its time, and somebody may not want the rest any more.
            if self.cluster.environment.cancel.is_cancelled() {
                break;
            }
            let array = Array(jobs.iter().map(|(_, element)| *element).collect());
            let id = match self.submit_array(class, array) {
                Ok(id) => id,
                Err(error) => return (sent, Some(error)),
            };
            *room -= jobs.len();
            for (number, (place, element)) in jobs.iter().enumerate() {
                let track = flights[*place].parts.get_mut(&element.part.shard);
                if let Some(track) = track {
                    track.state = TrackState::Waiting;
                    track.id = id.as_ref().map(|id| format!("{id}_{number}"));
                }
            }
            sent.extend_from_slice(jobs);
        }
        (sent, None)
    }

    fn submit_array(&mut self, class: &Class, array: Array) -> Result<Option<String>, QueueError> {
        let cluster = self.cluster;
        let name = array.name();
        let list = Array::path(&cluster.jobs, &name);
        array.save(&cluster.jobs).map_err(|error| {
            QueueError::Refused(format!("cannot write {}: {error}", list.display()))
        })?;
        let submission = Submission {
            array,
            class: class.clone(),
            jobs: cluster.jobs.clone(),
            program: cluster.program.clone(),
            warning_s: cluster.warning_s(),
            is_gpu: cluster.job.device != DeviceName::Cpu,
        };
        let submitted = cluster.queue.submit(&submission);
        if submitted.is_ok() {
            self.arrays.insert(name, Some(submission.array));
        }
        submitted
    }

    /// Whether a run that was killed a moment ago may just have submitted this: its `sbatch` may have outlived it.
    fn may_be_on_its_way(&self, flight: &Flight, shard: Option<Shard>, track: &Track) -> bool {
        let part = Part {
            shard,
            attempt: track.attempt,
        };
        let element = Element {
            key: flight.key,
            part,
        };
        self.began.elapsed() < self.cluster.lost_after() && self.recent.contains(&element)
    }

    /// The queue does not take a stage's jobs.
    fn refuse(&self, flight: &mut Flight, class: &Class, why: &str) {
        if flight.is_over {
            return;
        }
        let error = StageError::Invalid(format!(
            "its job was refused: {why}\nhint: it asked for {}; `[run.{executor}]` and your {executor}.toml say for what (docs/cluster.md)",
            class.text(),
            executor = self.cluster.executor
        ));
        self.recall(flight);
        let failed = Finished::failed(flight.node, error);
        self.land(flight, failed);
    }
}
