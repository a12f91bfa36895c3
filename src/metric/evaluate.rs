//! One student's predictions against the gold answers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::interval::{Estimate, wilson};
use super::mean::bootstrap_mean;
use super::{EvalParams, FormatChecks, FormatShares, Metric, MetricError};
use crate::text::{
    AnswerForm, Parsed, Prediction, Question, is_gold, parse_answer, word_count, word_rep,
};

/// What happened on one question.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// The question's id.
    pub question_id: String,
    /// The answer read out of the output, in canonical form.
    pub parsed: Option<String>,
    /// The gold answer.
    pub gold: String,
    /// Whether they agree; an unparsed answer is wrong.
    pub correct: bool,
    /// Whether the likeliest option is the gold one, where options were scored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub option_correct: Option<bool>,
    /// Words of the output.
    pub len: usize,
    /// Its word-level Rep.
    pub rep: f64,
    /// The format checks.
    pub format: FormatChecks,
}

/// A row of the table, and what it was made from.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Evaluation {
    /// Acc: the share of answers that equal gold; unparsed ones count as wrong.
    pub accuracy: Estimate,
    /// Acc (options): the share where the gold option has the greatest log-likelihood (not
    /// normalised by length; of equals the first). `None` where options were not scored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracy_options: Option<Estimate>,
    /// The share of outputs with one legal answer.
    pub parsed: Estimate,
    /// Fmt and its components.
    pub format: FormatShares,
    /// Len: mean words per output.
    pub len: Estimate,
    /// Rep: mean word-level repetition.
    pub rep: Estimate,
    /// Of the unparsed answers, how many named several options.
    pub ambiguous: usize,
    /// One per question, in the questions' order.
    pub outcomes: Vec<Outcome>,
}

impl Evaluation {
    /// The columns of a table, in order, by name.
    pub fn columns(&self) -> Vec<(&'static str, Estimate)> {
        let mut columns = vec![("Acc", self.accuracy)];
        columns.extend(self.accuracy_options.map(|each| ("Acc (options)", each)));
        columns.extend([
            ("Parsed", self.parsed),
            ("Fmt", self.format.aligned),
            ("Answered once", self.format.answered_once),
            ("Legal option", self.format.legal_option),
            ("Ended", self.format.ended),
            ("Not asked again", self.format.not_asked_again),
            ("Rep below limit", self.format.rep_below_limit),
            ("Len", self.len),
            ("Rep", self.rep),
        ]);
        columns
    }
}

/// Measures `predictions`, one for each of `questions`, in any order.
///
/// # Errors
/// No questions, predictions that do not match them one to one, option log-likelihoods on only some
/// of them, or parameters out of range.
pub fn evaluate(
    questions: &[Question],
    predictions: &[Prediction],
    params: &EvalParams,
) -> Result<Evaluation, MetricError> {
    params.check()?;
    if questions.is_empty() {
        return Err(MetricError::Empty { what: "questions" });
    }
    let pairs = matched(questions, predictions)?;
    let options_scored = predictions.iter().any(|p| !p.option_log_probs.is_empty());
    let mut ambiguous = 0;
    let mut outcomes = Vec::with_capacity(pairs.len());
    for (question, prediction) in pairs {
        let parsed = parse_answer(question, &prediction.output, params.reading);
        ambiguous += usize::from(parsed == Parsed::Ambiguous);
        let format = FormatChecks::of(question, prediction, &parsed, params);
        let parsed = parsed.answer();
        outcomes.push(Outcome {
            question_id: question.id.clone(),
            correct: parsed.as_deref().is_some_and(|a| is_gold(question, a)),
            parsed,
            gold: question.answer.clone(),
            option_correct: options_scored
                .then(|| option_correct(question, prediction))
                .transpose()?,
            len: word_count(&prediction.output),
            rep: word_rep(&prediction.output),
            format,
        });
    }
    let share = |test: fn(&Outcome) -> bool| {
        let hits = outcomes.iter().filter(|each| test(each)).count();
        wilson(hits, outcomes.len(), params.confidence)
    };
    let lens: Vec<f64> = outcomes.iter().map(|each| each.len as f64).collect();
    let reps: Vec<f64> = outcomes.iter().map(|each| each.rep).collect();
    let checks: Vec<FormatChecks> = outcomes.iter().map(|each| each.format).collect();
    Ok(Evaluation {
        accuracy: share(|each| each.correct),
        accuracy_options: options_scored.then(|| share(|each| each.option_correct == Some(true))),
        parsed: share(|each| each.parsed.is_some()),
        format: FormatShares::of(&checks, params.confidence),
        len: bootstrap_mean(&lens, &params.resampling(), Metric::Len.stream()),
        rep: bootstrap_mean(&reps, &params.resampling(), Metric::Rep.stream()),
        ambiguous,
        outcomes,
    })
}

/// The legal answers of a question in the order in which a student scores them.
pub(super) fn options(question: &Question) -> Vec<String> {
    match question.form {
        AnswerForm::YesNo => vec!["yes".into(), "no".into()],
        AnswerForm::Choice => ('A'..)
            .take(question.choices.len())
            .map(String::from)
            .collect(),
        AnswerForm::Number | AnswerForm::Text => vec![],
    }
}

fn option_correct(question: &Question, prediction: &Prediction) -> Result<bool, MetricError> {
    let options = options(question);
    let scores = &prediction.option_log_probs;
    if scores.len() != options.len() {
        return Err(MetricError::OptionLogProbs {
            question_id: question.id.clone(),
            found: scores.len(),
            expected: options.len(),
        });
    }
    let mut best: Option<(f64, &String)> = None;
    for (&score, option) in scores.iter().zip(&options) {
        // Strictly greater, so that of equals the first wins; what is no number never does.
        if !score.is_nan() && best.is_none_or(|(top, _)| score > top) {
            best = Some((score, option));
        }
    }
    Ok(best.is_some_and(|(_, option)| is_gold(question, option)))
}

/// Each question with its prediction, in the questions' order.
fn matched<'a>(
    questions: &'a [Question],
    predictions: &'a [Prediction],
) -> Result<Vec<(&'a Question, &'a Prediction)>, MetricError> {
    let mut first: Option<&str> = None;
    let mut repeated = 0;
    let mut by_id: BTreeMap<&str, Option<&Prediction>> = BTreeMap::new();
    for question in questions {
        if by_id.insert(&question.id, None).is_some() {
            repeated += 1;
            first.get_or_insert(&question.id);
        }
    }
    let mut unknown = 0;
    for prediction in predictions {
        match by_id.get_mut(prediction.question_id.as_str()) {
            Some(place @ None) => *place = Some(prediction),
            Some(Some(_)) => {
                repeated += 1;
                first.get_or_insert(&prediction.question_id);
            }
            None => {
                unknown += 1;
                first.get_or_insert(&prediction.question_id);
            }
        }
    }
    let missing = by_id.values().filter(|place| place.is_none()).count();
    let pairs: Vec<_> = questions
        .iter()
        .filter_map(|question| Some((question, by_id.get(question.id.as_str()).copied()??)))
        .collect();
    if missing + unknown + repeated > 0 {
        let absent = by_id.iter().find(|(_, place)| place.is_none());
        return Err(MetricError::Coverage {
            predictions: predictions.len(),
            questions: questions.len(),
            missing,
            unknown,
            repeated,
            first: first.or(absent.map(|(id, _)| *id)).unwrap_or("").to_owned(),
        });
    }
    Ok(pairs)
}

#[cfg(test)]
#[path = "evaluate_tests.rs"]
mod tests;
