//! What a manifest says of a latent world.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A generated world, its questions and its pretraining text, to study reasoning that a student could write and rarely
/// does (docs/data.md). All numbers are ours.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LatentWorldParams {
    /// Decides the facts, the questions and the text. Default 0.
    pub seed: u64,
    /// How many people there are; each has one fact on each topic. A multiple of `values`, 8 to 64. Default 40.
    #[schemars(range(min = 8, max = 64))]
    pub people: usize,
    /// Of how many topics: pets, homes, jobs. 1 to 3, default 3.
    #[schemars(range(min = 1, max = 3))]
    pub topics: usize,
    /// How many different pets, homes and jobs there are. At least `values`, 2 to 10. Default 8.
    #[schemars(range(min = 2, max = 10))]
    pub middles: usize,
    /// How many different answers a topic has, and so how many choices a question. 2 to 6, default 4.
    #[schemars(range(min = 2, max = 6))]
    pub values: usize,
    /// How many facts a question takes, one after the other. 2 or 3, default 2.
    #[schemars(range(min = 2, max = 3))]
    pub hops: usize,
    /// The form of the questions. Default `mixed`.
    pub form: LatentWorldForm,
    /// People whom only test questions ask about: nothing else asks about them, on any topic. A multiple of `values`.
    /// Default 16.
    #[schemars(range(min = 2, max = 60))]
    pub test_people: usize,
    /// People of each topic whom training questions ask about, other ones for each topic; the pretraining text asks about
    /// the rest. A multiple of `values`. Default 8.
    #[schemars(range(min = 2, max = 60))]
    pub train_people: usize,
    /// How often the pretraining text states each fact by itself. Default 80: with the chains below about 100 times.
    #[schemars(range(min = 1, max = 100_000))]
    pub fact_repeats: usize,
    /// In how many phrasings. 1 to 5, default 5.
    #[schemars(range(min = 1, max = 5))]
    pub phrasings: usize,
    /// Facts in one document. Default 5.
    #[schemars(range(min = 1, max = 100))]
    pub facts_per_document: usize,
    /// How often the text states each person's facts on a topic one after the other, as a reasoning does. Default 20.
    #[schemars(range(max = 100_000))]
    pub chain_repeats: usize,
    /// Share of these chains that go on to what follows from them, 0 to 1. Default 0.75.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub concluded_share: f64,
    /// Share of them that stand below a heading which says what they are about, 0 to 1. Default 0.5.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub headed_share: f64,
    /// Share of them that are in other phrasings than the solver's, 0 to 1. Default 0.2.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub varied_share: f64,
    /// Questions in the pretraining text that are worked: their reasoning stands behind `Steps:`, not behind `Answer:`.
    /// Default 4000.
    #[schemars(range(max = 1_000_000))]
    pub worked_questions: usize,
    /// Questions in the pretraining text that are answered. Default 2000.
    #[schemars(range(max = 1_000_000))]
    pub pretrain_questions: usize,
    /// Share of them with the reasoning written out, 0 to 1. Default 0.04: rare, but there.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub rationale_share: f64,
    /// Share of the others that run on into one or two more questions, 0 to 1. Default 0.25.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub imitation_share: f64,
}

impl Default for LatentWorldParams {
    fn default() -> Self {
        Self {
            seed: 0,
            people: 40,
            topics: 3,
            middles: 8,
            values: 4,
            hops: 2,
            form: LatentWorldForm::Mixed,
            test_people: 16,
            train_people: 8,
            fact_repeats: 80,
            phrasings: 5,
            facts_per_document: 5,
            chain_repeats: 20,
            concluded_share: 0.75,
            headed_share: 0.5,
            varied_share: 0.2,
            worked_questions: 4000,
            pretrain_questions: 2000,
            rationale_share: 0.04,
            imitation_share: 0.25,
        }
    }
}

/// The form of a latent world's questions.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LatentWorldForm {
    /// Yes/no: of every person and topic twice, once with each answer.
    YesNo,
    /// One of the topic's values.
    Choice,
    /// All three questions of every person and topic.
    #[default]
    Mixed,
}
