//! Every row against the declared baseline, on the same questions.

use std::sync::Arc;

use rayon::prelude::*;
use serde::Serialize;

use super::build::{Filler, Found, Measured};
use crate::manifest::LayoutRow;
use crate::metric::{Comparison, Evaluation, Metric, MetricError, Resampling, compare_on, holm};
use crate::report::ReportError;

/// A row's figure against the baseline's.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct TestAgainst {
    /// The row, by its title.
    pub row: String,
    /// The baseline's row, by its title.
    pub baseline: String,
    /// The group of columns.
    pub group: String,
    /// The row's figure less the baseline's, and its p-value.
    #[serde(flatten)]
    pub comparison: Comparison,
    /// The p-value after Holm's correction over all tests of the table.
    pub corrected_p: f64,
    /// Seeds of the row and of the baseline.
    pub seeds: (usize, usize),
}

/// Tests each row on each metric that it and its baseline have: the row of the baseline's label with the same values
/// on the row axes, or the one that does not depend on them. The family of Holm's correction is all of these.
pub(super) fn tests(
    filler: &mut Filler<'_>,
    baseline: usize,
    metrics: &[Metric],
) -> Result<Vec<TestAgainst>, ReportError> {
    let layout = filler.layout;
    let mut pairs = Vec::new();
    for column in &layout.columns {
        for row in &layout.rows {
            let Some(base) = baseline_of(&layout.rows, row, baseline) else {
                continue;
            };
            for &metric in metrics {
                let (a, b) = (
                    filler.measured(row, column, metric)?,
                    filler.measured(base, column, metric)?,
                );
                let (Found::Measured(a), Found::Measured(b)) = (a, b) else {
                    continue;
                };
                // Figures over other questions (a row may take one from elsewhere) are no pair.
                if a[0].questions == b[0].questions && !same(&a, &b) {
                    pairs.push(Pair {
                        place: (&row.title, &base.title, &column.title),
                        metric,
                        a: a.into_iter().map(|seed| seed.evaluation).collect(),
                        b: b.into_iter().map(|seed| seed.evaluation).collect(),
                    });
                }
            }
        }
    }
    // A sweep has thousands of pairs, and each of them thousands of resamples.
    let compared: Vec<Option<TestAgainst>> = pairs
        .par_iter()
        .map(Pair::compare)
        .collect::<Result<_, _>>()?;
    let mut tests: Vec<TestAgainst> = compared.into_iter().flatten().collect();
    let p: Vec<f64> = tests.iter().map(|test| test.comparison.p).collect();
    for (test, corrected) in tests.iter_mut().zip(holm(&p)) {
        test.corrected_p = corrected;
    }
    Ok(tests)
}

/// The row that `row` is tested against; none for the baseline itself.
fn baseline_of<'l>(
    rows: &'l [LayoutRow],
    row: &LayoutRow,
    baseline: usize,
) -> Option<&'l LayoutRow> {
    let mut candidates = rows.iter().filter(|base| base.spec == baseline);
    candidates
        .find(|base| base.headers == row.headers || base.headers.iter().all(String::is_empty))
        .filter(|_| row.spec != baseline)
}

fn same(a: &[Measured], b: &[Measured]) -> bool {
    a.iter()
        .map(|each| each.node)
        .eq(b.iter().map(|each| each.node))
}

/// A row's figure and the baseline's.
struct Pair<'l> {
    /// The row, the baseline and the group of columns, by their titles.
    place: (&'l str, &'l str, &'l str),
    metric: Metric,
    a: Vec<Arc<Evaluation>>,
    b: Vec<Arc<Evaluation>>,
}

impl Pair<'_> {
    fn compare(&self) -> Result<Option<TestAgainst>, MetricError> {
        let a: Vec<&Evaluation> = self.a.iter().map(|seed| &**seed).collect();
        let b: Vec<&Evaluation> = self.b.iter().map(|seed| &**seed).collect();
        let (row, baseline, group) = self.place;
        let found = compare_on(self.metric, &a, &b, &Resampling::default())?;
        Ok(found.map(|comparison| TestAgainst {
            row: row.to_owned(),
            baseline: baseline.to_owned(),
            group: group.to_owned(),
            comparison,
            corrected_p: 1.0,
            seeds: (a.len(), b.len()),
        }))
    }
}
