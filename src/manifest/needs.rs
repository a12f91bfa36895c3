//! What paths carry, and what is asked of them: a filter on a score that no stage before it makes, or on a limit
//! that the score never reaches, would fail after hours.
//!
//! In: the wiring and the stages' parameters. Out: what the paths of each stage carry, and mistakes.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::error::Diagnostic;
use super::param_error::placed;
use super::wire::Wiring;
use crate::artifact::ArtifactKind;
use crate::stage::Carried;

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
        let mut input = Carried::default();
        for wire in wiring.inputs[stage].values() {
            match wire.port.accepts {
                ArtifactKind::Paths => {
                    let from = wiring.drafts[wire.from.stage].name;
                    input = carried.get(from).cloned().unwrap_or_else(Carried::unknown);
                }
                // An answer may have its tokens.
                ArtifactKind::Predictions => input.tokens = true,
                _ => {}
            }
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
