//! What a filter dropped, step by step, as a table; of a sweep's filters, what each kept, a line each.

use std::collections::BTreeMap;

use comfy_table::CellAlignment;

use super::interval::share_text;
use super::{ReportError, Source, Width};
use crate::artifact::ArtifactKind;
use crate::filter::Funnel;
use crate::key::Digest;
use crate::plan::{Node, NodeId};
use crate::text::printable;

/// More filters of one name than this are told a line each (ours).
pub(super) const WHOLE: usize = 2;

/// What each `filter` stage among `nodes` that has outputs dropped and kept, by its name.
///
/// # Errors
/// When an artifact cannot be read.
pub(crate) fn funnels(
    source: &Source<'_>,
    nodes: &[NodeId],
    width: Width,
) -> Result<Vec<String>, ReportError> {
    let mut texts = Vec::new();
    for (base, all) in found(source, nodes)? {
        if all.len() > WHOLE {
            texts.push(FilterGroup::new(base, &all).text(width));
            continue;
        }
        for found in all {
            texts.push(format!(
                "{}: which paths were kept\n{}",
                printable(&found.node.all_names()),
                funnel_text(&found.funnel, width)
            ));
        }
    }
    Ok(texts)
}

/// The filters of a sweep that are told a line each.
///
/// # Errors
/// When an artifact cannot be read.
pub(super) fn filter_groups(
    source: &Source<'_>,
    nodes: &[NodeId],
) -> Result<Vec<FilterGroup>, ReportError> {
    let found = found(source, nodes)?.into_iter();
    Ok(found
        .filter(|(_, all)| all.len() > WHOLE)
        .map(|(base, all)| FilterGroup::new(base, &all))
        .collect())
}

/// What one filter did.
struct Found<'p> {
    node: &'p Node,
    kept: Option<Digest>,
    funnel: Funnel,
}

/// The filters that have outputs, by their names in the manifest.
fn found<'s>(
    source: &Source<'s>,
    nodes: &[NodeId],
) -> Result<Vec<(&'s str, Vec<Found<'s>>)>, ReportError> {
    let mut by_base: Vec<(&str, Vec<Found<'_>>)> = Vec::new();
    for &id in nodes {
        let node = source.plan.node(id);
        let Some(output) = source.output_of(id, ArtifactKind::Funnel) else {
            continue;
        };
        let Some((_, funnel)) = source.artifact::<Funnel>(id, output)? else {
            continue;
        };
        let kept = source.output_of(id, ArtifactKind::Paths);
        let found = Found {
            node,
            kept: kept.and_then(|kept| source.digest(id, kept)),
            funnel,
        };
        match by_base.iter_mut().find(|(base, _)| *base == node.base()) {
            Some((_, all)) => all.push(found),
            None => by_base.push((node.base(), vec![found])),
        }
    }
    Ok(by_base)
}

/// The filters of a sweep, a line each; those that kept the same paths are told.
pub(super) struct FilterGroup {
    pub(super) base: String,
    pub(super) sets: usize,
    pub(super) rows: Vec<[String; 6]>,
}

impl FilterGroup {
    pub(super) const HEADER: [&'static str; 6] = [
        "point",
        "paths",
        "kept",
        "questions kept",
        "yield",
        "the same paths as",
    ];

    fn new(base: &str, all: &[Found<'_>]) -> Self {
        let point = |found: &Found<'_>| {
            let also = found.node.names[1..].iter().map(ToString::to_string);
            let names: Vec<String> = [found.node.point()].into_iter().chain(also).collect();
            printable(&names.join(" = "))
        };
        let mut first: BTreeMap<Digest, String> = BTreeMap::new();
        let mut rows = Vec::new();
        for found in all {
            let funnel = &found.funnel;
            let same = found.kept.and_then(|kept| first.get(&kept).cloned());
            if let Some(kept) = found.kept {
                first.entry(kept).or_insert_with(|| point(found));
            }
            rows.push([
                point(found),
                funnel.paths.to_string(),
                funnel.kept.to_string(),
                funnel.questions_kept.to_string(),
                share_text(funnel.questions_kept as u64, funnel.questions as u64),
                same.unwrap_or_default(),
            ]);
        }
        Self {
            base: printable(base),
            sets: first.len(),
            rows,
        }
    }

    fn text(&self, width: Width) -> String {
        let mut table = width.table();
        table.set_header(Self::HEADER);
        for column in table.column_iter_mut().skip(1).take(4) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        for row in &self.rows {
            table.add_row(row);
        }
        format!(
            "{}: which paths were kept, at {} points, {} different sets\n{table}\n",
            self.base,
            self.rows.len(),
            self.sets
        )
    }
}

/// The funnel as a table: what each step dropped, by which of its rules, and what is left; below it,
/// what the kept paths conclude.
pub(super) fn funnel_text(funnel: &Funnel, width: Width) -> String {
    let mut table = width.table();
    table.set_header(["step", "dropped", "left", "questions left", "yield"]);
    // The first row is what came in, so that a step stands one row below its place.
    let rules = std::iter::once(None).chain(funnel.steps.iter().map(|step| Some(&step.by_rule)));
    for ((name, dropped, left, questions), by_rule) in funnel.rows().into_iter().zip(rules) {
        table.add_row([
            name,
            dropped.to_string(),
            left.to_string(),
            questions.to_string(),
            share_text(questions as u64, funnel.questions as u64),
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
        let funnel = Funnel {
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
        };
        let text = funnel_text(&funnel, Width::FREE);
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
