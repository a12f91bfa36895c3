//! Sweeps: one manifest, many points.
//!
//! In: `[sweep]` of a tree. Out: the axes and the points, and for each point the tree that it means. All points
//! become one list of stages: those that mean the same are one, those that differ carry in their names the
//! values that make them differ, as in `kept[min_perplexity=5]`.

mod combine;
mod expand;
mod merge;
mod section;

use serde_json::Value;

pub(super) use expand::expand;
pub(super) use merge::{Named, merge};
pub(super) use section::SweepSection;

use super::place::Field;
use super::source::Origin;
use super::stage_name::{Coordinate, point_text};
use super::tree::{Node, Tree};

/// The field that `seeds` varies.
pub const SEED: &str = "seed";

/// The axis over rounds.
pub const ROUND: &str = "round";

/// The axes of a sweep and its points. A manifest without a sweep has no axes and one point.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// What varies, in order of declaration; the seed comes last.
    pub axes: Vec<Axis>,
    /// The points, the last axis fastest.
    pub points: Vec<SweepPoint>,
}

/// What varies: a field, or several that go together. Grids, fields in step, single points and seeds are axes alike.
#[derive(Clone, Debug)]
pub struct Axis {
    fields: Vec<Field>,
    /// The shortest end of its field that no other axis has, for example `min_tokens`.
    pub name: String,
    /// The values that points have.
    pub values: Vec<AxisValue>,
}

/// A value on an axis.
#[derive(Clone, Debug)]
pub struct AxisValue {
    /// By field.
    nodes: Vec<Node>,
    /// What tables and figures call it.
    pub label: String,
}

/// A point: for each axis the place of its value, `None` where the point leaves the field as the manifest has it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct SweepPoint {
    /// By axis.
    pub coordinates: Vec<Option<usize>>,
}

impl Axis {
    /// The field as the manifest names it, for example `stages.kept.length.min_tokens`; of several that go together,
    /// the first.
    pub fn field(&self) -> &str {
        &self.fields[0].text
    }

    /// The keys of each of its fields, from the top of the manifest.
    pub(super) fn fields(&self) -> impl Iterator<Item = &[String]> {
        self.fields.iter().map(|field| field.keys.as_slice())
    }
}

impl AxisValue {
    /// The value of the axis's field; of several that go together, of the first.
    pub fn value(&self) -> Value {
        self.nodes[0].to_json()
    }
}

impl Sweep {
    /// Whether anything varies, rounds aside.
    pub fn is_sweep(&self) -> bool {
        self.axes.iter().any(|axis| axis.field() != ROUND)
    }

    /// Each point in each of so many rounds; as it is for none.
    #[must_use]
    pub(super) fn in_rounds(self, rounds: usize, origin: &Origin) -> Self {
        if rounds == 0 {
            return self;
        }
        let field = Field {
            text: ROUND.to_owned(),
            keys: vec![ROUND.to_owned()],
            origin: origin.clone(),
        };
        let value = |round: usize| AxisValue {
            nodes: vec![Node {
                value: Tree::Integer(round as i128),
                origin: origin.clone(),
            }],
            label: round.to_string(),
        };
        self.times(Axis {
            fields: vec![field],
            name: ROUND.to_owned(),
            values: (1..=rounds).map(value).collect(),
        })
    }

    /// The place of the axis over seeds.
    pub fn seed_axis(&self) -> Option<usize> {
        self.axes.iter().position(|axis| axis.field() == SEED)
    }

    /// The place of the axis called `name`, by its field or by its short name.
    pub fn axis(&self, name: &str) -> Option<usize> {
        self.axes
            .iter()
            .position(|axis| axis.field() == name || axis.name == name)
    }

    /// The label of a point's value on one axis.
    pub fn value_label(&self, point: &SweepPoint, axis: usize) -> &str {
        point.coordinates[axis].map_or("as declared", |place| &self.axes[axis].values[place].label)
    }

    /// A point's values on these axes, less those that it leaves as the manifest has them.
    pub(super) fn coordinates(&self, point: &SweepPoint, axes: &[usize]) -> Vec<Coordinate> {
        let varied = axes
            .iter()
            .filter(|axis| point.coordinates[**axis].is_some());
        varied
            .map(|&axis| Coordinate {
                axis: self.axes[axis].name.clone(),
                value: self.value_label(point, axis).to_owned(),
            })
            .collect()
    }

    /// `min_tokens=5, seed=1`: a point on these axes.
    pub fn label(&self, point: &SweepPoint, axes: &[usize]) -> String {
        point_text(&self.coordinates(point, axes))
    }
}
