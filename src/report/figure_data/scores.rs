//! Figures of scores: bands (paper, Figure 1), distributions by filter step (Figure 4), means by criterion (Figure 3).
//!
//! A score is shown under its own name, and every path of a figure must have it: a judge's scores and a stand-in for
//! them are never mixed. Where a judge's reply has no such score, the path is left out, and the note says how many are.

use std::collections::BTreeSet;

use super::{CONFIDENCE, Filler, NO_INTERVAL, listed};
use crate::artifact::ArtifactKind;
use crate::filter::Funnel;
use crate::manifest::{FigureSection, PathSeries};
use crate::metric::{Resampling, cluster_mean};
use crate::report::ReportError;
use crate::report::figure::{
    BarSeries, Criteria, Distribution, Figure, Interval, Sample, ScoreBands, band_edges,
    band_shares,
};
use crate::report::interval::confidence_text;
use crate::text::{DropReason, FilterDecision, FilteredPath, Question, ReasoningPath};

/// The first of the bootstrap's streams that means of scores use; metrics use those below.
const STREAM: u64 = 100;

/// Scores that stand in for a judge's.
const STAND_INS: [&str; 2] = ["gold_probability", "gold_log_prob"];

/// The ends of so many equal bands of a scale.
///
/// # Shapes
/// To `[bands + 1]`.
fn edges(scale: (f64, f64), bands: usize) -> Vec<f64> {
    let width = (scale.1 - scale.0) / bands as f64;
    let inner = (0..bands).map(|edge| scale.0 + width * edge as f64);
    // The last as it was declared: rounded below it, the best score would be in no band.
    inner.chain([scale.1]).collect()
}

/// Shares of questions with a path in each band of a score.
pub(super) fn bands(filler: &Filler<'_>) -> Result<Figure, ReportError> {
    let FigureSection::ScoreBands {
        score,
        scale,
        bands,
        series,
        ..
    } = &filler.spec.section
    else {
        unreachable!("only score bands come here")
    };
    let edges = edges(*scale, *bands);
    let mut bars = Vec::new();
    let mut counts = BTreeSet::new();
    let mut unparsed = 0;
    for each in series {
        for (name, point) in named(filler, each) {
            let Some(paths) = filler.read::<Vec<ReasoningPath>>(&each.paths, point)? else {
                continue;
            };
            let questions = questions(filler, each, point, &paths)?;
            counts.insert(questions);
            let paths: Vec<&ReasoningPath> = chosen(each, &paths).collect();
            let scores = by_question(filler, &paths, score, each, &mut unparsed)?;
            bars.push(BarSeries {
                name,
                values: band_shares(&edges, questions, scores, CONFIDENCE),
            });
        }
    }
    if bars.is_empty() {
        return Err(filler.nothing());
    }
    Ok(Figure::ScoreBands(ScoreBands {
        title: filler.title(|| format!("Questions with a path in each band of {score}")),
        note: format!(
            "n = {} questions; {} intervals (Wilson){}",
            listed(&counts),
            confidence_text(CONFIDENCE),
            left_out(unparsed)
        ),
        score: told(score, *scale),
        bands: band_edges(&edges),
        series: bars,
    }))
}

/// The distribution of scores after each step of a filter.
pub(super) fn distribution(filler: &Filler<'_>) -> Result<Figure, ReportError> {
    let FigureSection::Distribution {
        scores,
        scale,
        filter,
        ..
    } = &filler.spec.section
    else {
        unreachable!("only distributions come here")
    };
    let stages = filler.distinct(filter);
    let Some((point, _)) = stages.first() else {
        return Err(filler.nothing());
    };
    if stages.len() > 1 {
        return Err(ReportError::Invalid(format!(
            "the figure `{}` shows one filter, but `{filter}` is {} of them in this sweep",
            filler.spec.name,
            stages.len()
        )));
    }
    let filtered: Vec<FilteredPath> = filler
        .read(filter, *point)?
        .ok_or_else(|| filler.nothing())?;
    // The steps that ran, in order, are the funnel's; a step that dropped nothing has no path to tell of it.
    let node = filler
        .at(filter, *point)
        .and_then(|at| filler.source.plan.at(&at.stage));
    let output = node.and_then(|node| filler.source.output_of(node, ArtifactKind::Funnel));
    let funnel = match node.zip(output) {
        Some((node, output)) => filler.source.artifact::<Funnel>(node, output)?,
        None => None,
    };
    let (_, funnel) = funnel.ok_or_else(|| filler.nothing())?;
    let mut left: Vec<&FilteredPath> = filtered.iter().collect();
    let mut steps = vec!["raw".to_owned()];
    let mut after = vec![left.clone()];
    let last = funnel.steps.len().saturating_sub(1);
    for (i, step) in funnel.steps.iter().enumerate() {
        // A choice at the end judges no path by itself.
        if i == last && step.is_choice() {
            break;
        }
        left.retain(
            |path| !matches!(&path.decision, FilterDecision::Dropped(DropReason { by, .. }) if *by == step.name),
        );
        steps.push(format!("+{}", step.name));
        after.push(left.clone());
    }
    let series = PathSeries {
        label: filter.clone(),
        paths: filter.clone(),
        first_token: None,
    };
    let mut samples = Vec::new();
    let mut unparsed = 0; // among the raw paths: the later steps are parts of them
    for score in scores {
        let by_step = after
            .iter()
            .map(|paths| {
                let scores = paths
                    .iter()
                    .map(|each| scored(filler, &each.path, score, &series));
                let scores = scores.collect::<Result<Vec<Option<f64>>, ReportError>>()?;
                Ok(scores.into_iter().flatten().collect::<Vec<f64>>())
            })
            .collect::<Result<Vec<_>, ReportError>>()?;
        unparsed += filtered.len() - by_step[0].len();
        samples.push(Sample {
            name: score.clone(),
            scores: by_step,
        });
    }
    Ok(Figure::Distribution(Distribution {
        title: filler.title(|| "Scores after each filter step".to_owned()),
        note: format!(
            "{} paths of {} questions{}.",
            funnel.paths,
            funnel.questions,
            left_out(unparsed)
        ),
        score: match scores.as_slice() {
            [score] => told(score, *scale),
            several => told(&several.join(", "), *scale),
        },
        scale: Some(*scale),
        steps,
        samples,
    }))
}

/// Mean scores by criterion.
pub(super) fn criteria(filler: &Filler<'_>) -> Result<Figure, ReportError> {
    let FigureSection::Criteria {
        scores,
        scale,
        series,
        ..
    } = &filler.spec.section
    else {
        unreachable!("only criteria come here")
    };
    let mut bars = Vec::new();
    let mut counts = BTreeSet::new();
    let mut unparsed = 0;
    let mut without = false;
    let resampling = Resampling {
        confidence: CONFIDENCE,
        ..Resampling::default()
    };
    for each in series {
        for (name, point) in named(filler, each) {
            let Some(paths) = filler.read::<Vec<ReasoningPath>>(&each.paths, point)? else {
                continue;
            };
            let paths: Vec<&ReasoningPath> = chosen(each, &paths).collect();
            counts.insert(paths.len());
            let mut values = Vec::new();
            for (stream, score) in (STREAM..).zip(scores) {
                let items = by_question(filler, &paths, score, each, &mut unparsed)?;
                let mean = cluster_mean(items, Some(*scale), &resampling, stream);
                without |= mean.is_some_and(|mean| mean.interval.is_none());
                values.push(mean.as_ref().map(Interval::from));
            }
            bars.push(BarSeries { name, values });
        }
    }
    if bars.is_empty() {
        return Err(filler.nothing());
    }
    let stand_in = scores
        .iter()
        .any(|score| STAND_INS.contains(&score.as_str()));
    let whose = if stand_in {
        "stand-in for a judge"
    } else {
        "mean score"
    };
    Ok(Figure::Criteria(Criteria {
        title: filler.title(|| "Mean scores".to_owned()),
        note: format!(
            "n = {} paths for each bar; {} intervals (bootstrap by question{}){}",
            listed(&counts),
            confidence_text(CONFIDENCE),
            if without { NO_INTERVAL } else { "" },
            left_out(unparsed)
        ),
        score: format!("{whose} ({} to {})", scale.0, scale.1),
        scale: Some(*scale),
        groups: scores.clone(),
        series: bars,
    }))
}

/// The sets of paths that a series stands for: one for each point of a sweep that has its own.
fn named(filler: &Filler<'_>, series: &PathSeries) -> Vec<(String, usize)> {
    let stages = filler.distinct(&series.paths).into_iter();
    stages
        .map(|(point, told)| match told.as_str() {
            "" => (series.label.clone(), point),
            told => (format!("{} ({told})", series.label), point),
        })
        .collect()
}

fn chosen<'p>(
    series: &PathSeries,
    paths: &'p [ReasoningPath],
) -> impl Iterator<Item = &'p ReasoningPath> {
    let rank = series.first_token;
    paths.iter().filter(move |path| {
        rank.is_none_or(|rank| path.first_token.as_ref().is_some_and(|f| f.rank == rank))
    })
}

/// How many questions were asked: those that come in where the paths were made, or else those that have a path.
fn questions(
    filler: &Filler<'_>,
    series: &PathSeries,
    point: usize,
    paths: &[ReasoningPath],
) -> Result<usize, ReportError> {
    let source = filler.source;
    let node = filler
        .at(&series.paths, point)
        .and_then(|at| source.plan.at(&at.stage));
    if let Some((from, output)) = node.and_then(|node| source.input(node, ArtifactKind::Questions))
        && let Some((_, asked)) = source.artifact::<Vec<Question>>(from, output)?
    {
        return Ok(asked.len());
    }
    let ids: BTreeSet<&str> = paths.iter().map(|path| path.question_id.as_str()).collect();
    Ok(ids.len())
}

/// The scores of `paths` with their questions; counts those that are unparsed.
fn by_question<'p>(
    filler: &Filler<'_>,
    paths: &[&'p ReasoningPath],
    score: &str,
    series: &PathSeries,
    unparsed: &mut usize,
) -> Result<Vec<(&'p str, f64)>, ReportError> {
    let mut found = Vec::new();
    for path in paths {
        match scored(filler, path, score, series)? {
            Some(score) => found.push((path.question_id.as_str(), score)),
            None => *unparsed += 1,
        }
    }
    Ok(found)
}

/// A path's score; `None` where a judge's reply has none. A path that was never asked about is an error that says
/// which scores there are.
fn scored(
    filler: &Filler<'_>,
    path: &ReasoningPath,
    score: &str,
    series: &PathSeries,
) -> Result<Option<f64>, ReportError> {
    if path.unparsed.contains(score) {
        return Ok(None);
    }
    path.scores.get(score).copied().map(Some).ok_or_else(|| {
        let known: Vec<&str> = path.scores.keys().map(String::as_str).collect();
        let has = match known.as_slice() {
            [] => "no scores".to_owned(),
            known => format!("only {}", known.join(", ")),
        };
        ReportError::Invalid(format!(
            "the figure `{}` shows `{score}`, but a path of `{}` (question `{}`) has {has}\nhint: put a `score` or `judge` stage between, or name another score: what a judge gave and what stands in for it are not mixed",
            filler.spec.name, series.paths, path.question_id
        ))
    })
}

/// What a note says of scores that are not there.
fn left_out(unparsed: usize) -> String {
    match unparsed {
        0 => String::new(),
        unparsed => format!("; {unparsed} unparsed scores are left out"),
    }
}

fn told(score: &str, scale: (f64, f64)) -> String {
    let stand_in = STAND_INS.iter().any(|known| score.contains(known));
    let whose = if stand_in {
        ", stand-in for a judge"
    } else {
        ""
    };
    format!("{score}{whose} ({} to {})", scale.0, scale.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_score_is_in_the_last_band() {
        // 49 times 1/49 is less than 1, as f64.
        for (scale, bands) in [((0.0, 1.0), 49), ((0.0, 10.0), 77), ((1.0, 10.0), 9)] {
            let edges = edges(scale, bands);
            assert_eq!((edges.len(), edges[bands]), (bands + 1, scale.1));
            assert!(edges.is_sorted());
        }
    }
}
