//! What a manifest says of a generated world.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A generated world, its questions and its pretraining text. All numbers are ours, chosen for a
/// trial of a few minutes on two cores.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct MicroworldParams {
    /// Decides the facts, the questions and the text. Default 0.
    pub seed: u64,
    /// How many people there are; each has one fact on each of five topics. 8 to 384, default 120.
    #[schemars(range(min = 8, max = 384))]
    pub entities: usize,
    /// Training questions. Default 240.
    #[schemars(range(min = 1))]
    pub train_questions: usize,
    /// Test questions. Default 200.
    #[schemars(range(min = 1))]
    pub test_questions: usize,
    /// The form of the questions. Default `yes-no`.
    pub form: MicroworldForm,
    /// Questions in the pretraining text. Default 4000.
    #[schemars(range(max = 10_000_000))]
    pub pretrain_questions: usize,
    /// Share of them with the reasoning written out, 0 to 1. Default 0.1: rare, but there.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub rationale_share: f64,
    /// Share of the others that run on into one or two more questions, 0 to 1. Default 0.25.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub imitation_share: f64,
    /// How often the pretraining text states each fact. Default 12.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub fact_repeats: usize,
}

impl Default for MicroworldParams {
    fn default() -> Self {
        Self {
            seed: 0,
            entities: 120,
            train_questions: 240,
            test_questions: 200,
            form: MicroworldForm::YesNo,
            pretrain_questions: 4000,
            rationale_share: 0.1,
            imitation_share: 0.25,
            fact_repeats: 12,
        }
    }
}

/// The form of a microworld's questions.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum MicroworldForm {
    /// Yes/no: every pair is asked about twice, once with each answer.
    #[default]
    YesNo,
    /// Four choices.
    Choice,
    /// Questions of both forms, by turns.
    Mixed,
}
