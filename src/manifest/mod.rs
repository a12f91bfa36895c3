//! The manifest: from TOML text to checked, typed stages, or to every mistake at once.
//!
//! In: a file (and those it extends), `--set` arguments, the stage kinds. Out: [`Manifest`], whose
//! stages have complete parameters and resolved inputs, or [`ManifestErrors`]. The passes:
//!
//! 1. `files`, `builtin`, `drop`, `tree`, `overrides`: texts to one tree in which every value knows its origin;
//! 2. `quotes`, `profile`, `sweep`, `place`: the tree of each point of the sweep; one tree without a sweep;
//! 3. `schema`, `check`, `choice`: each tree against the JSON Schema made from the stage kinds (`part`, `switch`: that for editors);
//! 4. `when`, `lists`, `rounds`, `graph`, `wire`, `flow`, `needs`: rounds as stages, references, artifact kinds, cycles, the way of test data, scores;
//! 5. `sweep` again, `tables`, `layout`, `figures`: the stages of all points as one list, what is shown of them;
//! 6. `error`: what is wrong, with the text marked and a hint.
//!
//! Relative paths in values stay as written; [`Manifest::dir`] is what they are relative to.

mod cluster;
mod builtin;
mod check;
mod choice;
mod drop;
mod error;
mod figure;
mod figures;
mod files;
mod flow;
mod graph;
mod layout;
mod lists;
mod names;
mod nearest;
mod needs;
mod overrides;
mod param_error;
mod part;
mod place;
mod profile;
mod quotes;
mod references;
mod rounds;
mod schema;
mod section;
mod source;
mod stage_name;
mod sugar;
mod sweep;
mod switch;
mod table;
mod tables;
mod taught;
mod tree;
mod when;
mod wire;
mod words;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

pub use builtin::{BUILTIN, BUILTINS, Builtin, builtin};
pub use check::check;
pub use cluster::{ClusterSection, JobResources};
pub use error::{Diagnostic, ManifestErrors};
pub use figure::{FigureRow, FigureSection, FigureSpec, FilterMeasure, Measure, PathSeries};
pub use layout::{Layout, LayoutColumn, LayoutRow};
pub use names::{Names, names};
pub use nearest::nearest;
pub use schema::{file_schema, schema, schema_text};
pub use section::{RunSection, StoreSection};
pub use source::{Origin, SourceText};
pub use stage_name::{Coordinate, StageName, split_reference};
pub use sweep::{Axis, AxisValue, ROUND, SEED, Sweep, SweepPoint};
pub use table::{Baseline, Reported, ReportedFigures, RowSpec, TableSpec, Tested};
pub use tree::{Entry, Node, Table, Tree};

#[cfg(doc)]
use crate::stage::Port;
use crate::stage::{ParamError, Stage};

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
    /// What lies below the store; never part of a key.
    pub store: StoreSection,
    /// What the command line changed in it, each as its argument: what it says of itself may then not be so.
    pub changed: Vec<String>,
    /// What else went with the stages that it drops.
    pub notes: Vec<String>,
    /// The stages in order of declaration, `data` and `student` among them; in a sweep those of all points.
    pub stages: Vec<StageSpec>,
    /// What varies; one point and no axes where nothing does.
    pub sweep: Sweep,
    /// The tables in order of declaration.
    pub tables: Vec<TableSpec>,
    /// The figures in order of declaration.
    pub figures: Vec<FigureSpec>,
}

/// A stage with all that it needs.
#[derive(Clone)]
pub struct StageSpec {
    /// Its name; where it differs between the points of a sweep, with the values that make it differ, and with its round.
    pub name: StageName,
    /// What it does.
    pub kind: &'static dyn Stage,
    /// Its parameters with every default filled in.
    pub params: Map<String, Value>,
    /// Its inputs by name (see [`Port::input_name`]); a port that stays empty is absent.
    pub inputs: BTreeMap<String, PortRef>,
    /// The decision that it waits for: it is needed only where that is for another round. No part of its recipe.
    pub gate: Option<StageName>,
    /// The name of the rounds that it is a part of.
    pub rounds: Option<String>,
    /// Its seed.
    pub seed: u64,
    /// Where it was declared.
    pub origin: Origin,
    /// The keys that lead to it.
    path: Vec<String>,
    /// What was written of it.
    written: Node,
}

/// An output of a stage.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct PortRef {
    /// The stage.
    pub stage: StageName,
    /// Its output.
    pub output: &'static str,
}

impl Manifest {
    /// The folder of the manifest, to which paths in it are relative.
    pub fn dir(&self) -> &Path {
        match self.path.parent() {
            Some(dir) if !dir.as_os_str().is_empty() => dir,
            _ => Path::new("."),
        }
    }

    /// The stage that prints as `name`.
    pub fn stage(&self, name: &str) -> Option<&StageSpec> {
        self.stages.iter().find(|stage| stage.name.as_str() == name)
    }
}

impl StageSpec {
    /// What is wrong with one of its fields, at the place where that was written.
    pub fn mistake(&self, param_error: ParamError) -> Diagnostic {
        param_error::placed(&self.path, &self.written, &self.origin, param_error)
    }
}

impl std::fmt::Debug for StageSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StageSpec")
            .field("name", &self.name)
            .field("kind", &self.kind.name())
            .field("params", &self.params)
            .field("inputs", &self.inputs)
            .field("gate", &self.gate)
            .field("seed", &self.seed)
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}

/// What is changed in a manifest from the command line.
#[derive(Clone, Copy, Default, Debug)]
pub struct Changes<'a> {
    /// The profile of `--profile`.
    pub profile: Option<&'a str>,
    /// The `PATH=VALUE` of `--set`, in order.
    pub overrides: &'a [String],
    /// The N of `--limit`, which sets `data.limit`.
    pub limit: Option<usize>,
}

/// Reads and checks the manifest at `path`, changed as the command line says: first the profile, then `--set`.
///
/// # Errors
/// Every mistake in it, with its place.
pub fn load(
    path: &Path,
    changes: &Changes<'_>,
    kinds: &[&'static dyn Stage],
) -> Result<Manifest, ManifestErrors> {
    let loaded = files::load(path, kinds).map_err(ManifestErrors::new)?;
    build(path, loaded, changes, kinds)
}

fn build(
    path: &Path,
    (mut tree, mut notes): (Node, Vec<String>),
    changes: &Changes<'_>,
    kinds: &[&'static dyn Stage],
) -> Result<Manifest, ManifestErrors> {
    let schema = schema(kinds);
    let mut errors = Vec::new();
    quotes::mend(&mut tree, &mut errors);
    // By itself, as `sweep` below: who reads these sections takes them out of the tree.
    errors.extend(check::section(&schema, &tree, "profiles"));
    let told = (&mut errors, &mut notes);
    profile::apply(&mut tree, changes.profile, kinds, told);
    let told = (&mut errors, &mut notes);
    overrides::apply(&mut tree, changes, kinds, told);
    quotes::mend(&mut tree, &mut errors); // what a `--set` added
    errors.extend(check::section(&schema, &tree, "sweep"));
    let sweep = sweep::expand(&mut tree, &mut errors);
    let (mut stages, mut shown) = (Vec::new(), Vec::new());
    let mut left_out = Vec::new();
    let patterns = check::Patterns::default();
    for point in &sweep.points {
        let mut tree = tree.clone();
        sweep.lay(point, &mut tree, &mut errors);
        graph::lay_defaults(&mut tree, kinds);
        let mut mistakes = graph::without_echoes(check::check_with(&schema, &tree, &patterns));
        let out = when::apply(&mut tree, &mut mistakes);
        lists::expand(&mut tree, kinds);
        let before = mistakes.len();
        let unrolled = rounds::unroll(&mut tree, kinds, &mut mistakes);
        // Where it is not known what the rounds are, what names their stages would seem to be wrong.
        if mistakes.len() == before {
            let of_point = graph::resolve(&tree, kinds, (&out, &unrolled), &mut mistakes);
            stages.push(of_point.stages);
            shown.push(of_point.shown);
            left_out.push(out);
        }
        errors.extend(mistakes);
    }
    if !errors.is_empty() {
        return Err(ManifestErrors::new(errors));
    }
    // Each point is as many points of the whole sweep as there are rounds, at most; one that has fewer is a hole there.
    let most = shown.iter().map(|views| views.len() - 1).max();
    let most = most.unwrap_or_default();
    let named = sweep::merge(&sweep, &stages, most);
    let origin = tree.get("rounds").map_or(&tree.origin, |node| &node.origin);
    let sweep = sweep.in_rounds(most, origin);
    let mut in_rounds = Vec::new();
    for views in shown {
        let last = views.len() - 1;
        in_rounds.extend((0..most.max(1)).map(|round| views[round.min(last)].clone()));
    }
    let (tables, figures): (Vec<_>, Vec<_>) = in_rounds.into_iter().unzip();
    let tables = tables::specs(&tree, &sweep, &tables, &named, &left_out, &mut errors);
    let figures = figures::specs(&tree, &sweep, &figures, &named, &mut errors);
    if !errors.is_empty() {
        return Err(ManifestErrors::new(errors));
    }
    let text = |key: &str| {
        tree.get(key)
            .and_then(Node::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let run = plain_section(&tree, "run")?;
    let store = plain_section(&tree, "store")?;
    Ok(Manifest {
        path: path.to_owned(),
        title: text("title"),
        description: text("description"),
        seed: graph::seed(&tree).unwrap_or_default(),
        run,
        store,
        changed: overrides::told(changes),
        notes,
        stages: named.stages,
        sweep,
        tables,
        figures,
    })
}

/// A section that is read as it stands; what it has by default where there is none.
fn plain_section<T: DeserializeOwned + Default>(
    tree: &Node,
    name: &str,
) -> Result<T, ManifestErrors> {
    let Some(section) = tree.get(name) else {
        return Ok(T::default());
    };
    serde_json::from_value(section.to_json()).map_err(|error| {
        // The schema has let it pass, so it is one that a pattern cannot tell.
        let message = format!("the section `{name}` does not fit: {error}");
        ManifestErrors::from(Diagnostic::at(&section.origin, message))
    })
}
