//! Bringing recorded rows and questions together.

use std::collections::BTreeMap;

use serde_json::json;

use super::{Recorded, TeacherError};
use crate::key::{Digest, canonical_json};
use crate::text::{EndReason, Hint, Question, ReasoningPath};

#[derive(Clone, PartialEq, Debug)]
pub(super) struct RecordedPath {
    pub(super) text: String,
    pub(super) end: EndReason,
    pub(super) answer_text: Option<String>,
}

/// A recording's rows by what its questions are known by.
pub(super) type RecordedPaths = BTreeMap<String, Vec<RecordedPath>>;

/// Joins by question id.
///
/// # Errors
/// The recording is about other questions: less than half of what could join does (ours: a
/// recording of the right split lacks a few questions, one of another dataset nearly all).
pub(super) fn by_id(
    recording: &str,
    teacher: String,
    rows: &RecordedPaths,
    questions: &[Question],
) -> Result<Recorded, TeacherError> {
    let mut paths = Vec::new();
    let mut joined = 0;
    for question in questions {
        let Some(found) = rows.get(&question.id) else {
            continue;
        };
        joined += 1;
        for (draw, row) in (0..).zip(found) {
            paths.push(path(recording, &question.id, draw, row.clone()));
        }
    }
    if joined == 0 || joined * 2 < questions.len().min(rows.len()) {
        let ours = questions.iter().map(|q| q.id.as_str());
        return Err(TeacherError::DoesNotJoin {
            recording: recording.to_owned(),
            joined,
            questions: questions.len(),
            recorded: rows.len(),
            ours: examples(ours),
            theirs: examples(rows.keys().map(String::as_str)),
        });
    }
    Ok(Recorded {
        teacher,
        paths,
        questions: questions.len(),
        joined,
        in_recording: rows.len(),
    })
}

/// The path that a row is. Its row key holds the recording's name and the text, not a file's
/// place, so that the same reply has the same key wherever it was read from.
pub(super) fn path(
    recording: &str,
    question_id: &str,
    draw: u32,
    row: RecordedPath,
) -> ReasoningPath {
    let identity =
        json!({ "recording": recording, "question": question_id, "draw": draw, "text": row.text });
    ReasoningPath {
        question_id: question_id.to_owned(),
        stream: Digest::of(canonical_json(&identity).as_bytes()),
        first_token: None,
        draw,
        hint: Hint::None,
        text: row.text,
        tokens: Vec::new(),
        log_prob: None,
        end: row.end,
        end_token: None,
        answer_text: row.answer_text,
        scores: BTreeMap::new(),
        unparsed: std::collections::BTreeSet::new(),
    }
}

fn examples<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let some: Vec<&str> = names.take(3).collect();
    if some.is_empty() {
        "none".to_owned()
    } else {
        format!("{}, ...", some.join(", "))
    }
}
