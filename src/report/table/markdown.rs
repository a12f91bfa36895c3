//! A table as GitHub's Markdown.

use std::fmt::Write as _;

use super::cell::titled;
use super::text::{TEST_HEADER, counts, test_lines};
use super::{Cell, ResultTable, TableRow};
use crate::metric::Metric;
use crate::text::printable;

pub(super) fn render(table: &ResultTable) -> String {
    let mut text = format!(
        "**{}**\n\n{}\n\n",
        escaped(&table.heading),
        escaped(&table.ran.whole())
    );
    let mut header: Vec<String> = table.row_axes.clone();
    header.push(String::new());
    for group in &table.groups {
        let column = |title: String| match group.as_str() {
            "" => title,
            group => format!("{group} {title}"),
        };
        header.extend(table.metrics.iter().map(|metric| column(titled(*metric))));
        header.extend(["unparsed", "cut", "n"].map(|title| column(title.to_owned())));
    }
    let names = table.row_axes.len() + 1;
    text += &line(&header);
    text += &rule(header.len(), names);
    for row in &table.rows {
        text += &line(&cells(table, row));
    }
    for answers in &table.answers {
        text += "\n";
        if !answers.group.is_empty() {
            let _ = writeln!(text, "{}\n", escaped(&answers.group));
        }
        let mut header = table.row_axes.clone();
        header.extend(answers.header());
        text += &line(&header);
        text += &rule(header.len(), names);
        for each in &answers.lines {
            let headers = each.headers.iter().cloned();
            text += &line(&headers.chain(answers.cells(each)).collect::<Vec<_>>());
        }
    }
    if !table.tests.is_empty() {
        text += "\n";
        text += &line(&TEST_HEADER.map(str::to_owned));
        text += &rule(TEST_HEADER.len(), 3);
        for cells in test_lines(table) {
            text += &line(&cells);
        }
    }
    for note in &table.notes {
        let _ = writeln!(text, "\n{}", escaped(note));
    }
    text
}

fn cells(table: &ResultTable, row: &TableRow) -> Vec<String> {
    let mut cells = row.headers.clone();
    cells.push(row.label.clone());
    for group in &row.groups {
        let figures = group.cells.iter().zip(&table.metrics);
        cells.extend(figures.map(|(cell, metric)| with_reported(cell, *metric)));
        cells.extend(counts(group));
    }
    cells
}

fn with_reported(cell: &Cell, metric: Metric) -> String {
    match cell.reported_text(metric).as_str() {
        "" => cell.text(metric),
        reported => format!("{}\n{reported}", cell.text(metric)),
    }
}

fn line(cells: &[String]) -> String {
    let cells: Vec<String> = cells.iter().map(|cell| escaped(cell)).collect();
    format!("| {} |\n", cells.join(" | "))
}

fn rule(columns: usize, names: usize) -> String {
    let cells: Vec<&str> = (0..columns)
        .map(|column| if column < names { "---" } else { "---:" })
        .collect();
    format!("| {} |\n", cells.join(" | "))
}

/// Text that Markdown shows as it is.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in printable(text).replace("\n    ", "\n").chars() {
        match c {
            '\n' => out += "<br>",
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '\\' | '`' | '*' | '_' | '|' | '#' | '~' | '[' | ']' => out.extend(['\\', c]),
            _ => out.push(c),
        }
    }
    out
}
