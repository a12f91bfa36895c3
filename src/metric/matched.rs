//! Which predictions answer which question: one each, or as many numbered ones for each.

use std::collections::BTreeMap;

use super::MetricError;
use crate::text::{Prediction, Question};

/// Each question with its predictions, in the questions' order and that of the draws.
///
/// # Errors
/// Questions without a prediction, predictions of other questions or of one number, not as many for each.
pub(super) fn matched<'a>(
    questions: &'a [Question],
    predictions: &'a [Prediction],
) -> Result<Vec<(&'a Question, &'a Prediction)>, MetricError> {
    let mut first: Option<&str> = None;
    let mut repeated = 0;
    let mut by_id: BTreeMap<&str, BTreeMap<u32, &Prediction>> = BTreeMap::new();
    for question in questions {
        if by_id.insert(&question.id, BTreeMap::new()).is_some() {
            repeated += 1;
            first.get_or_insert(&question.id);
        }
    }
    let mut unknown = 0;
    for prediction in predictions {
        if let Some(answers) = by_id.get_mut(prediction.question_id.as_str()) {
            if answers.insert(prediction.draw, prediction).is_some() {
                repeated += 1;
                first.get_or_insert(&prediction.question_id);
            }
        } else {
            unknown += 1;
            first.get_or_insert(&prediction.question_id);
        }
    }
    let missing = by_id.values().filter(|answers| answers.is_empty()).count();
    if missing + unknown + repeated > 0 {
        let absent = by_id.iter().find(|(_, answers)| answers.is_empty());
        return Err(MetricError::Coverage {
            predictions: predictions.len(),
            questions: questions.len(),
            missing,
            unknown,
            repeated,
            first: first.or(absent.map(|(id, _)| *id)).unwrap_or("").to_owned(),
        });
    }
    let numbers = by_id.values().flat_map(|answers| answers.keys());
    let expected = numbers.max().map_or(0, |last| *last as usize + 1);
    let mut pairs = Vec::with_capacity(predictions.len());
    for question in questions {
        let answers = &by_id[question.id.as_str()];
        let found = (0..)
            .zip(answers.keys())
            .take_while(|(i, draw)| i == *draw)
            .count();
        if found < expected {
            return Err(MetricError::Answers {
                question_id: question.id.clone(),
                found,
                expected,
            });
        }
        pairs.extend(answers.values().map(|prediction| (question, *prediction)));
    }
    Ok(pairs)
}
