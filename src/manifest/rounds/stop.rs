//! By which stage rounds stop: one that measures validation questions, and no others.

use std::collections::{BTreeMap, BTreeSet};

use super::members::Member;
use super::read::Rounds;
use super::reads::{Stages, VALIDATION};
use crate::artifact::ArtifactKind;
use crate::manifest::error::Diagnostic;
use crate::manifest::nearest::{list, suggest};
use crate::manifest::source::Origin;

/// The stage that measures a round, and where it was named.
pub(super) fn measured_by<'n>(
    stages: &Stages<'n>,
    rounds: &Rounds<'n>,
    place: usize,
    members: &BTreeMap<String, Member>,
    errors: &mut Vec<Diagnostic>,
) -> Option<(&'n str, &'n Origin)> {
    let stop = rounds.stop?;
    let origin = rounds.at("stop");
    let path = || {
        let mut path = rounds.path();
        path.push("stop".to_owned());
        path
    };
    let part: BTreeSet<&str> = (members.iter())
        .filter(|(_, member)| member.of == Some(place))
        .map(|(name, _)| name.as_str())
        .collect();
    let measures = |name: &&str| {
        let kind = stages.kind(name);
        kind.is_some_and(|kind| kind.output(ArtifactKind::Evaluation).is_some())
    };
    let behind = stages.behind(&part);
    let of_round = stages.names().filter(|name| behind.contains(name));
    let of_round: Vec<&str> = of_round.filter(measures).collect();
    if let Some((node, name)) = stop
        .get("eval")
        .and_then(|entry| Some((&entry.value, entry.value.as_str()?)))
    {
        let message = if of_round.contains(&name) {
            let splits = stages.splits(name);
            if splits.iter().all(|split| *split == VALIDATION) {
                return Some((name, &node.origin));
            }
            format!(
                "`rounds.{}.stop.eval` names `{name}`, which measures {} questions, but rounds are stopped by validation questions only",
                rounds.name,
                list(splits.into_iter())
            )
        } else {
            format!(
                "`rounds.{}.stop.eval` names `{name}`, which measures no round",
                rounds.name
            )
        };
        let of_validation = of_round
            .iter()
            .copied()
            .filter(|name| is_of_validation(stages, name));
        let hint = suggest(
            name,
            of_validation,
            "stages that measure validation questions",
        )
        .unwrap_or_else(|| ADD_ONE.to_owned());
        errors.push(Diagnostic {
            path: path(),
            ..Diagnostic::at(&node.origin, message).hint(hint)
        });
        return None;
    }
    let mut found: Vec<&str> = of_round;
    found.retain(|name| is_of_validation(stages, name));
    let (message, hint) = match found.as_slice() {
        [one] => return Some((*one, origin)),
        [] => (
            format!(
                "the rounds `{}` stop by validation questions, and no stage of a round measures those",
                rounds.name
            ),
            ADD_ONE.to_owned(),
        ),
        [first, ..] => (
            format!(
                "several stages measure the rounds `{}` on validation questions: {}",
                rounds.name,
                list(found.iter().copied())
            ),
            format!("name one: `stop = {{ eval = \"{first}\", ... }}`"),
        ),
    };
    errors.push(Diagnostic {
        path: path(),
        ..Diagnostic::at(origin, message).hint(hint)
    });
    None
}

const ADD_ONE: &str = "add a `predict` with `questions = \"data.validation\"` on the round's model, and an `eval` of its answers with the same questions";

fn is_of_validation(stages: &Stages<'_>, name: &str) -> bool {
    let splits = stages.splits(name);
    !splits.is_empty() && splits.iter().all(|split| *split == VALIDATION)
}
