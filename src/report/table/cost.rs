//! What stands behind a row, in tokens: counted from what stages made, so that it is the same after a kill, on several
//! devices, and where everything was in the store.

use std::collections::{BTreeMap, BTreeSet};

use crate::artifact::ArtifactKind;
use crate::metric::Cost;
use crate::model::train::LossPoint;
use crate::plan::NodeId;
use crate::report::{ReportError, Source};
use crate::stage::{Brings, Counts, Output};
use crate::text::{EndReason, Prediction, ReasoningPath};

/// Tokens of one stage, or of all behind an evaluation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Tokens {
    sampled: u64,
    trained: u64,
    answered: u64,
}

impl Tokens {
    /// A column's figure.
    pub(super) fn of(self, cost: Cost) -> u64 {
        match cost {
            Cost::Sampled => self.sampled,
            Cost::Trained => self.trained,
            Cost::Answered => self.answered,
        }
    }
}

/// What stands behind an evaluation, each stage once; `None` where something of it is not in the store. How a student was
/// made before the experiment, and the curve of a training by which another one only knows how long to go on, are no part of it.
/// `known` has what each stage counted so far.
pub(super) fn behind(
    source: &Source<'_>,
    eval: NodeId,
    known: &mut BTreeMap<NodeId, Option<Tokens>>,
) -> Result<Option<Tokens>, ReportError> {
    let answers = source.input(eval, ArtifactKind::Predictions);
    let answers = answers.map(|(node, _)| node);
    let mut tokens = Tokens::default();
    let (mut open, mut seen) = (vec![eval], BTreeSet::new());
    while let Some(node) = open.pop() {
        if !seen.insert(node) {
            continue;
        }
        let of_stage = match known.get(&node) {
            Some(known) => *known,
            None => of_stage(source, node)?,
        };
        known.insert(node, of_stage);
        let Some(of_stage) = of_stage else {
            return Ok(None);
        };
        tokens.trained += of_stage.trained;
        if Some(node) == answers {
            tokens.answered += of_stage.sampled;
        } else {
            tokens.sampled += of_stage.sampled;
        }
        let inputs = source.plan.inputs(node).into_values();
        let shapes = |(from, output): &(NodeId, &'static str)| {
            let mut outputs = source.plan.node(*from).kind.outputs().iter();
            !outputs.any(|each| each.name == *output && each.kind == ArtifactKind::Losses)
        };
        open.extend(inputs.filter(shapes).map(|(from, _)| from));
    }
    Ok(Some(tokens))
}

fn of_stage(source: &Source<'_>, node: NodeId) -> Result<Option<Tokens>, ReportError> {
    let kind = source.plan.node(node).kind;
    let mut tokens = Tokens::default();
    if kind.brings() == Some(Brings::Student) {
        return Ok(Some(tokens));
    }
    for output in kind.outputs() {
        let Some(counts) = output.counts else {
            continue;
        };
        let Some(count) = counted(source, node, output, counts)? else {
            return Ok(None);
        };
        match counts {
            Counts::Drawn => tokens.sampled += count,
            Counts::Trained => tokens.trained += count,
        }
    }
    Ok(Some(tokens))
}

fn counted(
    source: &Source<'_>,
    node: NodeId,
    output: &Output,
    counts: Counts,
) -> Result<Option<u64>, ReportError> {
    let drawn = |tokens: &[u32], end: EndReason| {
        tokens.len() as u64 + u64::from(end == EndReason::EndOfText)
    };
    Ok(match (counts, output.kind) {
        (Counts::Trained, _) => {
            let losses = source.artifact::<Vec<LossPoint>>(node, output.name)?;
            losses.map(|(_, losses)| losses.last().map_or(0, |last| last.tokens))
        }
        (Counts::Drawn, ArtifactKind::Predictions) => {
            let rows = source.artifact::<Vec<Prediction>>(node, output.name)?;
            rows.map(|(_, rows)| rows.iter().map(|row| drawn(&row.tokens, row.end)).sum())
        }
        (Counts::Drawn, _) => {
            let rows = source.artifact::<Vec<ReasoningPath>>(node, output.name)?;
            rows.map(|(_, rows)| rows.iter().map(|row| drawn(&row.tokens, row.end)).sum())
        }
    })
}
