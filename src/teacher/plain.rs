//! A recording of one's own: JSON lines with `id`, `rationale` and optionally `answer_text`.

use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;

use super::join::{Row, Rows, by_id};
use super::{Recorded, RecordingKind, TeachParams, TeacherError, own_file};
use crate::dataset::{DatasetError, read_json_lines};
use crate::text::{EndReason, Question};

pub(super) const KIND: RecordingKind = RecordingKind {
    name: "jsonl",
    doc: "your own file (`path`), one JSON object a line: id, rationale, and optionally answer_text, finish_reason",
    files: own_file,
    load,
};

#[derive(Deserialize)]
struct PlainRow {
    id: Value,
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
    let mut rows = Rows::new();
    for (line, row) in read_json_lines::<PlainRow>(path)? {
        let wrong = |reason: &str| DatasetError::Row {
            path: path.clone(),
            line,
            reason: reason.to_owned(),
        };
        let id = match row.id {
            Value::String(id) => id,
            Value::Number(id) => id.to_string(),
            other => {
                return Err(
                    wrong(&format!("the id `{other}` is neither text nor a number")).into(),
                );
            }
        };
        if row.rationale.trim().is_empty() {
            return Err(wrong("the rationale is empty").into());
        }
        rows.entry(id).or_default().push(Row {
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
