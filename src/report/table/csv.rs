//! A table as CSV: one line for each figure, numbers in full, so that a program can read it.

use super::{Cell, ResultTable};
use crate::metric::{Metric, Unit};

const HEADER: [&str; 22] = [
    "table",
    "row",
    "label",
    "columns",
    "metric",
    "answer",
    "unit",
    "value",
    "seed_sd",
    "low",
    "high",
    "confidence",
    "method",
    "n",
    "seeds",
    "unparsed",
    "cut",
    "ends_known",
    "answers",
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
                let Some(mut line) = CsvRecord::of(cell, *metric) else {
                    continue;
                };
                line.place = [&table.name, &row.title, &row.label, columns].map(String::clone);
                let counts = [group.unparsed, group.cut, group.ends_known, group.answers];
                line.counts = counts.map(text);
                write(&mut out, &line.cells(&row.headers));
            }
        }
    }
    answers(&mut out, table);
    let bytes = out
        .into_inner()
        .expect("a vector takes all that is written");
    String::from_utf8(bytes).expect("text was written")
}

/// A line for the share of each answer, and for balanced accuracy where it has no column.
fn answers(out: &mut csv::Writer<Vec<u8>>, table: &ResultTable) {
    for of_group in &table.answers {
        for row in &of_group.lines {
            let place = || [&table.name, &row.row, &row.label, &of_group.group].map(String::clone);
            let named = of_group.answers.iter().zip(&row.shares);
            let named = named.map(|(answer, share)| (answer.as_str(), *share));
            for (answer, share) in named.chain(row.unparsed.map(|share| ("", share))) {
                let what = if answer.is_empty() {
                    "unparsed"
                } else {
                    "answered"
                };
                let line = CsvRecord {
                    place: place(),
                    metric: [what, answer, "percent"].map(str::to_owned),
                    value: (100.0 * share).to_string(),
                    ..CsvRecord::default()
                };
                write(out, &line.cells(&row.headers));
            }
            if let Some(line) = CsvRecord::of(&row.balanced, Metric::BALANCED_ACC) {
                let line = CsvRecord {
                    place: place(),
                    ..line
                };
                write(out, &line.cells(&row.headers));
            }
        }
    }
}

/// A line; what does not apply is empty.
#[derive(Default)]
struct CsvRecord {
    /// Table, row, label, group of columns.
    place: [String; 4],
    /// Metric, answer, unit.
    metric: [String; 3],
    value: String,
    /// Standard deviation over seeds, ends and confidence of the interval, method, n, seeds.
    spread: [String; 7],
    /// Unparsed and cut answers, those that say how they ended, and all.
    counts: [String; 4],
    /// The published figure, ours less it, why it is a hole.
    rest: [String; 3],
}

impl CsvRecord {
    /// A cell's figure in the metric's unit; none for an empty cell.
    fn of(cell: &Cell, metric: Metric) -> Option<Self> {
        let number = |value: f64| (value * metric.unit().scale()).to_string();
        let unit = match metric.unit() {
            Unit::Percent => "percent",
            Unit::Plain(_) => "",
        };
        let empty = Self {
            metric: [metric.name(), "", unit].map(str::to_owned),
            ..Self::default()
        };
        match cell {
            Cell::Empty => None,
            Cell::Hole { reason } => Some(Self {
                rest: [String::new(), String::new(), reason.clone()],
                ..empty
            }),
            Cell::NotNeeded { reason } => Some(Self {
                rest: [
                    String::new(),
                    String::new(),
                    format!("not needed: {reason}"),
                ],
                ..empty
            }),
            Cell::Figure(figure) => {
                let estimate = &figure.estimate;
                let method = serde_json::to_value(estimate.method).unwrap_or_default();
                let bounds = estimate.interval;
                let reported = figure.reported;
                Some(Self {
                    value: number(estimate.value),
                    spread: [
                        text(figure.seed_sd.map(number)),
                        text(bounds.map(|bounds| number(bounds.low))),
                        text(bounds.map(|bounds| number(bounds.high))),
                        text(figure.confidence),
                        method.as_str().unwrap_or_default().to_owned(),
                        estimate.n.to_string(),
                        figure.seeds.to_string(),
                    ],
                    rest: [
                        text(reported.map(|reported| reported.value)),
                        text(reported.map(|reported| reported.difference)),
                        String::new(),
                    ],
                    ..empty
                })
            }
        }
    }

    /// Its cells, and those of the row axes.
    fn cells(self, headers: &[String]) -> Vec<String> {
        let value = std::iter::once(self.value);
        let mut cells: Vec<String> = self.place.into_iter().chain(self.metric).collect();
        cells.extend(value.chain(self.spread).chain(self.counts).chain(self.rest));
        cells.extend(headers.iter().cloned());
        cells
    }
}

fn text<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

fn write(out: &mut csv::Writer<Vec<u8>>, line: &[String]) {
    out.write_record(line)
        .expect("a vector takes all that is written");
}
