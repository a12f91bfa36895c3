//! How raters rated, and how far they agree.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use comfy_table::CellAlignment;
use serde::Serialize;

use super::{CRITERIA, HIGHEST, Item, Sheet};
use crate::key::Digest;
use crate::metric::{Agreement, Estimate, Rated, Resampling, Weights, agreement, cluster_mean};
use crate::report::Width;
use crate::report::interval::{confidence_text, percent, plain};
use crate::text::printable;

/// Streams of the bootstraps' generator, one for each figure.
const MEAN_STREAM: u64 = 1;
const AGREEMENT_STREAM: u64 = 2;

/// What the judge is called beside the raters; no file is likely to be.
const JUDGE: &str = "judge (recorded)";

/// Ratings of a stage's paths by several raters, and by its judge.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub(crate) struct RatingReport {
    /// Raters by name.
    pub raters: Vec<String>,
    /// Items that a rater rated.
    pub items: usize,
    /// Questions that these belong to.
    pub questions: usize,
    /// One per criterion.
    pub criteria: Vec<CriterionReport>,
    /// Each rater's rating of each item, no longer blinded.
    pub ratings: Vec<RatedItem>,
    /// The confidence of the intervals.
    pub confidence: f64,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub(crate) struct CriterionReport {
    /// Its name.
    pub criterion: &'static str,
    /// Each rater's mean rating, then the judge's of the same items, where it has scored any.
    pub means: Vec<RaterMean>,
    /// Each two raters, then each rater with the judge.
    pub agreements: Vec<Between>,
    /// Scores of the judge that are not between 0 and 10. Where there is one, its scores are on
    /// another scale, and it is not compared.
    pub judge_out_of_range: usize,
}

/// A rater's mean.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub(crate) struct RaterMean {
    /// Who.
    pub rater: String,
    /// The mean, its interval by bootstrap over questions; `None` of no ratings.
    pub mean: Option<Estimate>,
}

/// Two raters on the items that both rated.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub(crate) struct Between {
    /// One.
    pub a: String,
    /// The other.
    pub b: String,
    /// Items that both rated.
    pub n: usize,
    /// Their agreement, kappa with quadratic weights; `None` without items in common.
    pub agreement: Option<Agreement>,
}

/// A rating, and which path it is of.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub(crate) struct RatedItem {
    /// The item's id.
    pub item: String,
    /// The path's question.
    pub question_id: String,
    /// The identity of the path's random stream.
    pub row: Digest,
    /// Who rated it.
    pub rater: String,
    /// The scores given.
    pub scores: BTreeMap<&'static str, u8>,
    /// What else was said.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub comment: String,
}

/// The scores that someone gave, by item.
type Scores<'a> = BTreeMap<&'a str, f64>;

impl RatingReport {
    /// Compares `sheets`, which were read against `items`.
    pub(crate) fn of(
        items: &BTreeMap<String, Item>,
        sheets: &[Sheet],
        resampling: &Resampling,
    ) -> Self {
        let rated: BTreeMap<&str, &Item> = items
            .iter()
            .filter(|(id, _)| {
                sheets.iter().any(|sheet| {
                    let rating = sheet.ratings.get(*id);
                    rating.is_some_and(|rating| rating.scores.iter().any(Option::is_some))
                })
            })
            .map(|(id, item)| (id.as_str(), item))
            .collect();
        let questions: BTreeSet<&str> = rated
            .values()
            .map(|item| item.path.question_id.as_str())
            .collect();
        Self {
            raters: sheets.iter().map(|sheet| sheet.rater.clone()).collect(),
            items: rated.len(),
            questions: questions.len(),
            criteria: (0..CRITERIA.len())
                .map(|criterion| criterion_report(criterion, &rated, sheets, resampling))
                .collect(),
            ratings: ratings(&rated, sheets),
            confidence: resampling.confidence,
        }
    }

    /// For a person: means, then agreement.
    pub(crate) fn text(&self, width: Width) -> String {
        let mut means = width.table();
        means.set_header(["criterion", "rater", "n", "mean"]);
        let mut agreements = width.table();
        agreements.set_header(["criterion", "between", "n", "kappa", "equal %"]);
        for table in [&mut means, &mut agreements] {
            for column in table.column_iter_mut().skip(2) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        let or_hole = |figure: Option<String>| figure.unwrap_or_else(|| "-".into());
        let mut notes = String::new();
        for each in &self.criteria {
            for RaterMean { rater, mean } in &each.means {
                let n = mean.map_or(0, |mean| mean.n).to_string();
                let mean = or_hole(mean.map(|mean| plain(&mean, 2)));
                means.add_row([each.criterion, &printable(rater), &n, &mean]);
            }
            for Between { a, b, n, agreement } in &each.agreements {
                let kappa = agreement.and_then(|found| found.kappa);
                agreements.add_row([
                    each.criterion,
                    &printable(&format!("{a} and {b}")),
                    &n.to_string(),
                    &or_hole(kappa.map(|kappa| plain(&kappa, 2))),
                    &or_hole(agreement.map(|found| percent(&found.exact))),
                ]);
            }
            if each.judge_out_of_range > 0 {
                let _ = writeln!(
                    notes,
                    "{} of the judge's scores of {} are not from 0 to {HIGHEST}: it is on another scale, and left out.",
                    each.judge_out_of_range, each.criterion
                );
            }
        }
        let mut text = format!(
            "{} rated items of {} questions\n{means}\n",
            self.items, self.questions
        );
        if self.criteria.iter().any(|each| !each.agreements.is_empty()) {
            let _ = writeln!(text, "{agreements}");
        }
        let _ = writeln!(
            text,
            "Brackets: {} intervals, by bootstrap over questions (Wilson for shares where each item has a question of its own, and where all are alike; [-]: none, for a kappa that no question could change).",
            confidence_text(self.confidence)
        );
        text += "Kappa is Cohen's with quadratic weights: 1 for full agreement, 0 for what chance would give; - where all ratings are one and the same.\n";
        if self.has_judge() {
            text +=
                "The judge's mean is of the rated items; its scores are rounded for agreement.\n";
        } else if notes.is_empty() {
            text += "The paths carry no judge's scores of these names to compare with.\n";
        }
        text + &notes
    }

    fn has_judge(&self) -> bool {
        (self.criteria.iter()).any(|each| each.means.len() > self.raters.len())
    }
}

fn criterion_report(
    criterion: usize,
    rated: &BTreeMap<&str, &Item>,
    sheets: &[Sheet],
    resampling: &Resampling,
) -> CriterionReport {
    let name = CRITERIA[criterion];
    let group = |id: &str| rated[id].path.question_id.as_str();
    let raters: Vec<(&str, Scores<'_>)> = sheets
        .iter()
        .map(|sheet| {
            let given = sheet
                .ratings
                .iter()
                .filter_map(|(id, rating)| {
                    Some((id.as_str(), f64::from(rating.scores[criterion]?)))
                })
                .collect();
            (sheet.rater.as_str(), given)
        })
        .collect();
    let judge: Scores<'_> = rated
        .iter()
        .filter_map(|(id, item)| Some((*id, *item.path.scores.get(name)?)))
        .collect();
    let judge_out_of_range = judge
        .values()
        .filter(|score| !(0.0..=f64::from(HIGHEST)).contains(*score))
        .count();
    let judge = (!judge.is_empty() && judge_out_of_range == 0).then_some((JUDGE, judge));

    let mean = |(who, scores): &(&str, Scores<'_>)| RaterMean {
        rater: (*who).to_owned(),
        mean: cluster_mean(
            scores.iter().map(|(id, score)| (group(id), *score)),
            Some((0.0, f64::from(HIGHEST))),
            resampling,
            MEAN_STREAM,
        ),
    };
    let between = |(a, of_a): &(&str, Scores<'_>), (b, of_b): &(&str, Scores<'_>)| {
        let both: Vec<Rated<'_>> = of_a
            .iter()
            .filter_map(|(id, score)| {
                Some(Rated {
                    group: group(id),
                    a: whole(*score),
                    b: whole(*of_b.get(id)?),
                })
            })
            .collect();
        Between {
            a: (*a).to_owned(),
            b: (*b).to_owned(),
            n: both.len(),
            agreement: agreement(&both, Weights::Quadratic, resampling, AGREEMENT_STREAM),
        }
    };
    let pairs = raters.iter().enumerate().flat_map(|(at, a)| {
        let later = raters[at + 1..].iter();
        later.map(move |b| (a, b))
    });
    // `cycle` of nothing is nothing: without a judge there are no such pairs.
    let with_judge = raters.iter().zip(judge.iter().cycle());
    CriterionReport {
        criterion: name,
        means: raters.iter().chain(&judge).map(mean).collect(),
        agreements: pairs
            .chain(with_judge)
            .map(|(a, b)| between(a, b))
            .collect(),
        judge_out_of_range,
    }
}

fn ratings(rated: &BTreeMap<&str, &Item>, sheets: &[Sheet]) -> Vec<RatedItem> {
    let of_item = |(id, item): (&&str, &&Item)| -> Vec<RatedItem> {
        let by_rater = sheets
            .iter()
            .filter_map(|sheet| Some((sheet, sheet.ratings.get(*id)?)));
        by_rater
            .map(|(sheet, rating)| RatedItem {
                item: (*id).to_owned(),
                question_id: item.path.question_id.clone(),
                row: item.path.stream,
                rater: sheet.rater.clone(),
                scores: CRITERIA
                    .into_iter()
                    .zip(rating.scores)
                    .filter_map(|(name, score)| Some((name, score?)))
                    .collect(),
                comment: rating.comment.clone(),
            })
            .collect()
    };
    rated.iter().flat_map(of_item).collect()
}

/// A score from 0 to 10 as the nearest rating.
fn whole(score: f64) -> u8 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "from 0 to 10"
    )]
    let rating = score.round().clamp(0.0, f64::from(HIGHEST)) as u8;
    rating
}
