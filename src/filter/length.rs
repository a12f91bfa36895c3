//! Texts that are too short, or too long.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::FilterError;
use super::step::{Candidate, Needed, Run, Step, StepReason, StepResult, refuse};

/// Limits on a path's length.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LengthLimit {
    /// Whether the step runs. Default true.
    pub enabled: bool,
    /// Least number of student tokens, end-of-text not counted. Default 25 (paper, III-A).
    pub min_tokens: u32,
    /// Greatest number of student tokens. Default none (the paper has none).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
}

impl Default for LengthLimit {
    fn default() -> Self {
        Self {
            enabled: true,
            min_tokens: 25,
            max_tokens: None,
        }
    }
}

impl Step for LengthLimit {
    fn enabled(&self) -> bool {
        self.enabled
    }

    fn check(&self, place: &str) -> Result<(), FilterError> {
        match self.max_tokens {
            Some(max) if max < self.min_tokens => {
                let accepted = format!("at least `{place}.min_tokens`");
                refuse(place, "max_tokens", &max, accepted)
            }
            _ => Ok(()),
        }
    }

    fn needs(&self) -> Vec<(&'static str, Needed)> {
        vec![("", Needed::Tokens)]
    }

    fn drop_reason(&self, path: &Candidate<'_>, _: &Run<'_>) -> StepResult {
        let count = path.tokens()?.len();
        let wanted = if count < self.min_tokens as usize {
            Some(format!("at least {}", self.min_tokens))
        } else {
            let max = self.max_tokens.filter(|&max| count > max as usize);
            max.map(|max| format!("at most {max}"))
        };
        Ok(wanted.map(|wanted| StepReason::new(format!("{count} tokens, {wanted} wanted"))))
    }
}
