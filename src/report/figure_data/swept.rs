//! Curves and heat maps: a figure against the fields that a sweep varies.

use std::collections::{BTreeMap, BTreeSet};

use super::{CONFIDENCE, Filler, NO_INTERVAL, listed};
use crate::filter::Funnel;
use crate::manifest::{FigureSection, FilterMeasure, Measure, Sweep};
use crate::metric::{Estimate, Evaluation, OverSeeds, wilson};
use crate::report::ReportError;
use crate::report::figure::{Abscissa, Curve, CurveSeries, Figure, HeatMap, Interval};
use crate::report::interval::confidence_text;

/// The points that have these values, as text, on these axes.
pub(super) fn points_at(
    filler: &Filler<'_>,
    at: &BTreeMap<String, String>,
) -> Result<Vec<usize>, ReportError> {
    let sweep = filler.sweep();
    let mut points: Vec<usize> = (0..sweep.points.len()).collect();
    for (name, value) in at {
        let Some(axis) = sweep.axis(name) else {
            continue; // checked when the manifest was read
        };
        let known: Vec<&str> = sweep.axes[axis]
            .values
            .iter()
            .map(|v| v.label.as_str())
            .collect();
        if !known.contains(&value.as_str()) {
            return Err(ReportError::Invalid(format!(
                "the figure `{}` keeps `{name}` to `{value}`, which the sweep does not have\nhint: it has {}",
                filler.spec.name,
                known.join(", ")
            )));
        }
        points.retain(|&point| sweep.value_label(&sweep.points[point], axis) == value);
    }
    Ok(points)
}

/// A figure against one axis.
pub(super) fn curve(filler: &Filler<'_>) -> Result<Figure, ReportError> {
    let FigureSection::Curve {
        measure,
        x,
        rows,
        filter,
        at,
        ..
    } = &filler.spec.section
    else {
        unreachable!("only curves come here")
    };
    let sweep = filler.sweep();
    let axis = sweep.axis(x).ok_or_else(|| filler.nothing())?;
    let mut points = points_at(filler, at)?;
    points.retain(|&point| sweep.points[point].coordinates[axis].is_some());
    let fixed: Vec<usize> = at.keys().filter_map(|name| sweep.axis(name)).collect();
    let rest: Vec<usize> = (0..sweep.axes.len())
        .filter(|other| {
            *other != axis && !fixed.contains(other) && Some(*other) != sweep.seed_axis()
        })
        .collect();
    let places = places(sweep, axis, &points);
    let lines: Vec<(String, &str)> = match (measure, filter) {
        (Measure::Metric(_), _) => rows
            .iter()
            .map(|r| (r.label.clone(), r.eval.as_str()))
            .collect(),
        (_, Some(filter)) => vec![(filter.clone(), filter.as_str())],
        (_, None) => Vec::new(),
    };
    let mut series = Vec::new();
    let mut cases = Cases::default();
    for (label, reference) in &lines {
        for (told, group) in groups(filler, reference, &rest, &points) {
            let mut values = Vec::new();
            for &place in &places {
                let of_place =
                    |point: &&usize| sweep.points[**point].coordinates[axis] == Some(place);
                let seeds: Vec<usize> = group.iter().filter(of_place).copied().collect();
                values.push(value(filler, *measure, reference, &seeds, &mut cases)?);
            }
            if values.iter().all(Option::is_none) {
                continue;
            }
            let name = match told.as_str() {
                "" => label.clone(),
                told => format!("{label} ({told})"),
            };
            series.push(CurveSeries { name, values });
        }
    }
    if series.is_empty() {
        return Err(filler.nothing());
    }
    let axis = &sweep.axes[axis];
    let numbers: Option<Vec<f64>> = (places.iter())
        .map(|&place| axis.values[place].value().as_f64())
        .collect();
    let labels = places.iter().map(|&place| axis.values[place].label.clone());
    Ok(Figure::Curve(Curve {
        title: filler.title(|| format!("{} by {}", name_of(*measure), axis.name)),
        note: cases.note(*measure),
        x_label: axis.name.clone(),
        y_label: label_of(*measure),
        limits: Some(limits(*measure)),
        x: numbers.map_or_else(|| Abscissa::Names(labels.collect()), Abscissa::Numbers),
        series,
    }))
}

/// A figure against two axes.
pub(super) fn heat_map(filler: &Filler<'_>) -> Result<Figure, ReportError> {
    let FigureSection::HeatMap {
        measure,
        x,
        y,
        eval,
        filter,
        at,
        ..
    } = &filler.spec.section
    else {
        unreachable!("only heat maps come here")
    };
    let sweep = filler.sweep();
    let (Some(across), Some(up)) = (sweep.axis(x), sweep.axis(y)) else {
        return Err(filler.nothing());
    };
    let reference = match measure {
        Measure::Metric(_) => eval,
        Measure::Filter(_) => filter,
    };
    let reference = reference.as_deref().ok_or_else(|| filler.nothing())?;
    let mut points = points_at(filler, at)?;
    points.retain(|&point| {
        let of = &sweep.points[point].coordinates;
        of[across].is_some() && of[up].is_some()
    });
    let fixed: Vec<usize> = at.keys().filter_map(|name| sweep.axis(name)).collect();
    let free = (0..sweep.axes.len()).find(|axis| {
        ![across, up].contains(axis)
            && !fixed.contains(axis)
            && Some(*axis) != sweep.seed_axis()
            && several(sweep, *axis, &points)
    });
    if let Some(axis) = free {
        return Err(ReportError::Invalid(format!(
            "the figure `{}` has several points in one cell: `{}` varies too\nhint: keep it to one value with `at`",
            filler.spec.name,
            sweep.axes[axis].field()
        )));
    }
    let (columns, rows) = (places(sweep, across, &points), places(sweep, up, &points));
    let mut cases = Cases::default();
    let mut cells = Vec::new();
    for &row in &rows {
        let mut line = Vec::new();
        for &column in &columns {
            let here = |point: &&usize| {
                let of = &sweep.points[**point].coordinates;
                of[across] == Some(column) && of[up] == Some(row)
            };
            let seeds: Vec<usize> = points.iter().filter(here).copied().collect();
            let found = value(filler, *measure, reference, &seeds, &mut cases)?;
            line.push(found.map(|found| found.value));
        }
        cells.push(line);
    }
    if cells.iter().flatten().all(Option::is_none) {
        return Err(filler.nothing());
    }
    let labels = |axis: usize, places: &[usize]| {
        let values = &sweep.axes[axis].values;
        places
            .iter()
            .map(|&place| values[place].label.clone())
            .collect()
    };
    let (x, y) = (&sweep.axes[across].name, &sweep.axes[up].name);
    Ok(Figure::HeatMap(HeatMap {
        title: filler.title(|| format!("{} of {reference} by {x} and {y}", name_of(*measure))),
        note: cases.told(),
        x_label: x.clone(),
        y_label: y.clone(),
        value_label: label_of(*measure),
        columns: labels(across, &columns),
        rows: labels(up, &rows),
        cells,
        decimals: match measure {
            Measure::Metric(metric) => metric.decimals(),
            Measure::Filter(FilterMeasure::Yield) => 1,
            Measure::Filter(FilterMeasure::Kept) => 0,
        },
    }))
}

/// The places on an axis that these points have, in order.
fn places(sweep: &Sweep, axis: usize, points: &[usize]) -> Vec<usize> {
    let has = |place: &usize| {
        let mut points = points.iter();
        points.any(|&point| sweep.points[point].coordinates[axis] == Some(*place))
    };
    (0..sweep.axes[axis].values.len()).filter(has).collect()
}

fn several(sweep: &Sweep, axis: usize, points: &[usize]) -> bool {
    let mut found = points
        .iter()
        .map(|&point| sweep.points[point].coordinates[axis]);
    let first = found.next();
    found.any(|other| Some(other) != first)
}

/// The points by their values on `axes`; one group where the reference names the same stage whatever they are.
fn groups(
    filler: &Filler<'_>,
    reference: &str,
    axes: &[usize],
    points: &[usize],
) -> Vec<(String, Vec<usize>)> {
    let sweep = filler.sweep();
    let mut groups: Vec<(Vec<Option<usize>>, Vec<usize>)> = Vec::new();
    for &point in points {
        let at: Vec<_> = axes
            .iter()
            .map(|&axis| sweep.points[point].coordinates[axis])
            .collect();
        match groups.iter_mut().find(|(other, _)| *other == at) {
            Some((_, group)) => group.push(point),
            None => groups.push((at, vec![point])),
        }
    }
    let stages = |group: &[usize]| -> Vec<_> {
        group
            .iter()
            .map(|&point| filler.at(reference, point))
            .collect()
    };
    if let [(_, first), rest @ ..] = groups.as_slice()
        && rest.iter().all(|(_, group)| stages(group) == stages(first))
    {
        return vec![(String::new(), first.clone())];
    }
    groups
        .into_iter()
        .map(|(_, group)| (sweep.label(&sweep.points[group[0]], axes), group))
        .collect()
}

/// What a figure rests on: how many questions and seeds, and what intervals its values have.
#[derive(Default)]
struct Cases {
    questions: BTreeSet<usize>,
    seeds: BTreeSet<usize>,
    /// Each confidence once.
    confidences: Vec<f64>,
    /// Whether a value has no interval.
    without: bool,
}

impl Cases {
    fn interval(&mut self, estimate: &Estimate, confidence: f64) {
        self.without |= estimate.interval.is_none();
        if !self.confidences.contains(&confidence) {
            self.confidences.push(confidence);
        }
    }

    /// Without intervals.
    fn told(&self) -> String {
        let questions = format!("n = {} questions", listed(&self.questions));
        if self.several_seeds() {
            format!("{questions}; mean over {} seeds", listed(&self.seeds))
        } else {
            questions
        }
    }

    fn several_seeds(&self) -> bool {
        self.seeds.last().is_some_and(|most| *most > 1)
    }

    fn note(&self, measure: Measure) -> String {
        let confidences: Vec<String> = (self.confidences.iter())
            .map(|confidence| confidence_text(*confidence))
            .collect();
        let intervals = format!("{} intervals", confidences.join(" and "));
        let none = if self.without { NO_INTERVAL } else { "" };
        let told = self.told();
        match (measure, self.several_seeds()) {
            (Measure::Filter(FilterMeasure::Yield), false) => {
                format!("{told}; {intervals} (Wilson)")
            }
            (Measure::Filter(_), _) => told,
            (_, false) => format!("{told}; {intervals} over questions{none}"),
            (_, true) => format!("{told}, {intervals} over questions{none}"),
        }
    }
}

/// The value of one place: of the points that differ in their seed only.
fn value(
    filler: &Filler<'_>,
    measure: Measure,
    reference: &str,
    points: &[usize],
    cases: &mut Cases,
) -> Result<Option<Interval>, ReportError> {
    if points.is_empty() {
        return Ok(None);
    }
    // Seeds that share a stage (nothing in it is drawn) are one, as in tables.
    let mut seen = Vec::new();
    let points: Vec<usize> = (points.iter().copied())
        .filter(|&point| {
            let stage = filler.at(reference, point);
            let new = !seen.contains(&stage);
            seen.push(stage);
            new
        })
        .collect();
    let metric = match measure {
        Measure::Metric(metric) => metric,
        Measure::Filter(measure) => {
            return of_filter(filler, measure, reference, &points, cases);
        }
    };
    let mut evaluations: Vec<Evaluation> = Vec::new();
    for &point in &points {
        match filler.read(reference, point)? {
            Some(evaluation) => evaluations.push(evaluation),
            None => return Ok(None), // a mean over some of the seeds would say something else
        }
    }
    let seeds: Vec<&Evaluation> = evaluations.iter().collect();
    let Some(over) = OverSeeds::of(metric, &seeds)? else {
        return Ok(None);
    };
    cases.interval(&over.questions, seeds[0].params.confidence);
    cases.questions.insert(over.questions.n);
    cases.seeds.insert(over.seeds);
    Ok(Some(
        Interval::from(&over.questions).times(metric.unit().scale()),
    ))
}

fn of_filter(
    filler: &Filler<'_>,
    measure: FilterMeasure,
    reference: &str,
    points: &[usize],
    cases: &mut Cases,
) -> Result<Option<Interval>, ReportError> {
    let mut values = Vec::new();
    for &point in points {
        let Some(funnel) = filler.read::<Funnel>(reference, point)? else {
            return Ok(None);
        };
        cases.questions.insert(funnel.questions);
        if measure == FilterMeasure::Kept {
            values.push(Interval::exact(funnel.kept as f64));
            continue;
        }
        let Some(share) = wilson(funnel.questions_kept, funnel.questions, CONFIDENCE) else {
            return Ok(None); // of no questions
        };
        cases.interval(&share, CONFIDENCE);
        values.push(Interval::from(&share).times(100.0));
    }
    cases.seeds.insert(values.len());
    if let [one] = values.as_slice() {
        return Ok(Some(*one));
    }
    // The seeds' questions are the same, so that pooling the counts would make Wilson's interval too narrow.
    let mean = values.iter().map(|each| each.value).sum::<f64>() / values.len() as f64;
    Ok(Some(Interval::exact(mean)))
}

fn name_of(measure: Measure) -> &'static str {
    match measure {
        Measure::Metric(metric) => metric.title(),
        Measure::Filter(FilterMeasure::Yield) => "Yield",
        Measure::Filter(FilterMeasure::Kept) => "Kept paths",
    }
}

fn label_of(measure: Measure) -> String {
    match measure {
        Measure::Metric(metric) => metric.labelled(),
        Measure::Filter(FilterMeasure::Yield) => "yield (% of questions)".to_owned(),
        Measure::Filter(FilterMeasure::Kept) => "kept paths".to_owned(),
    }
}

fn limits(measure: Measure) -> (f64, f64) {
    match measure {
        Measure::Metric(metric) => metric.limits(),
        Measure::Filter(FilterMeasure::Yield) => (0.0, 100.0),
        Measure::Filter(FilterMeasure::Kept) => (0.0, f64::INFINITY),
    }
}
