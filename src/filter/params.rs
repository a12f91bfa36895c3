//! What a filter stage's manifest entry says. The defaults are the paper's (III-A).
//!
//! A step is switched off by `enabled = false`, one boolean that an override or a sweep can name
//! (`stages.kept.length.enabled`); its thresholds then mean nothing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::FilterError;
use crate::text::Reading;

/// Parameters of a filter, in the order in which its steps run.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FilterParams {
    /// Before all others: drop texts that were cut.
    pub ended: EndedRule,
    /// Step 1: drop texts by their form.
    pub pattern: PatternRules,
    /// Step 2: drop short texts.
    pub length: LengthLimit,
    /// Step 3: drop texts that repeat themselves.
    pub repetition: RepetitionLimit,
    /// Step 4: drop texts that the model finds too likely.
    pub perplexity: PerplexityLimit,
    /// Step 5: limits on what `score` and `judge` stages added, in order. Default none (the paper has
    /// none).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scores: Vec<ScoreLimit>,
    /// Step 6: what to keep of each question's survivors.
    pub select: Select,
    /// By which rule it is read what an answer opens with and what a path concludes (docs/answers.md). Default
    /// `standard` (ours).
    pub reading: Reading,
}

/// Texts dropped because they did not end by themselves.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EndedRule {
    /// Whether the step runs: it drops paths that ended by length, in the middle of what they were saying. Default false
    /// (the paper has no such step).
    pub enabled: bool,
}

/// Texts dropped by their form. The rules, with their measured precision, are in `docs/filters.md`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "a switch for the step and one for each of its three rules"
)]
pub struct PatternRules {
    /// Whether the step runs. Default true.
    pub enabled: bool,
    /// Drop texts with the structure `Question: ... Answer:`. Default true (paper, III-A).
    pub imitative: bool,
    /// Drop an answer without reasoning. Default true (named in the paper, III-A; the rule is ours).
    pub direct_response: bool,
    /// Drop texts that list the options again. Default true (named in the paper, III-A; the rule is
    /// ours).
    pub repetitive_options: bool,
}

impl Default for PatternRules {
    fn default() -> Self {
        Self {
            enabled: true,
            imitative: true,
            direct_response: true,
            repetitive_options: true,
        }
    }
}

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

/// Limits on one score that a `score` or `judge` stage added. A path whose score is unparsed is dropped
/// (rule `unparsed`); a path that was never scored is an error.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
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

/// How a question's survivors are ranked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SelectRule {
    /// The lowest rep-n first (paper, III-A).
    #[default]
    LowestRep,
    /// In an order that the seed decides.
    Random,
    /// The highest perplexity first.
    HighestPerplexity,
    /// The highest score first; `score` names it.
    HighestScore,
    /// Keep every survivor; `keep` means nothing.
    All,
}

/// The choice among a question's survivors. Ties are broken by a hash of the seed and the path's
/// row, never by the order in which paths were drawn.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Select {
    /// How survivors are ranked. Default `lowest-rep` (paper, III-A).
    pub rule: SelectRule,
    /// How many are kept per question. Default 1 (paper, III-A).
    #[schemars(range(min = 1))]
    pub keep: u32,
    /// The score that `highest-score` ranks by. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<String>,
}

impl Default for Select {
    fn default() -> Self {
        Self {
            rule: SelectRule::LowestRep,
            keep: 1,
            score: None,
        }
    }
}

impl FilterParams {
    /// Checks what a JSON schema cannot say: limits the right way round, `score` where it is needed.
    ///
    /// # Errors
    /// [`FilterError::Parameter`] names the first key at fault.
    pub fn check(&self) -> Result<(), FilterError> {
        let fault = |key: &str, found: String, accepted: &str| {
            Err(FilterError::Parameter {
                key: key.into(),
                found,
                accepted: accepted.into(),
            })
        };
        if let Some(max) = self
            .length
            .max_tokens
            .filter(|&m| m < self.length.min_tokens)
        {
            return fault(
                "length.max_tokens",
                max.to_string(),
                "at least `length.min_tokens`",
            );
        }
        if self.repetition.n == 0 {
            return fault("repetition.n", "0".into(), "1 to 16");
        }
        let rate = self.repetition.max_rate;
        if !(0.0..=1.0).contains(&rate) {
            return fault("repetition.max_rate", rate.to_string(), "0 to 1");
        }
        let least = self.perplexity.min_perplexity;
        if least.is_nan() || least < 0.0 {
            return fault("perplexity.min_perplexity", least.to_string(), "0 or more");
        }
        if let Some(max) = self.perplexity.max_perplexity
            && (max.is_nan() || max < least)
        {
            let accepted = "at least `perplexity.min_perplexity`";
            return fault("perplexity.max_perplexity", max.to_string(), accepted);
        }
        for (i, limit) in self.scores.iter().enumerate() {
            let (min, max) = (limit.min, limit.max);
            if min.is_none() && max.is_none() {
                let key = format!("scores[{i}]");
                return fault(
                    &key,
                    format!("`{}` without limits", limit.name),
                    "`min`, `max` or both",
                );
            }
            let ordered = min.unwrap_or(f64::NEG_INFINITY) <= max.unwrap_or(f64::INFINITY);
            if !ordered {
                let found = max.map_or_else(|| "none".into(), |m| m.to_string());
                return fault(&format!("scores[{i}].max"), found, "at least `min`");
            }
        }
        if self.select.keep == 0 {
            return fault("select.keep", "0".into(), "1 or more");
        }
        if self.select.rule == SelectRule::HighestScore && self.select.score.is_none() {
            return fault(
                "select.score",
                "missing".into(),
                "a score's name, for `rule = \"highest-score\"`",
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_entry_is_the_papers_filter() {
        let params: FilterParams = toml::from_str("").unwrap();
        assert_eq!(params, FilterParams::default());
        let value = serde_json::to_value(&params).unwrap();
        assert_eq!(value["length"]["min_tokens"], 25);
        assert_eq!(value["repetition"]["max_rate"], 0.2);
        assert_eq!(value["perplexity"]["min_perplexity"], 5.0);
        assert_eq!(value["select"]["rule"], "lowest-rep");
        assert_eq!(value["ended"]["enabled"], false);
    }

    #[test]
    fn a_manifest_entry_reads_well() {
        let params: FilterParams = toml::from_str(
            r#"
            length.enabled = false
            perplexity = { min_perplexity = 3.5, max_perplexity = 50 }
            scores = [{ name = "coherence", min = 6 }]
            select = { rule = "highest-score", score = "coherence", keep = 2 }
            "#,
        )
        .unwrap();
        assert!(!params.length.enabled && params.pattern.enabled);
        assert_eq!(params.scores[0].min, Some(6.0));
        assert_eq!(params.select.rule, SelectRule::HighestScore);
        params.check().unwrap();
        assert!(toml::from_str::<FilterParams>("min_token = 3").is_err());
    }

    #[test]
    fn contradictions_name_their_key() {
        for (text, key) in [
            ("length.max_tokens = 24", "length.max_tokens"),
            (
                "perplexity.max_perplexity = 4.5",
                "perplexity.max_perplexity",
            ),
            ("repetition.max_rate = 1.5", "repetition.max_rate"),
            ("scores = [{ name = 'x' }]", "scores[0]"),
            (
                "scores = [{ name = 'x', min = 2, max = 1 }]",
                "scores[0].max",
            ),
            ("select.rule = 'highest-score'", "select.score"),
            ("select.keep = 0", "select.keep"),
        ] {
            let params: FilterParams = toml::from_str(text).unwrap();
            let error = params.check().unwrap_err().to_string();
            assert!(error.contains(&format!("`{key}`")), "{error}");
        }
    }

    #[test]
    fn the_schema_carries_limits() {
        let schema = schemars::schema_for!(FilterParams).to_value();
        let rate = &schema["$defs"]["RepetitionLimit"]["properties"]["max_rate"];
        assert_eq!(rate["maximum"], 1.0);
        assert_eq!(rate["default"], 0.2);
        let max = &schema["$defs"]["PerplexityLimit"]["properties"]["max_perplexity"];
        assert_eq!(max["minimum"], 1.0);
    }
}
