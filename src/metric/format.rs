//! Fmt, the paper's "output format alignment": named there, not defined. Ours, declared: five
//! checks, each a column of its own, and their conjunction.

use serde::{Deserialize, Serialize};

use super::by_question::{answers_each, by_question};
use super::definition::share_of_questions;
use super::interval::Estimate;
use super::{EvalParams, QuestionOutcome};
use crate::text::{EndReason, Parsed, Prediction, Question, answers_given, asked_again, word_rep};

/// What was checked on one output.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "five independent checks, five columns"
)]
pub struct FormatChecks {
    /// It gives one answer: one mark of an answer, or, without any, one answer in all of it.
    pub answered_once: bool,
    /// That answer is legal: yes or no, one of the options, a number.
    pub legal_option: bool,
    /// The student ended it by end-of-text; `None` where it is not known how it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<bool>,
    /// It does not ask a question again (`Question:`, `Q:`).
    pub not_asked_again: bool,
    /// Its word-level Rep is at most the declared limit; so it is where there is no word to repeat.
    pub rep_below_limit: bool,
}

impl FormatChecks {
    /// Checks one prediction whose answer was read as `parsed`.
    pub(super) fn of(
        question: &Question,
        prediction: &Prediction,
        parsed: &Parsed,
        params: &EvalParams,
    ) -> Self {
        let output = &prediction.output;
        let end = prediction.end;
        Self {
            answered_once: answers_given(question, output, params.reading) == 1,
            legal_option: matches!(parsed, Parsed::Answer(_)),
            ended: (end != EndReason::Unknown).then_some(end == EndReason::EndOfText),
            not_asked_again: asked_again(output).is_none(),
            rep_below_limit: word_rep(output).is_none_or(|rep| rep <= params.max_rep),
        }
    }

    /// Fmt: all of them. `None` where it is not known how the output ended, whatever the others say: a share over
    /// those that fail by them and those of which all is known would be too low.
    pub fn aligned(self) -> Option<bool> {
        self.ended.map(|ended| {
            self.answered_once
                && self.legal_option
                && ended
                && self.not_asked_again
                && self.rep_below_limit
        })
    }
}

/// The share of outputs that pass, for Fmt and each check, of those of which it is known; `None` where it is of none.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct FormatShares {
    /// Fmt: all checks pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aligned: Option<Estimate>,
    /// One answer.
    pub answered_once: Option<Estimate>,
    /// A legal one.
    pub legal_option: Option<Estimate>,
    /// Ended by end-of-text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Estimate>,
    /// No question asked again.
    pub not_asked_again: Option<Estimate>,
    /// Rep at most the limit.
    pub rep_below_limit: Option<Estimate>,
}

impl FormatShares {
    pub(super) fn of(outcomes: &[QuestionOutcome], confidence: f64) -> Self {
        let each = answers_each(outcomes);
        let known = |test: fn(&FormatChecks) -> Option<bool>| {
            let share = |answers: &[QuestionOutcome]| {
                let known: Vec<bool> = answers.iter().filter_map(|a| test(&a.format)).collect();
                let hits = known.iter().filter(|holds| **holds).count();
                (!known.is_empty()).then(|| hits as f64 / known.len() as f64)
            };
            let shares: Vec<f64> = by_question(outcomes).filter_map(share).collect();
            share_of_questions(&shares, each, confidence)
        };
        Self {
            aligned: known(|each| each.aligned()),
            answered_once: known(|each| Some(each.answered_once)),
            legal_option: known(|each| Some(each.legal_option)),
            ended: known(|each| each.ended),
            not_asked_again: known(|each| Some(each.not_asked_again)),
            rep_below_limit: known(|each| Some(each.rep_below_limit)),
        }
    }

    /// The checks that Fmt is made of, by their titles.
    pub(super) fn parts(&self) -> [(&'static str, Option<Estimate>); 5] {
        [
            ("Answered once", self.answered_once),
            ("Legal option", self.legal_option),
            ("Ended", self.ended),
            ("Not asked again", self.not_asked_again),
            ("Rep below limit", self.rep_below_limit),
        ]
    }
}
