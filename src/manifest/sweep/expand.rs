//! `[sweep]` of a tree: its axes, its points, and the tree that each point means.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Axis, AxisValue, Point, SEED, Sweep};
use crate::key::canonical_json;
use crate::manifest::error::Diagnostic;
use crate::manifest::nearest::suggest;
use crate::manifest::place::Field;
use crate::manifest::tree::{Entry, Node, Tree};
use crate::manifest::words::plain;

/// A sweep of more points than this is a mistake (ours).
const MOST_POINTS: usize = 100_000;

/// What of a manifest a point may change; the rest says how to run and what to print.
const SWEPT: [&str; 6] = ["data", "student", "stages", "defaults", "reading", SEED];

/// A sweep with the values to lay on the tree.
pub(in crate::manifest) struct Expansion {
    /// What the manifest tells of it.
    pub(in crate::manifest) sweep: Sweep,
    axes: Vec<Draft>,
}

/// An axis: fields that change together, and for each place on it their values.
struct Draft {
    fields: Vec<Field>,
    values: Vec<Vec<Node>>,
}

/// Takes `[sweep]` out of `tree` and reads it. The section fits the schema, or `errors` says so already.
pub(in crate::manifest) fn expand(tree: &mut Node, errors: &mut Vec<Diagnostic>) -> Expansion {
    let section = tree.as_table_mut().and_then(|root| root.remove("sweep"));
    let Some(Entry { value: section, .. }) = section else {
        return Expansion {
            sweep: Sweep::single(),
            axes: Vec::new(),
        };
    };
    let mut reader = Reader {
        axes: Vec::new(),
        errors,
    };
    reader.grid(&section);
    reader.zip(&section);
    let mut points = reader.product();
    if reader.axes.is_empty() {
        points.clear(); // only `points` and `seeds`: there is no product to begin with
    }
    reader.points(&section, &mut points);
    reader.seeds(&section, &mut points);
    reader.exclude(&section, &mut points);
    let mut seen = BTreeSet::new();
    points.retain(|point| seen.insert(point.clone()));
    if points.is_empty() {
        reader.errors.push(
            Diagnostic::at(&section.origin, "the sweep has no points").hint(
                "give values in `seeds`, `grid`, `zip` or `points`, and exclude fewer".to_owned(),
            ),
        );
    }
    let axes = reader.axes;
    let sweep = Sweep {
        axes: named(&axes, section.get("labels")),
        points,
    };
    for (axis, draft) in sweep.axes.iter().zip(&axes) {
        let mut seen = BTreeSet::new();
        let labels = axis.values.iter().map(|value| value.label.as_str());
        let twice = labels.enumerate().find(|(_, label)| !seen.insert(*label));
        if let Some((at, label)) = twice {
            let message = format!("two values of `{}` are both called `{label}`", axis.field);
            errors.push(Diagnostic::at(&draft.values[at][0].origin, message));
        }
    }
    Expansion { sweep, axes }
}

impl Expansion {
    /// The tree of one point.
    pub(in crate::manifest) fn lay(
        &self,
        point: &Point,
        tree: &mut Node,
        errors: &mut Vec<Diagnostic>,
    ) {
        for (axis, place) in self.axes.iter().zip(&point.coordinates) {
            let Some(place) = place else { continue };
            for (field, value) in axis.fields.iter().zip(&axis.values[*place]) {
                match field.place(tree, value.clone()) {
                    Ok(Some(before)) if before.origin.source.is_argument() => errors.push(
                        Diagnostic::at(
                            &before.origin,
                            format!(
                                "the sweep varies `{}`, so setting it changes nothing",
                                field.text
                            ),
                        )
                        .hint(format!(
                            "set its values, for example `--set 'sweep.grid.\"{}\"=[...]'`",
                            field.text
                        )),
                    ),
                    Ok(_) => {}
                    Err(error) => errors.push(*error),
                }
            }
        }
    }
}

/// Reads the section, axis by axis.
struct Reader<'e> {
    axes: Vec<Draft>,
    errors: &'e mut Vec<Diagnostic>,
}

impl Reader<'_> {
    fn grid(&mut self, section: &Node) {
        for entry in entries(section, "grid") {
            if let (Some(field), Tree::Array(values)) = (self.field(entry), &entry.value.value) {
                let values = values.iter().map(|value| vec![value.clone()]).collect();
                self.axis(vec![field], values);
            }
        }
    }

    fn zip(&mut self, section: &Node) {
        let (mut fields, mut columns) = (Vec::new(), Vec::new());
        for entry in entries(section, "zip") {
            if let (Some(field), Tree::Array(values)) = (self.field(entry), &entry.value.value) {
                fields.push(field);
                columns.push((entry, values));
            }
        }
        let Some((first, values)) = columns.first() else {
            return;
        };
        let count = values.len();
        for (entry, values) in &columns {
            if values.len() != count {
                self.errors.push(Diagnostic {
                    related: vec![(first.key_origin.clone(), format!("has {count} values"))],
                    ..Diagnostic::at(
                        &entry.value.origin,
                        format!(
                            "`zip` takes as many values for each field, but `{}` has {}",
                            entry.key,
                            values.len()
                        ),
                    )
                });
                return;
            }
        }
        let row = |place: usize| columns.iter().map(|(_, v)| v[place].clone()).collect();
        self.axis(fields, (0..count).map(row).collect());
    }

    fn axis(&mut self, fields: Vec<Field>, values: Vec<Vec<Node>>) {
        for field in &fields {
            if let Some(other) = self
                .axes
                .iter()
                .flat_map(|axis| &axis.fields)
                .find(|other| other.keys == field.keys)
            {
                let message = format!("`{}` is varied twice", field.text);
                self.errors.push(Diagnostic {
                    related: vec![(other.origin.clone(), "here too".to_owned())],
                    ..Diagnostic::at(&field.origin, message)
                });
                return;
            }
        }
        if !values.is_empty() {
            self.axes.push(Draft { fields, values });
        }
    }

    /// Every combination of the values so far, the last axis fastest.
    fn product(&mut self) -> Vec<Point> {
        let count = self
            .axes
            .iter()
            .try_fold(1_usize, |count, axis| count.checked_mul(axis.values.len()));
        if count.is_none_or(|count| count > MOST_POINTS) {
            let origin = &self.axes[0].fields[0].origin;
            let message = format!("the sweep has more than {MOST_POINTS} points");
            self.errors.push(Diagnostic::at(origin, message));
            return vec![Point::default()];
        }
        let mut points = vec![Point::default()];
        for axis in &self.axes {
            let with = |point: &Point, place| {
                let mut point = point.clone();
                point.coordinates.push(Some(place));
                point
            };
            points = points
                .iter()
                .flat_map(|point| (0..axis.values.len()).map(move |place| with(point, place)))
                .collect();
        }
        points
    }

    fn points(&mut self, section: &Node, points: &mut Vec<Point>) {
        let Some(Tree::Array(declared)) = section.get("points").map(|node| &node.value) else {
            return;
        };
        // By axis, the place of each value.
        let mut places: Vec<BTreeMap<String, usize>> = Vec::new();
        for axis in &self.axes {
            let mut of_axis = BTreeMap::new();
            for (place, row) in axis.values.iter().enumerate() {
                of_axis.entry(identity(&row[0])).or_insert(place);
            }
            places.push(of_axis);
        }
        for node in declared {
            let mut coordinates = vec![None; self.axes.len()];
            for entry in node.as_table().into_iter().flat_map(|table| &table.entries) {
                let Some(field) = self.field(entry) else {
                    continue;
                };
                let axis = self.axis_of(&field).unwrap_or_else(|| {
                    self.axes.push(Draft {
                        fields: vec![field.clone()],
                        values: Vec::new(),
                    });
                    places.push(BTreeMap::new());
                    self.axes.len() - 1
                });
                if self.axes[axis].fields.len() > 1 {
                    let message = format!("`{}` is varied by `zip` already", field.text);
                    self.errors.push(Diagnostic::at(&entry.key_origin, message));
                    continue;
                }
                let values = &mut self.axes[axis].values;
                let place = *places[axis]
                    .entry(identity(&entry.value))
                    .or_insert_with(|| {
                        values.push(vec![entry.value.clone()]);
                        values.len() - 1
                    });
                coordinates.resize(self.axes.len(), None);
                coordinates[axis] = Some(place);
            }
            points.push(Point { coordinates });
        }
        for point in points {
            point.coordinates.resize(self.axes.len(), None);
        }
    }

    fn seeds(&mut self, section: &Node, points: &mut Vec<Point>) {
        let Some(node) = section.get("seeds") else {
            return;
        };
        let Tree::Array(seeds) = &node.value else {
            return;
        };
        if seeds.is_empty() {
            return;
        }
        if points.len().saturating_mul(seeds.len()) > MOST_POINTS {
            let message = format!("the sweep has more than {MOST_POINTS} points");
            self.errors.push(Diagnostic::at(&node.origin, message));
            return;
        }
        let field = Field::parse(SEED, &node.origin).expect("one bare key");
        if self.axis_of(&field).is_some() {
            let message = "the seed is varied twice: by `seeds` and as a field";
            self.errors.push(Diagnostic::at(&node.origin, message));
            return;
        }
        self.axis(
            vec![field],
            seeds.iter().map(|seed| vec![seed.clone()]).collect(),
        );
        if points.is_empty() {
            points.push(Point {
                coordinates: vec![None; self.axes.len() - 1],
            });
        }
        *points = points
            .iter()
            .flat_map(|point| {
                (0..seeds.len()).map(move |place| {
                    let mut point = point.clone();
                    point.coordinates.push(Some(place));
                    point
                })
            })
            .collect();
    }

    fn exclude(&mut self, section: &Node, points: &mut Vec<Point>) {
        let Some(Tree::Array(rules)) = section.get("exclude").map(|node| &node.value) else {
            return;
        };
        // By axis, by value, by field.
        let identities: Vec<Vec<Vec<String>>> = self
            .axes
            .iter()
            .map(|axis| {
                axis.values
                    .iter()
                    .map(|row| row.iter().map(identity).collect())
                    .collect()
            })
            .collect();
        for rule in rules {
            let mut conditions = Vec::new();
            for entry in rule.as_table().into_iter().flat_map(|table| &table.entries) {
                let Some(field) = self.field(entry) else {
                    continue;
                };
                let place = self.axes.iter().enumerate().find_map(|(axis, draft)| {
                    let column = draft.fields.iter().position(|f| f.keys == field.keys)?;
                    Some((axis, column))
                });
                let Some(place) = place else {
                    let known = self.axes.iter().flat_map(|axis| &axis.fields);
                    let known: Vec<&str> = known.map(|field| field.text.as_str()).collect();
                    let message = format!("the sweep does not vary `{}`", field.text);
                    let error = Diagnostic::at(&entry.key_origin, message);
                    let hint = suggest(&field.text, known, "it varies");
                    self.errors.push(error.hint(hint));
                    return;
                };
                let wanted: BTreeSet<String> = match &entry.value.value {
                    Tree::Array(any) => any.iter().map(identity).collect(),
                    _ => BTreeSet::from([identity(&entry.value)]),
                };
                conditions.push((place, wanted));
            }
            let excluded = |point: &Point| {
                conditions.iter().all(|((axis, column), wanted)| {
                    let place = point.coordinates[*axis];
                    place.is_some_and(|place| wanted.contains(&identities[*axis][place][*column]))
                })
            };
            if !conditions.is_empty() {
                points.retain(|point| !excluded(point));
            }
        }
    }

    fn axis_of(&self, field: &Field) -> Option<usize> {
        self.axes
            .iter()
            .position(|axis| axis.fields.iter().any(|each| each.keys == field.keys))
    }

    /// The field that a key of the section names.
    fn field(&mut self, entry: &Entry) -> Option<Field> {
        let field = match Field::parse(&entry.key, &entry.key_origin) {
            Ok(field) => field,
            Err(error) => {
                self.errors.push(*error);
                return None;
            }
        };
        if SWEPT.contains(&field.keys[0].as_str()) {
            return Some(field);
        }
        let message = format!("a sweep cannot vary `{}`", field.text);
        let hint = suggest(&field.keys[0], SWEPT, "fields begin with");
        self.errors
            .push(Diagnostic::at(&entry.key_origin, message).hint(hint));
        None
    }
}

fn entries<'n>(section: &'n Node, key: &str) -> &'n [Entry] {
    section
        .get(key)
        .and_then(Node::as_table)
        .map_or(&[], |table| &table.entries)
}

/// Equal for equal values, `1` and `1.0` among them.
fn identity(node: &Node) -> String {
    canonical_json(&node.to_json())
}

/// The axes as the manifest tells of them.
fn named(drafts: &[Draft], labels: Option<&Node>) -> Vec<Axis> {
    let label = |field: &Field, value: &Value| {
        let text = plain(value);
        let label = labels.and_then(|labels| labels.get(&field.text)?.get(&text)?.as_str());
        label.map_or(text, str::to_owned)
    };
    drafts
        .iter()
        .enumerate()
        .map(|(index, draft)| {
            let of = |columns: usize, row: &Vec<Node>| -> String {
                let cells = draft.fields.iter().zip(row).take(columns);
                let cells: Vec<String> = cells.map(|(f, v)| label(f, &v.to_json())).collect();
                cells.join(" + ")
            };
            let firsts: BTreeSet<String> = draft.values.iter().map(|row| of(1, row)).collect();
            // The first field speaks for those that go with it, unless it does not tell rows apart.
            let columns = if firsts.len() == draft.values.len() {
                1
            } else {
                draft.fields.len()
            };
            Axis {
                field: draft.fields[0].text.clone(),
                fields: draft.fields.iter().map(|f| f.keys.join(".")).collect(),
                name: short_name(drafts, index),
                values: draft
                    .values
                    .iter()
                    .map(|row| AxisValue {
                        value: row[0].to_json(),
                        label: of(columns, row),
                    })
                    .collect(),
            }
        })
        .collect()
}

/// The shortest end of the axis's field that no other axis has.
fn short_name(drafts: &[Draft], index: usize) -> String {
    let keys = |draft: &Draft| draft.fields[0].keys.clone();
    let own = keys(&drafts[index]);
    let others = drafts
        .iter()
        .enumerate()
        .filter(|(other, _)| *other != index);
    let others: Vec<Vec<String>> = others.map(|(_, draft)| keys(draft)).collect();
    for length in 1..own.len() {
        let end = &own[own.len() - length..];
        if !others.iter().any(|other| other.ends_with(end)) {
            return end.join(".");
        }
    }
    own.join(".")
}
