//! The forms of one table whose labels are as hostile as a manifest may make them.

use super::cell::Reported;
use super::*;
use crate::metric::{Estimate, IntervalMethod};

fn figure(value: f64, low: f64, high: f64, metric: Metric, reported: Option<f64>) -> Cell {
    let estimate = Estimate {
        value,
        low,
        high,
        n: 687,
        method: IntervalMethod::Wilson,
    };
    Cell::Figure(Box::new(Figure {
        estimate,
        seed_sd: Some(0.01),
        seeds: 2,
        evaluations: vec!["eval[seed=1]".to_owned()],
        reported: reported.map(|value| Reported::beside(&estimate, value, metric)),
    }))
}

fn table() -> ResultTable {
    let hole = || Cell::Hole {
        reason: "`sert` failed: <b>".to_owned(),
    };
    let row = |label: &str, cells: Vec<Cell>| TableRow {
        title: format!("5_% / {label}"),
        headers: vec!["5_%".to_owned()],
        label: label.to_owned(),
        groups: vec![CellGroup {
            cells,
            unparsed: Some(3),
            cut: None,
            questions: Some(687),
        }],
    };
    ResultTable {
        name: "t".to_owned(),
        heading: "A & B: 100 % <script>alert(1)</script>".to_owned(),
        ran: WhatRan {
            students: vec!["student gpt_2, 124.4M parameters".to_owned()],
            data: vec!["strategyqa, 10 test questions".to_owned()],
            others: Vec::new(),
            changed: vec!["--set a.\"b_c\"=<i>".to_owned()],
        },
        metrics: vec![Metric::Acc, Metric::Len],
        row_axes: vec!["min_perplexity".to_owned()],
        groups: vec![String::new()],
        rows: vec![
            row(
                "SERT|RD",
                vec![
                    figure(0.54, 0.503, 0.577, Metric::Acc, Some(54.0)),
                    figure(76.77, 75.0, 79.0, Metric::Len, Some(90.0)),
                ],
            ),
            row("\u{1b}[31mred\n[x]", vec![hole(), hole()]),
        ],
        tests: Vec::new(),
        notes: vec!["Holes: \\input{/etc/passwd} $x^2$ ~ #1".to_owned()],
    }
}

#[test]
fn text_shows_figures_holes_and_what_was_reported() {
    let text = table().render(Format::Text);
    assert!(text.contains("54.00 ± 1.00 [50.30, 57.70]"), "{text}");
    assert!(text.contains("54.00 (+0.00, inside)"), "{text}");
    assert!(text.contains("90.00 (-13.23, outside)"), "{text}");
    assert!(text.contains("\\u{1b}[31mred"), "{text}");
    assert!(!text.contains('\u{1b}'), "{text}");
}

#[test]
fn markdown_keeps_its_columns() {
    let text = table().render(Format::Md);
    let rows: Vec<&str> = text.lines().filter(|line| line.starts_with('|')).collect();
    assert_eq!(rows.len(), 4, "{text}");
    let bars = |line: &str| line.replace("\\|", "").matches('|').count();
    assert!(
        rows.iter().all(|line| bars(line) == bars(rows[0])),
        "{text}"
    );
    assert!(
        text.contains("SERT\\|RD") && text.contains("5\\_%"),
        "{text}"
    );
    assert!(!text.contains("<script>"), "{text}");
    assert!(text.contains("&lt;script&gt;"), "{text}");
}

#[test]
fn csv_has_a_line_for_each_figure_and_reads_back() {
    let text = table().render(Format::Csv);
    let mut reader = ::csv::Reader::from_reader(text.as_bytes());
    let header = reader.headers().unwrap().clone();
    let at = |name: &str| header.iter().position(|each| each == name).unwrap();
    let rows: Vec<::csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 4);
    assert_eq!(&rows[0][at("value")], "54");
    assert_eq!(&rows[0][at("reported")], "54");
    assert_eq!(&rows[1][at("metric")], "len");
    assert_eq!(&rows[1][at("min_perplexity")], "5_%");
    assert_eq!(&rows[2][at("label")], "\u{1b}[31mred\n[x]");
    assert_eq!(&rows[2][at("hole")], "`sert` failed: <b>");
    assert_eq!(&rows[2][at("value")], "");
}

#[test]
fn latex_takes_no_commands_from_labels() {
    let text = table().render(Format::Latex);
    assert!(
        text.contains("A \\& B: 100 \\% \\textless{}script"),
        "{text}"
    );
    assert!(
        text.contains("\\textbackslash{}input\\{/etc/passwd\\}"),
        "{text}"
    );
    assert!(
        text.contains("54.00 $\\pm$ 1.00 {[}50.30, 57.70]"),
        "{text}"
    );
    assert!(text.contains("\\quad reported"), "{text}");
    let rows = text.lines().filter(|line| line.ends_with(" \\\\"));
    let cells: Vec<usize> = rows
        .map(|line| line.replace("\\&", "").matches('&').count())
        .collect();
    assert!(cells.iter().all(|count| *count == cells[0]), "{text}");
}

#[test]
fn html_is_escaped_and_says_why_a_cell_is_a_hole() {
    let text = table().render(Format::Html);
    assert!(
        !text.contains("<script>") && !text.contains("<b>"),
        "{text}"
    );
    assert!(
        text.contains("title=\"`sert` failed: &#60;b&#62;\""),
        "{text}"
    );
    assert!(text.contains("reported 90.00 (-13.23, outside)"), "{text}");
}

#[test]
fn json_has_everything() {
    let text = table().render(Format::Json);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let cell = &json["rows"][0]["groups"][0]["cells"][0];
    assert_eq!(cell["seed_sd"], 0.01);
    assert_eq!(cell["reported"]["covered"], true);
    assert_eq!(json["rows"][1]["groups"][0]["cells"][0]["cell"], "hole");
}

#[test]
fn a_file_name_tells_the_form() {
    use std::path::Path;
    assert_eq!(Format::of_file(Path::new("a/b.tex")), Some(Format::Latex));
    assert_eq!(Format::of_file(Path::new("a.pdf")), None);
}
