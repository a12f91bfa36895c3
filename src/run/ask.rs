//! One question answered outside a run, by a stage as the manifest declares it: for looking, and for no result.

use crate::artifact::{Artifact, ArtifactKind};
use crate::plan::Node;
use crate::stage::{Environment, Inputs, StageError};
use crate::store::StoreError;
use crate::text::{Prediction, Question};

/// What the stage `node` would answer to `question`, whose other inputs are `inputs`. An answer does not depend on which others are
/// asked for with it, so it is the one that the stage has, or would have, among its own; and it is kept as those are.
///
/// # Errors
/// As the stage's own.
pub(crate) fn ask(
    node: &Node,
    mut inputs: Inputs,
    question: &Question,
    environment: &Environment<'_>,
) -> Result<Vec<Prediction>, StageError> {
    let (Some(port), Some(output)) = (
        node.kind.port(ArtifactKind::Questions),
        node.kind.output(ArtifactKind::Predictions),
    ) else {
        return Err(StageError::Invalid(format!(
            "`{}` answers no questions",
            node.name()
        )));
    };
    let store = environment.store;
    let one = store.put_object(&vec![question.clone()].encode())?;
    inputs.insert(port.name.to_owned(), one);
    let context = environment.context(node.name(), node.seed, &inputs);
    let outputs = node.kind.run(&node.params, &context)?;
    let digest = outputs[output.name];
    let bytes = store.object(&digest)?;
    let bytes = bytes.ok_or(StoreError::MissingObject(digest))?;
    Ok(Vec::decode(&bytes)?)
}
