//! A table as CSV: one line for each figure, numbers in full, so that a program can read it.

use super::{Cell, ResultTable};
use crate::metric::{Metric, Unit};

const HEADER: [&str; 18] = [
    "table",
    "row",
    "label",
    "columns",
    "metric",
    "unit",
    "value",
    "seed_sd",
    "low",
    "high",
    "method",
    "n",
    "seeds",
    "unparsed",
    "cut",
    "reported",
    "difference_to_reported",
    "hole",
];

pub(super) fn render(table: &ResultTable) -> String {
    let mut out = csv::Writer::from_writer(Vec::new());
    let mut header: Vec<String> = HEADER.map(str::to_owned).to_vec();
    header.extend(table.row_axes.iter().cloned());
    write(&mut out, &header);
    for row in &table.rows {
        for (group, columns) in row.groups.iter().zip(&table.groups) {
            for (cell, metric) in group.cells.iter().zip(&table.metrics) {
                let Some(figures) = figures(cell, *metric) else {
                    continue;
                };
                let count =
                    |count: Option<usize>| count.map_or_else(String::new, |n| n.to_string());
                let mut line = vec![
                    table.name.clone(),
                    row.title.clone(),
                    row.label.clone(),
                    columns.clone(),
                    metric.name().to_owned(),
                    match metric.unit() {
                        Unit::Percent => "percent".to_owned(),
                        Unit::Plain => String::new(),
                    },
                ];
                line.extend(figures.head);
                line.extend([count(group.unparsed), count(group.cut)]);
                line.extend(figures.tail);
                line.extend(row.headers.iter().cloned());
                write(&mut out, &line);
            }
        }
    }
    let bytes = out
        .into_inner()
        .expect("a vector takes all that is written");
    String::from_utf8(bytes).expect("text was written")
}

struct Figures {
    head: [String; 7],
    tail: [String; 3],
}

/// A cell's figures in the metric's unit; none for an empty cell.
fn figures(cell: &Cell, metric: Metric) -> Option<Figures> {
    let number = |value: f64| (value * metric.unit().scale()).to_string();
    match cell {
        Cell::Empty => None,
        Cell::Hole { reason } => Some(Figures {
            head: std::array::from_fn(|_| String::new()),
            tail: [String::new(), String::new(), reason.clone()],
        }),
        Cell::Figure(figure) => {
            let estimate = &figure.estimate;
            let method = serde_json::to_value(estimate.method).unwrap_or_default();
            let reported = figure.reported;
            let text = |value: Option<f64>| value.map_or_else(String::new, |v| v.to_string());
            Some(Figures {
                head: [
                    number(estimate.value),
                    figure.seed_sd.map_or_else(String::new, number),
                    number(estimate.low),
                    number(estimate.high),
                    method.as_str().unwrap_or_default().to_owned(),
                    estimate.n.to_string(),
                    figure.seeds.to_string(),
                ],
                tail: [
                    text(reported.map(|reported| reported.value)),
                    text(reported.map(|reported| reported.difference)),
                    String::new(),
                ],
            })
        }
    }
}

fn write(out: &mut csv::Writer<Vec<u8>>, line: &[String]) {
    out.write_record(line)
        .expect("a vector takes all that is written");
}
