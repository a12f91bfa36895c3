//! A small closed world for the study of latent reasoning, with an exact solver and an exact judge.
//!
//! What goes in: [`LatentWorldParams`]. What comes out: questions with the solver's reasoning as their rationale, and a
//! text to pretrain on. The text states every fact about a hundred times, and the facts of every person one after the
//! other, so that writing such a chain is to be easy. Questions it answers outright, but for a small share where the chain
//! stands behind `Answer:`. Test people are never asked about, so that outright answers to test questions are to be
//! guesses, while the chain leads to the answer. That a student turns out so is what the calibration test measures
//! (`stage::kinds`); [`VERSION`] is frozen since it does. Ours.
//!
//! [`Judge`] says of a path whether it reasons, whether its facts are true and whether its conclusion follows.
//!
//! [`VERSION`] is in the key of every such data set: raise it with any change of what is generated.

mod ask;
mod documents;
mod judge;
mod random;
#[cfg(test)]
mod surface_tests;
#[cfg(test)]
mod tests;
mod words;
mod world;

pub(crate) use judge::{Judge, Judged};

pub(crate) use super::latent_world_params::{LatentWorldForm, LatentWorldParams};
use super::{DataParams, DatasetError, DatasetKind, Files, PartPath, Splits};
use crate::memory::room_for;
use world::{Part, World};

/// The name in a manifest.
pub(crate) const NAME: &str = "latent-world";

/// Raised when the same parameters come to mean another world.
pub(crate) const VERSION: u32 = 2;

/// Bytes that a document of the pretraining text takes in memory, roughly.
const DOCUMENT_BYTES: u64 = 200;

pub(super) const KIND: DatasetKind = DatasetKind {
    name: NAME,
    doc: "a generated closed world of facts to study latent reasoning in, with an exact solver and an exact judge of reasoning",
    check: |params| check(&params.latent_world),
    files: |_, _| Ok(Files::default()),
    load,
};

fn load(params: &DataParams, _: &[PartPath]) -> Result<Splits, DatasetError> {
    let params = &params.latent_world;
    check(params)?;
    let world = World::new(params);
    Ok(Splits {
        train: ask::questions(&world, params, Part::Train, "train"),
        test: ask::questions(&world, params, Part::Test, "test"),
        text: documents::documents(&world, params),
        ..Splits::default()
    })
}

/// What a calibration looks at.
#[cfg(test)]
pub(crate) struct Laboratory {
    pub(crate) test: Vec<crate::text::Question>,
    pub(crate) text: Vec<String>,
    /// Every fact in the solver's phrasing.
    pub(crate) statements: Vec<String>,
    /// Every name and every thing.
    pub(crate) words: Vec<&'static str>,
}

#[cfg(test)]
impl Laboratory {
    pub(crate) fn of(params: &LatentWorldParams) -> Self {
        check(params).unwrap();
        let world = World::new(params);
        Self {
            test: ask::questions(&world, params, Part::Test, "test"),
            text: documents::documents(&world, params),
            statements: world
                .facts()
                .into_iter()
                .map(|fact| world.say(fact, 0))
                .collect(),
            words: world.words(),
        }
    }

    /// What a reasoning opens with.
    pub(crate) fn opener() -> &'static str {
        ask::OPENERS[0].trim_end_matches(',')
    }
}

/// Refuses what cannot be generated.
fn check(params: &LatentWorldParams) -> Result<(), DatasetError> {
    let refuse = |field, reason| Err(DatasetError::Param { field, reason });
    let ranges = [
        ("latent_world.people", params.people, 8..=words::NAMES.len()),
        (
            "latent_world.topics",
            params.topics,
            1..=words::TOPICS.len(),
        ),
        ("latent_world.values", params.values, 2..=6),
        ("latent_world.middles", params.middles, params.values..=10),
        ("latent_world.hops", params.hops, 2..=words::MAX_HOPS),
        ("latent_world.test_people", params.test_people, 2..=60),
        ("latent_world.train_people", params.train_people, 2..=60),
        (
            "latent_world.phrasings",
            params.phrasings,
            1..=words::PHRASINGS,
        ),
        (
            "latent_world.facts_per_document",
            params.facts_per_document,
            1..=100,
        ),
    ];
    for (field, found, range) in ranges {
        if !range.contains(&found) {
            let (least, most) = (range.start(), range.end());
            return refuse(field, format!("{found}, expected {least} to {most}"));
        }
    }
    let shared = [
        ("latent_world.people", params.people),
        ("latent_world.test_people", params.test_people),
        ("latent_world.train_people", params.train_people),
    ];
    for (field, found) in shared {
        if !found.is_multiple_of(params.values) {
            return refuse(
                field,
                format!(
                    "{found} people cannot share {values} values evenly\nhint: take a multiple of `values`, for example {}",
                    found.next_multiple_of(params.values),
                    values = params.values,
                ),
            );
        }
    }
    if params.test_people + params.train_people >= params.people {
        return refuse(
            "latent_world.people",
            format!(
                "{} people, of whom {} are asked about in test questions and {} in training questions of a topic: the pretraining text has nobody left to ask about\nhint: raise `people`, or lower `test_people` or `train_people`",
                params.people, params.test_people, params.train_people
            ),
        );
    }
    let pairs = params.people * params.topics;
    let documents = (pairs * params.hops)
        .saturating_mul(params.fact_repeats)
        .saturating_add(pairs.saturating_mul(params.chain_repeats))
        .saturating_add(params.worked_questions)
        .saturating_add(params.pretrain_questions) as u64;
    Ok(room_for(
        "the pretraining text",
        "lower `latent_world.fact_repeats`, `latent_world.chain_repeats` or `latent_world.pretrain_questions`",
        documents.saturating_mul(DOCUMENT_BYTES),
    )?)
}
