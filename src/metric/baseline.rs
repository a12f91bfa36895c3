//! What needs no model: without these rows a table's accuracies cannot be read. On `StrategyQA`'s test
//! split the constant answer `no` scores 52.55.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::evaluate::options;
use super::interval::{Estimate, wilson};
use super::{EvalParams, MetricError};
use crate::text::Question;

/// A baseline's row.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Baseline {
    /// `majority class` or `chance`.
    pub name: String,
    /// The constant answer, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// Its accuracy.
    pub accuracy: Estimate,
}

/// The answer most frequent in `train` (of equals the first in the alphabet), given to all of `test`.
///
/// # Errors
/// No questions on either side, or parameters out of range.
pub fn majority_class(
    train: &[Question],
    test: &[Question],
    params: &EvalParams,
) -> Result<Baseline, MetricError> {
    params.check()?;
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for question in train {
        *counts.entry(&question.answer).or_default() += 1;
    }
    let answer = counts
        .iter()
        .max_by(|a, b| a.1.cmp(b.1).then(b.0.cmp(a.0)))
        .map(|(answer, _)| (*answer).to_owned())
        .ok_or(MetricError::Empty {
            what: "train questions",
        })?;
    let hits = test.iter().filter(|q| q.answer == answer).count();
    Ok(Baseline {
        name: "majority class".into(),
        accuracy: wilson(hits, test.len(), params.confidence)
            .ok_or(MetricError::Empty { what: "questions" })?,
        answer: Some(answer),
    })
}

/// Guessing among the legal answers: the mean of 1 / number of options. `None` where a question's answer is free, so
/// that there is nothing to guess among.
///
/// # Errors
/// No questions.
pub fn chance(test: &[Question]) -> Result<Option<Baseline>, MetricError> {
    if test.is_empty() {
        return Err(MetricError::Empty { what: "questions" });
    }
    let share = |question: &Question| match options(question).len() {
        0 => None,
        n => Some(1.0 / n as f64),
    };
    let sum = test.iter().map(share).sum::<Option<f64>>();
    Ok(sum.map(|sum| Baseline {
        name: "chance".into(),
        answer: None,
        accuracy: Estimate::exact(sum / test.len() as f64, test.len()),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::AnswerForm;

    fn questions(answers: &[&str], choices: usize) -> Vec<Question> {
        answers
            .iter()
            .map(|&answer| Question {
                id: answer.into(),
                question: String::new(),
                choices: vec!["x".into(); choices],
                form: if choices == 0 {
                    AnswerForm::YesNo
                } else {
                    AnswerForm::Choice
                },
                answer: answer.into(),
                rationale: None,
            })
            .collect()
    }

    #[test]
    fn the_majority_is_trains_not_tests() {
        let train = questions(&["no", "yes", "no"], 0);
        let test = questions(&["yes", "yes", "no", "yes"], 0);
        let row = majority_class(&train, &test, &EvalParams::default()).unwrap();
        assert_eq!(row.answer.as_deref(), Some("no"));
        assert!((row.accuracy.value - 0.25).abs() < 1e-12);
        let tied = questions(&["yes", "no"], 0);
        let row = majority_class(&tied, &test, &EvalParams::default()).unwrap();
        assert_eq!(row.answer.as_deref(), Some("no"));
        assert!(majority_class(&[], &test, &EvalParams::default()).is_err());
    }

    #[test]
    fn chance_is_the_mean_share() {
        let mut mixed = questions(&["yes", "no"], 0);
        mixed.extend(questions(&["A"], 5));
        let row = chance(&mixed).unwrap().unwrap();
        // (1/2 + 1/2 + 1/5) / 3
        assert!((row.accuracy.value - 0.4).abs() < 1e-12);
        assert_eq!(row.accuracy.interval, None);
        mixed[0].form = AnswerForm::Number;
        assert_eq!(chance(&mixed).unwrap(), None);
        assert!(chance(&[]).is_err());
    }

    /// method.md: the test answers are 361 no and 326 yes; a constant answer scores 52.55.
    #[test]
    fn strategyqas_majority_is_the_papers() {
        let Some(rows) = crate::text::teacher_fixture::rows() else {
            return;
        };
        let (test, train): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.test);
        let questions = |rows: Vec<crate::text::teacher_fixture::TeacherRow>| -> Vec<Question> {
            rows.into_iter().map(|row| row.question).collect()
        };
        let (train, test) = (questions(train), questions(test));
        let row = majority_class(&train, &test, &EvalParams::default()).unwrap();
        assert_eq!((row.answer.as_deref(), row.accuracy.n), (Some("no"), 687));
        assert!((row.accuracy.value - 361.0 / 687.0).abs() < 1e-12);
    }
}
