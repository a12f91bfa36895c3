//! Lists of stages where one is taken: short for a stage of kind `union`. `rounds.kept` is such a list too.

use super::graph::lay_one;
use super::sugar::UNION;
use super::tree::{Entry, Node, Table, Tree};
use crate::artifact::ArtifactKind;
use crate::stage::Stage;

/// Puts a stage of kind `union` where paths of several are taken: `paths = ["a", "b"]` is then `paths = "a+b"`. Equal lists
/// are one stage.
pub(super) fn expand(tree: &mut Node, kinds: &[&'static dyn Stage]) {
    let find = |name: &str| kinds.iter().copied().find(|kind| kind.name() == name);
    let Some(port) = find(UNION).and_then(|union| union.port(ArtifactKind::Paths)) else {
        return;
    };
    let defaults = tree.get("defaults").and_then(Node::as_table);
    let defaults = defaults.and_then(|defaults| defaults.get(UNION)).cloned();
    let rounds = tree.get("rounds").is_some();
    let stages = tree.as_table_mut().and_then(|root| root.get_mut("stages"));
    let Some(stages) = stages.and_then(|entry| entry.value.as_table_mut()) else {
        return;
    };
    let mut unions: Vec<Entry> = Vec::new();
    for stage in &mut stages.entries {
        let kind = stage
            .value
            .get("kind")
            .and_then(Node::as_str)
            .and_then(find);
        let ports = kind.map_or(&[][..], |kind| kind.inputs()).iter();
        let takes_one = ports.filter(|port| port.accepts == ArtifactKind::Paths && !port.many);
        for taking in takes_one {
            let own = stage.value.as_table_mut();
            let Some(written) = own.and_then(|own| own.get_mut(taking.name)) else {
                continue;
            };
            let gathers = rounds && written.value.as_str().is_some_and(is_of_rounds);
            if !gathers && !matches!(written.value.value, Tree::Array(_)) {
                continue;
            }
            let Some(name) = union_name(&written.value) else {
                continue;
            };
            let (key, origin) = (name.clone(), written.value.origin.clone());
            let list = std::mem::replace(&mut written.value.value, Tree::String(name));
            if unions.iter().any(|union| union.key == key) {
                continue;
            }
            let entry = |key: &str, value: Tree| Entry {
                key: key.to_owned(),
                key_origin: origin.clone(),
                value: Node {
                    value,
                    origin: origin.clone(),
                },
            };
            let own = vec![
                entry("kind", Tree::String(UNION.to_owned())),
                entry(port.name, list),
            ];
            let mut union = entry(&key, Tree::Table(Table { entries: own }));
            lay_one(&mut union.value, defaults.as_ref());
            unions.push(union);
        }
    }
    stages.entries.extend(unions);
}

/// Whether a reference is to what a stage of rounds made in all of them so far: several outputs, as a list is.
fn is_of_rounds(text: &str) -> bool {
    text.starts_with("rounds.")
}

/// What the stage is called that `list` is short for: its items, joined by a sign that no name of a stage has. An output's
/// name follows its stage's by a sign of that kind too, since a dot would part the whole.
fn union_name(list: &Node) -> Option<String> {
    let names: Option<Vec<&str>> = list.items().iter().map(Node::as_str).collect();
    let name = names?.join("+").replace('.', ":");
    (!name.is_empty()).then_some(name)
}
