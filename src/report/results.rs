//! The tables of results that a manifest declares.

use std::fmt::Write as _;

use comfy_table::CellAlignment;

use super::interval::{percent, plain};
use super::{new_table, printable};
use crate::artifact::{Artifact, ArtifactError};
use crate::key::Digest;
use crate::manifest::{Baseline, Manifest, RowSpec, TableSpec};
use crate::metric::{Estimate, EvalParams, Evaluation, MetricError, chance, majority_class};
use crate::plan::{NodeId, Plan};
use crate::stage::Outputs;
use crate::store::{Store, StoreError};
use crate::text::Question;

const HEADER: [&str; 8] = [
    "",
    "Acc %",
    "Acc (options) %",
    "Fmt",
    "Len",
    "Rep",
    "unparsed",
    "n",
];

/// A table cannot be written.
#[derive(Debug, thiserror::Error)]
#[expect(
    missing_docs,
    reason = "each variant says what failed by the error it holds"
)]
pub enum ReportError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    #[error(transparent)]
    Metric(#[from] MetricError),
}

/// The text of each table of `manifest`. A row whose stage has no outputs is a hole, shown as one.
///
/// # Errors
/// When an artifact cannot be read.
pub fn tables(
    manifest: &Manifest,
    plan: &Plan,
    store: &Store,
    outputs: &dyn Fn(NodeId) -> Option<Outputs>,
) -> Result<Vec<String>, ReportError> {
    let source = Source {
        plan,
        store,
        outputs,
    };
    manifest
        .tables
        .iter()
        .map(|table| source.table(&manifest.title, table))
        .collect()
}

/// Where artifacts of a run are found.
pub(super) struct Source<'a> {
    pub(super) plan: &'a Plan,
    pub(super) store: &'a Store,
    pub(super) outputs: &'a dyn Fn(NodeId) -> Option<Outputs>,
}

impl Source<'_> {
    fn table(&self, title: &str, spec: &TableSpec) -> Result<String, ReportError> {
        let mut table = new_table();
        table.set_header(HEADER);
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        for (label, accuracy) in self.baselines(spec)? {
            let mut row = vec![String::new(); HEADER.len()];
            row[0] = label;
            row[1] = percent(&accuracy);
            row[HEADER.len() - 1] = accuracy.n.to_string();
            table.add_row(row);
        }
        let mut seen: Vec<(&str, Digest)> = Vec::new();
        let mut same = String::new();
        for row in &spec.rows {
            let found = self.evaluation(row)?;
            table.add_row(cells(
                &row.label,
                found.as_ref().map(|(_, evaluation)| evaluation),
            ));
            if let Some((digest, _)) = found {
                match seen.iter().find(|(_, other)| *other == digest) {
                    Some((first, _)) => {
                        let _ = writeln!(
                            same,
                            "{} gave the same answers as {}.",
                            printable(&row.label),
                            printable(first)
                        );
                    }
                    None => seen.push((&row.label, digest)),
                }
            }
        }
        let heading = printable(&format!("{title}: {}", spec.caption));
        let mut text = format!("{heading}\n{table}\n");
        text += "Brackets: 95 % intervals (Wilson for shares, percentile bootstrap for means). An unparsed answer counts as wrong.\n";
        if !spec.rows.iter().any(|row| self.is_of_untrained(row)) {
            text += "No row shows the untrained student; add a `predict` on it to read the others by.\n";
        }
        text += &same;
        Ok(text)
    }

    pub(super) fn artifact<T: Artifact>(
        &self,
        node: NodeId,
        output: &str,
    ) -> Result<Option<(Digest, T)>, ReportError> {
        let Some(digest) = (self.outputs)(node).and_then(|outputs| outputs.get(output).copied())
        else {
            return Ok(None);
        };
        match self.store.object(&digest)? {
            Some(bytes) => Ok(Some((digest, T::decode(&bytes)?))),
            None => Ok(None),
        }
    }

    fn evaluation(&self, row: &RowSpec) -> Result<Option<(Digest, Evaluation)>, ReportError> {
        match self.plan.find(&row.eval.stage) {
            Ok(node) => self.artifact(node, row.eval.output),
            Err(_) => Ok(None),
        }
    }

    /// Whether a row measures what a student answered before any stage trained it on questions.
    fn is_of_untrained(&self, row: &RowSpec) -> bool {
        let input = |node: NodeId, port: &str| {
            let inputs = self.plan.inputs(node);
            inputs.get(port).map(|(from, _)| *from)
        };
        (self.plan.find(&row.eval.stage).ok())
            .and_then(|eval| input(eval, "predictions"))
            .and_then(|predict| input(predict, "model"))
            .is_some_and(|model| {
                ["student", "pretrain"].contains(&self.plan.node(model).kind.name())
            })
    }

    /// The rows without a model, on the questions that the table's first row is measured on.
    fn baselines(&self, spec: &TableSpec) -> Result<Vec<(String, Estimate)>, ReportError> {
        let mut rows = Vec::new();
        let first = spec
            .rows
            .first()
            .and_then(|row| self.plan.find(&row.eval.stage).ok());
        let Some((node, output)) =
            first.and_then(|eval| self.plan.inputs(eval).get("questions").copied())
        else {
            return Ok(rows);
        };
        let params = EvalParams::default();
        let Some((_, questions)) = self.artifact::<Vec<Question>>(node, output)? else {
            return Ok(rows);
        };
        for baseline in &spec.baselines {
            match baseline {
                Baseline::Majority => {
                    if let Some((_, train)) = self.artifact::<Vec<Question>>(node, "train")? {
                        let found = majority_class(&train, &questions, &params)?;
                        let answer = found.answer.unwrap_or_default();
                        rows.push((
                            format!("{} (`{}`)", found.name, printable(&answer)),
                            found.accuracy,
                        ));
                    }
                }
                Baseline::Chance => {
                    let found = chance(&questions)?;
                    rows.push((found.name, found.accuracy));
                }
            }
        }
        Ok(rows)
    }
}

fn cells(label: &str, evaluation: Option<&Evaluation>) -> Vec<String> {
    let Some(found) = evaluation else {
        let mut hole = vec!["-".to_owned(); HEADER.len()];
        hole[0] = printable(label);
        return hole;
    };
    let unparsed = found
        .outcomes
        .iter()
        .filter(|outcome| outcome.parsed.is_none())
        .count();
    vec![
        printable(label),
        percent(&found.accuracy),
        found
            .accuracy_options
            .as_ref()
            .map_or_else(String::new, percent),
        plain(&found.format.aligned, 2),
        plain(&found.len, 1),
        plain(&found.rep, 2),
        unparsed.to_string(),
        found.accuracy.n.to_string(),
    ]
}
