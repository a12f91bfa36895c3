//! The figures of a page: those that the manifest declares, and, where it declares none of the kind, what each filter
//! dropped and how the trainings went.

use crate::artifact::ArtifactKind;
use crate::filter::Funnel;
use crate::manifest::FigureSection;
use crate::model::train::LossPoint;
use crate::plan::NodeId;
use crate::report::figure::{Figure, FunnelFigure, LossCurve, Losses};
use crate::report::funnel::WHOLE;
use crate::report::{ReportError, Source, draw};

/// More trainings than this are not drawn together: such a picture says nothing (ours). `[figures]` draws those
/// of interest.
const MOST_TRAININGS: usize = 6;

/// A figure and the name of its files.
pub struct NamedFigure {
    /// A name that a file may have.
    pub name: String,
    /// The figure.
    pub figure: Figure,
}

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
        let mut pictures = Self::default();
        let (mut declares_funnels, mut declares_losses) = (false, false);
        for spec in &source.manifest.figures {
            let is_funnel = matches!(spec.section, FigureSection::Funnel { .. });
            declares_funnels |= is_funnel;
            declares_losses |= matches!(spec.section, FigureSection::Losses { .. });
            let figure = match draw(source, spec) {
                Ok(figure) => figure,
                // It has nothing to show yet, which is no reason to show nothing else.
                Err(ReportError::Invalid(why)) => {
                    pictures.missing.push(why);
                    continue;
                }
                Err(error) => return Err(error),
            };
            let named = NamedFigure {
                name: spec.name.clone(),
                figure,
            };
            if is_funnel {
                pictures.funnels.push(named);
            } else {
                pictures.others.push(named);
            }
        }
        if !declares_funnels {
            pictures.funnels = funnels(source)?;
        }
        if !declares_losses {
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
                let name = source.plan.node(*node).names.join(" = ");
                let figure = FunnelFigure::new(format!("{name}: which paths were kept"), &funnel);
                figures.push(NamedFigure {
                    name: match place {
                        0 => format!("funnel-{base}"),
                        place => format!("funnel-{base}-{}", place + 1),
                    },
                    figure: Figure::Funnel(figure),
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
        let mut trainings = Vec::new();
        for (_, nodes) in by_base(source, ArtifactKind::Losses) {
            for node in nodes {
                let stage = source.plan.node(node);
                let output = source.output_of(node, ArtifactKind::Losses);
                let (true, Some(output)) =
                    ((stage.kind.name() == "pretrain") == pretraining, output)
                else {
                    continue;
                };
                if let Some((_, points)) = source.artifact::<Vec<LossPoint>>(node, output)? {
                    trainings.push(LossCurve {
                        name: stage.names.join(" = "),
                        points,
                    });
                }
            }
        }
        if (1..=MOST_TRAININGS).contains(&trainings.len()) {
            figures.push(NamedFigure {
                name: name.to_owned(),
                figure: Figure::Losses(Losses {
                    title: title.to_owned(),
                    note: Losses::NOTE.to_owned(),
                    trainings,
                }),
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
