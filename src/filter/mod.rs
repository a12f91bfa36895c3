//! The filter: which of the sampled paths are worth training on (paper, III-A).
//!
//! In: paths as a student recorded them, their questions, [`FilterParams`], a seed. Out: every path
//! in input order with a verdict and its reason, and a [`Funnel`] of counts that add up. Pure: no
//! model is run, so a new threshold costs seconds.
//!
//! The order is the paper's, each step on what the step before kept: pattern, length, repetition,
//! perplexity; then limits on scores (ours); then the choice of one path per question. Before all of them, where it is
//! switched on, `ended` drops texts that were cut (ours).

mod conclusions;
mod error;
mod funnel;
mod judge;
mod params;
mod pattern;
mod select;

pub use conclusions::{Conclusions, conclusions, correct, unreadable};
pub use error::FilterError;
pub use funnel::{Funnel, FunnelStep};
pub use judge::{Filtered, filter};
pub use params::{
    EndedRule, FilterParams, LengthLimit, PatternRules, PerplexityLimit, RepetitionLimit,
    ScoreLimit, Select, SelectRule,
};
pub use pattern::{direct_response, repetitive_options};
