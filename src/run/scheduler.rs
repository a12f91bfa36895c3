//! Which stages wait, run and are over: workers take the next one from here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::clock::Stopwatch;
use super::one::{Finished, lacks_input, run_node, tell_end};
use crate::artifact::ArtifactKind;
use crate::event::{Reporter, StageOutcome};
use crate::key::Digest;
use crate::plan::{NodeId, Plan};
use crate::stage::{Environment, Inputs};

/// What to do when a stage fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Policy {
    /// Run nothing more.
    #[default]
    FailFast,
    /// Run what does not depend on it.
    KeepGoing,
}

/// The scheduler of a run, over its stages in order.
pub(super) struct Scheduler<'a> {
    plan: &'a Plan,
    nodes: &'a [NodeId],
    policy: Policy,
    /// By place in `nodes`, its inputs that are among the nodes: the others it can do without.
    inputs: Vec<Vec<Input>>,
    /// By place, the places that wait for it, once for each input.
    readers: Vec<Vec<usize>>,
    state: Mutex<SchedulerState>,
    changed: Condvar,
}

struct Input {
    /// Where it comes in; `None` for the decision that the stage waits for.
    port: Option<String>,
    /// Whether the stage does without it where it is not needed.
    partial: bool,
    from: usize,
    output: &'static str,
}

/// How far the stages are, by their places in `nodes`.
struct SchedulerState {
    states: Vec<StageState>,
    /// Those that nobody has taken.
    waiting: BTreeSet<usize>,
    /// Those of them whose inputs are over.
    ready: BTreeSet<usize>,
    /// How many inputs of each are not over.
    open: Vec<usize>,
    under_way: usize,
    /// Whether one failed, or was skipped.
    any_lost: bool,
    /// Those that went back behind the stages that make their inputs.
    requeued: BTreeSet<usize>,
}

enum StageState {
    Open,
    Over(Box<Finished>),
}

/// What a worker is to do.
enum Task {
    Run(usize, Inputs, Option<Digest>),
    Skip(usize),
    LeaveOut(usize),
}

impl<'a> Scheduler<'a> {
    /// `nodes` come each after its inputs.
    pub(super) fn new(plan: &'a Plan, nodes: &'a [NodeId], policy: Policy) -> Self {
        let places: BTreeMap<NodeId, usize> = nodes.iter().copied().zip(0..).collect();
        let mut inputs: Vec<Vec<Input>> = Vec::new();
        let mut readers = vec![Vec::new(); nodes.len()];
        for (place, node) in nodes.iter().enumerate() {
            let mut of_node = Vec::new();
            for (port, (from, output)) in plan.inputs(*node) {
                if let Some(&from) = places.get(&from) {
                    readers[from].push(place);
                    of_node.push(Input {
                        partial: plan.does_without(*node, &port),
                        port: Some(port),
                        from,
                        output,
                    });
                }
            }
            if let Some(gate) = plan.gate(*node)
                && let Some(&from) = places.get(&gate)
                && let Some(output) = plan.node(gate).kind.output(ArtifactKind::Decision)
            {
                readers[from].push(place);
                of_node.push(Input {
                    port: None,
                    partial: false,
                    from,
                    output: output.name,
                });
            }
            inputs.push(of_node);
        }
        let open: Vec<usize> = inputs.iter().map(Vec::len).collect();
        let state = SchedulerState {
            states: nodes.iter().map(|_| StageState::Open).collect(),
            waiting: (0..nodes.len()).collect(),
            ready: (0..nodes.len()).filter(|&place| open[place] == 0).collect(),
            open,
            under_way: 0,
            any_lost: false,
            requeued: BTreeSet::new(),
        };
        Self {
            plan,
            nodes,
            policy,
            inputs,
            readers,
            state: Mutex::new(state),
            changed: Condvar::new(),
        }
    }

    /// Takes stages until none is left.
    pub(super) fn work(&self, environment: &Environment<'_>) {
        while let Some(task) = self.take(environment) {
            let watch = Stopwatch::start();
            let (place, finished) = match task {
                Task::Skip(place) => (place, Finished::skipped(self.nodes[place])),
                Task::LeaveOut(place) => (place, Finished::not_needed(self.nodes[place])),
                Task::Run(place, inputs, gate) => {
                    let (id, gate) = (self.nodes[place], gate.as_ref());
                    let node = self.plan.node(id);
                    (place, run_node(node, id, &inputs, gate, environment))
                }
            };
            if lacks_input(&finished) && self.make_inputs_again(place, environment) {
                continue;
            }
            tell_end(
                self.plan.node(self.nodes[place]),
                &finished,
                &watch,
                environment,
            );
            self.finish(place, finished);
        }
    }

    /// Puts a stage whose inputs were damaged behind those that make them, which look again what is there. Once for each
    /// stage: what is damaged again at once is the disk's or another process's doing.
    fn make_inputs_again(&self, place: usize, environment: &Environment<'_>) -> bool {
        let mut state = self.state();
        if !state.requeued.insert(place) {
            return false;
        }
        for input in &self.inputs[place] {
            // Somebody else may have put it back already.
            if matches!(state.states[input.from], StageState::Open) {
                continue;
            }
            state.states[input.from] = StageState::Open;
            for &reader in &self.readers[input.from] {
                state.open[reader] += 1;
                state.ready.remove(&reader);
            }
            state.enqueue(input.from);
        }
        state.under_way -= 1;
        state.enqueue(place);
        drop(state);
        self.changed.notify_all();
        let name = self.plan.node(self.nodes[place]).name();
        Reporter::new(name, environment.observer)
            .warn("an input is gone from the store, or damaged; it is made again");
        true
    }

    /// The first stage whose inputs are there, or cannot come; waits while there may be one.
    fn take(&self, environment: &Environment<'_>) -> Option<Task> {
        let mut state = self.state();
        loop {
            let stop = environment.cancel.is_cancelled()
                || self.policy == Policy::FailFast && state.any_lost;
            let next = if stop {
                // Taken one by one all the same, so that the end of every stage is told.
                state.waiting.first().map(|&place| Task::Skip(place))
            } else {
                let ready = state.ready.first();
                ready.map(|&place| self.task(&state.states, place))
            };
            if let Some(task) = next {
                let (Task::Run(place, ..) | Task::Skip(place) | Task::LeaveOut(place)) = task;
                state.waiting.remove(&place);
                state.ready.remove(&place);
                state.under_way += 1;
                return Some(task);
            }
            // Nothing runs whose end could make another ready.
            if state.under_way == 0 {
                return None;
            }
            // Without a time limit: a signal wakes nobody here, but the stage under way sees it, and its end does.
            let woken = self.changed.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// What is to be done with a stage whose inputs are over.
    fn task(&self, states: &[StageState], place: usize) -> Task {
        let (mut inputs, mut gate) = (Inputs::new(), None);
        let mut not_needed = false;
        for input in &self.inputs[place] {
            let StageState::Over(finished) = &states[input.from] else {
                return Task::Skip(place);
            };
            if finished.is_lost() {
                return Task::Skip(place);
            }
            if finished.outcome == StageOutcome::NotNeeded {
                not_needed |= !input.partial;
                continue;
            }
            let digest = finished.outputs.get(input.output).copied();
            match &input.port {
                Some(port) => inputs.extend(digest.map(|digest| (port.clone(), digest))),
                None => gate = digest,
            }
        }
        if not_needed {
            Task::LeaveOut(place)
        } else {
            Task::Run(place, inputs, gate)
        }
    }

    fn finish(&self, place: usize, finished: Finished) {
        let mut state = self.state();
        state.under_way -= 1;
        state.any_lost |= finished.is_lost();
        state.states[place] = StageState::Over(Box::new(finished));
        for &reader in &self.readers[place] {
            state.open[reader] -= 1;
            // One that was skipped when the run stopped waits no longer, though its inputs went on to their end.
            if state.open[reader] == 0 && state.waiting.contains(&reader) {
                state.ready.insert(reader);
            }
        }
        drop(state);
        self.changed.notify_all();
    }

    /// How every stage went, in order.
    pub(super) fn finished(self) -> Vec<Finished> {
        let state = self.state.into_inner();
        let state = state.unwrap_or_else(PoisonError::into_inner);
        let over = state
            .states
            .into_iter()
            .zip(self.nodes)
            .map(|(state, node)| match state {
                StageState::Over(finished) => *finished,
                StageState::Open => Finished::skipped(*node),
            });
        over.collect()
    }

    fn state(&self) -> MutexGuard<'_, SchedulerState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SchedulerState {
    /// Leaves a stage to whoever takes it, once its inputs are over.
    fn enqueue(&mut self, place: usize) {
        self.waiting.insert(place);
        if self.open[place] == 0 {
            self.ready.insert(place);
        }
    }
}
