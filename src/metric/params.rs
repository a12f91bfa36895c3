//! What an eval stage's manifest entry says.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::definition::MOST_ANSWERS;
use super::{BootstrapInterval, MetricError, Resampling};
use crate::text::Reading;

/// The score that answers carry by themselves: the mean log-probability of their tokens.
pub const LOG_PROB: &str = "log_prob";

/// Parameters of the metrics. All ours; the paper is silent.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EvalParams {
    /// The format metric's limit of repetition: an output with a word-level Rep above it is severely
    /// repetitive. A share from 0 to 1. Default 0.75 (ours): 3 of the 2,290 published teacher
    /// outputs exceed it (their mean is 0.36), and the paper's students, with mean Rep to 0.67,
    /// still align in most outputs.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub max_rep: f64,
    /// Confidence of the intervals, 0.5 to 0.9999. Default 0.95.
    #[schemars(range(min = 0.5, max = 0.9999))]
    pub confidence: f64,
    /// Resamples of each bootstrap, 100 to 1,000,000. Default 2000.
    #[schemars(range(min = 100, max = 1_000_000))]
    pub bootstrap_resamples: u32,
    /// How a bootstrap's interval is read: `percentile` or `bca` (bias-corrected and accelerated,
    /// better where values are skewed). Default percentile.
    pub bootstrap_interval: BootstrapInterval,
    /// By which rule answers are read out of outputs (docs/answers.md). Default `standard` (ours).
    pub reading: Reading,
    /// Where questions have several answers: the `k` of `pass@k` that are kept and shown, each at most n. Default: 1, 2, 4
    /// and so on up to n, and n. Tables and figures ask for any other.
    #[schemars(inner(range(min = 1, max = MOST_ANSWERS)))]
    pub pass_k: Vec<u32>,
    /// The score by which `best@n` chooses, the greatest: `log_prob`, the mean log-probability of an answer's tokens, which
    /// `predict` records where `n` is above 1, or one that the paths of `scored` carry. Default `log_prob`.
    #[schemars(length(min = 1))]
    pub best_by: String,
    /// What an answer weighs in `margin-vote@n`: a score of the paths of `scored`, or `log_prob`. Default `answer_margin`,
    /// which `score` measures (Wang & Zhou 2024).
    #[schemars(length(min = 1))]
    pub vote_by: String,
    /// Also measure how far the probabilities of the legal answers are to be believed (`brier`), where options were scored.
    /// Default false.
    pub calibration: bool,
    /// Seed of the bootstrap; the stage's, so not a parameter of its own.
    #[serde(skip)]
    pub seed: u64,
}

impl Default for EvalParams {
    fn default() -> Self {
        Self {
            max_rep: 0.75,
            confidence: 0.95,
            bootstrap_resamples: 2000,
            bootstrap_interval: BootstrapInterval::default(),
            reading: Reading::default(),
            pass_k: Vec::new(),
            best_by: LOG_PROB.to_owned(),
            vote_by: "answer_margin".to_owned(),
            calibration: false,
            seed: 0,
        }
    }
}

impl EvalParams {
    /// How means are resampled.
    pub(super) fn resampling(&self) -> Resampling {
        Resampling {
            confidence: self.confidence,
            resamples: self.bootstrap_resamples,
            interval: self.bootstrap_interval,
            seed: self.seed,
        }
    }

    /// The `k` of pass@k that are kept of `n` answers to each question: the declared ones, or 1, 2, 4 and so on, and `n`.
    pub(super) fn ks(&self, n: usize) -> Vec<u32> {
        let n = u32::try_from(n).unwrap_or(MOST_ANSWERS);
        let mut ks = self.pass_k.clone();
        if ks.is_empty() {
            ks.extend((0..).map(|power| 1 << power).take_while(|k| *k < n));
            ks.push(n);
        }
        ks.sort_unstable();
        ks.dedup();
        ks
    }

    /// Checks the ranges that the JSON schema states, for callers that did not go through it.
    ///
    /// # Errors
    /// [`MetricError::Parameter`] names the first key at fault.
    pub fn check(&self) -> Result<(), MetricError> {
        let refuse = |key, found: String, accepted| {
            Err(MetricError::Parameter {
                key,
                found,
                accepted,
            })
        };
        if !(0.0..=1.0).contains(&self.max_rep) {
            return refuse("max_rep", self.max_rep.to_string(), "0 to 1");
        }
        if !(0.5..=0.9999).contains(&self.confidence) {
            return refuse("confidence", self.confidence.to_string(), "0.5 to 0.9999");
        }
        if !(100..=1_000_000).contains(&self.bootstrap_resamples) {
            let found = self.bootstrap_resamples.to_string();
            return refuse("bootstrap_resamples", found, "100 to 1000000");
        }
        if let Some(k) = (self.pass_k.iter()).find(|k| !(1..=MOST_ANSWERS).contains(*k)) {
            return refuse("pass_k", k.to_string(), "1 to 1000");
        }
        Ok(())
    }
}
