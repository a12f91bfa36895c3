//! Plain text to pretrain on.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::DatasetError;
use crate::input::{InputError, read_json_lines, read_text};

/// A text to pretrain on.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TextParams {
    /// A text file, or with the ending `.jsonl`, `.ndjson` or `.json` objects with a field `text`, one a line.
    pub path: PathBuf,
    /// Where a document of a text file ends. Default `blank-line`.
    #[serde(default)]
    pub documents: DocumentEnd,
}

/// Where a document of a text file ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum DocumentEnd {
    /// At a blank line.
    #[default]
    BlankLine,
    /// At each line's end.
    Line,
}

/// One row of a `.jsonl` text file.
#[derive(Deserialize)]
struct TextRow {
    text: String,
}

/// The documents to pretrain on, in order; none is empty.
///
/// # Errors
/// The file cannot be read, or holds no document.
pub(crate) fn pretraining_text(params: &TextParams) -> Result<Vec<String>, DatasetError> {
    let path = &params.path;
    let documents: Vec<String> = if has_rows(path) {
        let rows = read_json_lines::<TextRow>(path)?;
        rows.into_iter().map(|(_, row)| row.text).collect()
    } else {
        let text = read_text(path)?;
        match params.documents {
            DocumentEnd::Line => text.lines().map(str::to_owned).collect(),
            DocumentEnd::BlankLine => paragraphs(&text),
        }
    };
    let documents: Vec<String> = documents
        .into_iter()
        .filter(|document| !document.trim().is_empty())
        .collect();
    if documents.is_empty() {
        return Err(InputError::of_file(path, "the file has no document").into());
    }
    Ok(documents)
}

/// Whether a file's name says that it is JSON.
fn has_rows(path: &Path) -> bool {
    let ending = path.extension().unwrap_or_default();
    ["jsonl", "ndjson", "json"]
        .iter()
        .any(|rows| ending.eq_ignore_ascii_case(rows))
}

/// What stands between blank lines, with its inner line breaks.
fn paragraphs(text: &str) -> Vec<String> {
    let mut found = vec![String::new()];
    for line in text.lines() {
        if line.trim().is_empty() {
            found.push(String::new());
        } else if let Some(last) = found.last_mut() {
            if !last.is_empty() {
                last.push('\n');
            }
            last.push_str(line);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, text: &str, documents: DocumentEnd) -> Result<Vec<String>, DatasetError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        pretraining_text(&TextParams { path, documents })
    }

    #[test]
    fn documents_end_where_they_are_said_to() {
        let text = "\na\r\nb\n \n\nc\n";
        assert_eq!(
            read("t.txt", text, DocumentEnd::BlankLine).unwrap(),
            ["a\nb", "c"]
        );
        assert_eq!(
            read("t.txt", text, DocumentEnd::Line).unwrap(),
            ["a", "b", "c"]
        );
        let rows = "{\"text\": \"a\\n\\nb\"}\n{\"text\": \" \"}\n";
        for name in ["t.jsonl", "t.JSONL", "t.ndjson", "t.json"] {
            assert_eq!(read(name, rows, DocumentEnd::Line).unwrap(), ["a\n\nb"]);
        }
        assert!(read("t.txt", " \n", DocumentEnd::Line).is_err());
    }
}
