//! From a cell of a table to what it was made from: the stages, their keys and inputs, and the questions.

use std::time::{Duration, UNIX_EPOCH};

use serde::Serialize;
use serde_json::Value;

use super::device_seconds::DeviceSeconds;
use super::table::{Cell, ResultTable};
use super::{ReportError, Source};
use crate::artifact::ArtifactKind;
use crate::key::{Digest, StageKey, canonical_json};
use crate::metric::{Decision, Evaluation, Metric, QuestionOutcome};
use crate::plan::NodeId;
use crate::text::printable;

/// A cell of a table.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct CellName {
    /// The row, by its title.
    pub row: String,
    /// The group of columns; empty where there is one without a title.
    pub group: String,
    /// The figure.
    pub metric: Metric,
}

/// All that stands behind a cell.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub(crate) struct CellProvenance {
    /// The table.
    pub table: String,
    /// The row.
    pub row: String,
    /// The group of columns.
    pub group: String,
    /// The figure.
    pub metric: Metric,
    /// The cell as the table has it.
    pub cell: Cell,
    /// What measured it, one for each seed.
    pub measured: Vec<MeasuredBy>,
    /// The stages, each before those that it needs.
    pub stages: Vec<StageBehind>,
}

/// An evaluation and the questions that it is over.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub(crate) struct MeasuredBy {
    /// The stage.
    pub stage: String,
    /// The questions as the manifest names them.
    pub questions: String,
    /// Their content.
    pub questions_digest: Option<Digest>,
    /// What happened on each.
    pub outcomes: Vec<QuestionOutcome>,
}

/// A stage on the way.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub(crate) struct StageBehind {
    /// Its names in the manifest.
    pub names: Vec<String>,
    /// Its kind and the kind's version.
    pub kind: String,
    /// Its key; `None` where it did not run with these inputs.
    pub key: Option<StageKey>,
    /// Where each input comes from, and its content.
    pub inputs: Vec<(String, String, Option<Digest>)>,
    /// The decision that it was needed, and what that says; no part of its key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub needed_by: Option<(String, String)>,
    /// What its key is made from, beside the inputs.
    pub recipe: Value,
    /// When, where and how it ran.
    pub provenance: Value,
}

/// What stands behind a cell of `table`.
///
/// # Errors
/// When an artifact or a result cannot be read, or the table has no such cell.
pub(crate) fn why(
    source: &Source<'_>,
    table: &ResultTable,
    name: &CellName,
    keys: &dyn Fn(NodeId) -> Option<StageKey>,
) -> Result<CellProvenance, ReportError> {
    let cell = cell(table, name).cloned().ok_or_else(|| {
        ReportError::Invalid(format!("the table `{}` has no such cell", table.name))
    })?;
    let stages = cell
        .figure()
        .map_or_else(Vec::new, |figure| figure.evaluations.clone());
    let mut why = CellProvenance {
        table: table.name.clone(),
        row: name.row.clone(),
        group: name.group.clone(),
        metric: name.metric,
        cell,
        measured: Vec::new(),
        stages: Vec::new(),
    };
    let nodes = stages
        .iter()
        .filter_map(|stage| source.plan.find(stage).ok());
    let nodes: Vec<NodeId> = nodes.collect();
    for &node in &nodes {
        why.measured.push(measured_by(source, node)?);
    }
    let needed = source.behind(nodes);
    let order = source.plan.order().iter().rev();
    for &node in order.filter(|node| needed.contains(node)) {
        why.stages.push(behind(source, node, keys(node))?);
    }
    Ok(why)
}

fn cell<'t>(table: &'t ResultTable, name: &CellName) -> Option<&'t Cell> {
    let row = table.rows.iter().find(|row| row.title == name.row)?;
    let group = table.groups.iter().position(|group| *group == name.group)?;
    let column = table.metrics.iter().position(|m| *m == name.metric)?;
    row.groups.get(group)?.cells.get(column)
}

fn measured_by(source: &Source<'_>, node: NodeId) -> Result<MeasuredBy, ReportError> {
    let outputs = source.plan.node(node).kind.outputs();
    // A text's figure has documents, and no questions with outcomes.
    let evaluation = match outputs[0].kind {
        ArtifactKind::Evaluation => source.artifact::<Evaluation>(node, outputs[0].name)?,
        _ => None,
    };
    let questions = source.input(node, ArtifactKind::Questions);
    Ok(MeasuredBy {
        stage: source.plan.node(node).name().to_owned(),
        questions: questions.map_or_else(String::new, |(from, output)| {
            format!("{}.{output}", source.plan.node(from).name())
        }),
        questions_digest: questions.and_then(|(from, output)| source.digest(from, output)),
        outcomes: evaluation.map_or_else(Vec::new, |(_, evaluation)| evaluation.outcomes),
    })
}

/// What stands behind one stage.
pub(super) fn behind(
    source: &Source<'_>,
    node: NodeId,
    key: Option<StageKey>,
) -> Result<StageBehind, ReportError> {
    let stage = source.plan.node(node);
    let result = match &key {
        Some(key) => source.store.result(key)?,
        None => None,
    };
    let inputs = source.plan.inputs(node).into_iter();
    let mut recipe = result.as_ref().map_or(Value::Null, |result| {
        serde_json::to_value(&result.recipe).unwrap_or_default()
    });
    if let Value::Object(parts) = &mut recipe {
        // These two have lines of their own; `shift`, as the other parts are told in their order.
        parts.shift_remove("kind");
        parts.shift_remove("inputs");
    }
    Ok(StageBehind {
        names: stage.names.iter().map(ToString::to_string).collect(),
        kind: stage.kind.name().to_owned(),
        key,
        inputs: inputs
            .map(|(port, (from, output))| {
                (
                    port,
                    format!("{}.{output}", source.plan.node(from).name()),
                    source.digest(from, output),
                )
            })
            .collect(),
        needed_by: needed_by(source, node)?,
        recipe,
        provenance: result.map_or(Value::Null, |result| result.provenance),
    })
}

/// The decision that a stage waits for, and what it says.
fn needed_by(source: &Source<'_>, node: NodeId) -> Result<Option<(String, String)>, ReportError> {
    let Some(gate) = source.plan.gate(node) else {
        return Ok(None);
    };
    let output = source.output_of(gate, ArtifactKind::Decision);
    let found = match output {
        Some(output) => source.artifact::<Decision>(gate, output)?,
        None => None,
    };
    let says = found.map_or_else(
        || "not in the store".to_owned(),
        |(_, decision)| decision.text(),
    );
    Ok(Some((source.plan.node(gate).name().to_owned(), says)))
}

impl CellProvenance {
    /// For a person; of the questions the first `questions` of each evaluation.
    pub(crate) fn text(&self, questions: usize) -> String {
        let mut lines = Vec::new();
        let place = match self.group.as_str() {
            "" => self.row.clone(),
            group => format!("{}, {group}", self.row),
        };
        let figure = match &self.cell {
            Cell::Hole { reason } => format!("a hole: {reason}"),
            Cell::NotNeeded { reason } => format!("not needed: {reason}"),
            Cell::Empty => "does not apply here".to_owned(),
            Cell::Figure(_) => self.cell.text(self.metric),
        };
        lines.push(format!(
            "{}: {place}, {}: {figure}",
            self.table,
            self.metric.title()
        ));
        for measured in &self.measured {
            lines.extend(measured.lines(questions));
        }
        if !self.stages.is_empty() {
            lines.push(String::new());
            lines.push("The stages, from the measure back to the data:".to_owned());
        }
        let mut seconds = DeviceSeconds::default();
        for stage in &self.stages {
            lines.extend(stage.lines());
            seconds.add(&stage.provenance);
        }
        if let Some(seconds) = seconds.text() {
            lines.push(format!("All stages together: {seconds}."));
        }
        let lines: Vec<String> = lines.iter().map(|line| printable(line)).collect();
        lines.join("\n") + "\n"
    }
}

impl MeasuredBy {
    fn lines(&self, questions: usize) -> Vec<String> {
        // Columns of texts and of costs ask none.
        if self.outcomes.is_empty() {
            return vec![format!("measured by {}", self.stage)];
        }
        let right = self.outcomes.iter().filter(|each| each.correct).count();
        let unparsed = self
            .outcomes
            .iter()
            .filter(|each| each.parsed.is_none())
            .count();
        let asked = self
            .outcomes
            .chunk_by(|a, b| a.question_id == b.question_id)
            .count();
        let several = match self.outcomes.len() {
            answers if answers == asked => String::new(),
            answers => format!(", {answers} answers"),
        };
        let mut lines = vec![format!(
            "measured by {} on {} ({asked} questions{several}, content {}): {right} right, {} wrong, {unparsed} of them unparsed",
            self.stage,
            self.questions,
            self.questions_digest
                .map_or_else(|| "unknown".to_owned(), |digest| digest.short()),
            self.outcomes.len() - right,
        )];
        for outcome in self.outcomes.iter().take(questions) {
            lines.push(format!(
                "    {}  gold {}, read {}: {}",
                outcome.question_id,
                outcome.gold,
                outcome.parsed.as_deref().unwrap_or("nothing"),
                if outcome.correct { "right" } else { "wrong" }
            ));
        }
        let left = self.outcomes.len().saturating_sub(questions);
        if left > 0 {
            lines.push(format!("    and {left} more (--questions lists all)"));
        }
        lines
    }
}

impl StageBehind {
    fn lines(&self) -> Vec<String> {
        let key = self
            .key
            .map_or_else(|| "none".to_owned(), |key| key.to_string());
        let mut lines = vec![format!(
            "{}  ({}, key {key})",
            self.names.join(" = "),
            self.kind
        )];
        if let Some(ran) = ran(&self.provenance, true) {
            lines.push(format!("    {ran}"));
        }
        for (port, from, digest) in &self.inputs {
            let digest = digest.map_or_else(|| "not in the store".to_owned(), |d| d.to_string());
            lines.push(format!("    {port} <- {from}  {digest}"));
        }
        if let Some((decision, says)) = &self.needed_by {
            lines.push(format!("    needed by {decision}: {says}"));
        }
        if let Value::Object(parts) = &self.recipe {
            for (part, value) in parts {
                lines.push(format!("    {part}: {}", canonical_json(value)));
            }
        }
        lines
    }
}

/// When, how long and where a stage ran; the host's name only `with_host`.
pub(super) fn ran(provenance: &Value, with_host: bool) -> Option<String> {
    let began = provenance.get("began_unix_s")?.as_u64()?;
    let when = httpdate::fmt_http_date(UNIX_EPOCH.checked_add(Duration::from_secs(began))?);
    let seconds = provenance.get("elapsed_s").and_then(Value::as_f64)?;
    let text = |key| {
        provenance
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or("unknown")
    };
    let host = if with_host { text("host") } else { text("os") };
    Some(format!(
        "ran {when} for {seconds:.1} s on {host} ({}, {}), sert-run {}",
        text("architecture"),
        text("device"),
        text("sert_run")
    ))
}
