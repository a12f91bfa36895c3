//! Tables as questions, by a mapping of columns: the manifest's, or that of a known layout.
//!
//! In: the tables of each split. Out: questions, what was recognised, and what was left out. Every mistake has its file and row.

mod at;
mod chat;
mod kinds;
mod layouts;
mod look;
mod row;
mod suggest;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

pub(crate) use look::{Look, look};
pub(crate) use suggest::Guess;

use super::columns::{AnswerKind, Columns};
use super::jsonl::gather::{Gathered, PartQuestions};
use super::{AnswerFormParam, AnswerIs, BadRows, DataParams, DatasetError};
use crate::input::{InputError, Table, read_table};
use kinds::ColumnKinds;
use row::MappedRow;

/// What rows are called where one file is divided into splits.
pub(super) const UNDIVIDED: &str = "row";
/// Rows that are left out, of which a warning says why; of the rest it says how many (ours).
const TOLD: usize = 3;

/// A reader of tables whose columns hold what those of the first one do.
pub(super) struct Reader<'p> {
    params: &'p DataParams,
    /// What holds what, once a table was seen.
    columns: Option<Columns>,
    /// What was recognised.
    pub(super) notes: Vec<String>,
    /// What was left out.
    pub(super) warnings: Vec<String>,
}

impl<'p> Reader<'p> {
    /// A reader that has seen no table.
    pub(super) fn new(params: &'p DataParams) -> Self {
        Self {
            params,
            columns: params.columns.clone(),
            notes: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// The questions of a split, from its files in their order; those without an id are named after `part` and their row.
    ///
    /// # Errors
    /// A file cannot be read, has not the columns, or has a row that is no question.
    pub(super) fn questions(
        &mut self,
        part: &str,
        paths: &[PathBuf],
    ) -> Result<PartQuestions, DatasetError> {
        let tables = paths.iter().map(|path| read_table(path));
        let tables: Vec<Table> = tables.collect::<Result<_, _>>()?;
        let path = paths.first().map_or(Path::new(""), PathBuf::as_path);
        let kinds = ColumnKinds::of(&tables);
        let columns = self.columns_of(&tables, &kinds, path)?;
        for (field, column) in columns.named() {
            if kinds.get(column).is_none() {
                return Err(suggest::no_column(path, field, column, &kinds).into());
            }
        }
        let params = reading(self.params, &columns);
        let mut gathered = Gathered::new(part, &params);
        let mut left_out = Vec::new();
        let rows = tables
            .iter()
            .flat_map(|table| table.rows.iter().map(|row| (&table.path, row)));
        let mut count = 0;
        for (path, row) in rows {
            let row = MappedRow {
                path,
                row,
                columns: &columns,
            };
            match gathered.add(&row, count) {
                Ok(()) => {}
                Err(error) if self.params.bad_rows == BadRows::Fail => return Err(error.into()),
                Err(error) => left_out.push(error),
            }
            count += 1;
        }
        if left_out.len() == count {
            return Err(left_out.swap_remove(0).into()); // a file has rows
        }
        self.tell_left_out(part, count, &left_out);
        Ok(gathered.done(path))
    }

    /// The mapping: as declared, or as recognised in the first table.
    fn columns_of(
        &mut self,
        tables: &[Table],
        kinds: &ColumnKinds,
        path: &Path,
    ) -> Result<Columns, InputError> {
        if let Some(columns) = &self.columns {
            return Ok(columns.clone());
        }
        let Some((layout, columns)) = layouts::recognised(tables, kinds) else {
            return Err(suggest::unknown_layout(path, kinds));
        };
        self.notes.push(format!(
            "the layout is {layout}: columns = {}",
            columns.written()
        ));
        let systems = kinds.iter().filter(|(path, _)| path.ends_with(".system"));
        for (path, _) in systems {
            self.notes.push(format!(
                "what `{path}` says is not part of the question; `columns.context` can make it"
            ));
        }
        self.columns = Some(columns.clone());
        Ok(columns)
    }

    fn tell_left_out(&mut self, part: &str, count: usize, left_out: &[InputError]) {
        if left_out.is_empty() {
            return;
        }
        let each = left_out.iter().take(TOLD).map(|error| error.what.as_str());
        let more = if left_out.len() > TOLD { "; ..." } else { "" };
        // A file that is divided later is no split yet.
        let of_part = match part {
            UNDIVIDED => String::new(),
            part => format!(" of {part}"),
        };
        self.warnings.push(format!(
            "{} of {count} rows{of_part} are no questions and are left out: {}{more}",
            left_out.len(),
            each.collect::<Vec<_>>().join("; ")
        ));
    }
}

/// The parameters by which rows are read: what `columns.answer.is` says wins over the two that say it for rows of `jsonl`.
fn reading(params: &DataParams, columns: &Columns) -> DataParams {
    let choices = columns.choices.is_some();
    let (form, is) = match columns.answer.is {
        None => (params.answer_form, params.answer_is),
        Some(AnswerKind::Label) => (AnswerFormParam::Choice, AnswerIs::Label),
        Some(AnswerKind::Index) => (AnswerFormParam::Choice, AnswerIs::Index),
        Some(AnswerKind::Text) if choices => (AnswerFormParam::Choice, AnswerIs::Text),
        Some(AnswerKind::Number) if choices => (AnswerFormParam::Choice, AnswerIs::Label),
        Some(AnswerKind::Text) => (AnswerFormParam::Text, AnswerIs::Auto),
        Some(AnswerKind::Number) => (AnswerFormParam::Number, AnswerIs::Auto),
        Some(AnswerKind::YesNo) => (AnswerFormParam::YesNo, AnswerIs::Auto),
    };
    DataParams {
        answer_form: form,
        answer_is: is,
        ..params.clone()
    }
}
