//! No surface cue tells an answer: a classifier that sees words and pairs of words, but not who has what, guesses.

use std::collections::{BTreeMap, BTreeSet};

use super::LatentWorldParams;
use super::tests::{FORMS, splits_of};
use crate::text::{AnswerForm, Question};

/// Passes over the training questions.
const PASSES: usize = 20;

/// The words of what is asked, each pair of neighbours, and each pair of words that are in it anywhere.
fn cues(question: &Question) -> BTreeSet<String> {
    let asked = question.asked();
    let words: Vec<&str> = asked
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    let mut cues: BTreeSet<String> = words.iter().map(|word| (*word).to_owned()).collect();
    cues.extend(
        words
            .windows(2)
            .map(|pair| format!("{}>{}", pair[0], pair[1])),
    );
    for (i, first) in words.iter().enumerate() {
        cues.extend(
            words[i + 1..]
                .iter()
                .map(|second| format!("{first}+{second}")),
        );
    }
    cues
}

/// An averaged perceptron of several classes (Collins 2002).
#[derive(Default)]
struct Perceptron {
    /// By cue and answer: the weight, and the sum of weights over all steps by its last change.
    weights: BTreeMap<(String, String), (f64, f64)>,
    step: f64,
}

impl Perceptron {
    fn trained(questions: &[&Question]) -> Self {
        let answers: BTreeSet<String> = questions.iter().map(|it| it.answer.clone()).collect();
        let mut model = Self::default();
        for _ in 0..PASSES {
            for question in questions {
                let cues = cues(question);
                let said = model.answer(&cues, &answers, false);
                model.step += 1.0;
                if said != question.answer {
                    for cue in &cues {
                        model.move_by(cue, &question.answer, 1.0);
                        model.move_by(cue, &said, -1.0);
                    }
                }
            }
        }
        model
    }

    fn move_by(&mut self, cue: &str, answer: &str, by: f64) {
        let (weight, sum) = self.weights.entry((cue.into(), answer.into())).or_default();
        *weight += by;
        *sum += by * self.step;
    }

    fn answer(&self, cues: &BTreeSet<String>, answers: &BTreeSet<String>, mean: bool) -> String {
        let of = |answer: &String| -> f64 {
            let weights = cues
                .iter()
                .filter_map(|cue| self.weights.get(&(cue.clone(), answer.clone())));
            weights
                .map(|(weight, sum)| {
                    if mean {
                        weight - sum / self.step
                    } else {
                        *weight
                    }
                })
                .sum()
        };
        let best = answers.iter().max_by(|a, b| of(a).total_cmp(&of(b)));
        best.cloned().unwrap_or_default()
    }
}

/// How many of a share of `chance` may be right by chance, of `n`: all but one time in a thousand less.
fn most_by_chance(n: usize, chance: f64) -> usize {
    let mut term = (1.0 - chance).powi(i32::try_from(n).unwrap());
    let (mut below, mut k) = (term, 0);
    while below < 0.999 {
        term *= (n - k) as f64 / (k + 1) as f64 * chance / (1.0 - chance);
        k += 1;
        below += term;
    }
    k
}

#[test]
fn words_and_pairs_of_words_do_no_better_than_chance() {
    for form in [AnswerForm::YesNo, AnswerForm::Choice] {
        let (mut right, mut all, mut constant) = (0, 0, 0);
        for seed in 0..6 {
            for hops in [2, 3] {
                let params = LatentWorldParams {
                    seed,
                    hops,
                    form: FORMS[2],
                    fact_repeats: 1,
                    chain_repeats: 0,
                    claim_repeats: 0,
                    pretrain_questions: 1,
                    ..LatentWorldParams::default()
                };
                let splits = splits_of(&params);
                let of_form = |part: &'_ [Question]| -> Vec<Question> {
                    part.iter().filter(|it| it.form == form).cloned().collect()
                };
                let (train, test) = (of_form(&splits.train), of_form(&splits.test));
                let model = Perceptron::trained(&train.iter().collect::<Vec<_>>());
                let answers: BTreeSet<String> = train.iter().map(|it| it.answer.clone()).collect();
                right += test
                    .iter()
                    .filter(|it| model.answer(&cues(it), &answers, true) == it.answer)
                    .count();
                let most = answers
                    .iter()
                    .map(|a| test.iter().filter(|it| it.answer == **a).count());
                constant += most.max().unwrap();
                all += test.len();
            }
        }
        let chance = if form == AnswerForm::YesNo { 0.5 } else { 0.25 };
        let bound = most_by_chance(all, chance);
        eprintln!(
            "{form:?}: {right} of {all} by words, {constant} by one answer, at most {bound} by chance"
        );
        assert!(right <= bound && constant <= bound, "{right} of {all}");
    }
}

/// The classifier finds a cue where there is one.
#[test]
fn a_cue_would_be_found() {
    let splits = splits_of(&LatentWorldParams {
        form: FORMS[0],
        ..LatentWorldParams::default()
    });
    let cued = |part: &[Question]| -> Vec<Question> {
        let cue = |it: &Question| {
            format!(
                "{} {}",
                it.question,
                if it.answer == "no" { "ever" } else { "now" }
            )
        };
        part.iter()
            .map(|it| Question {
                question: cue(it),
                ..it.clone()
            })
            .collect()
    };
    let (train, test) = (cued(&splits.train), cued(&splits.test));
    let model = Perceptron::trained(&train.iter().collect::<Vec<_>>());
    let answers = BTreeSet::from(["no".to_owned(), "yes".to_owned()]);
    let right = test
        .iter()
        .filter(|it| model.answer(&cues(it), &answers, true) == it.answer);
    assert_eq!(right.count(), test.len());
    assert_eq!(most_by_chance(100, 0.5), 65);
}
