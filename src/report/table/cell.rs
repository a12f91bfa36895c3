//! A cell: a figure with what makes it believable, or a hole with its reason.

use serde::Serialize;

use crate::metric::{Estimate, Metric, Unit};

/// A cell of a table.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(tag = "cell", rename_all = "kebab-case")]
pub enum Cell {
    /// There is nothing to show: the metric does not apply.
    Empty,
    /// There should be a figure, and there is none.
    Hole {
        /// Why not.
        reason: String,
    },
    /// A figure.
    Figure(Box<Figure>),
}

/// A figure.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Figure {
    /// The value, over seeds their mean, and how far other questions would move it.
    #[serde(flatten)]
    pub estimate: Estimate,
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
pub struct Reported {
    /// As it was published, in the metric's unit.
    pub value: f64,
    /// Ours less it, in the metric's unit.
    pub difference: f64,
    /// Whether our interval covers it.
    pub covered: bool,
}

impl Cell {
    /// The figure, if it is one.
    pub fn figure(&self) -> Option<&Figure> {
        match self {
            Self::Figure(figure) => Some(figure),
            _ => None,
        }
    }

    /// `54.00 ± 0.81 [50.25, 57.70]`; `-` for a hole.
    pub fn text(&self, metric: Metric) -> String {
        match self {
            Self::Empty => String::new(),
            Self::Hole { .. } => "-".to_owned(),
            Self::Figure(figure) => figure.text(metric),
        }
    }

    /// `54.00 (-0.45, inside)`: what was published, ours less it, and whether our interval covers it.
    pub(super) fn reported_text(&self, metric: Metric) -> String {
        let reported = self.figure().and_then(|figure| figure.reported);
        reported.map_or_else(String::new, |reported| {
            let scale = metric.unit().scale();
            format!(
                "{:.2} ({}, {})",
                reported.value,
                signed(reported.difference / scale, metric),
                reported.place()
            )
        })
    }
}

impl Figure {
    fn text(&self, metric: Metric) -> String {
        let spread = self
            .seed_sd
            .map_or_else(String::new, |sd| format!(" ± {}", written(sd, metric)));
        let Estimate {
            value, low, high, ..
        } = self.estimate;
        format!(
            "{}{spread} [{}, {}]",
            written(value, metric),
            written(low, metric),
            written(high, metric)
        )
    }
}

impl Reported {
    /// A published value (in the metric's unit) beside ours.
    pub(super) fn beside(ours: &Estimate, value: f64, metric: Metric) -> Self {
        let scale = metric.unit().scale();
        Self {
            value,
            difference: ours.value * scale - value,
            // Ours is known to more decimals than what was printed.
            covered: written(ours.low, metric).parse().unwrap_or(f64::NAN) <= value
                && value <= written(ours.high, metric).parse().unwrap_or(f64::NAN),
        }
    }

    /// Where it lies.
    pub(super) fn place(self) -> &'static str {
        if self.covered { "inside" } else { "outside" }
    }
}

/// A value in the metric's unit, with its decimals.
pub(super) fn written(value: f64, metric: Metric) -> String {
    format!("{:.1$}", value * metric.unit().scale(), metric.decimals())
}

/// The same with its sign; what rounds to nothing has a plus.
pub(super) fn signed(value: f64, metric: Metric) -> String {
    let text = format!("{:+.1$}", value * metric.unit().scale(), metric.decimals());
    if text.chars().all(|c| "-0.".contains(c)) {
        text.replace('-', "+")
    } else {
        text
    }
}

/// `Acc %`: a column's title with its unit.
pub(super) fn titled(metric: Metric) -> String {
    match metric.unit() {
        Unit::Percent => format!("{} %", metric.title()),
        Unit::Plain => metric.title().to_owned(),
    }
}
