//! Figures of a manifest, filled from the store.
//!
//! In: a [`FigureSpec`] and a [`Source`]. Out: a [`Figure`], whose note says what its intervals are and how many cases
//! it rests on. What a stage has not made yet is a gap; a figure without anything to show is an error that says what to
//! run.

mod scores;
mod swept;

use std::collections::BTreeSet;

use super::figure::{Figure, FunnelFigure, LossCurve, Losses};
use super::{ReportError, Source, WhatRan};
use crate::artifact::Artifact;
use crate::filter::Funnel;
use crate::manifest::{FigureSection, FigureSpec, PortRef, StageName, Sweep, split_reference};
use crate::model::train::LossPoint;
use crate::plan::NodeId;

/// A figure and its name, under which its files stand.
pub(crate) struct NamedFigure {
    /// A name that a file may have.
    pub name: String,
    /// The figure.
    pub figure: Figure,
}

/// Figures with their data, and why others have none.
#[derive(Default)]
pub(crate) struct FilledFigures {
    /// Those that could be filled.
    pub figures: Vec<NamedFigure>,
    /// Of each that could not, its name and the reason.
    pub failures: Vec<String>,
}

/// Fills all figures that can be filled.
pub(crate) fn fill_figures<'s>(
    source: &Source<'_>,
    specs: impl IntoIterator<Item = &'s FigureSpec>,
) -> FilledFigures {
    let mut filled = FilledFigures::default();
    for spec in specs {
        match fill(source, spec) {
            Ok(figure) => filled.figures.push(NamedFigure {
                name: spec.name.clone(),
                figure,
            }),
            // These name it.
            Err(ReportError::Invalid(why)) => filled.failures.push(why),
            Err(error) => {
                let failure = format!("the figure `{}` cannot be drawn: {error}", spec.name);
                filled.failures.push(failure);
            }
        }
    }
    filled
}

/// Confidence of the intervals of what filters and judges made, which have no setting of it. Those of evaluations have
/// the evaluations'.
const CONFIDENCE: f64 = 0.95;

/// What is said where a value has no interval.
const NO_INTERVAL: &str = "; none where all values are alike";

/// The figure of `spec`.
///
/// # Errors
/// When nothing of it is in the store, or paths lack the score that it shows.
fn fill(source: &Source<'_>, spec: &FigureSpec) -> Result<Figure, ReportError> {
    let filler = Filler { source, spec };
    let mut figure = match &spec.section {
        FigureSection::Curve { .. } => swept::curve(&filler),
        FigureSection::HeatMap { .. } => swept::heat_map(&filler),
        FigureSection::Funnel { filter, at, .. } => filler.funnel(filter, at),
        FigureSection::ScoreBands { .. } => scores::bands(&filler),
        FigureSection::Distribution { .. } => scores::distribution(&filler),
        FigureSection::Criteria { .. } => scores::criteria(&filler),
        FigureSection::Losses { trainings, .. } => filler.losses(trainings),
    }?;
    figure.add_to_note(&WhatRan::behind(source, filler.nodes())?.whole());
    Ok(figure)
}

/// Reads what a figure names.
struct Filler<'a> {
    source: &'a Source<'a>,
    spec: &'a FigureSpec,
}

impl<'a> Filler<'a> {
    fn sweep(&self) -> &'a Sweep {
        &self.source.manifest.sweep
    }

    /// The stages that it names.
    fn nodes(&self) -> impl Iterator<Item = NodeId> {
        let named = self.spec.refs.values().flatten().flatten();
        named.filter_map(|named| self.source.plan.at(&named.stage))
    }

    /// What a reference names at a point.
    fn at(&self, reference: &str, point: usize) -> Option<&'a PortRef> {
        let (stage, _) = split_reference(reference);
        let refs = &self.spec.refs;
        let found = refs.get(reference).or_else(|| refs.get(stage))?;
        found.get(point)?.as_ref()
    }

    /// The value that a reference names at a point; `None` where it is not made yet.
    fn read<T: Artifact>(&self, reference: &str, point: usize) -> Result<Option<T>, ReportError> {
        match self.at(reference, point) {
            Some(found) => Ok(self.source.referred(found)?.map(|(_, value)| value)),
            None => Ok(None),
        }
    }

    /// The different stages that a reference names, each with the first point that does, and what tells them apart.
    fn distinct(&self, reference: &str) -> Vec<(usize, String)> {
        let mut seen: Vec<(&StageName, usize)> = Vec::new();
        for point in 0..self.sweep().points.len() {
            if let Some(found) = self.at(reference, point)
                && !seen.iter().any(|(stage, _)| **stage == found.stage)
            {
                seen.push((&found.stage, point));
            }
        }
        seen.into_iter()
            .map(|(stage, point)| (point, stage.point()))
            .collect()
    }

    /// The manifest's title of the figure, or else this one.
    fn title(&self, otherwise: impl FnOnce() -> String) -> String {
        match self.spec.section.title() {
            "" => otherwise(),
            title => title.to_owned(),
        }
    }

    /// Nothing to show, and why not.
    fn nothing(&self) -> ReportError {
        let absent = self
            .nodes()
            .filter(|node| (self.source.outputs)(*node).is_none());
        let reasons: BTreeSet<String> = absent
            .map(|node| (self.source.missing)(node).reason())
            .collect();
        let mut reasons: Vec<String> = reasons.into_iter().collect();
        if reasons.len() > 3 {
            let more = reasons.split_off(3).len();
            reasons.push(format!("and {more} more"));
        }
        let name = &self.spec.name;
        ReportError::Invalid(match reasons.as_slice() {
            [] => format!(
                "the figure `{name}` has nothing to show: what it names has run, but has no such value"
            ),
            reasons => format!(
                "the figure `{name}` has nothing to show: {}\nhint: run `sert-run {}`",
                reasons.join("; "),
                self.source.manifest.path.display()
            ),
        })
    }

    fn funnel(
        &self,
        filter: &str,
        at: &std::collections::BTreeMap<String, String>,
    ) -> Result<Figure, ReportError> {
        let points = swept::points_at(self, at)?;
        let stages = self.distinct(filter);
        let stages: Vec<_> = stages.iter().filter(|(p, _)| points.contains(p)).collect();
        let (point, told) = match stages.as_slice() {
            [] => return Err(self.nothing()),
            [one] => one,
            several => {
                return Err(ReportError::Invalid(format!(
                    "the figure `{}` shows one filter, but `{filter}` is {} of them\nhint: keep to one with `at`, for example one of: {}",
                    self.spec.name,
                    several.len(),
                    several
                        .iter()
                        .take(5)
                        .map(|(_, told)| told.as_str())
                        .collect::<Vec<_>>()
                        .join("; ")
                )));
            }
        };
        let funnel: Funnel = self.read(filter, *point)?.ok_or_else(|| self.nothing())?;
        let told = match told.as_str() {
            "" => String::new(),
            told => format!(" ({told})"),
        };
        let title = self.title(|| format!("What {filter} kept")) + &told;
        Ok(Figure::Funnel(FunnelFigure::new(title, &funnel)))
    }

    fn losses(&self, trainings: &[String]) -> Result<Figure, ReportError> {
        let mut curves = Vec::new();
        for training in trainings {
            for (point, told) in self.distinct(training) {
                if let Some(points) = self.read::<Vec<LossPoint>>(training, point)? {
                    let name = match told.as_str() {
                        "" => training.clone(),
                        told => format!("{training} ({told})"),
                    };
                    curves.push(LossCurve { name, points });
                }
            }
        }
        if curves.is_empty() {
            return Err(self.nothing());
        }
        Ok(Figure::Losses(Losses {
            title: self.title(|| "Training losses".to_owned()),
            note: Losses::NOTE.to_owned(),
            trainings: curves,
        }))
    }
}

/// One count, or the least and the greatest of several.
fn listed(counts: &BTreeSet<usize>) -> String {
    match (counts.first(), counts.last()) {
        (Some(first), Some(last)) if first != last => format!("{first} to {last}"),
        (Some(only), _) => only.to_string(),
        _ => "0".to_owned(),
    }
}
