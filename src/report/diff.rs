//! Two evaluations side by side.

use std::collections::BTreeMap;

use super::interval::{percent, plain};
use super::new_table;
use crate::metric::Evaluation;

/// The figures of two evaluations, and on the questions that both measured, who was right.
pub fn evaluations_side_by_side(a: &Evaluation, b: &Evaluation) -> String {
    let mut table = new_table();
    table.set_header(["figure", "A", "B", "B - A"]);
    let points = |x: f64| format!("{:+.1}", 100.0 * x);
    for (name, in_a, in_b) in [
        ("Acc %", &a.accuracy, &b.accuracy),
        ("parsed %", &a.parsed, &b.parsed),
        ("Fmt %", &a.format.aligned, &b.format.aligned),
    ] {
        table.add_row([
            name.to_owned(),
            percent(in_a),
            percent(in_b),
            points(in_b.value - in_a.value),
        ]);
    }
    for (name, in_a, in_b) in [("Len", &a.len, &b.len), ("Rep", &a.rep, &b.rep)] {
        let difference = format!("{:+.2}", in_b.value - in_a.value);
        table.add_row([name.to_owned(), plain(in_a, 2), plain(in_b, 2), difference]);
    }
    let right_in_b: BTreeMap<&str, bool> = b
        .outcomes
        .iter()
        .map(|o| (o.question_id.as_str(), o.correct))
        .collect();
    let mut counts = [[0_usize; 2]; 2];
    for outcome in &a.outcomes {
        if let Some(right) = right_in_b.get(outcome.question_id.as_str()) {
            counts[usize::from(outcome.correct)][usize::from(*right)] += 1;
        }
    }
    format!(
        "{table}\n    both right {}, only A {}, only B {}, both wrong {}\n",
        counts[1][1], counts[1][0], counts[0][1], counts[0][0]
    )
}
