//! Measuring predictions: the columns of the paper's Table II, with their uncertainty.
//!
//! In: questions with gold answers, the raw outputs of one student for all of them, [`EvalParams`].
//! Out: an [`Evaluation`]: Acc, Fmt and its components, Len, Rep, each an [`Estimate`] with an
//! interval, what was answered how often, every question's outcome, and the settings that all of it was made with, which
//! whatever is made of evaluations reads too. Beside it the baselines that a table needs to be read:
//! the majority class and chance. A question has one answer or several, which count as one case: what these are worth
//! together (votes, choices, pass@k) is in `several`. Between evaluations: [`compare`] of two arms on the same questions,
//! [`OverSeeds`] of one arm, [`holm`] over a table's family of tests, [`smallest_difference`] that so
//! many questions could show. What is not known is `None`, and counts in no figure. Between raters: [`kappa`]. Pure: no model is run; the words and the
//! extractor are `text`'s, and reproduce the paper's GPT-3.5 row. The statistics are checked against
//! scipy, statsmodels and scikit-learn (`tests/fixtures/make_statistics.py`).

mod answered;
mod baseline;
mod by_question;
mod compare;
mod definition;
mod detectable;
mod error;
mod evaluate;
#[cfg(test)]
mod fixture;
mod format;
mod holm;
mod interval;
mod kappa;
mod matched;
mod mcnemar;
mod mean;
mod metrics;
mod normal;
mod params;
mod resample;
mod schema;
mod scored;
mod seeds;
mod several;
mod stopping;
#[cfg(test)]
mod test_metric;
mod text_scores;

pub use answered::Answered;
pub use baseline::{Baseline, chance, majority_class};
pub use compare::{Comparison, Test, compare};
pub use definition::{Beside, Cost, MOST_ANSWERS, Metric, TextFigure, Unit};
pub use detectable::{Design, smallest_difference};
pub use error::MetricError;
pub use evaluate::{Evaluation, QuestionOutcome, evaluate, evaluate_scored};
pub use format::{FormatChecks, FormatShares};
pub use holm::holm;
pub use interval::{Bounds, Estimate, IntervalMethod, wilson};
pub use kappa::{Agreement, Rated, Weights, agreement, kappa};
pub use mcnemar::{McNemar, mcnemar};
pub use mean::cluster_mean;
pub use params::{EvalParams, LOG_PROB};
pub use resample::{BootstrapInterval, Resampling};
pub use seeds::OverSeeds;
pub use stopping::{Better, Decision};
pub use text_scores::{DocumentScore, TextScores, compare_texts, text_figure};
