//! The stages as the page shows them: boxes of the DAG, and what there is to know of each.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::layout::{self, BOX_HEIGHT, BOX_WIDTH};
use crate::plan::{NodeId, NodeState, Resolved};
use crate::report::plan::{reason, state_name};
use crate::report::used::used_text;
use crate::report::why::{behind, ran};
use crate::report::{ReportError, Source};
use crate::text::escaped;

/// The state of what a decision made not needed, as the plan has it.
const NOT_NEEDED: &str = "not needed";

/// The drawing and the list below it.
pub(super) struct Stages {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) boxes: Vec<Tile>,
    pub(super) lines: Vec<Edge>,
    pub(super) groups: Vec<Group>,
    pub(super) count: usize,
    pub(super) hits: usize,
}

/// A box of the drawing.
pub(super) struct Tile {
    pub(super) group: usize,
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) name: String,
    pub(super) about: String,
    pub(super) state: GroupState,
    /// All of it, for a tooltip.
    pub(super) title: String,
}

/// A line of the drawing.
pub(super) struct Edge {
    pub(super) way: String,
    pub(super) from: usize,
    pub(super) to: usize,
}

/// How much of a group is in the store, of what is needed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum GroupState {
    All,
    Some,
    None,
}

impl GroupState {
    /// The class in the style sheet.
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::All => "hit",
            Self::Some => "part",
            Self::None => "miss",
        }
    }
}

/// The stages of one name in the manifest: one, or in a sweep as many as differ.
pub(super) struct Group {
    pub(super) name: String,
    pub(super) kind: &'static str,
    pub(super) state: GroupState,
    pub(super) says: String,
    pub(super) members: Vec<Member>,
}

/// One stage.
pub(super) struct Member {
    pub(super) name: String,
    pub(super) state: &'static str,
    pub(super) why: String,
    pub(super) key: String,
    pub(super) ran: String,
    /// What it used: requests, tokens, money.
    pub(super) used: String,
    /// Port, where it comes from, its content.
    pub(super) inputs: Vec<[String; 3]>,
    /// Name and content.
    pub(super) outputs: Vec<[String; 2]>,
    pub(super) recipe: String,
}

impl Stages {
    /// Of all nodes of the plan.
    ///
    /// # Errors
    /// When a result cannot be read.
    pub(super) fn read(source: &Source<'_>, resolved: &[Resolved]) -> Result<Self, ReportError> {
        let plan = source.plan;
        let mut place: BTreeMap<NodeId, usize> = BTreeMap::new();
        let mut groups: Vec<Group> = Vec::new();
        let mut depths: Vec<usize> = Vec::new();
        let mut depth: BTreeMap<NodeId, usize> = BTreeMap::new();
        let mut edges: Vec<(usize, usize)> = Vec::new();
        for each in resolved {
            let node = plan.node(each.node);
            let at = groups.iter().position(|group| group.name == node.base());
            let at = at.unwrap_or_else(|| {
                groups.push(Group {
                    name: node.base().to_owned(),
                    kind: node.kind.name(),
                    state: GroupState::None,
                    says: String::new(),
                    members: Vec::new(),
                });
                depths.push(0);
                groups.len() - 1
            });
            place.insert(each.node, at);
            let inputs = plan.inputs(each.node);
            let gate = plan.gate(each.node);
            let before = inputs.values().map(|(from, _)| from).chain(&gate);
            let deepest = before
                .clone()
                .filter_map(|from| depth.get(from))
                .map(|depth| depth + 1)
                .max();
            let deepest = deepest.unwrap_or_default();
            depth.insert(each.node, deepest);
            depths[at] = depths[at].max(deepest);
            for from in before {
                let edge = place.get(from).map(|from| (*from, at));
                if let Some(edge) = edge.filter(|edge| edge.0 != edge.1 && !edges.contains(edge)) {
                    edges.push(edge);
                }
            }
            groups[at].members.push(member(source, each)?);
        }
        // What is there in many rounds stands where the last one does: columns that nothing is left in are taken out.
        let taken: BTreeSet<usize> = depths.iter().copied().collect();
        for depth in &mut depths {
            *depth = taken.range(..*depth).count();
        }
        for group in &mut groups {
            let count = |state: &str| {
                group
                    .members
                    .iter()
                    .filter(|each| each.state == state)
                    .count()
            };
            let (hits, not_needed) = (count("hit"), count(NOT_NEEDED));
            let all = group.members.len();
            group.state = match hits {
                hits if hits + not_needed == all => GroupState::All,
                0 => GroupState::None,
                _ => GroupState::Some,
            };
            group.says = match (group.state, all, not_needed) {
                (GroupState::All, 1, 0) => "in the store".to_owned(),
                (GroupState::All, 1, _) => NOT_NEEDED.to_owned(),
                (GroupState::None, 1, _) => "not run".to_owned(),
                (.., 0) => format!("{hits} of {all} in the store"),
                _ => format!("{hits} of {all} in the store, {not_needed} not needed"),
            };
        }
        // The rounds of a manifest lead back to where they began: what goes to the left is not drawn.
        edges.retain(|(from, to)| depths[*from] < depths[*to]);
        let hits = resolved.iter().filter(|each| is_hit(&each.state)).count();
        Ok(Self::drawn(groups, &depths, &edges, resolved.len(), hits))
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a drawing is some thousand pixels wide"
    )]
    fn drawn(
        groups: Vec<Group>,
        depths: &[usize],
        edges: &[(usize, usize)],
        count: usize,
        hits: usize,
    ) -> Self {
        let laid = layout::lay_out(depths, edges);
        let boxes = groups.iter().zip(&laid.boxes).enumerate();
        let boxes = boxes.map(|(place, (group, (x, y)))| Tile {
            group: place,
            x: *x,
            y: *y,
            name: cut(&group.name, 19),
            about: cut(&about(group), 27),
            state: group.state,
            title: title(group),
        });
        let lines = (edges.iter().zip(&laid.lines)).map(|((from, to), points)| Edge {
            way: smooth(points),
            from: *from,
            to: *to,
        });
        Self {
            width: laid.width.ceil() as u32,
            height: laid.height.ceil() as u32,
            boxes: boxes.collect(),
            lines: lines.collect(),
            count,
            hits,
            groups,
        }
    }

    pub(super) fn box_width() -> f64 {
        BOX_WIDTH
    }

    pub(super) fn box_height() -> f64 {
        BOX_HEIGHT
    }
}

fn is_hit(state: &NodeState) -> bool {
    matches!(state, NodeState::Hit(_))
}

/// A box's second line.
fn about(group: &Group) -> String {
    let hits = group.members.iter().filter(|each| each.state == "hit");
    match (group.members.len(), group.state) {
        (1, GroupState::All) if group.members[0].state == NOT_NEEDED => {
            format!("{}, not needed", group.kind)
        }
        (1, GroupState::All) => format!("{}, stored", group.kind),
        (1, _) => format!("{}, not run", group.kind),
        (all, _) => format!("{}, {} of {all}", group.kind, hits.count()),
    }
}

fn title(group: &Group) -> String {
    let mut lines = vec![format!("{} ({}): {}", group.name, group.kind, group.says)];
    if let [only] = group.members.as_slice() {
        lines.push(format!("key {}", only.key));
        lines.extend([only.ran.clone(), only.why.clone()]);
        lines.retain(|line| !line.is_empty());
    }
    lines.join("\n")
}

/// `text` with at most so many characters.
fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let head: String = text.chars().take(most - 1).collect();
    format!("{head}\u{2026}")
}

/// A path in SVG's language: straight across boxes' columns, curved between them.
fn smooth(points: &[(f64, f64)]) -> String {
    use std::fmt::Write as _;
    let mut way = String::new();
    for (step, (x, y)) in points.iter().enumerate() {
        let _ = match step {
            0 => write!(way, "M{x:.1} {y:.1}"),
            step if step % 2 == 0 => write!(way, "L{x:.1} {y:.1}"),
            step => {
                let before = points[step - 1];
                let middle = f64::midpoint(before.0, *x);
                write!(
                    way,
                    "C{middle:.1} {:.1} {middle:.1} {y:.1} {x:.1} {y:.1}",
                    before.1
                )
            }
        };
    }
    way
}

fn member(source: &Source<'_>, resolved: &Resolved) -> Result<Member, ReportError> {
    let behind = behind(source, resolved.node, resolved.key)?;
    let outputs = source.plan.node(resolved.node).kind.outputs().iter();
    let hit = is_hit(&resolved.state);
    let content = |digest: Option<crate::key::Digest>| {
        digest.map_or_else(|| "not in the store".to_owned(), |digest| digest.short())
    };
    Ok(Member {
        name: escaped(&behind.names.join(" = ")),
        state: state_name(&resolved.state),
        why: match &resolved.state {
            // Its message may name a folder of the machine.
            NodeState::Unfetched(_) => "needs an outside file that is not here".to_owned(),
            state => escaped(&reason(source.plan, state)),
        },
        key: (behind.key).map_or_else(|| "not known yet".to_owned(), |key| key.to_string()),
        // Pages are passed on, and host names stay at home.
        ran: if hit {
            ran(&behind.provenance, false).unwrap_or_default()
        } else {
            String::new()
        },
        used: escaped(&used_text(&behind.provenance).unwrap_or_default()),
        inputs: (behind.inputs.into_iter())
            .map(|(port, from, digest)| [port, escaped(&from), content(digest)])
            .collect(),
        outputs: outputs
            .map(|output| {
                let digest = source.digest(resolved.node, output.name);
                [output.name.to_owned(), content(digest)]
            })
            .collect(),
        recipe: match behind.recipe {
            Value::Null => String::new(),
            recipe => escaped(&format!("{recipe:#}")),
        },
    })
}
