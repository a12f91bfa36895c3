//! A wide table as blocks that fit: the first figures beside the names of the rows, the others in blocks below.

use std::fmt::Write as _;

use comfy_table::{CellAlignment, ColumnConstraint};

use crate::report::Width;

/// What a column takes beside its letters: a blank on each side and its line.
const BORDER: usize = 3;
/// Letters to which a column of names may be narrowed before figures are wrapped (ours).
const LEAST_NAME: usize = 8;

/// A table of texts: columns that name a row, then columns of figures.
pub(super) struct Blocks {
    /// How many columns name a row; they stand in every block.
    pub(super) names: usize,
    pub(super) header: Vec<String>,
    /// A row may end early.
    pub(super) rows: Vec<Vec<String>>,
    /// The column that stands in the first block whatever comes before it.
    pub(super) first: Option<usize>,
}

impl Blocks {
    /// The table, in one block where that fits.
    pub(super) fn text(&self, width: Width) -> String {
        let blocks = self.layout(width);
        let is_named = |row: &Vec<String>, figures: &[usize]| {
            let filled = |column: &usize| row.get(*column).is_some_and(|text| !text.is_empty());
            figures.iter().any(filled)
        };
        let mut text = String::new();
        for (place, figures) in blocks.iter().enumerate() {
            let columns: Vec<usize> = (0..self.names).chain(figures.iter().copied()).collect();
            let cells = |row: &[String]| -> Vec<String> {
                let cell = |column: &usize| row.get(*column).cloned().unwrap_or_default();
                columns.iter().map(cell).collect()
            };
            let mut table = width.table();
            table.set_header(cells(&self.header));
            // In a block below, a row that says nothing there would only be its name once more.
            let shown = (self.rows.iter()).filter(|row| place == 0 || is_named(row, figures));
            for row in shown {
                table.add_row(cells(row));
            }
            let keeps = self.keeps(figures, width);
            for column in table.column_iter_mut().skip(self.names) {
                column.set_cell_alignment(CellAlignment::Right);
                if keeps {
                    // Where something has to be wrapped, it is names.
                    column.set_constraint(ColumnConstraint::ContentWidth);
                }
            }
            let _ = writeln!(text, "{table}");
        }
        text
    }

    /// The columns of figures, by block.
    fn layout(&self, width: Width) -> Vec<Vec<usize>> {
        let all: Vec<usize> = (self.names..self.header.len()).collect();
        if self.fits(&all, width) {
            return vec![all];
        }
        let mut blocks = vec![Vec::from_iter(self.first)];
        for column in all.into_iter().filter(|column| Some(*column) != self.first) {
            let block = blocks.last_mut().expect("there is one");
            let mut more = block.clone();
            // `first` is the last of its block.
            let at = more.iter().position(|each| *each > column);
            more.insert(at.unwrap_or(more.len()), column);
            if self.fits(&more, width) || *block == Vec::from_iter(self.first) {
                *block = more;
            } else {
                blocks.push(vec![column]);
            }
        }
        blocks
    }

    /// Whether a block of these figures is narrow enough; names may take half of it, and are wrapped beyond.
    fn fits(&self, figures: &[usize], width: Width) -> bool {
        let Some(room) = width.columns() else {
            return true;
        };
        let names = self.taken(0..self.names).min(room / 2);
        names + self.taken(figures.iter().copied()) < room
    }

    /// Whether the figures can stand as they are, with what they leave to names.
    fn keeps(&self, figures: &[usize], width: Width) -> bool {
        let names = self.names * (BORDER + LEAST_NAME);
        let taken = names + self.taken(figures.iter().copied());
        width.columns().is_none_or(|room| taken < room)
    }

    fn taken(&self, columns: impl Iterator<Item = usize>) -> usize {
        columns.map(|column| self.letters(column) + BORDER).sum()
    }

    fn letters(&self, column: usize) -> usize {
        let texts = std::iter::once(&self.header).chain(&self.rows);
        let cells = texts.filter_map(|row| row.get(column));
        let lines = cells.flat_map(|text| text.lines());
        lines.map(console::measure_text_width).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks() -> Blocks {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Blocks {
            names: 1,
            header: texts(&["", "Acc %", "Fmt", "Len", "n"]),
            rows: vec![
                texts(&["majority class", "50.00 [43.14, 56.86]", "", "", "200"]),
                texts(&[
                    "SERT",
                    "50.50 [43.63, 57.35]",
                    "1.00 [0.98, 1.00]",
                    "36.86 [36.59, 37.14]",
                    "200",
                ]),
            ],
            first: Some(4),
        }
    }

    #[test]
    fn what_is_too_wide_stands_below() {
        let all = vec![vec![1, 2, 3, 4]];
        let laid = |columns: u16| blocks().layout(Width::of(columns));
        assert_eq!(blocks().layout(Width::FREE), all);
        assert_eq!(laid(200), all);
        assert_eq!(laid(80), [vec![1, 2, 4], vec![3]]);
        assert_eq!(laid(60), [vec![1, 4], vec![2], vec![3]]);
        let text = blocks().text(Width::of(80));
        assert_eq!(text.matches("majority class").count(), 1, "{text}");
        assert_eq!(text.matches("SERT").count(), 2, "{text}");
    }

    #[test]
    fn every_line_fits() {
        for columns in 30..120 {
            let text = blocks().text(Width::of(columns));
            for line in text.lines() {
                assert!(
                    line.chars().count() <= usize::from(columns),
                    "{columns}\n{text}"
                );
            }
        }
    }
}
