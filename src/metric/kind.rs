//! The metrics by the names that manifests use.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::interval::Estimate;
use super::{Evaluation, Outcome};

/// A column of a table: one figure of an [`Evaluation`].
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// The share of answers that equal the gold one; an unparsed answer is wrong.
    Acc,
    /// The share of questions whose gold option has the greatest log-likelihood.
    AccOptions,
    /// The share of outputs that pass all format checks.
    Fmt,
    /// Mean words per output.
    Len,
    /// Mean word-level repetition of an output, 0 to 1.
    Rep,
    /// The share of outputs out of which one legal answer was read.
    Parsed,
}

/// What a metric's figures are written in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unit {
    /// Per cent: the value times 100.
    Percent,
    /// As the value is.
    Plain,
}

impl Unit {
    /// What a value is multiplied with before it is written.
    pub fn scale(self) -> f64 {
        match self {
            Self::Percent => 100.0,
            Self::Plain => 1.0,
        }
    }
}

impl Metric {
    /// All of them, in the order of a table's columns.
    pub const ALL: [Self; 6] = [
        Self::Acc,
        Self::AccOptions,
        Self::Fmt,
        Self::Len,
        Self::Rep,
        Self::Parsed,
    ];

    /// The name that manifests use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Acc => "acc",
            Self::AccOptions => "acc-options",
            Self::Fmt => "fmt",
            Self::Len => "len",
            Self::Rep => "rep",
            Self::Parsed => "parsed",
        }
    }

    /// The column's title, without its unit.
    pub fn title(self) -> &'static str {
        match self {
            Self::Acc => "Acc",
            Self::AccOptions => "Acc (options)",
            Self::Fmt => "Fmt",
            Self::Len => "Len",
            Self::Rep => "Rep",
            Self::Parsed => "Parsed",
        }
    }

    /// What its figures are written in, as in the paper's Table II.
    pub fn unit(self) -> Unit {
        match self {
            Self::Acc | Self::AccOptions | Self::Parsed => Unit::Percent,
            Self::Fmt | Self::Len | Self::Rep => Unit::Plain,
        }
    }

    /// Decimals of a figure in its unit: those of the paper's Table II, so that figures can be set
    /// beside it; intervals say how many of them count.
    pub fn decimals(self) -> usize {
        match self {
            Self::Acc | Self::AccOptions | Self::Fmt | Self::Len | Self::Rep => 2,
            Self::Parsed => 1,
        }
    }

    /// Whether a question counts 0 or 1, so that the figure is a share.
    pub fn is_share(self) -> bool {
        !matches!(self, Self::Len | Self::Rep)
    }

    /// The figure; `None` where it was not measured.
    pub fn of(self, evaluation: &Evaluation) -> Option<Estimate> {
        match self {
            Self::Acc => Some(evaluation.accuracy),
            Self::AccOptions => evaluation.accuracy_options,
            Self::Fmt => Some(evaluation.format.aligned),
            Self::Len => Some(evaluation.len),
            Self::Rep => Some(evaluation.rep),
            Self::Parsed => Some(evaluation.parsed),
        }
    }

    /// Each question's id and value, in the evaluation's order; their mean is the figure. 1 or 0
    /// where [the figure is a share](Metric::is_share). `None` where it was not measured.
    pub fn per_question(self, evaluation: &Evaluation) -> Option<Vec<(String, f64)>> {
        evaluation
            .outcomes
            .iter()
            .map(|outcome| Some((outcome.question_id.clone(), self.value(outcome)?)))
            .collect()
    }

    /// What one question counts.
    fn value(self, outcome: &Outcome) -> Option<f64> {
        let share = |holds| f64::from(u8::from(holds));
        Some(match self {
            Self::Acc => share(outcome.correct),
            Self::AccOptions => share(outcome.option_correct?),
            Self::Fmt => share(outcome.format.aligned()),
            Self::Len => outcome.len as f64,
            Self::Rep => outcome.rep,
            Self::Parsed => share(outcome.parsed.is_some()),
        })
    }

    /// Its stream of the bootstrap's generator; a new metric takes a new number. 1 and 2 are those
    /// that evaluations have always used.
    pub(super) fn stream(self) -> u64 {
        match self {
            Self::Len => 1,
            Self::Rep => 2,
            Self::Acc => 3,
            Self::AccOptions => 4,
            Self::Fmt => 5,
            Self::Parsed => 6,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_those_of_serde_and_streams_differ() {
        for metric in Metric::ALL {
            let name = serde_json::to_value(metric).unwrap();
            assert_eq!(name, metric.name());
            assert_eq!(serde_json::from_value::<Metric>(name).unwrap(), metric);
        }
        let streams: BTreeSet<u64> = Metric::ALL.iter().map(|each| each.stream()).collect();
        assert_eq!(streams.len(), Metric::ALL.len());
    }
}
