//! Two arms on the same questions.
//!
//! Source of the interval of a difference of shares: Agresti & Min 2005.

use std::collections::BTreeSet;

use serde::Serialize;

use super::definition::Kind;
use super::interval::{Bounds, Estimate, IntervalMethod};
use super::mcnemar::mcnemar;
use super::mean::paired_bootstrap;
use super::normal::normal_quantile;
use super::resample::Resampling;
use super::seeds::{ByQuestion, mean_by_question};
use super::{Evaluation, Metric, MetricError};
use crate::key::Digest;

/// Resamples of a test at least, so that its p can be small.
const RESAMPLES: u32 = 10_000;

/// How a p-value was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Test {
    /// McNemar's exact test of the questions on which one arm has what is counted and the other has not.
    ExactMcnemar,
    /// The paired bootstrap of the questions' differences.
    PairedBootstrap,
}

/// One metric of two arms, A and B.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Comparison {
    /// The metric.
    pub metric: Metric,
    /// A's figure less B's over the questions of which both are known, which `n` counts, with its interval: of shares
    /// Agresti and Min's, of means by the paired bootstrap. Over several seeds or answers, of each question's mean: the seeds are
    /// taken as they are, so how far seeds lie apart is not in it (see [`OverSeeds`](super::OverSeeds)).
    pub difference: Estimate,
    /// Two-sided p-value that there is no difference, not corrected: the family is the caller's to
    /// declare (see [`holm`](super::holm)).
    pub p: f64,
    /// How it was made.
    pub test: Test,
    /// The mean square of the questions' differences, which [`smallest_difference`](super::smallest_difference) takes:
    /// of shares with one seed each the share of discordant questions.
    pub mean_square: f64,
}

/// Compares arms A and B, each with one evaluation per seed, on one metric, question by question: what is yes or no for
/// each question by McNemar's exact test where each arm has one value of it (one seed, and one answer to a question, or a
/// vote or choice among several), all else by the paired bootstrap of the questions' means. `None` where no
/// question's value is known of both, and of a metric that [is not tested](Metric::is_tested).
///
/// Confidence and resampling are A's, with B's confidence where it is greater, and at least 10,000 resamples.
///
/// # Errors
/// A side without evaluations, or questions that differ between evaluations.
pub fn compare(
    metric: Metric,
    a: &[&Evaluation],
    b: &[&Evaluation],
) -> Result<Option<Comparison>, MetricError> {
    let (in_a, in_b) = (mean_by_question(metric, a)?, mean_by_question(metric, b)?);
    same_questions(a, b, &in_a, &in_b)?;
    let pairs: Vec<(f64, f64)> = (in_a.values().zip(in_b.values()))
        .filter_map(|(a, b)| Some(((*a)?, (*b)?)))
        .collect();
    if pairs.is_empty() || !metric.is_tested() {
        return Ok(None);
    }
    let differences: Vec<f64> = pairs.iter().map(|(a, b)| a - b).collect();
    let resampling = resampling(a[0], b[0]);
    let bootstrap = || {
        let ends = metric.ends().map(|(low, high)| (low - high, high - low));
        paired_bootstrap(&differences, ends, &resampling, metric.stream())
    };
    let one = |arm: &[&Evaluation]| arm.len() == 1 && metric.values_each(&arm[0].outcomes) == 1;
    let one_each = one(a) && one(b);
    let found = match metric.kind() {
        Kind::Share => {
            let difference = agresti_min(&differences, resampling.confidence);
            if one_each {
                let holds = pairs.iter().map(|(a, b)| (*a > 0.5, *b > 0.5));
                Some((difference, mcnemar(holds).p, Test::ExactMcnemar))
            } else {
                bootstrap().map(|found| (difference, found.p, Test::PairedBootstrap))
            }
        }
        Kind::Mean | Kind::Balanced | Kind::Count => {
            bootstrap().map(|found| (found.difference, found.p, Test::PairedBootstrap))
        }
    };
    let squares: f64 = differences.iter().map(|each| each * each).sum();
    Ok(found.map(|(difference, p, test)| Comparison {
        metric,
        difference,
        p,
        test,
        mean_square: squares / differences.len() as f64,
    }))
}

/// An error unless both arms were asked the same.
fn same_questions(
    a: &[&Evaluation],
    b: &[&Evaluation],
    in_a: &ByQuestion<'_>,
    in_b: &ByQuestion<'_>,
) -> Result<(), MetricError> {
    let [ids_a, ids_b] = [in_a, in_b].map(|of| of.keys().map(|(_, id)| *id).collect());
    MetricError::same_questions(&ids_a, &ids_b)?;
    let contents = |arm: &[&Evaluation]| -> BTreeSet<Digest> {
        arm.iter().map(|each| each.questions).collect()
    };
    if contents(a) == contents(b) {
        return Ok(());
    }
    let questions = ids_b.len();
    Err(MetricError::OtherContent { questions })
}

fn resampling(a: &Evaluation, b: &Evaluation) -> Resampling {
    let (of_a, of_b) = (a.resampling(), b.resampling());
    Resampling {
        confidence: of_a.confidence.max(of_b.confidence),
        resamples: of_a.resamples.max(RESAMPLES),
        ..of_a
    }
}

/// The mean of questions' differences of two shares, each from -1 to 1, with Agresti and Min's interval: Wald's with
/// half a question more on which A alone has what is counted, half a one on which B alone has, and one on which neither
/// or both have. So it has a width where no question tells the arms apart, too.
fn agresti_min(differences: &[f64], confidence: f64) -> Estimate {
    let n = differences.len();
    let cases = n as f64 + 2.0;
    let sum: f64 = differences.iter().sum();
    let value = sum / n as f64;
    let squares: f64 = differences.iter().map(|each| each * each).sum();
    let middle = sum / cases;
    let z = normal_quantile(f64::midpoint(1.0, confidence));
    let half = z * (((squares + 1.0) / cases - middle * middle) / cases).sqrt();
    Estimate {
        value,
        interval: Some(Bounds {
            low: (middle - half).max(-1.0).min(value),
            high: (middle + half).min(1.0).max(value),
        }),
        n,
        method: IntervalMethod::AgrestiMin,
    }
}

#[cfg(test)]
#[path = "compare_tests.rs"]
mod tests;
