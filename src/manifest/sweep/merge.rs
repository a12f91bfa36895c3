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
    let mut order: Vec<&str> = Vec::new();
    for stage in points.iter().flatten() {
        // Sweeps have few names and many points, so this is short.
        if !order.contains(&stage.name.as_str()) {
            order.push(&stage.name);
        }
    }
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
        for (place, of_point) in points.iter().enumerate() {
            let Some(stage) = of_point.iter().find(|stage| stage.name == base) else {
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
    let mut waiting: Vec<&StageSpec> = stages.iter().collect();
    while !waiting.is_empty() {
        let before = waiting.len();
        waiting.retain(|stage| {
            let inputs: Option<Vec<_>> = stage
                .inputs
                .iter()
                .map(|(port, input)| {
                    let digest = known.get(input.stage.as_str())?;
                    Some(json!([port, digest, input.output]))
                })
                .collect();
            let Some(inputs) = inputs else { return true };
            let identity = json!({
                "kind": stage.kind.name(),
                "params": stage.params,
                "seed": stage.kind.seeded().then_some(stage.seed),
                "inputs": inputs,
            });
            let digest = Digest::of(canonical_json(&identity).as_bytes());
            known.insert(&stage.name, digest);
            false
        });
        if waiting.len() == before {
            break; // stages in a circle, which was told already
        }
    }
    known
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
