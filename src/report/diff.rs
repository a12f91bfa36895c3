//! Two evaluations side by side.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::Width;
use super::interval::{difference, figure, titled};
use crate::metric::{Evaluation, QuestionOutcome};
use crate::text::{Prediction, printable};

/// The figures that both evaluations have, and on the questions that both measured, who was right.
pub(crate) fn evaluations_side_by_side(a: &Evaluation, b: &Evaluation, width: Width) -> String {
    let mut table = width.table();
    table.set_header(["figure", "A", "B", "B - A"]);
    let columns_b = b.columns();
    for (name, unit, in_a) in a.columns() {
        if let Some((.., in_b)) = columns_b.iter().find(|(other, ..)| *other == name) {
            table.add_row([
                titled(name, unit),
                figure(&in_a, unit),
                figure(in_b, unit),
                difference(&in_a, in_b, unit),
            ]);
        }
    }
    let mut counts = [[0_usize; 2]; 2];
    for (in_a, in_b) in in_both(a, b) {
        counts[usize::from(in_a.correct)][usize::from(in_b.correct)] += 1;
    }
    format!(
        "{table}\n    both right {}, only A {}, only B {}, both wrong {}\n",
        counts[1][1], counts[1][0], counts[0][1], counts[0][0]
    )
}

/// The questions that one of two answered rightly and the other wrongly, with what was said.
/// `outputs_a` and `outputs_b` are the answers that were measured, where they are at hand.
pub(crate) fn changed_answers(
    (a, outputs_a): (&Evaluation, &[Prediction]),
    (b, outputs_b): (&Evaluation, &[Prediction]),
) -> String {
    let (outputs_a, outputs_b) = (by_answer(outputs_a), by_answer(outputs_b));
    let mut text = String::new();
    for (title, right_in_b) in [
        ("right in B, wrong in A", true),
        ("wrong in B, right in A", false),
    ] {
        let changed: Vec<_> = in_both(a, b)
            .filter(|(in_a, in_b)| in_a.correct != in_b.correct && in_b.correct == right_in_b)
            .collect();
        let _ = writeln!(text, "    {title}: {}", changed.len());
        for (in_a, in_b) in changed {
            let id = in_a.question_id.as_str();
            let gold = printable(&in_a.gold);
            let _ = writeln!(text, "    {}  gold {gold}", printable(id));
            for (side, outcome, outputs) in [("A", in_a, &outputs_a), ("B", in_b, &outputs_b)] {
                let said = outcome.parsed.as_deref().unwrap_or("-");
                let _ = write!(text, "    {side} said {}", printable(said));
                if let Some(output) = outputs.get(&(id, outcome.draw)) {
                    let _ = write!(text, ": {}", printable(output.trim()));
                }
                text.push('\n');
            }
        }
    }
    text
}

/// The answers that both measured, in A's order: one to each question, or each of several with that of its number.
fn in_both<'e>(
    a: &'e Evaluation,
    b: &'e Evaluation,
) -> impl Iterator<Item = (&'e QuestionOutcome, &'e QuestionOutcome)> {
    let id = |outcome: &'e QuestionOutcome| (outcome.question_id.as_str(), outcome.draw);
    let in_b: BTreeMap<(&str, u32), &QuestionOutcome> = b
        .outcomes
        .iter()
        .map(|outcome| (id(outcome), outcome))
        .collect();
    a.outcomes
        .iter()
        .filter_map(move |outcome| Some((outcome, *in_b.get(&id(outcome))?)))
}

fn by_answer(predictions: &[Prediction]) -> BTreeMap<(&str, u32), &str> {
    predictions
        .iter()
        .map(|each| ((each.question_id.as_str(), each.draw), each.output.as_str()))
        .collect()
}
