//! Texts that repeat themselves.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::FilterError;
use super::step::{Candidate, Needed, Run, Step, StepReason, StepResult, refuse};
use crate::text::rep_n;

/// Limit on a path's repetition.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RepetitionLimit {
    /// Whether the step runs. Default true.
    pub enabled: bool,
    /// The n of rep-n, in student tokens; `select` uses it too. Default 2 (paper, III-A).
    #[schemars(range(min = 1, max = 16))]
    pub n: u32,
    /// Greatest rep-n, a share from 0 to 1; a path above it is dropped. Default 0.20 (paper, III-A).
    #[schemars(range(min = 0.0, max = 1.0))]
    pub max_rate: f64,
}

impl Default for RepetitionLimit {
    fn default() -> Self {
        Self {
            enabled: true,
            n: 2,
            max_rate: 0.20,
        }
    }
}

impl Step for RepetitionLimit {
    fn enabled(&self) -> bool {
        self.enabled
    }

    fn check(&self, place: &str) -> Result<(), FilterError> {
        if self.n == 0 {
            return refuse(place, "n", &0, "1 to 16");
        }
        if !(0.0..=1.0).contains(&self.max_rate) {
            return refuse(place, "max_rate", &self.max_rate, "0 to 1");
        }
        Ok(())
    }

    fn needs(&self) -> Vec<(&'static str, Needed)> {
        vec![("", Needed::Tokens)]
    }

    fn drop_reason(&self, path: &Candidate<'_>, _: &Run<'_>) -> StepResult {
        let Self { n, max_rate, .. } = self;
        let rate = rep_n(path.tokens()?, *n as usize);
        let because = || format!("rep-{n} {rate:.3}, at most {max_rate} wanted");
        Ok((rate > *max_rate).then(|| StepReason::new(because())))
    }
}
