//! The world seen from outside: what is asked where, and how often what is said.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::dataset::params::DatasetName;
use crate::text::{Question, imitative_complete};

fn with(form: LatentWorldForm, seed: u64) -> LatentWorldParams {
    LatentWorldParams {
        seed,
        form,
        ..LatentWorldParams::default()
    }
}

pub(super) fn splits_of(params: &LatentWorldParams) -> Splits {
    let data = DataParams {
        dataset: DatasetName::find(NAME).unwrap(),
        latent_world: params.clone(),
        ..DataParams::default()
    };
    load(&data, &[]).unwrap()
}

pub(super) const FORMS: [LatentWorldForm; 3] = [
    LatentWorldForm::YesNo,
    LatentWorldForm::Choice,
    LatentWorldForm::Mixed,
];

/// The people whom a text names.
fn named(text: &str) -> BTreeSet<&'static str> {
    let words: BTreeSet<&str> = text.split(|c: char| !c.is_alphabetic()).collect();
    words::NAMES
        .into_iter()
        .filter(|name| words.contains(name))
        .collect()
}

fn asked_about(questions: &[Question]) -> BTreeSet<&'static str> {
    questions
        .iter()
        .flat_map(|question| named(&question.question))
        .collect()
}

#[test]
fn test_people_are_asked_about_nowhere_else() {
    for (seed, form) in (0..).zip(FORMS) {
        let splits = splits_of(&with(form, seed));
        let test = asked_about(&splits.test);
        assert_eq!(test.len(), 16);
        assert!(test.is_disjoint(&asked_about(&splits.train)));
        let (mut asked, mut stated) = (0, BTreeSet::new());
        for document in &splits.text {
            if document.starts_with("Question:") {
                assert!(test.is_disjoint(&named(document)), "{document}");
                asked += 1;
            } else {
                stated.extend(named(document));
            }
        }
        assert!(asked >= 6000 && stated.is_superset(&test));
    }
}

#[test]
fn training_pairs_are_asked_about_in_training_alone() {
    let splits = splits_of(&with(LatentWorldForm::YesNo, 3));
    // Without the value that is asked for, a yes/no question is its pair.
    let pair = |question: &str| {
        let mut words: Vec<&str> = question.split(' ').collect();
        words.pop();
        words.join(" ")
    };
    let train: BTreeSet<String> = splits.train.iter().map(|it| pair(&it.question)).collect();
    assert_eq!(train.len(), 24);
    for document in &splits.text {
        for after in document.split("Question: ").skip(1) {
            let question = after.split('?').next().unwrap();
            assert!(!train.contains(&pair(question)), "{document}");
        }
    }
}

#[test]
fn every_fact_is_said_about_a_hundred_times_in_five_phrasings() {
    let params = LatentWorldParams::default();
    let world = World::new(&params);
    let text = documents::documents(&world, &params);
    let mut said: BTreeMap<&str, usize> = BTreeMap::new();
    for document in &text {
        if let Some((_, facts)) = document.split_once(": ") {
            for clause in facts.split(['.', ';']).map(str::trim) {
                let first = clause
                    .strip_prefix("First, ")
                    .or(clause.strip_prefix("Next, "));
                *said.entry(first.unwrap_or(clause)).or_default() += 1;
            }
        }
    }
    let facts = world.facts();
    assert_eq!(facts.len(), 144);
    for fact in facts {
        let each = [0, 1, 2, 3, 4].map(|how| said[world.say(fact, how).as_str()]);
        assert!(each.iter().all(|times| *times >= 12), "{each:?}");
        assert!(each.iter().sum::<usize>() >= 100, "{each:?}");
    }
}

#[test]
fn answers_are_balanced_and_questions_unique() {
    for (seed, form) in (0..).zip(FORMS) {
        let splits = splits_of(&with(form, seed));
        for (part, pairs) in [(&splits.train, 24), (&splits.test, 48)] {
            let count = |answer: &str| part.iter().filter(|it| it.answer == answer).count();
            let (yes_no, choice) = match form {
                LatentWorldForm::YesNo => (pairs, 0),
                LatentWorldForm::Choice => (0, pairs),
                LatentWorldForm::Mixed => (pairs, pairs),
            };
            assert_eq!((count("yes"), count("no")), (yes_no, yes_no));
            assert_eq!(["A", "B", "C", "D"].map(count), [choice / 4; 4]);
            let asked: BTreeSet<String> = part.iter().map(Question::asked).collect();
            let ids: BTreeSet<&str> = part.iter().map(|it| it.id.as_str()).collect();
            assert_eq!((asked.len(), ids.len()), (part.len(), part.len()));
        }
    }
}

/// Behind an answer's mark the text reasons in the declared share, and never in the form that SERT trains on.
#[test]
fn the_text_has_its_shares() {
    let params = LatentWorldParams::default();
    let text = splits_of(&params).text;
    let asked: Vec<&String> = text
        .iter()
        .filter(|it| it.starts_with("Question:") && !it.contains("Steps:"))
        .collect();
    let reasoned = asked
        .iter()
        .filter(|it| it.contains("Answer: First,"))
        .count();
    let imitative = asked.iter().filter(|it| {
        let behind = it.split_once("Answer:").map_or("", |(_, behind)| behind);
        imitative_complete(behind)
    });
    assert_eq!((asked.len(), reasoned, imitative.count()), (2000, 80, 480));
    assert!(
        !text
            .iter()
            .any(|it| it.to_lowercase().contains("answer is"))
    );
}

#[test]
fn a_world_is_its_seeds() {
    let digest = |params: &LatentWorldParams| {
        let splits = splits_of(params);
        let all = (&splits.text, &splits.train, &splits.test);
        crate::key::Digest::of(&serde_json::to_vec(&all).unwrap()).short()
    };
    let base = LatentWorldParams::default();
    assert_eq!(digest(&base), digest(&base.clone()));
    let other = LatentWorldParams {
        seed: 1,
        ..base.clone()
    };
    assert_ne!(digest(&base), digest(&other));
    // Frozen: another digest is another world, and needs another `VERSION`.
    assert_eq!((VERSION, digest(&base).as_str()), (2, "7bf908b794be"));
}

#[test]
fn impossible_worlds_are_refused() {
    let refused = |params: LatentWorldParams| check(&params).unwrap_err().to_string();
    let usual = LatentWorldParams::default;
    for (params, told) in [
        (
            LatentWorldParams {
                people: 1000,
                ..usual()
            },
            "latent_world.people: 1000, expected 8 to 64",
        ),
        (
            LatentWorldParams {
                values: 6,
                middles: 4,
                ..usual()
            },
            "latent_world.middles: 4, expected 6 to 10",
        ),
        (
            LatentWorldParams {
                values: 100,
                ..usual()
            },
            "latent_world.values: 100, expected 2 to 6",
        ),
        (
            LatentWorldParams { hops: 0, ..usual() },
            "latent_world.hops: 0, expected 2 to 3",
        ),
        (
            LatentWorldParams {
                phrasings: 0,
                ..usual()
            },
            "latent_world.phrasings: 0",
        ),
        (
            LatentWorldParams {
                facts_per_document: 0,
                ..usual()
            },
            "latent_world.facts_per_document: 0",
        ),
        (
            LatentWorldParams {
                test_people: 18,
                ..usual()
            },
            "hint: take a multiple of `values`, for example 20",
        ),
        (
            LatentWorldParams {
                train_people: 24,
                ..usual()
            },
            "hint: raise `people`",
        ),
    ] {
        let found = refused(params);
        assert!(found.contains(told), "{found}");
    }
}

/// Every corner of what may be declared makes a world.
#[test]
fn possible_worlds_are_made() {
    for values in 2..=6 {
        for (hops, form) in [2, 3].into_iter().zip(FORMS) {
            let params = LatentWorldParams {
                people: values * 6,
                test_people: values * 2,
                train_people: values,
                values,
                middles: values,
                hops,
                form,
                fact_repeats: 1,
                chain_repeats: 1,
                worked_questions: 7,
                pretrain_questions: 7,
                ..LatentWorldParams::default()
            };
            let splits = splits_of(&params);
            assert!(!splits.test.is_empty() && !splits.text.is_empty());
        }
    }
}
