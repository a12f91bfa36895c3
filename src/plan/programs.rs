//! Which programs of the user's a run would start.

use super::{NodeId, Plan};

/// A program that stages run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PlannedProgram {
    /// Its command, in words.
    pub command: String,
    /// Whether it may use the network.
    pub network: bool,
    /// Who runs it: the stages' names in the manifest.
    pub stages: Vec<String>,
}

/// The programs that `nodes` run, each once, in order.
pub fn programs(plan: &Plan, nodes: impl IntoIterator<Item = NodeId>) -> Vec<PlannedProgram> {
    let mut found: Vec<PlannedProgram> = Vec::new();
    for id in nodes {
        let node = plan.node(id);
        for params in node.kind.programs(&node.params) {
            let (command, network, stage) = (params.words(), params.network, node.base());
            let same = |it: &&mut PlannedProgram| it.command == command && it.network == network;
            match found.iter_mut().find(same) {
                Some(program) if program.stages.iter().any(|name| name == stage) => {}
                Some(program) => program.stages.push(stage.to_owned()),
                None => found.push(PlannedProgram {
                    command,
                    network,
                    stages: vec![stage.to_owned()],
                }),
            }
        }
    }
    found
}
