//! Tables of results: what a manifest declares, filled from the store.
//!
//! In: a [`crate::manifest::TableSpec`] and a [`super::Source`]. Out: a [`ResultTable`], which says all that there is to say,
//! and its form as text, Markdown, CSV, LaTeX, HTML or JSON. The same store gives the same bytes.

mod answers;
mod baselines;
mod beside;
mod blocks;
mod build;
mod cell;
mod cost;
mod csv;
mod html;
mod json;
mod latex;
mod markdown;
mod notes;
mod tests_against;
mod text;

#[cfg(test)]
mod tests;

pub(crate) use answers::AnswerTable;
pub(crate) use build::{build, build_all};
pub(crate) use cell::{Cell, Figure};
pub(crate) use tests_against::TestAgainst;

use serde::Serialize;

use super::{WhatRan, Width};
use crate::metric::Metric;

/// A table, filled.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub(crate) struct ResultTable {
    /// Its name in the manifest.
    pub name: String,
    /// The experiment's title and the table's caption: the manifest's words.
    pub heading: String,
    /// What ran behind its figures.
    pub ran: WhatRan,
    /// Its columns within each group.
    pub metrics: Vec<Metric>,
    /// The axes of the sweep that make rows, by name.
    pub row_axes: Vec<String>,
    /// The groups of columns; one without a title where no axis makes columns.
    pub groups: Vec<String>,
    /// Its rows.
    pub rows: Vec<TableRow>,
    /// What was answered, by group of columns; none where the legal answers are not listed.
    pub answers: Vec<AnswerTable>,
    /// Every row against the declared baseline.
    pub tests: Vec<TestAgainst>,
    /// What a reader must know, a paragraph each.
    pub notes: Vec<String>,
}

/// A row of cells.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub(crate) struct TableRow {
    /// What names it: its values on the row axes and its label, joined by ` / `.
    pub title: String,
    /// Its values on the row axes.
    pub headers: Vec<String>,
    /// Its label.
    pub label: String,
    /// Its cells by group.
    pub groups: Vec<CellGroup>,
}

/// A row's cells within one group of columns.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub(crate) struct CellGroup {
    /// By metric.
    pub cells: Vec<Cell>,
    /// Answers out of which nothing was read, over all seeds; `None` for a row without a model, and for a hole.
    pub unparsed: Option<usize>,
    /// Answers that ended because they were as long as they may get, of those that say how they ended; `None` where
    /// none does.
    pub cut: Option<usize>,
    /// Answers that say how they ended.
    pub ends_known: Option<usize>,
    /// Answers, over all seeds.
    pub answers: Option<usize>,
    /// Questions.
    pub questions: Option<usize>,
}

/// A form in which a table is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(crate) enum Format {
    /// For a terminal
    Text,
    /// GitHub's Markdown
    Md,
    /// One line for each figure, with its interval
    Csv,
    /// A booktabs table, to be \input
    Latex,
    /// A fragment of a page
    Html,
    /// All that the table says
    Json,
}

impl Format {
    /// The form that a file's name asks for.
    pub(crate) fn of_file(path: &std::path::Path) -> Option<Self> {
        Some(match path.extension()?.to_str()? {
            "txt" => Self::Text,
            "md" => Self::Md,
            "csv" => Self::Csv,
            "tex" => Self::Latex,
            "html" => Self::Html,
            "json" => Self::Json,
            _ => return None,
        })
    }
}

impl ResultTable {
    /// The table in a form; as text it takes `width`.
    pub(crate) fn render(&self, format: Format, width: Width) -> String {
        match format {
            Format::Text => text::render(self, width),
            Format::Md => markdown::render(self),
            Format::Csv => csv::render(self),
            Format::Latex => latex::render(self),
            Format::Html => html::render(self),
            Format::Json => json::render(self),
        }
    }

    /// Whether any row has a published figure.
    fn has_reported(&self) -> bool {
        self.figures().any(|figure| figure.reported.is_some())
    }

    fn figures(&self) -> impl Iterator<Item = &Figure> {
        let groups = self.rows.iter().flat_map(|row| &row.groups);
        let answers = self.answers.iter().flat_map(|table| &table.lines);
        groups
            .flat_map(|group| &group.cells)
            .chain(answers.map(|line| &line.balanced))
            .filter_map(Cell::figure)
    }
}
