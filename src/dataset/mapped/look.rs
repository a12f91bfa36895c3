//! A table before any manifest names it: its columns, and what they seem to hold.

use std::path::Path;

use super::kinds::ColumnKinds;
use super::layouts;
use super::suggest::{Guess, suggested};
use crate::dataset::columns::Columns;
use crate::input::{InputError, read_table};

/// What a table looks like.
pub(crate) struct Look {
    /// How many rows it has.
    pub rows: usize,
    /// Its layout, where that is a known one.
    pub layout: Option<&'static str>,
    /// Which column holds what: the layout's, else a guess.
    pub columns: Columns,
    /// Where it is a guess: the fields of `columns`, and why each has its column.
    pub guesses: Vec<(&'static str, Guess)>,
    /// All columns, nested ones by their paths, each with what is in it.
    pub all: Vec<(String, &'static str)>,
}

/// Looks at the table in a file.
///
/// # Errors
/// It cannot be read.
pub(crate) fn look(path: &Path) -> Result<Look, InputError> {
    let tables = [read_table(path)?];
    let kinds = ColumnKinds::of(&tables);
    let all = kinds.iter();
    let all = all.map(|(path, holds)| (path.to_owned(), holds.name()));
    let all = all.collect();
    let (layout, (columns, guesses)) = match layouts::recognised(&tables, &kinds) {
        Some((layout, columns)) => (Some(layout), (columns, Vec::new())),
        None => (None, suggested(&kinds)),
    };
    Ok(Look {
        rows: tables[0].rows.len(),
        layout,
        columns,
        guesses,
        all,
    })
}
