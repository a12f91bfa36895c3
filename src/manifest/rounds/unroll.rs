//! Writes each stage of a round as often as there are rounds.

use std::collections::BTreeMap;

use super::members::{Member, carries, members};
use super::read::Rounds;
use super::reads::{Stages, gathered, stage_of};
use super::stop::measured_by;
use super::{OfRounds, Unrolled};
use crate::artifact::ArtifactKind;
use crate::manifest::error::Diagnostic;
use crate::manifest::source::Origin;
use crate::manifest::stage_name::{Coordinate, StageName, split_reference};
use crate::manifest::sweep::{ROUND, SEED};
use crate::manifest::tree::{Entry, Node, Table, Tree};
use crate::stage::{Port, Stage};

/// How far apart the seeds of rounds are (ours): beyond the seeds that people write, so that no round draws what another
/// seed's did.
const SEED_STEP: u64 = 1_000_000;

/// The kinds of the stages that are made here.
const DECIDE: &str = "decide";
const BEST: &str = "best";

/// Unrolls the rounds of `tree`; without any, it stays as it is.
pub(in crate::manifest) fn unroll(
    tree: &mut Node,
    kinds: &[&'static dyn Stage],
    errors: &mut Vec<Diagnostic>,
) -> Unrolled {
    let Some(section) = tree.get("rounds").cloned() else {
        return Unrolled::default();
    };
    let sections = Rounds::all(&section);
    let rolled = tree.clone();
    let stages = Stages::new(&rolled, kinds);
    let before = errors.len();
    let members = members(&stages, &sections, errors);
    let measured: Vec<Option<(&str, &Origin)>> = (sections.iter().enumerate())
        .map(|(place, rounds)| measured_by(&stages, rounds, place, &members, errors))
        .collect();
    let mut unrolled = Unrolled::default();
    if errors.len() > before {
        return unrolled;
    }
    let writer = Writer {
        stages: &stages,
        sections: &sections,
        members: &members,
        seed: seed(&rolled).unwrap_or_default(),
    };
    let mut entries = Vec::new();
    for entry in stages.entries {
        let Some(member) = members.get(&entry.key) else {
            entries.push(entry.clone());
            continue;
        };
        let rounds = member.of.map(|place| &sections[place]);
        for round in 1..=member.count {
            let of_rounds = OfRounds {
                name: of_round(&entry.key, round),
                path: vec!["stages".to_owned(), entry.key.clone()],
                rounds: rounds.map(|rounds| rounds.name.to_owned()),
                gate: rounds.and_then(|rounds| gate(rounds, round)),
            };
            let written = writer.stage(entry, member, round);
            unrolled.stages.insert(written.key.clone(), of_rounds);
            entries.push(written);
        }
        unrolled.counts.insert(entry.key.clone(), member.count);
    }
    for (rounds, measured) in sections.iter().zip(measured) {
        let of_rounds = |name: StageName, gate| OfRounds {
            name,
            path: rounds.path(),
            rounds: Some(rounds.name.to_owned()),
            gate,
        };
        if let (Some((measured, origin)), Some(stop)) = (measured, rounds.stop) {
            for round in 1..=rounds.count {
                let kind = stages.kind(measured);
                let output = kind.and_then(|kind| kind.output(ArtifactKind::Evaluation));
                let output = output.map(|output| output.name);
                let written = decide(rounds, round, (measured, output, origin), stop);
                let name = of_round(&decision(rounds), round);
                let of_rounds = of_rounds(name, gate(rounds, round));
                unrolled.stages.insert(written.key.clone(), of_rounds);
                entries.push(written);
            }
        }
        let is_model = |text: &&str| {
            let output = stages.output(text);
            output.is_some_and(|output| output.kind == ArtifactKind::Model)
        };
        if let Some(model) = rounds.carry.iter().map(|(_, text)| *text).find(is_model) {
            let of_rounds = of_rounds(StageName::from(rounds.name), None);
            unrolled.stages.insert(rounds.name.to_owned(), of_rounds);
            entries.push(best(rounds, model));
        }
    }
    let root = tree.as_table_mut();
    if let Some(table) = root.and_then(|root| root.get_mut("stages")?.value.as_table_mut()) {
        table.entries = entries;
    }
    unrolled
}

/// The seed that a stage or the manifest states.
fn seed(node: &Node) -> Option<u64> {
    node.get(SEED)?.to_json().as_u64()
}

fn of_round(base: &str, round: usize) -> StageName {
    let round = Coordinate {
        axis: ROUND.to_owned(),
        value: round.to_string(),
    };
    StageName::new(base, vec![round])
}

/// `sert[round=2].losses`.
pub(super) fn reference(stage: &str, round: usize, output: Option<&str>) -> String {
    let name = of_round(stage, round);
    match output {
        Some(output) => format!("{name}.{output}"),
        None => name.to_string(),
    }
}

/// What the decisions of rounds are called: with a sign that no name of a stage has.
fn decision(rounds: &Rounds<'_>) -> String {
    format!("{}:stop", rounds.name)
}

/// The decision that a stage of a round waits for.
fn gate(rounds: &Rounds<'_>, round: usize) -> Option<StageName> {
    rounds.stop?;
    (round > 1).then(|| of_round(&decision(rounds), round - 1))
}

/// Writes stages of rounds.
struct Writer<'w, 'n> {
    stages: &'w Stages<'n>,
    sections: &'w [Rounds<'n>],
    members: &'w BTreeMap<String, Member>,
    seed: u64,
}

impl Writer<'_, '_> {
    /// A stage as it is in one round.
    fn stage(&self, entry: &Entry, member: &Member, round: usize) -> Entry {
        let mut stage = Entry {
            key: of_round(&entry.key, round).to_string(),
            ..entry.clone()
        };
        let kind = self.stages.kind(&entry.key);
        let (Some(kind), Some(table)) = (kind, stage.value.as_table_mut()) else {
            return stage; // which was told already
        };
        for port in kind.inputs() {
            self.input(table, entry, (port, kind), member, round);
        }
        // What only measures draws nothing but its intervals.
        let draws = kind.seeded() && kind.output(ArtifactKind::Evaluation).is_none();
        if draws && round > 1 {
            let own = seed(&entry.value).unwrap_or(self.seed);
            let own = own.wrapping_add((round as u64 - 1).wrapping_mul(SEED_STEP));
            put(table, SEED, Tree::Integer(own.into()), &entry.key_origin);
        }
        stage
    }

    /// Rewrites what comes in at one port.
    fn input(
        &self,
        table: &mut Table,
        entry: &Entry,
        (port, kind): (&Port, &'static dyn Stage),
        member: &Member,
        round: usize,
    ) {
        let written = entry.value.get(port.name);
        let default = port.default.map(|text| Node {
            value: Tree::String(text.to_owned()),
            origin: entry.key_origin.clone(),
        });
        let Some(reads) = written.or(default.as_ref()) else {
            return;
        };
        let (mut refs, mut changed) = (Vec::new(), false);
        for node in reads.items() {
            let Some(text) = node.as_str() else {
                return;
            };
            let (stage, output) = split_reference(text);
            let name = |text: String, origin: &Origin| Node {
                value: Tree::String(text),
                origin: origin.clone(),
            };
            if gathered(text).is_some() {
                let rounds = 1..=round;
                refs.extend(
                    rounds.map(|round| name(reference(stage_of(text), round, None), &node.origin)),
                );
                changed = true;
            } else if self.members.contains_key(stage) {
                refs.push(name(reference(stage, round, output), &node.origin));
                changed = true;
            } else if let Some((carried, origin)) = self.carried(member, port, kind)
                && round > 1
            {
                let (stage, output) = split_reference(carried);
                refs.push(name(reference(stage, round - 1, output), origin));
                changed = true;
            } else {
                refs.push(node.clone());
            }
        }
        if changed {
            let origin = refs[0].origin.clone();
            let list = port.many || refs.len() > 1;
            let value = match refs.pop() {
                Some(only) if !list => only.value,
                last => Tree::Array(refs.into_iter().chain(last).collect()),
            };
            put(table, port.name, value, &origin);
        }
    }

    /// What a stage of a round takes at a port of the round before, instead of what is outside of it.
    fn carried(
        &self,
        member: &Member,
        port: &Port,
        kind: &'static dyn Stage,
    ) -> Option<(&str, &Origin)> {
        let rounds = &self.sections[member.of?];
        let mut carry = rounds.carry.iter();
        let found = carry.find(|(entry, _)| carries(rounds, &entry.key, port, Some(kind)));
        found.map(|(entry, text)| (*text, &entry.value.origin))
    }
}

/// Puts a value in the place of what stands under `key`.
fn put(table: &mut Table, key: &str, value: Tree, origin: &Origin) {
    let value = Node {
        value,
        origin: origin.clone(),
    };
    match table.get_mut(key) {
        Some(entry) => entry.value = value,
        None => table.entries.push(Entry {
            key: key.to_owned(),
            key_origin: origin.clone(),
            value,
        }),
    }
}

/// A stage that is made here, with these settings.
fn made(
    (key, key_origin): (String, &Origin),
    kind: &str,
    inputs: Vec<(&str, Vec<String>)>,
    origin: &Origin,
    settings: impl Iterator<Item = Entry>,
) -> Entry {
    let mut table = Table::default();
    put(&mut table, "kind", Tree::String(kind.to_owned()), origin);
    for (port, texts) in inputs {
        let nodes = texts.into_iter().map(|text| Node {
            value: Tree::String(text),
            origin: origin.clone(),
        });
        put(&mut table, port, Tree::Array(nodes.collect()), origin);
    }
    table.entries.extend(settings);
    Entry {
        key,
        key_origin: key_origin.clone(),
        value: Node {
            value: Tree::Table(table),
            origin: origin.clone(),
        },
    }
}

/// The decision after a round.
fn decide(
    rounds: &Rounds<'_>,
    round: usize,
    (measured, output, origin): (&str, Option<&str>, &Origin),
    stop: &Table,
) -> Entry {
    let key = of_round(&decision(rounds), round).to_string();
    let so_far = (1..=round).map(|round| reference(measured, round, output));
    let inputs = vec![("evaluations", so_far.collect())];
    let settings = stop.entries.iter().filter(|entry| entry.key != "eval");
    made(
        (key, rounds.origin),
        DECIDE,
        inputs,
        origin,
        settings.cloned(),
    )
}

/// The stage that takes the best round's model: by the last decision, or without any that of the last round.
fn best(rounds: &Rounds<'_>, model: &str) -> Entry {
    let all = || 1..=rounds.count;
    let (stage, output) = split_reference(model);
    let of = |round| reference(stage, round, output);
    let inputs = if rounds.stop.is_some() {
        let decisions = all().map(|round| reference(&decision(rounds), round, None));
        vec![
            ("models", all().map(of).collect()),
            ("decisions", decisions.collect()),
        ]
    } else {
        vec![("models", vec![of(rounds.count)])]
    };
    let key = (rounds.name.to_owned(), rounds.origin);
    made(key, BEST, inputs, rounds.origin, std::iter::empty())
}
