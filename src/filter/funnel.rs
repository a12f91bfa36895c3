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
    /// What the kept paths conclude by themselves.
    pub conclusions: Conclusions,
}

/// One step's counts.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FunnelStep {
    /// `ended`, `pattern`, `length`, `repetition`, `perplexity`, `score NAME` or `select`.
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
    tally(kept, &by_id(questions)?)
}

/// [`conclusions`], for questions by id.
pub(super) fn tally<'p>(
    kept: impl IntoIterator<Item = &'p ReasoningPath>,
    by_id: &BTreeMap<&str, &Question>,
) -> Result<Conclusions, FilterError> {
    let mut counts = Conclusions::default();
    for path in kept {
        match concludes(path, by_id)? {
            Some(true) => counts.agree += 1,
            Some(false) => counts.contradict += 1,
            None => counts.none += 1,
        }
    }
    Ok(counts)
}

/// The paths that conclude the gold answer, in order.
///
/// # Errors
/// As [`conclusions`].
pub fn correct(
    paths: Vec<ReasoningPath>,
    questions: &[Question],
) -> Result<Vec<ReasoningPath>, FilterError> {
    let by_id = by_id(questions)?;
    let mut kept = Vec::with_capacity(paths.len());
    for path in paths {
        if concludes(&path, &by_id)? == Some(true) {
            kept.push(path);
        }
    }
    Ok(kept)
}

/// Whether `path` concludes the gold answer; `None` where it concludes nothing.
fn concludes(
    path: &ReasoningPath,
    by_id: &BTreeMap<&str, &Question>,
) -> Result<Option<bool>, FilterError> {
    let question =
        by_id
            .get(path.question_id.as_str())
            .ok_or_else(|| FilterError::UnknownQuestion {
                question_id: path.question_id.clone(),
                questions: by_id.len(),
            })?;
    let concluded = match &path.answer_text {
        Some(answer) => parse_answer(question, answer).answer(),
        None => conclusion(question, &path.text),
    };
    Ok(concluded.map(|answer| is_gold(question, &answer)))
}
