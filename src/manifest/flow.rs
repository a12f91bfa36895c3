//! What flows where: circles, and the way of test data.
//!
//! In: the wiring and the tables. Out: mistakes that no single reference shows. Test data may be
//! predicted and measured, and the measure may stand in a table; it never reaches a port that
//! shapes a model or a choice, over any number of stages. That is why a table of results can be
//! believed.

use std::collections::BTreeSet;

use super::error::Diagnostic;
use super::tables::{RowDraft, TableDraft};
use super::wire::{Outlet, Wire, Wiring};
use super::words::dotted;
use crate::artifact::ArtifactKind;
use crate::stage::Output;

/// Reports circles and forbidden ways of test data. Gives the stages, each after those it reads from; those in or
/// behind a circle are left out.
pub(super) fn check<'t>(
    wiring: &Wiring<'_>,
    tables: impl IntoIterator<Item = &'t TableDraft>,
    errors: &mut Vec<Diagnostic>,
) -> Vec<usize> {
    let order = order(wiring, errors);
    let declared: BTreeSet<usize> = tables
        .into_iter()
        .flat_map(|table| table.rows.iter())
        .flat_map(RowDraft::outlets)
        .map(|outlet| outlet.stage)
        .collect();
    // By stage, the input through which test data came in.
    let mut touched: Vec<Option<&Wire>> = vec![None; wiring.drafts.len()];
    for &stage in &order {
        for wire in wiring.inputs[stage].values() {
            let test = is_test(wiring, wire.from) || touched[wire.from.stage].is_some();
            if !test || wire.port.screens {
                continue;
            }
            if wire.port.trains {
                errors.push(trains_on_test(wiring, stage, wire, &touched));
            } else {
                touched[stage].get_or_insert(wire);
            }
        }
        let kind = wiring.drafts[stage].kind;
        let measures = kind.is_some_and(|kind| kind.output(ArtifactKind::Evaluation).is_some());
        if measures && touched[stage].is_some() && !declared.contains(&stage) {
            let draft = &wiring.drafts[stage];
            let message = format!(
                "`{}` measures test data, but test is read by declared tables only",
                dotted(&draft.path)
            );
            let hint = format!(
                "add it to a table: `rows = [{{ label = \"...\", eval = \"{}\" }}]`",
                draft.stage.base()
            );
            errors.push(Diagnostic {
                path: draft.path.clone(),
                related: way(wiring, stage, &touched),
                ..Diagnostic::at(draft.origin, message).hint(hint)
            });
        }
    }
    order
}

fn is_test(wiring: &Wiring<'_>, outlet: Outlet) -> bool {
    wiring.output(outlet).is_some_and(Output::holds_test)
}

fn trains_on_test(
    wiring: &Wiring<'_>,
    stage: usize,
    wire: &Wire,
    touched: &[Option<&Wire>],
) -> Diagnostic {
    let mut path = wiring.drafts[stage].path.clone();
    path.push(wire.port.name.to_owned());
    let from = wiring.spelling(wire.from);
    let message = if is_test(wiring, wire.from) {
        format!(
            "`{}` takes test data `{from}`, but what comes in there shapes the result",
            dotted(&path)
        )
    } else {
        format!(
            "`{}` takes `{from}`, which is made from test data, but what comes in there shapes the result",
            dotted(&path)
        )
    };
    // Another output of the same data set, of the kind that the port accepts.
    let data = wiring.drafts[wire.from.stage].kind;
    let other = data
        .filter(|_| is_test(wiring, wire.from))
        .and_then(|kind| {
            let mut outputs = kind.outputs().iter();
            outputs.find(|output| output.kind == wire.port.accepts && !output.holds_test())
        });
    let hint = match other {
        Some(output) => format!(
            "use `{}.{}`; test data may only be measured",
            wiring.drafts[wire.from.stage].stage.base(),
            output.name
        ),
        None => {
            "test data may only be measured; take training data at the start of this way".to_owned()
        }
    };
    Diagnostic {
        path,
        related: way(wiring, wire.from.stage, touched),
        ..Diagnostic::at(&wire.origin, message).hint(hint)
    }
}

/// The places by which test data came to `stage`.
fn way(
    wiring: &Wiring<'_>,
    stage: usize,
    touched: &[Option<&Wire>],
) -> Vec<(super::Origin, String)> {
    let mut places = Vec::new();
    let mut at = stage;
    while let Some(wire) = touched[at] {
        let word = format!(
            "`{}` reads `{}`",
            wiring.drafts[at].stage.base(),
            wiring.spelling(wire.from)
        );
        places.push((wire.origin.clone(), word));
        at = wire.from.stage;
    }
    places
}

/// The stages, each after those it reads from; stages in or behind a circle are left out.
fn order(wiring: &Wiring<'_>, errors: &mut Vec<Diagnostic>) -> Vec<usize> {
    let count = wiring.drafts.len();
    let mut readers: Vec<Vec<usize>> = vec![Vec::new(); count];
    let mut waiting: Vec<usize> = vec![0; count];
    for (stage, inputs) in wiring.inputs.iter().enumerate() {
        for wire in inputs.values() {
            readers[wire.from.stage].push(stage);
            waiting[stage] += 1;
        }
    }
    let mut order: Vec<usize> = (0..count).filter(|stage| waiting[*stage] == 0).collect();
    let mut next = 0;
    while let Some(&stage) = order.get(next) {
        next += 1;
        for &reader in &readers[stage] {
            waiting[reader] -= 1;
            if waiting[reader] == 0 {
                order.push(reader);
            }
        }
    }
    let mut reported = vec![false; count];
    for start in (0..count).filter(|stage| waiting[*stage] > 0) {
        if let Some(circle) = circle(wiring, start, &waiting, &reported) {
            for stage in &circle {
                reported[*stage] = true;
            }
            errors.push(circle_message(wiring, &circle));
        }
    }
    order
}

/// The circle met when going from `start` against the flow, unless it was reported before.
fn circle(
    wiring: &Wiring<'_>,
    start: usize,
    waiting: &[usize],
    reported: &[bool],
) -> Option<Vec<usize>> {
    let mut trail = vec![start];
    let mut place = vec![None; waiting.len()];
    place[start] = Some(0);
    loop {
        let at = *trail.last()?;
        // A stage that waits has an input that waits, so this ends at a stage seen before.
        let wire = wiring.inputs[at]
            .values()
            .find(|wire| waiting[wire.from.stage] > 0)?;
        let from = wire.from.stage;
        if reported[from] {
            return None;
        }
        if let Some(begin) = place[from] {
            let mut circle = trail.split_off(begin);
            // Told from its first stage, in the direction of the flow.
            circle.reverse();
            let first = circle
                .iter()
                .enumerate()
                .min_by_key(|(_, stage)| **stage)?
                .0;
            circle.rotate_left(first);
            return Some(circle);
        }
        place[from] = Some(trail.len());
        trail.push(from);
    }
}

fn circle_message(wiring: &Wiring<'_>, circle: &[usize]) -> Diagnostic {
    let name = |stage: &usize| wiring.drafts[*stage].stage.base();
    let mut names: Vec<&str> = circle.iter().map(name).collect();
    names.extend(circle.first().map(name));
    let before = circle.iter().cycle().skip(circle.len().saturating_sub(1));
    let mut places: Vec<(super::Origin, String)> = circle
        .iter()
        .zip(before)
        .filter_map(|(stage, from)| {
            let wire = wiring.inputs[*stage]
                .values()
                .find(|wire| wire.from.stage == *from)?;
            Some((
                wire.origin.clone(),
                format!("`{}` reads `{}`", name(stage), name(from)),
            ))
        })
        .collect();
    let message = format!("stages wait for each other: {}", names.join(" -> "));
    if places.is_empty() {
        return Diagnostic::new(message);
    }
    let (origin, label) = places.remove(0);
    Diagnostic {
        label: Some(label),
        related: places,
        ..Diagnostic::at(&origin, message)
            .hint("a stage can only read what is made before it".to_owned())
    }
}
