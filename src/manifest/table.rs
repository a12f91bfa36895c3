//! Tables of results: what a manifest declares of one, as serde and schemars see it, and what the rest of the
//! program is told.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::PortRef;
use crate::metric::{Beside, Metric};

/// A table of results.
#[derive(Clone, PartialEq, Debug)]
pub struct TableSpec {
    /// Its name.
    pub name: String,
    /// What stands above it.
    pub caption: String,
    /// Its rows, from top to bottom; in a sweep each of them stands for its points too.
    pub rows: Vec<RowSpec>,
    /// Its columns, from left to right.
    pub metrics: Vec<Metric>,
    /// The sweep's axes (places in [`super::Sweep::axes`]) whose values make rows.
    pub row_axes: Vec<usize>,
    /// Those whose values make groups of columns.
    pub column_axes: Vec<usize>,
    /// Whether it keeps to the points that leave all other axes as the manifest declares them.
    pub as_declared: bool,
    /// Rows without a model.
    pub baselines: Vec<Baseline>,
    /// The row (a place in `rows`) that the others are tested against.
    pub baseline: Option<usize>,
    /// Which of them are tested, and on what.
    pub tested: Tested,
    /// Figures that were published.
    pub reported: Option<Reported>,
}

/// The family of a table's tests.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tested {
    /// On these metrics.
    pub metrics: Vec<Metric>,
    /// These rows, by their places; the baseline is not among them.
    pub rows: Vec<usize>,
}

/// A row of a table.
#[derive(Clone, PartialEq, Debug)]
pub struct RowSpec {
    /// What stands in its first column.
    pub label: String,
    /// The evaluation that it shows, by point; `None` where a point has no such stage.
    pub evals: Vec<Option<PortRef>>,
    /// Figures that come from another stage, by point: an evaluation, or the scores of a text.
    pub figures: BTreeMap<Metric, Vec<Option<PortRef>>>,
    /// Why it is a hole at the points that have no such stage.
    pub absent: Option<String>,
    /// Whether what it shows depends on the axes that make rows; one that does not is shown once.
    pub varies: bool,
}

impl TableSpec {
    /// The evaluations that it shows.
    pub fn evaluations(&self) -> impl Iterator<Item = &PortRef> {
        let of_rows = self.rows.iter();
        let of_rows =
            of_rows.flat_map(|row| row.evals.iter().chain(row.figures.values().flatten()));
        of_rows.flatten()
    }
}

impl RowSpec {
    /// The evaluation that gives `metric` at a point.
    pub fn eval(&self, metric: Metric, point: usize) -> Option<&PortRef> {
        let evals = self.figures.get(&metric).unwrap_or(&self.evals);
        evals.get(point)?.as_ref()
    }
}

/// Published figures, to be shown beside ours.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reported {
    /// Where they are from, for example `arXiv 2502.12744v1, Table II`.
    pub source: String,
    /// The figures.
    pub values: Vec<ReportedFigures>,
}

/// The published figures of one row and one group of columns, in the table's units: `acc = 54.00` is per cent.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = with_figures)]
pub struct ReportedFigures {
    /// The row as the table prints it: its values on the sweep's axes and its label, joined by ` / `, for example
    /// `GPT-2 / SERT`.
    pub row: String,
    /// The group of columns as the table prints it; empty where there is one group.
    #[serde(default)]
    pub column: String,
    /// The figures, by metric.
    #[serde(flatten)]
    #[schemars(skip)]
    pub figures: BTreeMap<Metric, f64>,
}

/// Adds a key for each metric, and allows no others.
fn with_figures(schema: &mut Schema) {
    schema.insert("additionalProperties".to_owned(), Value::Bool(false));
    let (figures, of_k) = by_metric(&json!({ "type": "number", "format": "double" }));
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.extend(figures);
    }
    schema.insert("patternProperties".to_owned(), of_k.into());
}

/// Such a value for each metric, and by pattern for those that have a `k`.
fn by_metric(value: &Value) -> (Map<String, Value>, Map<String, Value>) {
    let of_metric = |metric: Metric| {
        let mut value = value.clone();
        value["description"] = metric.schema_label().into();
        value
    };
    let (of_k, others): (Vec<Metric>, Vec<Metric>) =
        Metric::all().partition(|metric| metric.k().is_some());
    let others = (others.into_iter()).map(|metric| (metric.name().to_owned(), of_metric(metric)));
    let of_k = (of_k.into_iter()).map(|metric| (Metric::pattern_of_k(), of_metric(metric)));
    (others.collect(), of_k.collect())
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

/// A table of results, printed at the end. Only what a table declares may look at test data.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TableSection {
    /// What stands above it.
    #[serde(default)]
    pub(super) caption: String,
    /// Its rows, from top to bottom.
    #[schemars(length(min = 1))]
    pub(super) rows: Vec<RowSection>,
    /// Its columns; by default `acc`, `acc-options`, `fmt`, `len` and `rep`.
    #[serde(default = "default_metrics")]
    #[schemars(length(min = 1))]
    pub(super) metrics: Vec<Metric>,
    /// Axes of the sweep whose values make rows; by default all that are not in `column_axes`, but for the seed, over
    /// which a table gives mean and standard deviation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) row_axes: Option<Vec<String>>,
    /// Axes of the sweep whose values make groups of columns; none by default.
    #[serde(default)]
    pub(super) column_axes: Vec<String>,
    /// Keep to the points that leave all axes but those of rows, columns and the seed as the manifest declares them; axes make
    /// no rows then but those that `row_axes` names. Default false: every point is in the table.
    #[serde(default)]
    pub(super) as_declared: bool,
    /// Rows without a model; both by default.
    #[serde(default = "both_baselines")]
    pub(super) baselines: Vec<Baseline>,
    /// The label of the row that the others are tested against, on the same questions: exact McNemar for what is yes or
    /// no for each question, paired bootstrap for the rest, with Holm's correction over all tests of the table. None by
    /// default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) baseline: Option<String>,
    /// The tests that are made, and so the family of Holm's correction; by default all rows against the baseline on all
    /// columns.
    #[serde(default)]
    pub(super) tests: TestsSection,
    /// Figures that were published, to be shown beside ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reported: Option<Reported>,
}

/// Which tests against the baseline a table makes. Name what is asked about before looking: each test more makes
/// Holm's correction of all the others stricter.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TestsSection {
    /// On these figures, for example `["acc"]`; by default on all columns but `balanced-acc`, which is no figure of
    /// single questions.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub(super) metrics: Option<Vec<Metric>>,
    /// The labels of these rows; by default all but the baseline.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub(super) rows: Option<Vec<String>>,
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
    /// Figures that another stage measured, by metric, for example `{ acc = "eval-all" }`; the table says so below. Those of
    /// a text come from a stage of kind `perplexity`.
    #[serde(default)]
    #[schemars(schema_with = "references")]
    pub(super) figures: BTreeMap<Metric, String>,
}

/// A reference for each metric.
fn references(_: &mut SchemaGenerator) -> Schema {
    let (mut each, of_k) = by_metric(&json!({ "type": "string" }));
    // A cost is counted behind the row itself.
    each.retain(|name, _| {
        let metric = Metric::named(name);
        !metric.is_some_and(|metric| matches!(metric.beside(), Some(Beside::Cost(_))))
    });
    json_schema!({ "type": "object", "properties": each, "patternProperties": of_k, "additionalProperties": false })
}

pub(super) fn default_metrics() -> Vec<Metric> {
    Metric::usual().collect()
}

pub(super) fn both_baselines() -> Vec<Baseline> {
    vec![Baseline::Majority, Baseline::Chance]
}
