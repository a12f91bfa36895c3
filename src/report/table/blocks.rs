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
        let mut text = String::new();
        for (place, figures) in blocks.iter().enumerate() {
            let columns: Vec<usize> = (0..self.names).chain(figures.iter().copied()).collect();
            let cells = |row: &[String]| -> Vec<String> {
                let cell = |column: &usize| row.get(*column).cloned().unwrap_or_default();
                columns.iter().map(cell).collect()
            };
            let mut table = width.table();
            table.set_header(cells(&self.header));
            for row in self.shown(figures, place > 0) {
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
        if self.fits(&all, false, width) {
            return vec![all];
        }
        let mut blocks = vec![Vec::from_iter(self.first)];
        for column in all.into_iter().filter(|column| Some(*column) != self.first) {
            let blocks_before = blocks.len() - 1;
            let block = blocks.last_mut().expect("there is one");
            let mut more = block.clone();
            // `first` is the last of its block.
            let at = more.iter().position(|each| *each > column);
            more.insert(at.unwrap_or(more.len()), column);
            let fits = self.fits(&more, blocks_before > 0, width);
            if fits || *block == Vec::from_iter(self.first) {
                *block = more;
            } else {
                blocks.push(vec![column]);
            }
        }
        blocks
    }

    /// The rows of a block: `below` the first, one that says nothing there would only be its name once more.
    fn shown(&self, figures: &[usize], below: bool) -> impl Iterator<Item = &Vec<String>> {
        let filled = move |row: &Vec<String>| {
            let mut cells = figures.iter().filter_map(|column| row.get(*column));
            cells.any(|text| !text.is_empty())
        };
        self.rows.iter().filter(move |row| !below || filled(row))
    }

    /// Whether a block of these figures is narrow enough; names may take half of it, and are wrapped beyond.
    fn fits(&self, figures: &[usize], below: bool, width: Width) -> bool {
        let Some(room) = width.columns() else {
            return true;
        };
        let names = (0..self.names).map(|column| {
            let rows = self.shown(figures, below);
            letters(column, std::iter::once(&self.header).chain(rows)) + BORDER
        });
        names.sum::<usize>().min(room / 2) + self.taken(figures) < room
    }

    /// Whether the figures can stand as they are, with what they leave to names.
    fn keeps(&self, figures: &[usize], width: Width) -> bool {
        let names = self.names * (BORDER + LEAST_NAME);
        let taken = names + self.taken(figures);
        width.columns().is_none_or(|room| taken < room)
    }

    fn taken(&self, figures: &[usize]) -> usize {
        let columns = figures.iter().map(|&column| {
            let rows = std::iter::once(&self.header).chain(&self.rows);
            letters(column, rows) + BORDER
        });
        columns.sum()
    }
}

/// The columns of a terminal that the longest line of a column takes.
fn letters<'a>(column: usize, rows: impl Iterator<Item = &'a Vec<String>>) -> usize {
    let cells = rows.filter_map(|row| row.get(column));
    let lines = cells.flat_map(|text| text.lines());
    lines.map(console::measure_text_width).max().unwrap_or(0)
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
        // Below, only the rows that have figures there need their names.
        assert_eq!(laid(60), [vec![1, 4], vec![2, 3]]);
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
