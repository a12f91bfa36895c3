//! The stages of all points as one list: what means the same is one stage.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::{Point, Sweep};
use crate::key::{Digest, canonical_json};
use crate::manifest::{PortRef, StageSpec};

/// The stages of all points, and what each point calls them.
pub(in crate::manifest) struct Named {
    /// In order of declaration, the points of one stage side by side.
    pub(in crate::manifest) stages: Vec<StageSpec>,
    /// By point, from a stage's name in the manifest to its name in the sweep.
    pub(in crate::manifest) names: Vec<BTreeMap<String, String>>,
}

/// Merges the stages of each point of `sweep`, which come in the order of its points.
pub(in crate::manifest) fn merge(sweep: &Sweep, points: &[Vec<StageSpec>]) -> Named {
    let identities: Vec<BTreeMap<&str, Digest>> =
        points.iter().map(|stages| identities(stages)).collect();
    let mut seen = BTreeSet::new();
    let all = points.iter().flatten().map(|stage| stage.name.as_str());
    let order: Vec<&str> = all.filter(|name| seen.insert(*name)).collect();
    let by_name: Vec<BTreeMap<&str, &StageSpec>> = points
        .iter()
        .map(|stages| stages.iter().map(|stage| (&*stage.name, stage)).collect())
        .collect();
    let mut names = vec![BTreeMap::new(); points.len()];
    for &base in &order {
        let of_point: Vec<Option<Digest>> = identities
            .iter()
            .map(|of_point| of_point.get(base).copied())
            .collect();
        let axes = telling_axes(sweep, &of_point);
        for (place, point) in sweep.points.iter().enumerate() {
            if of_point[place].is_some() {
                names[place].insert(base.to_owned(), name(sweep, base, point, &axes));
            }
        }
    }
    let mut stages: Vec<StageSpec> = Vec::new();
    let mut known: BTreeSet<String> = BTreeSet::new();
    for &base in &order {
        for (place, of_point) in by_name.iter().enumerate() {
            let Some(&stage) = of_point.get(base) else {
                continue;
            };
            let name = &names[place][base];
            if !known.insert(name.clone()) {
                continue;
            }
            let rename = |input: &PortRef| PortRef {
                stage: names[place][&input.stage].clone(),
                output: input.output,
            };
            stages.push(StageSpec {
                name: name.clone(),
                inputs: stage
                    .inputs
                    .iter()
                    .map(|(port, input)| (*port, rename(input)))
                    .collect(),
                ..stage.clone()
            });
        }
    }
    Named { stages, names }
}

/// What each stage of one point means: its kind, its parameters, its seed where it draws, and what its inputs mean.
fn identities(stages: &[StageSpec]) -> BTreeMap<&str, Digest> {
    let mut known: BTreeMap<&str, Digest> = BTreeMap::new();
    let by_name: BTreeMap<&str, &StageSpec> =
        stages.iter().map(|stage| (&*stage.name, stage)).collect();
    let mut begun: BTreeSet<&str> = BTreeSet::new();
    // Each stage after those that it reads from. One in a circle, which was told already, has no identity.
    let mut open: Vec<&StageSpec> = stages.iter().rev().collect();
    while let Some(&stage) = open.last() {
        if known.contains_key(&*stage.name) {
            open.pop();
            continue;
        }
        let inputs = stage.inputs.values().map(|input| input.stage.as_str());
        let missing = inputs.filter(|name| !known.contains_key(name));
        let missing: Vec<&StageSpec> = missing
            .filter_map(|name| by_name.get(name).copied())
            .collect();
        if !missing.is_empty() && begun.insert(&stage.name) {
            open.extend(missing);
            continue;
        }
        open.pop();
        if let Some(digest) = identity(stage, &known) {
            known.insert(&stage.name, digest);
        }
    }
    known
}

/// What a stage means, where it is known what its inputs mean.
fn identity(stage: &StageSpec, known: &BTreeMap<&str, Digest>) -> Option<Digest> {
    let input = |(port, input): (&&str, &PortRef)| {
        let digest = known.get(input.stage.as_str())?;
        Some(json!([port, digest, input.output]))
    };
    let inputs: Vec<_> = stage.inputs.iter().map(input).collect::<Option<_>>()?;
    let identity = json!({
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

fn name(sweep: &Sweep, base: &str, point: &Point, axes: &[usize]) -> String {
    match sweep.label(point, axes).as_str() {
        "" => base.to_owned(),
        label => format!("{base}[{label}]"),
    }
}
