//! Where a report finds the artifacts of a run.

use std::collections::BTreeSet;

use crate::artifact::{Artifact, ArtifactError, ArtifactKind};
use crate::key::Digest;
use crate::manifest::{Manifest, PortRef};
use crate::metric::{Decision, MetricError};
use crate::plan::{NodeId, Plan};
use crate::stage::Outputs;
use crate::store::{Store, StoreError};

/// A report cannot be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReportError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    #[error(transparent)]
    Metric(#[from] MetricError),
    #[error("{0}")]
    Invalid(String),
}

/// A manifest's artifacts, as far as they are in the store.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    /// The manifest.
    pub manifest: &'a Manifest,
    /// Its DAG.
    pub plan: &'a Plan,
    /// Where the artifacts are.
    pub store: &'a Store,
    /// What a stage made; `None` where it has not run.
    pub outputs: &'a dyn Fn(NodeId) -> Option<Outputs>,
    /// Why a stage has made nothing, for a table's cell.
    pub missing: &'a dyn Fn(NodeId) -> Missing,
}

/// Why a stage has made nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Missing {
    /// A decision made it not needed; says which, and by what figures.
    NotNeeded(String),
    /// It is to be made, and is not; says why.
    NotMade(String),
}

impl Missing {
    /// By the decision of the node `decision`, which made `outputs`.
    pub(crate) fn not_needed(
        plan: &Plan,
        store: &Store,
        decision: NodeId,
        outputs: Option<&Outputs>,
    ) -> Self {
        let node = plan.node(decision);
        let output = node.kind.output(ArtifactKind::Decision);
        let digest = output.and_then(|output| outputs?.get(output.name));
        // The figures are an extra: that it decided so is known without them.
        let bytes = digest.and_then(|digest| store.object(digest).ok()?);
        let found = bytes.and_then(|bytes| Decision::decode(&bytes).ok());
        let figures = found.map_or_else(String::new, |found| format!(" ({})", found.text()));
        Self::NotNeeded(format!("`{}` stopped{figures}", node.name()))
    }

    /// Why, as part of a sentence.
    pub(crate) fn reason(self) -> String {
        match self {
            Self::NotNeeded(reason) => format!("not needed, as {reason}"),
            Self::NotMade(reason) => reason,
        }
    }
}

impl Source<'_> {
    /// The digest of an output.
    pub(crate) fn digest(&self, node: NodeId, output: &str) -> Option<Digest> {
        (self.outputs)(node)?.get(output).copied()
    }

    /// An output and its digest.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn artifact<T: Artifact>(
        &self,
        node: NodeId,
        output: &str,
    ) -> Result<Option<(Digest, T)>, ReportError> {
        let Some(digest) = self.digest(node, output) else {
            return Ok(None);
        };
        match self.store.object(&digest)? {
            Some(bytes) => Ok(Some((digest, T::decode(&bytes)?))),
            None => Ok(None),
        }
    }

    /// What a reference of the manifest names.
    ///
    /// # Errors
    /// As [`Source::artifact`].
    pub(crate) fn referred<T: Artifact>(
        &self,
        to: &PortRef,
    ) -> Result<Option<(Digest, T)>, ReportError> {
        match self.plan.at(&to.stage) {
            Some(node) => self.artifact(node, to.output),
            None => Ok(None),
        }
    }

    /// The node and the output that feed the first port that accepts a kind of artifact.
    pub(crate) fn input(
        &self,
        node: NodeId,
        accepts: ArtifactKind,
    ) -> Option<(NodeId, &'static str)> {
        self.plan.input(node, accepts)
    }

    /// The nodes and all that they need, each once.
    pub(crate) fn behind(&self, nodes: impl IntoIterator<Item = NodeId>) -> BTreeSet<NodeId> {
        let mut open: Vec<NodeId> = nodes.into_iter().collect();
        let mut behind = BTreeSet::new();
        while let Some(node) = open.pop() {
            if behind.insert(node) {
                open.extend(self.plan.inputs(node).into_values().map(|(from, _)| from));
            }
        }
        behind
    }

    /// The first output of a kind.
    pub(crate) fn output_of(&self, node: NodeId, kind: ArtifactKind) -> Option<&'static str> {
        self.plan.node(node).kind.output(kind).map(|each| each.name)
    }
}
