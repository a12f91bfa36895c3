//! The world seen from outside: facts are read back from the text by patterns of the test's own,
//! and answers are found from those facts alone.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::dataset::params::DatasetName;
use crate::text::{AnswerForm, Question};

/// The documents that a student is pretrained on.
fn pretraining_text(params: &MicroworldParams) -> Result<Vec<String>, DatasetError> {
    check(params)?;
    Ok(documents::documents(params))
}

fn params(form: MicroworldForm) -> MicroworldParams {
    MicroworldParams {
        form,
        ..MicroworldParams::default()
    }
}

fn splits_of(params: &MicroworldParams) -> Splits {
    let data = DataParams {
        dataset: DatasetName::find("microworld").unwrap(),
        microworld: params.clone(),
        ..DataParams::default()
    };
    load(&data, &[]).unwrap()
}

/// What follows `before` and precedes `after` in `text`.
fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let rest = text.strip_prefix(before)?;
    let inner = rest.strip_suffix(after)?;
    (!inner.contains(' ')).then_some(inner)
}

/// Facts as (subject, topic) to object, from sentences in one phrasing of each kind.
fn facts(params: &MicroworldParams) -> BTreeMap<(String, &'static str), String> {
    let mut facts = BTreeMap::new();
    for document in pretraining_text(params).unwrap() {
        if document.contains("Question:") {
            continue;
        }
        for sentence in document.split_inclusive('.').map(str::trim) {
            let mut tell = |subject: &str, topic, object: &str| {
                let before = facts.insert((subject.to_owned(), topic), object.to_owned());
                assert!(before.is_none_or(|before| before == object), "{sentence}");
            };
            let words: Vec<&str> = sentence.trim_end_matches('.').split(' ').collect();
            match words[..] {
                [p, "lives", "in", "the", "town", "of", m] => tell(p, "home", m),
                [m, "lies", "near", "the", v] => tell(m, "near", v),
                ["The", "pet", "of", p, "is", "a", m] => tell(p, "pet", m),
                ["Every", m, "eats", v] => tell(m, "eats", v),
                [p, "works", "as", "a", m] => tell(p, "job", m),
                ["Every", m, "needs", v, "at", "work"] => tell(m, "needs", v),
                ["The", "best", "fruit", "for", p, "is", "the", m] => tell(p, "fruit", m),
                ["Each", "ripe", m, "is", v] => tell(m, "colour", v),
                [p, "plays", "the", m, "every", "day"] => tell(p, "plays", m),
                ["The", m, "is", "made", "of", v] => tell(m, "made", v),
                _ => {}
            }
        }
    }
    facts
}

/// Who is asked about, by which two topics, and for yes/no about which value.
fn understood(question: &str) -> (String, [&'static str; 2], Option<String>) {
    let forms: [(&str, &str, &str, [&'static str; 2]); 5] = [
        (
            "Does ",
            " live near the ",
            "What does {} live near?",
            ["home", "near"],
        ),
        (
            "Does the pet of ",
            " eat ",
            "What does the pet of {} eat?",
            ["pet", "eats"],
        ),
        (
            "Does ",
            " need ",
            "What does {} need at work?",
            ["job", "needs"],
        ),
        (
            "Is the fruit that ",
            " likes best ",
            "What colour is the fruit that {} likes best?",
            ["fruit", "colour"],
        ),
        (
            "Is the instrument of ",
            " made of ",
            "What is the instrument of {} made of?",
            ["plays", "made"],
        ),
    ];
    for (start, middle, choice, topics) in forms {
        let (before, after) = choice.split_once("{}").unwrap();
        if let Some(person) = between(question, before, after) {
            return (person.to_owned(), topics, None);
        }
        let found = question
            .strip_prefix(start)
            .and_then(|rest| rest.split_once(middle));
        if let Some((person, value)) = found
            && !person.contains(' ')
        {
            let value = value.trim_end_matches('?').trim_end_matches(" at work");
            return (person.to_owned(), topics, Some(value.to_owned()));
        }
    }
    panic!("not understood: {question}");
}

fn brute_force(facts: &BTreeMap<(String, &'static str), String>, question: &Question) -> String {
    let (person, [first, second], asked) = understood(&question.question);
    let value = &facts[&(facts[&(person, first)].clone(), second)];
    if let Some(asked) = asked {
        return if asked == *value { "yes" } else { "no" }.to_owned();
    }
    let bare = |choice: &str| choice.trim_start_matches("the ").to_owned();
    let at = question.choices.iter().position(|c| bare(c) == *value);
    ["A", "B", "C", "D"][at.unwrap()].to_owned()
}

#[test]
fn the_solver_agrees_with_brute_force_over_the_stated_facts() {
    for (seed, form) in [
        (0, MicroworldForm::YesNo),
        (1, MicroworldForm::Choice),
        (2, MicroworldForm::Mixed),
    ] {
        let params = MicroworldParams {
            seed,
            ..params(form)
        };
        let facts = facts(&params);
        // Five facts for each of 120 people, and one for each of 40 middles.
        assert_eq!(facts.len(), 640);
        let splits = splits_of(&params);
        assert_eq!((splits.train.len(), splits.test.len()), (240, 200));
        for question in splits.train.iter().chain(&splits.test) {
            assert_eq!(
                brute_force(&facts, question),
                question.answer,
                "{}",
                question.question
            );
            let rationale = question.rationale.as_deref().unwrap();
            let (person, [first, second], _) = understood(&question.question);
            let middle = &facts[&(person.clone(), first)];
            let value = &facts[&(middle.clone(), second)];
            for word in [&person, middle, value] {
                assert!(rationale.contains(word.as_str()), "{rationale}");
            }
            let words = rationale.split(' ').count();
            assert!((20..=40).contains(&words), "{words}: {rationale}");
        }
    }
}

#[test]
fn held_out_pairs_are_asked_about_nowhere_else() {
    for form in [
        MicroworldForm::YesNo,
        MicroworldForm::Choice,
        MicroworldForm::Mixed,
    ] {
        let params = params(form);
        let pair = |question: &str| {
            let (person, topics, _) = understood(question);
            (person, topics)
        };
        let pairs = |part: &[Question]| -> BTreeSet<_> {
            part.iter()
                .map(|question| pair(&question.question))
                .collect()
        };
        let splits = splits_of(&params);
        let (train, test) = (pairs(&splits.train), pairs(&splits.test));
        assert!(train.is_disjoint(&test));
        let mut asked = 0;
        for document in pretraining_text(&params).unwrap() {
            for after in document.split("Question: ").skip(1) {
                let end = after.find('?').unwrap();
                let found = pair(&after[..=end]);
                assert!(
                    !train.contains(&found) && !test.contains(&found),
                    "{document}"
                );
                asked += 1;
            }
        }
        assert!(asked > 4000);
    }
}

#[test]
fn answers_are_balanced_and_ids_unique() {
    let splits = splits_of(&params(MicroworldForm::YesNo));
    let yes = |part: &[Question]| part.iter().filter(|q| q.answer == "yes").count();
    assert_eq!((yes(&splits.train), yes(&splits.test)), (120, 100));
    let ids: BTreeSet<&str> = splits
        .train
        .iter()
        .chain(&splits.test)
        .map(|q| q.id.as_str())
        .collect();
    assert_eq!(ids.len(), 440);
    let texts: BTreeSet<&str> = splits
        .train
        .iter()
        .chain(&splits.test)
        .map(|q| q.question.as_str())
        .collect();
    assert_eq!(texts.len(), 440);
    let mixed = splits_of(&params(MicroworldForm::Mixed));
    let choices = mixed
        .test
        .iter()
        .filter(|q| q.form == AnswerForm::Choice)
        .count();
    assert_eq!(choices, 66);
}

#[test]
fn the_text_has_its_shares_and_stays_small() {
    let documents = pretraining_text(&params(MicroworldForm::YesNo)).unwrap();
    let asked: Vec<&String> = documents
        .iter()
        .filter(|d| d.starts_with("Question:"))
        .collect();
    let reasoned = asked
        .iter()
        .filter(|d| d.contains("So the answer is"))
        .count();
    let imitative = asked
        .iter()
        .filter(|d| d.matches("Question:").count() > 1)
        .count();
    assert_eq!((asked.len(), reasoned, imitative), (4000, 400, 900));
    let text = documents.join(" ");
    let words: Vec<&str> = text.split_whitespace().collect();
    assert!((100_000..200_000).contains(&words.len()), "{}", words.len());
    let distinct: BTreeSet<&str> = words
        .iter()
        .map(|word| word.trim_matches(|c: char| !c.is_alphabetic()))
        .collect();
    // 120 names of two syllables and some two hundred other words.
    assert!(distinct.len() < 400, "{}", distinct.len());
}

#[test]
fn a_world_is_its_seeds() {
    let digest = |params: &MicroworldParams| {
        let splits = splits_of(params);
        let all = (pretraining_text(params).unwrap(), splits.train, splits.test);
        crate::key::Digest::of(&serde_json::to_vec(&all).unwrap()).short()
    };
    let base = params(MicroworldForm::YesNo);
    // Golden: a changed world would silently be another dataset under the same manifest.
    assert_eq!(digest(&base), "3d7ecbd80f1c");
    assert_ne!(
        digest(&base),
        digest(&MicroworldParams {
            seed: 1,
            ..base.clone()
        })
    );
    // More training questions leave the test as it is.
    let more = MicroworldParams {
        train_questions: 300,
        ..base.clone()
    };
    assert_eq!(splits_of(&base).test, splits_of(&more).test);
}

#[test]
fn impossible_worlds_are_refused() {
    let refused = |params: MicroworldParams| pretraining_text(&params).unwrap_err().to_string();
    let text = refused(MicroworldParams {
        entities: 1000,
        ..MicroworldParams::default()
    });
    assert!(
        text.contains("microworld.entities: 1000, expected 8 to 384"),
        "{text}"
    );
    let text = refused(MicroworldParams {
        test_questions: 5000,
        ..MicroworldParams::default()
    });
    assert!(text.contains("hint: raise `entities`"), "{text}");
}

/// The solver's reasoning passes the paper's length and rep-2 filters (III-A: 25 tokens, 20 %)
/// on the tokens of a vocabulary as small as a trial's.
#[test]
fn reasoning_passes_the_papers_filters() {
    use tokenizers::models::TrainerWrapper;
    use tokenizers::models::bpe::{BPE, BpeTrainer};
    use tokenizers::pre_tokenizers::byte_level::ByteLevel;

    let params = params(MicroworldForm::YesNo);
    let documents = pretraining_text(&params).unwrap();
    let mut tokenizer = tokenizers::Tokenizer::new(BPE::default());
    tokenizer.with_pre_tokenizer(Some(ByteLevel::new(false, true, true)));
    let mut trainer: TrainerWrapper = BpeTrainer::builder()
        .vocab_size(640)
        .show_progress(false)
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .build()
        .into();
    tokenizer.train(&mut trainer, documents.iter()).unwrap();
    let tokens = |text: &str| tokenizer.encode(text, false).unwrap().get_ids().to_vec();
    let all: usize = documents
        .iter()
        .map(|document| tokens(document).len())
        .sum();
    assert!((150_000..200_000).contains(&all), "{all}");
    for question in splits_of(&params).train {
        let ids = tokens(&format!(" {}", question.rationale.unwrap()));
        let distinct: BTreeSet<&[u32]> = ids.windows(2).collect();
        assert!(ids.len() >= 25);
        assert!(distinct.len() * 10 >= (ids.len() - 1) * 8);
    }
}
