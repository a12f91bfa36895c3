//! Figures: what a manifest declares of one, as serde and schemars see it, and what the rest of the program is told.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::PortRef;
use super::stage_name::split_reference;
use crate::artifact::ArtifactKind;
use crate::metric::Metric;

/// A figure.
#[derive(Clone, PartialEq, Debug)]
pub struct FigureSpec {
    /// Its name.
    pub name: String,
    /// What it shows.
    pub section: FigureSection,
    /// What its references name, by their text, then by point; `None` where a point has no such stage.
    pub refs: BTreeMap<String, Vec<Option<PortRef>>>,
}

/// A figure, drawn by `sert-run figure` and in the report.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum FigureSection {
    /// Lines with interval bands: a figure against a swept field.
    Curve {
        /// What stands above it; by default it is made from the axes.
        #[serde(default)]
        title: String,
        /// What goes up. Default `acc`.
        #[serde(default)]
        measure: Measure,
        /// The axis of the sweep that goes to the right, by its field or its name.
        x: String,
        /// The lines, where `measure` is a metric: evaluations by label.
        #[serde(default)]
        rows: Vec<FigureRow>,
        /// The `filter` stage, where `measure` is `yield` or `kept`.
        #[serde(skip_serializing_if = "Option::is_none")]
        filter: Option<String>,
        /// Values of other axes to keep to, as text, by axis; each combination of those that are not here is a line.
        #[serde(default)]
        at: BTreeMap<String, String>,
    },
    /// A figure against two swept fields, as colours and written out.
    HeatMap {
        /// What stands above it; by default it is made from the axes.
        #[serde(default)]
        title: String,
        /// What the cells are. Default `acc`.
        #[serde(default)]
        measure: Measure,
        /// The axis of the sweep that goes to the right.
        x: String,
        /// The axis that goes up.
        y: String,
        /// The evaluation, where `measure` is a metric.
        #[serde(skip_serializing_if = "Option::is_none")]
        eval: Option<String>,
        /// The `filter` stage, where `measure` is `yield` or `kept`.
        #[serde(skip_serializing_if = "Option::is_none")]
        filter: Option<String>,
        /// Values of other axes to keep to, as text, by axis; all other axes but the seed must be here.
        #[serde(default)]
        at: BTreeMap<String, String>,
    },
    /// What each step of a filter left.
    Funnel {
        /// What stands above it.
        #[serde(default)]
        title: String,
        /// The `filter` stage.
        filter: String,
        /// Values of the sweep's axes to keep to, as text, by axis.
        #[serde(default)]
        at: BTreeMap<String, String>,
    },
    /// The share of questions that have at least one path in each band of a score (paper, Figure 1).
    ScoreBands {
        /// What stands above it.
        #[serde(default)]
        title: String,
        /// The score, by the name under which paths have it, for example `coherence` of a judge, or
        /// `gold_probability`, the stand-in where there is no judge.
        score: String,
        /// The least and the greatest score there is. Default 0 to 10 (paper, Table I).
        #[serde(default = "judge_scale")]
        scale: (f64, f64),
        /// How many bands. Default 5 (paper, Figure 1).
        #[serde(default = "five")]
        #[schemars(range(min = 1, max = 20))]
        bands: usize,
        /// The bars, side by side in each band.
        #[schemars(length(min = 1))]
        series: Vec<PathSeries>,
    },
    /// How a score of the paths is distributed after each step of a filter (paper, Figure 4).
    Distribution {
        /// What stands above it.
        #[serde(default)]
        title: String,
        /// The scores, by name.
        #[schemars(length(min = 1))]
        scores: Vec<String>,
        /// The least and the greatest score there is. Default 0 to 10 (paper, Table I).
        #[serde(default = "judge_scale")]
        scale: (f64, f64),
        /// The `filter` stage, over paths that have the scores.
        filter: String,
    },
    /// Mean scores of several sets of paths, side by side (paper, Figure 3).
    Criteria {
        /// What stands above it.
        #[serde(default)]
        title: String,
        /// The scores, by name.
        #[schemars(length(min = 1))]
        scores: Vec<String>,
        /// The least and the greatest score there is. Default 0 to 10 (paper, Table I).
        #[serde(default = "judge_scale")]
        scale: (f64, f64),
        /// The bars, side by side at each score; in a sweep each of them for every point.
        #[schemars(length(min = 1))]
        series: Vec<PathSeries>,
    },
    /// Loss curves.
    Losses {
        /// What stands above it.
        #[serde(default)]
        title: String,
        /// The trainings, by the stages' names.
        #[schemars(length(min = 1))]
        trainings: Vec<String>,
    },
}

/// What a curve or a heat map shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Measure {
    /// A metric of an evaluation.
    Metric(Metric),
    /// What a filter tells.
    Filter(FilterMeasure),
}

/// What a filter tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FilterMeasure {
    /// The share of questions that have a kept path, in per cent.
    Yield,
    /// How many paths are kept.
    Kept,
}

impl Default for Measure {
    fn default() -> Self {
        Self::Metric(Metric::ACC)
    }
}

impl JsonSchema for Measure {
    fn schema_name() -> Cow<'static, str> {
        "Measure".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let metrics = Metric::all().filter(|metric| metric.beside().is_none());
        let metrics = metrics.map(|metric| metric.name_schema(&metric.schema_label()));
        let of_filter = FilterMeasure::json_schema(generator).to_value();
        let of_filter = of_filter["oneOf"].as_array().into_iter().flatten().cloned();
        let each: Vec<Value> = metrics.chain(of_filter).collect();
        json_schema!({ "oneOf": each, "description": "What a curve or a heat map shows." })
    }
}

/// A line of a curve.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FigureRow {
    /// What the legend calls it.
    pub label: String,
    /// The stage that measured it.
    pub eval: String,
}

/// A set of paths.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PathSeries {
    /// What the legend calls it.
    pub label: String,
    /// The stage that made the paths, with the scores that are shown.
    pub paths: String,
    /// Only those that begin with the first token of this rank, 0 for the most probable; all by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_token: Option<u32>,
}

fn judge_scale() -> (f64, f64) {
    (0.0, 10.0)
}

fn five() -> usize {
    5
}

impl FigureSection {
    /// The stages that it names, each with what it takes from them.
    pub fn references(&self) -> Vec<(&str, ArtifactKind)> {
        fn funnel(filter: Option<&String>) -> Option<(&str, ArtifactKind)> {
            filter.map(|filter| (stage_of(filter), ArtifactKind::Funnel))
        }
        match self {
            Self::Curve { rows, filter, .. } => rows
                .iter()
                .map(|row| (row.eval.as_str(), ArtifactKind::Evaluation))
                .chain(funnel(filter.as_ref()))
                .collect(),
            Self::HeatMap { eval, filter, .. } => eval
                .iter()
                .map(|eval| (eval.as_str(), ArtifactKind::Evaluation))
                .chain(funnel(filter.as_ref()))
                .collect(),
            Self::Funnel { filter, .. } => vec![(stage_of(filter), ArtifactKind::Funnel)],
            Self::Distribution { filter, .. } => {
                vec![(stage_of(filter), ArtifactKind::FilteredPaths)]
            }
            Self::ScoreBands { series, .. } | Self::Criteria { series, .. } => series
                .iter()
                .map(|each| (each.paths.as_str(), ArtifactKind::Paths))
                .collect(),
            Self::Losses { trainings, .. } => trainings
                .iter()
                .map(|stage| (stage_of(stage), ArtifactKind::Losses))
                .collect(),
        }
    }

    /// The scores that it shows.
    pub(super) fn scores(&self) -> Vec<&str> {
        match self {
            Self::ScoreBands { score, .. } => vec![score],
            Self::Distribution { scores, .. } | Self::Criteria { scores, .. } => {
                scores.iter().map(String::as_str).collect()
            }
            _ => Vec::new(),
        }
    }

    /// What stands above it; empty where the manifest does not say.
    pub fn title(&self) -> &str {
        match self {
            Self::Curve { title, .. }
            | Self::HeatMap { title, .. }
            | Self::Funnel { title, .. }
            | Self::ScoreBands { title, .. }
            | Self::Distribution { title, .. }
            | Self::Criteria { title, .. }
            | Self::Losses { title, .. } => title,
        }
    }

    /// The axes that it names.
    pub(super) fn axes(&self) -> Vec<&str> {
        match self {
            Self::Curve { x, at, .. } => {
                let at = at.keys().map(String::as_str);
                std::iter::once(x.as_str()).chain(at).collect()
            }
            Self::HeatMap { x, y, at, .. } => {
                let at = at.keys().map(String::as_str);
                [x.as_str(), y.as_str()].into_iter().chain(at).collect()
            }
            Self::Funnel { at, .. } => at.keys().map(String::as_str).collect(),
            _ => Vec::new(),
        }
    }
}

/// The stage of a reference: of a filter or a training one may name any output.
fn stage_of(reference: &str) -> &str {
    split_reference(reference).0
}
