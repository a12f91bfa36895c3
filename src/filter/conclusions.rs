//! What paths conclude by themselves, against the gold answer.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::FilterError;
use super::step::by_id;
use crate::text::{
    Excerpt, Question, Reading, ReasoningPath, conclusion, excerpt, is_gold, parse_reply,
};

/// Of so many paths one that can be read is next to none (ours): of the 2,290 published completions of
/// text-davinci-002 five in six can.
const NEXT_TO_NONE: usize = 10;

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

impl Conclusions {
    /// Whether nothing, or next to nothing, could be read: as a rule the reading does not fit what was written.
    pub fn unreadable(&self) -> bool {
        let read = self.agree + self.contradict;
        read * NEXT_TO_NONE < read + self.none
    }
}

/// Counts the conclusions of `kept`. A teacher's path concludes its `answer_text`.
///
/// # Errors
/// A path of a question that is not among `questions`, or two questions of one id.
pub fn conclusions<'p>(
    kept: impl IntoIterator<Item = &'p ReasoningPath>,
    questions: &[Question],
    reading: Reading,
) -> Result<Conclusions, FilterError> {
    tally(kept, &by_id(questions)?, reading)
}

/// [`conclusions`], for questions by id.
pub(super) fn tally<'p>(
    kept: impl IntoIterator<Item = &'p ReasoningPath>,
    by_id: &BTreeMap<&str, &Question>,
    reading: Reading,
) -> Result<Conclusions, FilterError> {
    let mut counts = Conclusions::default();
    for path in kept {
        match concludes(path, by_id, reading)? {
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
    reading: Reading,
) -> Result<Vec<ReasoningPath>, FilterError> {
    let by_id = by_id(questions)?;
    let mut kept = Vec::with_capacity(paths.len());
    for path in paths {
        if concludes(&path, &by_id, reading)? == Some(true) {
            kept.push(path);
        }
    }
    Ok(kept)
}

/// A warning with an example where next to none of a teacher's `paths` can be read.
///
/// # Errors
/// As [`conclusions`].
pub fn unreadable(
    paths: &[ReasoningPath],
    questions: &[Question],
    reading: Reading,
) -> Result<Option<String>, FilterError> {
    let by_id = by_id(questions)?;
    let counts = tally(paths, &by_id, reading)?;
    if !counts.unreadable() {
        return Ok(None);
    }
    for path in paths {
        if concludes(path, &by_id, reading)?.is_none() {
            return Ok(Some(format!(
                "of {} of {} teacher paths no answer can be read, for example of `{}`: {}\nhint: `sert-run show` prints the paths; docs/answers.md tells what `reading = \"{}\"` reads",
                counts.none,
                paths.len(),
                path.question_id,
                example(path),
                reading.name(),
            )));
        }
    }
    Ok(None)
}

/// What was to be read of `path`: its answer, or how it ends.
fn example(path: &ReasoningPath) -> String {
    match &path.answer_text {
        Some(answer) => excerpt(answer, Excerpt::Head),
        None => excerpt(&path.text, Excerpt::End),
    }
}

/// Whether `path` concludes the gold answer; `None` where it concludes nothing.
fn concludes(
    path: &ReasoningPath,
    by_id: &BTreeMap<&str, &Question>,
    reading: Reading,
) -> Result<Option<bool>, FilterError> {
    let question =
        by_id
            .get(path.question_id.as_str())
            .ok_or_else(|| FilterError::UnknownQuestion {
                question_id: path.question_id.clone(),
                questions: by_id.len(),
            })?;
    let concluded = concluded(path, question, reading);
    Ok(concluded.map(|answer| is_gold(question, &answer)))
}

/// The answer that `path` concludes by itself, in canonical form: a teacher's is its `answer_text`.
pub fn concluded(path: &ReasoningPath, question: &Question, reading: Reading) -> Option<String> {
    match &path.answer_text {
        Some(answer) => parse_reply(question, answer, reading).answer(),
        None => conclusion(question, &path.text, reading),
    }
}
