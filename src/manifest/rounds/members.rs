//! Which stages are there once for each round.

use std::collections::{BTreeMap, BTreeSet};

use super::read::Rounds;
use super::reads::{Stages, gathered, stage_of};
use crate::artifact::ArtifactKind;
use crate::manifest::error::Diagnostic;
use crate::manifest::nearest::{list, suggest};
use crate::stage::{Port, Stage};

/// The rounds of a stage.
pub(super) struct Member {
    /// How many.
    pub(super) count: usize,
    /// The place of the section that it is a part of; `None` for one that only reads from such stages.
    pub(super) of: Option<usize>,
}

/// The stages that are there once for each round, by name.
pub(super) fn members(
    stages: &Stages<'_>,
    sections: &[Rounds<'_>],
    errors: &mut Vec<Diagnostic>,
) -> BTreeMap<String, Member> {
    let mut members: BTreeMap<String, Member> = BTreeMap::new();
    let parts: Vec<BTreeSet<&str>> = sections
        .iter()
        .map(|rounds| part(stages, rounds, errors))
        .collect();
    for (place, part) in parts.iter().enumerate() {
        let rounds = &sections[place];
        for name in part {
            let member = Member {
                count: rounds.count,
                of: Some(place),
            };
            if members.insert((*name).to_owned(), member).is_some() {
                let message = format!("`{name}` is of several rounds, of `{}` too", rounds.name);
                let hint = "rounds have their own stages each: copy it under another name";
                errors.push(Diagnostic::at(rounds.origin, message).hint(hint.to_owned()));
            }
        }
    }
    for (part, rounds) in parts.iter().zip(sections) {
        for name in stages.behind(part) {
            match members.get_mut(name) {
                None => {
                    let member = Member {
                        count: rounds.count,
                        of: None,
                    };
                    members.insert(name.to_owned(), member);
                }
                Some(member) if member.of.is_none() => {
                    member.count = member.count.min(rounds.count);
                }
                Some(_) if part.contains(name) => {}
                Some(_) => {
                    let message = format!(
                        "`{name}`, a stage of other rounds, reads a stage of the rounds `{0}`",
                        rounds.name
                    );
                    let hint = format!("read `{}`, the model that comes out of them", rounds.name);
                    errors.push(Diagnostic::at(rounds.origin, message).hint(hint));
                }
            }
        }
    }
    lonely(stages, &members, errors);
    members
}

/// What is gathered over rounds must be of some.
fn lonely(stages: &Stages<'_>, members: &BTreeMap<String, Member>, errors: &mut Vec<Diagnostic>) {
    for entry in stages.entries {
        for (port, text) in stages.reads(&entry.key) {
            let Some(stage) = gathered(text) else {
                continue;
            };
            let written = entry.value.get(port.name);
            let origin = written.map_or(&entry.key_origin, |node| &node.origin);
            let place = format!("`stages.{}.{}`", entry.key, port.name);
            if !members.contains_key(stage) {
                let message =
                    format!("{place} refers to `{text}`, but `{stage}` is no stage of any round");
                let hint = suggest(
                    stage,
                    members.keys().map(String::as_str),
                    "stages of rounds",
                );
                errors.push(Diagnostic::at(origin, message).hint(hint));
            } else if !port.many {
                let message = format!(
                    "{place} takes one output, but `{text}` is that of all rounds so far together"
                );
                let hint = format!("take `{stage}`, that of the round");
                errors.push(Diagnostic::at(origin, message).hint(hint));
            }
        }
    }
}

/// The stages of one section.
fn part<'s>(
    stages: &'s Stages<'_>,
    rounds: &Rounds<'s>,
    errors: &mut Vec<Diagnostic>,
) -> BTreeSet<&'s str> {
    let before = errors.len();
    let mut complain = |origin, message: String, hint: Option<String>| {
        errors.push(Diagnostic {
            path: rounds.path(),
            ..Diagnostic::at(origin, message).hint(hint)
        });
    };
    if rounds.count == 0 {
        complain(
            rounds.at("count"),
            format!(
                "`rounds.{}.count`: there is at least one round",
                rounds.name
            ),
            Some("`count = 1` is the experiment without rounds".to_owned()),
        );
    }
    if stages.is_taken(rounds.name) {
        complain(
            rounds.origin,
            format!(
                "`[rounds.{0}]` and the stage `{0}` have one name, and the rounds are a stage too: the model that comes out",
                rounds.name
            ),
            Some("rename one of them".to_owned()),
        );
    }
    if rounds.carry.is_empty() {
        complain(
            rounds.at("carry"),
            format!(
                "the rounds `{}` carry nothing, so each would do what the first did",
                rounds.name
            ),
            Some("for example `carry = { model = \"sert\" }`, the stage that trains".to_owned()),
        );
    }
    let mut part = BTreeSet::new();
    for (node, name) in &rounds.stages {
        if stages.has(name) {
            part.insert(*name);
        } else {
            let message = format!(
                "`rounds.{}.stages`: there is no stage `{name}`",
                rounds.name
            );
            complain(
                &node.origin,
                message,
                suggest(name, stages.names(), "stages"),
            );
        }
    }
    for (entry, text) in &rounds.carry {
        let (input, carried) = (entry.key.as_str(), stage_of(text));
        let place = format!("`rounds.{}.carry.{input}`", rounds.name);
        if !stages.has(carried) {
            let message = format!("{place} names `{carried}`, but there is no such stage");
            complain(
                &entry.value.origin,
                message,
                suggest(carried, stages.names(), "stages"),
            );
        } else if !rounds.stages.is_empty() {
            if !part.contains(carried) {
                let named = part.iter().copied();
                let message = format!("{place} names `{carried}`, which is no stage of the round");
                let hint = format!("add it to `stages`, or carry one of them: {}", list(named));
                complain(&entry.value.origin, message, Some(hint));
            }
        } else if let Some((_, start)) =
            (stages.reads(carried).iter()).find(|(port, _)| port.name == input)
        {
            // What it needs, of which each reads what it starts from.
            let readers = stages.behind(&BTreeSet::from([stage_of(start)]));
            let needed = stages.needed(carried).into_iter();
            part.extend(needed.filter(|name| readers.contains(name)));
        } else {
            let ports = stages.kind(carried).map_or(&[][..], Stage::inputs).iter();
            let message = format!(
                "{place}: `{carried}` has no input `{input}`, so it is not known which stages are of a round"
            );
            let hint = suggest(input, ports.map(|port| port.name), "its inputs")
                .filter(|hint| hint.starts_with("did"));
            let hint =
                hint.unwrap_or_else(|| "name the stages of a round: `stages = [...]`".to_owned());
            complain(&entry.value.origin, message, Some(hint));
        }
    }
    if errors.len() > before {
        return part;
    }
    for (entry, _) in &rounds.carry {
        let takes = |name: &&str| {
            let kind = stages.kind(name);
            let mut reads = stages.reads(name).iter();
            reads.any(|(port, text)| {
                carries(rounds, &entry.key, port, kind) && !part.contains(stage_of(text))
            })
        };
        if !part.iter().any(takes) {
            let message = format!(
                "the rounds `{}` carry nothing: no stage of a round has an input `{}` that reads a stage outside of it{}",
                rounds.name,
                entry.key,
                if rounds.from_base {
                    ", but for those that make a model, which `start = \"base\"` leaves as they are"
                } else {
                    ""
                }
            );
            let hint = format!("stages of a round: {}", list(part.iter().copied()));
            errors.push(Diagnostic {
                path: rounds.path(),
                ..Diagnostic::at(&entry.key_origin, message).hint(hint)
            });
        }
    }
    part
}

/// Whether an input of a stage of this kind takes what is carried by the name `input`.
pub(super) fn carries(
    rounds: &Rounds<'_>,
    input: &str,
    port: &Port,
    kind: Option<&dyn Stage>,
) -> bool {
    let makes_models = kind.is_some_and(|kind| kind.output(ArtifactKind::Model).is_some());
    let starts = makes_models && port.accepts == ArtifactKind::Model;
    port.name == input && !(rounds.from_base && starts)
}
