//! What students were taught on, and what asks them so: a question whose examples do not come in would fail once the
//! training is over.
//!
//! In: the wiring and the stages' parameters. Out: mistakes.

use serde_json::{Map, Value};

use super::error::Diagnostic;
use super::param_error::placed;
use super::wire::Wiring;
use crate::artifact::ArtifactKind;
use crate::stage::{EXAMPLES, ParamError};

/// Finds stages that ask as their student was taught, with examples, and get none. `order` has each stage after those it reads
/// from.
pub(super) fn check(
    wiring: &Wiring<'_>,
    params: &[Option<Map<String, Value>>],
    order: &[usize],
    errors: &mut Vec<Diagnostic>,
) {
    let mut taught = vec![false; wiring.drafts.len()];
    for &stage in order {
        let draft = &wiring.drafts[stage];
        let (Some(kind), Some(params)) = (draft.kind, &params[stage]) else {
            continue;
        };
        let wires = &wiring.inputs[stage];
        let student = wires
            .values()
            .find(|wire| wire.port.accepts == ArtifactKind::Model);
        let first = student.is_some_and(|wire| taught[wire.from.stage]);
        taught[stage] = kind.taught_with_examples(params, first);
        if first && kind.asks_as_taught(params) && !wires.contains_key(EXAMPLES.name) {
            let student = student.map_or("", |wire| wiring.drafts[wire.from.stage].name);
            let param_error = ParamError {
                field: "prompt".to_owned(),
                message: format!(
                    "`{student}` is asked as it was taught, with examples before each question, and none come in"
                ),
                hint: Some("add `examples = \"data.train\"`, or say another `prompt`".to_owned()),
            };
            let (path, node) = (&draft.path, draft.node);
            errors.push(placed(path, node, draft.origin, param_error));
        }
    }
}
