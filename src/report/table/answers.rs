//! What each row answered, beside what of it was right: shares of the legal answers and balanced accuracy, since a row
//! that always answers the same has the accuracy of that answer.

use std::collections::BTreeMap;

use serde::Serialize;

use super::build::{CellEvaluations, Filler, Measured, unparsed};
use super::cell::titled;
use super::{Cell, ResultTable};
use crate::manifest::{LayoutColumn, LayoutRow};
use crate::metric::{Answered, Metric};
use crate::report::ReportError;

/// Answers with a column of their own; the rarest ones of more share one (ours).
const COLUMNS: usize = 10;

/// What is called so where the rarest answers share a column.
const OTHERS: &str = "others";

/// What the rows of a group of columns answered.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub(crate) struct AnswerTable {
    /// The group of columns.
    pub group: String,
    /// The legal answers.
    pub answers: Vec<String>,
    /// The gold answers of each set of questions, then the rows.
    pub lines: Vec<AnswerLine>,
}

/// What one row answered.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub(crate) struct AnswerLine {
    /// The row, by its title; of gold answers `gold`, with the questions where rows answer several sets.
    pub row: String,
    /// Its values on the row axes.
    pub headers: Vec<String>,
    /// Its label.
    pub label: String,
    /// The share of each answer, over all seeds, 0 to 1.
    pub shares: Vec<f64>,
    /// The share of answers out of which nothing was read; `None` of gold ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unparsed: Option<f64>,
    /// Balanced accuracy; empty of gold ones, and where the table has a column of it.
    pub balanced: Cell,
}

/// A row that gives the same answer wherever one is read out of what it says.
pub(super) struct Constant {
    /// Its title, and the group of columns'.
    pub(super) place: (String, String),
    pub(super) answer: String,
    /// Whether something was not read.
    pub(super) unparsed: bool,
}

/// What was answered, for each group of columns with a row that is measured on questions with listed answers.
pub(super) fn tables(
    filler: &mut Filler<'_>,
    metrics: &[Metric],
) -> Result<Vec<AnswerTable>, ReportError> {
    let mut tables = Vec::new();
    let layout = filler.layout;
    for column in &layout.columns {
        let mut rows = Vec::new();
        for row in &layout.rows {
            let CellEvaluations::Measured(seeds) = filler.own(row, column)? else {
                continue;
            };
            let counted: Option<Vec<&Answered>> = (seeds.iter())
                .map(|seed| seed.evaluation.answered.as_ref())
                .collect();
            if let Some(counted) = counted {
                let given = summed(counted.iter().map(|each| &each.given));
                rows.push((row, seeds.clone(), given));
            }
        }
        if rows.is_empty() {
            continue;
        }
        let shown = !metrics.contains(&Metric::BALANCED_ACC);
        tables.push(table(filler, column, &rows, shown));
    }
    Ok(tables)
}

/// A row, its seeds, and how often it gave each answer.
type Given<'l> = (&'l LayoutRow, Vec<Measured>, BTreeMap<String, usize>);

fn table(
    filler: &Filler<'_>,
    column: &LayoutColumn,
    rows: &[Given<'_>],
    with_balanced: bool,
) -> AnswerTable {
    let mut sets: Vec<&Measured> = Vec::new();
    for (_, seeds, _) in rows {
        let content = seeds[0].evaluation.questions;
        if sets.iter().all(|set| set.evaluation.questions != content) {
            sets.push(&seeds[0]);
        }
    }
    let golds: Vec<&BTreeMap<String, usize>> = (sets.iter())
        .filter_map(|set| Some(&set.evaluation.answered.as_ref()?.gold))
        .collect();
    let all = summed(
        golds
            .iter()
            .copied()
            .chain(rows.iter().map(|(.., given)| given)),
    );
    let answers = columns(&all);
    let blank = vec![String::new(); filler.layout.row_axes.len()];
    let mut lines: Vec<AnswerLine> = (sets.iter().zip(&golds))
        .map(|(set, gold)| {
            let label = match sets.len() {
                1 => "gold".to_owned(),
                _ => format!("gold, {}", set.questions),
            };
            AnswerLine {
                row: label.clone(),
                headers: blank.clone(),
                label,
                shares: shares(&answers, gold, set.answers()),
                unparsed: None,
                balanced: Cell::Empty,
            }
        })
        .collect();
    for (row, seeds, given) in rows {
        let n: usize = seeds.iter().map(Measured::answers).sum();
        lines.push(AnswerLine {
            row: row.title.clone(),
            headers: row.headers.clone(),
            label: filler.spec.rows[row.spec].label.clone(),
            shares: shares(&answers, given, n),
            unparsed: Some(unparsed(seeds) as f64 / n as f64),
            balanced: if with_balanced {
                filler.figure(row, column, Metric::BALANCED_ACC, seeds)
            } else {
                Cell::Empty
            },
        });
    }
    AnswerTable {
        group: column.title.clone(),
        answers,
        lines,
    }
}

fn summed<'c>(
    counts: impl Iterator<Item = &'c BTreeMap<String, usize>>,
) -> BTreeMap<String, usize> {
    let mut sum = BTreeMap::new();
    for (answer, count) in counts.flatten() {
        *sum.entry(answer.clone()).or_default() += count;
    }
    sum
}

/// The answers with a column, in alphabetical order; of too many the most frequent, and one for the others.
fn columns(counts: &BTreeMap<String, usize>) -> Vec<String> {
    let mut answers: Vec<&String> = counts.keys().collect();
    if answers.len() <= COLUMNS {
        return answers.into_iter().cloned().collect();
    }
    answers.sort_by_key(|answer| std::cmp::Reverse(counts[*answer]));
    answers.truncate(COLUMNS - 1);
    answers.sort();
    let others = OTHERS.to_owned();
    answers.into_iter().cloned().chain([others]).collect()
}

fn shares(answers: &[String], counts: &BTreeMap<String, usize>, n: usize) -> Vec<f64> {
    let share = |count: usize| count as f64 / n as f64;
    let count = |answer: &String| match counts.get(answer) {
        Some(count) => *count,
        None if answer == OTHERS => {
            let others = counts
                .iter()
                .filter(|(answer, _)| !answers.contains(answer));
            others.map(|(_, count)| count).sum()
        }
        None => 0,
    };
    answers.iter().map(|answer| share(count(answer))).collect()
}

impl AnswerTable {
    /// Its columns after those of the row axes: the label, a share for each answer, the unparsed ones, balanced accuracy.
    pub(super) fn header(&self) -> Vec<String> {
        let mut header = vec!["answered".to_owned()];
        header.extend(self.answers.iter().map(|answer| format!("{answer} %")));
        header.push("unparsed %".to_owned());
        if self.has_balanced() {
            header.push(titled(Metric::BALANCED_ACC));
        }
        header
    }

    /// The cells of a line, under those columns.
    pub(super) fn cells(&self, line: &AnswerLine) -> Vec<String> {
        let percent = |share: f64| format!("{:.1}", 100.0 * share);
        let mut cells = vec![line.label.clone()];
        cells.extend(line.shares.iter().map(|share| percent(*share)));
        cells.push(line.unparsed.map_or_else(String::new, percent));
        if self.has_balanced() {
            cells.push(line.balanced.text(Metric::BALANCED_ACC));
        }
        cells
    }

    fn has_balanced(&self) -> bool {
        self.lines.iter().any(|line| line.balanced != Cell::Empty)
    }
}

/// The rows of `table` that always give the same answer.
pub(super) fn constants(table: &ResultTable) -> Vec<Constant> {
    let mut found = Vec::new();
    for of_group in &table.answers {
        for line in &of_group.lines {
            let Some(unparsed) = line.unparsed else {
                continue;
            };
            let mut given = of_group.answers.iter().zip(&line.shares);
            let mut given = given.by_ref().filter(|(_, share)| **share > 0.0);
            if let (Some((answer, _)), None) = (given.next(), given.next())
                && answer != OTHERS
            {
                found.push(Constant {
                    place: (line.row.clone(), of_group.group.clone()),
                    answer: answer.clone(),
                    unparsed: unparsed > 0.0,
                });
            }
        }
    }
    found
}
