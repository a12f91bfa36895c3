//! The sections of a manifest that are the same for every stage kind, as serde and schemars see
//! them. Stage sections come from the kinds themselves; see `schema`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How to run; never part of a key, so that changing it keeps the cache.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RunSection {
    /// Worker threads; 0, the default, for all cores.
    #[schemars(range(min = 0, max = 4096))]
    pub threads: usize,
    /// Sequences decoded together; 0, the default, for automatic.
    #[schemars(range(min = 0, max = 65_536))]
    pub batch_size: usize,
}

/// A row of results without a model, printed above the measured ones.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Baseline {
    /// Always the answer most frequent among the training questions.
    Majority,
    /// A uniform guess.
    Chance,
}

impl Baseline {
    /// Both, the default.
    pub(super) fn all() -> Vec<Self> {
        vec![Self::Majority, Self::Chance]
    }
}

/// A table of results, printed at the end. Only what a table declares may look at test data.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TableSection {
    /// What stands above it.
    #[serde(default)]
    pub(super) caption: String,
    /// Its rows, from top to bottom.
    #[schemars(length(min = 1))]
    pub(super) rows: Vec<RowSection>,
    /// Rows without a model; both by default.
    #[serde(default = "Baseline::all")]
    pub(super) baselines: Vec<Baseline>,
}

/// A row of a table.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RowSection {
    /// What stands in its first column.
    pub(super) label: String,
    /// The stage that measured it, as `STAGE` or `STAGE.OUTPUT`.
    #[schemars(regex(pattern = r"^[A-Za-z][A-Za-z0-9_-]*(\.[A-Za-z][A-Za-z0-9_-]*)?$"))]
    pub(super) eval: String,
}

/// The keys at the top of a manifest that no stage kind shapes.
#[derive(Default, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RootSection {
    /// What the experiment is called.
    pub(super) title: String,
    /// The question it answers.
    pub(super) description: String,
    /// A manifest to start from, relative to this file; tables merge, this file wins.
    pub(super) extends: Option<String>,
    /// The seed of every stage that does not state its own; 0 by default.
    pub(super) seed: u64,
    /// How to run.
    pub(super) run: RunSection,
}
