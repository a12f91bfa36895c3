//! The loop of a run that sends stages away: what is ready goes out, what is out is watched, what is over comes back.

mod follow;
mod stop;
mod submit;
mod tell;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use super::super::clock::Stopwatch;
use super::super::job::{Job, JobFolder, write};
use super::super::one::{Finished, Known, known};
use super::super::scheduler::{Scheduler, Task};
use super::ClusterWorker;
use super::array::{Array, Element};
use super::claim::Coordinator;
use super::flight::{Flight, TrackState};
use super::queue::{Limits, Queued};
use crate::event::{Level, StageOutcome};
use crate::key::{Digest, Recipe, StageKey};
use crate::plan::{Node, recipe};
use crate::stage::{Inputs, Outputs, Shard, StageError};
use crate::store::{Segments, Store};
use follow::Verdict;

/// Stages that become ready soon after each other go out together. Ours.
const GATHER: Duration = Duration::from_secs(1);
/// So long is waited at the end for results to be in the remote, whose jobs' records are then removed. Ours.
const LONGEST_PUSH: Duration = Duration::from_secs(10);
/// Time between two looks at whether to stop.
const LOOK_AT_CANCEL: Duration = Duration::from_millis(200);

/// What of ours is in the queue, by what it does.
type InQueue = BTreeMap<(StageKey, Option<Shard>), (u32, Queued)>;

/// A run that sends stages away.
pub(super) struct Dispatch<'s> {
    cluster: &'s ClusterWorker<'s>,
    scheduler: &'s Scheduler<'s>,
    limits: Limits,
    coordinator: Option<Coordinator>,
    flights: Vec<Flight>,
    /// Those whose last step is done here: their jobs' records stay until the result is in the remote.
    home: Vec<Flight>,
    /// The arrays that are known, by name; `None` for another run's in the queue.
    arrays: BTreeMap<String, Option<Array>>,
    /// Since when this run sends stages away.
    began: Instant,
    /// What other runs wrote down to be submitted shortly before.
    recent: BTreeSet<Element>,
    /// What was told, so that it is told once.
    told: BTreeSet<String>,
    /// Whose log is looked at next.
    next_log: usize,
    /// Since the last submission that was refused because there are too many jobs.
    is_full: bool,
}

impl<'s> Dispatch<'s> {
    pub(super) fn new(cluster: &'s ClusterWorker<'s>, scheduler: &'s Scheduler<'s>) -> Self {
        Self {
            cluster,
            scheduler,
            limits: cluster.queue.limits(),
            coordinator: None,
            flights: Vec::new(),
            home: Vec::new(),
            arrays: BTreeMap::new(),
            began: Instant::now(),
            recent: if cluster.queue.goes_on_alone() {
                Array::recent(&cluster.jobs, cluster.lost_after())
            } else {
                BTreeSet::new()
            },
            told: BTreeSet::new(),
            next_log: 0,
            is_full: false,
        }
    }

    /// Until every stage is over, or all is submitted and nobody wants to wait.
    pub(super) fn run(mut self) {
        let environment = &self.cluster.environment;
        let mut looked: Option<Instant> = None;
        let mut is_left = false;
        while !self.scheduler.is_over() {
            if environment.cancel.is_cancelled() {
                self.stop();
                is_left = true;
                break;
            }
            let waited = looked.map(|at| at.elapsed());
            let tasks = match waited {
                Some(waited) if waited < GATHER => Vec::new(),
                _ => self.scheduler.take_away(environment),
            };
            let is_due = waited.is_none_or(|waited| waited >= self.cluster.look_every());
            let is_watching = !self.flights.is_empty() || !self.home.is_empty();
            if !tasks.is_empty() || is_due && is_watching {
                looked = Some(Instant::now());
                self.look(tasks);
                if self.cluster.detach && self.leaves() {
                    is_left = true;
                    break;
                }
            }
            self.scheduler.wait(LOOK_AT_CANCEL);
        }
        if !is_left {
            environment.store.merge_lists(&Segments::new(), true);
            let since = Instant::now();
            while !self.home.is_empty() && since.elapsed() < LONGEST_PUSH {
                self.tidy_home();
                environment.cancel.sleep(LOOK_AT_CANCEL);
            }
            self.clear();
        }
        self.scheduler.leave();
        if let Some(coordinator) = &self.coordinator {
            coordinator.close();
        }
    }

    fn look(&mut self, tasks: Vec<Task>) {
        if let Some(coordinator) = &mut self.coordinator {
            coordinator.beat();
        }
        let queued = match self.cluster.queue.queued() {
            Ok(queued) => Some(self.by_work(queued)),
            Err(error) => {
                self.tell_once(Level::Warning, &format!("the queue cannot be asked: {error}; what is in it goes on, and is looked for again"));
                None
            }
        };
        for task in tasks {
            self.take(task);
        }
        let mut flights = std::mem::take(&mut self.flights);
        for flight in &mut flights {
            self.advance(flight, queued.as_ref());
        }
        let (over, mut flights): (Vec<Flight>, Vec<Flight>) =
            flights.into_iter().partition(|flight| flight.is_over);
        self.home
            .extend(over.into_iter().filter(|flight| flight.is_home));
        self.tidy_home();
        if let Some(queued) = &queued {
            self.submit(&mut flights, queued.len());
            flights.retain(|flight| !flight.is_over);
            self.tell_waiting(&flights, queued);
        }
        self.tell_progress(&mut flights);
        self.flights = flights;
        let environment = &self.cluster.environment;
        // Where somebody asked to stop, `stop` sees to it.
        if self.scheduler.is_stopping(environment) && !environment.cancel.is_cancelled() {
            self.recall_those_that_wait();
        }
    }

    /// What each job in the queue does.
    fn by_work(&mut self, queued: Vec<Queued>) -> InQueue {
        let mut found = InQueue::new();
        for each in queued {
            let array = self
                .arrays
                .entry(each.name.clone())
                .or_insert_with(|| Array::load(&self.cluster.jobs, &each.name));
            let element = array
                .as_ref()
                .and_then(|array| array.0.get(each.element as usize));
            if let Some(Element { key, part }) = element.copied() {
                found.insert((key, part.shard), (part.attempt, each));
            }
        }
        found
    }

    /// Begins with a stage that is ready.
    fn take(&mut self, task: Task) {
        let (place, inputs, gate) = match task {
            Task::Run(place, inputs, gate) => (place, inputs, gate),
            Task::Skip(place) => {
                return self.over(place, Finished::skipped(self.scheduler.node(place)));
            }
            Task::LeaveOut(place) => {
                return self.over(place, Finished::not_needed(self.scheduler.node(place)));
            }
        };
        let id = self.scheduler.node(place);
        let node = self.scheduler.plan().node(id);
        let environment = &self.cluster.environment;
        let finished = match known(node, &inputs, gate.as_ref(), environment) {
            Ok(Known::Open(recipe)) => {
                let key = recipe.key();
                match self.prepare(node, place, inputs, *recipe) {
                    Ok(flight) => return self.flights.push(flight),
                    Err(error) => Finished {
                        key: Some(key),
                        ..Finished::failed(id, error)
                    },
                }
            }
            Ok(Known::NotNeeded) => Finished::not_needed(id),
            Ok(Known::Hit(outputs)) => match self.key(node, &inputs) {
                Ok(key) => Finished::done(id, StageOutcome::Hit, key, outputs),
                Err(error) => Finished::failed(id, error),
            },
            Err(StageError::Cancelled) => Finished::interrupted(id),
            Err(error) => Finished::failed(id, error),
        };
        self.over(place, finished);
    }

    fn key(&self, node: &Node, inputs: &Inputs) -> Result<StageKey, StageError> {
        let environment = &self.cluster.environment;
        let context = environment.context(node.name(), node.seed, inputs);
        Ok(recipe(node, inputs, &context)?.key())
    }

    fn over(&self, place: usize, finished: Finished) {
        let watch = Stopwatch::start();
        self.scheduler
            .back(place, finished, &watch, &self.cluster.environment);
    }

    /// Puts what a stage reads to the remote, and makes its job.
    fn prepare(
        &mut self,
        node: &Node,
        place: usize,
        inputs: Inputs,
        recipe: Recipe,
    ) -> Result<Flight, StageError> {
        let cluster = self.cluster;
        let store = cluster.environment.store;
        if self.coordinator.is_none() {
            let made = Coordinator::new(&cluster.jobs);
            self.coordinator = Some(made.map_err(|source| io_error(&cluster.jobs, source))?);
        }
        let resources = cluster.section.resources(node.base(), node.kind.name());
        let id = self.scheduler.node(place);
        store.share(inputs.values().copied())?;
        let job = Job::new(node, recipe, cluster.job.clone());
        let ports = node.kind.sharded_by(&node.params);
        let rows = ports.iter().find_map(|port| inputs.get(*port)).copied();
        let shards = match (rows, resources.shards) {
            (Some(rows), Some(wanted)) if wanted > 1 => {
                Some(wanted.min(lines(store, &rows)?)).filter(|shards| *shards > 1)
            }
            _ => None,
        };
        let class = (cluster.queue).class(
            (resources, cluster.section),
            (&cluster.estimates, id, shards),
        )?;
        Ok(Flight {
            place,
            node: id,
            key: job.key,
            inputs,
            folder: JobFolder::of(&cluster.jobs, &job.key),
            job,
            class,
            shards,
            watch: Stopwatch::start(),
            parts: BTreeMap::new(),
            is_told: false,
            is_over: false,
            is_home: false,
            unseen: None,
        })
    }

    /// Looks how far a flight is, and lands it where it is over.
    fn advance(&mut self, flight: &mut Flight, queued: Option<&InQueue>) {
        let id = flight.node;
        if flight.parts.is_empty()
            && let Err(error) = self.look_after(flight)
        {
            return self.land(flight, Finished::failed(id, error));
        }
        if let Some(queued) = queued {
            let shards: Vec<Option<Shard>> = flight.parts.keys().copied().collect();
            for shard in shards {
                let finished = match self.follow(flight, shard, queued) {
                    Verdict::GoesOn => continue,
                    Verdict::Fails(error) => Finished::failed(id, error),
                    Verdict::Stops => Finished::interrupted(id),
                };
                self.recall(flight);
                return self.land(flight, finished);
            }
        }
        let done = flight.count(|state| matches!(state, TrackState::Done(_)));
        if done > 0
            && done == flight.parts.len()
            && let Err(error) = self.gather(flight)
        {
            self.land(flight, Finished::failed(id, error));
        }
    }

    /// Takes a stage on, unless another run looks after it or has done it.
    fn look_after(&mut self, flight: &mut Flight) -> Result<(), StageError> {
        let Some(coordinator) = &self.coordinator else {
            return Ok(());
        };
        let claimed = coordinator
            .claim(&flight.folder)
            .map_err(|source| io_error(flight.folder.path(), source))?;
        if let Err(who) = claimed {
            let name = self.name(flight);
            let message = format!("{who} looks after this stage; waiting for what it makes");
            if self.told.insert(format!("{name}: {message}")) {
                self.reporter(name).info(message);
            }
            return Ok(());
        }
        // It may be done since it was looked for.
        if let Some(outputs) = self.made(flight)? {
            let done = Finished::done(flight.node, StageOutcome::Hit, flight.key, outputs);
            self.land(flight, done);
            return Ok(());
        }
        let path = flight.folder.job();
        write(&path, &flight.job.encode()).map_err(|source| io_error(&path, source))?;
        flight.read_parts();
        Ok(())
    }

    /// What the remote has of a flight's stage.
    fn made(&self, flight: &Flight) -> Result<Option<Outputs>, StageError> {
        let environment = &self.cluster.environment;
        environment.store.look_again(&flight.key);
        let node = self.scheduler.plan().node(flight.node);
        Ok(match known(node, &flight.inputs, None, environment)? {
            Known::Hit(outputs) => Some(outputs),
            Known::Open(_) | Known::NotNeeded => None,
        })
    }

    /// All jobs of a flight are done: takes in what they made.
    fn gather(&mut self, flight: &mut Flight) -> Result<(), StageError> {
        let store = self.cluster.environment.store;
        let (mut rows, mut devices) = (Segments::new(), BTreeSet::new());
        for track in flight.parts.values() {
            if let TrackState::Done(end) = &track.state {
                devices.insert(end.device_description.clone());
                for (bucket, segments) in &end.rows {
                    rows.entry(bucket.clone()).or_default().extend(segments);
                }
            }
        }
        if flight.shards.is_some() {
            if store.take_segments(&rows)? == 0 {
                store.merge_lists(&rows, false);
                flight.is_over = true;
                flight.is_home = true;
                let devices: Vec<String> = devices.into_iter().collect();
                self.scheduler.come_home(flight.place, devices.join(", "));
                return Ok(());
            }
        } else if let Some(outputs) = self.made(flight)? {
            store.merge_lists(&rows, false);
            let done = Finished::done(flight.node, StageOutcome::Ran, flight.key, outputs);
            self.land(flight, done);
            return Ok(());
        }
        // A file server may show new files late.
        let since = *flight.unseen.get_or_insert_with(Instant::now);
        if since.elapsed() >= self.cluster.lost_after() {
            flight.unseen = None;
            let shards: Vec<Option<Shard>> = flight.parts.keys().copied().collect();
            for shard in shards {
                let why = "it says that it is done, and what it made is not in the remote";
                if let Verdict::Fails(error) = self.lost(flight, shard, false, why) {
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Gives a flight back to the scheduler; it goes on no more.
    fn land(&self, flight: &mut Flight, finished: Finished) {
        if finished.outcome.is_done() {
            self.tidy(flight);
        } else if let Some(coordinator) = &self.coordinator {
            coordinator.release(&flight.folder);
        }
        flight.is_over = true;
        let environment = &self.cluster.environment;
        self.scheduler
            .back(flight.place, finished, &flight.watch, environment);
    }

    /// Removes what lies there of those stages whose last step is done.
    fn tidy_home(&mut self) {
        let store = self.cluster.environment.store;
        let home = std::mem::take(&mut self.home);
        let (done, home) = home
            .into_iter()
            .partition(|flight| store.is_shared(&flight.key));
        self.home = home;
        for flight in &done {
            self.tidy(flight);
        }
    }

    /// Removes what lies there of a stage that is done.
    fn tidy(&self, flight: &Flight) {
        let is_ours = self
            .coordinator
            .as_ref()
            .is_some_and(|coordinator| matches!(coordinator.claim(&flight.folder), Ok(Ok(()))));
        if is_ours {
            // Whatever stays is in nobody's way.
            let _ = std::fs::remove_dir_all(flight.folder.path());
        }
    }
}

/// Rows of an artifact: a line each.
fn lines(store: &Store, digest: &Digest) -> Result<u32, StageError> {
    let bytes = store.object(digest)?.unwrap_or_default();
    let lines = bytes.split(|&byte| byte == b'\n').count() - 1; // each ends with one
    Ok(u32::try_from(lines).unwrap_or(u32::MAX))
}

fn io_error(path: &Path, source: std::io::Error) -> StageError {
    StageError::Io {
        path: path.to_owned(),
        source,
    }
}
