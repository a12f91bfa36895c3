//! A small closed world, generated: facts, questions that take two of them, and an exact solver.
//!
//! What goes in: [`MicroworldParams`]. What comes out: questions with the solver's reasoning as
//! their rationale, and a text to pretrain on that states every fact but asks about other people
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

pub(crate) use super::microworld_params::{MicroworldForm, MicroworldParams};
use super::{DataParams, DatasetError, DatasetKind, Files, PartPath, Splits};
use crate::memory::room_for;

/// Bytes that a document of the pretraining text takes in memory, roughly.
const DOCUMENT_BYTES: u64 = 200;

pub(super) const KIND: DatasetKind = DatasetKind {
    name: "microworld",
    doc: "a generated closed world with two-hop questions and an exact solver, for trials in minutes",
    check: |params| check(&params.microworld),
    files: |_, _| Ok(Files::default()),
    load,
};

fn load(params: &DataParams, _: &[PartPath]) -> Result<Splits, DatasetError> {
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
