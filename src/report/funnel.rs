//! What a filter dropped, step by step, as a table.

use super::new_table;
use super::results::{ReportError, Source};
use crate::filter::Funnel;
use crate::key::Digest;
use crate::plan::{NodeId, Plan};
use crate::stage::Outputs;
use crate::store::Store;

/// The funnel of each `filter` stage among `nodes` that has outputs, under its name.
///
/// # Errors
/// When an artifact cannot be read.
pub fn funnels(
    plan: &Plan,
    store: &Store,
    nodes: &[NodeId],
    outputs: &dyn Fn(NodeId) -> Option<Outputs>,
) -> Result<Vec<String>, ReportError> {
    let source = Source {
        plan,
        store,
        outputs,
    };
    let mut texts = Vec::new();
    for &id in nodes {
        let node = plan.node(id);
        if node.kind.name() != "filter" {
            continue;
        }
        let found: Option<(Digest, Funnel)> = source.artifact(id, "funnel")?;
        if let Some((_, funnel)) = found {
            let name = node.names.join(" = ");
            texts.push(format!(
                "{name}: which paths were kept\n{}",
                funnel_text(&funnel)
            ));
        }
    }
    Ok(texts)
}

/// The funnel as a table: what each step dropped, by which of its rules, and what is left; below it,
/// what the kept paths conclude.
pub(super) fn funnel_text(funnel: &Funnel) -> String {
    let mut table = new_table();
    table.set_header(["step", "dropped", "left", "questions left", "yield"]);
    // The first row is what came in, so that a step stands one row below its place.
    let rules = std::iter::once(None).chain(funnel.steps.iter().map(|step| Some(&step.by_rule)));
    for ((name, dropped, left, questions), by_rule) in funnel.rows().into_iter().zip(rules) {
        let share = 100.0 * questions as f64 / funnel.questions.max(1) as f64;
        table.add_row([
            name,
            dropped.to_string(),
            left.to_string(),
            questions.to_string(),
            format!("{share:.1} %"),
        ]);
        for (rule, count) in by_rule.into_iter().flatten() {
            table.add_row([format!("  {rule}"), count.to_string()]);
        }
    }
    let concluded = &funnel.conclusions;
    format!(
        "{table}\nThe kept paths: {} conclude as the gold answer, {} against it, {} not at all.\n",
        concluded.agree, concluded.contradict, concluded.none
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::filter::{Conclusions, FunnelStep};

    #[test]
    fn a_step_is_followed_by_its_rules() {
        let step = |name: &str, dropped, left, by_rule: &[(&str, usize)]| FunnelStep {
            name: name.to_owned(),
            dropped,
            by_rule: (by_rule.iter())
                .map(|(rule, count)| ((*rule).to_owned(), *count))
                .collect::<BTreeMap<_, _>>(),
            left,
            questions_left: 2,
        };
        let text = funnel_text(&Funnel {
            questions: 4,
            paths: 10,
            steps: vec![
                step("pattern", 5, 5, &[("direct response", 2), ("imitative", 3)]),
                step("length", 1, 4, &[]),
            ],
            kept: 4,
            questions_kept: 2,
            conclusions: Conclusions {
                agree: 3,
                contradict: 1,
                none: 0,
            },
        });
        let cells: Vec<Vec<&str>> = text
            .lines()
            .filter(|line| line.starts_with('│'))
            .map(|line| line.split(['│', '┆']).map(str::trim).collect())
            .collect();
        assert_eq!(cells[1][1..6], ["sampled", "0", "10", "4", "100.0 %"]);
        assert_eq!(cells[2][1..6], ["pattern", "5", "5", "2", "50.0 %"]);
        assert_eq!(cells[3][1..3], ["direct response", "2"]);
        assert_eq!(cells[4][1..3], ["imitative", "3"]);
        assert_eq!(cells[5][1..4], ["length", "1", "4"]);
        assert!(text.contains("3 conclude as the gold answer, 1 against it, 0 not at all"));
    }
}
