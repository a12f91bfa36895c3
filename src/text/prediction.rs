//! What a student answered on a question that is not trained on.

use serde::{Deserialize, Serialize};

use super::{EndReason, Hint, LogProbSummary};

/// One raw answer; measuring it is `eval`'s work.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Prediction {
    /// The question's id.
    pub question_id: String,
    /// Which of the answers to its question, from 0.
    #[serde(default, skip_serializing_if = "is_first")]
    pub draw: u32,
    /// What the student saw.
    pub prompt: String,
    /// What the prompt gave away of the answer: such a row is no answer of the student's, and `eval` refuses it.
    #[serde(default, skip_serializing_if = "Hint::is_none")]
    pub hint: Hint,
    /// What it wrote, end-of-text not included.
    pub output: String,
    /// The same as tokens; empty where an outside file brought it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tokens: Vec<u32>,
    /// Why it ended.
    #[serde(default)]
    pub end: EndReason,
    /// The student token that ended it, where its student has several ends and this is not the tokenizer's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_token: Option<u32>,
    /// Log-probabilities under the model that wrote it, where a question has several answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_prob: Option<LogProbSummary>,
    /// Log-likelihood (nats) of each legal answer after the prompt, in the order of the choices
    /// (`yes`, `no` for a yes/no question); empty where it was not asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub option_log_probs: Vec<f64>,
}

/// Whether it is a question's first answer: the one of most, whose number is not written.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it so")]
pub(crate) fn is_first(draw: &u32) -> bool {
    *draw == 0
}
