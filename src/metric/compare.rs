//! Two arms on the same questions.

use serde::Serialize;

use super::interval::Estimate;
use super::mcnemar::mcnemar;
use super::mean::paired_bootstrap;
use super::resample::Resampling;
use super::seeds::mean_by_question;
use super::{Evaluation, Metric, MetricError};

/// How a p-value was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Test {
    /// McNemar's exact test of the questions that one arm answers rightly and the other does not.
    ExactMcnemar,
    /// The paired bootstrap of the questions' differences.
    PairedBootstrap,
}

impl Test {
    /// The name for a reader.
    pub fn name(self) -> &'static str {
        match self {
            Self::ExactMcnemar => "exact McNemar",
            Self::PairedBootstrap => "paired bootstrap",
        }
    }
}

/// One metric of two arms, A and B.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Comparison {
    /// The metric.
    pub metric: Metric,
    /// A's figure less B's, with its interval by the paired bootstrap over questions; `n` counts
    /// questions. Over several seeds, of each question's mean: the seeds are taken as they are, so
    /// how far seeds lie apart is not in it (see [`OverSeeds`](super::OverSeeds)).
    pub difference: Estimate,
    /// Two-sided p-value that there is no difference, not corrected: the family is the caller's to
    /// declare (see [`holm`](super::holm)).
    pub p: f64,
    /// How it was made.
    pub test: Test,
    /// The mean square of the questions' differences. Of shares with one seed each this is the share
    /// of discordant questions, which [`smallest_difference`](super::smallest_difference) takes.
    pub mean_square: f64,
}

/// Compares arms A and B, each with one evaluation per seed, on every metric that both measured, in
/// the order of [`Metric::ALL`].
///
/// # Errors
/// As [`compare_on`].
pub fn compare(
    a: &[&Evaluation],
    b: &[&Evaluation],
    resampling: &Resampling,
) -> Result<Vec<Comparison>, MetricError> {
    let mut found = Vec::new();
    for metric in Metric::ALL {
        found.extend(compare_on(metric, a, b, resampling)?);
    }
    Ok(found)
}

/// Compares arms A and B on one metric, question by question: accuracies by McNemar's exact test where
/// each arm has one seed, all else by the paired bootstrap. `None` where a side has not measured it.
///
/// # Errors
/// A side without evaluations, or questions that differ between evaluations.
pub fn compare_on(
    metric: Metric,
    a: &[&Evaluation],
    b: &[&Evaluation],
    resampling: &Resampling,
) -> Result<Option<Comparison>, MetricError> {
    let (Some(in_a), Some(in_b)) = (mean_by_question(metric, a)?, mean_by_question(metric, b)?)
    else {
        return Ok(None);
    };
    MetricError::same_questions(&in_a, &in_b)?;
    let pairs = || in_a.values().copied().zip(in_b.values().copied());
    let differences: Vec<f64> = pairs().map(|(a, b)| a - b).collect();
    let resampled = paired_bootstrap(&differences, resampling, metric.stream());
    let accuracy = matches!(metric, Metric::Acc | Metric::AccOptions);
    let (test, p) = if accuracy && a.len() == 1 && b.len() == 1 {
        let right = pairs().map(|(a, b)| (a > 0.5, b > 0.5));
        (Test::ExactMcnemar, mcnemar(right).p)
    } else {
        (Test::PairedBootstrap, resampled.p)
    };
    let squares: f64 = differences.iter().map(|each| each * each).sum();
    Ok(Some(Comparison {
        metric,
        difference: resampled.difference,
        p,
        test,
        mean_square: squares / differences.len() as f64,
    }))
}

#[cfg(test)]
#[path = "compare_tests.rs"]
mod tests;
