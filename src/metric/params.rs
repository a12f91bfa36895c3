//! What an eval stage's manifest entry says.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{BootstrapInterval, MetricError, Resampling};
use crate::text::Reading;

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
        Ok(())
    }
}
