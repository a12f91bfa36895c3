//! Questions that are too easy or too hard.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::FilterError;
use super::step::{Candidate, Needed, Run, Step, StepReason, StepResult, range, refuse};

/// Limits on the share of a question's paths that are right, as a `verify` stage counted it. The step runs where a limit is set.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PassRateLimit {
    /// Least share, from 0 to 1; paths of a harder question are dropped. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub min: Option<f64>,
    /// Greatest share, from 0 to 1; paths of an easier question are dropped. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub max: Option<f64>,
    /// The score that holds the share, where its `verify` stage has another `name`. Default `pass_rate`.
    #[schemars(length(min = 1))]
    pub score: String,
}

impl Default for PassRateLimit {
    fn default() -> Self {
        Self {
            min: None,
            max: None,
            score: "pass_rate".to_owned(),
        }
    }
}

impl Step for PassRateLimit {
    fn enabled(&self) -> bool {
        self.min.is_some() || self.max.is_some()
    }

    fn is_absent(&self) -> bool {
        *self == Self::default()
    }

    fn check(&self, place: &str) -> Result<(), FilterError> {
        for (key, limit) in [("min", self.min), ("max", self.max)] {
            if let Some(limit) = limit.filter(|limit| !(0.0..=1.0).contains(limit)) {
                return refuse(place, key, &limit, "a share from 0 to 1");
            }
        }
        match (self.min, self.max) {
            (Some(min), Some(max)) if min > max => refuse(place, "max", &max, "at least `min`"),
            _ => Ok(()),
        }
    }

    fn has_switch(&self) -> bool {
        false
    }

    fn check_listed(&self, place: &str) -> Result<(), FilterError> {
        if self.enabled() {
            return Ok(());
        }
        refuse(place, "", &"without limits", "`min`, `max` or both")
    }

    fn needs(&self) -> Vec<(&'static str, Needed)> {
        vec![("score", Needed::Score(self.score.clone()))]
    }

    fn drop_reason(&self, path: &Candidate<'_>, _: &Run<'_>) -> StepResult {
        let Some(share) = path.score(&self.score)? else {
            return Ok(Some(StepReason {
                rule: Some("unparsed"),
                because: format!(
                    "{} is unknown: none of the question's paths could be checked",
                    self.score
                ),
            }));
        };
        let rule = if self.min.is_some_and(|min| share < min) {
            "too-hard"
        } else if self.max.is_some_and(|max| share > max) {
            "too-easy"
        } else {
            return Ok(None);
        };
        Ok(Some(StepReason {
            rule: Some(rule),
            because: format!(
                "{} {share:.3}, {} wanted",
                self.score,
                range(self.min, self.max)
            ),
        }))
    }
}
