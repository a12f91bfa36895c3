//! What the intervals are, and what they were made with: each row's own settings.

use crate::metric::{EvalParams, IntervalMethod, Metric};
use crate::report::ReportError;
use crate::report::interval::confidence_text;
use crate::report::table::build::{CellEvaluations, Filler, sets};
use crate::report::table::{Cell, ResultTable, TableRow};

/// How intervals are made, and of what, in words; those over several seeds have a note of their own.
const METHODS: [(IntervalMethod, &str); 6] = [
    (IntervalMethod::Wilson, "Wilson for shares"),
    (
        IntervalMethod::WilsonOverAnswers,
        "Wilson for shares of several answers to a question, of as many cases as the questions are worth",
    ),
    (
        IntervalMethod::SquareAndAdd,
        "Wilson's squared and added for balanced accuracy",
    ),
    (
        IntervalMethod::PercentileBootstrap,
        "percentile bootstrap for means",
    ),
    (IntervalMethod::BcaBootstrap, "BCa bootstrap for means"),
    (
        IntervalMethod::AllAlike,
        "what Wilson leaves open for means of values that are all alike",
    ),
];

pub(super) fn brackets(table: &ResultTable) -> String {
    let made = |method: IntervalMethod| {
        let mut figures = table.figures();
        figures.any(|figure| figure.estimate.method == method)
    };
    let how: Vec<&str> = (METHODS.into_iter())
        .filter(|(method, _)| made(*method))
        .map(|(_, words)| words)
        .collect();
    let how = match how.as_slice() {
        [] => String::new(),
        how => format!(" ({})", how.join(", ")),
    };
    let none = if made(IntervalMethod::None) {
        " [-]: none, since all values are alike or there is one, which says nothing of others."
    } else {
        ""
    };
    format!(
        "Brackets: {}{how}.{none} An unparsed answer counts as wrong; cut: answers that ended by length; n: questions.",
        intervals(table)
    )
}

/// `95 % intervals`, or which of the rows have which.
fn intervals(table: &ResultTable) -> String {
    let of_row = |row: &TableRow| -> Vec<f64> {
        let cells = row.groups.iter().flat_map(|group| &group.cells);
        let figures = cells.filter_map(Cell::figure);
        figures.filter_map(|figure| figure.confidence).collect()
    };
    let by_row = table
        .rows
        .iter()
        .map(|row| (row.title.clone(), of_row(row)));
    let found = by_value(by_row, f64::total_cmp);
    match found.as_slice() {
        [] => "intervals".to_owned(),
        [(confidence, _)] => format!("{} intervals", confidence_text(*confidence)),
        several => {
            let several: Vec<String> = (several.iter())
                .map(|(confidence, rows)| {
                    format!("{} of {}", confidence_text(*confidence), rows.join("; "))
                })
                .collect();
            format!("intervals of several confidences, {}", several.join(", "))
        }
    }
}

/// The different values that rows have, each with the rows that have it.
fn by_value<T: Copy>(
    rows: impl Iterator<Item = (String, Vec<T>)>,
    order: fn(&T, &T) -> std::cmp::Ordering,
) -> Vec<(T, Vec<String>)> {
    let mut found: Vec<(T, Vec<String>)> = Vec::new();
    for (title, values) in rows {
        for value in values {
            match found
                .iter_mut()
                .find(|(known, _)| order(known, &value).is_eq())
            {
                Some((_, rows)) if rows.contains(&title) => {}
                Some((_, rows)) => rows.push(title.clone()),
                None => found.push((value, vec![title.clone()])),
            }
        }
    }
    found
}

pub(super) fn seeds(table: &ResultTable) -> Option<String> {
    let most = table.figures().map(|figure| figure.seeds).max()?;
    (most > 1).then(|| {
        format!(
            "±: standard deviation over seeds ({most}). Brackets of such figures are over questions: for shares Wilson's, of as many cases as the questions are worth over the seeds, for means the bootstrap of each question's mean over the seeds. They say how far other questions would move the mean and nothing of other seeds. Unparsed and cut are over all seeds together."
        )
    })
}

/// Seeds that ask questions of their own.
pub(super) fn worlds(filler: &mut Filler<'_>) -> Result<Option<String>, ReportError> {
    let layout = filler.layout;
    for row in &layout.rows {
        for column in &layout.columns {
            if let CellEvaluations::Measured(seeds) = filler.own(row, column)?
                && sets(&seeds).len() > 1
            {
                return Ok(Some(
                    "Seeds ask questions of their own: a figure is over those of all of them, and n counts them. The majority class and chance are those of the first seed."
                        .to_owned(),
                ));
            }
        }
    }
    Ok(None)
}

/// How many answers rows have to a question, where any has several.
pub(super) fn several(filler: &mut Filler<'_>) -> Result<Option<String>, ReportError> {
    let layout = filler.layout;
    let mut rows = Vec::new();
    for row in &layout.rows {
        let mut each = Vec::new();
        for column in &layout.columns {
            if let CellEvaluations::Measured(seeds) = filler.own(row, column)? {
                each.extend(seeds.iter().map(|seed| seed.evaluation.answers_each()));
            }
        }
        rows.push((row.title.clone(), each));
    }
    let found = by_value(rows.into_iter(), Ord::cmp);
    if found.iter().all(|(each, _)| *each == 1) {
        return Ok(None);
    }
    let each: Vec<String> = (found.iter())
        .map(|(each, rows)| format!("{each} of {}", rows.join("; ")))
        .collect();
    Ok(Some(format!(
        "Answers to each question: {}. Acc, Fmt, Len, Rep and their like are over all answers, unparsed and cut count answers; brackets and tests are over questions, each by its mean, vote or choice.",
        each.join(", ")
    )))
}

/// What Fmt lets pass, where it is shown.
pub(super) fn limits(
    filler: &mut Filler<'_>,
    table: &ResultTable,
) -> Result<Option<String>, ReportError> {
    if !table.metrics.contains(&Metric::FMT) {
        return Ok(None);
    }
    let layout = filler.layout;
    let mut rows = Vec::new();
    for row in &layout.rows {
        let mut values = Vec::new();
        for column in &layout.columns {
            if let CellEvaluations::Measured(seeds) = filler.measured(row, column, Metric::FMT)? {
                values.extend(seeds.iter().map(|seed| seed.evaluation.params.max_rep));
            }
        }
        rows.push((row.title.clone(), values));
    }
    let found = by_value(rows.into_iter(), f64::total_cmp);
    let default = EvalParams::default().max_rep;
    Ok(match found.as_slice() {
        [] => None,
        // As the documentation of Fmt says.
        [(limit, _)] if limit.total_cmp(&default).is_eq() => None,
        [(limit, _)] => Some(format!("Fmt allows a Rep up to {limit}.")),
        several => {
            let several: Vec<String> = (several.iter())
                .map(|(limit, rows)| format!("{limit} of {}", rows.join("; ")))
                .collect();
            Some(format!("Fmt allows a Rep up to {}.", several.join(", ")))
        }
    })
}
