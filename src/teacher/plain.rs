//! A recording of one's own: JSON lines with `id`, `rationale` and optionally `answer_text`.

use std::path::PathBuf;

use serde::Deserialize;

use super::join::{RecordedPath, RecordedPaths, by_id};
use super::{Recorded, RecordingKind, TeachParams, TeacherError, own_file};
use crate::input::JsonLines;
use crate::text::{EndReason, Question};

pub(super) const KIND: RecordingKind = RecordingKind {
    name: "jsonl",
    doc: "your own file (`path`), one JSON object a line: id, rationale, and optionally answer_text, finish_reason",
    files: own_file,
    load,
};

#[derive(Deserialize)]
struct PlainRow {
    id: String,
    rationale: String,
    #[serde(default)]
    answer_text: Option<String>,
    #[serde(default)]
    finish_reason: Option<String>,
}

/// Several rows with one id are several paths.
fn load(
    params: &TeachParams,
    paths: &[PathBuf],
    questions: &[Question],
) -> Result<Recorded, TeacherError> {
    let path = &paths[0];
    let mut rows = RecordedPaths::new();
    for line in JsonLines::open(path)?.rows() {
        let row: PlainRow = line.read_with_id("id")?;
        if row.rationale.trim().is_empty() {
            return Err(line.wrong_at("rationale", "the rationale is empty").into());
        }
        rows.entry(row.id).or_default().push(RecordedPath {
            text: row.rationale,
            end: match row.finish_reason.as_deref() {
                Some("stop") => EndReason::EndOfText,
                Some("length") => EndReason::Length,
                _ => EndReason::Unknown,
            },
            answer_text: row.answer_text,
        });
    }
    let name = path.file_name().map_or_else(
        || path.display().to_string(),
        |name| name.to_string_lossy().into_owned(),
    );
    let teacher = params.teacher.clone().unwrap_or(name);
    by_id("jsonl", teacher, &rows, questions)
}
