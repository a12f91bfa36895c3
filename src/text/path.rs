//! A reasoning path: what a student or a teacher wrote for a question.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Hint;
use crate::key::Digest;

/// Why a generation ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndReason {
    /// The model drew a token that ends a text.
    EndOfText,
    /// `max_new_tokens` was reached, or the context was full.
    Length,
    /// A stop rule held: the imitative pattern `Question: ... Answer:` was complete.
    Imitative,
    /// A recorded reply that does not say why it ended.
    #[default]
    Unknown,
}

impl EndReason {
    /// For a person, how many of `what` (`paths`) were cut by length, as far as it is known.
    pub fn cut_told(ends: impl Iterator<Item = Self>, what: &str) -> String {
        let (mut all, mut known, mut cut) = (0, 0, 0);
        for end in ends {
            all += 1;
            known += usize::from(end != Self::Unknown);
            cut += usize::from(end == Self::Length);
        }
        if known == all {
            format!("{cut} of {all} {what} were cut by length")
        } else if known == 0 {
            format!("how the {all} {what} ended is not known")
        } else {
            format!(
                "{cut} of {known} {what} were cut by length, and of {} more it is not known how they ended",
                all - known
            )
        }
    }

    /// The name that artifacts and reports use.
    pub fn name(self) -> &'static str {
        match self {
            Self::EndOfText => "end-of-text",
            Self::Length => "length",
            Self::Imitative => "imitative",
            Self::Unknown => "unknown",
        }
    }
}

/// The branch a path was sampled from: one of the most probable first tokens (paper, II).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FirstToken {
    /// Token id.
    pub id: u32,
    /// 0 for the most probable.
    pub rank: u32,
    /// The token's text.
    pub text: String,
}

/// Log-probabilities (nats) of the generated tokens, first token and end-of-text included, under
/// the untempered full softmax given the prompt.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct LogProbSummary {
    /// Their sum.
    pub sum: f64,
    /// How many there are: the generated tokens, and end-of-text where it was drawn.
    pub count: u32,
    /// The first token's.
    pub first: f64,
    /// The least of them.
    pub min: f64,
}

impl LogProbSummary {
    /// The mean; `None` of no tokens.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / f64::from(self.count))
    }

    /// `exp` of the mean negative log-likelihood (ours; the paper is silent on the formula); `None` of no tokens.
    pub fn perplexity(&self) -> Option<f64> {
        (self.count > 0).then(|| (-self.sum / f64::from(self.count)).exp())
    }
}

/// One path for one question.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ReasoningPath {
    /// The question's id.
    pub question_id: String,
    /// The identity of the random stream that drew it: by model, prompt, drawing, seed, branch and draw. It decides
    /// ties. Stop rules and lengths, which end a path earlier or later, do not change it. It is not the key of the row
    /// that keeps the path; stored paths call it `row` all the same.
    #[serde(default, rename = "row")]
    pub stream: Digest,
    /// The branch; `None` for raw sampling and for a teacher's path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_token: Option<FirstToken>,
    /// Which draw of its branch, from 0.
    #[serde(default)]
    pub draw: u32,
    /// What the prompt gave away of the answer; [`LogProbSummary`] and first token are then given that prompt.
    #[serde(default, skip_serializing_if = "Hint::is_none")]
    pub hint: Hint,
    /// What was written after the prompt, first token included, end-of-text not.
    pub text: String,
    /// The same as student tokens; empty where no student tokenised it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tokens: Vec<u32>,
    /// Log-probabilities under the model that wrote it, where they are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_prob: Option<LogProbSummary>,
    /// Why it ended.
    #[serde(default)]
    pub end: EndReason,
    /// The student token that ended it, where its student has several ends and this is not the tokenizer's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_token: Option<u32>,
    /// A teacher's answer, asked for after its reasoning (Ho et al. 2023), raw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer_text: Option<String>,
    /// What `score` and `judge` stages added, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub scores: BTreeMap<String, f64>,
    /// Scores that such a stage asked for and could not read, by name.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub unparsed: BTreeSet<String>,
}

/// What a filter decided about a path.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum FilterDecision {
    /// It goes on to training.
    Kept,
    /// A step dropped it.
    Dropped(DropReason),
}

/// Why a filter dropped a path.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct DropReason {
    /// The name of the step that dropped it, for example `length`.
    pub by: String,
    /// What the step saw and what it wanted, for a person: `12 tokens, at least 25 wanted`.
    pub because: String,
}

/// A path with what a filter decided about it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct FilteredPath {
    /// The path.
    #[serde(flatten)]
    pub path: ReasoningPath,
    /// Kept, or dropped with a reason.
    #[serde(flatten)]
    pub decision: FilterDecision,
}

#[cfg(test)]
mod tests {
    use super::EndReason::{self, EndOfText, Length, Unknown};

    #[test]
    fn an_unknown_end_is_told_apart() {
        for (ends, told) in [
            (&[EndOfText, Length][..], "1 of 2 paths were cut by length"),
            (&[Unknown, Unknown], "how the 2 paths ended is not known"),
            (
                &[Unknown, EndOfText, Length],
                "1 of 2 paths were cut by length, and of 1 more it is not known how they ended",
            ),
            (&[], "0 of 0 paths were cut by length"),
        ] {
            assert_eq!(EndReason::cut_told(ends.iter().copied(), "paths"), told);
        }
    }
}
