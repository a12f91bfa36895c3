//! What a run would do at each node, told before anything runs.

use std::collections::BTreeMap;

use super::{NodeId, Plan, recipe};
use crate::artifact::{Artifact, ArtifactKind};
use crate::key::{Difference, Digest, Recipe, StageKey};
use crate::metric::Decision;
use crate::stage::{Environment, Inputs, Outputs, StageError};
use crate::store::StoreError;

/// What a run would do at a node.
#[derive(Clone, PartialEq, Debug)]
pub enum NodeState {
    /// Its outputs are in the store.
    Hit(Outputs),
    /// It would run.
    Miss(MissReason),
    /// Its key is not known before these nodes have run.
    DependsOn(Vec<NodeId>),
    /// Its key is not known before an outside file is here; says which and why not.
    Unfetched(String),
    /// This node decided that it is not needed: a run leaves it out.
    NotNeeded(NodeId),
}

impl NodeState {
    /// Whether a run would do, or may have to do, its work.
    pub fn is_open(&self) -> bool {
        !matches!(self, Self::Hit(_) | Self::NotNeeded(_))
    }
}

/// Why a stage would run.
#[derive(Clone, PartialEq, Debug)]
pub enum MissReason {
    /// No stage of this name and kind ran before.
    New,
    /// The latest run of a stage of this name and kind had another recipe.
    Changed(Vec<Difference>),
    /// It ran before, but these outputs are gone from the store or damaged.
    OutputsGone(Vec<String>),
}

/// A node's state, and its key where that is known.
#[derive(Clone, PartialEq, Debug)]
pub struct Resolved {
    /// The node.
    pub node: NodeId,
    /// Its key.
    pub key: Option<StageKey>,
    /// The recipe that the key digests.
    pub recipe: Option<Recipe>,
    /// What a run would do.
    pub state: NodeState,
    /// Whether it is a hit by what the store's remote has.
    pub remote: bool,
}

/// The state of each of `nodes`, which come each after its inputs.
///
/// # Errors
/// When the store cannot be read.
pub fn resolve(
    plan: &Plan,
    nodes: &[NodeId],
    environment: &Environment<'_>,
) -> Result<Vec<Resolved>, StoreError> {
    let mut known = Known::default();
    let mut resolved = Vec::new();
    for &id in nodes {
        let (recipe, state) = resolve_node(plan, id, &known, environment)?;
        match &state {
            NodeState::Hit(outputs) => {
                known.outputs.insert(id, outputs.clone());
            }
            NodeState::NotNeeded(decision) => {
                known.not_needed.insert(id, *decision);
            }
            _ => {}
        }
        let key = recipe.as_ref().map(Recipe::key);
        let remote = match (&state, &key) {
            (NodeState::Hit(outputs), Some(key)) => {
                let outputs: Vec<Digest> = outputs.values().copied().collect();
                environment.store.is_remote_hit(key, &outputs)
            }
            _ => false,
        };
        resolved.push(Resolved {
            node: id,
            key,
            recipe,
            state,
            remote,
        });
    }
    Ok(resolved)
}

/// What is known of the nodes before.
#[derive(Default)]
struct Known {
    /// What those made that are in the store.
    outputs: BTreeMap<NodeId, Outputs>,
    /// Which decision made those not needed that are not.
    not_needed: BTreeMap<NodeId, NodeId>,
}

fn resolve_node(
    plan: &Plan,
    id: NodeId,
    known: &Known,
    environment: &Environment<'_>,
) -> Result<(Option<Recipe>, NodeState), StoreError> {
    let node = plan.node(id);
    let mut inputs = Inputs::new();
    let mut waiting: Vec<NodeId> = Vec::new();
    if let Some(gate) = plan.gate(id) {
        if let Some(decision) = known.not_needed.get(&gate) {
            return Ok((None, NodeState::NotNeeded(*decision)));
        }
        match decision(plan, gate, &known.outputs, environment)? {
            Some(decision) if !decision.go_on => return Ok((None, NodeState::NotNeeded(gate))),
            Some(_) => {}
            None => waiting.push(gate),
        }
    }
    for (port, (from, output)) in plan.inputs(id) {
        if let Some(decision) = known.not_needed.get(&from) {
            if plan.does_without(id, &port) {
                continue;
            }
            return Ok((None, NodeState::NotNeeded(*decision)));
        }
        let outputs = known.outputs.get(&from);
        match outputs.and_then(|outputs| outputs.get(output)) {
            Some(digest) => {
                inputs.insert(port, *digest);
            }
            None if waiting.contains(&from) => {}
            None => waiting.push(from),
        }
    }
    if !waiting.is_empty() {
        return Ok((None, NodeState::DependsOn(waiting)));
    }
    let context = environment.context(node.name(), node.seed, &inputs);
    let recipe = match recipe(node, &inputs, &context) {
        Ok(recipe) => recipe,
        // A file that is not there is the state of one stage; a store that fails would make all of the plan doubtful.
        Err(StageError::Store(error)) if !error.is_not_found() => return Err(error),
        Err(error) => return Ok((None, NodeState::Unfetched(error.to_string()))),
    };
    let key = recipe.key();
    let store = environment.store;
    let state = match store.result(&key)? {
        Some(result) => {
            let mut gone: Vec<String> = store
                .missing_outputs(&result)?
                .into_iter()
                .map(|each| each.port)
                .collect();
            // An output that names files, as a model does, is missing once for each of them.
            gone.dedup();
            if gone.is_empty() {
                NodeState::Hit(result.outputs)
            } else {
                NodeState::Miss(MissReason::OutputsGone(gone))
            }
        }
        None => match store.latest_result_like(node.name(), node.kind.name())? {
            Some(before) => {
                NodeState::Miss(MissReason::Changed(recipe.differences(&before.recipe)))
            }
            None => NodeState::Miss(MissReason::New),
        },
    };
    Ok((Some(recipe), state))
}

/// What `gate` decided, where that is in the store.
fn decision(
    plan: &Plan,
    gate: NodeId,
    known: &BTreeMap<NodeId, Outputs>,
    environment: &Environment<'_>,
) -> Result<Option<Decision>, StoreError> {
    let output = plan.node(gate).kind.output(ArtifactKind::Decision);
    let outputs = known.get(&gate);
    let digest = output.and_then(|output| outputs?.get(output.name));
    let Some(digest) = digest else {
        return Ok(None);
    };
    let bytes = environment.store.object(digest)?;
    Ok(bytes.and_then(|bytes| Decision::decode(&bytes).ok()))
}
