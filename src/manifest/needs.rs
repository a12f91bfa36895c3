//! What paths carry, and what is asked of them: a filter on a score that no stage before it makes, or on a limit
//! that the score never reaches, would fail after hours.
//!
//! In: the wiring and the stages' parameters. Out: what the paths of each stage carry, and mistakes.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::error::Diagnostic;
use super::param_error::placed;
use super::wire::{Draft, Wiring};
use super::words::dotted;
use crate::artifact::ArtifactKind;
use crate::stage::{Carried, Port};

/// What the paths of each stage carry, by the stage's name. `order` has each stage after those it reads from.
pub(super) fn check(
    wiring: &Wiring<'_>,
    params: &[Option<Map<String, Value>>],
    order: &[usize],
    errors: &mut Vec<Diagnostic>,
) -> BTreeMap<String, Carried> {
    let mut carried: BTreeMap<String, Carried> = BTreeMap::new();
    for &stage in order {
        let draft = &wiring.drafts[stage];
        let (Some(kind), Some(params)) = (draft.kind, &params[stage]) else {
            carried.insert(draft.name.to_owned(), Carried::unknown());
            continue;
        };
        let mut input: Option<Carried> = None;
        for wire in wiring.inputs[stage].values() {
            let from = || {
                let from = carried.get(wiring.drafts[wire.from.stage].name);
                from.cloned().unwrap_or_else(Carried::unknown)
            };
            let comes = match wire.port.accepts {
                ArtifactKind::Paths => from(),
                // An answer may have its tokens, and no score.
                ArtifactKind::Predictions => Carried {
                    tokens: true,
                    hinted: from().hinted,
                    ..Carried::default()
                },
                _ => continue,
            };
            input = Some(match input {
                Some(input) => input.and(&comes),
                None => comes,
            });
        }
        let mut input = input.unwrap_or_else(|| {
            // That a needed input is not there is told by itself, and says nothing of what it would carry.
            let needed = |port: &Port| port.accepts == ArtifactKind::Paths && !port.optional;
            if kind.inputs().iter().any(needed) {
                Carried::unknown()
            } else {
                Carried::default()
            }
        });
        // Those that have none get some.
        input.tokens |= wiring.inputs[stage]
            .values()
            .any(|wire| wire.port.tokenises);
        if input.hinted && kind.output(ArtifactKind::Evaluation).is_some() {
            errors.push(measures_hinted(draft));
        }
        let param_errors = kind.needs(params).into_iter();
        errors.extend(
            param_errors
                .filter_map(|need| input.lacks(&need))
                .map(|param_error| placed(&draft.path, draft.node, draft.origin, param_error)),
        );
        carried.insert(draft.name.to_owned(), kind.carried(params, input));
    }
    carried
}

/// What was written with the answer in the prompt says nothing of what a student can do.
fn measures_hinted(draft: &Draft<'_>) -> Diagnostic {
    let message = format!(
        "`{}` would measure what was written with the gold answer in the prompt (`hint` of `sample`)",
        dotted(&draft.path)
    );
    let hint = "hinted paths may be verified, filtered and trained on; measure what `predict` answers, or sample without `hint`";
    Diagnostic {
        path: draft.path.clone(),
        ..Diagnostic::at(draft.origin, message).hint(hint.to_owned())
    }
}
