//! What a run would take: work by stage, and time by a short calibration of this machine.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{NodeId, NodeState, Plan, Resolved};
use crate::artifact::{Artifact, ArtifactKind, ModelFolder};
use crate::key::Digest;
use crate::model::Calibration;
use crate::model::device::DeviceName;
use crate::stage::{Environment, Inputs, Shape, Size, Sizes, Work};
use crate::store::{Store, StoreError};

/// What a run would take.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Estimates {
    /// The work of each stage that would run, where it can be told.
    #[serde(skip)]
    pub stages: BTreeMap<NodeId, Work>,
    /// All of it.
    pub total: Work,
    /// Stages that would run and whose work cannot be told yet.
    #[serde(skip)]
    pub unknown: Vec<NodeId>,
    /// How fast this machine is; `None` when no model stage would run.
    pub calibration: Option<Calibration>,
    /// How many threads that was measured with.
    #[serde(skip)]
    pub threads: usize,
}

impl Estimates {
    /// Seconds that `work` takes on this machine.
    pub fn seconds(&self, work: &Work) -> Option<f64> {
        let speed = self.calibration?;
        Some(
            work.inference_flop / speed.inference_flop_per_s
                + work.training_flop / speed.training_flop_per_s,
        )
    }
}

/// The estimate for `resolved` nodes.
///
/// # Errors
/// When the store cannot be read.
pub fn estimate(
    plan: &Plan,
    resolved: &[Resolved],
    environment: &Environment<'_>,
) -> Result<Estimates, StoreError> {
    let mut estimates = estimate_work(plan, resolved, environment)?;
    // Only the CPU is measured: another device would be estimated by the wrong machine.
    let on_cpu = environment.options.device == DeviceName::Cpu;
    if on_cpu && estimates.total.inference_flop + estimates.total.training_flop > 0.0 {
        estimates.calibration = Calibration::measure(environment.options.threads);
        estimates.threads = match environment.options.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        };
    }
    Ok(estimates)
}

/// The same, with nothing measured: a run measures by what it does.
///
/// # Errors
/// When the store cannot be read.
pub(crate) fn estimate_work(
    plan: &Plan,
    resolved: &[Resolved],
    environment: &Environment<'_>,
) -> Result<Estimates, StoreError> {
    let mut sizes: BTreeMap<(NodeId, &'static str), Size> = BTreeMap::new();
    let mut digests: BTreeMap<(NodeId, &'static str), Digest> = BTreeMap::new();
    let mut estimates = Estimates::default();
    for each in resolved {
        let node = plan.node(each.node);
        if let NodeState::NotNeeded(_) = each.state {
            continue;
        }
        if let NodeState::Hit(outputs) = &each.state {
            for output in node.kind.outputs() {
                if let Some(digest) = outputs.get(output.name) {
                    digests.insert((each.node, output.name), *digest);
                    sizes.insert(
                        (each.node, output.name),
                        stored_size(environment.store, output.kind, digest)?,
                    );
                }
            }
            continue;
        }
        let inputs: Sizes = plan
            .inputs(each.node)
            .into_iter()
            .filter_map(|(port, from)| Some((port, *sizes.get(&from)?)))
            .collect();
        // What is in the store already: a stage may look at it to tell its work exactly.
        let here: Inputs = plan
            .inputs(each.node)
            .into_iter()
            .filter_map(|(port, from)| Some((port, *digests.get(&from)?)))
            .collect();
        let context = environment.context(node.name(), node.seed, &here);
        match node.kind.estimate(&node.params, &inputs, &context) {
            Some((work, outputs)) => {
                estimates.total = estimates.total.and(work);
                estimates.stages.insert(each.node, work);
                sizes.extend(
                    outputs
                        .into_iter()
                        .map(|(name, size)| ((each.node, name), size)),
                );
            }
            None => estimates.unknown.push(each.node),
        }
    }
    Ok(estimates)
}

/// The size of an artifact that is in the store.
fn stored_size(store: &Store, kind: ArtifactKind, digest: &Digest) -> Result<Size, StoreError> {
    let Some(bytes) = store.object(digest)? else {
        return Ok(Size::default());
    };
    if kind == ArtifactKind::Model {
        // What cannot be read is left out of the estimate; the stage that needs it will say why.
        let shape = ModelFolder::decode(&bytes).ok();
        let shape = shape.and_then(|folder| Shape::stored(store, &folder).ok()?);
        return Ok(Size {
            model: shape,
            ..Size::default()
        });
    }
    // Every row ends with a newline, so the last piece is empty; without any there is one piece.
    let rows = bytes.split(|&byte| byte == b'\n').count() - 1;
    Ok(Size::of_text(rows as u64, bytes.len() as u64))
}
