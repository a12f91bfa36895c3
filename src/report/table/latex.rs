//! A table as LaTeX with booktabs, to be `\input` where the document loads `booktabs`.

use std::fmt::Write as _;

use super::text::{TEST_HEADER, counts, test_lines};
use super::{AnswerTable, Cell, ResultTable, TableRow};
use crate::metric::Metric;
use crate::report::table::cell::titled;

pub(super) fn render(table: &ResultTable) -> String {
    let names = table.row_axes.len() + 1;
    let within = table.metrics.len() + 3;
    // The short caption goes into the list of tables, where a `\par` is an error; braces keep a `]` from ending it.
    let mut text = format!(
        "% Made by sert-run; needs \\usepackage{{booktabs}}.\n\\begin{{table}}\n\\centering\n\\caption[{{{}}}]{{{}\\par {}}}\n\\small\n\\begin{{tabular}}{{{}{}}}\n\\toprule\n",
        escaped(&table.heading),
        escaped(&table.heading),
        escaped(&table.ran.whole()),
        "l".repeat(names),
        "r".repeat(within * table.groups.len())
    );
    if table.groups.iter().any(|group| !group.is_empty()) {
        let mut cells = vec![String::new(); names];
        let mut rules = String::new();
        for (place, group) in table.groups.iter().enumerate() {
            cells.push(format!(
                "\\multicolumn{{{within}}}{{c}}{{{}}}",
                escaped(group)
            ));
            let first = names + place * within + 1;
            let _ = write!(rules, "\\cmidrule(lr){{{first}-{}}}", first + within - 1);
        }
        text += &line(&cells);
        text += &rules;
        text += "\n";
    }
    let mut header: Vec<String> = table.row_axes.iter().map(|name| escaped(name)).collect();
    header.push(String::new());
    for _ in &table.groups {
        header.extend(table.metrics.iter().map(|metric| escaped(&titled(*metric))));
        header.extend(["unparsed", "cut", "$n$"].map(str::to_owned));
    }
    text += &line(&header);
    text += "\\midrule\n";
    for row in &table.rows {
        text += &line(&cells(table, row));
        if table.has_reported() {
            text += &reported(table, row).map_or_else(String::new, |cells| line(&cells));
        }
    }
    text += "\\bottomrule\n\\end{tabular}\n";
    for each in &table.answers {
        text += &answers(table, each);
    }
    if !table.tests.is_empty() {
        text += &tests(table);
    }
    text += "\n\\begin{flushleft}\\footnotesize\n";
    for note in &table.notes {
        let _ = writeln!(text, "{}\\par", escaped(note));
    }
    text + "\\end{flushleft}\n\\end{table}\n"
}

fn cells(table: &ResultTable, row: &TableRow) -> Vec<String> {
    let mut cells: Vec<String> = row.headers.iter().map(|header| escaped(header)).collect();
    cells.push(escaped(&row.label));
    for group in &row.groups {
        let figures = group.cells.iter().zip(&table.metrics);
        cells.extend(figures.map(|(cell, metric)| figure(cell, *metric)));
        cells.extend(counts(group));
    }
    cells
}

fn figure(cell: &Cell, metric: Metric) -> String {
    match cell {
        Cell::Hole { .. } => "--".to_owned(),
        Cell::NotNeeded { .. } => cell.text(metric),
        cell => numbers(&cell.text(metric)),
    }
}

fn reported(table: &ResultTable, row: &TableRow) -> Option<Vec<String>> {
    let mut cells = vec![String::new(); table.row_axes.len()];
    cells.push("\\quad reported".to_owned());
    let mut any = false;
    for group in &row.groups {
        for (cell, metric) in group.cells.iter().zip(&table.metrics) {
            let text = cell.reported_text(*metric);
            any |= !text.is_empty();
            cells.push(numbers(&text));
        }
        cells.extend([String::new(), String::new(), String::new()]);
    }
    any.then_some(cells)
}

fn answers(table: &ResultTable, answers: &AnswerTable) -> String {
    let (header, names) = (answers.header(), table.row_axes.len() + 1);
    let mut text = String::from("\n\\medskip\n");
    if !answers.group.is_empty() {
        let _ = writeln!(text, "{}\n", escaped(&answers.group));
    }
    let _ = write!(
        text,
        "\\begin{{tabular}}{{{}{}}}\n\\toprule\n",
        "l".repeat(names),
        "r".repeat(header.len() - 1)
    );
    let axes = table.row_axes.iter();
    let titles: Vec<String> = axes.chain(&header).map(|title| escaped(title)).collect();
    text += &line(&titles);
    text += "\\midrule\n";
    for each in &answers.lines {
        let mut cells: Vec<String> = each.headers.iter().map(|header| escaped(header)).collect();
        let [label, figures @ ..] = &answers.cells(each)[..] else {
            continue;
        };
        cells.push(escaped(label));
        cells.extend(figures.iter().map(|figure| numbers(figure)));
        text += &line(&cells);
    }
    text + "\\bottomrule\n\\end{tabular}\n"
}

fn tests(table: &ResultTable) -> String {
    let mut text = String::from("\n\\medskip\n\\begin{tabular}{lllrrrrr}\n\\toprule\n");
    text += &line(&TEST_HEADER.map(escaped));
    text += "\\midrule\n";
    for cells in test_lines(table) {
        let mut place = 0;
        text += &line(&cells.map(|cell| {
            place += 1;
            if place <= 3 {
                escaped(&cell)
            } else {
                numbers(&cell)
            }
        }));
    }
    text + "\\bottomrule\n\\end{tabular}\n"
}

fn line(cells: &[String]) -> String {
    format!("{} \\\\\n", cells.join(" & "))
}

/// Signs as mathematics sets them.
fn numbers(text: &str) -> String {
    escaped(text)
        .replace('-', "$-$")
        .replace('+', "$+$")
        .replace("\\ensuremath{\\pm}", "$\\pm$")
}

/// Text that LaTeX sets as it is.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => out.extend(['\\', c]),
            '\\' => out += "\\textbackslash{}",
            '~' => out += "\\textasciitilde{}",
            '^' => out += "\\textasciicircum{}",
            '<' => out += "\\textless{}",
            '>' => out += "\\textgreater{}",
            '|' => out += "\\textbar{}",
            '"' => out += "{\\char34}",
            '`' => out += "\\textasciigrave{}",
            '[' => out += "{[}", // after \\ a bracket would be an option
            '±' => out += "\\ensuremath{\\pm}",
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
