//! A small closed world, generated: facts, questions that take two of them, and an exact solver.
//!
//! What goes in: [`MicroworldParams`]. What comes out: questions with the solver's reasoning as
//! their rationale, and [`pretraining_text`] that states every fact but asks about other people
//! and topics than the questions do. In that text most questions are answered outright, some run
//! on into the next question, and a few are reasoned out: the student then has latent reasoning
//! paths, at low probability, as the paper finds in GPT-2. Ours; for trying the method in minutes.
//!
//! A question is held out by its pair of person and topic (Bara's pet's food): no other split and
//! no pretraining question asks about that pair in any form.

mod ask;
mod documents;
mod random;
#[cfg(test)]
mod tests;
mod world;

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{DataParams, DatasetError, DatasetKind, Splits};
use crate::memory::room_for;

/// Bytes that a document of the pretraining text takes in memory, roughly.
const DOCUMENT_BYTES: u64 = 200;

pub(super) const KIND: DatasetKind = DatasetKind {
    name: "microworld",
    doc: "a generated closed world with two-hop questions and an exact solver, for trials in minutes",
    files: |params| check(&params.microworld).map(|()| Vec::new()),
    load,
};

/// A generated world, its questions and its pretraining text. All numbers are ours, chosen for a
/// trial of a few minutes on two cores.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MicroworldParams {
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
pub enum MicroworldForm {
    /// Yes/no: every pair is asked about twice, once with each answer.
    #[default]
    YesNo,
    /// Four choices.
    Choice,
    /// Both.
    Mixed,
}

/// The documents that a student is pretrained on.
///
/// # Errors
/// The parameters ask for more than the world has.
pub fn pretraining_text(params: &MicroworldParams) -> Result<Vec<String>, DatasetError> {
    check(params)?;
    Ok(documents::documents(params))
}

fn load(params: &DataParams, _: &[PathBuf]) -> Result<Splits, DatasetError> {
    let params = &params.microworld;
    check(params)?;
    let world = world::World::new(params.seed, params.entities);
    let pairs = ask::Pairs::deal(params);
    let questions =
        |pairs: &[ask::Pair], count, part| ask::questions(&world, params, pairs, count, part);
    Ok(Splits {
        train: questions(&pairs.train, params.train_questions, "train"),
        test: questions(&pairs.test, params.test_questions, "test"),
        text: documents::documents(params),
        ..Splits::default()
    })
}

/// Refuses what cannot be generated; a tenth of the pairs is kept for the pretraining text.
fn check(params: &MicroworldParams) -> Result<(), DatasetError> {
    if !(8..=world::MAX_PEOPLE).contains(&params.entities) {
        return Err(DatasetError::Param {
            field: "microworld.entities",
            reason: format!("{}, expected 8 to {}", params.entities, world::MAX_PEOPLE),
        });
    }
    let all = params.entities * world::CHAINS.len();
    let wanted = ask::pairs_for(params.train_questions, params.form)
        .saturating_add(ask::pairs_for(params.test_questions, params.form));
    if wanted > all - all / 10 {
        return Err(DatasetError::Param {
            field: "microworld.train_questions",
            reason: format!(
                "{} training and {} test questions are about {wanted} pairs of person and topic, but a world of {} people has {all}, of which {} may be asked about\nhint: raise `entities`, or ask fewer questions",
                params.train_questions,
                params.test_questions,
                params.entities,
                all - all / 10
            ),
        });
    }
    let documents = (params.entities + 2).saturating_mul(params.fact_repeats);
    let documents = documents.saturating_add(params.pretrain_questions) as u64;
    Ok(room_for(
        "the pretraining text",
        "lower `microworld.fact_repeats` or `microworld.pretrain_questions`",
        documents.saturating_mul(DOCUMENT_BYTES),
    )?)
}
