//! Counts: what each step dropped, and what the kept paths conclude.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Conclusions;

/// How paths became fewer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Funnel {
    /// Questions given, with or without paths.
    pub questions: usize,
    /// Paths that came in.
    pub paths: usize,
    /// The steps that ran, in order; one that is switched off is not here.
    pub steps: Vec<FunnelStep>,
    /// Paths kept.
    pub kept: usize,
    /// Questions with a path kept.
    pub questions_kept: usize,
    /// What the kept paths conclude by themselves.
    pub conclusions: Conclusions,
}

/// One step's counts.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FunnelStep {
    /// The name of one of the [`STEPS`](super::STEPS), of limits on a score with the score's: `length`, `score judge`. The
    /// second of a name is `length 2`.
    pub name: String,
    /// Paths it dropped.
    pub dropped: usize,
    /// Of these, how many by which of its rules: `pattern` has several, a score may be `unparsed`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub by_rule: BTreeMap<String, usize>,
    /// Paths left after it.
    pub left: usize,
    /// Questions that still have a path.
    pub questions_left: usize,
}

impl FunnelStep {
    /// Whether it chose among a question's paths, and dropped none by itself.
    pub fn is_choice(&self) -> bool {
        self.name == "select" || self.name.starts_with("select ")
    }
}

impl Funnel {
    /// Whether the counts agree: each step leaves what came in less what it dropped, and the last
    /// leaves what was kept.
    pub fn adds_up(&self) -> bool {
        let mut left = self.paths;
        for step in &self.steps {
            let rules: usize = step.by_rule.values().sum();
            if left.checked_sub(step.dropped) != Some(step.left)
                || !(step.by_rule.is_empty() || rules == step.dropped)
            {
                return false;
            }
            left = step.left;
        }
        left == self.kept
    }

    /// Rows of a table: name, dropped, left, questions left; the first row is what came in.
    pub fn rows(&self) -> Vec<(String, usize, usize, usize)> {
        let first = ("sampled".into(), 0, self.paths, self.questions);
        let steps = self.steps.iter().map(|step| {
            (
                step.name.clone(),
                step.dropped,
                step.left,
                step.questions_left,
            )
        });
        std::iter::once(first).chain(steps).collect()
    }
}
