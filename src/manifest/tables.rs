//! `[tables]`: from their sections and the stages of each point to [`TableSpec`]s.

use std::collections::{BTreeMap, BTreeSet};

use super::error::Diagnostic;
use super::nearest::suggest;
use super::rounds::View;
use super::stage_name::{StageName, split_reference};
use super::sweep::Named;
use super::table::{RowSection, RowSpec, TableSection, TableSpec, Tested};
use super::tree::{Entry, Node, Tree};
use super::when::LeftOut;
use super::wire::{Outlet, Wiring};
use super::{Axis, PortRef, ROUND, SEED, StageSpec, Sweep};
use crate::artifact::ArtifactKind;
use crate::metric::Metric;

/// A table at one point: the evaluation of each row and each figure, where it is there.
pub(super) struct TableDraft {
    /// By row.
    pub(super) rows: Vec<RowDraft>,
}

/// A row at one point.
pub(super) struct RowDraft {
    eval: Option<Outlet>,
    figures: Vec<(Metric, Option<Outlet>)>,
}

/// The same with names.
#[derive(Clone)]
pub(super) struct RowRefs {
    eval: Option<PortRef>,
    figures: Vec<(Metric, Option<PortRef>)>,
}

impl RowDraft {
    /// The evaluations that the row reads.
    pub(super) fn outlets(&self) -> impl Iterator<Item = Outlet> {
        let figures = self.figures.iter().filter_map(|(_, outlet)| *outlet);
        self.eval.into_iter().chain(figures)
    }

    pub(super) fn named(&self, wiring: &Wiring<'_>) -> RowRefs {
        let named = |outlet: Option<Outlet>| wiring.port_ref(outlet?);
        RowRefs {
            eval: named(self.eval),
            figures: self.figures.iter().map(|(m, o)| (*m, named(*o))).collect(),
        }
    }
}

/// The evaluations that the tables of one point read in one round; a row whose stage `when` left out, or that has no such
/// round, has none.
pub(super) fn drafts(
    tree: &Node,
    wiring: &Wiring<'_>,
    (left_out, view): (&LeftOut, View<'_>),
    errors: &mut Vec<Diagnostic>,
) -> Vec<TableDraft> {
    let mut find = |table: &str, kind: ArtifactKind, node: &Node| {
        let text = node.as_str()?;
        let here = view.reference(text)?;
        if left_out.contains_key(split_reference(text).0) {
            return None;
        }
        let place = format!("a row of the table `{table}`");
        wiring.artifact(&place, kind, &here, &node.origin, errors)
    };
    entries(tree)
        .iter()
        .map(|entry| TableDraft {
            rows: rows(&entry.value)
                .iter()
                .map(|row| RowDraft {
                    eval: row
                        .get("eval")
                        .and_then(|node| find(&entry.key, ArtifactKind::Evaluation, node)),
                    figures: row
                        .get("figures")
                        .and_then(Node::as_table)
                        .map_or(&[][..], |table| &table.entries)
                        .iter()
                        .filter_map(|figure| {
                            let metric = Metric::named(&figure.key)?;
                            let kind = match metric.of_text() {
                                Some(_) => ArtifactKind::TextScores,
                                None => ArtifactKind::Evaluation,
                            };
                            Some((metric, find(&entry.key, kind, &figure.value)))
                        })
                        .collect(),
                })
                .collect(),
        })
        .collect()
}

fn entries(tree: &Node) -> &[Entry] {
    let tables = tree.get("tables").and_then(Node::as_table);
    tables.map_or(&[], |table| &table.entries)
}

fn rows(table: &Node) -> &[Node] {
    match table.get("rows").map(|rows| &rows.value) {
        Some(Tree::Array(rows)) => rows,
        _ => &[],
    }
}

/// What the points know of the tables: by point, by table, by row.
pub(super) type PointTables = Vec<Vec<Vec<RowRefs>>>;

/// The tables over all points of a manifest without mistakes so far.
pub(super) fn specs(
    tree: &Node,
    sweep: &Sweep,
    points: &PointTables,
    named: &Named,
    left_out: &[LeftOut],
    errors: &mut Vec<Diagnostic>,
) -> Vec<TableSpec> {
    let mut specs = Vec::new();
    let stages = Stages::new(&named.stages);
    let rounds = sweep.axes.iter().any(|axis| axis.field() == ROUND);
    for (place, entry) in entries(tree).iter().enumerate() {
        // The schema told what is wrong where it does not fit.
        let Ok(section) = serde_json::from_value::<TableSection>(entry.value.to_json()) else {
            continue;
        };
        let mut reader = TableReader {
            entry,
            section: &section,
            sweep,
            errors,
        };
        let Some((row_axes, column_axes)) = reader.axes() else {
            continue;
        };
        let baseline = reader.baseline();
        let tested = reader.tested(baseline);
        reader.labels();
        reader.texts();
        let swept: Vec<&Axis> = row_axes.iter().map(|&axis| &sweep.axes[axis]).collect();
        let row = |index: usize, row: &RowSection| RowSpec {
            varies: std::iter::once(&row.eval)
                .chain(row.figures.values())
                .any(|eval| depends(&stages, eval, &swept)),
            label: row.label.clone(),
            evals: over_points(points, named, |point| {
                points[point][place].get(index)?.eval.as_ref()
            }),
            figures: (row.figures.keys())
                .map(|&metric| {
                    let of_point = |point: usize| {
                        let mut figures = points[point][place].get(index)?.figures.iter();
                        figures.find(|(other, _)| *other == metric)?.1.as_ref()
                    };
                    (metric, over_points(points, named, of_point))
                })
                .collect(),
            absent: left_out
                .iter()
                .find_map(|left_out| {
                    let stages = std::iter::once(&row.eval).chain(row.figures.values());
                    let mut stages = stages.map(|text| split_reference(text).0);
                    stages.find_map(|stage| left_out.get(stage).cloned())
                })
                .or_else(|| Some(format!("`{}` has fewer rounds", row.eval)).filter(|_| rounds)),
        };
        specs.push(TableSpec {
            name: entry.key.clone(),
            caption: section.caption.clone(),
            rows: (0..).zip(&section.rows).map(|(i, r)| row(i, r)).collect(),
            metrics: section.metrics.clone(),
            row_axes,
            column_axes,
            as_declared: section.as_declared,
            baselines: section.baselines.clone(),
            baseline,
            tested,
            reported: section.reported.clone(),
        });
    }
    specs
}

/// The stages of all points by their names.
struct Stages<'a> {
    by_name: BTreeMap<&'a StageName, &'a StageSpec>,
    by_base: BTreeMap<&'a str, Vec<&'a StageSpec>>,
}

impl<'a> Stages<'a> {
    fn new(stages: &'a [StageSpec]) -> Self {
        let mut by_base: BTreeMap<&str, Vec<&StageSpec>> = BTreeMap::new();
        for stage in stages {
            by_base.entry(stage.name.base()).or_default().push(stage);
        }
        let by_name = stages.iter().map(|stage| (&stage.name, stage));
        Self {
            by_name: by_name.collect(),
            by_base,
        }
    }
}

/// Whether a stage, or one that it reads from, has a field that one of the axes varies.
fn depends(stages: &Stages<'_>, reference: &str, axes: &[&Axis]) -> bool {
    let varied = |stage: &StageSpec| {
        let mut fields = axes.iter().flat_map(|axis| axis.fields());
        let base = stage.name.base();
        fields.any(|keys| match keys {
            [first, name, ..] if first == "stages" => name == base,
            [first, kind, ..] if first == "defaults" => kind == stage.kind.name(),
            [first, rounds, ..] if first == "rounds" => stage.rounds.as_ref() == Some(rounds),
            [only] if only == ROUND => false,
            [only] if only == SEED => stage.kind.seeded(),
            [section, ..] => section == base,
            [] => false,
        })
    };
    if axes.is_empty() {
        return false;
    }
    let (base, _) = split_reference(reference);
    // What reads from a stage of a round has rounds too; what reads the model that comes out of them has none.
    let mut named = stages.by_base.get(base).into_iter().flatten();
    let in_rounds = |stage: &&StageSpec| stage.name.coordinates().iter().any(|at| at.axis == ROUND);
    if axes.iter().any(|axis| axis.field() == ROUND) && named.any(in_rounds) {
        return true;
    }
    let (mut open, mut seen) = (vec![base], BTreeSet::from([base]));
    while let Some(base) = open.pop() {
        // The same at every point, but for stages of points that `when` holds for.
        for stage in stages.by_base.get(base).into_iter().flatten() {
            if varied(stage) {
                return true;
            }
            for input in stage.inputs.values() {
                let from = stages.by_name.get(&input.stage);
                let from = from.map(|from| from.name.base());
                open.extend(from.filter(|from| seen.insert(from)));
            }
        }
    }
    false
}

/// A stage by point, under the name it has among all points.
fn over_points<'p>(
    points: &'p PointTables,
    named: &Named,
    of_point: impl Fn(usize) -> Option<&'p PortRef>,
) -> Vec<Option<PortRef>> {
    (0..points.len())
        .map(|point| named.at(point, of_point(point)?))
        .collect()
}

struct TableReader<'a> {
    entry: &'a Entry,
    section: &'a TableSection,
    sweep: &'a Sweep,
    errors: &'a mut Vec<Diagnostic>,
}

impl TableReader<'_> {
    /// The axes that make rows and those that make columns.
    fn axes(&mut self) -> Option<(Vec<usize>, Vec<usize>)> {
        let column_axes = self.named_axes("column_axes", &self.section.column_axes.clone())?;
        let row_axes = match self.section.row_axes.clone() {
            Some(names) => self.named_axes("row_axes", &names)?,
            None if self.section.as_declared => Vec::new(),
            None => (0..self.sweep.axes.len())
                .filter(|axis| !column_axes.contains(axis) && Some(*axis) != self.sweep.seed_axis())
                .collect(),
        };
        let missing = (0..self.sweep.axes.len()).find(|axis| {
            !self.section.as_declared
                && !row_axes.contains(axis)
                && !column_axes.contains(axis)
                && Some(*axis) != self.sweep.seed_axis()
        });
        if let Some(axis) = missing {
            let field = self.sweep.axes[axis].field();
            let message = format!(
                "the table `{}` has several points in one cell: the sweep's axis `{field}` is neither in its rows nor in its columns",
                self.entry.key
            );
            self.complain(
                "row_axes",
                message,
                Some(format!(
                    "add \"{field}\" to `row_axes` or `column_axes`, or keep to the points without it by `as_declared = true`"
                )),
            );
            return None;
        }
        if let Some(axis) = row_axes.iter().find(|axis| column_axes.contains(axis)) {
            let message = format!(
                "the axis `{}` cannot make rows and columns at once",
                self.sweep.axes[*axis].field()
            );
            self.complain("row_axes", message, None);
            return None;
        }
        Some((row_axes, column_axes))
    }

    fn named_axes(&mut self, key: &str, names: &[String]) -> Option<Vec<usize>> {
        let mut axes = Vec::new();
        for name in names {
            let Some(axis) = self.sweep.axis(name) else {
                let known = self.sweep.axes.iter().map(Axis::field);
                let hint = suggest(name, known, "it varies")
                    .unwrap_or_else(|| "this manifest has no `[sweep]`".to_owned());
                self.complain(key, format!("the sweep has no axis `{name}`"), Some(hint));
                return None;
            };
            axes.push(axis);
        }
        Some(axes)
    }

    fn baseline(&mut self) -> Option<usize> {
        let wanted = self.section.baseline.clone()?;
        let labels: Vec<&str> = self.section.rows.iter().map(|r| r.label.as_str()).collect();
        let found = labels.iter().position(|label| *label == wanted);
        if found.is_none() {
            let hint = suggest(&wanted, labels, "rows");
            self.complain("baseline", format!("the table has no row `{wanted}`"), hint);
        }
        found
    }

    /// What is tested against the row `baseline`.
    fn tested(&mut self, baseline: Option<usize>) -> Tested {
        let section = self.section;
        let tests = &section.tests;
        if section.baseline.is_none() && self.entry.value.get("tests").is_some() {
            let message = format!("the table `{}` tests against nothing", self.entry.key);
            let hint = "name the row to test against: `baseline = \"LABEL\"`".to_owned();
            self.complain("tests", message, Some(hint));
        }
        let columns = section.metrics.iter().copied();
        let mut metrics: Vec<Metric> = match &tests.metrics {
            Some(metrics) => metrics.clone(),
            None => columns.filter(|metric| metric.is_tested()).collect(),
        };
        let mut seen = BTreeSet::new();
        metrics.retain(|metric| seen.insert(*metric)); // once each, or Holm's correction counts them twice
        if let Some(metric) = metrics.iter().find(|metric| !metric.is_tested()) {
            let message = format!(
                "two rows are not tested on `{}`: it is no figure of single questions",
                metric.name()
            );
            let hint = format!("test `{}`", Metric::ACC.name());
            self.complain_of_tests("metrics", message, Some(hint));
        }
        let labels: Vec<&str> = section.rows.iter().map(|row| row.label.as_str()).collect();
        let place = |label: &str| labels.iter().position(|known| *known == label);
        let Some(wanted) = &tests.rows else {
            let rows = (0..labels.len()).filter(|row| Some(*row) != baseline);
            return Tested {
                metrics,
                rows: rows.collect(),
            };
        };
        let mut rows = Vec::new();
        for label in wanted {
            match place(label) {
                Some(row) if Some(row) == baseline => {
                    let message = format!("the row `{label}` cannot be tested against itself");
                    self.complain_of_tests("rows", message, None);
                }
                Some(row) if rows.contains(&row) => {}
                Some(row) => rows.push(row),
                None => {
                    let hint = suggest(label, labels.iter().copied(), "rows");
                    let message = format!("the table has no row `{label}`");
                    self.complain_of_tests("rows", message, hint);
                }
            }
        }
        Tested { metrics, rows }
    }

    /// A column of a text's figures says which stage measures it.
    fn texts(&mut self) {
        let section = self.section;
        let of_text = section
            .metrics
            .iter()
            .filter(|each| each.of_text().is_some());
        for metric in of_text {
            let name = metric.name();
            if !section
                .rows
                .iter()
                .any(|row| row.figures.contains_key(metric))
            {
                let message = format!(
                    "no row of the table `{}` says which stage measures `{name}`",
                    self.entry.key
                );
                let hint = format!(
                    "add `figures = {{ {name} = \"STAGE\" }}` to a row, with a stage of kind `perplexity`"
                );
                self.complain("metrics", message, Some(hint));
            }
        }
    }

    /// Two rows of one label could not be told apart.
    fn labels(&mut self) {
        let mut seen = BTreeSet::new();
        for (index, label) in self.section.rows.iter().map(|row| &row.label).enumerate() {
            if !seen.insert(label) {
                let message = format!("the table `{}` has two rows `{label}`", self.entry.key);
                let row = rows(&self.entry.value).get(index);
                let at = row.and_then(|row| row.get("label"));
                let origin = at.map_or(&self.entry.key_origin, |node| &node.origin);
                self.errors.push(Diagnostic::at(origin, message));
            }
        }
    }

    fn complain_of_tests(&mut self, key: &str, message: String, hint: Option<String>) {
        let tests = self.entry.value.get("tests");
        let node = tests.and_then(|tests| tests.get(key)).or(tests);
        let origin = node.map_or(&self.entry.key_origin, |node| &node.origin);
        self.errors.push(Diagnostic::at(origin, message).hint(hint));
    }

    fn complain(&mut self, key: &str, message: String, hint: Option<String>) {
        let node = self.entry.value.get(key);
        let origin = node.map_or(&self.entry.key_origin, |node| &node.origin);
        self.errors.push(Diagnostic::at(origin, message).hint(hint));
    }
}
