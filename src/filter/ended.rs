//! Texts that were cut.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::step::{Candidate, Run, Step, StepReason, StepResult};
use crate::text::EndReason;

/// Texts dropped because they did not end by themselves.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EndedRule {
    /// Whether the step runs: it drops paths that ended by length, in the middle of what they were saying. Default false
    /// (the paper has no such step).
    pub enabled: bool,
}

impl Step for EndedRule {
    fn enabled(&self) -> bool {
        self.enabled
    }

    /// Of a recorded text that does not say why it ended, nothing is held against it.
    fn drop_reason(&self, path: &Candidate<'_>, _: &Run<'_>) -> StepResult {
        let because = "it ended by length, not by itself";
        let cut = path.path.end == EndReason::Length;
        Ok(cut.then(|| StepReason::new(because.into())))
    }
}
