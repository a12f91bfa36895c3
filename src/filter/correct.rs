//! Paths with a wrong answer.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::step::{Candidate, Needed, Run, Step, StepReason, StepResult};

/// The least score of a right answer: `verify` writes 1 and 0, a score brought in from elsewhere may lie between.
const RIGHT: f64 = 1.0;

/// Paths dropped because a `verify` stage found their answer wrong, or found none.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CorrectRule {
    /// Whether the step runs: it drops paths whose answer is not right. Default false (the paper has no such step).
    pub enabled: bool,
    /// The score that says so, where its `verify` stage has another `name`. Default `correct`.
    #[schemars(length(min = 1))]
    pub score: String,
}

impl Default for CorrectRule {
    fn default() -> Self {
        Self {
            enabled: false,
            score: "correct".to_owned(),
        }
    }
}

impl Step for CorrectRule {
    fn enabled(&self) -> bool {
        self.enabled
    }

    fn is_absent(&self) -> bool {
        *self == Self::default()
    }

    fn needs(&self) -> Vec<(&'static str, Needed)> {
        vec![("score", Needed::Score(self.score.clone()))]
    }

    fn drop_reason(&self, path: &Candidate<'_>, _: &Run<'_>) -> StepResult {
        let reason = match path.score(&self.score)? {
            Some(score) if score >= RIGHT => return Ok(None),
            Some(score) => StepReason {
                rule: Some("wrong"),
                because: format!("{} {score}, {RIGHT} wanted", self.score),
            },
            None => StepReason {
                rule: Some("unparsed"),
                because: format!(
                    "{} is unparsed: there was no answer that could be checked",
                    self.score
                ),
            },
        };
        Ok(Some(reason))
    }
}
