//! What is not known of a row's answers, and rows that always give the same one.

use std::collections::BTreeMap;

use super::placed;
use crate::report::ReportError;
use crate::report::table::ResultTable;
use crate::report::table::answers::{Constant, constants};
use crate::report::table::build::{CellEvaluations, Filler, Measured, ends};

/// Rows with figures that are not over all answers, since the rest is not known.
pub(super) fn unknown(filler: &mut Filler<'_>) -> Result<Vec<String>, ReportError> {
    let (layout, spec) = (filler.layout, filler.spec);
    let (mut ends_unknown, mut partly) = (Vec::new(), Vec::new());
    for row in &layout.rows {
        for column in &layout.columns {
            let place = placed(&row.title, &column.title);
            if let CellEvaluations::Measured(seeds) = filler.own(row, column)? {
                let answers: usize = seeds.iter().map(Measured::answers).sum();
                match ends(&seeds).0 {
                    0 => ends_unknown.push(place.clone()),
                    known if known < answers => partly.push(format!(
                        "{place}: {known} of {answers} answers say how they ended; cut and Fmt are of these."
                    )),
                    _ => {}
                }
            }
            let of_answers = spec
                .metrics
                .iter()
                .filter(|metric| metric.beside().is_none());
            for &metric in of_answers {
                let (Some(known), CellEvaluations::Measured(seeds)) =
                    (metric.known(), filler.measured(row, column, metric)?)
                else {
                    continue;
                };
                let outcomes = seeds.iter().flat_map(|seed| &seed.evaluation.outcomes);
                let (with, answers) = outcomes.fold((0, 0), |(with, all), outcome| {
                    (with + usize::from(metric.value(outcome).is_some()), all + 1)
                });
                if with < answers {
                    partly.push(format!(
                        "{place}: {with} of {answers} answers {known}; {} is of these.",
                        metric.title()
                    ));
                }
            }
        }
    }
    if !ends_unknown.is_empty() {
        let rows = ends_unknown.join("; ");
        partly.insert(
            0,
            format!("How the answers ended is not known, and so neither cut nor Fmt: {rows}."),
        );
    }
    Ok(partly)
}

/// Rows whose accuracy is that of one answer.
pub(super) fn constant(table: &ResultTable) -> Vec<String> {
    let mut by_answer: BTreeMap<(String, bool), Vec<String>> = BTreeMap::new();
    for Constant {
        place: (row, group),
        answer,
        unparsed,
    } in constants(table)
    {
        let place = placed(&row, &group);
        by_answer.entry((answer, unparsed)).or_default().push(place);
    }
    by_answer
        .into_iter()
        .map(|((answer, unparsed), places)| {
            let always = if unparsed {
                "wherever an answer was read"
            } else {
                "to every question"
            };
            format!(
                "One answer only, `{answer}` {always}: {}. Such an accuracy is how often that answer is gold.",
                places.join("; ")
            )
        })
        .collect()
}
