//! Reading text files row by row, with the place of whatever is wrong.

use std::path::Path;

use serde::de::DeserializeOwned;

use super::DatasetError;
use crate::disk;

/// The whole file as text, without a byte-order mark.
///
/// # Errors
/// It cannot be read or is not UTF-8.
pub fn read_text(path: &Path) -> Result<String, DatasetError> {
    let bytes = disk::read(path).map_err(|source| DatasetError::Read {
        path: path.to_owned(),
        source,
    })?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let before = &error.as_bytes()[..at];
        let line_start = before
            .iter()
            .rposition(|&b| b == b'\n')
            .map_or(0, |i| i + 1);
        DatasetError::NotUtf8 {
            path: path.to_owned(),
            line: before.split(|&b| b == b'\n').count(),
            byte: at - line_start,
        }
    })?;
    Ok(match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_owned(),
        None => text,
    })
}

/// One JSON value per line, each with its line number; blank lines are skipped.
///
/// # Errors
/// A line is not such a value, or there is none.
pub fn read_json_lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<(usize, T)>, DatasetError> {
    let text = read_text(path)?;
    let mut rows = Vec::new();
    for (row, line) in text.lines().zip(1..) {
        if row.trim().is_empty() {
            continue;
        }
        let value = serde_json::from_str(row).map_err(|e| json_error(path, line, &e))?;
        rows.push((line, value));
    }
    if rows.is_empty() {
        return Err(DatasetError::Empty {
            path: path.to_owned(),
        });
    }
    Ok(rows)
}

/// The file as one JSON value.
///
/// # Errors
/// It is not such a value.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, DatasetError> {
    let text = read_text(path)?;
    serde_json::from_str(&text).map_err(|e| json_error(path, e.line(), &e))
}

fn json_error(path: &Path, line: usize, error: &serde_json::Error) -> DatasetError {
    let text = error.to_string();
    // The parser's own place is within the one line it saw.
    let reason = text
        .rsplit_once(" at line ")
        .map_or(text.as_str(), |(head, _)| head);
    DatasetError::Json {
        path: path.to_owned(),
        line,
        column: error.column(),
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use serde_json::Value;

    fn rows_of(bytes: &[u8]) -> Result<Vec<(usize, Value)>, DatasetError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), bytes).unwrap();
        read_json_lines(file.path())
    }

    #[test]
    fn rows_carry_their_lines() {
        let rows = rows_of("\u{feff}1\n\n2\r\n".as_bytes()).unwrap();
        assert_eq!(rows, [(1, Value::from(1)), (3, Value::from(2))]);
    }

    #[test]
    fn what_is_wrong_has_its_place() {
        let error = rows_of(b"1\n{\"a\": }\n").unwrap_err();
        let DatasetError::Json { line, column, .. } = &error else {
            panic!("{error}");
        };
        assert_eq!((*line, *column), (2, 7));
        let error = rows_of(b"1\n\"ab\xff\"\n").unwrap_err();
        assert!(
            matches!(
                error,
                DatasetError::NotUtf8 {
                    line: 2,
                    byte: 3,
                    ..
                }
            ),
            "{error}"
        );
        assert!(matches!(rows_of(b"\n \n"), Err(DatasetError::Empty { .. })));
    }
}
