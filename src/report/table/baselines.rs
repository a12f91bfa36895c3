//! The rows without a model: once for each set of questions that the measured rows answer.

use std::collections::BTreeMap;

use serde_json::Value;

use super::build::Filler;
use super::{Cell, CellGroup, Figure, TableRow};
use crate::key::Digest;
use crate::manifest::{Baseline, LayoutColumn, LayoutRow};
use crate::metric::{Baseline as Measured, Estimate, EvalParams, chance, majority_class};
use crate::plan::NodeId;
use crate::report::{ReportError, Source};
use crate::stage::Split;
use crate::text::Question;

/// A set of questions that rows are measured on.
struct Set {
    /// As the manifest names it, for example `data.test`.
    name: String,
    /// Its content, and that of the questions to learn a majority from.
    content: (Digest, Option<Digest>),
    data: NodeId,
    output: &'static str,
    /// How the first evaluation on it measures.
    params: EvalParams,
}

/// The questions of some rows in a column.
struct CellPlace<'l> {
    headers: &'l [String],
    column: usize,
    sets: Vec<Set>,
}

/// A baseline on a set: what it is called and its accuracy.
type BaselineOfSet = Option<(String, Estimate)>;

/// The rows of each declared baseline: one where all rows answer the same questions, else one for each value of the row
/// axes, and one for each set of questions where rows side by side answer several.
pub(super) fn rows(filler: &Filler<'_>) -> Result<Vec<TableRow>, ReportError> {
    let mut places: Vec<CellPlace<'_>> = Vec::new();
    for row in &filler.layout.rows {
        for (column, layout) in filler.layout.columns.iter().enumerate() {
            let here =
                |place: &CellPlace<'_>| place.headers == row.headers && place.column == column;
            let place = entry(&mut places, here, || CellPlace {
                headers: &row.headers,
                column,
                sets: Vec::new(),
            });
            let sets = &mut place.sets;
            let is_new = |set: &Set| sets.iter().all(|known| known.content != set.content);
            let new = set(filler, row, layout).filter(is_new);
            sets.extend(new);
        }
    }
    let several = places.iter().any(|place| place.sets.len() > 1);
    let mut rows = Vec::new();
    for baseline in &filler.spec.baselines {
        // Of the same questions intervals of another confidence are others.
        let mut known: BTreeMap<_, BaselineOfSet> = BTreeMap::new();
        let mut by_name: Vec<(&str, Vec<TableRow>)> = Vec::new();
        for place in &places {
            for set in &place.sets {
                let key = (set.content, set.params.confidence.to_bits());
                let found = match known.get(&key) {
                    Some(found) => found.clone(),
                    None => of_set(*baseline, filler.source, set)?,
                };
                known.insert(key, found.clone());
                let Some((label, accuracy)) = found else {
                    continue;
                };
                // Where there is one set in each place, its name tells nothing.
                let name = if several { set.name.as_str() } else { "" };
                let (_, of_name) = entry(
                    &mut by_name,
                    |(other, _)| *other == name,
                    || (name, Vec::new()),
                );
                put(
                    filler,
                    of_name,
                    place,
                    &label,
                    &accuracy,
                    set.params.confidence,
                );
            }
        }
        for (name, of_name) in by_name {
            rows.extend(merged(of_name).into_iter().map(|row| named(row, name)));
        }
    }
    Ok(rows)
}

/// The questions of a cell. They do not wait for an answer, so a hole has its baselines too.
fn set(filler: &Filler<'_>, row: &LayoutRow, column: &LayoutColumn) -> Option<Set> {
    let source = filler.source;
    let point = *row.points(column, &source.manifest.sweep).first()?;
    let eval = filler.spec.rows[row.spec].evals[point].as_ref()?;
    let eval = source.plan.at(&eval.stage)?;
    let (name, (data, output)) = filler.questions(eval)?;
    let params = Value::Object(source.plan.node(eval).params.clone());
    Some(Set {
        name,
        content: (
            source.digest(data, output)?,
            train(source, data).and_then(|train| source.digest(data, train)),
        ),
        data,
        output,
        params: serde_json::from_value(params).ok()?,
    })
}

/// The questions to learn a majority from.
fn train(source: &Source<'_>, data: NodeId) -> Option<&'static str> {
    let mut outputs = source.plan.node(data).kind.outputs().iter();
    let train = outputs.find(|output| output.split == Some(Split::Train));
    train.map(|output| output.name)
}

fn of_set(
    baseline: Baseline,
    source: &Source<'_>,
    set: &Set,
) -> Result<BaselineOfSet, ReportError> {
    let Some((_, questions)) = source.artifact::<Vec<Question>>(set.data, set.output)? else {
        return Ok(None);
    };
    let found = match baseline {
        Baseline::Chance => chance(&questions)?,
        Baseline::Majority => {
            let train = match train(source, set.data) {
                Some(train) => source.artifact::<Vec<Question>>(set.data, train)?,
                None => None,
            };
            match train.filter(|(_, train)| !train.is_empty()) {
                Some((_, train)) => Some(majority_class(&train, &questions, &set.params)?),
                None => None,
            }
        }
    };
    Ok(found.map(
        |Measured {
             name,
             answer,
             accuracy,
         }| match answer {
            Some(answer) => (format!("{name} (`{answer}`)"), accuracy),
            None => (name, accuracy),
        },
    ))
}

/// Puts an accuracy into the row of its place's headers.
fn put(
    filler: &Filler<'_>,
    rows: &mut Vec<TableRow>,
    place: &CellPlace<'_>,
    label: &str,
    accuracy: &Estimate,
    confidence: f64,
) {
    let here = |row: &TableRow| row.headers == place.headers;
    let row = entry(rows, here, || {
        let empty = CellGroup {
            cells: vec![Cell::Empty; filler.spec.metrics.len()],
            ..CellGroup::default()
        };
        TableRow {
            title: String::new(),
            headers: place.headers.to_vec(),
            label: label.to_owned(),
            groups: vec![empty; filler.layout.columns.len()],
        }
    });
    row.label = common(&[row.label.clone(), label.to_owned()]);
    row.title.clone_from(&row.label);
    let group = &mut row.groups[place.column];
    group.questions = Some(accuracy.n);
    for (cell, metric) in group.cells.iter_mut().zip(&filler.spec.metrics) {
        if metric.is_accuracy() {
            *cell = Cell::Figure(Box::new(Figure {
                estimate: *accuracy,
                confidence: accuracy.interval.map(|_| confidence),
                seed_sd: None,
                seeds: 1,
                evaluations: Vec::new(),
                reported: None,
            }));
        }
    }
}

/// The first item that `is`, or else a new one at the end.
fn entry<T>(items: &mut Vec<T>, is: impl Fn(&T) -> bool, new: impl FnOnce() -> T) -> &mut T {
    let at = items.iter().position(is).unwrap_or_else(|| {
        items.push(new());
        items.len() - 1
    });
    &mut items[at]
}

/// The label of all of them, or what is the same in it: the majority answers otherwise in each group of columns.
fn common(labels: &[String]) -> String {
    match labels {
        [] => String::new(),
        [first, rest @ ..] if rest.iter().all(|label| label == first) => first.clone(),
        [first, ..] => first.split(" (").next().unwrap_or(first).to_owned(),
    }
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
    one.label = common(&labels);
    one.title.clone_from(&one.label);
    one.headers = vec![String::new(); one.headers.len()];
    vec![one]
}

/// The row with the name of its questions, where it needs one.
fn named(mut row: TableRow, questions: &str) -> TableRow {
    if !questions.is_empty() {
        row.label = format!("{}, {questions}", row.label);
        row.title.clone_from(&row.label);
    }
    row
}
