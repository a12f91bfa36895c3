//! `[sweep]` as serde and schemars see it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// Many points from one manifest. `grid` and `zip` multiply, `points` are added, each of them runs once for each of
/// `seeds`, and `exclude` takes some away. A field is named by its dotted path, in quotes:
/// `"stages.kept.length.min_tokens"`. Work that points share is done once.
#[derive(Default, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::manifest) struct SweepSection {
    /// Seeds, in place of the manifest's `seed`. Tables give the mean over them and their standard deviation.
    pub(super) seeds: Vec<u64>,
    /// Fields that each of `seeds` is put into too, for example `"data.latent_world.seed"`: another seed is another world then.
    pub(super) seed_fields: Vec<String>,
    /// Values by field; every combination is a point.
    pub(super) grid: BTreeMap<String, Vec<Value>>,
    /// Values by field, as many for each: the first ones together, the second ones together, and so on. The first field
    /// gives the axis its name.
    pub(super) zip: BTreeMap<String, Vec<Value>>,
    /// Points one by one, each a table of values by field; other fields stay as the manifest has them.
    pub(super) points: Vec<BTreeMap<String, Value>>,
    /// Points to leave out, each a table of a value, or a list of values, by field; a point goes where all of them hold.
    pub(super) exclude: Vec<BTreeMap<String, Value>>,
    /// What tables and figures call a value: by field, then by the value as text.
    pub(super) labels: BTreeMap<String, BTreeMap<String, String>>,
}
