//! The manifest: from TOML text to checked, typed stages, or to every mistake at once.
//!
//! In: a file (and those it extends), `--set` arguments, the stage kinds. Out: [`Manifest`], whose
//! stages have complete parameters and resolved inputs, or [`ManifestErrors`]. The passes:
//!
//! 1. `files`, `tree`, `overrides`: texts to one tree in which every value knows its origin;
//! 2. `schema`, `check`, `choice`: the tree against the JSON Schema made from the stage kinds;
//! 3. `graph`, `wire`, `flow`: references, artifact kinds, cycles, the way of test data;
//! 4. `error`: what is wrong, with the text marked and a hint.
//!
//! Relative paths in values stay as written; [`Manifest::dir`] is what they are relative to.

mod check;
mod choice;
mod error;
mod files;
mod flow;
mod graph;
mod nearest;
mod overrides;
mod schema;
mod section;
mod source;
mod tree;
mod wire;
mod words;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

pub use check::check;
pub use error::{Diagnostic, ManifestErrors};
pub use nearest::nearest;
pub use schema::{schema, schema_text};
pub use section::{Baseline, RunSection};
pub use source::{Origin, Source};
pub use tree::{Entry, Node, Table, Tree};

use crate::stage::Stage;

/// A checked manifest.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// Where it was read.
    pub path: PathBuf,
    /// What the experiment is called.
    pub title: String,
    /// The question it answers.
    pub description: String,
    /// The seed of stages that do not state their own.
    pub seed: u64,
    /// How to run; never part of a key.
    pub run: RunSection,
    /// The stages in order of declaration, `data` and `student` among them.
    pub stages: Vec<StageSpec>,
    /// The tables in order of declaration.
    pub tables: Vec<TableSpec>,
}

/// A stage with all that it needs.
#[derive(Clone)]
pub struct StageSpec {
    /// Its name.
    pub name: String,
    /// What it does.
    pub kind: &'static dyn Stage,
    /// Its parameters with every default filled in.
    pub params: Map<String, Value>,
    /// Its inputs by port; a port that stays empty is absent.
    pub inputs: BTreeMap<&'static str, PortRef>,
    /// Its seed.
    pub seed: u64,
    /// Where it was declared.
    pub origin: Origin,
}

/// An output of a stage.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct PortRef {
    /// The stage.
    pub stage: String,
    /// Its output.
    pub output: &'static str,
}

/// A table of results.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TableSpec {
    /// Its name.
    pub name: String,
    /// What stands above it.
    pub caption: String,
    /// Its rows, from top to bottom.
    pub rows: Vec<RowSpec>,
    /// Rows without a model.
    pub baselines: Vec<Baseline>,
}

/// A row of a table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RowSpec {
    /// What stands in its first column.
    pub label: String,
    /// The evaluation that it shows.
    pub eval: PortRef,
}

impl Manifest {
    /// The folder of the manifest, to which paths in it are relative.
    pub fn dir(&self) -> &Path {
        match self.path.parent() {
            Some(dir) if !dir.as_os_str().is_empty() => dir,
            _ => Path::new("."),
        }
    }

    /// The stage called `name`.
    pub fn stage(&self, name: &str) -> Option<&StageSpec> {
        self.stages.iter().find(|stage| stage.name == name)
    }
}

impl std::fmt::Debug for StageSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StageSpec")
            .field("name", &self.name)
            .field("kind", &self.kind.name())
            .field("params", &self.params)
            .field("inputs", &self.inputs)
            .field("seed", &self.seed)
            .field("origin", &self.origin)
            .finish()
    }
}

/// Reads and checks the manifest at `path`. `overrides` are the `PATH=VALUE` of `--set`, in order;
/// `limit` is the N of `--limit`, which sets `data.limit`.
///
/// # Errors
/// Every mistake in it, with its place.
pub fn load(
    path: &Path,
    overrides: &[String],
    limit: Option<usize>,
    kinds: &[&'static dyn Stage],
) -> Result<Manifest, ManifestErrors> {
    let tree = files::load(path).map_err(ManifestErrors::new)?;
    build(path, tree, overrides, limit, kinds)
}

fn build(
    path: &Path,
    mut tree: Node,
    overrides: &[String],
    limit: Option<usize>,
    kinds: &[&'static dyn Stage],
) -> Result<Manifest, ManifestErrors> {
    let mut errors = overrides::apply(&mut tree, overrides, limit);
    graph::lay_defaults(&mut tree, kinds);
    let mistakes = check(&schema(kinds), &tree);
    errors.extend(graph::without_echoes(mistakes));
    let (stages, tables) = graph::resolve(&tree, kinds, &mut errors);
    if !errors.is_empty() {
        return Err(ManifestErrors::new(errors));
    }
    let text = |key: &str| {
        tree.get(key)
            .and_then(Node::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let run = tree
        .get("run")
        .map(|run| serde_json::from_value(run.to_json()));
    let run = run.transpose().map_err(|error| {
        // The schema and the struct are one, so this is a mistake of ours.
        ManifestErrors::from(Diagnostic::new(format!(
            "the section `run` does not fit: {error}"
        )))
    })?;
    Ok(Manifest {
        path: path.to_owned(),
        title: text("title"),
        description: text("description"),
        seed: graph::seed(&tree).unwrap_or_default(),
        run: run.unwrap_or_default(),
        stages,
        tables,
    })
}
