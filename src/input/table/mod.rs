//! Files of rows in the forms that data sets come in: JSON lines, a JSON array, CSV, TSV, Parquet; the texts also packed.
//!
//! In: a path, whose ending says the form. Out: rows of values by column, each with its place in the file. A file that is
//! not what its name says is told as what it is, never read as something else.

mod delimited;
mod form;
mod json;
mod parquet;
mod parquet_pages;
#[cfg(test)]
mod tests;
mod unpack;

use std::fmt;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::InputError;
pub(crate) use form::TableForm;

/// The rows of a file.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Table {
    /// The file.
    pub path: PathBuf,
    /// Its rows, in order.
    pub rows: Vec<TableRow>,
}

/// A row.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct TableRow {
    /// Where it is.
    pub place: RowPlace,
    /// Its values by column.
    pub values: Map<String, Value>,
}

/// Where a row is in its file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct RowPlace {
    /// Its number, from 1; a header is no row.
    pub row: usize,
    /// The line in which it begins, from 1, where the file has lines.
    pub line: Option<usize>,
}

impl fmt::Display for RowPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "row {}", self.row)?;
        self.line.map_or(Ok(()), |line| write!(f, " (line {line})"))
    }
}

impl RowPlace {
    /// Something wrong with what this row of `path` has in `column`, or with all of it.
    pub(crate) fn wrong(self, path: &Path, column: Option<&str>, what: &str) -> InputError {
        let column = column.map_or_else(String::new, |column| format!(", `{column}`"));
        InputError::of_file(path, format!("{self}{column}: {what}"))
    }
}

/// Reads a file of rows. It has at least one.
///
/// # Errors
/// It cannot be read, is not what its name says, is damaged, or has no row.
pub(crate) fn read_table(path: &Path) -> Result<Table, InputError> {
    let form = TableForm::of(path)?;
    let bytes = unpack::bytes(path, form)?;
    form.check(path, &bytes)?;
    let rows = match form {
        TableForm::Parquet => parquet::rows(path, bytes)?,
        TableForm::Json { .. } => json::rows(path, bytes)?,
        TableForm::Delimited { by, .. } => delimited::rows(path, bytes, by)?,
    };
    if rows.is_empty() {
        return Err(InputError::of_file(path, "the file has no row"));
    }
    Ok(Table {
        path: path.to_owned(),
        rows,
    })
}
