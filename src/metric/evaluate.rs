//! One student's predictions against the gold answers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::answered::Answered;
use super::by_question::{answers_each, by_question};
use super::interval::Estimate;
use super::matched::matched;
use super::scored::Scores;
use super::{EvalParams, FormatChecks, FormatShares, Metric, MetricError, Resampling, Unit};
use crate::key::{Digest, canonical_json};
use crate::text::{
    AnswerForm, EndReason, Parsed, Prediction, Question, ReasoningPath, is_first, is_gold,
    parse_answer, word_count, word_rep,
};

/// What one answer to a question was worth.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct QuestionOutcome {
    /// The question's id.
    pub question_id: String,
    /// Which of the answers to it, from 0.
    #[serde(default, skip_serializing_if = "is_first")]
    pub draw: u32,
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
    /// Its word-level Rep; `None` of an output without a word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rep: Option<f64>,
    /// Why it ended.
    #[serde(default)]
    pub end: EndReason,
    /// The format checks.
    pub format: FormatChecks,
    /// The score by which one answer is chosen among several, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// What it weighs in a vote among several, where it has a weight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<f64>,
    /// The squared distance of the legal answers' probabilities from what is right, where it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub brier: Option<f64>,
    /// The values of the metrics that have no field here, by their names, where there are any.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, f64>,
}

/// A row of the table, what it was made from, and how.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Evaluation {
    /// How it was measured; its seed is the next field.
    pub params: EvalParams,
    /// The seed of its bootstraps.
    pub seed: u64,
    /// The questions by content, whatever their order and the names of their dataset and split.
    pub questions: Digest,
    /// The answers to the letter, by question.
    pub answers: Digest,
    /// Acc: the share of answers that equal gold; unparsed ones count as wrong.
    pub accuracy: Estimate,
    /// Balanced Acc: the mean over the gold answers of that share. `None` where a question's legal answers are not
    /// listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balanced_accuracy: Option<Estimate>,
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
    /// Rep: mean word-level repetition of the outputs that have a word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rep: Option<Estimate>,
    /// Brier: the mean squared distance of the legal answers' probabilities from what is right, where it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub brier: Option<Estimate>,
    /// The figures of the metrics that have no field here, by their names, where there are any.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub figures: BTreeMap<String, Estimate>,
    /// Of the unparsed answers, how many named several options.
    pub ambiguous: usize,
    /// What was answered how often. `None` where a question's legal answers are not listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered: Option<Answered>,
    /// One for each answer, in the questions' order, and in that in which the answers to one were drawn.
    pub outcomes: Vec<QuestionOutcome>,
}

impl Evaluation {
    /// The columns that were measured, in order: name, unit, figure.
    pub fn columns(&self) -> Vec<(&'static str, Unit, Estimate)> {
        let several = self.answers_each() > 1;
        let listed = Metric::all().flat_map(|metric| {
            if metric.k().is_none() {
                vec![metric]
            } else {
                let ks = self.params.ks(self.answers_each()).into_iter();
                ks.map(|k| metric.of_k(k)).collect()
            }
        });
        let mut columns = Vec::new();
        for metric in listed.filter(|metric| several || !metric.is_of_several()) {
            let unit = match metric.unit() {
                Unit::Plain(_) if metric.is_share() => Unit::Percent, // as its parts
                unit => unit,
            };
            columns.push((metric.title(), unit, metric.of(self)));
            if metric == Metric::FMT {
                let parts = self.format.parts().into_iter();
                columns.extend(parts.map(|(title, part)| (title, unit, part)));
            }
        }
        let measured = columns.into_iter();
        measured
            .filter_map(|(title, unit, figure)| Some((title, unit, figure?)))
            .collect()
    }

    /// How many answers each question has.
    pub fn answers_each(&self) -> usize {
        answers_each(&self.outcomes)
    }

    /// How many questions there are.
    pub fn asked(&self) -> usize {
        by_question(&self.outcomes).count()
    }

    /// How it was measured, with the seed.
    pub(super) fn seeded(&self) -> EvalParams {
        EvalParams {
            seed: self.seed,
            ..self.params.clone()
        }
    }

    /// Answers out of which nothing was read.
    pub fn unparsed(&self) -> usize {
        let outcomes = self.outcomes.iter();
        outcomes.filter(|outcome| outcome.parsed.is_none()).count()
    }

    /// Answers of which it is known how they ended, and of these the ones that were cut by length.
    pub fn ends(&self) -> (usize, usize) {
        let ends = self.outcomes.iter().map(|outcome| outcome.end);
        let known = ends.filter(|end| *end != EndReason::Unknown);
        known.fold((0, 0), |(known, cut), end| {
            (known + 1, cut + usize::from(end == EndReason::Length))
        })
    }

    /// How its figures were resampled, and so are those that are made from it.
    pub fn resampling(&self) -> Resampling {
        Resampling {
            seed: self.seed,
            ..self.params.resampling()
        }
    }

    /// The same for evaluations with the same answers, to the letter, and the same outcome on each question, however
    /// their intervals were made.
    pub fn identity(&self) -> Digest {
        let identity = json!([self.answers, self.outcomes]);
        Digest::of(canonical_json(&identity).as_bytes())
    }
}

/// Measures `predictions`, one for each of `questions` or as many for each, in any order.
///
/// # Errors
/// Those of [`evaluate_scored`].
pub fn evaluate(
    questions: &[Question],
    predictions: &[Prediction],
    params: &EvalParams,
) -> Result<Evaluation, MetricError> {
    evaluate_scored(questions, predictions, None, params)
}

/// The same, with the answers as paths that carry scores: by these one of several is chosen, and weighs in a vote.
///
/// # Errors
/// No questions, predictions that do not match them, not as many for each, option log-likelihoods on only some of them,
/// scores that were asked for and are nobody's, or parameters out of range.
pub fn evaluate_scored(
    questions: &[Question],
    predictions: &[Prediction],
    scored: Option<&[ReasoningPath]>,
    params: &EvalParams,
) -> Result<Evaluation, MetricError> {
    params.check()?;
    if questions.is_empty() {
        return Err(MetricError::Empty { what: "questions" });
    }
    let pairs = matched(questions, predictions)?;
    let scores = Scores::of(predictions, scored)?;
    scores.check(params)?;
    let answers = pairs.chunk_by(|(a, _), (b, _)| a.id == b.id).map(|of_one| {
        let written: Vec<Value> = (of_one.iter())
            .map(|(_, prediction)| json!([prediction.output, prediction.end]))
            .collect();
        let answers = match <[Value; 1]>::try_from(written) {
            Ok([only]) => only,
            Err(several) => several.into(),
        };
        (of_one[0].0.id.as_str(), answers)
    });
    let answers = by_id(answers);
    let options_scored = predictions.iter().any(|p| !p.option_log_probs.is_empty());
    let mut ambiguous = 0;
    let mut outcomes = Vec::with_capacity(pairs.len());
    for (question, prediction) in pairs {
        let parsed = parse_answer(question, &prediction.output, params.reading);
        ambiguous += usize::from(parsed == Parsed::Ambiguous);
        let format = FormatChecks::of(question, prediction, &parsed, params);
        let parsed = parsed.answer();
        outcomes.push(QuestionOutcome {
            question_id: question.id.clone(),
            draw: prediction.draw,
            correct: parsed.as_deref().is_some_and(|a| is_gold(question, a)),
            parsed,
            gold: question.answer.clone(),
            option_correct: options_scored
                .then(|| option_correct(question, prediction))
                .transpose()?,
            len: word_count(&prediction.output),
            rep: word_rep(&prediction.output),
            end: prediction.end,
            format,
            score: scores.get(prediction, &params.best_by),
            weight: scores.get(prediction, &params.vote_by),
            brier: (params.calibration)
                .then(|| brier_of_options(question, prediction))
                .flatten(),
            values: Metric::measured()
                .filter_map(|(metric, measure)| {
                    Some((metric.name().to_owned(), measure(question, prediction)?))
                })
                .chain(Metric::scored().filter_map(|(metric, name)| {
                    Some((metric.name().to_owned(), scores.get(prediction, name)?))
                }))
                .collect(),
        });
    }
    let figure = |metric: Metric| metric.over(&outcomes, params);
    let n = answers_each(&outcomes);
    let ks = params.ks(n);
    if let Some(&k) = ks.iter().find(|k| **k as usize > n) {
        return Err(MetricError::TooFewAnswers { k, n });
    }
    let of_several = Metric::all().filter(|metric| n > 1 && metric.is_of_answers());
    let of_several = of_several.flat_map(|metric| {
        let ks = if metric.k().is_some() { &*ks } else { &[0] };
        ks.iter().map(move |k| metric.of_k(*k))
    });
    let none = || MetricError::Empty { what: "questions" };
    let answered = Answered::of(questions, &outcomes);
    Ok(Evaluation {
        params: EvalParams {
            seed: 0,
            ..params.clone()
        },
        seed: params.seed,
        questions: by_id(questions.iter().map(|question| {
            let Question {
                id, form, answer, ..
            } = question;
            (id.as_str(), json!([question.asked(), form, answer]))
        })),
        answers,
        accuracy: figure(Metric::ACC).ok_or_else(none)?,
        balanced_accuracy: answered.as_ref().and_then(|_| figure(Metric::BALANCED_ACC)),
        accuracy_options: figure(Metric::ACC_OPTIONS),
        parsed: figure(Metric::PARSED).ok_or_else(none)?,
        format: FormatShares::of(&outcomes, params.confidence),
        len: figure(Metric::LEN).ok_or_else(none)?,
        rep: figure(Metric::REP),
        brier: figure(Metric::BRIER),
        figures: Metric::measured()
            .map(|(metric, _)| metric)
            .chain(Metric::scored().map(|(metric, _)| metric))
            .chain(of_several)
            .filter_map(|metric| Some((metric.name().to_owned(), figure(metric)?)))
            .collect(),
        ambiguous,
        answered,
        outcomes,
    })
}

/// A digest of values by question, whatever their order.
fn by_id<'a>(values: impl Iterator<Item = (&'a str, Value)>) -> Digest {
    let values: BTreeMap<&str, Value> = values.collect();
    Digest::of(canonical_json(&json!(values)).as_bytes())
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

/// The sum over the legal answers of the squared distance of each one's probability from 1 or 0, whether it is gold or not
/// (Brier 1950); the probabilities are the softmax of the log-likelihoods. `None` where options were not scored.
fn brier_of_options(question: &Question, prediction: &Prediction) -> Option<f64> {
    let scores = &prediction.option_log_probs;
    let greatest = scores.iter().copied().reduce(f64::max)?;
    let weights: Vec<f64> = scores
        .iter()
        .map(|score| (score - greatest).exp())
        .collect();
    let all: f64 = weights.iter().sum();
    let options = options(question);
    let apart = options.iter().zip(&weights).map(|(option, weight)| {
        let right = f64::from(u8::from(is_gold(question, option)));
        (weight / all - right).powi(2)
    });
    Some(apart.sum::<f64>()).filter(|sum| sum.is_finite())
}

#[cfg(test)]
#[path = "evaluate_tests.rs"]
mod tests;
