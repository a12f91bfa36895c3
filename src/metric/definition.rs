//! What a metric is, and the metrics by the names that manifests use.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::answered::balanced;
use super::interval::{Estimate, wilson};
use super::mean::{Ends, bootstrap_mean};
use super::metrics::METRICS;
use super::{EvalParams, Evaluation, QuestionOutcome};
use crate::text::{Prediction, Question};

/// What a metric is.
pub(super) struct Definition {
    /// The name that manifests use.
    pub(super) name: &'static str,
    /// A column's title, without its unit.
    pub(super) title: &'static str,
    /// What it is, for the schema.
    pub(super) doc: &'static str,
    /// What its figures are written in, as in the paper's Table II.
    pub(super) unit: Unit,
    /// Decimals of a figure in its unit: those of the paper's Table II, so that figures can be set beside it; intervals
    /// say how many of them count.
    pub(super) decimals: usize,
    /// The least and the greatest value that a question can have.
    pub(super) limits: (f64, f64),
    /// What its figure is over the questions, which decides its interval and its test.
    pub(super) kind: Kind,
    /// Its stream of the bootstrap's generator; a new metric takes a new number.
    pub(super) stream: u64,
    /// How it is measured.
    pub(super) source: ValueSource,
    /// What is said of the answers of which it is known, where it may not be known of some: `have a word`.
    pub(super) known: Option<&'static str>,
    /// Whether a table whose manifest names no metrics has a column of it.
    pub(super) usual: bool,
}

/// Where a metric's values come from.
pub(super) enum ValueSource {
    /// From what an evaluation records of every answer; its figure has a field of its own.
    Recorded {
        value: fn(&QuestionOutcome) -> Option<f64>,
        figure: fn(&Evaluation) -> Option<Estimate>,
    },
    /// Measured on each answer, where it can be, and kept by the metric's name. Evaluations are made anew where there
    /// is a new one; where one comes to mean something else, raise the version of `eval`.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "all of today's are read from what is recorded")
    )]
    Measured(MeasureFn),
}

/// The value of an answer to a question; `None` where it has none.
pub(crate) type MeasureFn = fn(&Question, &Prediction) -> Option<f64>;

/// What a figure is over the questions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// A share of them: Wilson's interval; McNemar's exact test.
    Share,
    /// The mean over the gold answers of the share of each one's questions; of questions whose legal answers are listed.
    /// No figure of single questions, so it has no test.
    Balanced,
    /// A mean: the bootstrap, and the paired one as its test.
    Mean,
}

/// What a metric's figures are written in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unit {
    /// Per cent: the value times 100.
    Percent,
    /// As the value is; what of, or from where to where.
    Plain(&'static str),
}

impl Unit {
    /// What a value is multiplied with before it is written.
    pub fn scale(self) -> f64 {
        match self {
            Self::Percent => 100.0,
            Self::Plain(_) => 1.0,
        }
    }

    /// What stands in parentheses behind a title: `%`, `words`, `0 to 1`.
    pub fn sign(self) -> &'static str {
        match self {
            Self::Percent => "%",
            Self::Plain(of) => of,
        }
    }
}

/// A column of a table: one figure of an [`Evaluation`].
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(into = "&'static str", try_from = "String")]
pub struct Metric(&'static Definition);

impl Metric {
    pub(super) const fn new(definition: &'static Definition) -> Self {
        Self(definition)
    }

    /// All of them, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        METRICS.iter().map(|definition| Self(definition))
    }

    /// Those of a table whose manifest names none.
    pub fn usual() -> impl Iterator<Item = Self> {
        Self::all().filter(|metric| metric.0.usual)
    }

    /// The metric of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::all().find(|metric| metric.name() == name)
    }

    /// The name that manifests use.
    pub fn name(self) -> &'static str {
        self.0.name
    }

    /// A column's title, without its unit.
    pub fn title(self) -> &'static str {
        self.0.title
    }

    /// What its figures are written in, as in the paper's Table II.
    pub fn unit(self) -> Unit {
        self.0.unit
    }

    /// Decimals of a figure in its unit; intervals say how many of them count.
    pub fn decimals(self) -> usize {
        self.0.decimals
    }

    /// The least and the greatest figure that there can be, in its unit.
    pub fn limits(self) -> (f64, f64) {
        let ((low, high), scale) = (self.0.limits, self.0.unit.scale());
        (low * scale, high * scale)
    }

    /// What is said of the answers of which it is known, where it may not be known of some.
    pub fn known(self) -> Option<&'static str> {
        self.0.known
    }

    /// Its title with its unit: `Acc (%)`, `Len (words)`.
    pub fn labelled(self) -> String {
        format!("{} ({})", self.title(), self.unit().sign())
    }

    /// Whether two arms are tested on it, question by question.
    pub fn is_tested(self) -> bool {
        self.kind() != Kind::Balanced
    }

    /// Whether each question counts 0 or 1, so that the figure is a share.
    pub fn is_share(self) -> bool {
        self.kind() == Kind::Share
    }

    /// The figure; `None` where it was not measured.
    pub fn of(self, evaluation: &Evaluation) -> Option<Estimate> {
        match &self.0.source {
            ValueSource::Recorded { figure, .. } => figure(evaluation),
            ValueSource::Measured(_) => evaluation.figures.get(self.name()).copied(),
        }
    }

    /// What one question counts; `None` where it is not known. Where [the figure is a share](Metric::is_share), 1 or 0.
    pub fn value(self, outcome: &QuestionOutcome) -> Option<f64> {
        match &self.0.source {
            ValueSource::Recorded { value, .. } => value(outcome),
            ValueSource::Measured(_) => outcome.values.get(self.name()).copied(),
        }
    }

    /// Those that are measured on answers, with how they are.
    pub(crate) fn measured() -> impl Iterator<Item = (Self, MeasureFn)> {
        Self::all().filter_map(|metric| match &metric.0.source {
            ValueSource::Recorded { .. } => None,
            ValueSource::Measured(measure) => Some((metric, *measure)),
        })
    }

    /// The figure of so many answers; `None` where none of their values is known.
    pub(super) fn over(
        self,
        outcomes: &[QuestionOutcome],
        params: &EvalParams,
    ) -> Option<Estimate> {
        let known = outcomes
            .iter()
            .filter_map(|outcome| Some((outcome.gold.as_str(), self.value(outcome)?)));
        let values = || known.clone().map(|(_, value)| value);
        match self.kind() {
            Kind::Share => {
                let hits = values().filter(|value| *value > 0.5).count();
                wilson(hits, values().count(), params.confidence)
            }
            Kind::Balanced => balanced(known, 1, params.confidence),
            Kind::Mean => {
                let values: Vec<f64> = values().collect();
                bootstrap_mean(&values, self.ends(), &params.resampling(), self.stream())
            }
        }
    }

    /// What its figure is over the questions.
    pub(super) fn kind(self) -> Kind {
        self.0.kind
    }

    /// The ends between which each question's value lies, where there are any.
    pub(super) fn ends(self) -> Ends {
        let (low, high) = self.0.limits;
        (low.is_finite() && high.is_finite()).then_some((low, high))
    }

    /// Its stream of the bootstrap's generator.
    pub(super) fn stream(self) -> u64 {
        self.0.stream
    }

    fn place(self) -> Option<usize> {
        METRICS.iter().position(|each| each.name == self.0.name)
    }
}

impl fmt::Debug for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl PartialEq for Metric {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Metric {}

impl Ord for Metric {
    fn cmp(&self, other: &Self) -> Ordering {
        self.place().cmp(&other.place())
    }
}

impl PartialOrd for Metric {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl From<Metric> for &'static str {
    fn from(metric: Metric) -> Self {
        metric.name()
    }
}

impl TryFrom<String> for Metric {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        Self::named(&name).ok_or_else(|| format!("there is no metric `{name}`"))
    }
}

impl JsonSchema for Metric {
    fn schema_name() -> Cow<'static, str> {
        "Metric".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let each: Vec<Schema> = METRICS
            .iter()
            .map(|each| json_schema!({ "type": "string", "const": each.name, "description": each.doc }))
            .collect();
        json_schema!({ "oneOf": each, "description": "A column of a table: one figure of an evaluation." })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_those_of_serde_and_streams_differ() {
        for metric in Metric::all() {
            let name = serde_json::to_value(metric).unwrap();
            assert_eq!(name, metric.name());
            assert_eq!(serde_json::from_value::<Metric>(name).unwrap(), metric);
        }
        let streams: BTreeSet<u64> = Metric::all().map(Metric::stream).collect();
        assert_eq!(streams.len(), METRICS.len());
        let unknown = serde_json::from_str::<Metric>("\"bleu\"").unwrap_err();
        assert!(unknown.to_string().contains("no metric `bleu`"));
    }
}
