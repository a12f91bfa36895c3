//! One stage: what the store has of it, or what it makes.

use serde_json::Value;

use super::clock::Stopwatch;
use super::provenance::provenance;
use crate::artifact::Artifact;
use crate::event::{RunEvent, StageOutcome};
use crate::guard::catch;
use crate::key::{Digest, Recipe, StageKey};
use crate::metric::Decision;
use crate::plan::{Node, NodeId, recipe};
use crate::stage::{Context, Environment, Inputs, Outputs, StageError, WARNINGS};
use crate::store::{StageResult, StoreError};

/// How one stage went.
#[derive(Debug)]
pub(crate) struct Finished {
    /// The stage.
    pub node: NodeId,
    /// How it went.
    pub outcome: StageOutcome,
    /// Its outputs, where it left any.
    pub outputs: Outputs,
    /// Its key, once known.
    pub key: Option<StageKey>,
    /// Why it failed.
    pub error: Option<StageError>,
}

impl Finished {
    /// Whether it should have run to its end, and has not.
    pub(super) fn is_lost(&self) -> bool {
        !self.outcome.is_done() && self.outcome != StageOutcome::NotNeeded
    }

    /// Done, with these outputs.
    pub(super) fn done(
        node: NodeId,
        outcome: StageOutcome,
        key: StageKey,
        outputs: Outputs,
    ) -> Self {
        Self {
            outputs,
            key: Some(key),
            ..Self::without_outputs(node, outcome)
        }
    }

    pub(super) fn failed(node: NodeId, error: StageError) -> Self {
        Self {
            error: Some(error),
            ..Self::without_outputs(node, StageOutcome::Failed)
        }
    }

    pub(super) fn interrupted(node: NodeId) -> Self {
        Self::without_outputs(node, StageOutcome::Interrupted)
    }

    pub(super) fn skipped(node: NodeId) -> Self {
        Self::without_outputs(node, StageOutcome::Skipped)
    }

    pub(super) fn not_needed(node: NodeId) -> Self {
        Self::without_outputs(node, StageOutcome::NotNeeded)
    }

    fn without_outputs(node: NodeId, outcome: StageOutcome) -> Self {
        Self {
            node,
            outcome,
            outputs: Outputs::new(),
            key: None,
            error: None,
        }
    }
}

/// What is known of a stage before it runs.
pub(super) enum Known {
    NotNeeded,
    Hit(Outputs),
    /// It is to be run.
    Open(Box<Recipe>),
}

/// What is known of a stage whose inputs are there; nothing is run.
pub(super) fn known(
    node: &Node,
    inputs: &Inputs,
    gate: Option<&Digest>,
    environment: &Environment<'_>,
) -> Result<Known, StageError> {
    let look = || {
        if let Some(gate) = gate
            && !decision(gate, environment)?.go_on
        {
            return Ok(Known::NotNeeded);
        }
        let context = environment.context(node.name(), node.seed, inputs);
        let recipe = recipe(node, inputs, &context)?;
        Ok(match stored(&recipe.key(), &context)? {
            Some(outputs) => Known::Hit(outputs),
            None => Known::Open(Box::new(recipe)),
        })
    };
    catch(look).unwrap_or_else(|panic| Err(StageError::Panic(panic)))
}

pub(super) fn run_node(
    node: &Node,
    id: NodeId,
    inputs: &Inputs,
    gate: Option<&Digest>,
    environment: &Environment<'_>,
) -> Finished {
    let mut finished = Finished::skipped(id);
    // Whatever one stage does, the others run.
    let done = catch(|| {
        if let Some(gate) = gate
            && !decision(gate, environment)?.go_on
        {
            return Ok((StageOutcome::NotNeeded, Outputs::new()));
        }
        hit_or_run(node, inputs, environment, &mut finished.key)
    });
    match done.unwrap_or_else(|panic| Err(StageError::Panic(panic))) {
        Ok((outcome, outputs)) => {
            finished.outcome = outcome;
            finished.outputs = outputs;
        }
        Err(StageError::Cancelled) => finished.outcome = StageOutcome::Interrupted,
        Err(error) => {
            finished.outcome = StageOutcome::Failed;
            finished.error = Some(error);
        }
    }
    finished
}

/// The decision that a stage waits for.
fn decision(gate: &Digest, environment: &Environment<'_>) -> Result<Decision, StageError> {
    let bytes = environment.store.object(gate)?;
    let bytes = bytes.ok_or(StoreError::MissingObject(*gate))?;
    Ok(Decision::decode(&bytes)?)
}

/// How often a stage is run whose outside files turn out to be others than those in its key.
const TRIES: usize = 2;

fn hit_or_run(
    node: &Node,
    inputs: &Inputs,
    environment: &Environment<'_>,
    known_key: &mut Option<StageKey>,
) -> Result<(StageOutcome, Outputs), StageError> {
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
) -> Result<Option<(StageOutcome, Outputs)>, StageError> {
    let store = environment.store;
    let mut context = environment.context(node.name(), node.seed, inputs);
    let recipe = recipe(node, inputs, &context)?;
    let key = recipe.key();
    *known_key = Some(key);
    if let Some(outputs) = stored(&key, &context)? {
        tracing::debug!(stage = node.name(), %key, "hit");
        return Ok(Some((StageOutcome::Hit, outputs)));
    }
    tracing::debug!(stage = node.name(), %key, recipe = recipe.canonical(), "miss");
    // Another worker or process on this store may be at the same work: wait for it, then look again.
    let mut waiting = |holder: &str| {
        let message = format!("{holder} is at this stage's work; waiting for it");
        context.report.info(message);
    };
    let lock = store.lock_stage(&key, &mut waiting, environment.cancel)?;
    let _lock = lock.ok_or(StageError::Cancelled)?;
    if let Some(outputs) = stored(&key, &context)? {
        return Ok(Some((StageOutcome::Hit, outputs)));
    }
    environment.observer.event(&RunEvent::StageStarted {
        stage: node.name().to_owned(),
        kind: node.kind.name().to_owned(),
    });
    let watch = Stopwatch::start();
    // Only now: by its key a stage finds its work folder, which is its own as long as the lock is held.
    context.key = Some(key);
    let outputs = node.kind.run(&node.params, &context)?;
    if !read_what_the_key_says(node, &recipe, &context)? {
        return Ok(None);
    }
    if environment.shard.is_some() {
        // Its rows are what it is for. What else it made is of a part of the questions, and under nobody's key.
        return Ok(Some((StageOutcome::Ran, Outputs::new())));
    }
    let result = StageResult {
        key,
        recipe,
        outputs,
        provenance: provenance(node, environment.options, &watch, context.recorded_use()),
        stage: node.name().to_owned(),
    };
    // In this order: a kill in between leaves checkpoints that nobody needs, not a stage that lost its own.
    store.put_result(&result)?;
    store.drop_work_dir(&key)?;
    Ok(Some((StageOutcome::Ran, result.outputs)))
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

/// What is in the store under `key`, and the warnings that are told with it each time.
fn stored(key: &StageKey, context: &Context<'_>) -> Result<Option<Outputs>, StageError> {
    let Some(result) = context.store.result(key)? else {
        return Ok(None);
    };
    if !context.store.missing_outputs(&result)?.is_empty() {
        return Ok(None);
    }
    let warnings = result.provenance["use"][WARNINGS].as_array();
    for warning in warnings.into_iter().flatten().filter_map(Value::as_str) {
        context.report.warn(warning);
    }
    Ok(Some(result.outputs))
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
