//! How tokens are drawn.

use serde::Serialize;

use crate::model::EngineError;

/// How tokens are drawn. Its JSON is in the keys of the rows of answers.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct SamplingParams {
    /// Divides the logits before a token is drawn; 0 to 100, default 1 (ours; the paper is silent). 0 is
    /// greedy: always the most probable token, of equals the one with the lowest id.
    pub temperature: f64,
    /// Draws among this many of the most probable tokens; default 10 (paper, III-A). 0 is all.
    pub top_k: u32,
    /// Draws among the fewest most probable tokens that together reach this probability; above 0 to 1,
    /// default 0.95 (paper, III-A). 1 is all.
    pub top_p: f64,
    /// Tokens of a sequence at most, its first token included; from 1, default 128 (ours; the paper is
    /// silent).
    pub max_new_tokens: u32,
}

impl Default for SamplingParams {
    fn default() -> Self {
        Self {
            temperature: 1.0,
            top_k: 10,
            top_p: 0.95,
            max_new_tokens: 128,
        }
    }
}

impl SamplingParams {
    /// How many of the most probable of `tokens` tokens decide a draw; `None` where all of them may.
    pub(in crate::model) fn deciding(&self, tokens: usize) -> Option<usize> {
        let top_k = self.top_k as usize;
        if self.temperature == 0.0 {
            Some(1)
        } else {
            (top_k > 0 && top_k < tokens).then_some(top_k)
        }
    }

    /// What the schema of a manifest says too, for callers that come from elsewhere.
    pub(in crate::model) fn check(&self) -> Result<(), EngineError> {
        let wrong = |what: String| Err(EngineError::Params(what));
        if !(0.0..=100.0).contains(&self.temperature) {
            return wrong(format!(
                "temperature is {}, accepted: 0 to 100",
                self.temperature
            ));
        }
        if !(self.top_p > 0.0 && self.top_p <= 1.0) {
            return wrong(format!("top_p is {}, accepted: above 0 to 1", self.top_p));
        }
        if self.max_new_tokens == 0 {
            return wrong("max_new_tokens is 0, accepted: from 1".to_owned());
        }
        Ok(())
    }
}
