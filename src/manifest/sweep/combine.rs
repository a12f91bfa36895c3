//! Sweeps made of sweeps: products, unions, and what is left of them. Everything that `[sweep]` can say is one of these.

use std::collections::{BTreeMap, BTreeSet};

use super::{Axis, AxisValue, Sweep, SweepPoint};
use crate::key::canonical_json;
use crate::manifest::place::Field;
use crate::manifest::tree::Node;
use crate::manifest::words::plain;

impl Axis {
    /// Fields that go together, and at each place on the axis a value for each of them. It has no name before
    /// [`Sweep::named`].
    pub(super) fn new(fields: Vec<Field>, rows: impl IntoIterator<Item = Vec<Node>>) -> Self {
        let value = |nodes| AxisValue {
            nodes,
            label: String::new(),
        };
        Self {
            fields,
            name: String::new(),
            values: rows.into_iter().map(value).collect(),
        }
    }
}

impl AxisValue {
    /// The same for equal values.
    fn identity(&self) -> Vec<String> {
        self.nodes.iter().map(identity).collect()
    }
}

/// Equal for equal values, `1` and `1.0` among them.
pub(super) fn identity(node: &Node) -> String {
    canonical_json(&node.to_json())
}

impl Sweep {
    /// One point and no axes: what leaves a product as it is.
    pub fn single() -> Self {
        Self {
            axes: Vec::new(),
            points: vec![SweepPoint::default()],
        }
    }

    /// No points and no axes: what leaves a union as it is.
    pub(super) fn none() -> Self {
        Self {
            axes: Vec::new(),
            points: Vec::new(),
        }
    }

    /// Each point at each value of `axis`, which changes fastest.
    pub(super) fn times(mut self, axis: Axis) -> Self {
        let at = |point: &SweepPoint, place| {
            let mut point = point.clone();
            point.coordinates.push(Some(place));
            point
        };
        let places = 0..axis.values.len();
        let points = self.points.iter();
        self.points = points
            .flat_map(|point| places.clone().map(move |place| at(point, place)))
            .collect();
        self.axes.push(axis);
        self
    }

    /// Its points, and then those of `others`. Axes of the same field become one; a point is as the manifest declares on
    /// those that it has not.
    pub(super) fn plus(mut self, others: impl IntoIterator<Item = Self>) -> Self {
        // By axis, the place of each value.
        let mut known: Vec<BTreeMap<Vec<String>, usize>> = Vec::new();
        for axis in &self.axes {
            let mut places = BTreeMap::new();
            for (place, value) in axis.values.iter().enumerate() {
                places.entry(value.identity()).or_insert(place);
            }
            known.push(places);
        }
        for other in others {
            // Where each axis of the other is among ours, and each of its values on it.
            let mut ours = Vec::new();
            for axis in other.axes {
                let at = self.find(&axis.fields[0].keys).map(|(at, _)| at);
                let at = at.unwrap_or_else(|| {
                    self.axes.push(Axis::new(axis.fields, []));
                    known.push(BTreeMap::new());
                    self.axes.len() - 1
                });
                let values = &mut self.axes[at].values;
                let places = axis.values.into_iter().map(|value| {
                    *known[at].entry(value.identity()).or_insert_with(|| {
                        values.push(value);
                        values.len() - 1
                    })
                });
                ours.push((at, places.collect::<Vec<usize>>()));
            }
            for point in other.points {
                let mut coordinates = vec![None; self.axes.len()];
                for ((at, places), place) in ours.iter().zip(point.coordinates) {
                    coordinates[*at] = place.map(|place| places[place]);
                }
                self.points.push(SweepPoint { coordinates });
            }
        }
        for point in &mut self.points {
            point.coordinates.resize(self.axes.len(), None);
        }
        self
    }

    /// Its points that `wanted` holds for.
    pub(super) fn only(mut self, wanted: impl Fn(&SweepPoint) -> bool) -> Self {
        self.points.retain(wanted);
        self
    }

    /// Each of its points once.
    pub(super) fn distinct(mut self) -> Self {
        let mut seen = BTreeSet::new();
        self.points.retain(|point| seen.insert(point.clone()));
        self
    }

    /// The place of the axis that has the field of `keys`, and the field's place on that.
    pub(super) fn find(&self, keys: &[String]) -> Option<(usize, usize)> {
        self.axes.iter().enumerate().find_map(|(at, axis)| {
            let field = axis.fields.iter().position(|field| field.keys == keys)?;
            Some((at, field))
        })
    }

    /// Names the axes, and their values: as `labels` has them by field and by value, or as they are written.
    pub(super) fn named(mut self, labels: Option<&Node>) -> Self {
        let names: Vec<String> = (0..self.axes.len()).map(|at| self.short_name(at)).collect();
        for (axis, name) in self.axes.iter_mut().zip(names) {
            axis.name = name;
            let of = |columns: usize, value: &AxisValue| -> String {
                let cells = axis.fields.iter().zip(&value.nodes).take(columns);
                let cells: Vec<String> = cells.map(|(f, node)| label(labels, f, node)).collect();
                cells.join(" + ")
            };
            let firsts: BTreeSet<String> = axis.values.iter().map(|row| of(1, row)).collect();
            // The first field speaks for those that go with it, unless it does not tell values apart.
            let columns = if firsts.len() == axis.values.len() {
                1
            } else {
                axis.fields.len()
            };
            let told: Vec<String> = axis.values.iter().map(|row| of(columns, row)).collect();
            for (value, label) in axis.values.iter_mut().zip(told) {
                value.label = label;
            }
        }
        self
    }

    /// The shortest end of an axis's field that no other axis has.
    fn short_name(&self, at: usize) -> String {
        let keys = |axis: usize| &self.axes[axis].fields[0].keys;
        let own = keys(at);
        let others = (0..self.axes.len()).filter(|other| *other != at);
        let end = (1..own.len())
            .map(|length| &own[own.len() - length..])
            .find(|end| !others.clone().any(|other| keys(other).ends_with(end)));
        end.unwrap_or(own).join(".")
    }
}

fn label(labels: Option<&Node>, field: &Field, node: &Node) -> String {
    let text = plain(&node.to_json());
    let label = labels.and_then(|labels| labels.get(&field.text)?.get(&text)?.as_str());
    label.map_or_else(|| text.clone(), str::to_owned)
}
