//! The judge on the solver's paths, and on such paths with one thing changed.

use super::super::tests::{FORMS, splits_of};
use super::super::{LatentWorldParams, Splits, words};
use super::*;

fn world(seed: u64, hops: usize, form: usize) -> Splits {
    splits_of(&LatentWorldParams {
        seed,
        hops,
        form: FORMS[form],
        ..LatentWorldParams::default()
    })
}

/// Reasoning written, facts true, conclusion valid, answer right.
fn verdict(judge: &Judge<'_>, question: &Question, text: &str) -> [bool; 4] {
    let judged = judge.judge(question, text, None).unwrap();
    let right = judged.answer.as_ref() == Some(&question.answer);
    [
        judged.reasoning_written,
        judged.facts_true,
        judged.conclusion_valid,
        right,
    ]
}

#[test]
fn every_path_of_the_solver_is_sound() {
    for seed in 0..4 {
        for hops in [2, 3] {
            let splits = world(seed, hops, 2);
            let judge = Judge::of_text(&splits.text).unwrap();
            for question in splits.train.iter().chain(&splits.test) {
                let path = question.rationale.as_deref().unwrap();
                let answered = format!(" {path} So the answer is {}.", question.answer);
                for text in [path, &answered] {
                    assert_eq!(verdict(&judge, question, text), [true; 4], "{text}");
                }
                let judged = judge.judge(question, path, Some(&question.answer)).unwrap();
                assert_eq!(judged.answer.as_ref(), Some(&question.answer));
            }
        }
    }
}

/// The text with `from` in place of `to`, which it holds.
fn changed(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from) && from != to, "{text}: {from}");
    text.replace(from, to)
}

#[test]
fn what_is_changed_is_told_apart() {
    for (seed, hops) in [(0, 2), (1, 3), (2, 2)] {
        let splits = world(seed, hops, 2);
        let judge = Judge::of_text(&splits.text).unwrap();
        for (i, question) in splits.test.iter().enumerate() {
            let path = &question.rationale.as_deref().unwrap().replace(AS_ASKED, "");
            let asks = understood(question).unwrap();
            let other = splits.test[(i + 1)..]
                .iter()
                .chain(&splits.test)
                .find(|other| {
                    let of = understood(other).unwrap();
                    of.person != asks.person
                        && of.topic == asks.topic
                        && other.form == question.form
                });
            let other = other.unwrap();

            // True facts, of somebody else.
            let theirs = other.rationale.as_deref().unwrap();
            let [written, facts, valid, _] = verdict(&judge, question, theirs);
            assert_eq!([written, facts, valid], [true, true, false], "{theirs}");

            // A fact that is not so, and what follows from it.
            let facts: Vec<&str> = path.split_inclusive(". ").collect();
            let last = sentences(facts[hops - 1]).find_map(fact).unwrap().1;
            let objects = words::TOPICS[asks.topic].links[hops - 1].objects;
            let wrong = objects
                .iter()
                .find(|it| **it != last && asks.value != Some(**it))
                .unwrap();
            let stated = facts[..hops - 1].concat() + &changed(facts[hops - 1], last, wrong);
            let concluded = format!("{stated}So {}.", said(&asks, wrong));
            let [written, true_, valid, _] = verdict(&judge, question, &concluded);
            if question.form == AnswerForm::YesNo || question.choices.iter().any(|it| it == wrong) {
                assert_eq!([written, true_, valid], [true, false, true], "{concluded}");
            }

            // True facts, from which something else is concluded.
            let jumped = format!("{}So {}.", facts[..hops].concat(), said(&asks, wrong));
            let [written, true_, valid, _] = verdict(&judge, question, &jumped);
            assert_eq!([written, true_, valid], [true, true, false], "{jumped}");

            // The right conclusion from facts that do not lead there.
            let end = format!("So {}.", said(&asks, last));
            let lucky = format!("{stated}{end}");
            assert_eq!(
                verdict(&judge, question, &lucky),
                [true, false, false, true],
                "{lucky}"
            );

            // Without facts, with an answer; with facts, without.
            assert_eq!(verdict(&judge, question, &end), [false, false, false, true]);
            let bare = format!(" {}.", question.answer);
            assert_eq!(
                verdict(&judge, question, &bare),
                [false, false, false, true]
            );
            let open = facts[..hops].concat();
            assert_eq!(
                verdict(&judge, question, &open),
                [true, true, false, false],
                "{open}"
            );
        }
    }
}

fn said(asks: &Asks<'_>, value: &str) -> String {
    let conclusion = words::TOPICS[asks.topic].asked[asks.hops - 2].conclusion;
    words::filled(conclusion, &[("{p}", asks.person), ("{v}", value)])
}

#[test]
fn what_stands_beside_the_reasoning_counts() {
    let splits = world(5, 2, 0);
    let judge = Judge::of_text(&splits.text).unwrap();
    let question = splits
        .test
        .iter()
        .find(|question| question.answer == "yes")
        .unwrap();
    let path = question.rationale.as_deref().unwrap();
    // What follows a question that is asked again is not its own.
    let ran_on = format!("{path}\nQuestion: Is it? Answer: First, xyz.");
    assert_eq!(verdict(&judge, question, &ran_on), [true; 4]);
    // A sentence that says nothing is no fact.
    let garbled = path.replace("First,", "First, of the of.");
    assert_eq!(
        verdict(&judge, question, &garbled),
        [true, false, true, true]
    );
    // An answer against the conclusion.
    let against = format!("{path} So the answer is no.");
    assert_eq!(
        verdict(&judge, question, &against),
        [true, true, false, false]
    );
    let against = path.replace("So yes,", "So no,");
    assert!(!verdict(&judge, question, &against)[2]);
    // What was asked for is a claim too.
    assert!(path.contains(AS_ASKED));
    let silent = path.replace(AS_ASKED, "");
    assert_eq!(verdict(&judge, question, &silent), [true; 4]);
    let other = splits.test.iter().find(|other| {
        other.answer == "no"
            && other
                .question
                .contains(understood(question).unwrap().person)
    });
    let other = other.unwrap();
    let marked = (other.rationale.as_deref().unwrap()).replace(". So", ", as asked. So");
    assert_eq!(
        verdict(&judge, other, &marked),
        [true, true, false, true],
        "{marked}"
    );
    assert_eq!(verdict(&judge, question, ""), [false; 4]);
}

#[test]
fn other_texts_and_questions_are_no_world() {
    assert!(Judge::of_text(&["Note: bees make honey.".into(), "Hm".into()]).is_none());
    let splits = world(0, 2, 0);
    let judge = Judge::of_text(&splits.text).unwrap();
    let other = Question {
        question: "Do bees fly?".into(),
        ..splits.test[0].clone()
    };
    assert_eq!(judge.judge(&other, "yes", None), None);
}

/// No sentence of the world says two facts.
#[test]
fn phrasings_are_told_apart() {
    for (topic, words) in words::TOPICS.iter().enumerate() {
        for (link, kind) in words.links.iter().enumerate() {
            let subjects = match link.checked_sub(1) {
                None => &words::NAMES[..],
                Some(before) => words.links[before].objects,
            };
            for phrasing in kind.phrasings {
                for (subject, object) in subjects.iter().zip(kind.objects.iter().cycle()) {
                    let said = words::filled(phrasing, &[("{s}", subject), ("{o}", object)]);
                    assert_eq!(
                        fact(&said),
                        Some(((topic, link, *subject), *object)),
                        "{said}"
                    );
                    assert!(conclusion(&said).is_none(), "{said}");
                }
            }
        }
    }
}
