//! The DAG: nodes are stages, edges are inputs, and decisions that stages wait for.

use std::collections::{BTreeMap, BTreeSet};

use petgraph::Direction;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;
use serde_json::{Map, Value, json};

use crate::artifact::ArtifactKind;
use crate::key::canonical_json;
use crate::manifest::{Manifest, StageName, StageSpec, nearest};
use crate::model::device::DeviceName;
use crate::model::{Arithmetic, Dtype};
use crate::stage::Stage;

/// A node of the DAG.
pub type NodeId = NodeIndex;

/// One stage, under every name that asks for it.
pub struct Node {
    /// Names; the first one speaks for all.
    pub names: Vec<StageName>,
    /// The place in the manifest of the stage that has the first name.
    pub place: usize,
    /// The kind.
    pub kind: &'static dyn Stage,
    /// Parameters, defaults filled in.
    pub params: Map<String, Value>,
    /// The seed.
    pub seed: u64,
}

impl Node {
    /// The name that speaks for the node.
    pub fn name(&self) -> &str {
        self.names[0].as_str()
    }

    /// The arithmetic that it asks for, where it runs a model.
    pub fn arithmetic(&self) -> Option<Arithmetic> {
        self.kind.numerics(&self.params)
    }

    /// Whether another machine may run it: it is the work of a model, and asks no server and no program of the user's, which are
    /// allowed, paced and paid for where the run is.
    pub fn may_go_out(&self) -> bool {
        self.arithmetic().is_some()
            && self.kind.endpoint(&self.params).is_none()
            && self.kind.programs(&self.params).is_empty()
    }

    /// Its name in the manifest, which the points of a sweep share.
    pub fn base(&self) -> &str {
        self.names[0].base()
    }

    /// The values that tell it from the nodes of the same base, as in `min_tokens=30, seed=1`; empty without any.
    pub fn point(&self) -> String {
        self.names[0].point()
    }

    /// All its names, as one text.
    pub fn all_names(&self) -> String {
        let names: Vec<&str> = self.names.iter().map(StageName::as_str).collect();
        names.join(" = ")
    }
}

/// What an edge carries.
pub struct Input {
    /// The input that it is, by name.
    pub port: String,
    /// The output that it comes from.
    pub output: &'static str,
}

/// Why a node comes behind another.
enum Edge {
    /// It takes an output of it.
    Input(Input),
    /// It is needed only if that decides so. No part of a recipe: what a stage makes does not depend on who asks for it.
    Gate,
}

/// The DAG of a manifest.
pub struct Plan {
    graph: DiGraph<Node, Edge>,
    order: Vec<NodeId>,
    by_name: BTreeMap<StageName, NodeId>,
}

/// The manifest's references do not make a DAG. The manifest's own check finds these first.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// Stages that wait for each other, or for a stage that is not there.
    #[error("stages wait for each other or for a stage that is not there: {0}")]
    Stuck(String),
    /// A stage that was asked for by name is not there.
    #[error("there is no stage `{name}`\nhint: {hint}")]
    NoStage {
        /// The name.
        name: String,
        /// The nearest name, or those that there are.
        hint: String,
    },
    /// A name that stands for stages of several points of a sweep, where one is wanted.
    #[error(
        "`{name}` is several stages, one for each point of the sweep that needs its own\nhint: name one: {available}"
    )]
    Several {
        /// The name.
        name: String,
        /// The names of the stages.
        available: String,
    },
    /// A stage asks for a number format that the device has not.
    #[error(
        "stage `{stage}`: device {device} does not compute in dtype = \"{dtype}\"\nhint: {hint}"
    )]
    Dtype {
        /// Its name.
        stage: String,
        /// What it asks for.
        dtype: Dtype,
        /// Where it would run.
        device: DeviceName,
        /// What would do.
        hint: &'static str,
    },
}

/// Some names, and how many more there are.
fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    const SHOWN: usize = 20;
    let mut names = names;
    let shown = names.by_ref().take(SHOWN).map(|name| format!("`{name}`"));
    let text = shown.collect::<Vec<_>>().join(", ");
    match names.count() {
        0 => text,
        more => format!("{text} and {more} more"),
    }
}

impl Plan {
    /// The DAG of `manifest`. Stages are taken in an order in which every input comes before, ties
    /// by their place in the manifest, so that the order is the same every time.
    ///
    /// # Errors
    /// When references do not resolve to a DAG.
    pub fn new<'m>(manifest: &'m Manifest) -> Result<Self, PlanError> {
        let mut plan = Self {
            graph: DiGraph::new(),
            order: Vec::new(),
            by_name: BTreeMap::new(),
        };
        let mut same: BTreeMap<String, NodeId> = BTreeMap::new();
        let specs = &manifest.stages;
        // By stage: how many inputs it waits for, and who waits for it.
        let behind = |spec: &'m StageSpec| {
            let inputs = spec.inputs.values().map(|input| &input.stage);
            inputs.chain(&spec.gate)
        };
        let mut waits: Vec<usize> = specs.iter().map(|spec| behind(spec).count()).collect();
        let mut readers: BTreeMap<&StageName, Vec<usize>> = BTreeMap::new();
        for (place, spec) in specs.iter().enumerate() {
            for before in behind(spec) {
                readers.entry(before).or_default().push(place);
            }
        }
        let mut ready: BTreeSet<usize> = (0..specs.len()).filter(|&at| waits[at] == 0).collect();
        while let Some(first) = ready.pop_first() {
            let spec = &specs[first];
            for &reader in readers.get(&spec.name).into_iter().flatten() {
                waits[reader] -= 1;
                if waits[reader] == 0 {
                    ready.insert(reader);
                }
            }
            let inputs: BTreeMap<String, (NodeId, &'static str)> = spec
                .inputs
                .iter()
                // A stage is ready only once all its inputs were taken, so these have names.
                .map(|(port, input)| (port.clone(), (plan.by_name[&input.stage], input.output)))
                .collect();
            let gate = spec.gate.as_ref().map(|gate| plan.by_name[gate]);
            // Stages behind different decisions stay apart: one may be needed and the other not. Where both are, the second
            // is a hit, for a key has no decision in it.
            let identity = canonical_json(&json!({
                "gate": gate.map(NodeIndex::index),
                "kind": spec.kind.name(),
                "params": spec.params,
                "seed": spec.kind.seeded().then_some(spec.seed),
                "inputs": inputs.iter().map(|(port, (node, output))| json!([port, node.index(), output])).collect::<Vec<_>>(),
            }));
            let node = *same.entry(identity).or_insert_with(|| {
                let node = plan.graph.add_node(Node {
                    names: Vec::new(),
                    place: first,
                    kind: spec.kind,
                    params: spec.params.clone(),
                    seed: spec.seed,
                });
                for (port, (from, output)) in inputs {
                    plan.graph
                        .add_edge(from, node, Edge::Input(Input { port, output }));
                }
                if let Some(gate) = gate {
                    plan.graph.add_edge(gate, node, Edge::Gate);
                }
                plan.order.push(node);
                node
            });
            plan.graph[node].names.push(spec.name.clone());
            plan.by_name.insert(spec.name.clone(), node);
        }
        if plan.by_name.len() < specs.len() {
            let stuck = specs.iter().map(|spec| &spec.name);
            let stuck = stuck.filter(|name| !plan.by_name.contains_key(*name));
            return Err(PlanError::Stuck(listed(stuck.map(StageName::as_str))));
        }
        Ok(plan)
    }

    /// Every node, each after its inputs.
    pub fn order(&self) -> &[NodeId] {
        &self.order
    }

    /// A node's stage.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.graph[id]
    }

    /// A node's inputs, sorted by name: the name, and the node and output that feed it.
    pub fn inputs(&self, id: NodeId) -> BTreeMap<String, (NodeId, &'static str)> {
        self.graph
            .edges_directed(id, Direction::Incoming)
            .filter_map(|edge| match edge.weight() {
                Edge::Input(input) => Some((input.port.clone(), (edge.source(), input.output))),
                Edge::Gate => None,
            })
            .collect()
    }

    /// The node that decides whether a node is needed; `None` where nothing does.
    pub fn gate(&self, id: NodeId) -> Option<NodeId> {
        let mut edges = self.graph.edges_directed(id, Direction::Incoming);
        edges.find_map(|edge| matches!(edge.weight(), Edge::Gate).then(|| edge.source()))
    }

    /// Whether a node does without the input of this name where that is not needed.
    pub fn does_without(&self, id: NodeId, input: &str) -> bool {
        let mut ports = self.node(id).kind.inputs().iter();
        ports.any(|port| port.partial && port.takes(input))
    }

    /// The node whose decision made `node` not needed, where `not_needed` tells which nodes are not.
    pub fn decided_by(&self, node: NodeId, not_needed: impl Fn(NodeId) -> bool) -> Option<NodeId> {
        let (mut open, mut seen) = (vec![node], BTreeSet::new());
        while let Some(node) = open.pop() {
            match self.gate(node) {
                Some(gate) if !not_needed(gate) => return Some(gate),
                _ => {
                    let before = self.before(node);
                    open.extend(before.filter(|from| not_needed(*from) && seen.insert(*from)));
                }
            }
        }
        None
    }

    /// The nodes that come before a node: its inputs, and what decides whether it is needed.
    fn before(&self, id: NodeId) -> impl Iterator<Item = NodeId> {
        self.graph.neighbors_directed(id, Direction::Incoming)
    }

    /// The node and the output that feed a node's first port that accepts a kind of artifact.
    pub fn input(&self, id: NodeId, accepts: ArtifactKind) -> Option<(NodeId, &'static str)> {
        let port = self.node(id).kind.port(accepts)?;
        let mut inputs = self.inputs(id).into_iter();
        inputs.find_map(|(name, from)| port.takes(&name).then_some(from))
    }

    /// The node of a stage of the manifest.
    pub fn at(&self, name: &StageName) -> Option<NodeId> {
        self.by_name.get(name).copied()
    }

    /// The node that a person calls `name`, as it prints; the name in the manifest is enough where all points of a sweep
    /// share it.
    ///
    /// # Errors
    /// When there is none, or when there are several.
    pub fn find(&self, name: &str) -> Result<NodeId, PlanError> {
        match self.all(name)?.as_slice() {
            [node] => Ok(*node),
            several => {
                let names = several.iter().map(|node| self.node(*node).name());
                Err(PlanError::Several {
                    name: name.to_owned(),
                    available: listed(names),
                })
            }
        }
    }

    /// The nodes called `name`: one, or, by its name in the manifest, those of all points of a sweep.
    fn all(&self, name: &str) -> Result<Vec<NodeId>, PlanError> {
        let those = |is: &dyn Fn(&StageName) -> bool| -> BTreeSet<NodeId> {
            let named = self.by_name.iter().filter(|(each, _)| is(each));
            named.map(|(_, node)| *node).collect()
        };
        let mut nodes = those(&|each| each.as_str() == name);
        if nodes.is_empty() {
            nodes = those(&|each| each.base() == name);
        }
        if nodes.is_empty() {
            let bases: BTreeSet<&str> = self.by_name.keys().map(StageName::base).collect();
            let near = nearest(name, bases.iter().copied());
            return Err(PlanError::NoStage {
                name: name.to_owned(),
                hint: near.map_or_else(
                    || format!("stages: {}", listed(bases.iter().copied())),
                    |near| format!("did you mean `{near}`?"),
                ),
            });
        }
        Ok(nodes.into_iter().collect())
    }

    /// The nodes that `targets` need, themselves included, in order; all nodes for no targets.
    ///
    /// # Errors
    /// When a target is not there.
    pub fn needed(&self, targets: &[String]) -> Result<Vec<NodeId>, PlanError> {
        if targets.is_empty() {
            return Ok(self.order.clone());
        }
        let mut needed = BTreeSet::new();
        let mut open = Vec::new();
        for name in targets {
            open.extend(self.all(name)?);
        }
        while let Some(node) = open.pop() {
            if needed.insert(node) {
                open.extend(self.before(node));
            }
        }
        Ok(self
            .order
            .iter()
            .copied()
            .filter(|node| needed.contains(node))
            .collect())
    }

    /// Where it begins that the outputs of `node` are missing: of the nodes that it needs, itself included, those that
    /// are missing while nothing that they need is, or that `failed` with what they had; in order.
    pub fn causes(
        &self,
        node: NodeId,
        missing: impl Fn(NodeId) -> bool,
        failed: impl Fn(NodeId) -> bool,
    ) -> Vec<NodeId> {
        let (mut seen, mut causes) = (BTreeSet::from([node]), BTreeSet::new());
        let mut open = vec![node];
        while let Some(node) = open.pop() {
            let before: Vec<NodeId> = self.before(node).filter(|from| missing(*from)).collect();
            if before.is_empty() || failed(node) {
                causes.insert(node);
            } else {
                open.extend(before.into_iter().filter(|from| seen.insert(*from)));
            }
        }
        let order = self.order.iter().copied();
        order.filter(|node| causes.contains(node)).collect()
    }

    /// Whether `device` may compute in the number formats of `nodes`, as far as that is certain before it is opened.
    ///
    /// # Errors
    /// The first stage that could not run.
    pub fn check_dtypes(&self, nodes: &[NodeId], device: DeviceName) -> Result<(), PlanError> {
        let nodes = nodes.iter().map(|&node| self.node(node));
        let mut asked = nodes.filter_map(|node| Some((node, node.arithmetic()?)));
        let Some((node, Arithmetic { dtype, .. })) = asked.find(|(_, of)| !of.may_be_on(device))
        else {
            return Ok(());
        };
        Err(PlanError::Dtype {
            stage: node.name().to_owned(),
            dtype,
            device,
            hint: match dtype {
                Dtype::Int8 => "8-bit integers are for --device cpu; f32 is elsewhere too",
                Dtype::F32 => {
                    "products of 32 bits are rounded there: write dtype = \"tf32\", or \"bf16\"; libtorch-cuda has f32"
                }
                Dtype::Tf32 => "tf32 is for --device cuda; elsewhere it is f32",
                _ => {
                    "the CPU trains in f32 and samples in 16 bits and int8 too; `sert-run doctor` lists other devices for --device"
                }
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::manifest::{self, Changes};
    use crate::stage::KINDS;

    /// What is missing and what failed, by name; where it begins that `measured` is missing.
    #[test]
    fn causes_are_where_it_begins() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments/tiny.toml");
        let manifest = manifest::load(&path, &Changes::default(), KINDS).unwrap();
        let plan = Plan::new(&manifest).unwrap();
        for (here, failed, causes) in [
            (&[][..], None, &["data"][..]),
            (&["data"], None, &["student", "teacher"]),
            (&["data", "student", "sampled"], None, &["kept", "teacher"]),
            (
                &["data", "student", "sampled", "kept", "sert", "teacher"],
                None,
                &["sert-rd"],
            ),
            // It ran although an input was missing: what it could not do is its own.
            (&["data", "student"], Some("sert-rd"), &["sert-rd"]),
        ] {
            let name = |node: NodeId| plan.node(node).name();
            let found = plan.causes(
                plan.find("measured").unwrap(),
                |node| !here.contains(&name(node)),
                |node| failed == Some(name(node)),
            );
            let found: Vec<&str> = found.into_iter().map(name).collect();
            assert_eq!(found, causes, "{here:?} {failed:?}");
        }
    }
}
