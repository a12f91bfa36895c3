//! Rows that were made elsewhere, by another program or on another day, checked as they come in.

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;
use serde_json::json;

use crate::input::{InputError, JsonLines};
use crate::key::{Digest, canonical_json};
use crate::stage::StageError;
use crate::text::{Question, ReasoningPath};

/// What a path must have.
const PATH_NEEDS: &str =
    "a path needs `question_id` and `text`, and may have what `sert-run export` writes";

/// Paths, each of one of `questions`. Those without an identity get one, by what they are.
///
/// # Errors
/// A line is no path, or belongs to another question.
pub(super) fn paths(
    lines: &JsonLines,
    questions: &[Question],
) -> Result<Vec<ReasoningPath>, StageError> {
    let id = |path: &ReasoningPath| path.question_id.clone();
    let mut rows = rows(lines, questions, PATH_NEEDS, id)?;
    for path in rows
        .iter_mut()
        .filter(|path| path.stream == Digest::default())
    {
        let identity = json!(["imported/1", path.question_id, path.draw, path.text]);
        path.stream = Digest::of(canonical_json(&identity).as_bytes());
    }
    Ok(rows)
}

/// Rows, each of one of `questions` by its `id`; `needs` says what a row must have.
///
/// # Errors
/// A line is no such row, or belongs to another question.
pub(super) fn rows<T: DeserializeOwned>(
    lines: &JsonLines,
    questions: &[Question],
    needs: &str,
    id: impl Fn(&T) -> String,
) -> Result<Vec<T>, StageError> {
    let known: BTreeSet<&str> = questions.iter().map(|q| q.id.as_str()).collect();
    let mut rows = Vec::new();
    let mut strangers = Vec::new();
    for line in lines.rows() {
        let row: T = line
            .read_with_id("question_id")
            .map_err(|error| error.hint(needs))?;
        let id = id(&row);
        if !known.contains(id.as_str()) {
            strangers.push(line.wrong_at("question_id", id));
        }
        rows.push(row);
    }
    let Some(first) = strangers.first() else {
        return Ok(rows);
    };
    let some: Vec<&str> = questions.iter().take(3).map(|q| q.id.as_str()).collect();
    let what = format!(
        "{} of {} rows belong to none of the {} questions, first `{}`; the questions are {}, ...",
        strangers.len(),
        rows.len(),
        questions.len(),
        first.what,
        some.join(", ")
    );
    let hint = "the rows must come from the same dataset and split as `questions`";
    Err(InputError {
        what,
        ..strangers.swap_remove(0)
    }
    .hint(hint)
    .into())
}
