//! What the tests are, which are not there, and the smallest difference that so many questions could show.

use super::placed;
use super::rows::titles;
use crate::key::Digest;
use crate::metric::{Design, smallest_difference};
use crate::report::ReportError;
use crate::report::table::ResultTable;
use crate::report::table::build::{self, CellEvaluations, Filler};
use crate::report::table::tests_against::{ALPHA, LeftOut, POWER};

/// What the tests are, and of those that a reader may look for in vain, why.
pub(super) fn told(table: &ResultTable, filler: &Filler<'_>, left_out: &LeftOut) -> Vec<String> {
    let Some(baseline) = filler.spec.baseline else {
        return Vec::new();
    };
    let baseline = &filler.spec.rows[baseline].label;
    let family = left_out.family;
    let (made, tests) = (
        table.tests.len(),
        if family == 1 { "test" } else { "tests" },
    );
    let once = if family < made {
        ", rows with the same answers counted once"
    } else {
        ""
    };
    let mut of_text = table
        .tests
        .iter()
        .map(|test| test.comparison.metric.of_text());
    let of_texts = if of_text.any(|figure| figure.is_some()) {
        " (figures of a text: the same documents)"
    } else {
        ""
    };
    let mut notes = vec![format!(
        "Tests: against {baseline} on the same questions{of_texts}; exact McNemar for what is yes or no for each question, of one seed, else paired bootstrap; intervals of differences of shares are Agresti and Min's. Holm's correction over the {family} {tests} of this table{once}."
    )];
    if table
        .tests
        .iter()
        .any(|test| test.comparison.metric.is_share())
    {
        notes.push(format!(
            "Detectable: the smallest difference that n questions would show with {:.0} % power (two-sided, {:.0} %) between two rows that differ on as many of them as these two; a smaller one is no evidence, and where there is none (-) no difference would show.",
            100.0 * POWER,
            100.0 * ALPHA
        ));
    }
    for other in &left_out.other_questions {
        let (row, group) = &other.place;
        let of = match other.metrics.as_slice() {
            [] => String::new(),
            metrics => format!(" on {}", titles(metrics)),
        };
        let (own, of_baseline) = &other.questions;
        notes.push(format!(
            "No test of {}{of}: it answers other questions, {own}, than {baseline}, {of_baseline}.",
            placed(row, group)
        ));
    }
    for (metric, places) in &left_out.one_sided {
        let places: Vec<String> = (places.iter())
            .map(|(row, group)| placed(row, group))
            .collect();
        notes.push(format!(
            "No test on {} of or against {}: there is no such figure.",
            metric.title(),
            places.join("; ")
        ));
    }
    notes
}

/// The smallest difference of accuracy that so many questions could show, where no baseline is declared to pair with.
pub(super) fn smallest(filler: &mut Filler<'_>) -> Result<Vec<String>, ReportError> {
    let layout = filler.layout;
    let mut notes = Vec::new();
    for column in &layout.columns {
        // By set of questions: what they are called, how many they are, the rows' shares.
        let mut sets: Vec<(Digest, String, usize, Vec<f64>)> = Vec::new();
        for row in &layout.rows {
            let CellEvaluations::Measured(seeds) = filler.own(row, column)? else {
                continue;
            };
            let (first, content) = (&seeds[0], seeds[0].evaluation.questions);
            let sum: f64 = seeds
                .iter()
                .map(|seed| seed.evaluation.accuracy.value)
                .sum();
            let share = sum / seeds.len() as f64;
            match sets.iter_mut().find(|(known, ..)| *known == content) {
                Some((.., shares)) => shares.push(share),
                None => sets.push((
                    content,
                    first.questions.clone(),
                    build::sets(&seeds).values().sum(),
                    vec![share],
                )),
            }
        }
        let several = sets.len() > 1;
        for (_, name, n, shares) in sets {
            let mut place: Vec<&str> = Vec::new();
            place.extend((!column.title.is_empty()).then_some(column.title.as_str()));
            place.extend(several.then_some(name.as_str()));
            let place = match place.as_slice() {
                [] => String::new(),
                parts => format!("{}: ", parts.join(", ")),
            };
            notes.push(format!("{place}{}", smallest_between(n, &shares)));
        }
    }
    Ok(notes)
}

/// Of the rows nearest one half and farthest from it: what lies between is between.
fn smallest_between(n: usize, shares: &[f64]) -> String {
    let mut shares = shares.to_vec();
    shares.sort_by(|a, b| (a - 0.5).abs().total_cmp(&(b - 0.5).abs()));
    let found = |share: f64| {
        let found = smallest_difference(n, Design::Independent { share }, ALPHA, POWER);
        (found, format!("near {:.0} %", 100.0 * share))
    };
    let (nearest, near) = found(shares[0]);
    let (farthest, far) = found(shares[shares.len() - 1]);
    let (power, alpha) = (100.0 * POWER, 100.0 * ALPHA);
    let points = |found: f64| format!("{:.1} points", 100.0 * found);
    let begin = format!(
        "The smallest difference of Acc that {n} questions would show with {power:.0} % power"
    );
    match (nearest, farthest) {
        (Some(nearest), Some(farthest)) if points(nearest) == points(farthest) => format!(
            "{begin} (two-sided, {alpha:.0} %; unpaired, {near}): {}. A smaller one in this table is no evidence.",
            points(nearest)
        ),
        (Some(nearest), Some(farthest)) => format!(
            "{begin} (two-sided, {alpha:.0} %; unpaired): {} {far}, {} {near}. A smaller one between two rows there is no evidence.",
            points(farthest),
            points(nearest)
        ),
        _ => format!(
            "No difference of Acc that is possible here would show on {n} questions with {power:.0} % power (two-sided, {alpha:.0} %; unpaired)."
        ),
    }
}
