//! When a series of rounds stops: by a figure after each round, on validation questions.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Metric;

/// Which of two figures is the better one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Better {
    /// The higher one, as of an accuracy.
    #[default]
    Higher,
    /// The lower one, as of a repetition rate.
    Lower,
}

impl Better {
    /// Whether `figure` is better than `other`.
    fn is_better(self, figure: f64, other: f64) -> bool {
        match self {
            Self::Higher => figure > other,
            Self::Lower => figure < other,
        }
    }
}

/// What was decided after a round.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Decision {
    /// What was looked at.
    pub metric: Metric,
    /// Its figure after each round so far.
    pub figures: Vec<f64>,
    /// The round with the best of them, counted from 1; the first of equals.
    pub peak: usize,
    /// Whether there is to be another round.
    pub go_on: bool,
}

impl Decision {
    /// The decision on these figures, one after each round: no more rounds once `patience` of them in a row were not
    /// better than the best before. `None` without figures.
    pub fn on(metric: Metric, figures: Vec<f64>, better: Better, patience: usize) -> Option<Self> {
        let mut best = *figures.first()?;
        let mut peak = 1;
        for (figure, round) in figures.iter().zip(1..) {
            if better.is_better(*figure, best) {
                (best, peak) = (*figure, round);
            }
        }
        Some(Self {
            metric,
            go_on: figures.len() - peak < patience,
            figures,
            peak,
        })
    }

    /// `Acc by round: 61.00, 58.20 (%); round 1 is the best`.
    pub fn text(&self) -> String {
        let (scale, decimals) = (self.metric.unit().scale(), self.metric.decimals());
        let figures = self.figures.iter();
        let figures: Vec<String> = figures
            .map(|figure| format!("{:.decimals$}", figure * scale))
            .collect();
        format!(
            "{} by round: {} ({}); round {} is the best",
            self.metric.title(),
            figures.join(", "),
            self.metric.unit().sign(),
            self.peak
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_stop_once_patience_is_over() {
        let decided = |figures: &[f64], better, patience| {
            let decision = Decision::on(Metric::ACC, figures.to_vec(), better, patience).unwrap();
            (decision.peak, decision.go_on)
        };
        let higher = |figures: &[f64], patience| decided(figures, Better::Higher, patience);
        assert_eq!(higher(&[0.5], 1), (1, true));
        assert_eq!(higher(&[0.5, 0.6], 1), (2, true));
        assert_eq!(higher(&[0.5, 0.4], 1), (1, false));
        assert_eq!(higher(&[0.5, 0.4], 2), (1, true));
        assert_eq!(higher(&[0.5, 0.4, 0.45], 2), (1, false));
        assert_eq!(higher(&[0.5, 0.4, 0.6], 2), (3, true));
        // No better is not better, and the first of equals has trained the least.
        assert_eq!(higher(&[0.5, 0.5], 1), (1, false));
        assert_eq!(decided(&[0.5, 0.4], Better::Lower, 1), (2, true));
        assert_eq!(
            Decision::on(Metric::ACC, Vec::new(), Better::Higher, 1),
            None
        );
    }

    #[test]
    fn a_decision_in_words() {
        let decision = Decision::on(Metric::ACC, vec![0.61, 0.582], Better::Higher, 1).unwrap();
        assert_eq!(
            decision.text(),
            "Acc by round: 61.00, 58.20 (%); round 1 is the best"
        );
    }
}
