//! A table for a terminal: a block for each group of columns, and more where a block would be too wide.

use super::blocks::Blocks;
use super::cell::{difference, signed, titled};
use super::{AnswerTable, CellGroup, ResultTable, TableRow};
use crate::metric::Metric;
use crate::report::Width;
use crate::text::printable;

pub(super) fn render(table: &ResultTable, width: Width) -> String {
    let mut text = width.paragraph(&printable(&table.heading));
    text += &width.paragraph(&printable(&table.ran.whole()));
    for (place, group) in table.groups.iter().enumerate() {
        if !group.is_empty() {
            text += &width.paragraph(&printable(group));
        }
        text += &block(table, place).text(width);
        let answers = table.answers.iter().find(|each| each.group == *group);
        text += &answers.map_or_else(String::new, |answers| {
            answer_block(table, answers).text(width)
        });
    }
    if !table.tests.is_empty() {
        text += &tests(table).text(width);
    }
    for note in &table.notes {
        text += &width.paragraph(&printable(note));
    }
    text
}

fn block(table: &ResultTable, group: usize) -> Blocks {
    let mut header: Vec<String> = table.row_axes.iter().map(|name| printable(name)).collect();
    header.push(String::new());
    header.extend(table.metrics.iter().map(|metric| titled(*metric)));
    header.extend(["unparsed", "cut", "n"].map(str::to_owned));
    let mut rows = Vec::new();
    for row in &table.rows {
        let of_group = &row.groups[group];
        rows.push(cells(table, row, of_group));
        if of_group
            .cells
            .iter()
            .any(|cell| cell.figure().is_some_and(|f| f.reported.is_some()))
        {
            rows.push(reported(table, of_group));
        }
    }
    Blocks {
        names: table.row_axes.len() + 1,
        // Accuracy says little without how many questions it is of.
        first: Some(header.len() - 1),
        header,
        rows,
    }
}

fn answer_block(table: &ResultTable, answers: &AnswerTable) -> Blocks {
    let mut header: Vec<String> = table.row_axes.iter().map(|name| printable(name)).collect();
    header.extend(answers.header().iter().map(|title| printable(title)));
    let rows = answers.lines.iter().map(|line| {
        let headers = line.headers.iter().cloned();
        let cells = headers.chain(answers.cells(line));
        cells.map(|cell| printable(&cell)).collect()
    });
    Blocks {
        names: table.row_axes.len() + 1,
        header,
        rows: rows.collect(),
        first: None,
    }
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

fn tests(table: &ResultTable) -> Blocks {
    let rows = test_lines(table).map(|line| line.iter().map(|cell| printable(cell)).collect());
    Blocks {
        names: 3,
        header: TEST_HEADER.map(str::to_owned).to_vec(),
        rows: rows.collect(),
        first: None,
    }
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
