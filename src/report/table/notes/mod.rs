//! What a reader must know to believe a table, as paragraphs below it.

mod beside;
mod intervals;
mod known;
mod rows;
mod tested;

use super::ResultTable;
use super::build::Filler;
use super::tests_against::LeftOut;
use crate::report::ReportError;

/// All notes, in order. `first_measured` is the first row that has a model.
pub(super) fn notes(
    filler: &mut Filler<'_>,
    table: &ResultTable,
    first_measured: usize,
    left_out: &LeftOut,
) -> Result<Vec<String>, ReportError> {
    let mut notes = vec![intervals::brackets(table)];
    notes.extend(intervals::seeds(table));
    notes.extend(intervals::worlds(filler)?);
    notes.extend(intervals::several(filler)?);
    notes.extend(intervals::limits(filler, table)?);
    notes.extend(known::unknown(filler)?);
    notes.extend(known::constant(table));
    notes.extend(rows::elsewhere(filler)?);
    notes.extend(beside::texts(filler, table)?);
    notes.extend(beside::costs(table));
    notes.extend(rows::published(filler, table));
    notes.extend(tested::told(table, filler, left_out));
    if filler.spec.baseline.is_none() {
        notes.extend(tested::smallest(filler)?);
    }
    notes.extend(rows::same_answers(filler)?);
    notes.extend(rows::holes(table, first_measured));
    notes.extend(rows::untrained(filler));
    Ok(notes)
}

/// A row's title, with its group of columns where there is more than one.
fn placed(row: &str, group: &str) -> String {
    match group {
        "" => row.to_owned(),
        group => format!("{row} ({group})"),
    }
}
