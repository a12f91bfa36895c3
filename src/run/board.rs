//! What is to do, under way and done, for workers that take from it.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::clock::Stopwatch;
use super::executor::{Finished, Policy, run_node, tell_end};
use crate::plan::{NodeId, Plan};
use crate::stage::{Environment, Inputs};

/// The stages of a run, in order.
pub(super) struct Board<'a> {
    plan: &'a Plan,
    nodes: &'a [NodeId],
    policy: Policy,
    /// By place in `nodes`.
    states: Mutex<Vec<State>>,
    changed: Condvar,
}

enum State {
    Waiting,
    UnderWay,
    Over(Box<Finished>),
}

/// What a worker is to do.
enum Task {
    Run(usize, Inputs),
    Skip(usize),
}

impl<'a> Board<'a> {
    /// `nodes` come each after its inputs.
    pub(super) fn new(plan: &'a Plan, nodes: &'a [NodeId], policy: Policy) -> Self {
        Self {
            plan,
            nodes,
            policy,
            states: Mutex::new(nodes.iter().map(|_| State::Waiting).collect()),
            changed: Condvar::new(),
        }
    }

    /// Takes stages until none is left.
    pub(super) fn work(&self, environment: &Environment<'_>) {
        while let Some(task) = self.take(environment) {
            let watch = Stopwatch::start();
            let (place, finished) = match task {
                Task::Skip(place) => (place, Finished::skipped(self.nodes[place])),
                Task::Run(place, inputs) => {
                    let id = self.nodes[place];
                    (
                        place,
                        run_node(self.plan.node(id), id, &inputs, environment),
                    )
                }
            };
            tell_end(
                self.plan.node(self.nodes[place]),
                &finished,
                &watch,
                environment,
            );
            self.states()[place] = State::Over(Box::new(finished));
            self.changed.notify_all();
        }
    }

    /// The first stage whose inputs are there, or cannot come; waits while there may be one.
    fn take(&self, environment: &Environment<'_>) -> Option<Task> {
        let mut states = self.states();
        loop {
            let stop = environment.cancel.is_cancelled()
                || self.policy == Policy::FailFast && states.iter().any(State::is_lost);
            let next = (0..states.len()).find_map(|place| self.task(&states, place, stop));
            if let Some(task) = next {
                let (Task::Run(place, _) | Task::Skip(place)) = task;
                states[place] = State::UnderWay;
                return Some(task);
            }
            if !states.iter().any(|state| matches!(state, State::UnderWay)) {
                return None;
            }
            let woken = self.changed.wait(states);
            states = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// What is to be done with a stage now, if anything.
    fn task(&self, states: &[State], place: usize, stop: bool) -> Option<Task> {
        if !matches!(states[place], State::Waiting) {
            return None;
        }
        if stop {
            return Some(Task::Skip(place));
        }
        let mut inputs = Inputs::new();
        for (port, (from, output)) in self.plan.inputs(self.nodes[place]) {
            // An input that is not among the nodes is one that the stage can do without.
            let Some(from) = self.nodes.iter().position(|node| *node == from) else {
                continue;
            };
            match &states[from] {
                State::Over(finished) if finished.is_lost() => return Some(Task::Skip(place)),
                State::Over(finished) => {
                    let digest = finished.outputs.get(output);
                    inputs.extend(digest.map(|digest| (port.to_owned(), *digest)));
                }
                State::Waiting | State::UnderWay => return None,
            }
        }
        Some(Task::Run(place, inputs))
    }

    /// How every stage went, in order.
    pub(super) fn finished(self) -> Vec<Finished> {
        let states = self.states.into_inner();
        let states = states.unwrap_or_else(PoisonError::into_inner);
        let over = states
            .into_iter()
            .zip(self.nodes)
            .map(|(state, node)| match state {
                State::Over(finished) => *finished,
                State::Waiting | State::UnderWay => Finished::skipped(*node),
            });
        over.collect()
    }

    fn states(&self) -> MutexGuard<'_, Vec<State>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_lost(&self) -> bool {
        matches!(self, Self::Over(finished) if finished.is_lost())
    }
}

impl Finished {
    /// Whether nothing can follow it.
    fn is_lost(&self) -> bool {
        !self.outcome.is_done()
    }
}
