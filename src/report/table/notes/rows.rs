//! Rows that need a word: figures from elsewhere, published ones, the same answers twice, holes, no untrained student.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::placed;
use crate::artifact::ArtifactKind;
use crate::key::Digest;
use crate::manifest::LayoutRow;
use crate::metric::Metric;
use crate::plan::NodeId;
use crate::report::table::build::{CellEvaluations, Filler, Measured, ends, unparsed};
use crate::report::table::cell::titled;
use crate::report::table::{Cell, ResultTable};
use crate::report::{ReportError, Source};
use crate::stage::Brings;

/// Figures of a row that come from another evaluation than the rest of it.
pub(super) fn elsewhere(filler: &mut Filler<'_>) -> Result<Vec<String>, ReportError> {
    let mut notes = Vec::new();
    let (layout, spec) = (filler.layout, filler.spec);
    for row in &layout.rows {
        for column in &layout.columns {
            let CellEvaluations::Measured(own) = filler.own(row, column)? else {
                continue;
            };
            let mut parts: BTreeMap<String, Vec<Metric>> = BTreeMap::new();
            let figures = spec.rows[row.spec].figures.keys();
            for &metric in figures.filter(|metric| metric.beside().is_none()) {
                if let CellEvaluations::Measured(other) = filler.measured(row, column, metric)? {
                    parts.entry(told(&other)).or_default().push(metric);
                }
            }
            if parts.is_empty() {
                continue;
            }
            let mut text = place(row, &column.title);
            for (told, metrics) in parts {
                let _ = write!(text, "{} over {told}; ", titles(&metrics));
            }
            let _ = write!(text, "the rest over {}.", told(&own));
            notes.push(text);
        }
    }
    Ok(notes)
}

/// `data.all (2290 questions; unparsed 403, cut by length 647)`.
fn told(seeds: &[Measured]) -> String {
    let mut text = format!(
        "{} ({} questions; unparsed {}",
        seeds[0].questions,
        seeds[0].questions(),
        unparsed(seeds)
    );
    let answers: usize = seeds.iter().map(Measured::answers).sum();
    let _ = match ends(seeds) {
        (0, _) => Ok(()),
        (known, cut) if known == answers => write!(text, ", cut by length {cut}"),
        (known, cut) => write!(text, ", cut by length {cut} of {known}"),
    };
    text + ")"
}

fn place(row: &LayoutRow, column: &str) -> String {
    match column {
        "" => format!("{}: ", row.title),
        column => format!("{}, {column}: ", row.title),
    }
}

pub(super) fn titles(metrics: &[Metric]) -> String {
    let titles: Vec<&str> = metrics.iter().map(|metric| metric.title()).collect();
    titles.join(", ")
}

pub(super) fn published(filler: &Filler<'_>, table: &ResultTable) -> Vec<String> {
    let Some(reported) = &filler.spec.reported else {
        return Vec::new();
    };
    let figures: Vec<_> = table
        .figures()
        .filter_map(|figure| figure.reported)
        .collect();
    let covered = figures
        .iter()
        .filter(|figure| figure.covered == Some(true))
        .count();
    let mut notes = vec![format!(
        "Reported: {}; in parentheses ours less it, and whether our interval covers it ({covered} of {} do).",
        reported.source,
        figures.len()
    )];
    let (rows, columns) = (&filler.layout.rows, &filler.layout.columns);
    let strangers: Vec<String> = (reported.values.iter())
        .filter(|figures| {
            !rows.iter().any(|row| row.title == figures.row)
                || !columns.iter().any(|column| column.title == figures.column)
        })
        .map(|figures| match figures.column.as_str() {
            "" => figures.row.clone(),
            column => format!("{} ({column})", figures.row),
        })
        .collect();
    if !strangers.is_empty() {
        notes.push(format!(
            "Reported figures that have no place in this table: {}.",
            strangers.join("; ")
        ));
    }
    notes
}

/// Rows whose answers are the same to the letter, though their stages are not.
pub(super) fn same_answers(filler: &mut Filler<'_>) -> Result<Option<String>, ReportError> {
    let layout = filler.layout;
    let mut groups: Vec<(Vec<Digest>, Vec<NodeId>, Vec<String>)> = Vec::new();
    for column in &layout.columns {
        for row in &layout.rows {
            let CellEvaluations::Measured(seeds) = filler.own(row, column)? else {
                continue;
            };
            let digests: Vec<Digest> = seeds.iter().map(|seed| seed.identity).collect();
            let nodes: Vec<NodeId> = seeds.iter().map(|seed| seed.node).collect();
            let title = placed(&row.title, &column.title);
            match groups.iter_mut().find(|(known, ..)| *known == digests) {
                // A row that no column axis changes stands in each column, and is not the same as itself.
                Some((_, known, _)) if *known == nodes => {}
                Some((.., titles)) => titles.push(title),
                None => groups.push((digests, nodes, vec![title])),
            }
        }
    }
    let same: Vec<String> = groups
        .into_iter()
        .filter(|(.., titles)| titles.len() > 1)
        .map(|(.., titles)| titles.join(" = "))
        .collect();
    Ok((!same.is_empty()).then(|| format!("The same answers: {}.", same.join("; "))))
}

pub(super) fn holes(table: &ResultTable, first_measured: usize) -> Vec<String> {
    let holes = by_reason(table, first_measured, |cell| match cell {
        Cell::Hole { reason } => Some(reason),
        _ => None,
    });
    let holes = (holes.into_iter())
        .map(|(reason, places)| format!("Holes (-): {}: {reason}.", places.join("; ")));
    let not_needed = by_reason(table, first_measured, |cell| match cell {
        Cell::NotNeeded { reason } => Some(reason),
        _ => None,
    });
    let not_needed = (not_needed.into_iter())
        .map(|(reason, places)| format!("Not needed: {}: {reason}.", places.join("; ")));
    holes.chain(not_needed).collect()
}

/// The places of the cells that have such a reason, by reason.
fn by_reason(
    table: &ResultTable,
    first_measured: usize,
    reason: impl Fn(&Cell) -> Option<&String>,
) -> BTreeMap<&str, Vec<String>> {
    let mut by_reason: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for row in &table.rows[first_measured..] {
        for (group, title) in row.groups.iter().zip(&table.groups) {
            let reasons = group.cells.iter().zip(&table.metrics);
            let mut reasons: Vec<(&str, Metric)> = reasons
                .filter_map(|(cell, metric)| Some((reason(cell)?.as_str(), *metric)))
                .collect();
            let place = placed(&row.title, title);
            // A row that has nothing is told once, not once for each column.
            if reasons.len() == table.metrics.len() {
                reasons.truncate(1);
                by_reason.entry(reasons[0].0).or_default().push(place);
            } else {
                for (reason, metric) in reasons {
                    let place = format!("{place} {}", titled(metric));
                    by_reason.entry(reason).or_default().push(place);
                }
            }
        }
    }
    by_reason
}

/// Said where no row shows what the student answered before it was trained on questions.
pub(super) fn untrained(filler: &Filler<'_>) -> Option<String> {
    let source = filler.source;
    let evals = filler
        .spec
        .rows
        .iter()
        .flat_map(|row| row.evals.iter().flatten());
    let shown = evals
        .filter_map(|eval| source.plan.at(&eval.stage))
        .any(|eval| is_of_untrained(source, eval));
    (!shown).then(|| {
        "No row shows the untrained student; add a `predict` on it to read the others by."
            .to_owned()
    })
}

fn is_of_untrained(source: &Source<'_>, eval: NodeId) -> bool {
    source
        .input(eval, ArtifactKind::Predictions)
        .and_then(|(predict, _)| source.input(predict, ArtifactKind::Model))
        .is_some_and(|(model, _)| source.plan.node(model).kind.brings() == Some(Brings::Student))
}
