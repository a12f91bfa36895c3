//! Whom a run would ask, and which environment variable's value it would send there.

use super::{NodeId, Plan};
use crate::teacher::http::{Permission, Permissions};

/// A server that stages ask.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Server {
    /// Where it is.
    pub base_url: String,
    /// The variable that holds the key, if one is sent.
    pub variable: Option<String>,
    /// Who asks it: the stages' names in the manifest.
    pub stages: Vec<String>,
    /// The permission that the user has still to give, if one is needed.
    pub lacking: Option<Permission>,
}

/// The servers that `nodes` ask, each once, in order.
pub fn servers(
    plan: &Plan,
    nodes: impl IntoIterator<Item = NodeId>,
    permissions: &Permissions,
) -> Vec<Server> {
    let mut found: Vec<Server> = Vec::new();
    for id in nodes {
        let node = plan.node(id);
        let Some(endpoint) = node.kind.endpoint(&node.params) else {
            continue;
        };
        let (base_url, variable) = (endpoint.base(), &endpoint.api_key_env);
        let stage = node.base();
        let same =
            |server: &&mut Server| server.base_url == base_url && server.variable == *variable;
        match found.iter_mut().find(same) {
            Some(server) if server.stages.iter().any(|name| name == stage) => {}
            Some(server) => server.stages.push(stage.to_owned()),
            None => found.push(Server {
                base_url: base_url.to_owned(),
                variable: variable.clone(),
                stages: vec![stage.to_owned()],
                lacking: permissions.lacking(&endpoint),
            }),
        }
    }
    found
}
