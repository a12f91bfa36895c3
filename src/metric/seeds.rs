//! One figure over several seeds: the two sources of variance, side by side and never mixed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::answered::{balanced, golds};
use super::definition::Kind;
use super::interval::{Estimate, share_over_seeds};
use super::mean::bootstrap_mean;
use super::{Evaluation, Metric, MetricError};

/// A figure over seeds.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct OverSeeds {
    /// How far seeds lie apart: the sample standard deviation of their figures. `None` of one seed.
    pub sd: Option<f64>,
    /// How many seeds.
    pub seeds: usize,
    /// The mean over the seeds, and how far other questions would move it, these seeds given: of one seed the figure's
    /// own interval, of several one of each question's mean over the seeds in which it is known.
    pub questions: Estimate,
}

impl OverSeeds {
    /// The figure of evaluations that differ in their seed only, with the confidence and the resampling that the first
    /// of them was made with. `None` where one of them has not measured it.
    ///
    /// # Errors
    /// No evaluations, or such as measured different questions.
    pub fn of(metric: Metric, seeds: &[&Evaluation]) -> Result<Option<Self>, MetricError> {
        let figures: Vec<Estimate> = seeds.iter().filter_map(|seed| metric.of(seed)).collect();
        if figures.len() < seeds.len() {
            return Ok(None);
        }
        let questions = match figures.as_slice() {
            [one] => Some(*one),
            _ => over_questions(metric, seeds)?,
        };
        let figures: Vec<f64> = figures.iter().map(|figure| figure.value).collect();
        Ok(questions.map(|questions| Self {
            sd: sample_deviation(&figures),
            seeds: seeds.len(),
            questions,
        }))
    }
}

impl OverSeeds {
    /// The mean of counts, one for each seed, each known without sampling; `None` of none.
    #[expect(
        clippy::cast_precision_loss,
        reason = "counts of tokens lie far below 2^53"
    )]
    pub fn of_counts(counts: &[u64]) -> Option<Self> {
        let values: Vec<f64> = counts.iter().map(|count| *count as f64).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        (!values.is_empty()).then(|| Self {
            sd: sample_deviation(&values),
            seeds: values.len(),
            questions: Estimate::exact(mean, values.len()),
        })
    }
}

/// The mean over several seeds with its interval over questions; `None` where no question's value is known.
fn over_questions(metric: Metric, seeds: &[&Evaluation]) -> Result<Option<Estimate>, MetricError> {
    let by_question = mean_by_question(metric, seeds)?;
    let known = by_question
        .iter()
        .filter_map(|(id, mean)| Some((id.as_str(), (*mean)?)));
    let means = || known.clone().map(|(_, mean)| mean).collect::<Vec<f64>>();
    let resampling = seeds[0].resampling();
    let values = seeds.len() * metric.values_each(&seeds[0].outcomes);
    Ok(match metric.kind() {
        Kind::Share => share_over_seeds(&means(), values, resampling.confidence),
        Kind::Balanced => {
            let golds = golds(&seeds[0].outcomes);
            let rows = known.filter_map(|(id, mean)| Some((*golds.get(id)?, mean)));
            balanced(rows, values, resampling.confidence)
        }
        Kind::Mean | Kind::Count => {
            bootstrap_mean(&means(), metric.ends(), &resampling, metric.stream())
        }
    })
}

/// The sample standard deviation (n - 1 below the line); `None` of fewer than two values.
pub(super) fn sample_deviation(values: &[f64]) -> Option<f64> {
    if values.len() < 2 {
        return None;
    }
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let squares: f64 = values.iter().map(|each| (each - mean).powi(2)).sum();
    Some((squares / (values.len() - 1) as f64).sqrt())
}

/// Each question's mean over the seeds, and the answers of each, in which it is known, by its id; `None` where it is in
/// none.
pub(super) fn mean_by_question(
    metric: Metric,
    seeds: &[&Evaluation],
) -> Result<BTreeMap<String, Option<f64>>, MetricError> {
    let mut sums: Option<BTreeMap<String, (f64, usize)>> = None;
    for seed in seeds {
        let values = by_id(metric, seed)?;
        match &mut sums {
            None => sums = Some(values),
            Some(sums) => {
                MetricError::same_questions(sums, &values)?;
                for ((sum, known), (value, here)) in sums.values_mut().zip(values.into_values()) {
                    *sum += value;
                    *known += here;
                }
            }
        }
    }
    MetricError::same_content(seeds.iter().copied())?;
    let sums = sums.filter(|sums| !sums.is_empty());
    let sums = sums.ok_or(MetricError::Empty {
        what: "evaluated questions",
    })?;
    let mean = |(sum, known): (f64, usize)| (known > 0).then(|| sum / known as f64);
    Ok(sums
        .into_iter()
        .map(|(id, each)| (id, mean(each)))
        .collect())
}

/// Each question's value, the sum over its answers, and of how many of them it is known.
fn by_id(metric: Metric, seed: &Evaluation) -> Result<BTreeMap<String, (f64, usize)>, MetricError> {
    let mut by_id = BTreeMap::new();
    for (answers, value) in metric.values_by_question(&seed.outcomes) {
        let value = value.unwrap_or((0.0, 0));
        let question_id = answers[0].question_id.clone();
        let twice = answers.windows(2).any(|pair| pair[0].draw >= pair[1].draw);
        if by_id.insert(question_id.clone(), value).is_some() || twice {
            return Err(MetricError::Repeated { question_id });
        }
    }
    Ok(by_id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::fixture;
    use crate::metric::mean::mean_by;

    /// numpy: `std(ddof=1)` over seeds, and percentiles from the same resamples of questions.
    #[test]
    fn both_variances_agree_with_numpy() {
        let fixture = fixture::load();
        for case in fixture.seeds {
            let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
            let figures: Vec<f64> = case.values.iter().map(|seed| mean(seed)).collect();
            fixture::close(sample_deviation(&figures).unwrap(), case.sd);
            let resampling = case.questions.resampling();
            let values = &case.questions.values;
            let found = mean_by(values, None, &resampling, fixture.places.feed());
            let (questions, _) = found.unwrap();
            fixture::close(questions.value, case.mean);
            case.questions.check(&questions);
        }
        assert_eq!(sample_deviation(&[1.0]), None);
    }
}
