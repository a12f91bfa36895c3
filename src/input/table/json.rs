//! JSON: one object a line, or one array of objects.

use std::path::Path;

use serde_json::Value;

use super::{RowPlace, TableRow};
use crate::input::text::line_column;
use crate::input::words::{noun, sentence};
use crate::input::{InputError, JsonLine, JsonLines, decoded};

pub(super) fn rows(path: &Path, bytes: Vec<u8>) -> Result<Vec<TableRow>, InputError> {
    let text = decoded(path, bytes)?;
    if is_array(&text) {
        return array(path, &text);
    }
    let lines = JsonLines::of(path, text)?;
    let row = |(line, row): (JsonLine<'_>, usize)| {
        Ok(TableRow {
            place: RowPlace {
                row,
                line: Some(line.number),
            },
            values: line.read()?,
        })
    };
    lines.rows().zip(1..).map(row).collect()
}

/// Whether the text is one array, of objects or of nothing; a line that is a list of values is told by the lines' reader.
fn is_array(text: &str) -> bool {
    let inner = text.trim_start().strip_prefix('[').map(str::trim_start);
    inner.is_some_and(|inner| inner.starts_with(['{', ']']))
}

fn array(path: &Path, text: &str) -> Result<Vec<TableRow>, InputError> {
    let items: Vec<Value> = serde_json::from_str(text).map_err(|error| {
        let line = text.split('\n').nth(error.line().saturating_sub(1));
        let (_, column) = line_column(line.unwrap_or_default(), error.column().saturating_sub(1));
        InputError::at(path, error.line(), column, sentence(&error))
    })?;
    let row = |(item, row): (Value, usize)| {
        let place = RowPlace { row, line: None };
        match item {
            Value::Object(values) => Ok(TableRow { place, values }),
            other => Err(place.wrong(
                path,
                None,
                &format!("{}, where an object is expected", noun(&other)),
            )),
        }
    };
    items.into_iter().zip(1..).map(row).collect()
}
