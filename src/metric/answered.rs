//! What was answered, beside what was right: an arm that always says `no` has the accuracy of `no`.
//!
//! Source of balanced accuracy: the mean recall, as scikit-learn's `balanced_accuracy_score`. Its interval: Zou & Donner
//! 2008, "square and add", as Newcombe's (1998) of a difference of shares.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::QuestionOutcome;
use super::by_question::by_question;
use super::evaluate::options;
use super::interval::{Bounds, Estimate, IntervalMethod, share_over_seeds};
use crate::text::Question;

/// How often each legal answer was gold, and how often it was given.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Answered {
    /// Answers by the gold answer of their question: as many as there are questions, where each has one.
    pub gold: BTreeMap<String, usize>,
    /// Answers by what they say; those out of which none was read are in none.
    pub given: BTreeMap<String, usize>,
}

impl Answered {
    /// The counts of `outcomes`, in the questions' order. `None` where a question's legal answers are not listed.
    pub(super) fn of(questions: &[Question], outcomes: &[QuestionOutcome]) -> Option<Self> {
        let mut none = BTreeMap::new();
        for question in questions {
            let options = options(question);
            if options.is_empty() {
                return None;
            }
            none.extend(options.into_iter().map(|option| (option, 0)));
        }
        let count = |answers: &mut dyn Iterator<Item = &String>| {
            let mut counts = none.clone();
            for answer in answers {
                *counts.entry(answer.clone()).or_default() += 1;
            }
            counts
        };
        Some(Self {
            gold: count(&mut outcomes.iter().map(|each| &each.gold)),
            given: count(&mut outcomes.iter().filter_map(|each| each.parsed.as_ref())),
        })
    }
}

/// Balanced accuracy: the mean over the gold answers of the share that is right, from each question's gold answer and
/// its share of `seeds` seeds that is right; `None` of no questions.
///
/// Each gold answer has Wilson's interval; how far the ends of the mean lie from it is the root of the sum of squares
/// of how far the ends of each share do, over the number of gold answers.
pub(super) fn balanced<'a>(
    questions: impl IntoIterator<Item = (&'a str, f64)>,
    seeds: usize,
    confidence: f64,
) -> Option<Estimate> {
    let mut by_gold: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for (gold, right) in questions {
        by_gold.entry(gold).or_default().push(right);
    }
    let n = by_gold.values().map(Vec::len).sum();
    let golds = by_gold.len() as f64;
    let (mut sum, mut below, mut above) = (0.0, 0.0, 0.0);
    for shares in by_gold.values() {
        let share = share_over_seeds(shares, seeds, confidence)?;
        let bounds = share.interval?;
        sum += share.value;
        below += (share.value - bounds.low).powi(2);
        above += (bounds.high - share.value).powi(2);
    }
    (n > 0).then(|| Estimate {
        value: sum / golds,
        interval: Some(Bounds {
            low: (sum - below.sqrt()) / golds,
            high: (sum + above.sqrt()) / golds,
        }),
        n,
        method: IntervalMethod::SquareAndAdd,
    })
}

/// Each question's gold answer by its id.
pub(super) fn golds(outcomes: &[QuestionOutcome]) -> BTreeMap<&str, &str> {
    by_question(outcomes)
        .map(|answers| (answers[0].question_id.as_str(), answers[0].gold.as_str()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::fixture;

    /// scikit-learn's balanced accuracy; its interval by statsmodels' Wilson of each gold answer.
    #[test]
    fn agrees_with_scikit_learn() {
        for case in fixture::load().balanced {
            let rows = case
                .rows
                .iter()
                .map(|(gold, right)| (gold.as_str(), *right));
            let found = balanced(rows, case.seeds, case.confidence).unwrap();
            fixture::close(found.value, case.value);
            fixture::close(found.interval.unwrap().low, case.low);
            fixture::close(found.interval.unwrap().high, case.high);
            assert_eq!(found.n, case.rows.len());
        }
    }

    /// One constant answer: the accuracy is that of the answer, the balanced one that of chance.
    #[test]
    fn a_constant_answer_is_no_skill() {
        let rows = (0..100).map(|i| if i < 80 { ("no", 1.0) } else { ("yes", 0.0) });
        let found = balanced(rows, 1, 0.95).unwrap();
        assert!((found.value - 0.5).abs() < 1e-12);
        let bounds = found.interval.unwrap();
        assert!(bounds.low < 0.5 && bounds.high > 0.5, "{bounds:?}");
        assert_eq!(balanced([], 1, 0.95), None);
    }
}
