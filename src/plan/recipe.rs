//! A node's recipe, once the content of its inputs is known.

use std::collections::BTreeMap;

use super::Node;
use crate::key::Recipe;
use crate::stage::{Context, Inputs, StageError};

/// The recipe of `node` with these inputs. Outside files are digested, and fetched where the
/// context's fetcher may.
///
/// # Errors
/// When an outside file is not to be had.
pub fn recipe(node: &Node, inputs: &Inputs, context: &Context<'_>) -> Result<Recipe, StageError> {
    let mut files = BTreeMap::new();
    for file in node.kind.files(&node.params, context)? {
        files.insert(file.role, context.store.file_digest(&file.path)?);
    }
    Ok(Recipe {
        kind: node.kind.name().to_owned(),
        version: node.kind.version(),
        params: node.kind.key_params(&node.params),
        inputs: inputs.clone(),
        files,
        seed: node.kind.seeded().then_some(node.seed),
        numerics: node
            .kind
            .numerics(&node.params)
            .map(|arithmetic| context.numerics(arithmetic)),
    })
}
