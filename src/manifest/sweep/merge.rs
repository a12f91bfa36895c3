//! The stages of all points as one list: what means the same is one stage.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::Sweep;
use crate::key::{Digest, canonical_json};
use crate::manifest::stage_name::StageName;
use crate::manifest::{PortRef, StageSpec};

/// The stages of all points, and what each point calls them.
pub(in crate::manifest) struct Named {
    /// In order of declaration, the points of one stage side by side.
    pub(in crate::manifest) stages: Vec<StageSpec>,
    /// By point, from a stage's name at that point (with its round, if it has one) to its name in the sweep.
    names: Vec<BTreeMap<String, StageName>>,
    /// How many points of the whole sweep each of these points is: one for each round.
    rounds: usize,
}

impl Named {
    /// What `port`, an output of a stage of one point, is called among the stages of all points.
    pub(in crate::manifest) fn at(&self, point: usize, port: &PortRef) -> Option<PortRef> {
        self.at_point(point / self.rounds, port)
    }

    /// The same at one of the points that were merged, which are in all rounds at once.
    fn at_point(&self, point: usize, port: &PortRef) -> Option<PortRef> {
        Some(PortRef {
            stage: self.names[point].get(port.stage.as_str())?.clone(),
            output: port.output,
        })
    }
}

/// Merges the stages of each point of `sweep`, which come in the order of its points and are those of all `rounds`.
pub(in crate::manifest) fn merge(sweep: &Sweep, points: &[Vec<StageSpec>], rounds: usize) -> Named {
    let identities: Vec<BTreeMap<&str, Digest>> =
        points.iter().map(|stages| identities(stages)).collect();
    let mut seen = BTreeSet::new();
    let all = points.iter().flatten().map(|stage| &stage.name);
    let order: Vec<&StageName> = all.filter(|name| seen.insert(name.as_str())).collect();
    let by_name: Vec<BTreeMap<&str, &StageSpec>> =
        points.iter().map(|stages| by_name(stages)).collect();
    let mut names = vec![BTreeMap::new(); points.len()];
    for &at_point in &order {
        let of_point: Vec<Option<Digest>> = identities
            .iter()
            .map(|of_point| of_point.get(at_point.as_str()).copied())
            .collect();
        let axes = telling_axes(sweep, &of_point);
        for (place, point) in sweep.points.iter().enumerate() {
            if of_point[place].is_some() {
                let mut coordinates = sweep.coordinates(point, &axes);
                coordinates.extend_from_slice(at_point.coordinates());
                let name = StageName::new(at_point.base(), coordinates);
                names[place].insert(at_point.as_str().to_owned(), name);
            }
        }
    }
    let mut named = Named {
        stages: Vec::new(),
        names,
        rounds: rounds.max(1),
    };
    let mut known: BTreeSet<StageName> = BTreeSet::new();
    for at_point in order.iter().map(|name| name.as_str()) {
        for (place, of_point) in by_name.iter().enumerate() {
            let Some(&stage) = of_point.get(at_point) else {
                continue;
            };
            let name = named.names[place][at_point].clone();
            if !known.insert(name.clone()) {
                continue;
            }
            let inputs = stage.inputs.iter();
            let inputs = inputs
                .filter_map(|(port, from)| Some((port.clone(), named.at_point(place, from)?)));
            let inputs = inputs.collect();
            let gate = stage.gate.as_ref();
            let gate = gate.and_then(|gate| named.names[place].get(gate.as_str()).cloned());
            named.stages.push(StageSpec {
                name,
                inputs,
                gate,
                ..stage.clone()
            });
        }
    }
    named
}

/// The stages of one point, by their names there.
fn by_name(stages: &[StageSpec]) -> BTreeMap<&str, &StageSpec> {
    let named = stages.iter().map(|stage| (stage.name.as_str(), stage));
    named.collect()
}

/// What each stage of one point means: its kind, its parameters, its seed where it draws, and what its inputs mean.
fn identities(stages: &[StageSpec]) -> BTreeMap<&str, Digest> {
    let mut known: BTreeMap<&str, Digest> = BTreeMap::new();
    let by_name = by_name(stages);
    let mut begun: BTreeSet<&str> = BTreeSet::new();
    // Not by recursion: a long chain of stages in a stranger's manifest would overflow the stack.
    // Each stage after those that it reads from. One in a circle, which was told already, has no identity.
    let mut open: Vec<&StageSpec> = stages.iter().rev().collect();
    while let Some(&stage) = open.last() {
        if known.contains_key(stage.name.as_str()) {
            open.pop();
            continue;
        }
        let before = stage.inputs.values().map(|input| &input.stage);
        let before = before.chain(&stage.gate).map(StageName::as_str);
        let missing = before.filter(|name| !known.contains_key(name));
        let missing: Vec<&StageSpec> = missing
            .filter_map(|name| by_name.get(name).copied())
            .collect();
        if !missing.is_empty() && begun.insert(stage.name.as_str()) {
            open.extend(missing);
            continue;
        }
        open.pop();
        if let Some(digest) = identity(stage, &known) {
            known.insert(stage.name.as_str(), digest);
        }
    }
    known
}

/// What a stage means, where it is known what its inputs mean.
fn identity(stage: &StageSpec, known: &BTreeMap<&str, Digest>) -> Option<Digest> {
    let input = |(port, input): (&String, &PortRef)| {
        let digest = known.get(input.stage.as_str())?;
        Some(json!([port, digest, input.output]))
    };
    let inputs: Vec<_> = stage.inputs.iter().map(input).collect::<Option<_>>()?;
    // What waits for different decisions stays apart, since one may be needed where the other is not.
    let gate = match &stage.gate {
        Some(gate) => Some(known.get(gate.as_str())?),
        None => None,
    };
    let identity = json!({
        "gate": gate,
        "kind": stage.kind.name(),
        "params": stage.params,
        "seed": stage.kind.seeded().then_some(stage.seed),
        "inputs": inputs,
    });
    Some(Digest::of(canonical_json(&identity).as_bytes()))
}

/// The fewest axes, from the last one up, whose values tell the meanings of one stage apart.
fn telling_axes(sweep: &Sweep, identities: &[Option<Digest>]) -> Vec<usize> {
    let mut axes: Vec<usize> = (0..sweep.axes.len()).collect();
    let mut place = 0;
    while place < axes.len() {
        let mut fewer = axes.clone();
        fewer.remove(place);
        if tells(sweep, identities, &fewer) {
            axes = fewer;
        } else {
            place += 1;
        }
    }
    axes
}

fn tells(sweep: &Sweep, identities: &[Option<Digest>], axes: &[usize]) -> bool {
    let mut seen: BTreeMap<Vec<Option<usize>>, Digest> = BTreeMap::new();
    sweep
        .points
        .iter()
        .zip(identities)
        .all(|(point, identity)| {
            let Some(identity) = identity else {
                return true;
            };
            let at = axes.iter().map(|&axis| point.coordinates[axis]).collect();
            seen.entry(at).or_insert(*identity) == identity
        })
}
