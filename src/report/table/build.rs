//! Fills a table from the store.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::cell::Reported;
use super::cost::Tokens;
use super::tests_against::{Tests, tests};
use super::{Cell, CellGroup, Figure, ResultTable, TableRow, answers, baselines, notes};
use crate::artifact::ArtifactKind;
use crate::key::Digest;
use crate::manifest::{Layout, LayoutColumn, LayoutRow, PortRef, TableSpec};
use crate::metric::{Evaluation, Metric, OverSeeds, TextScores};
use crate::plan::NodeId;
use crate::report::{Missing, ReportError, Source, WhatRan};

/// Tables, and why others are not there.
#[derive(Default)]
pub(crate) struct Built {
    /// Those that could be made.
    pub tables: Vec<ResultTable>,
    /// Of each that could not, its name and the reason.
    pub failures: Vec<String>,
}

/// Makes all tables that can be made.
pub(crate) fn build_all<'s>(
    source: &Source<'_>,
    specs: impl IntoIterator<Item = &'s TableSpec>,
) -> Built {
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
pub(crate) fn build(source: &Source<'_>, spec: &TableSpec) -> Result<ResultTable, ReportError> {
    let layout = spec.layout(&source.manifest.sweep);
    let mut filler = Filler {
        source,
        spec,
        layout: &layout,
        read: BTreeMap::new(),
        texts: BTreeMap::new(),
        costs: BTreeMap::new(),
    };
    let mut rows = baselines::rows(&filler)?;
    let first_measured = rows.len();
    for row in &layout.rows {
        rows.push(filler.row(row)?);
    }
    let metrics = shown(spec, &mut rows);
    let answers = answers::tables(&mut filler, &metrics)?;
    let tests = match spec.baseline {
        Some(baseline) => tests(&mut filler, baseline)?,
        None => Tests::default(),
    };
    let mut table = ResultTable {
        name: spec.name.clone(),
        heading: match spec.caption.as_str() {
            "" => source.manifest.title.clone(),
            caption => format!("{}: {caption}", source.manifest.title),
        },
        metrics,
        // After rows, answers and tests: `nodes` are the evaluations that these have read.
        ran: WhatRan::behind(source, filler.nodes())?,
        row_axes: layout.row_axes.clone(),
        groups: layout.columns.iter().map(|c| c.title.clone()).collect(),
        rows,
        answers,
        tests: tests.made,
        notes: Vec::new(),
    };
    table.notes = notes::notes(&mut filler, &table, first_measured, &tests.left_out)?;
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
    pub(super) evaluation: Arc<Evaluation>,
    /// The same where the answers and the outcomes are: see [`Evaluation::identity`].
    pub(super) identity: Digest,
    /// The questions as the manifest names them, for example `data.test`.
    pub(super) questions: String,
}

/// Reads evaluations, each once.
pub(super) struct Filler<'a> {
    pub(super) source: &'a Source<'a>,
    pub(super) spec: &'a TableSpec,
    pub(super) layout: &'a Layout,
    read: BTreeMap<NodeId, Option<Measured>>,
    pub(super) texts: BTreeMap<NodeId, Option<Arc<TextScores>>>,
    pub(super) costs: BTreeMap<NodeId, Option<Tokens>>,
}

/// The evaluations of a cell, or why there are none.
pub(super) enum CellEvaluations {
    Measured(Vec<Measured>),
    Absent(Missing),
}

impl Filler<'_> {
    /// The evaluations and the scores of texts that were read.
    fn nodes(&self) -> impl Iterator<Item = NodeId> {
        self.read.keys().chain(self.texts.keys()).copied()
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
            let cell = match metric.beside() {
                Some(beside) => self.beside(row, column, metric, beside)?,
                None => match self.measured(row, column, metric)? {
                    CellEvaluations::Absent(missing) => missing.into(),
                    CellEvaluations::Measured(seeds) => self.figure(row, column, metric, &seeds),
                },
            };
            group.cells.push(cell);
        }
        // Of the row's own evaluation; a figure that comes from another one is told of in a note.
        if let CellEvaluations::Measured(seeds) = self.own(row, column)? {
            let (known, cut) = ends(&seeds);
            group.unparsed = Some(unparsed(&seeds));
            group.cut = (known > 0).then_some(cut);
            group.ends_known = Some(known);
            group.answers = Some(seeds.iter().map(Measured::answers).sum());
            group.questions = Some(sets(&seeds).values().sum());
        }
        Ok(group)
    }

    /// What measured `metric` in a cell, one for each seed.
    pub(super) fn measured(
        &mut self,
        row: &LayoutRow,
        column: &LayoutColumn,
        metric: Metric,
    ) -> Result<CellEvaluations, ReportError> {
        let spec = &self.spec.rows[row.spec];
        self.found(row, column, |point| spec.eval(metric, point).cloned())
    }

    /// The evaluation of a row itself, one for each seed.
    pub(super) fn own(
        &mut self,
        row: &LayoutRow,
        column: &LayoutColumn,
    ) -> Result<CellEvaluations, ReportError> {
        let spec = &self.spec.rows[row.spec];
        self.found(row, column, |point| spec.evals[point].clone())
    }

    fn found(
        &mut self,
        row: &LayoutRow,
        column: &LayoutColumn,
        eval: impl Fn(usize) -> Option<PortRef>,
    ) -> Result<CellEvaluations, ReportError> {
        let nodes = match self.stages(row, column, eval) {
            Ok(nodes) => nodes,
            Err(reason) => return Ok(CellEvaluations::Absent(Missing::NotMade(reason))),
        };
        let mut found = Vec::new();
        for (node, output) in nodes {
            match self.read(node, output)? {
                Some(measured) => found.push(measured),
                None => return Ok(CellEvaluations::Absent((self.source.missing)(node))),
            }
        }
        Ok(CellEvaluations::Measured(found))
    }

    /// The stages, one for each seed, and the outputs that `of_point` refers to in a cell; or why it is a hole.
    pub(super) fn stages(
        &self,
        row: &LayoutRow,
        column: &LayoutColumn,
        of_point: impl Fn(usize) -> Option<PortRef>,
    ) -> Result<Vec<(NodeId, &'static str)>, String> {
        let mut found: Vec<(NodeId, &'static str)> = Vec::new();
        let points = row.points(column, &self.source.manifest.sweep);
        if points.is_empty() {
            return Err("the sweep has no such point".to_owned());
        }
        for point in points {
            let Some(port) = of_point(point) else {
                let absent = self.spec.rows[row.spec].absent.clone();
                return Err(absent.unwrap_or_default());
            };
            let Some(node) = self.source.plan.at(&port.stage) else {
                return Err(format!("there is no stage `{}`", port.stage));
            };
            // Seeds that share a stage (nothing in it is drawn) are one.
            if !found.iter().any(|(other, _)| *other == node) {
                found.push((node, port.output));
            }
        }
        Ok(found)
    }

    fn read(&mut self, node: NodeId, output: &str) -> Result<Option<Measured>, ReportError> {
        // By the stage alone, as none has two evaluations among its outputs.
        if let Some(known) = self.read.get(&node) {
            return Ok(known.clone());
        }
        let found = self.source.artifact::<Evaluation>(node, output)?;
        let measured = found.map(|(_, evaluation)| Measured {
            node,
            identity: evaluation.identity(),
            evaluation: Arc::new(evaluation),
            questions: self
                .questions(node)
                .map_or_else(String::new, |(name, _)| name),
        });
        self.read.insert(node, measured.clone());
        Ok(measured)
    }

    /// The questions of an evaluation: as the manifest names them, and the node and the output that they are.
    pub(super) fn questions(&self, eval: NodeId) -> Option<(String, (NodeId, &'static str))> {
        let (data, output) = self.source.input(eval, ArtifactKind::Questions)?;
        let name = format!("{}.{output}", self.source.plan.node(data).base());
        Some((name, (data, output)))
    }

    pub(super) fn figure(
        &self,
        row: &LayoutRow,
        column: &LayoutColumn,
        metric: Metric,
        seeds: &[Measured],
    ) -> Cell {
        let evaluations: Vec<&Evaluation> = seeds.iter().map(|seed| &*seed.evaluation).collect();
        let fewest = evaluations.iter().map(|each| each.answers_each()).min();
        if let (Some(k), Some(n)) = (metric.k(), fewest)
            && (k as usize) > n
        {
            let reason = format!("pass@{k} needs {k} answers to each question, and there are {n}");
            return Cell::Hole { reason };
        }
        let over = match OverSeeds::of(metric, &evaluations) {
            Ok(Some(over)) => over,
            Ok(None) => return Cell::Empty,
            // Of this cell only: the table has others.
            Err(error) => {
                let error = error.to_string();
                let reason = error.lines().next().unwrap_or_default().to_owned();
                return Cell::Hole { reason };
            }
        };
        let confidence = Some(evaluations[0].params.confidence);
        let nodes = seeds.iter().map(|seed| seed.node);
        self.cell(row, column, metric, over, confidence, nodes)
    }

    /// The cell of a figure that `nodes` measured, beside what was published.
    pub(super) fn cell(
        &self,
        row: &LayoutRow,
        column: &LayoutColumn,
        metric: Metric,
        over: OverSeeds,
        confidence: Option<f64>,
        nodes: impl Iterator<Item = NodeId>,
    ) -> Cell {
        let reported = self
            .spec
            .reported
            .iter()
            .flat_map(|reported| &reported.values);
        let reported = reported
            .filter(|figures| figures.row == row.title && figures.column == column.title)
            .find_map(|figures| figures.figures.get(&metric).copied())
            .map(|value| Reported::beside(&over.questions, value, metric));
        let name = |node: NodeId| self.source.plan.node(node).name().to_owned();
        Cell::Figure(Box::new(Figure {
            estimate: over.questions,
            confidence,
            seed_sd: over.sd,
            seeds: over.seeds,
            evaluations: nodes.map(name).collect(),
            reported,
        }))
    }
}

impl Measured {
    /// How many questions there are.
    pub(super) fn questions(&self) -> usize {
        self.evaluation.asked()
    }

    /// How many answers there are, one or several to each question.
    pub(super) fn answers(&self) -> usize {
        self.evaluation.outcomes.len()
    }
}

/// The sets of questions that seeds measured, by content, and how many questions are in each.
pub(super) fn sets(seeds: &[Measured]) -> BTreeMap<Digest, usize> {
    let sets = seeds
        .iter()
        .map(|seed| (seed.evaluation.questions, seed.questions()));
    sets.collect()
}

/// Answers out of which nothing was read, over all seeds.
pub(super) fn unparsed(seeds: &[Measured]) -> usize {
    seeds.iter().map(|seed| seed.evaluation.unparsed()).sum()
}

/// Answers of which it is known how they ended, and of these the ones cut by length, over all seeds.
pub(super) fn ends(seeds: &[Measured]) -> (usize, usize) {
    let ends = seeds.iter().map(|seed| seed.evaluation.ends());
    ends.fold((0, 0), |(known, cut), (more, more_cut)| {
        (known + more, cut + more_cut)
    })
}
