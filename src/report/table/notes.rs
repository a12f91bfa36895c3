//! What a reader must know to believe a table, as paragraphs below it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::build::{Filler, Found, Measured};
use super::cell::titled;
use super::{Cell, ResultTable};
use crate::key::Digest;
use crate::manifest::LayoutRow;
use crate::metric::{Design, IntervalMethod, Metric, smallest_difference};
use crate::plan::NodeId;
use crate::report::{ReportError, Source};

/// The chance to find a difference that is there, and the one to find one that is not, on which the smallest
/// difference is told (the usual ones).
const POWER: f64 = 0.8;
const ALPHA: f64 = 0.05;

/// All notes, in order. `first_measured` is the first row that has a model.
pub(super) fn notes(
    filler: &mut Filler<'_>,
    table: &ResultTable,
    first_measured: usize,
) -> Result<Vec<String>, ReportError> {
    let mut notes = vec![brackets(table)];
    notes.extend(seeds(table));
    notes.extend(elsewhere(filler)?);
    notes.extend(published(filler, table));
    notes.extend(tests(table, filler));
    notes.extend(smallest(filler, table)?);
    notes.extend(same_answers(filler)?);
    notes.extend(holes(table, first_measured));
    notes.extend(untrained(filler));
    Ok(notes)
}

fn brackets(table: &ResultTable) -> String {
    let made = |method: IntervalMethod| {
        let mut figures = table.figures();
        figures.any(|figure| figure.seeds == 1 && figure.estimate.method == method)
    };
    let methods = [
        (IntervalMethod::Wilson, "Wilson for shares"),
        (
            IntervalMethod::PercentileBootstrap,
            "percentile bootstrap for means",
        ),
        (IntervalMethod::BcaBootstrap, "BCa bootstrap for means"),
    ];
    let how: Vec<&str> = (methods.into_iter())
        .filter(|(method, _)| made(*method))
        .map(|(_, words)| words)
        .collect();
    let how = match how.as_slice() {
        [] => String::new(),
        how => format!(" ({})", how.join(", ")),
    };
    format!(
        "Brackets: 95 % intervals{how}. An unparsed answer counts as wrong; cut: answers that ended by length; n: questions."
    )
}

fn seeds(table: &ResultTable) -> Option<String> {
    let most = table.figures().map(|figure| figure.seeds).max()?;
    (most > 1).then(|| {
        format!(
            "±: standard deviation over seeds ({most}). Brackets of such figures: bootstrap by question of each question's mean over the seeds, so they say how far other questions would move the mean and nothing of other seeds. Unparsed and cut are over all seeds together."
        )
    })
}

/// Figures of a row that come from another evaluation than the rest of it.
fn elsewhere(filler: &mut Filler<'_>) -> Result<Vec<String>, ReportError> {
    let mut notes = Vec::new();
    let (layout, spec) = (filler.layout, filler.spec);
    for row in &layout.rows {
        for column in &layout.columns {
            let Found::Measured(own) = filler.own(row, column)? else {
                continue;
            };
            let mut parts: BTreeMap<String, Vec<Metric>> = BTreeMap::new();
            for &metric in spec.rows[row.spec].figures.keys() {
                if let Found::Measured(other) = filler.measured(row, column, metric)? {
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
    let unparsed: usize = seeds.iter().map(Measured::unparsed).sum();
    let cut: Option<usize> = seeds.iter().map(|seed| seed.cut).sum();
    let mut text = format!(
        "{} ({} questions; unparsed {unparsed}",
        seeds[0].questions, seeds[0].evaluation.accuracy.n
    );
    if let Some(cut) = cut {
        let _ = write!(text, ", cut by length {cut}");
    }
    text + ")"
}

fn place(row: &LayoutRow, column: &str) -> String {
    match column {
        "" => format!("{}: ", row.title),
        column => format!("{}, {column}: ", row.title),
    }
}

fn titles(metrics: &[Metric]) -> String {
    let titles: Vec<&str> = metrics.iter().map(|metric| metric.title()).collect();
    titles.join(", ")
}

fn published(filler: &Filler<'_>, table: &ResultTable) -> Vec<String> {
    let Some(reported) = &filler.spec.reported else {
        return Vec::new();
    };
    let figures: Vec<_> = table
        .figures()
        .filter_map(|figure| figure.reported)
        .collect();
    let covered = figures.iter().filter(|figure| figure.covered).count();
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

fn tests(table: &ResultTable, filler: &Filler<'_>) -> Option<String> {
    let baseline = &filler.spec.rows[filler.spec.baseline?].label;
    Some(format!(
        "Tests: each row against {baseline} on the same questions; exact McNemar for accuracies of one seed, else paired bootstrap; Holm's correction over the {} tests of this table.",
        table.tests.len()
    ))
}

/// The smallest difference of accuracy that so many questions could show.
fn smallest(filler: &mut Filler<'_>, table: &ResultTable) -> Result<Vec<String>, ReportError> {
    let layout = filler.layout;
    let mut notes = Vec::new();
    for column in &layout.columns {
        let of_group = |test: &&super::TestAgainst| {
            test.group == column.title && test.comparison.metric == Metric::Acc
        };
        let tests: Vec<_> = table.tests.iter().filter(of_group).collect();
        let group = match column.title.as_str() {
            "" => String::new(),
            title => format!("{title}: "),
        };
        // With a baseline: the middle of the pairs' discordant shares. Without one: the middle of the shares.
        let discordant = median(
            tests
                .iter()
                .map(|test| test.comparison.mean_square)
                .collect(),
        );
        let (n, design, basis) = if let (Some(discordant), Some(test)) = (discordant, tests.first())
        {
            let basis = format!(
                "two arms that differ on {:.0} % of the questions, as the middle pair here",
                100.0 * discordant
            );
            (
                test.comparison.difference.n,
                Design::Paired { discordant },
                basis,
            )
        } else {
            let mut shares = Vec::new();
            for row in &layout.rows {
                if let Found::Measured(seeds) = filler.own(row, column)? {
                    let accuracy = seeds[0].evaluation.accuracy;
                    shares.push((accuracy.value, accuracy.n));
                }
            }
            let Some(share) = median(shares.iter().map(|(share, _)| *share).collect()) else {
                continue;
            };
            let basis = format!("unpaired, near {:.0} %", 100.0 * share);
            (shares[0].1, Design::Independent { share }, basis)
        };
        let text = match smallest_difference(n, design, ALPHA, POWER) {
            Some(smallest) => format!(
                "{group}The smallest difference of Acc that {n} questions would show with 80 % power (two-sided, 5 %; {basis}): {:.1} points. A smaller one in this table is no evidence.",
                100.0 * smallest
            ),
            None => format!(
                "{group}No difference of Acc that is possible here would show on {n} questions with 80 % power (two-sided, 5 %; {basis})."
            ),
        };
        notes.push(text);
    }
    Ok(notes)
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len().checked_sub(1)? / 2;
    Some(f64::midpoint(values[middle], values[values.len() / 2]))
}

/// Rows whose answers are the same to the letter, though their stages are not.
fn same_answers(filler: &mut Filler<'_>) -> Result<Option<String>, ReportError> {
    let layout = filler.layout;
    let mut groups: Vec<(Vec<Digest>, Vec<NodeId>, Vec<String>)> = Vec::new();
    for column in &layout.columns {
        for row in &layout.rows {
            let Found::Measured(seeds) = filler.own(row, column)? else {
                continue;
            };
            let digests: Vec<Digest> = seeds.iter().map(|seed| seed.digest).collect();
            let nodes: Vec<NodeId> = seeds.iter().map(|seed| seed.node).collect();
            let title = match column.title.as_str() {
                "" => row.title.clone(),
                column => format!("{} ({column})", row.title),
            };
            match groups.iter_mut().find(|(known, ..)| *known == digests) {
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

fn holes(table: &ResultTable, first_measured: usize) -> Vec<String> {
    let mut by_reason: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for row in &table.rows[first_measured..] {
        for (group, title) in row.groups.iter().zip(&table.groups) {
            let reasons = group.cells.iter().zip(&table.metrics);
            let mut reasons: Vec<(&str, Metric)> = reasons
                .filter_map(|(cell, metric)| match cell {
                    Cell::Hole { reason } => Some((reason.as_str(), *metric)),
                    _ => None,
                })
                .collect();
            let place = match title.as_str() {
                "" => row.title.clone(),
                title => format!("{} ({title})", row.title),
            };
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
        .into_iter()
        .map(|(reason, places)| format!("Holes (-): {}: {reason}.", places.join("; ")))
        .collect()
}

/// Said where no row shows what the student answered before it was trained on questions.
fn untrained(filler: &Filler<'_>) -> Option<String> {
    let source = filler.source;
    let evals = filler
        .spec
        .rows
        .iter()
        .flat_map(|row| row.evals.iter().flatten());
    let shown = evals
        .filter_map(|eval| source.plan.find(&eval.stage).ok())
        .any(|eval| is_of_untrained(source, eval));
    (!shown).then(|| {
        "No row shows the untrained student; add a `predict` on it to read the others by."
            .to_owned()
    })
}

fn is_of_untrained(source: &Source<'_>, eval: NodeId) -> bool {
    source
        .input(eval, "predictions")
        .and_then(|(predict, _)| source.input(predict, "model"))
        .is_some_and(|(model, _)| {
            ["student", "pretrain"].contains(&source.plan.node(model).kind.name())
        })
}
