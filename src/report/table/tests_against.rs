//! Every row against the declared baseline, on the same questions.

use std::collections::BTreeMap;
use std::sync::Arc;

use rayon::prelude::*;
use serde::Serialize;

use super::beside::CellTexts;
use super::build::{CellEvaluations, Filler, Measured, sets};
use crate::artifact::Artifact;
use crate::key::Digest;
use crate::manifest::{LayoutColumn, LayoutRow};
use crate::metric::{
    Comparison, Design, Evaluation, Metric, MetricError, Test, TextFigure, TextScores, compare,
    compare_texts, holm, smallest_difference,
};
use crate::report::ReportError;

/// The chance to find a difference that is there, and the one to find one that is not, on which the smallest
/// difference is told (the usual ones).
pub(super) const POWER: f64 = 0.8;
pub(super) const ALPHA: f64 = 0.05;

/// A row's figure against the baseline's.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub(crate) struct TestAgainst {
    /// The row, by its title.
    pub row: String,
    /// The baseline's row, by its title.
    pub baseline: String,
    /// The group of columns.
    pub group: String,
    /// The row's figure less the baseline's, and its p-value.
    #[serde(flatten)]
    pub comparison: Comparison,
    /// The p-value after Holm's correction over the table's family of tests, which counts equal ones once.
    pub corrected_p: f64,
    /// Seeds of the row and of the baseline.
    pub seeds: (usize, usize),
    /// Of shares, the smallest difference that so many questions would show between two rows that differ on as many of
    /// them as these two; `None` where none would show.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detectable: Option<f64>,
}

/// The tests of a table.
#[derive(Default)]
pub(super) struct Tests {
    pub(super) made: Vec<TestAgainst>,
    pub(super) left_out: LeftOut,
}

/// What a reader must know of the tests that are not there.
#[derive(Default)]
pub(super) struct LeftOut {
    /// How many different tests there are.
    pub(super) family: usize,
    /// Rows whose figures are over other questions than the baseline's.
    pub(super) other_questions: Vec<OtherQuestions>,
    /// Figures that one of a row and its baseline has and the other has not: which one, by title and group of columns.
    pub(super) one_sided: BTreeMap<Metric, Vec<(String, String)>>,
}

/// A row that is measured on other questions than the baseline.
pub(super) struct OtherQuestions {
    /// Its title, and the group of columns'.
    pub(super) place: (String, String),
    /// The figures; none where it is all of them.
    pub(super) metrics: Vec<Metric>,
    /// Its questions and the baseline's, for a person.
    pub(super) questions: (String, String),
}

/// What makes two tests one: the metric and what the arms answered, seed by seed.
type Identity = (Metric, Vec<Digest>, Vec<Digest>);

/// Tests each row of the family on each of its metrics that it and its baseline have: the row of the baseline's label
/// with the same values on the row axes, or the one that does not depend on them. Arms with the same answers are one:
/// there is nothing to test between them, and two tests of such arms are one.
pub(super) fn tests(filler: &mut Filler<'_>, baseline: usize) -> Result<Tests, ReportError> {
    let (layout, spec) = (filler.layout, filler.spec);
    let mut pairs = Vec::new();
    let mut left_out = LeftOut::default();
    for column in &layout.columns {
        for row in layout
            .rows
            .iter()
            .filter(|row| spec.tested.rows.contains(&row.spec))
        {
            let Some(base) = baseline_of(&layout.rows, row, baseline) else {
                continue;
            };
            let mut elsewhere: BTreeMap<(String, String), Vec<Metric>> = BTreeMap::new();
            let mut tested = 0;
            for &metric in &spec.tested.metrics {
                if let Some(figure) = metric.of_text() {
                    pairs.extend(texts(filler, row, base, column, (metric, figure))?);
                    continue;
                }
                let (a, b) = (
                    filler.measured(row, column, metric)?,
                    filler.measured(base, column, metric)?,
                );
                let (CellEvaluations::Measured(a), CellEvaluations::Measured(b)) = (a, b) else {
                    continue;
                };
                if sets(&a) != sets(&b) {
                    let questions = (questions_of(&a[0]), questions_of(&b[0]));
                    elsewhere.entry(questions).or_default().push(metric);
                    continue;
                }
                tested += 1;
                let has = |seeds: &[Measured]| {
                    let mut seeds = seeds.iter();
                    seeds.all(|seed| metric.of(&seed.evaluation).is_some())
                };
                if has(&a) != has(&b) {
                    let without = if has(&a) { base } else { row };
                    let place = (without.title.clone(), column.title.clone());
                    let places = left_out.one_sided.entry(metric).or_default();
                    if !places.contains(&place) {
                        places.push(place);
                    }
                } else if identities(&a) != identities(&b) {
                    pairs.push(Pair {
                        place: (&row.title, &base.title, &column.title),
                        identity: (metric, identities(&a), identities(&b)),
                        arms: Arms::Answers(
                            a.into_iter().map(|seed| seed.evaluation).collect(),
                            b.into_iter().map(|seed| seed.evaluation).collect(),
                        ),
                    });
                }
            }
            let all = tested == 0 && elsewhere.len() == 1;
            let place = (row.title.clone(), column.title.clone());
            left_out
                .other_questions
                .extend(
                    elsewhere
                        .into_iter()
                        .map(|(questions, metrics)| OtherQuestions {
                            place: place.clone(),
                            metrics: if all { Vec::new() } else { metrics },
                            questions,
                        }),
                );
        }
    }
    // A sweep has thousands of pairs, and each of them thousands of resamples.
    let compared: Vec<Option<(Identity, TestAgainst)>> = pairs
        .into_par_iter()
        .map(Pair::compare)
        .collect::<Result<_, _>>()?;
    let (identities, mut made): (Vec<Identity>, Vec<TestAgainst>) =
        compared.into_iter().flatten().unzip();
    let family: BTreeMap<&Identity, f64> = (identities.iter())
        .zip(made.iter().map(|test| test.comparison.p))
        .collect();
    left_out.family = family.len();
    let p: Vec<f64> = family.values().copied().collect();
    let corrected: BTreeMap<&Identity, f64> = family.into_keys().zip(holm(&p)).collect();
    for (test, identity) in made.iter_mut().zip(&identities) {
        test.corrected_p = corrected[identity];
    }
    Ok(Tests { made, left_out })
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

fn identities(seeds: &[Measured]) -> Vec<Digest> {
    seeds.iter().map(|seed| seed.identity).collect()
}

/// `data.test (687 questions)`.
fn questions_of(seed: &Measured) -> String {
    format!("{} ({} questions)", seed.questions, seed.questions())
}

/// A row's figure and the baseline's.
struct Pair<'l> {
    /// The row, the baseline and the group of columns, by their titles.
    place: (&'l str, &'l str, &'l str),
    identity: Identity,
    arms: Arms,
}

/// The row and the baseline, seed by seed.
enum Arms {
    Answers(Vec<Arc<Evaluation>>, Vec<Arc<Evaluation>>),
    Texts(TextFigure, Vec<Arc<TextScores>>, Vec<Arc<TextScores>>),
}

impl Arms {
    fn compare(&self, metric: Metric) -> Result<Option<Comparison>, MetricError> {
        match self {
            Self::Answers(a, b) => compare(metric, &borrowed(a), &borrowed(b)),
            Self::Texts(figure, a, b) => compare_texts(metric, *figure, &borrowed(a), &borrowed(b)),
        }
    }

    fn seeds(&self) -> (usize, usize) {
        match self {
            Self::Answers(a, b) => (a.len(), b.len()),
            Self::Texts(_, a, b) => (a.len(), b.len()),
        }
    }
}

fn borrowed<T>(seeds: &[Arc<T>]) -> Vec<&T> {
    seeds.iter().map(|seed| &**seed).collect()
}

/// A row's figure of a text and the baseline's, where both are of one text and differ.
fn texts<'l>(
    filler: &mut Filler<'_>,
    row: &'l LayoutRow,
    base: &'l LayoutRow,
    column: &'l LayoutColumn,
    (metric, figure): (Metric, TextFigure),
) -> Result<Option<Pair<'l>>, ReportError> {
    let (CellTexts::Scored(a), CellTexts::Scored(b)) = (
        filler.texts(row, column, metric)?,
        filler.texts(base, column, metric)?,
    ) else {
        return Ok(None);
    };
    let scores = |seeds: Vec<(_, Arc<TextScores>)>| -> Vec<Arc<TextScores>> {
        seeds.into_iter().map(|(_, scores)| scores).collect()
    };
    let (a, b) = (scores(a), scores(b));
    let one_text = a.iter().chain(&b).all(|each| each.text == a[0].text);
    let identities = |seeds: &[Arc<TextScores>]| -> Vec<Digest> {
        seeds
            .iter()
            .map(|seed| Digest::of(&seed.encode()))
            .collect()
    };
    let identity = (metric, identities(&a), identities(&b));
    let differ = a.len() != b.len() || a.iter().zip(&b).any(|(a, b)| a.documents != b.documents);
    Ok((one_text && differ).then(|| Pair {
        place: (&row.title, &base.title, &column.title),
        identity,
        arms: Arms::Texts(figure, a, b),
    }))
}

impl Pair<'_> {
    fn compare(self) -> Result<Option<(Identity, TestAgainst)>, MetricError> {
        let (row, baseline, group) = self.place;
        let found = self.arms.compare(self.identity.0)?;
        Ok(found.map(|comparison| {
            let test = TestAgainst {
                row: row.to_owned(),
                baseline: baseline.to_owned(),
                group: group.to_owned(),
                comparison,
                corrected_p: 1.0,
                seeds: self.arms.seeds(),
                detectable: detectable(&comparison),
            };
            (self.identity, test)
        }))
    }
}

fn detectable(found: &Comparison) -> Option<f64> {
    let (mean_square, n) = (found.mean_square, found.difference.n);
    let design = match found.test {
        Test::ExactMcnemar => Design::Paired {
            discordant: mean_square,
        },
        Test::PairedBootstrap => Design::PairedOverSeeds { mean_square },
    };
    let share = found.metric.is_share();
    share
        .then(|| smallest_difference(n, design, ALPHA, POWER))
        .flatten()
}
