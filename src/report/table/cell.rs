//! A cell: a figure with what makes it believable, or a hole with its reason.

use serde::Serialize;

use crate::metric::{Estimate, Metric};
use crate::report::{Missing, interval};

/// A cell of a table.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(tag = "cell", rename_all = "kebab-case")]
pub(crate) enum Cell {
    /// There is nothing to show: the metric does not apply.
    Empty,
    /// There should be a figure, and there is none.
    Hole {
        /// Why not.
        reason: String,
    },
    /// There is no figure, and there is to be none: a decision made it not needed.
    NotNeeded {
        /// Which, and by what.
        reason: String,
    },
    /// A figure.
    Figure(Box<Figure>),
}

impl From<Missing> for Cell {
    fn from(missing: Missing) -> Self {
        match missing {
            Missing::NotNeeded(reason) => Self::NotNeeded { reason },
            Missing::NotMade(reason) => Self::Hole { reason },
        }
    }
}

/// A figure.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub(crate) struct Figure {
    /// The value, over seeds their mean, and how far other questions would move it.
    #[serde(flatten)]
    pub estimate: Estimate,
    /// The confidence of its interval, that of the evaluations; `None` where it is known without sampling.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    /// How far seeds lie apart: the sample standard deviation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed_sd: Option<f64>,
    /// How many seeds.
    pub seeds: usize,
    /// The stages that measured it, one for each seed.
    pub evaluations: Vec<String>,
    /// What was published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reported: Option<Reported>,
}

/// A published figure beside ours.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub(crate) struct Reported {
    /// As it was published, in the metric's unit.
    pub value: f64,
    /// Ours less it, in the metric's unit.
    pub difference: f64,
    /// Whether our interval covers it; `None` where ours has none.
    pub covered: Option<bool>,
}

impl Cell {
    /// The figure, if it is one.
    pub(crate) fn figure(&self) -> Option<&Figure> {
        match self {
            Self::Figure(figure) => Some(figure),
            _ => None,
        }
    }

    /// `54.00 ± 0.81 [50.25, 57.70]`; `-` for a hole, `not needed` where there is to be no figure.
    pub(crate) fn text(&self, metric: Metric) -> String {
        match self {
            Self::Empty => String::new(),
            Self::Hole { .. } => "-".to_owned(),
            Self::NotNeeded { .. } => "not needed".to_owned(),
            Self::Figure(figure) => figure.text(metric),
        }
    }

    /// `54.00 (-0.45, inside)`: what was published, ours less it, and whether our interval covers it.
    pub(super) fn reported_text(&self, metric: Metric) -> String {
        let reported = self.figure().and_then(|figure| figure.reported);
        reported.map_or_else(String::new, |reported| {
            let scale = metric.unit().scale();
            let difference = signed(reported.difference / scale, metric.decimals(), metric);
            let place = match reported.covered {
                Some(true) => ", inside",
                Some(false) => ", outside",
                None => "",
            };
            format!("{:.2} ({difference}{place})", reported.value)
        })
    }
}

impl Figure {
    fn text(&self, metric: Metric) -> String {
        let scale = metric.unit().scale();
        interval::written(&self.estimate, scale, metric.decimals(), |decimals| {
            let spread = self
                .seed_sd
                .map(|sd| format!(" ± {:.decimals$}", sd * scale));
            spread.unwrap_or_default()
        })
    }
}

impl Reported {
    /// A published value (in the metric's unit) beside ours.
    pub(super) fn beside(ours: &Estimate, value: f64, metric: Metric) -> Self {
        let scale = metric.unit().scale();
        // Ours is known to more decimals than what was printed.
        let rounded = |end: f64| -> f64 {
            let text = format!("{:.1$}", end * scale, metric.decimals());
            text.parse().unwrap_or(f64::NAN)
        };
        let covers = |low: f64, high: f64| rounded(low) <= value && value <= rounded(high);
        Self {
            value,
            difference: ours.value * scale - value,
            covered: ours.interval.map(|bounds| covers(bounds.low, bounds.high)),
        }
    }
}

/// A value in the metric's unit with so many decimals and its sign; what rounds to nothing has a plus.
pub(super) fn signed(value: f64, decimals: usize, metric: Metric) -> String {
    let text = format!("{:+.decimals$}", value * metric.unit().scale());
    if text.chars().all(|c| "-0.".contains(c)) {
        text.replace('-', "+")
    } else {
        text
    }
}

/// A difference with its interval, signs and all.
pub(super) fn difference(estimate: &Estimate, metric: Metric) -> String {
    let decimals = interval::enough(estimate, metric.unit().scale(), metric.decimals());
    let text = |value: f64| signed(value, decimals, metric);
    format!(
        "{}{}",
        text(estimate.value),
        interval::brackets(estimate, text)
    )
}

/// `Acc %`: a column's title with its unit.
pub(super) fn titled(metric: Metric) -> String {
    interval::titled(metric.title(), metric.unit())
}
