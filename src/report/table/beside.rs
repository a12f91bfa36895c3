//! Columns that no evaluation tells: how likely a row's student finds a text, and what the row cost.

use std::sync::Arc;

use super::Cell;
use super::build::Filler;
use super::cost;
use crate::manifest::{LayoutColumn, LayoutRow};
use crate::metric::{Beside, Cost, Metric, OverSeeds, TextFigure, TextScores, text_figure};
use crate::plan::NodeId;
use crate::report::{Missing, ReportError};

/// The scores of a text in a cell, one for each seed with the stage that made them.
pub(super) enum CellTexts {
    Scored(Vec<(NodeId, Arc<TextScores>)>),
    /// There are none, and why.
    Absent(Missing),
    /// The row says nothing of a text.
    Empty,
}

impl Filler<'_> {
    /// The cell of such a column.
    pub(super) fn beside(
        &mut self,
        row: &LayoutRow,
        column: &LayoutColumn,
        metric: Metric,
        beside: Beside,
    ) -> Result<Cell, ReportError> {
        match beside {
            Beside::Text(figure) => self.text(row, column, metric, figure),
            Beside::Cost(cost) => self.cost(row, column, metric, cost),
        }
    }

    /// The scores of a text that the row names for `metric`.
    pub(super) fn texts(
        &mut self,
        row: &LayoutRow,
        column: &LayoutColumn,
        metric: Metric,
    ) -> Result<CellTexts, ReportError> {
        let Some(of_points) = self.spec.rows[row.spec].figures.get(&metric) else {
            return Ok(CellTexts::Empty);
        };
        let nodes = match self.stages(row, column, |point| of_points[point].clone()) {
            Ok(nodes) => nodes,
            Err(reason) => return Ok(CellTexts::Absent(Missing::NotMade(reason))),
        };
        let mut found = Vec::new();
        for (node, output) in nodes {
            if !self.texts.contains_key(&node) {
                let scores = self.source.artifact::<TextScores>(node, output)?;
                self.texts
                    .insert(node, scores.map(|(_, scores)| Arc::new(scores)));
            }
            match &self.texts[&node] {
                Some(scores) => found.push((node, Arc::clone(scores))),
                None => return Ok(CellTexts::Absent((self.source.missing)(node))),
            }
        }
        Ok(CellTexts::Scored(found))
    }

    fn text(
        &mut self,
        row: &LayoutRow,
        column: &LayoutColumn,
        metric: Metric,
        figure: TextFigure,
    ) -> Result<Cell, ReportError> {
        let seeds = match self.texts(row, column, metric)? {
            CellTexts::Scored(seeds) => seeds,
            CellTexts::Absent(missing) => return Ok(missing.into()),
            CellTexts::Empty => return Ok(Cell::Empty),
        };
        let scores: Vec<&TextScores> = seeds.iter().map(|(_, scores)| &**scores).collect();
        Ok(match text_figure(metric, figure, &scores)? {
            Some(over) => {
                let confidence = Some(scores[0].confidence);
                let nodes = seeds.iter().map(|(node, _)| *node);
                self.cell(row, column, metric, over, confidence, nodes)
            }
            None => Cell::Empty,
        })
    }

    fn cost(
        &mut self,
        row: &LayoutRow,
        column: &LayoutColumn,
        metric: Metric,
        cost: Cost,
    ) -> Result<Cell, ReportError> {
        let evals = &self.spec.rows[row.spec].evals;
        let nodes = match self.stages(row, column, |point| evals[point].clone()) {
            Ok(nodes) => nodes,
            Err(reason) => return Ok(Cell::Hole { reason }),
        };
        let mut counts = Vec::new();
        for (node, _) in &nodes {
            let Some(tokens) = cost::behind(self.source, *node, &mut self.costs)? else {
                return Ok((self.source.missing)(*node).into());
            };
            counts.push(tokens.of(cost));
        }
        let over = OverSeeds::of_counts(&counts);
        let nodes = nodes.iter().map(|(node, _)| *node);
        Ok(over.map_or(Cell::Empty, |over| {
            self.cell(row, column, metric, over, None, nodes)
        }))
    }
}
