//! The paper's Figure 1: of how many questions at least one path has a score in each band.

use std::collections::{BTreeMap, BTreeSet};

use super::axis::Axis;
use super::bars::{BarGroup, BarSeries, Bars};
use super::sheet::Sheet;
use super::{Interval, Numbers, Picture};
use crate::metric::wilson;

/// Shares of questions with a path in each score band.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct ScoreBands {
    /// What stands above.
    pub title: String,
    /// What stands below: what the intervals are, how many questions there are.
    pub note: String,
    /// Which score it is, for example `judge's coherence (0 to 10)`.
    pub score: String,
    /// The bands' names, as [`band_edges`] writes them.
    pub bands: Vec<BarGroup>,
    /// The ways of sampling, each with a share in per cent for each band.
    pub series: Vec<BarSeries>,
}

/// The names of the bands between `edges`: `0\u{2013}2`, `2\u{2013}4`...
pub(crate) fn band_edges(edges: &[f64]) -> Vec<BarGroup> {
    let text = |edge: f64| super::axis::number(edge, super::axis::decimals_of(edge));
    edges
        .windows(2)
        .map(|pair| format!("{}\u{2013}{}", text(pair[0]), text(pair[1])))
        .collect()
}

/// For each band between `edges`, the share (per cent) of `questions` questions with at least one of
/// `scores` (question, score) in it, with its Wilson interval. A band holds its lower edge and not
/// its upper one, but the last holds both (ours; the paper is silent). A score beyond the edges, or
/// that is no number, is in no band. Of no questions there are no shares.
pub(crate) fn band_shares<'q>(
    edges: &[f64],
    questions: usize,
    scores: impl IntoIterator<Item = (&'q str, f64)>,
    confidence: f64,
) -> Vec<Option<Interval>> {
    let bands = edges.len().saturating_sub(1);
    let mut found: BTreeMap<usize, BTreeSet<&str>> = BTreeMap::new();
    for (question, score) in scores {
        let holds = |band: &usize| {
            let (low, high) = (edges[*band], edges[*band + 1]);
            score >= low && (score < high || (*band + 1 == bands && score <= high))
        };
        if let Some(band) = (0..bands).find(holds) {
            found.entry(band).or_default().insert(question);
        }
    }
    (0..bands)
        .map(|band| {
            let hits = found.get(&band).map_or(0, BTreeSet::len);
            let share = wilson(hits, questions, confidence)?;
            Some(Interval::from(&share).times(100.0))
        })
        .collect()
}

impl ScoreBands {
    fn bars(&self) -> Bars<'_> {
        Bars {
            title: &self.title,
            note: &self.note,
            x_label: &self.score,
            y: Axis::stepped("questions with such a path (%)", 0.0, 100.0, 20.0),
            groups: &self.bands,
            series: &self.series,
        }
    }
}

impl Picture for ScoreBands {
    fn title(&self) -> &str {
        &self.title
    }

    fn size(&self) -> (f64, f64) {
        self.bars().frame().size()
    }

    fn draw(&self, sheet: &mut Sheet<'_>) {
        self.bars().draw(sheet);
    }

    fn numbers(&self) -> Numbers {
        self.bars().numbers(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_counts_once_in_each_band() {
        let edges = [0.0, 2.0, 4.0];
        assert_eq!(band_edges(&edges), ["0\u{2013}2", "2\u{2013}4"]);
        let scores = [
            ("a", 0.0),
            ("a", 1.9),
            ("a", 2.0),
            ("b", 4.0),
            ("c", 4.1),
            ("c", f64::NAN),
            ("c", -0.1),
        ];
        let shares = band_shares(&edges, 4, scores, 0.95);
        let shares: Vec<Interval> = shares.into_iter().flatten().collect();
        // One of four questions in the first band, two in the second.
        assert!((shares[0].value - 25.0).abs() < 1e-9, "{shares:?}");
        assert!((shares[1].value - 50.0).abs() < 1e-9, "{shares:?}");
        // Wilson for 2 of 4: 0.5 -+ 0.3500 (statsmodels' proportion_confint).
        assert!((shares[1].low - 15.003_898_915_214_95).abs() < 1e-6);
        assert!(band_shares(&[], 4, scores, 0.95).is_empty());
        assert_eq!(band_shares(&edges, 0, [], 0.95), [None, None]);
    }
}
