//! The figures of a page: those that the manifest declares, and, where it declares none of the kind, what each filter
//! dropped and how the trainings went.

use crate::artifact::ArtifactKind;
use crate::filter::Funnel;
use crate::manifest::FigureSection;
use crate::model::train::LossPoint;
use crate::plan::NodeId;
use crate::report::figure::{Figure, FunnelFigure, LossCurve, Losses};
use crate::report::funnel::WHOLE;
use crate::report::{NamedFigure, ReportError, Source, WhatRan, fill_figures};
use crate::stage::Brings;

/// More trainings than this are not drawn together: such a picture says nothing (ours). `[figures]` draws those
/// of interest.
const MOST_TRAININGS: usize = 6;

/// The figures of a page.
#[derive(Default)]
pub(super) struct Pictures {
    /// Funnels.
    pub(super) funnels: Vec<NamedFigure>,
    /// All others.
    pub(super) others: Vec<NamedFigure>,
    /// Why a declared figure is not there.
    pub(super) missing: Vec<String>,
}

impl Pictures {
    /// Draws them.
    ///
    /// # Errors
    /// When an artifact cannot be read.
    pub(super) fn read(source: &Source<'_>) -> Result<Self, ReportError> {
        let declared = &source.manifest.figures;
        let declares = |is: fn(&FigureSection) -> bool| declared.iter().any(|f| is(&f.section));
        let drawn = fill_figures(source, declared);
        let is_funnel = |named: &NamedFigure| matches!(named.figure, Figure::Funnel(_));
        let (funnels_of_it, others) = drawn.figures.into_iter().partition(is_funnel);
        let mut pictures = Self {
            funnels: funnels_of_it,
            others,
            missing: drawn.failures,
        };
        if !declares(|section| matches!(section, FigureSection::Funnel { .. })) {
            pictures.funnels = funnels(source)?;
        }
        if !declares(|section| matches!(section, FigureSection::Losses { .. })) {
            pictures.others.extend(losses(source)?);
        }
        Ok(pictures)
    }
}

/// The funnel of each filter that is drawn.
///
/// # Errors
/// When an artifact cannot be read.
fn funnels(source: &Source<'_>) -> Result<Vec<NamedFigure>, ReportError> {
    let mut figures = Vec::new();
    for (base, nodes) in by_base(source, ArtifactKind::Funnel) {
        if nodes.len() > WHOLE {
            continue;
        }
        for (place, node) in nodes.iter().enumerate() {
            let Some(output) = source.output_of(*node, ArtifactKind::Funnel) else {
                continue;
            };
            if let Some((_, funnel)) = source.artifact::<Funnel>(*node, output)? {
                let name = source.plan.node(*node).all_names();
                let title = format!("{name}: which paths were kept");
                let mut figure = Figure::Funnel(FunnelFigure::new(title, &funnel));
                figure.add_to_note(&WhatRan::behind(source, [*node])?.whole());
                figures.push(NamedFigure {
                    name: match place {
                        0 => format!("funnel-{base}"),
                        place => format!("funnel-{base}-{}", place + 1),
                    },
                    figure,
                });
            }
        }
    }
    Ok(figures)
}

/// The losses of all trainings on questions in one figure, those of pretrainings in another.
///
/// # Errors
/// When an artifact cannot be read.
fn losses(source: &Source<'_>) -> Result<Vec<NamedFigure>, ReportError> {
    let mut figures = Vec::new();
    for (name, title, pretraining) in [
        ("losses-pretraining", "Losses of the pretraining", true),
        ("losses", "Losses of the trainings", false),
    ] {
        let (mut trainings, mut drawn) = (Vec::new(), Vec::new());
        for (_, nodes) in by_base(source, ArtifactKind::Losses) {
            for node in nodes {
                let stage = source.plan.node(node);
                let output = source.output_of(node, ArtifactKind::Losses);
                let (true, Some(output)) = (
                    (stage.kind.brings() == Some(Brings::Student)) == pretraining,
                    output,
                ) else {
                    continue;
                };
                if let Some((_, points)) = source.artifact::<Vec<LossPoint>>(node, output)? {
                    drawn.push(node);
                    trainings.push(LossCurve {
                        name: stage.all_names(),
                        points,
                    });
                }
            }
        }
        if (1..=MOST_TRAININGS).contains(&trainings.len()) {
            let mut figure = Figure::Losses(Losses {
                title: title.to_owned(),
                note: Losses::NOTE.to_owned(),
                trainings,
            });
            figure.add_to_note(&WhatRan::behind(source, drawn)?.whole());
            figures.push(NamedFigure {
                name: name.to_owned(),
                figure,
            });
        }
    }
    Ok(figures)
}

/// The stages with an output of this kind, by their names in the manifest.
fn by_base<'s>(source: &Source<'s>, kind: ArtifactKind) -> Vec<(&'s str, Vec<NodeId>)> {
    let mut groups: Vec<(&str, Vec<NodeId>)> = Vec::new();
    for &node in source.plan.order() {
        if source.output_of(node, kind).is_none() {
            continue;
        }
        let base = source.plan.node(node).base();
        match groups.iter_mut().find(|(other, _)| *other == base) {
            Some((_, nodes)) => nodes.push(node),
            None => groups.push((base, vec![node])),
        }
    }
    groups
}
