//! Fills a table from the store.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::cell::Reported;
use super::tests_against::tests;
use super::{Cell, CellGroup, Figure, ResultTable, TableRow, notes};
use crate::key::Digest;
use crate::manifest::{Baseline, Layout, LayoutColumn, LayoutRow, PortRef, TableSpec};
use crate::metric::{
    Estimate, EvalParams, Evaluation, Metric, OverSeeds, Resampling, chance, majority_class,
};
use crate::plan::NodeId;
use crate::report::{ReportError, Source, WhatRan};
use crate::text::{EndReason, Prediction, Question};

/// Tables, and why others are not there.
#[derive(Default)]
pub struct Built {
    /// Those that could be made.
    pub tables: Vec<ResultTable>,
    /// Of each that could not, its name and the reason.
    pub failures: Vec<String>,
}

/// Makes all tables that can be made.
pub fn build_all<'s>(source: &Source<'_>, specs: impl IntoIterator<Item = &'s TableSpec>) -> Built {
    let mut built = Built::default();
    for spec in specs {
        match build(source, spec) {
            Ok(table) => built.tables.push(table),
            Err(error) => {
                let failure = format!("the table `{}` cannot be made: {error}", spec.name);
                built.failures.push(failure);
            }
        }
    }
    built
}

/// One table.
///
/// # Errors
/// When an artifact cannot be read, or arms were measured on questions that cannot be compared.
pub fn build(source: &Source<'_>, spec: &TableSpec) -> Result<ResultTable, ReportError> {
    let layout = spec.layout(&source.manifest.sweep);
    let mut filler = Filler {
        source,
        spec,
        layout: &layout,
        read: BTreeMap::new(),
    };
    let mut rows = filler.baselines()?;
    let first_measured = rows.len();
    for row in &layout.rows {
        rows.push(filler.row(row)?);
    }
    let metrics = shown(spec, &mut rows);
    let tests = match spec.baseline {
        Some(baseline) => tests(&mut filler, baseline, &metrics)?,
        None => Vec::new(),
    };
    let mut table = ResultTable {
        name: spec.name.clone(),
        heading: match spec.caption.as_str() {
            "" => source.manifest.title.clone(),
            caption => format!("{}: {caption}", source.manifest.title),
        },
        metrics,
        ran: WhatRan::behind(source, filler.nodes())?,
        row_axes: layout.row_axes.clone(),
        groups: layout.columns.iter().map(|c| c.title.clone()).collect(),
        rows,
        tests,
        notes: Vec::new(),
    };
    table.notes = notes::notes(&mut filler, &table, first_measured)?;
    Ok(table)
}

/// The metrics that are shown: a column that no row has anything in goes, unless all would.
fn shown(spec: &TableSpec, rows: &mut [TableRow]) -> Vec<Metric> {
    let used = |column: usize| {
        let groups = rows.iter().flat_map(|row| &row.groups);
        groups
            .into_iter()
            .any(|group| group.cells[column] != Cell::Empty)
    };
    let keep: Vec<bool> = (0..spec.metrics.len()).map(used).collect();
    if !keep.contains(&true) {
        return spec.metrics.clone();
    }
    for group in rows.iter_mut().flat_map(|row| &mut row.groups) {
        let mut column = 0;
        group.cells.retain(|_| {
            column += 1;
            keep[column - 1]
        });
    }
    let metrics = spec.metrics.iter().zip(&keep);
    metrics
        .filter(|(_, keep)| **keep)
        .map(|(metric, _)| *metric)
        .collect()
}

/// What one evaluation tells.
#[derive(Clone)]
pub(super) struct Measured {
    pub(super) node: NodeId,
    /// The evaluation's content.
    pub(super) digest: Digest,
    pub(super) evaluation: Arc<Evaluation>,
    /// Answers that were cut by length; `None` where the answers are not in the store.
    pub(super) cut: Option<usize>,
    /// The questions as the manifest names them, for example `data.test`.
    pub(super) questions: String,
}

/// Reads evaluations, each once.
pub(super) struct Filler<'a> {
    pub(super) source: &'a Source<'a>,
    pub(super) spec: &'a TableSpec,
    pub(super) layout: &'a Layout,
    read: BTreeMap<NodeId, Option<Measured>>,
}

/// The evaluations of a cell, or why there are none.
pub(super) enum Found {
    Measured(Vec<Measured>),
    Hole(String),
}

impl Filler<'_> {
    /// The evaluations that were read.
    fn nodes(&self) -> impl Iterator<Item = NodeId> {
        self.read.keys().copied()
    }

    fn row(&mut self, row: &LayoutRow) -> Result<TableRow, ReportError> {
        let mut groups = Vec::new();
        for column in &self.layout.columns {
            groups.push(self.group(row, column)?);
        }
        Ok(TableRow {
            title: row.title.clone(),
            headers: row.headers.clone(),
            label: self.spec.rows[row.spec].label.clone(),
            groups,
        })
    }

    fn group(&mut self, row: &LayoutRow, column: &LayoutColumn) -> Result<CellGroup, ReportError> {
        let mut group = CellGroup::default();
        for &metric in &self.spec.metrics {
            let cell = match self.measured(row, column, metric)? {
                Found::Hole(reason) => Cell::Hole { reason },
                Found::Measured(seeds) => self.figure(row, column, metric, &seeds)?,
            };
            group.cells.push(cell);
        }
        // Of the row's own evaluation; a figure that comes from another one is told of in a note.
        if let Found::Measured(seeds) = self.own(row, column)? {
            group.unparsed = Some(seeds.iter().map(Measured::unparsed).sum());
            group.cut = seeds.iter().map(|seed| seed.cut).sum();
            group.questions = seeds.first().map(|seed| seed.evaluation.accuracy.n);
        }
        Ok(group)
    }

    /// What measured `metric` in a cell, one for each seed.
    pub(super) fn measured(
        &mut self,
        row: &LayoutRow,
        column: &LayoutColumn,
        metric: Metric,
    ) -> Result<Found, ReportError> {
        let spec = &self.spec.rows[row.spec];
        self.found(row, column, |point| spec.eval(metric, point).cloned())
    }

    /// The evaluation of a row itself, one for each seed.
    pub(super) fn own(
        &mut self,
        row: &LayoutRow,
        column: &LayoutColumn,
    ) -> Result<Found, ReportError> {
        let spec = &self.spec.rows[row.spec];
        self.found(row, column, |point| spec.evals[point].clone())
    }

    fn found(
        &mut self,
        row: &LayoutRow,
        column: &LayoutColumn,
        eval: impl Fn(usize) -> Option<PortRef>,
    ) -> Result<Found, ReportError> {
        let mut found = Vec::new();
        let points = row.points(column, &self.source.manifest.sweep);
        if points.is_empty() {
            return Ok(Found::Hole("the sweep has no such point".to_owned()));
        }
        for point in points {
            let Some(eval) = eval(point) else {
                let absent = self.spec.rows[row.spec].absent.clone();
                return Ok(Found::Hole(absent.unwrap_or_default()));
            };
            let Ok(node) = self.source.plan.find(&eval.stage) else {
                return Ok(Found::Hole(format!("there is no stage `{}`", eval.stage)));
            };
            // Seeds that share an evaluation (nothing in it is drawn) are one.
            if found.iter().any(|other: &Measured| other.node == node) {
                continue;
            }
            match self.read(node, eval.output)? {
                Some(measured) => found.push(measured),
                None => return Ok(Found::Hole((self.source.missing)(node))),
            }
        }
        Ok(Found::Measured(found))
    }

    fn read(&mut self, node: NodeId, output: &str) -> Result<Option<Measured>, ReportError> {
        if let Some(known) = self.read.get(&node) {
            return Ok(known.clone());
        }
        let source = self.source;
        let measured = match source.artifact::<Evaluation>(node, output)? {
            None => None,
            Some((digest, evaluation)) => {
                let answers = match source.input(node, "predictions") {
                    Some((from, output)) => source.artifact::<Vec<Prediction>>(from, output)?,
                    None => None,
                };
                let cut = answers.map(|(_, answers)| {
                    let cut = |answer: &&Prediction| answer.end == EndReason::Length;
                    answers.iter().filter(cut).count()
                });
                let questions = source
                    .input(node, "questions")
                    .map(|(from, output)| format!("{}.{output}", source.plan.node(from).base()));
                Some(Measured {
                    node,
                    digest,
                    evaluation: Arc::new(evaluation),
                    cut,
                    questions: questions.unwrap_or_default(),
                })
            }
        };
        self.read.insert(node, measured.clone());
        Ok(measured)
    }

    fn figure(
        &self,
        row: &LayoutRow,
        column: &LayoutColumn,
        metric: Metric,
        seeds: &[Measured],
    ) -> Result<Cell, ReportError> {
        let evaluations: Vec<&Evaluation> = seeds.iter().map(|seed| &*seed.evaluation).collect();
        let Some(over) = OverSeeds::of(metric, &evaluations, &Resampling::default())? else {
            return Ok(Cell::Empty);
        };
        let reported = self
            .spec
            .reported
            .iter()
            .flat_map(|reported| &reported.values);
        let reported = reported
            .filter(|figures| figures.row == row.title && figures.column == column.title)
            .find_map(|figures| figures.of(metric))
            .map(|value| Reported::beside(&over.questions, value, metric));
        let name = |seed: &Measured| self.source.plan.node(seed.node).name().to_owned();
        Ok(Cell::Figure(Box::new(Figure {
            estimate: over.questions,
            seed_sd: over.sd,
            seeds: over.seeds,
            evaluations: seeds.iter().map(name).collect(),
            reported,
        })))
    }

    /// The rows without a model: once where all rows answer the same questions, else for each value of the row axes.
    fn baselines(&mut self) -> Result<Vec<TableRow>, ReportError> {
        let mut rows: Vec<TableRow> = Vec::new();
        for baseline in &self.spec.baselines {
            let mut by_headers: Vec<TableRow> = Vec::new();
            for row in &self.layout.rows {
                if by_headers.iter().any(|known| known.headers == row.headers) {
                    continue;
                }
                let alike = |other: &&LayoutRow| other.headers == row.headers;
                let alike: Vec<&LayoutRow> = self.layout.rows.iter().filter(alike).collect();
                let mut groups = Vec::new();
                let mut labels = Vec::new();
                for column in &self.layout.columns {
                    let mut found = None;
                    for row in &alike {
                        if found.is_none() {
                            found = self.baseline(*baseline, row, column)?;
                        }
                    }
                    groups.push(self.baseline_cells(found.as_ref().map(|(_, accuracy)| accuracy)));
                    labels.extend(found.map(|(label, _)| label));
                }
                if let Some(label) = common(&labels) {
                    by_headers.push(TableRow {
                        title: label.clone(),
                        headers: row.headers.clone(),
                        label,
                        groups,
                    });
                }
            }
            rows.extend(merged(by_headers));
        }
        Ok(rows)
    }

    fn baseline(
        &mut self,
        baseline: Baseline,
        row: &LayoutRow,
        column: &LayoutColumn,
    ) -> Result<Option<(String, Estimate)>, ReportError> {
        // The questions do not wait for an answer, so a hole has its baselines too.
        let points = row.points(column, &self.source.manifest.sweep);
        let evals = &self.spec.rows[row.spec].evals;
        let eval = points.first().and_then(|point| evals[*point].as_ref());
        let node = eval.and_then(|eval| self.source.plan.find(&eval.stage).ok());
        let Some((data, output)) = node.and_then(|node| self.source.input(node, "questions"))
        else {
            return Ok(None);
        };
        let Some((_, questions)) = self.source.artifact::<Vec<Question>>(data, output)? else {
            return Ok(None);
        };
        Ok(match baseline {
            Baseline::Chance => Some(("chance".to_owned(), chance(&questions)?.accuracy)),
            Baseline::Majority => {
                let train = self.source.artifact::<Vec<Question>>(data, "train")?;
                let Some((_, train)) = train.filter(|(_, train)| !train.is_empty()) else {
                    return Ok(None);
                };
                let found = majority_class(&train, &questions, &EvalParams::default())?;
                let answer = found.answer.unwrap_or_default();
                Some((format!("majority class (`{answer}`)"), found.accuracy))
            }
        })
    }

    fn baseline_cells(&self, accuracy: Option<&Estimate>) -> CellGroup {
        let cell = |metric: &Metric| match accuracy {
            Some(&estimate) if *metric == Metric::Acc => Cell::Figure(Box::new(Figure {
                estimate,
                seed_sd: None,
                seeds: 1,
                evaluations: Vec::new(),
                reported: None,
            })),
            _ => Cell::Empty,
        };
        CellGroup {
            cells: self.spec.metrics.iter().map(cell).collect(),
            questions: accuracy.map(|estimate| estimate.n),
            ..CellGroup::default()
        }
    }
}

/// The label of all of them, or what is the same in it: the majority answers otherwise in each group of columns.
fn common(labels: &[String]) -> Option<String> {
    let first = labels.first()?;
    if labels.iter().all(|label| label == first) {
        return Some(first.clone());
    }
    first.split(" (").next().map(str::to_owned)
}

/// One row where all rows say the same as far as they say anything.
fn merged(rows: Vec<TableRow>) -> Vec<TableRow> {
    let Some(mut one) = rows.first().cloned() else {
        return rows;
    };
    for row in &rows {
        for (here, there) in one.groups.iter_mut().zip(&row.groups) {
            if here.questions.is_none() {
                *here = there.clone();
            } else if there.questions.is_some() && here != there {
                return rows;
            }
        }
    }
    let labels: Vec<String> = rows.into_iter().map(|row| row.label).collect();
    one.label = common(&labels).unwrap_or_default();
    one.title.clone_from(&one.label);
    one.headers = vec![String::new(); one.headers.len()];
    vec![one]
}

impl Measured {
    /// Answers out of which nothing was read.
    pub(super) fn unparsed(&self) -> usize {
        let outcomes = self.evaluation.outcomes.iter();
        outcomes.filter(|outcome| outcome.parsed.is_none()).count()
    }
}
