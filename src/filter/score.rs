//! Limits on what `score` and `judge` stages added.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::FilterError;
use super::step::{Candidate, Needed, Run, Section, Step, StepReason, StepResults, range, refuse};

/// Limits on one score that a `score` or `judge` stage added. A path whose score is unparsed is dropped
/// (rule `unparsed`); a path that was never scored is an error.
#[derive(Clone, PartialEq, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScoreLimit {
    /// The score's name.
    pub name: String,
    /// Least value. Default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// Greatest value. Default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
}

impl Section for Vec<ScoreLimit> {
    type One = ScoreLimit;

    fn each(&self, place: &str) -> Vec<(String, ScoreLimit)> {
        let limits = self.iter().enumerate();
        limits
            .map(|(i, limit)| (format!("{place}[{i}]"), limit.clone()))
            .collect()
    }

    fn base(&self) -> Map<String, Value> {
        Map::new()
    }

    fn is_absent(&self) -> bool {
        self.is_empty()
    }
}

impl Step for ScoreLimit {
    fn about(&self) -> Option<&str> {
        Some(&self.name)
    }

    fn enabled(&self) -> bool {
        true
    }

    fn check(&self, place: &str) -> Result<(), FilterError> {
        if self.min.is_none() && self.max.is_none() {
            let found = format!("`{}` without limits", self.name);
            return refuse(place, "", &found, "`min`, `max` or both");
        }
        let ordered = self.min.unwrap_or(f64::NEG_INFINITY) <= self.max.unwrap_or(f64::INFINITY);
        if !ordered {
            let found = self
                .max
                .map_or_else(|| "none".into(), |max| max.to_string());
            return refuse(place, "max", &found, "at least `min`");
        }
        Ok(())
    }

    fn needs(&self) -> Vec<(&'static str, Needed)> {
        let bound = |key, bound: Option<f64>| {
            bound.map(|bound| (key, Needed::Bound(self.name.clone(), bound)))
        };
        let score = Some(("name", Needed::Score(self.name.clone())));
        let needs = [score, bound("min", self.min), bound("max", self.max)];
        needs.into_iter().flatten().collect()
    }

    fn drop_reasons(&self, left: &[Candidate<'_>], _: &Run<'_>) -> StepResults {
        // Beside `unparsed`, what the others are dropped by needs a name too.
        let unparsed = |each: &Candidate<'_>| each.path.unparsed.contains(&self.name);
        let rule = left.iter().any(unparsed).then_some("out-of-range");
        let judge = |path: &Candidate<'_>| {
            let Some(found) = path.score(&self.name)? else {
                return Ok(Some(StepReason::unparsed(&self.name)));
            };
            let range = range(self.min, self.max);
            let low = self.min.is_some_and(|min| found.is_nan() || found < min);
            let high = self.max.is_some_and(|max| found.is_nan() || found > max);
            Ok((low || high).then(|| StepReason {
                rule,
                because: format!("{} {found}, {range} wanted", self.name),
            }))
        };
        left.iter().map(judge).collect()
    }
}
