//! Runs what is not in the store, each stage after its inputs.

use std::time::Duration;

use super::board::Board;
use super::clock::Stopwatch;
use super::provenance::provenance;
use crate::event::{Outcome, RunEvent};
use crate::key::StageKey;
use crate::plan::{Node, NodeId, Plan, recipe};
use crate::stage::{Environment, Inputs, Outputs, StageError};
use crate::store::StageResult;

/// What to do when a stage fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Policy {
    /// Run nothing more.
    #[default]
    FailFast,
    /// Run what does not depend on it.
    KeepGoing,
}

/// How one stage went.
#[derive(Debug)]
pub struct Finished {
    /// The stage.
    pub node: NodeId,
    /// How it went.
    pub outcome: Outcome,
    /// Its outputs, where it left any.
    pub outputs: Outputs,
    /// Its key, once known.
    pub key: Option<StageKey>,
    /// Why it failed.
    pub error: Option<StageError>,
}

/// How a run went.
#[derive(Debug, Default)]
pub struct Execution {
    /// Every stage, in order.
    pub stages: Vec<Finished>,
    /// Whether somebody asked to stop.
    pub interrupted: bool,
    /// How long it took.
    pub elapsed: Duration,
}

impl Execution {
    /// How many stages went so.
    pub fn count(&self, outcome: Outcome) -> usize {
        self.stages
            .iter()
            .filter(|stage| stage.outcome == outcome)
            .count()
    }

    /// A stage's outputs.
    pub fn outputs(&self, node: NodeId) -> Option<&Outputs> {
        self.stages
            .iter()
            .find(|stage| stage.node == node && stage.outcome.is_done())
            .map(|stage| &stage.outputs)
    }
}

/// Carries out `nodes`, which come each after its inputs: one at a time in each of `environments`, which differ in
/// where models run.
pub fn execute(
    plan: &Plan,
    nodes: &[NodeId],
    environments: &[Environment<'_>],
    policy: Policy,
) -> Execution {
    let watch = Stopwatch::start();
    let board = Board::new(plan, nodes, policy);
    match environments {
        [environment] => board.work(environment),
        environments => std::thread::scope(|scope| {
            for environment in environments {
                scope.spawn(|| board.work(environment));
            }
        }),
    }
    let mut execution = Execution {
        stages: board.finished(),
        ..Execution::default()
    };
    let cancelled = environments
        .iter()
        .any(|environment| environment.cancel.is_cancelled());
    let left = execution.count(Outcome::Skipped) + execution.count(Outcome::Interrupted);
    execution.interrupted = cancelled && execution.count(Outcome::Failed) == 0 && left > 0;
    execution.elapsed = watch.elapsed();
    execution
}

impl Finished {
    pub(super) fn skipped(node: NodeId) -> Self {
        Self {
            node,
            outcome: Outcome::Skipped,
            outputs: Outputs::new(),
            key: None,
            error: None,
        }
    }
}

pub(super) fn run_node(
    node: &Node,
    id: NodeId,
    inputs: &Inputs,
    environment: &Environment<'_>,
) -> Finished {
    let mut finished = Finished::skipped(id);
    match hit_or_run(node, inputs, environment, &mut finished.key) {
        Ok((outcome, outputs)) => {
            finished.outcome = outcome;
            finished.outputs = outputs;
        }
        Err(StageError::Cancelled) => finished.outcome = Outcome::Interrupted,
        Err(error) => {
            finished.outcome = Outcome::Failed;
            finished.error = Some(error);
        }
    }
    finished
}

fn hit_or_run(
    node: &Node,
    inputs: &Inputs,
    environment: &Environment<'_>,
    known_key: &mut Option<StageKey>,
) -> Result<(Outcome, Outputs), StageError> {
    let store = environment.store;
    let mut context = environment.context(node.name(), node.seed, inputs);
    let recipe = recipe(node, inputs, &context)?;
    let key = recipe.key();
    *known_key = Some(key);
    if let Some(outputs) = stored(&key, environment)? {
        tracing::debug!(stage = node.name(), %key, "hit");
        return Ok((Outcome::Hit, outputs));
    }
    tracing::debug!(stage = node.name(), %key, recipe = recipe.canonical(), "miss");
    // Another worker or process on this store may be at the same work: wait for it, then look again.
    let _guard = store.lock_stage(&key, &mut |holder| {
        let message = format!("{holder} is at this stage's work; waiting for it");
        context.report.info(message);
    })?;
    if let Some(outputs) = stored(&key, environment)? {
        return Ok((Outcome::Hit, outputs));
    }
    environment.observer.event(&RunEvent::StageStarted {
        stage: node.name().to_owned(),
        kind: node.kind.name().to_owned(),
    });
    let watch = Stopwatch::start();
    context.key = Some(key);
    let outputs = node.kind.run(&node.params, &context)?;
    let result = StageResult {
        key,
        recipe,
        outputs,
        provenance: provenance(node, environment.options, &watch, context.recorded_use()),
        stage: node.name().to_owned(),
    };
    store.put_result(&result)?;
    store.drop_work_dir(&key)?;
    Ok((Outcome::Ran, result.outputs))
}

fn stored(key: &StageKey, environment: &Environment<'_>) -> Result<Option<Outputs>, StageError> {
    let Some(result) = environment.store.result(key)? else {
        return Ok(None);
    };
    let whole = environment.store.missing_outputs(&result)?.is_empty();
    Ok(whole.then_some(result.outputs))
}

pub(super) fn tell_end(
    node: &Node,
    finished: &Finished,
    watch: &Stopwatch,
    environment: &Environment<'_>,
) {
    environment.observer.event(&RunEvent::StageFinished {
        stage: node.name().to_owned(),
        outcome: finished.outcome,
        error: finished.error.as_ref().map(ToString::to_string),
        elapsed: watch.elapsed(),
    });
}
