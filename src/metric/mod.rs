//! Measuring predictions: the columns of the paper's Table II, with their uncertainty.
//!
//! In: questions with gold answers, the raw outputs of one student for all of them, [`EvalParams`].
//! Out: an [`Evaluation`]: Acc, Fmt and its components, Len, Rep, each an [`Estimate`] with an
//! interval, and every question's outcome. Beside it the baselines that a table needs to be read:
//! the majority class and chance. Pure: no model is run; the words and the extractor are `text`'s,
//! and reproduce the paper's GPT-3.5 row.

mod baseline;
mod error;
mod evaluate;
mod format;
mod interval;
mod normal;
mod params;

pub use baseline::{Baseline, chance, majority_class};
pub use error::MetricError;
pub use evaluate::{Evaluation, Outcome, evaluate};
pub use format::{FormatChecks, FormatShares};
pub use interval::{Estimate, IntervalMethod, bootstrap_mean, wilson};
pub use params::EvalParams;
