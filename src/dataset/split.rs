//! Setting questions apart, the same ones on every machine.

use std::collections::BTreeMap;

use super::Splits;
use super::near::{NEAR, near};
use crate::key::Digest;
use crate::text::{Question, fold};

/// Moves `fraction` of the training questions to validation.
pub(super) fn carve_validation(splits: &mut Splits, fraction: f64, seed: u64) {
    let (rest, apart) = set_apart(std::mem::take(&mut splits.train), fraction, seed);
    splits.train = rest;
    splits.validation.extend(apart);
}

/// Splits `questions` into the rest and the `fraction` of them, rounded, whose hash of `seed` and
/// id ranks first. Both keep their order; a question's side does not depend on its neighbours'
/// order.
pub(super) fn set_apart(
    questions: Vec<Question>,
    fraction: f64,
    seed: u64,
) -> (Vec<Question>, Vec<Question>) {
    let wanted = share_of(questions.len(), fraction);
    let mut ranks: Vec<(Digest, usize)> = questions
        .iter()
        .enumerate()
        .map(|(i, question)| (Digest::of(format!("{seed}\0{}", question.id).as_bytes()), i))
        .collect();
    ranks.sort_unstable();
    let mut chosen = vec![false; questions.len()];
    for &(_, i) in ranks.iter().take(wanted) {
        chosen[i] = true;
    }
    let (mut rest, mut apart) = (Vec::new(), Vec::new());
    for (question, chosen) in questions.into_iter().zip(chosen) {
        if chosen {
            apart.push(question);
        } else {
            rest.push(question);
        }
    }
    (rest, apart)
}

/// `fraction` of `count`, rounded to whole; a fraction outside 0 to 1 counts as the nearer of them.
pub(super) fn share_of(count: usize, fraction: f64) -> usize {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and `count`"
    )]
    let share = (count as f64 * fraction.clamp(0.0, 1.0)).round() as usize;
    share.min(count)
}

/// Warns of test and validation questions that are asked in training too, and of test questions that are asked in
/// validation: in any Unicode form and case, with any white space, and with their choices in any order. And of those that
/// are nearly asked there.
pub(super) fn warn_of_shared_questions(splits: &mut Splits) {
    let Splits {
        train,
        validation,
        test,
        warnings,
        ..
    } = splits;
    for (part, questions, seen_in, seen) in [
        ("test", &*test, "training", &*train),
        ("test", &*test, "validation", &*validation),
        ("validation", &*validation, "training", &*train),
    ] {
        let by_words: BTreeMap<_, &str> = seen
            .iter()
            .rev() // the first of several stays
            .map(|question| (words(question), question.id.as_str()))
            .collect();
        let same = |question: &Question| by_words.get(&words(question)).copied();
        let shared: Vec<String> = questions
            .iter()
            .filter_map(|q| Some(format!("{} = {}", q.id, same(q)?)))
            .collect();
        if !shared.is_empty() {
            warnings.push(format!(
                "{} of {} {part} questions are {seen_in} questions too: {}",
                shared.len(),
                questions.len(),
                some(&shared)
            ));
        }
        let others: Vec<&Question> = questions.iter().filter(|q| same(q).is_none()).collect();
        let seen: Vec<&Question> = seen.iter().collect();
        let near: Vec<String> = near(&others, &seen)
            .iter()
            .map(|near| format!("{} ~ {}", others[near.question].id, seen[near.other].id))
            .collect();
        if !near.is_empty() {
            warnings.push(format!(
                "{} of {} {part} questions are nearly {seen_in} questions, with at least {:.0} % of their pairs of words in common: {}",
                near.len(),
                questions.len(),
                100.0 * NEAR,
                some(&near)
            ));
        }
    }
}

/// The first three, and whether there are more.
fn some(all: &[String]) -> String {
    let more = if all.len() > 3 { ", ..." } else { "" };
    format!("{}{more}", all[..all.len().min(3)].join(", "))
}

/// What is equal of equal questions.
fn words(question: &Question) -> (String, Vec<String>) {
    let mut choices: Vec<String> = question.choices.iter().map(|text| fold(text)).collect();
    choices.sort_unstable();
    (fold(&question.question), choices)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::AnswerForm;

    fn questions(count: usize) -> Vec<Question> {
        (0..count)
            .map(|i| Question {
                id: format!("q-{i}"),
                question: format!("Is {i} even?"),
                choices: Vec::new(),
                form: AnswerForm::YesNo,
                answer: if i % 2 == 0 { "yes" } else { "no" }.into(),
                rationale: None,
            })
            .collect()
    }

    #[test]
    fn the_same_questions_are_set_apart_whatever_their_order() {
        let (rest, apart) = set_apart(questions(50), 0.1, 7);
        assert_eq!((rest.len(), apart.len()), (45, 5));
        let mut reversed = questions(50);
        reversed.reverse();
        let (_, mut again) = set_apart(reversed, 0.1, 7);
        again.reverse();
        assert_eq!(apart, again);
        assert_ne!(apart, set_apart(questions(50), 0.1, 8).1);
    }

    #[test]
    fn shared_questions_are_found_in_any_form_and_case() {
        let asked = |id: &str, words: &str, choices: &[&str]| Question {
            id: id.into(),
            question: words.into(),
            choices: choices.iter().map(|&text| text.into()).collect(),
            form: AnswerForm::Text,
            answer: String::new(),
            rationale: None,
        };
        let mut splits = Splits {
            train: vec![
                asked("a", "Do bees fly?", &[]),
                asked("b", "Is Z\u{fc}rich big?", &[]),
                asked("c", "Do owls  swim?", &[]),
                asked("d", "Which?", &["Hive", "sea"]),
            ],
            validation: vec![asked("v", "DO BEES FLY?", &[])],
            test: vec![
                asked("x", "do bees fly?", &[]),
                asked("y", "Is Zu\u{308}rich big?", &[]),
                asked("z", "\u{ff24}o owls swim?", &[]),
                asked("w", "which?", &["sea", "hive"]),
                asked("u", "Which?", &["hive", "seas"]),
                asked("t", "Do bees fly", &[]),
            ],
            ..Splits::default()
        };
        warn_of_shared_questions(&mut splits);
        assert_eq!(
            splits.warnings,
            [
                "4 of 6 test questions are training questions too: x = a, y = b, z = c, ...",
                "1 of 6 test questions are nearly training questions, with at least 80 % of their pairs of words in common: t ~ a",
                "1 of 6 test questions are validation questions too: x = v",
                "1 of 6 test questions are nearly validation questions, with at least 80 % of their pairs of words in common: t ~ v",
                "1 of 1 validation questions are training questions too: v = a",
            ]
        );
    }

    #[test]
    fn what_is_set_apart_is_trained_on_no_more() {
        let mut splits = Splits {
            train: questions(20),
            ..Splits::default()
        };
        carve_validation(&mut splits, 0.25, 3);
        let ids = |part: &[Question]| -> Vec<String> {
            part.iter().map(|question| question.id.clone()).collect()
        };
        let (train, validation) = (ids(&splits.train), ids(&splits.validation));
        assert_eq!((train.len(), validation.len()), (15, 5));
        assert!(
            train.iter().all(|id| !validation.contains(id)),
            "{train:?} {validation:?}"
        );
    }

    #[test]
    fn nothing_is_set_apart_by_default() {
        assert_eq!(set_apart(questions(5), 0.0, 0).1.len(), 0);
        assert_eq!(share_of(2290, 0.3), 687);
        assert_eq!(share_of(3, f64::NAN), 0);
    }
}
