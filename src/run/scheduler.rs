//! Which stages wait, run and are over: workers take the next one from here. Some go away, to be carried out elsewhere; such a
//! stage may come home for its last step.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::clock::Stopwatch;
use super::one::{Finished, lacks_input, run_node, tell_end};
use crate::artifact::ArtifactKind;
use crate::event::{Observer, Reporter, RunEvent, StageOutcome};
use crate::key::Digest;
use crate::plan::{Node, NodeId, Plan};
use crate::stage::{Environment, Inputs, RunOptions};

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
pub(crate) struct Scheduler<'a> {
    plan: &'a Plan,
    nodes: &'a [NodeId],
    policy: Policy,
    /// By place in `nodes`, its inputs that are among the nodes: the others it can do without.
    inputs: Vec<Vec<Input>>,
    /// By place, the places that wait for it, once for each input.
    readers: Vec<Vec<usize>>,
    /// By place, whether it goes away.
    away: Vec<bool>,
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
    /// Those of them whose inputs are over, and that are carried out here.
    ready: BTreeSet<usize>,
    /// Those that go away.
    ready_away: BTreeSet<usize>,
    /// Those that came home: what is left of them is done here; with the devices that did the rest.
    home: BTreeMap<usize, String>,
    /// How many inputs of each are not over.
    open: Vec<usize>,
    under_way: usize,
    /// How many of those are away.
    out: usize,
    /// Whether nobody takes stages away any more.
    is_left: bool,
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
pub(super) enum Task {
    Run(usize, Inputs, Option<Digest>),
    Skip(usize),
    LeaveOut(usize),
}

impl<'a> Scheduler<'a> {
    /// `nodes` come each after its inputs.
    pub(super) fn new(
        plan: &'a Plan,
        nodes: &'a [NodeId],
        policy: Policy,
        goes_away: &dyn Fn(NodeId) -> bool,
    ) -> Self {
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
        let away: Vec<bool> = nodes.iter().map(|&node| goes_away(node)).collect();
        let ready = |is_away| {
            let ready =
                (0..nodes.len()).filter(|&place| open[place] == 0 && away[place] == is_away);
            ready.collect::<BTreeSet<usize>>()
        };
        let state = SchedulerState {
            states: nodes.iter().map(|_| StageState::Open).collect(),
            waiting: (0..nodes.len()).collect(),
            ready: ready(false),
            ready_away: ready(true),
            home: BTreeMap::new(),
            open,
            under_way: 0,
            out: 0,
            is_left: false,
            any_lost: false,
            requeued: BTreeSet::new(),
        };
        Self {
            plan,
            nodes,
            policy,
            inputs,
            readers,
            away,
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
                    let home = self.state().home.get(&place).cloned();
                    (
                        place,
                        match home {
                            None => run_node(node, id, &inputs, gate, environment),
                            Some(devices) => finish_here(node, id, &inputs, devices, environment),
                        },
                    )
                }
            };
            if lacks_input(&finished) && self.make_inputs_again(place, environment) {
                self.state().under_way -= 1;
                self.changed.notify_all();
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
    /// The stage stays under way until its worker says that it has let go of it.
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
                state.ready_away.remove(&reader);
            }
            state.home.remove(&input.from);
            self.enqueue(&mut state, input.from);
        }
        state.home.remove(&place);
        self.enqueue(&mut state, place);
        drop(state);
        let name = self.plan.node(self.nodes[place]).name();
        Reporter::new(name, environment.observer)
            .warn("an input is gone from the store, or damaged; it is made again");
        true
    }

    /// The first stage whose inputs are there, or cannot come; waits while there may be one.
    fn take(&self, environment: &Environment<'_>) -> Option<Task> {
        let mut state = self.state();
        loop {
            let next = if self.stops(&state, environment) {
                // Taken one by one all the same, so that the end of every stage is told.
                state.waiting.first().map(|&place| Task::Skip(place))
            } else {
                let left = state.ready_away.first().filter(|_| state.is_left);
                match (state.ready.first(), left) {
                    (Some(&place), _) => Some(self.task(&state.states, place)),
                    (None, Some(&place)) => Some(Task::Skip(place)),
                    (None, None) => None,
                }
            };
            if let Some(task) = next {
                let (Task::Run(place, ..) | Task::Skip(place) | Task::LeaveOut(place)) = task;
                state.taken(place);
                return Some(task);
            }
            // Nothing runs, nor is about to, whose end could make another ready.
            if state.under_way == 0 && state.ready_away.is_empty() {
                return None;
            }
            // Without a time limit: a signal wakes nobody here, but the stage under way sees it, and its end does. Who looks
            // after those that are away sees it too.
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
                self.make_ready(&mut state, reader);
            }
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Whether nothing more is to be begun.
    fn stops(&self, state: &SchedulerState, environment: &Environment<'_>) -> bool {
        environment.cancel.is_cancelled() || self.policy == Policy::FailFast && state.any_lost
    }

    /// The same, for whoever has stages away.
    pub(super) fn is_stopping(&self, environment: &Environment<'_>) -> bool {
        self.stops(&self.state(), environment)
    }

    /// Those stages that are ready to go away, each with what is to be done with it; none where nothing more is to be begun.
    pub(super) fn take_away(&self, environment: &Environment<'_>) -> Vec<Task> {
        let mut state = self.state();
        if self.stops(&state, environment) {
            return Vec::new();
        }
        let places: Vec<usize> = state.ready_away.iter().copied().collect();
        let mut tasks = Vec::with_capacity(places.len());
        for place in places {
            tasks.push(self.task(&state.states, place));
            state.taken(place);
            state.out += 1;
        }
        tasks
    }

    /// Nobody takes stages away any more: those that should go are left out.
    pub(super) fn leave(&self) {
        self.state().is_left = true;
        self.changed.notify_all();
    }

    /// The stage of a place.
    pub(super) fn node(&self, place: usize) -> NodeId {
        self.nodes[place]
    }

    /// The plan that it is of.
    pub(super) fn plan(&self) -> &'a Plan {
        self.plan
    }

    /// A stage that was away is over.
    pub(super) fn back(
        &self,
        place: usize,
        finished: Finished,
        watch: &Stopwatch,
        environment: &Environment<'_>,
    ) {
        if lacks_input(&finished) && self.make_inputs_again(place, environment) {
            let mut state = self.state();
            state.under_way -= 1;
            state.out -= 1;
            drop(state);
            self.changed.notify_all();
            return;
        }
        tell_end(
            self.plan.node(self.nodes[place]),
            &finished,
            watch,
            environment,
        );
        self.state().out -= 1;
        self.finish(place, finished);
    }

    /// Of a stage that was away only that is left to do which is done here.
    pub(super) fn come_home(&self, place: usize, devices: String) {
        let mut state = self.state();
        state.out -= 1;
        state.under_way -= 1;
        state.home.insert(place, devices);
        self.enqueue(&mut state, place);
        drop(state);
        self.changed.notify_all();
    }

    /// Whether every stage is over.
    pub(super) fn is_over(&self) -> bool {
        let state = self.state();
        state.waiting.is_empty() && state.under_way == 0
    }

    /// Whether nothing goes on here, so that only the end of what is away can bring more to do.
    pub(super) fn is_quiet_here(&self) -> bool {
        let state = self.state();
        state.ready.is_empty() && state.ready_away.is_empty() && state.under_way == state.out
    }

    /// Waits until something has changed, but no longer than `most`.
    pub(super) fn wait(&self, most: Duration) {
        let waited = self.changed.wait_timeout(self.state(), most);
        drop(waited);
    }

    /// Leaves a stage to whoever takes it, once its inputs are over.
    fn enqueue(&self, state: &mut SchedulerState, place: usize) {
        state.waiting.insert(place);
        if state.open[place] == 0 {
            self.make_ready(state, place);
        }
    }

    fn make_ready(&self, state: &mut SchedulerState, place: usize) {
        if self.away[place] && !state.home.contains_key(&place) {
            state.ready_away.insert(place);
        } else {
            state.ready.insert(place);
        }
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
    /// A worker has it now.
    fn taken(&mut self, place: usize) {
        self.waiting.remove(&place);
        self.ready.remove(&place);
        self.ready_away.remove(&place);
        self.under_way += 1;
    }
}

/// Does the last step of a stage that was away, on these devices.
fn finish_here(
    node: &Node,
    id: NodeId,
    inputs: &Inputs,
    devices: String,
    environment: &Environment<'_>,
) -> Finished {
    let options = RunOptions {
        device_description: devices,
        ..environment.options.clone()
    };
    let environment = Environment {
        observer: &AlreadyStarted(environment.observer),
        options: &options,
        ..*environment
    };
    // The decision that it waited for was taken before it went away.
    run_node(node, id, inputs, None, &environment)
}

/// Who listens to a stage that was said to have started when it went away.
struct AlreadyStarted<'a>(&'a dyn Observer);

impl Observer for AlreadyStarted<'_> {
    fn event(&self, event: &RunEvent) {
        if !matches!(event, RunEvent::StageStarted { .. }) {
            self.0.event(event);
        }
    }
}
