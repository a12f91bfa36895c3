//! One figure over several seeds: the two sources of variance, side by side and never mixed.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::answered::{balanced, golds};
use super::definition::Kind;
use super::interval::{Estimate, share_over_seeds};
use super::mean::bootstrap_mean;
use super::{Evaluation, Metric, MetricError};
use crate::key::Digest;

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
    /// of them was made with. `None` where one of them has not measured it. Seeds that measured questions of other content
    /// under the same ids add theirs.
    ///
    /// # Errors
    /// No evaluations, or such as have other questions by their ids.
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
        .filter_map(|(asked, mean)| Some((*asked, (*mean)?)));
    let means = || known.clone().map(|(_, mean)| mean).collect::<Vec<f64>>();
    let resampling = seeds[0].resampling();
    // Of seeds that ask questions of their own each question has one.
    let worlds: BTreeSet<Digest> = seeds.iter().map(|seed| seed.questions).collect();
    let values = seeds.len().div_ceil(worlds.len()) * metric.values_each(&seeds[0].outcomes);
    Ok(match metric.kind() {
        Kind::Share => share_over_seeds(&means(), values, resampling.confidence),
        Kind::Balanced => {
            let golds: BTreeMap<Asked<'_>, &str> = (seeds.iter())
                .flat_map(|seed| {
                    let golds = golds(&seed.outcomes).into_iter();
                    golds.map(|(id, gold)| ((seed.questions, id), gold))
                })
                .collect();
            let rows = known.filter_map(|(asked, mean)| Some((*golds.get(&asked)?, mean)));
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

/// A question: all that its evaluation asks, by content, and its id. Seeds whose data differ ask questions of their own
/// under the same ids.
pub(super) type Asked<'e> = (Digest, &'e str);

/// A value of each question, where it is known.
pub(super) type ByQuestion<'e> = BTreeMap<Asked<'e>, Option<f64>>;

/// Each question's mean over the seeds that ask it, and the answers of each, in which it is known; `None` where it is in
/// none.
pub(super) fn mean_by_question<'e>(
    metric: Metric,
    seeds: &[&'e Evaluation],
) -> Result<ByQuestion<'e>, MetricError> {
    let mut sums: BTreeMap<Digest, BTreeMap<&str, (f64, usize)>> = BTreeMap::new();
    for seed in seeds {
        let values = by_id(metric, seed)?;
        // Another world asks as many, under the same ids; part of the same questions is a mistake.
        if let Some(first) = sums.values().next() {
            let [first, these] = [first, &values].map(|of| of.keys().copied().collect());
            MetricError::same_questions(&first, &these)?;
        }
        match sums.entry(seed.questions) {
            Entry::Vacant(vacant) => _ = vacant.insert(values),
            Entry::Occupied(mut occupied) => {
                let sums = occupied.get_mut();
                for ((sum, known), (value, here)) in sums.values_mut().zip(values.into_values()) {
                    *sum += value;
                    *known += here;
                }
            }
        }
    }
    if sums.values().all(BTreeMap::is_empty) {
        return Err(MetricError::Empty {
            what: "evaluated questions",
        });
    }
    let mean = |(sum, known): (f64, usize)| (known > 0).then(|| sum / known as f64);
    let of_all = sums.into_iter().flat_map(|(all, sums)| {
        let means = sums.into_iter();
        means.map(move |(id, each)| ((all, id), mean(each)))
    });
    Ok(of_all.collect())
}

/// Each question's value, the sum over its answers, and of how many of them it is known.
fn by_id(metric: Metric, seed: &Evaluation) -> Result<BTreeMap<&str, (f64, usize)>, MetricError> {
    let mut by_id = BTreeMap::new();
    for (answers, value) in metric.values_by_question(&seed.outcomes) {
        let value = value.unwrap_or((0.0, 0));
        let question_id = answers[0].question_id.as_str();
        let twice = answers.windows(2).any(|pair| pair[0].draw >= pair[1].draw);
        if by_id.insert(question_id, value).is_some() || twice {
            return Err(MetricError::Repeated {
                question_id: question_id.to_owned(),
            });
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
