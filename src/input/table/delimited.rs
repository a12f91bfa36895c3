//! CSV and TSV: a row of names, and rows of fields.

use std::path::Path;

use serde_json::Value;

use super::{RowPlace, TableRow};
use crate::input::{InputError, decoded};

/// Rows whose fields stand between `by`. All of a field is text.
pub(super) fn rows(path: &Path, bytes: Vec<u8>, by: u8) -> Result<Vec<TableRow>, InputError> {
    let text = decoded(path, bytes)?;
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(by)
        .has_headers(false)
        .flexible(true) // so that a ragged line is told in our words
        .from_reader(text.as_bytes());
    let mut records = reader.records();
    let wrong =
        |error: csv::Error| InputError::of_file(path, format!("it cannot be read: {error}"));
    let Some(header) = records.next() else {
        return Err(InputError::of_file(path, "the file is empty"));
    };
    let header = header.map_err(wrong)?;
    let names: Vec<&str> = header.iter().map(str::trim).collect();
    check_names(path, &names, by)?;
    let mut rows = Vec::new();
    for (record, row) in records.zip(1..) {
        let record = record.map_err(wrong)?;
        let line = record.position().map(|place| line_of(&text, place.byte()));
        let place = RowPlace { row, line };
        if record.len() != names.len() {
            let what = format!(
                "{} fields, where the header has {}: `{}`",
                record.len(),
                names.len(),
                names.join("`, `")
            );
            let hint = "a field with a separator, a quote or a line break in it stands in quotes: \"a, b\"; a quote that is not closed takes all that follows";
            return Err(place.wrong(path, None, &what).hint(hint));
        }
        let values = names.iter().zip(&record);
        rows.push(TableRow {
            place,
            values: values
                .map(|(name, field)| ((*name).to_owned(), Value::from(field)))
                .collect(),
        });
    }
    Ok(rows)
}

/// The line, from 1, of the record that begins at `byte` or behind the blank lines there.
fn line_of(text: &str, byte: u64) -> usize {
    let byte = usize::try_from(byte).unwrap_or(usize::MAX).min(text.len());
    let rest = &text[text.floor_char_boundary(byte)..];
    let start = text.len() - rest.trim_start_matches(['\r', '\n']).len();
    text[..start].matches('\n').count() + 1
}

fn check_names(path: &Path, names: &[&str], by: u8) -> Result<(), InputError> {
    for (place, name) in names.iter().enumerate() {
        if let Some(first) = names[..place]
            .iter()
            .position(|other| other == name)
            .filter(|_| !name.is_empty())
        {
            let what = format!(
                "the header names `{name}` twice, in the columns {} and {}",
                first + 1,
                place + 1
            );
            return Err(InputError::of_file(path, what));
        }
    }
    let [only] = names else { return Ok(()) };
    let other = [(',', "a comma"), ('\t', "a tab"), (';', "a semicolon")];
    match other
        .iter()
        .find(|(other, _)| only.contains(*other) && *other != char::from(by))
    {
        Some((other, what)) => Err(InputError::of_file(
            path,
            format!("the header has one name, `{only}`, with {what} in it"),
        )
        .hint(match other {
            '\t' => "name it `*.tsv`",
            ',' => "name it `*.csv`",
            _ => "save it with commas, or with tabs as `*.tsv`",
        })),
        None => Ok(()),
    }
}
