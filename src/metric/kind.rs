//! The metrics by the names that manifests use.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::interval::Estimate;
use super::mean::Ends;
use super::{Evaluation, Outcome};

/// A column of a table: one figure of an [`Evaluation`].
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// The share of answers that equal the gold one; an unparsed answer is wrong.
    Acc,
    /// The mean over the gold answers of that share, which no constant answer raises; of questions whose legal answers
    /// are listed.
    BalancedAcc,
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
    pub const ALL: [Self; 7] = [
        Self::Acc,
        Self::BalancedAcc,
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
            Self::BalancedAcc => "balanced-acc",
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
            Self::BalancedAcc => "Balanced Acc",
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
            Self::Acc | Self::BalancedAcc | Self::AccOptions | Self::Parsed => Unit::Percent,
            Self::Fmt | Self::Len | Self::Rep => Unit::Plain,
        }
    }

    /// Decimals of a figure in its unit: those of the paper's Table II, so that figures can be set
    /// beside it; intervals say how many of them count.
    pub fn decimals(self) -> usize {
        match self {
            Self::Parsed => 1,
            _ => 2,
        }
    }

    /// What its figure is over the questions.
    pub(super) fn kind(self) -> Kind {
        match self {
            Self::Acc | Self::AccOptions | Self::Fmt | Self::Parsed => Kind::Share,
            Self::BalancedAcc => Kind::Balanced,
            Self::Len | Self::Rep => Kind::Mean,
        }
    }

    /// Whether two arms are tested on it, question by question.
    pub fn is_tested(self) -> bool {
        self.kind() != Kind::Balanced
    }

    /// Whether each question counts 0 or 1, so that the figure is a share.
    pub fn is_share(self) -> bool {
        self.kind() == Kind::Share
    }

    /// The ends between which each question's value lies, where there are any.
    pub(super) fn ends(self) -> Ends {
        (self != Self::Len).then_some((0.0, 1.0))
    }

    /// The figure; `None` where it was not measured.
    pub fn of(self, evaluation: &Evaluation) -> Option<Estimate> {
        match self {
            Self::Acc => Some(evaluation.accuracy),
            Self::BalancedAcc => evaluation.balanced_accuracy,
            Self::AccOptions => evaluation.accuracy_options,
            Self::Fmt => evaluation.format.aligned,
            Self::Len => Some(evaluation.len),
            Self::Rep => evaluation.rep,
            Self::Parsed => Some(evaluation.parsed),
        }
    }

    /// What one question counts; `None` where it is not known. Where [the figure is a share](Metric::is_share), 1 or 0.
    pub(super) fn value(self, outcome: &Outcome) -> Option<f64> {
        let share = |holds| f64::from(u8::from(holds));
        match self {
            Self::Acc | Self::BalancedAcc => Some(share(outcome.correct)),
            Self::AccOptions => outcome.option_correct.map(share),
            Self::Fmt => outcome.format.aligned().map(share),
            Self::Len => Some(outcome.len as f64),
            Self::Rep => outcome.rep,
            Self::Parsed => Some(share(outcome.parsed.is_some())),
        }
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
            Self::BalancedAcc => 7,
        }
    }
}

/// What a figure is over the questions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// A share of them.
    Share,
    /// The mean over the gold answers of the share of each one's questions.
    Balanced,
    /// A mean.
    Mean,
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
