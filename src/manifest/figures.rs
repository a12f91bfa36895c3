//! `[figures]`: from their sections and the stages of each point to [`FigureSpec`]s.

use std::collections::BTreeMap;

use super::error::Diagnostic;
use super::figure::{FigureSection, FigureSpec, Measure};
use super::nearest::suggest;
use super::rounds::View;
use super::source::Origin;
use super::stage_name::split_reference;
use super::sweep::Named;
use super::tree::{Entry, Node, Tree};
use super::when::LeftOut;
use super::wire::Wiring;
use super::{Axis, PortRef, Sweep};
use crate::filter::Needed;
use crate::stage::{Carried, Need};

/// What the figures of one point name: by figure, by the reference's text.
pub(super) type PointFigures = Vec<BTreeMap<String, Option<PortRef>>>;

/// Finds what the figures of one point name.
pub(super) fn drafts(
    tree: &Node,
    wiring: &Wiring<'_>,
    (left_out, view): (&LeftOut, View<'_>),
    errors: &mut Vec<Diagnostic>,
) -> PointFigures {
    entries(tree)
        .iter()
        .map(|entry| {
            let mut refs = BTreeMap::new();
            let Some(section) = section(entry) else {
                return refs;
            };
            for (text, kind) in section.references() {
                let (stage, _) = split_reference(text);
                let here = view.reference(text);
                let here = here.filter(|_| !left_out.contains_key(stage));
                let found = here.and_then(|here| {
                    let place = format!("the figure `{}`", entry.key);
                    let origin = written(&entry.value, text).unwrap_or(&entry.key_origin);
                    wiring
                        .artifact(&place, kind, &here, origin, errors)
                        .and_then(|outlet| wiring.port_ref(outlet))
                });
                refs.insert(text.to_owned(), found);
            }
            refs
        })
        .collect()
}

/// Reports scores that the paths of a figure do not have.
pub(super) fn check_scores(
    tree: &Node,
    figures: &PointFigures,
    carried: &BTreeMap<String, Carried>,
    errors: &mut Vec<Diagnostic>,
) {
    for (entry, refs) in entries(tree).iter().zip(figures) {
        let Some(section) = section(entry) else {
            continue;
        };
        let shown = refs.values().flatten();
        for of_paths in shown.filter_map(|found| carried.get(found.stage.as_str())) {
            for score in section.scores() {
                let need = Need {
                    field: String::new(),
                    what: Needed::Score(score.to_owned()),
                };
                let Some(lack) = of_paths.lacks(&need) else {
                    continue;
                };
                let origin = written(&entry.value, score).unwrap_or(&entry.key_origin);
                let message = format!("the figure `{}`: {}", entry.key, lack.message);
                errors.push(Diagnostic::at(origin, message).hint(lack.hint));
            }
        }
    }
}

fn entries(tree: &Node) -> &[Entry] {
    let figures = tree.get("figures").and_then(Node::as_table);
    figures.map_or(&[], |table| &table.entries)
}

/// The section; none where it does not fit, which the schema tells.
fn section(entry: &Entry) -> Option<FigureSection> {
    serde_json::from_value(entry.value.to_json()).ok()
}

/// Where a text, or a reference that begins with it, stands in a figure's section.
fn written<'n>(node: &'n Node, text: &str) -> Option<&'n Origin> {
    match &node.value {
        Tree::String(found) => {
            let begins = found.strip_prefix(text)?;
            (begins.is_empty() || begins.starts_with('.')).then_some(&node.origin)
        }
        Tree::Array(items) => items.iter().find_map(|item| written(item, text)),
        Tree::Table(table) => {
            let mut values = table.entries.iter().map(|entry| &entry.value);
            values.find_map(|value| written(value, text))
        }
        _ => None,
    }
}

/// The figures over all points of a manifest without mistakes so far.
pub(super) fn specs(
    tree: &Node,
    sweep: &Sweep,
    points: &[PointFigures],
    named: &Named,
    errors: &mut Vec<Diagnostic>,
) -> Vec<FigureSpec> {
    let mut specs = Vec::new();
    for (place, entry) in entries(tree).iter().enumerate() {
        let Some(section) = section(entry) else {
            continue;
        };
        check(entry, &section, sweep, errors);
        let mut refs: BTreeMap<String, Vec<Option<PortRef>>> = BTreeMap::new();
        for (point, figures) in points.iter().enumerate() {
            for (text, found) in &figures[place] {
                let found = found.as_ref().and_then(|found| named.at(point, found));
                refs.entry(text.clone()).or_default().push(found);
            }
        }
        specs.push(FigureSpec {
            name: entry.key.clone(),
            section,
            refs,
        });
    }
    specs
}

/// What the schema cannot say: the axes are the sweep's, and what is measured has something to measure it on.
fn check(entry: &Entry, section: &FigureSection, sweep: &Sweep, errors: &mut Vec<Diagnostic>) {
    for name in section.axes() {
        if sweep.axis(name).is_none() {
            let origin = written(&entry.value, name).unwrap_or(&entry.key_origin);
            let message = format!(
                "the figure `{}` names `{name}`, which the sweep does not vary",
                entry.key
            );
            let known = sweep.axes.iter().map(Axis::field);
            let hint = suggest(name, known, "it varies");
            errors.push(Diagnostic::at(origin, message).hint(hint));
        }
    }
    let (measure, evals, filter) = match section {
        FigureSection::Curve {
            measure,
            rows,
            filter,
            ..
        } => (*measure, rows.len(), filter.is_some()),
        FigureSection::HeatMap {
            measure,
            eval,
            filter,
            ..
        } => (*measure, usize::from(eval.is_some()), filter.is_some()),
        _ => return,
    };
    let (wanted, other) = match (measure, section) {
        (Measure::Filter(_), _) => (filter, "`filter`, the stage that kept the paths"),
        (_, FigureSection::Curve { .. }) => (evals > 0, "`rows`, the evaluations to draw"),
        _ => (evals > 0, "`eval`, the evaluation to draw"),
    };
    if !wanted {
        let message = format!("the figure `{}` lacks {other}", entry.key);
        errors.push(Diagnostic::at(&entry.key_origin, message));
    }
}
