//! A table for a terminal: a block for each group of columns, so that it stays narrow.

use std::fmt::Write as _;

use comfy_table::CellAlignment;

use super::cell::{signed, titled};
use super::{CellGroup, ResultTable, TableRow};
use crate::report::{new_table, printable};

pub(super) fn render(table: &ResultTable) -> String {
    let mut text = format!(
        "{}\n{}\n",
        printable(&table.heading),
        printable(&table.ran.whole())
    );
    for (place, group) in table.groups.iter().enumerate() {
        if !group.is_empty() {
            let _ = writeln!(text, "{}", printable(group));
        }
        text += &block(table, place);
    }
    if !table.tests.is_empty() {
        text += &tests(table);
    }
    for note in &table.notes {
        let _ = writeln!(text, "{}", printable(note));
    }
    text
}

fn block(table: &ResultTable, group: usize) -> String {
    let mut out = new_table();
    let mut header: Vec<String> = table.row_axes.iter().map(|name| printable(name)).collect();
    header.push(String::new());
    header.extend(table.metrics.iter().map(|metric| titled(*metric)));
    header.extend(["unparsed", "cut", "n"].map(str::to_owned));
    out.set_header(header);
    let names = table.row_axes.len() + 1;
    for column in out.column_iter_mut().skip(names) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    for row in &table.rows {
        let of_group = &row.groups[group];
        out.add_row(cells(table, row, of_group));
        if of_group
            .cells
            .iter()
            .any(|cell| cell.figure().is_some_and(|f| f.reported.is_some()))
        {
            out.add_row(reported(table, of_group));
        }
    }
    format!("{out}\n")
}

fn cells(table: &ResultTable, row: &TableRow, group: &CellGroup) -> Vec<String> {
    let mut cells: Vec<String> = row.headers.iter().map(|header| printable(header)).collect();
    cells.push(printable(&row.label));
    let figures = group.cells.iter().zip(&table.metrics);
    cells.extend(figures.map(|(cell, metric)| cell.text(*metric)));
    cells.extend(counts(group));
    cells
}

/// Unparsed, cut and n.
pub(super) fn counts(group: &CellGroup) -> [String; 3] {
    [group.unparsed, group.cut, group.questions]
        .map(|count| count.map_or_else(String::new, |count| count.to_string()))
}

fn reported(table: &ResultTable, group: &CellGroup) -> Vec<String> {
    let mut cells = vec![String::new(); table.row_axes.len()];
    cells.push("  reported".to_owned());
    let figures = group.cells.iter().zip(&table.metrics);
    cells.extend(figures.map(|(cell, metric)| cell.reported_text(*metric)));
    cells
}

fn tests(table: &ResultTable) -> String {
    let mut out = new_table();
    out.set_header(TEST_HEADER);
    for column in out.column_iter_mut().skip(3) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    for line in test_lines(table) {
        out.add_row(line.map(|cell| printable(&cell)));
    }
    format!("{out}\n")
}

/// The columns of the tests.
pub(super) const TEST_HEADER: [&str; 7] = [
    "row",
    "columns",
    "figure",
    "difference",
    "p",
    "p (Holm)",
    "n",
];

/// The tests, a line each.
pub(super) fn test_lines(table: &ResultTable) -> impl Iterator<Item = [String; 7]> {
    table.tests.iter().map(|test| {
        let found = &test.comparison;
        let (metric, difference) = (found.metric, found.difference);
        [
            test.row.clone(),
            test.group.clone(),
            titled(metric),
            format!(
                "{} [{}, {}]",
                signed(difference.value, metric),
                signed(difference.low, metric),
                signed(difference.high, metric)
            ),
            p_text(found.p),
            p_text(test.corrected_p),
            difference.n.to_string(),
        ]
    })
}

/// Three decimals; below that, that it is below.
fn p_text(p: f64) -> String {
    if p < 0.001 {
        "< 0.001".to_owned()
    } else {
        format!("{p:.3}")
    }
}
