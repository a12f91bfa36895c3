//! The forms of one table whose labels are as hostile as a manifest may make them.

use super::cell::Reported;
use super::*;
use crate::metric::{Bounds, Comparison, Estimate, IntervalMethod, Test};

fn len() -> Metric {
    Metric::named("len").unwrap()
}

fn figure(value: f64, low: f64, high: f64, metric: Metric, reported: Option<f64>) -> Cell {
    let estimate = Estimate {
        value,
        interval: Some(Bounds { low, high }),
        n: 687,
        method: IntervalMethod::Wilson,
    };
    Cell::Figure(Box::new(Figure {
        estimate,
        confidence: Some(0.95),
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
            cut: Some(2),
            ends_known: Some(8),
            answers: Some(687),
            questions: Some(687),
        }],
    };
    // A mean of values that are all alike, tested against another.
    let alike = Estimate {
        value: 4.0,
        interval: None,
        n: 687,
        method: IntervalMethod::None,
    };
    let test = |metric: Metric, detectable: Option<f64>| TestAgainst {
        row: "SERT|RD".to_owned(),
        baseline: "x".to_owned(),
        group: String::new(),
        comparison: Comparison {
            metric,
            difference: alike,
            p: 0.25,
            test: Test::PairedBootstrap,
            mean_square: 0.1,
        },
        corrected_p: 0.5,
        seeds: (1, 1),
        detectable,
    };
    let line = |label: &str, shares: [f64; 2], unparsed: Option<f64>, balanced: Cell| {
        super::answers::AnswerLine {
            row: format!("5_% / {label}"),
            headers: vec!["5_%".to_owned()],
            label: label.to_owned(),
            shares: shares.to_vec(),
            unparsed,
            balanced,
        }
    };
    let balanced = figure(0.5, 0.45, 0.55, Metric::BALANCED_ACC, None);
    ResultTable {
        name: "t".to_owned(),
        heading: "A & B: 100 % <script>alert(1)</script>".to_owned(),
        ran: WhatRan {
            students: vec!["student gpt_2, 124.4M parameters".to_owned()],
            data: vec!["strategyqa, 10 test questions".to_owned()],
            others: Vec::new(),
            changed: vec!["--set a.\"b_c\"=<i>".to_owned()],
        },
        metrics: vec![Metric::ACC, len()],
        row_axes: vec!["min_perplexity".to_owned()],
        groups: vec![String::new()],
        rows: vec![
            row(
                "SERT|RD",
                vec![
                    figure(0.54, 0.503, 0.577, Metric::ACC, Some(54.0)),
                    figure(76.77, 75.0, 79.0, len(), Some(90.0)),
                ],
            ),
            row("\u{1b}[31mred\n[x]", vec![hole(), hole()]),
        ],
        answers: vec![AnswerTable {
            group: String::new(),
            answers: vec!["no".to_owned(), "yes".to_owned()],
            lines: vec![
                line("gold", [0.525, 0.475], None, Cell::Empty),
                line("SERT|RD", [0.0, 0.995], Some(0.005), balanced),
            ],
        }],
        tests: vec![
            test(Metric::ACC, None),
            test(Metric::FMT, Some(0.0312)),
            test(len(), None),
        ],
        notes: vec!["Holes: \\input{/etc/passwd} $x^2$ ~ #1".to_owned()],
    }
}

#[test]
fn text_shows_figures_holes_and_what_was_reported() {
    let text = table().render(Format::Text, Width::FREE);
    assert!(text.contains("54.00 ± 1.00 [50.30, 57.70]"), "{text}");
    assert!(text.contains("54.00 (+0.00, inside)"), "{text}");
    assert!(text.contains("90.00 (-13.23, outside)"), "{text}");
    assert!(text.contains("\\u{1b}[31mred"), "{text}");
    assert!(!text.contains('\u{1b}'), "{text}");
}

/// What is partly known says of how many; what has no interval says so; what was answered stands beside what is right.
#[test]
fn text_claims_no_more_than_is_known() {
    let text = table().render(Format::Text, Width::FREE);
    let cells = |begins: &str, has: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| line.starts_with('│'));
        let mut lines = lines.filter(|line| line.contains(begins) && line.contains(has));
        let line = lines
            .next()
            .unwrap_or_else(|| panic!("{begins} {has}:\n{text}"));
        let cells = line.split(['│', '┆']).map(|cell| cell.trim().to_owned());
        cells.filter(|cell| !cell.is_empty()).collect()
    };
    assert_eq!(cells("SERT|RD", "687")[4..], ["3", "2 of 8", "687"]);
    assert_eq!(cells("gold", "")[1..], ["gold", "52.5", "47.5"]);
    assert_eq!(
        cells("SERT|RD", "99.5")[2..],
        ["0.0", "99.5", "0.5", "50.00 ± 1.00 [45.00, 55.00]"]
    );
    assert_eq!(
        cells("SERT|RD", "Acc %")[2..5],
        ["+400.00 [-]", "0.250", "0.500"]
    );
    assert_eq!(cells("SERT|RD", "Acc %")[5], "-");
    assert_eq!(cells("SERT|RD", "Fmt")[5], "0.03");
    assert_eq!(cells("SERT|RD", "Len").len(), 6);
}

/// What fits one terminal is cut in blocks for a narrower one; nothing is lost.
#[test]
fn text_fits_its_terminal() {
    let whole = table().render(Format::Text, Width::FREE);
    for columns in [60, 80, 100, 250] {
        let text = table().render(Format::Text, Width::of(columns));
        for line in text.lines() {
            assert!(
                line.chars().count() <= usize::from(columns),
                "{columns}:\n{text}"
            );
        }
        for figure in [
            "54.00 ± 1.00 [50.30, 57.70]",
            "90.00 (-13.23, outside)",
            "2 of 8",
            "99.5",
            "0.500",
        ] {
            assert!(text.contains(figure), "{figure} in {columns}:\n{text}");
        }
    }
    let wide = table().render(Format::Text, Width::of(250));
    assert_eq!(wide, whole);
}

#[test]
fn markdown_keeps_its_columns() {
    let text = table().render(Format::Md, Width::FREE);
    let blocks: Vec<Vec<&str>> = text
        .split("\n\n")
        .map(|block| block.lines().filter(|line| line.starts_with('|')).collect())
        .filter(|rows: &Vec<&str>| !rows.is_empty())
        .collect();
    let lengths: Vec<usize> = blocks.iter().map(Vec::len).collect();
    assert_eq!(lengths, [4, 4, 5], "{text}");
    let bars = |line: &str| line.replace("\\|", "").matches('|').count();
    for rows in blocks {
        let same = rows.iter().all(|line| bars(line) == bars(rows[0]));
        assert!(same, "{text}");
    }
    assert!(
        text.contains("SERT\\|RD") && text.contains("5\\_%"),
        "{text}"
    );
    assert!(!text.contains("<script>"), "{text}");
    assert!(text.contains("&lt;script&gt;"), "{text}");
}

#[test]
fn csv_has_a_line_for_each_figure_and_reads_back() {
    let text = table().render(Format::Csv, Width::FREE);
    let mut reader = ::csv::Reader::from_reader(text.as_bytes());
    let header = reader.headers().unwrap().clone();
    let at = |name: &str| header.iter().position(|each| each == name).unwrap();
    let rows: Vec<::csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 4 + 2 + 4);
    assert_eq!(&rows[0][at("value")], "54");
    assert_eq!(&rows[0][at("confidence")], "0.95");
    assert_eq!(
        (&rows[0][at("cut")], &rows[0][at("ends_known")]),
        ("2", "8")
    );
    assert_eq!(&rows[0][at("reported")], "54");
    assert_eq!(&rows[1][at("metric")], "len");
    assert_eq!(&rows[1][at("min_perplexity")], "5_%");
    assert_eq!(&rows[2][at("label")], "\u{1b}[31mred\n[x]");
    assert_eq!(&rows[2][at("hole")], "`sert` failed: <b>");
    assert_eq!(&rows[2][at("value")], "");
    let answered = |row: usize| {
        ["label", "metric", "answer", "value"].map(|name| rows[row][at(name)].to_owned())
    };
    assert_eq!(answered(5), ["gold", "answered", "yes", "47.5"]);
    assert_eq!(answered(7), ["SERT|RD", "answered", "yes", "99.5"]);
    assert_eq!(answered(8), ["SERT|RD", "unparsed", "", "0.5"]);
    assert_eq!(answered(9), ["SERT|RD", "balanced-acc", "", "50"]);
}

#[test]
fn latex_takes_no_commands_from_labels() {
    let text = table().render(Format::Latex, Width::FREE);
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
    // The results with what was reported, what was answered, the tests.
    let expected = [&[6; 4][..], &[5; 3], &[7; 4]].concat();
    assert_eq!(cells, expected, "{text}");
    assert!(text.contains("$+$400.00 {[}$-$]"), "{text}");
}

#[test]
fn html_is_escaped_and_says_why_a_cell_is_a_hole() {
    let text = table().render(Format::Html, Width::FREE);
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
    let text = table().render(Format::Json, Width::FREE);
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
