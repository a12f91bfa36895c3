//! Fmt, the paper's "output format alignment": named there, not defined. Ours, declared: five
//! checks, each a column of its own, and their conjunction.

use serde::{Deserialize, Serialize};

use super::EvalParams;
use super::interval::{Estimate, wilson};
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
    /// The student ended it by end-of-text.
    pub ended: bool,
    /// It does not ask a question again (`Question:`, `Q:`).
    pub not_asked_again: bool,
    /// Its word-level Rep is at most the declared limit.
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
        Self {
            answered_once: answers_given(question, output, params.reading) == 1,
            legal_option: matches!(parsed, Parsed::Answer(_)),
            ended: prediction.end == EndReason::EndOfText,
            not_asked_again: asked_again(output).is_none(),
            rep_below_limit: word_rep(output) <= params.max_rep,
        }
    }

    /// Fmt: all of them.
    pub fn aligned(self) -> bool {
        self.answered_once
            && self.legal_option
            && self.ended
            && self.not_asked_again
            && self.rep_below_limit
    }
}

/// The share of outputs that pass, for Fmt and each check.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct FormatShares {
    /// Fmt: all checks pass.
    pub aligned: Estimate,
    /// One answer.
    pub answered_once: Estimate,
    /// A legal one.
    pub legal_option: Estimate,
    /// Ended by end-of-text.
    pub ended: Estimate,
    /// No question asked again.
    pub not_asked_again: Estimate,
    /// Rep at most the limit.
    pub rep_below_limit: Estimate,
}

impl FormatShares {
    pub(super) fn of(checks: &[FormatChecks], confidence: f64) -> Self {
        let share = |test: fn(&FormatChecks) -> bool| {
            let hits = checks.iter().filter(|each| test(each)).count();
            wilson(hits, checks.len(), confidence)
        };
        Self {
            aligned: share(|each| each.aligned()),
            answered_once: share(|each| each.answered_once),
            legal_option: share(|each| each.legal_option),
            ended: share(|each| each.ended),
            not_asked_again: share(|each| each.not_asked_again),
            rep_below_limit: share(|each| each.rep_below_limit),
        }
    }
}
