//! The filter: which of the sampled paths are worth training on (paper, III-A).
//!
//! In: paths as a student recorded them, their questions, [`FilterParams`], a seed. Out: every path
//! in input order, kept or with the reason why it is dropped, and a [`Funnel`] of counts that add up. Pure: no
//! model is run, so a new threshold costs seconds.
//!
//! The order is the paper's, each step on what the step before kept: pattern, length, repetition,
//! perplexity; then limits on scores, right answers, how hard the question is, and one of each that are the same (ours); then
//! the choice among a question's paths. Before all of them, where it is switched on, `ended` drops texts that were cut (ours). A manifest may list them otherwise. A step is a file with its
//! settings and what it does by them (`Step`), and a line in [`STEPS`].

mod apply;
mod conclusions;
mod correct;
mod dedup;
mod ended;
mod equations;
mod error;
mod funnel;
mod length;
mod listed;
mod params;
mod pass_rate;
mod pattern;
mod perplexity;
mod repetition;
mod score;
mod select;
mod step;
#[cfg(test)]
mod test_step;

pub use apply::{Filtered, filter};
pub use conclusions::{Conclusions, concluded, conclusions, correct, unreadable};
pub use correct::CorrectRule;
pub use dedup::{Dedup, DedupBy};
pub use ended::EndedRule;
pub use error::FilterError;
pub use funnel::{Funnel, FunnelStep};
pub use length::LengthLimit;
pub use listed::Listed;
pub use params::{FilterParams, STEPS, StepKind};
pub use pass_rate::PassRateLimit;
pub use pattern::{PatternRules, direct_response, repetitive_options};
pub use perplexity::PerplexityLimit;
pub use repetition::RepetitionLimit;
pub use score::ScoreLimit;
pub use select::{Select, SelectRule};
pub use step::Needed;
