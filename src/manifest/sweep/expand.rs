//! `[sweep]` of a tree: `(grid x zip + points) x seeds`, less what is excluded; and the tree that each point means.

use std::collections::BTreeSet;

use super::combine::identity;
use super::{Axis, SEED, Sweep, SweepPoint};
use crate::manifest::error::Diagnostic;
use crate::manifest::nearest::suggest;
use crate::manifest::place::Field;
use crate::manifest::source::Origin;
use crate::manifest::tree::{Entry, Node, Tree};

/// A sweep of more points than this is a mistake (ours).
const MOST_POINTS: usize = 100_000;

/// What of a manifest a point may change; the rest says how to run and what to print.
const SWEPT: [&str; 7] = [
    "data", "student", "stages", "rounds", "defaults", "reading", SEED,
];

/// Takes `[sweep]` out of `tree` and reads it. The section fits the schema, or `errors` says so already.
pub(in crate::manifest) fn expand(tree: &mut Node, errors: &mut Vec<Diagnostic>) -> Sweep {
    let section = tree.as_table_mut().and_then(|root| root.remove("sweep"));
    let Some(Entry { value: section, .. }) = section else {
        return Sweep::single();
    };
    let mut reader = SectionReader {
        section: &section,
        errors,
    };
    let Some(sweep) = reader.product() else {
        return Sweep::single();
    };
    let sweep = reader.points(sweep);
    let sweep = reader.seeds(sweep);
    let sweep = reader.exclude(sweep).distinct();
    let sweep = sweep.named(section.get("labels"));
    if sweep.points.is_empty() {
        errors.push(
            Diagnostic::at(&section.origin, "the sweep has no points").hint(
                "give values in `seeds`, `grid`, `zip` or `points`, and exclude fewer".to_owned(),
            ),
        );
    }
    for axis in &sweep.axes {
        let mut seen = BTreeSet::new();
        let twice = axis.values.iter().find(|value| !seen.insert(&value.label));
        if let Some(value) = twice {
            let message = format!(
                "two values of `{}` are both called `{}`",
                axis.field(),
                value.label
            );
            errors.push(Diagnostic::at(&value.nodes[0].origin, message));
        }
    }
    sweep
}

impl Sweep {
    /// Makes of `tree` that of one point.
    pub(in crate::manifest) fn lay(
        &self,
        point: &SweepPoint,
        tree: &mut Node,
        errors: &mut Vec<Diagnostic>,
    ) {
        for (axis, place) in self.axes.iter().zip(&point.coordinates) {
            let Some(place) = place else { continue };
            for (field, value) in axis.fields.iter().zip(&axis.values[*place].nodes) {
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

/// Reads the section, part by part.
struct SectionReader<'s, 'e> {
    section: &'s Node,
    errors: &'e mut Vec<Diagnostic>,
}

impl SectionReader<'_, '_> {
    /// Every combination of `grid` and `zip`; no points where there is neither. `None` where there are too many.
    fn product(&mut self) -> Option<Sweep> {
        let mut axes = Vec::new();
        for axis in self.grid().into_iter().chain(self.zip()) {
            if !axis.values.is_empty() && !self.is_varied_twice(&axis, &axes) {
                axes.push(axis);
            }
        }
        let Some(first) = axes.first() else {
            return Some(Sweep::none());
        };
        let mut counts = axes.iter().map(|axis| axis.values.len());
        let count = counts.try_fold(1, usize::checked_mul);
        if count.is_none_or(|count| count > MOST_POINTS) {
            let origin = first.fields[0].origin.clone();
            self.too_many(&origin);
            return None;
        }
        Some(axes.into_iter().fold(Sweep::single(), Sweep::times))
    }

    fn grid(&mut self) -> Vec<Axis> {
        let mut axes = Vec::new();
        for entry in entries(self.section, "grid") {
            if let (Some(field), Tree::Array(values)) = (self.field(entry), &entry.value.value) {
                let rows = values.iter().map(|value| vec![value.clone()]);
                axes.push(Axis::new(vec![field], rows));
            }
        }
        axes
    }

    fn zip(&mut self) -> Option<Axis> {
        let (mut fields, mut columns) = (Vec::new(), Vec::new());
        for entry in entries(self.section, "zip") {
            if let (Some(field), Tree::Array(values)) = (self.field(entry), &entry.value.value) {
                fields.push(field);
                columns.push((entry, values));
            }
        }
        let (first, values) = columns.first()?;
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
                return None;
            }
        }
        let row = |place: usize| columns.iter().map(|(_, v)| v[place].clone()).collect();
        Some(Axis::new(fields, (0..count).map(row)))
    }

    fn is_varied_twice(&mut self, axis: &Axis, others: &[Axis]) -> bool {
        let twice = axis.fields.iter().find_map(|field| {
            let mut others = others.iter().flat_map(|other| &other.fields);
            Some((field, others.find(|other| other.keys == field.keys)?))
        });
        if let Some((field, other)) = twice {
            let message = format!("`{}` is varied twice", field.text);
            self.errors.push(Diagnostic {
                related: vec![(other.origin.clone(), "here too".to_owned())],
                ..Diagnostic::at(&field.origin, message)
            });
        }
        twice.is_some()
    }

    /// Adds the points of `points`, each a product of axes of one value.
    fn points(&mut self, sweep: Sweep) -> Sweep {
        let Some(Tree::Array(declared)) = self.section.get("points").map(|node| &node.value) else {
            return sweep;
        };
        let mut points = Vec::new();
        for node in declared {
            let mut point = Sweep::single();
            for entry in node.as_table().into_iter().flat_map(|table| &table.entries) {
                let Some(field) = self.field(entry) else {
                    continue;
                };
                let axis = sweep.find(&field.keys);
                if axis.is_some_and(|(axis, _)| sweep.axes[axis].fields.len() > 1) {
                    let message = format!("`{}` is varied by `zip` already", field.text);
                    self.errors.push(Diagnostic::at(&entry.key_origin, message));
                    continue;
                }
                point = point.times(Axis::new(vec![field], [vec![entry.value.clone()]]));
            }
            points.push(point);
        }
        sweep.plus(points)
    }

    /// Each point with each of `seeds`.
    fn seeds(&mut self, mut sweep: Sweep) -> Sweep {
        let Some(node) = self.section.get("seeds") else {
            return sweep;
        };
        let Tree::Array(seeds) = &node.value else {
            return sweep;
        };
        if seeds.is_empty() {
            return sweep;
        }
        if sweep.points.len().saturating_mul(seeds.len()) > MOST_POINTS {
            self.too_many(&node.origin);
            return sweep;
        }
        let field = Field::parse(SEED, &node.origin).expect("one bare key");
        if sweep.find(&field.keys).is_some() {
            let message = "the seed is varied twice: by `seeds` and as a field";
            self.errors.push(Diagnostic::at(&node.origin, message));
            return sweep;
        }
        // Seeds alone: the manifest as it is, once for each.
        if sweep.points.is_empty() {
            sweep = sweep.plus([Sweep::single()]);
        }
        let mut fields = vec![field];
        fields.extend(self.seed_fields(&sweep));
        let rows = seeds.iter().map(|seed| vec![seed.clone(); fields.len()]);
        let rows: Vec<_> = rows.collect();
        sweep.times(Axis::new(fields, rows))
    }

    /// The fields that go with the seed.
    fn seed_fields(&mut self, sweep: &Sweep) -> Vec<Field> {
        let mut fields: Vec<Field> = Vec::new();
        let Some(Tree::Array(declared)) = self.section.get("seed_fields").map(|node| &node.value)
        else {
            return fields;
        };
        for node in declared {
            let Tree::String(path) = &node.value else {
                continue; // the schema says so
            };
            let Some(field) = self.field_of(path, &node.origin) else {
                continue;
            };
            let twice = fields.iter().any(|other| other.keys == field.keys);
            if twice || field.keys == [SEED] || sweep.find(&field.keys).is_some() {
                let message = format!("`{}` is varied twice", field.text);
                self.errors.push(Diagnostic::at(&node.origin, message));
                continue;
            }
            fields.push(field);
        }
        fields
    }

    fn too_many(&mut self, origin: &Origin) {
        let message = format!("the sweep has more than {MOST_POINTS} points");
        self.errors.push(Diagnostic::at(origin, message));
    }

    /// Takes away the points for which all of a rule's conditions hold.
    fn exclude(&mut self, sweep: Sweep) -> Sweep {
        let Some(Tree::Array(rules)) = self.section.get("exclude").map(|node| &node.value) else {
            return sweep;
        };
        let mut left = sweep;
        for rule in rules {
            // An axis, and whether the condition holds at each place on it.
            let mut conditions: Vec<(usize, Vec<bool>)> = Vec::new();
            for entry in rule.as_table().into_iter().flat_map(|table| &table.entries) {
                let Some(field) = self.field(entry) else {
                    continue;
                };
                let Some((axis, column)) = left.find(&field.keys) else {
                    let known = left.axes.iter().flat_map(|axis| &axis.fields);
                    let known: Vec<&str> = known.map(|field| field.text.as_str()).collect();
                    let message = format!("the sweep does not vary `{}`", field.text);
                    let error = Diagnostic::at(&entry.key_origin, message);
                    let hint = suggest(&field.text, known, "it varies");
                    self.errors.push(error.hint(hint));
                    return left;
                };
                let wanted: BTreeSet<String> = match &entry.value.value {
                    Tree::Array(any) => any.iter().map(identity).collect(),
                    _ => BTreeSet::from([identity(&entry.value)]),
                };
                let values = left.axes[axis].values.iter();
                let holds = values.map(|value| wanted.contains(&identity(&value.nodes[column])));
                conditions.push((axis, holds.collect()));
            }
            if !conditions.is_empty() {
                left = left.only(|point| {
                    let holds = |(axis, at): &(usize, Vec<bool>)| {
                        point.coordinates[*axis].is_some_and(|place| at[place])
                    };
                    !conditions.iter().all(holds)
                });
            }
        }
        left
    }

    /// The field that a key of the section names.
    fn field(&mut self, entry: &Entry) -> Option<Field> {
        self.field_of(&entry.key, &entry.key_origin)
    }

    fn field_of(&mut self, path: &str, origin: &Origin) -> Option<Field> {
        let field = match Field::parse(path, origin) {
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
        self.errors.push(Diagnostic::at(origin, message).hint(hint));
        None
    }
}

fn entries<'n>(section: &'n Node, key: &str) -> &'n [Entry] {
    section
        .get(key)
        .and_then(Node::as_table)
        .map_or(&[], |table| &table.entries)
}
