//! A step that only tests have, to show that one takes a file and a line in `STEPS`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::step::{Candidate, Run, Step, StepReason, StepResult};

/// Texts dropped for a word.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TestWord {
    /// Whether the step runs. Default false.
    pub enabled: bool,
    /// The word.
    pub word: String,
}

impl Step for TestWord {
    fn enabled(&self) -> bool {
        self.enabled
    }

    fn is_absent(&self) -> bool {
        *self == Self::default()
    }

    fn drop_reason(&self, path: &Candidate<'_>, _: &Run<'_>) -> StepResult {
        let has = path.path.text.contains(&self.word);
        Ok(has.then(|| StepReason::new(format!("it says {}", self.word))))
    }
}
