//! Runs what is not in the store, each stage after its inputs.

use std::collections::BTreeMap;
use std::time::Duration;

use super::board::Board;
use super::clock::Stopwatch;
use super::provenance::provenance;
use crate::event::{Outcome, RunEvent};
use crate::guard::catch;
use crate::key::{Recipe, StageKey};
use crate::plan::{Node, NodeId, Plan, recipe};
use crate::stage::{Context, Environment, Inputs, Outputs, StageError};
use crate::store::{StageResult, StoreError};

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
    /// The places in `stages`.
    places: BTreeMap<NodeId, usize>,
}

impl Execution {
    /// How many stages went so.
    pub fn count(&self, outcome: Outcome) -> usize {
        self.stages
            .iter()
            .filter(|stage| stage.outcome == outcome)
            .count()
    }

    /// How a stage went, if it was to be carried out.
    pub fn finished(&self, node: NodeId) -> Option<&Finished> {
        self.places.get(&node).map(|&place| &self.stages[place])
    }

    /// A stage's outputs.
    pub fn outputs(&self, node: NodeId) -> Option<&Outputs> {
        self.finished(node)
            .filter(|stage| stage.outcome.is_done())
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
        places: nodes.iter().copied().zip(0..).collect(),
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
    // Whatever one stage does, the others run.
    let done = catch(|| hit_or_run(node, inputs, environment, &mut finished.key));
    match done.unwrap_or_else(|panic| Err(StageError::Panic(panic))) {
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

/// How often a stage is run whose outside files turn out to be others than those in its key.
const TRIES: usize = 2;

fn hit_or_run(
    node: &Node,
    inputs: &Inputs,
    environment: &Environment<'_>,
    known_key: &mut Option<StageKey>,
) -> Result<(Outcome, Outputs), StageError> {
    for _ in 0..TRIES {
        if let Some(done) = try_once(node, inputs, environment, known_key)? {
            return Ok(done);
        }
    }
    Err(StageError::Invalid(
        "the files that it reads change while they are read\nhint: run again when nobody writes to them".to_owned(),
    ))
}

/// `None` where the stage read other files than its key says, so that what it made does not count.
fn try_once(
    node: &Node,
    inputs: &Inputs,
    environment: &Environment<'_>,
    known_key: &mut Option<StageKey>,
) -> Result<Option<(Outcome, Outputs)>, StageError> {
    let store = environment.store;
    let mut context = environment.context(node.name(), node.seed, inputs);
    let recipe = recipe(node, inputs, &context)?;
    let key = recipe.key();
    *known_key = Some(key);
    if let Some(outputs) = stored(&key, environment)? {
        tracing::debug!(stage = node.name(), %key, "hit");
        return Ok(Some((Outcome::Hit, outputs)));
    }
    tracing::debug!(stage = node.name(), %key, recipe = recipe.canonical(), "miss");
    // Another worker or process on this store may be at the same work: wait for it, then look again.
    let mut waiting = |holder: &str| {
        let message = format!("{holder} is at this stage's work; waiting for it");
        context.report.info(message);
    };
    let lock = store.lock_stage(&key, &mut waiting, environment.cancel)?;
    let _lock = lock.ok_or(StageError::Cancelled)?;
    if let Some(outputs) = stored(&key, environment)? {
        return Ok(Some((Outcome::Hit, outputs)));
    }
    environment.observer.event(&RunEvent::StageStarted {
        stage: node.name().to_owned(),
        kind: node.kind.name().to_owned(),
    });
    let watch = Stopwatch::start();
    context.key = Some(key);
    let outputs = node.kind.run(&node.params, &context)?;
    if !read_what_the_key_says(node, &recipe, &context)? {
        return Ok(None);
    }
    let result = StageResult {
        key,
        recipe,
        outputs,
        provenance: provenance(node, environment.options, &watch, context.recorded_use()),
        stage: node.name().to_owned(),
    };
    store.put_result(&result)?;
    store.drop_work_dir(&key)?;
    Ok(Some((Outcome::Ran, result.outputs)))
}

/// Whether the outside files that the stage has read are those whose digests are in its key, and downloads what came:
/// sizes and times, by which digests are remembered, tell no silent damage. Says so of those that are not.
fn read_what_the_key_says(
    node: &Node,
    recipe: &Recipe,
    context: &Context<'_>,
) -> Result<bool, StageError> {
    let mut all = true;
    for file in node.kind.files(&node.params, context)? {
        let Some(expected) = recipe.files.get(&file.role) else {
            continue;
        };
        // What the stage has digested itself is read again only to be forgotten, where it is not that.
        let same = match context.seen(&file.path) {
            Some(seen) if seen == *expected => true,
            seen => context.store.is_still(&file.path, expected)? && seen.is_none(),
        };
        let sound = context.fetcher.is_sound(&file.path)?;
        if !sound {
            context.report.warn(format!(
                "`{}` is not what was downloaded; it was set aside, and is fetched again",
                file.path.display()
            ));
        } else if !same {
            context.report.warn(format!(
                "`{}` changed though its size and times did not, or while it was read; it is digested and read again",
                file.path.display()
            ));
        }
        all &= same && sound;
    }
    Ok(all)
}

fn stored(key: &StageKey, environment: &Environment<'_>) -> Result<Option<Outputs>, StageError> {
    let Some(result) = environment.store.result(key)? else {
        return Ok(None);
    };
    let whole = environment.store.missing_outputs(&result)?.is_empty();
    Ok(whole.then_some(result.outputs))
}

/// Whether the stage failed because something that comes in is gone from the store, or damaged.
pub(super) fn lacks_input(finished: &Finished) -> bool {
    matches!(
        finished.error,
        Some(StageError::InputGone { .. } | StageError::Store(StoreError::MissingObject(_)))
    )
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
