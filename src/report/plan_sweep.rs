//! The plan of a sweep: its points, and what they take together, by the stages' names in the manifest.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::json;

use super::Width;
use crate::key::canonical_json;
use crate::manifest::Sweep;
use crate::plan::{NodeState, Plan, Resolved};
use crate::text::printable;

/// Points that are listed one by one (ours).
const LISTED: usize = 30;

/// A sweep's points, what varies, and its stages, those of one name on a line.
pub(super) fn sweep_text(
    sweep: &Sweep,
    plan: &Plan,
    resolved: &[Resolved],
    width: Width,
) -> String {
    let mut text = String::new();
    for axis in &sweep.axes {
        let labels: Vec<&str> = axis.values.iter().map(|v| v.label.as_str()).collect();
        let _ = writeln!(
            text,
            "{} ({}): {}",
            printable(axis.field()),
            labels.len(),
            printable(&labels.join(", "))
        );
    }
    let all: Vec<usize> = (0..sweep.axes.len()).collect();
    for point in sweep.points.iter().take(LISTED) {
        let _ = writeln!(text, "  {}", printable(&sweep.label(point, &all)));
    }
    if sweep.points.len() > LISTED {
        let _ = writeln!(text, "  and {} more", sweep.points.len() - LISTED);
    }
    let mut table = width.table();
    let any_not_needed =
        (resolved.iter()).any(|each| matches!(each.state, NodeState::NotNeeded(_)));
    let last = any_not_needed.then_some("not needed");
    let header = ["stage", "kind", "stages", "hit", "to run", "not known yet"];
    table.set_header(header.into_iter().chain(last));
    for (base, counts) in by_base(plan, resolved) {
        table.add_row(
            [
                base.to_owned(),
                counts.kind.to_owned(),
                counts.all().to_string(),
                counts.hits.to_string(),
                counts.misses.to_string(),
                counts.depends.to_string(),
            ]
            .into_iter()
            .chain(any_not_needed.then(|| counts.not_needed.to_string())),
        );
    }
    let _ = writeln!(text, "{table}");
    let _ = writeln!(text, "{}", work(sweep, plan, resolved));
    text
}

/// `125 points: sample 1, filter 125, finetune up to 125 (fewer where points keep the same paths)`.
fn work(sweep: &Sweep, plan: &Plan, resolved: &[Resolved]) -> String {
    let mut kinds: Vec<(&str, Counts)> = Vec::new();
    for (_, counts) in by_base(plan, resolved) {
        match kinds.iter_mut().find(|(kind, _)| *kind == counts.kind) {
            Some((_, all)) => all.add(&counts),
            None => kinds.push((counts.kind, counts)),
        }
    }
    let points = match sweep.points.len() {
        1 => "1 point".to_owned(),
        points => format!("{points} points"),
    };
    let mut fewer = false;
    let parts: Vec<String> = kinds
        .iter()
        .filter(|(_, counts)| counts.misses + counts.depends > 0)
        .map(|(kind, counts)| {
            fewer |= counts.shared;
            let upto = if counts.shared { "up to " } else { "" };
            format!("{kind} {upto}{}", counts.misses + counts.depends)
        })
        .collect();
    if parts.is_empty() {
        return format!("{points}: nothing to run");
    }
    let fewer = if fewer {
        " (fewer where points turn out to have the same inputs, for example keep the same paths)"
    } else {
        ""
    };
    format!("{points}: {}{fewer}", parts.join(", "))
}

/// The stages of one name.
struct Counts {
    kind: &'static str,
    hits: usize,
    misses: usize,
    depends: usize,
    not_needed: usize,
    /// Whether some of them may turn out to be one: what they differ by is not known before it is made.
    shared: bool,
}

impl Counts {
    fn all(&self) -> usize {
        self.hits + self.misses + self.depends + self.not_needed
    }

    fn add(&mut self, other: &Self) {
        self.hits += other.hits;
        self.misses += other.misses;
        self.depends += other.depends;
        self.not_needed += other.not_needed;
        self.shared |= other.shared;
    }
}

fn by_base<'p>(plan: &'p Plan, resolved: &[Resolved]) -> Vec<(&'p str, Counts)> {
    let mut order: Vec<(&str, Counts)> = Vec::new();
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    for each in resolved {
        let node = plan.node(each.node);
        let place = *places.entry(node.base()).or_insert_with(|| {
            order.push((
                node.base(),
                Counts {
                    kind: node.kind.name(),
                    hits: 0,
                    misses: 0,
                    depends: 0,
                    not_needed: 0,
                    shared: false,
                },
            ));
            order.len() - 1
        });
        let counts = &mut order[place].1;
        match &each.state {
            NodeState::Hit(_) => counts.hits += 1,
            NodeState::Miss(_) => counts.misses += 1,
            NodeState::DependsOn(_) | NodeState::Unfetched(_) => counts.depends += 1,
            NodeState::NotNeeded(_) => counts.not_needed += 1,
        }
    }
    // Stages that differ in parameters or seed stay apart; those that differ only in what they read may not.
    let mut own: BTreeMap<(&str, String), usize> = BTreeMap::new();
    for each in resolved {
        let node = plan.node(each.node);
        if matches!(each.state, NodeState::DependsOn(_)) {
            let seed = node.kind.seeded().then_some(node.seed);
            let what = canonical_json(&json!([node.params, seed]));
            let count = own.entry((node.base(), what)).or_default();
            *count += 1;
            if *count > 1
                && let Some(place) = places.get(node.base())
            {
                order[*place].1.shared = true;
            }
        }
    }
    order
}
