//! Texts that the model that wrote them finds too likely, or too unlikely.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::FilterError;
use super::step::{Candidate, Needed, Run, Step, StepReason, StepResult, range, refuse};

/// Limits on a path's perplexity under the model that wrote it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PerplexityLimit {
    /// Whether the step runs. Default true.
    pub enabled: bool,
    /// Least perplexity; a path below it is dropped. Default 5 (paper, III-A).
    #[schemars(range(min = 0.0))]
    pub min_perplexity: f64,
    /// Greatest perplexity. Default none (the paper has none).
    #[schemars(range(min = 1.0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_perplexity: Option<f64>,
}

impl Default for PerplexityLimit {
    fn default() -> Self {
        Self {
            enabled: true,
            min_perplexity: 5.0,
            max_perplexity: None,
        }
    }
}

impl Step for PerplexityLimit {
    fn enabled(&self) -> bool {
        self.enabled
    }

    fn check(&self, place: &str) -> Result<(), FilterError> {
        let least = self.min_perplexity;
        if least.is_nan() || least < 0.0 {
            return refuse(place, "min_perplexity", &least, "0 or more");
        }
        match self.max_perplexity {
            Some(max) if max.is_nan() || max < least => {
                let accepted = format!("at least `{place}.min_perplexity`");
                refuse(place, "max_perplexity", &max, accepted)
            }
            _ => Ok(()),
        }
    }

    fn needs(&self) -> Vec<(&'static str, Needed)> {
        vec![("", Needed::LogProbs)]
    }

    fn drop_reason(&self, path: &Candidate<'_>, _: &Run<'_>) -> StepResult {
        let found = path.perplexity()?;
        let low = found.is_nan() || found < self.min_perplexity;
        let high = self.max_perplexity.is_some_and(|max| found > max);
        let range = range(Some(self.min_perplexity), self.max_perplexity);
        let because = || format!("perplexity {found:.3}, {range} wanted");
        Ok((low || high).then(|| StepReason::new(because())))
    }
}
