//! Counts: what each step dropped, and what the kept paths conclude.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::FilterError;
use super::judge::by_id;
use crate::text::{Question, ReasoningPath, conclusion, is_gold, parse_answer};

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
}

/// One step's counts.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FunnelStep {
    /// `pattern`, `length`, `repetition`, `perplexity`, `score NAME` or `select`.
    pub name: String,
    /// Paths it dropped.
    pub dropped: usize,
    /// Of these, how many by which of its rules (`pattern` alone has several).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub by_rule: BTreeMap<String, usize>,
    /// Paths left after it.
    pub left: usize,
    /// Questions that still have a path.
    pub questions_left: usize,
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

/// What paths conclude by themselves, against the gold answer that training will append to them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Conclusions {
    /// They conclude the gold answer.
    pub agree: usize,
    /// They conclude another: the training text then contradicts itself.
    pub contradict: usize,
    /// They conclude nothing.
    pub none: usize,
}

/// Counts the conclusions of `kept`. A teacher's path concludes its `answer_text`.
///
/// # Errors
/// A path of a question that is not among `questions`, or two questions of one id.
pub fn conclusions<'p>(
    kept: impl IntoIterator<Item = &'p ReasoningPath>,
    questions: &[Question],
) -> Result<Conclusions, FilterError> {
    let by_id = by_id(questions)?;
    let mut counts = Conclusions::default();
    for path in kept {
        let question =
            by_id
                .get(path.question_id.as_str())
                .ok_or_else(|| FilterError::UnknownQuestion {
                    question_id: path.question_id.clone(),
                    questions: questions.len(),
                })?;
        let concluded = match &path.answer_text {
            Some(answer) => parse_answer(question, answer).answer(),
            None => conclusion(question, &path.text),
        };
        match concluded {
            Some(answer) if is_gold(question, &answer) => counts.agree += 1,
            Some(_) => counts.contradict += 1,
            None => counts.none += 1,
        }
    }
    Ok(counts)
}
