//! One figure over several seeds: the two sources of variance, side by side and never mixed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::interval::Estimate;
use super::mean::bootstrap_mean;
use super::resample::Resampling;
use super::{Evaluation, Metric, MetricError};

/// A figure over seeds.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct OverSeeds {
    /// The mean over the seeds.
    pub mean: f64,
    /// How far seeds lie apart: the sample standard deviation of their figures. `None` of one seed.
    pub sd: Option<f64>,
    /// How many seeds.
    pub seeds: usize,
    /// How far other questions would move the mean, these seeds given: of one seed the figure's own
    /// interval, of several the bootstrap by question of each question's mean over the seeds.
    pub questions: Estimate,
}

impl OverSeeds {
    /// The figure of evaluations that differ in their seed only. `None` where one of them has not
    /// measured it.
    ///
    /// # Errors
    /// No evaluations, or such as measured different questions.
    pub fn of(
        metric: Metric,
        seeds: &[&Evaluation],
        resampling: &Resampling,
    ) -> Result<Option<Self>, MetricError> {
        if let [one] = seeds {
            return Ok(metric.of(one).map(|questions| Self {
                mean: questions.value,
                sd: None,
                seeds: 1,
                questions,
            }));
        }
        let Some(by_question) = mean_by_question(metric, seeds)? else {
            return Ok(None);
        };
        let means: Vec<f64> = by_question.into_values().collect();
        let questions = bootstrap_mean(&means, resampling, metric.stream());
        let figures: Vec<f64> = seeds
            .iter()
            .filter_map(|seed| metric.of(seed).map(|figure| figure.value))
            .collect();
        Ok(Some(Self {
            mean: questions.value,
            sd: sample_deviation(&figures),
            seeds: seeds.len(),
            questions,
        }))
    }
}

/// The sample standard deviation (n - 1 below the line); `None` of fewer than two values.
fn sample_deviation(values: &[f64]) -> Option<f64> {
    if values.len() < 2 {
        return None;
    }
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let squares: f64 = values.iter().map(|each| (each - mean).powi(2)).sum();
    Some((squares / (values.len() - 1) as f64).sqrt())
}

/// Each question's mean over the seeds, by its id. `None` where a seed has not measured the metric.
pub(super) fn mean_by_question(
    metric: Metric,
    seeds: &[&Evaluation],
) -> Result<Option<BTreeMap<String, f64>>, MetricError> {
    let mut sums: Option<BTreeMap<String, f64>> = None;
    for seed in seeds {
        let Some(values) = metric.per_question(seed) else {
            return Ok(None);
        };
        let values = by_id(values)?;
        match &mut sums {
            None => sums = Some(values),
            Some(sums) => {
                MetricError::same_questions(sums, &values)?;
                for (sum, value) in sums.values_mut().zip(values.values()) {
                    *sum += value;
                }
            }
        }
    }
    let Some(mut sums) = sums.filter(|sums| !sums.is_empty()) else {
        return Err(MetricError::Empty {
            what: "evaluated questions",
        });
    };
    for sum in sums.values_mut() {
        *sum /= seeds.len() as f64;
    }
    Ok(Some(sums))
}

fn by_id(values: Vec<(String, f64)>) -> Result<BTreeMap<String, f64>, MetricError> {
    let mut by_id = BTreeMap::new();
    for (id, value) in values {
        if by_id.insert(id.clone(), value).is_some() {
            return Err(MetricError::Repeated { question_id: id });
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
            let (questions, _) = mean_by(
                &case.questions.values,
                &case.questions.resampling(),
                fixture.places.feed(),
            );
            fixture::close(questions.value, case.mean);
            case.questions.check(&questions);
        }
        assert_eq!(sample_deviation(&[1.0]), None);
    }
}
