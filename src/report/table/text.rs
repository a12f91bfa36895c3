//! A table for a terminal: a block for each group of columns, so that it stays narrow.

use std::fmt::Write as _;

use comfy_table::CellAlignment;

use super::cell::{difference, signed, titled};
use super::{AnswerTable, CellGroup, ResultTable, TableRow};
use crate::metric::Metric;
use crate::report::new_table;
use crate::text::printable;

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
        let answers = table.answers.iter().find(|each| each.group == *group);
        text += &answers.map_or_else(String::new, |answers| answer_block(table, answers));
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

fn answer_block(table: &ResultTable, answers: &AnswerTable) -> String {
    let mut out = new_table();
    let names = table.row_axes.len() + 1;
    let mut header: Vec<String> = table.row_axes.iter().map(|name| printable(name)).collect();
    header.extend(answers.header().iter().map(|title| printable(title)));
    out.set_header(header);
    for column in out.column_iter_mut().skip(names) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    for line in &answers.lines {
        let headers = line.headers.iter().cloned();
        let cells = headers.chain(answers.cells(line));
        out.add_row(cells.map(|cell| printable(&cell)));
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
    let text = |count: Option<usize>| count.map_or_else(String::new, |count| count.to_string());
    let cut = match (group.cut, group.ends_known) {
        (Some(cut), Some(known)) if group.ends_known < group.answers => format!("{cut} of {known}"),
        (cut, _) => text(cut),
    };
    [text(group.unparsed), cut, text(group.questions)]
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
pub(super) const TEST_HEADER: [&str; 8] = [
    "row",
    "columns",
    "figure",
    "difference",
    "p",
    "p (Holm)",
    "detectable",
    "n",
];

/// The tests, a line each.
pub(super) fn test_lines(table: &ResultTable) -> impl Iterator<Item = [String; 8]> {
    table.tests.iter().map(|test| {
        let found = &test.comparison;
        let metric = found.metric;
        [
            test.row.clone(),
            test.group.clone(),
            titled(metric),
            difference(&found.difference, metric),
            p_text(found.p),
            p_text(test.corrected_p),
            detectable(metric, test.detectable),
            found.difference.n.to_string(),
        ]
    })
}

/// The smallest difference that would show; `-` where none would, nothing where it is not told.
fn detectable(metric: Metric, found: Option<f64>) -> String {
    match found {
        Some(found) => signed(found, metric.decimals(), metric).replace('+', ""),
        None if metric.is_share() => "-".to_owned(),
        None => String::new(),
    }
}

/// Three decimals; below that, that it is below.
fn p_text(p: f64) -> String {
    if p < 0.001 {
        "< 0.001".to_owned()
    } else {
        format!("{p:.3}")
    }
}
