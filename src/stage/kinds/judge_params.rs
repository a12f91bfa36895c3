//! Parameters of `judge`, and how a rating by them is noted.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::prompts::LongPrompts;
use crate::stage::Context;
use crate::teacher::http::{Budget, Endpoint, Mode};
use crate::teacher::judge::CRITERIA;
use crate::text::ReasoningPath;

/// The mean's name.
pub(super) const MEAN: &str = "judge";

/// One score for each criterion, in order; `None` where it is unparsed.
pub(super) type Rating = Vec<Option<f64>>;

/// Parameters of `judge`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct JudgeParams {
    /// The server and the model that judge; instead of `model`. With `n` above 1 a score is the mean
    /// over the replies in which it can be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Endpoint>,
    /// `endpoint` only: one by one, or as files through the provider's batch interface. Default
    /// `online`. Not in the key.
    pub mode: Mode,
    /// `endpoint` only: what may be spent. Default: no limit. Not in the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// The prompt: a text with places for `{question}` and `{response}`, and if you like for
    /// `{criteria}` and `{scores}`, the lists of what to judge and of lines to fill in. Default: ours,
    /// of the form of the paper's Table I.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// What is judged; each becomes a score of that name. Default `coherence`, `relevance`,
    /// `logical_consistency`, `completeness` (paper, Table I).
    #[schemars(
        length(min = 1, max = 20),
        inner(regex(pattern = r"^[a-z][a-z0-9_]*$"))
    )]
    pub criteria: Vec<String>,
    /// Stands before each score's name, so that two judges can be told apart, for example `llama-`.
    /// Default none. The mean of the criteria is the score `judge`.
    pub prefix: String,
    /// `model` only: what to do with a prompt that does not fit the context. Default `truncate-left`
    /// (ours).
    pub long_prompts: LongPrompts,
}

impl Default for JudgeParams {
    fn default() -> Self {
        Self {
            endpoint: None,
            mode: Mode::Online,
            budget: None,
            prompt: None,
            criteria: CRITERIA.map(str::to_owned).to_vec(),
            prefix: String::new(),
            long_prompts: LongPrompts::TruncateLeft,
        }
    }
}

impl JudgeParams {
    /// Adds a rating to its path: each criterion's score, and their mean where none is missing.
    pub(super) fn note(&self, path: &mut ReasoningPath, rating: &Rating) {
        let mean = rating.iter().copied().sum::<Option<f64>>();
        let mean = mean.map(|sum| sum / rating.len() as f64);
        let scores = rating.iter().copied().chain([mean]);
        for (name, score) in self
            .criteria
            .iter()
            .map(String::as_str)
            .chain([MEAN])
            .zip(scores)
        {
            let name = format!("{}{name}", self.prefix);
            path.scores.remove(&name);
            path.unparsed.remove(&name);
            match score {
                Some(score) => drop(path.scores.insert(name, score)),
                None => drop(path.unparsed.insert(name)),
            }
        }
    }

    /// Tells, and records, how many scores could not be read.
    pub(super) fn tell(&self, context: &Context<'_>, paths: &[ReasoningPath]) {
        let named = |name: &str| format!("{}{name}", self.prefix);
        let unparsed = |name: &str| {
            paths
                .iter()
                .filter(|path| path.unparsed.contains(name))
                .count()
        };
        let mean = named(MEAN);
        let scores: Vec<f64> = paths
            .iter()
            .filter_map(|path| path.scores.get(&mean).copied())
            .collect();
        let without = unparsed(&mean);
        let share = 100.0 * without as f64 / paths.len().max(1) as f64;
        let by_criterion: BTreeMap<&str, usize> = self
            .criteria
            .iter()
            .map(|name| (name.as_str(), unparsed(&named(name))))
            .collect();
        let mut text = format!("{} judged, {without} ({share:.1} %) unparsed", paths.len());
        if without > 0 {
            let each: Vec<String> = by_criterion
                .iter()
                .map(|(name, count)| format!("{name} {count}"))
                .collect();
            text = format!("{text} ({})", each.join(", "));
        }
        if !scores.is_empty() {
            let average = scores.iter().sum::<f64>() / scores.len() as f64;
            text = format!("{text}; `{mean}` is {average:.2} of 10 on average");
        }
        context.report.info(text);
        context.record_use(
            "judged",
            json!({ "paths": paths.len(), "unparsed": without, "unparsed_by_criterion": by_criterion }),
        );
    }
}
