//! Every row against the declared baseline, on the same questions.

use serde::Serialize;

use super::build::{Filler, Found, Measured};
use crate::manifest::LayoutRow;
use crate::metric::{Comparison, Evaluation, Metric, Resampling, compare_on, holm};
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
    let mut tests = Vec::new();
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
                if a[0].questions != b[0].questions || same(&a, &b) {
                    continue;
                }
                let seeds = (a.len(), b.len());
                let (a, b) = (evaluations(&a), evaluations(&b));
                if let Some(comparison) = compare_on(metric, &a, &b, &Resampling::default())? {
                    tests.push(TestAgainst {
                        row: row.title.clone(),
                        baseline: base.title.clone(),
                        group: column.title.clone(),
                        comparison,
                        corrected_p: 1.0,
                        seeds,
                    });
                }
            }
        }
    }
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

fn evaluations(seeds: &[Measured]) -> Vec<&Evaluation> {
    seeds.iter().map(|seed| &*seed.evaluation).collect()
}
