//! Runs what is not in the store, each stage after its inputs.

use std::collections::BTreeMap;
use std::time::Duration;

use super::clock::Stopwatch;
use super::one::Finished;
use super::scheduler::{Policy, Scheduler};
use super::worker::Worker;
use crate::event::{CancelToken, StageOutcome};
use crate::plan::{NodeId, Plan};
use crate::stage::Outputs;

/// How a run went.
#[derive(Debug, Default)]
pub(crate) struct Execution {
    /// Every stage, in order.
    pub stages: Vec<Finished>,
    /// Whether somebody asked to stop.
    pub interrupted: bool,
    /// How long it took.
    pub elapsed: Duration,
    /// The places in `stages`.
    places: BTreeMap<NodeId, usize>,
}

impl Execution {
    /// How many stages went so.
    pub(crate) fn count(&self, outcome: StageOutcome) -> usize {
        self.stages
            .iter()
            .filter(|stage| stage.outcome == outcome)
            .count()
    }

    /// How a stage went, if it was to be carried out.
    pub(crate) fn finished(&self, node: NodeId) -> Option<&Finished> {
        self.places.get(&node).map(|&place| &self.stages[place])
    }

    /// A stage's outputs.
    pub(crate) fn outputs(&self, node: NodeId) -> Option<&Outputs> {
        self.finished(node)
            .filter(|stage| stage.outcome.is_done())
            .map(|stage| &stage.outputs)
    }
}

/// Carries out `nodes`, which come each after its inputs, by `workers`, until somebody asks to stop by `cancel`.
pub(crate) fn execute(
    plan: &Plan,
    nodes: &[NodeId],
    workers: &[&dyn Worker],
    policy: Policy,
    cancel: &CancelToken,
) -> Execution {
    let watch = Stopwatch::start();
    let goes_away = |node: NodeId| {
        let mut away = workers.iter().filter(|worker| worker.is_away());
        away.any(|worker| worker.takes(plan.node(node)))
    };
    let scheduler = Scheduler::new(plan, nodes, policy, &goes_away);
    match workers {
        [worker] => worker.work(&scheduler),
        workers => std::thread::scope(|scope| {
            for worker in workers {
                scope.spawn(|| worker.work(&scheduler));
            }
        }),
    }
    let mut execution = Execution {
        stages: scheduler.finished(),
        places: nodes.iter().copied().zip(0..).collect(),
        ..Execution::default()
    };
    let left = execution.count(StageOutcome::Skipped) + execution.count(StageOutcome::Interrupted);
    // A failure says more than a signal, and a signal after the last stage stopped nothing.
    // What runs elsewhere may be interrupted there.
    let stopped = cancel.is_cancelled() || execution.count(StageOutcome::Interrupted) > 0;
    execution.interrupted = stopped && execution.count(StageOutcome::Failed) == 0 && left > 0;
    execution.elapsed = watch.elapsed();
    execution
}
