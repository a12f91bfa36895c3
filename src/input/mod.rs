//! Files that people bring: what they are, their text, and their rows, with the place of whatever is wrong.
//!
//! In: a path. Out: text without a byte order mark, rows of JSON lines, tables in the forms of data sets (`table`), or an [`InputError`] that tells file, line,
//! column, what was found and what was expected. Data, recordings, imports, rating sheets and manifests are all
//! read here, so that what one of them takes (a byte order mark, CRLF, blank lines) all of them take, and what
//! is no text at all (gzip, Parquet, UTF-16) is told as what it is.

mod error;
mod format;
mod nearest;
mod place;
mod rows;
#[cfg(test)]
mod rows_tests;
mod table;
mod text;
mod words;

pub(crate) use error::InputError;
pub use nearest::nearest;
pub(crate) use place::missing;
pub(crate) use rows::{JsonLine, JsonLines, looks_like_json, read_json, read_json_lines};
pub(crate) use table::{Table, TableForm, TableRow, read_table};
pub(crate) use text::{decoded, read_text};
pub(crate) use words::noun;
