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
    /// Numbers of the cues that training questions have.
    numbers: BTreeMap<String, usize>,
    answers: Vec<String>,
    /// By answer and cue: the weight, and the sum of its changes, each times the steps before it.
    weights: Vec<Vec<(f64, f64)>>,
    step: f64,
}

impl Perceptron {
    fn trained(questions: &[Question]) -> Self {
        let mut model = Self::default();
        let answers: BTreeSet<&String> = questions.iter().map(|it| &it.answer).collect();
        model.answers = answers.into_iter().cloned().collect();
        for cue in questions.iter().flat_map(cues) {
            let next = model.numbers.len();
            model.numbers.entry(cue).or_insert(next);
        }
        model.weights = vec![vec![(0.0, 0.0); model.numbers.len()]; model.answers.len()];
        let known: Vec<Vec<usize>> = questions.iter().map(|it| model.known(it)).collect();
        for _ in 0..PASSES {
            for (question, cues) in questions.iter().zip(&known) {
                let said = model.best(cues, |(weight, _)| weight);
                let gold = model.answers.iter().position(|it| *it == question.answer);
                model.step += 1.0;
                if Some(said) != gold {
                    for cue in cues {
                        model.move_by(gold.unwrap(), *cue, 1.0);
                        model.move_by(said, *cue, -1.0);
                    }
                }
            }
        }
        model
    }

    fn known(&self, question: &Question) -> Vec<usize> {
        let cues = cues(question).into_iter();
        cues.filter_map(|cue| self.numbers.get(&cue).copied())
            .collect()
    }

    fn move_by(&mut self, answer: usize, cue: usize, by: f64) {
        let (weight, sum) = &mut self.weights[answer][cue];
        *weight += by;
        *sum += by * self.step;
    }

    fn best(&self, cues: &[usize], weight: impl Fn((f64, f64)) -> f64) -> usize {
        let of = |answer: usize| -> f64 {
            let weights = &self.weights[answer];
            cues.iter().map(|cue| weight(weights[*cue])).sum()
        };
        let answers = 0..self.answers.len();
        answers.max_by(|a, b| of(*a).total_cmp(&of(*b))).unwrap()
    }

    /// How many of `questions` it answers rightly, by the mean of its weights over all steps.
    fn right(&self, questions: &[Question]) -> usize {
        let is_right = |it: &&Question| {
            let mean = |(weight, sum): (f64, f64)| weight - sum / self.step;
            self.answers[self.best(&self.known(it), mean)] == it.answer
        };
        questions.iter().filter(is_right).count()
    }
}

/// How many of a share of `chance` may be right by chance, of `n`: all but one time in a thousand less.
fn most_by_chance(n: usize, chance: f64) -> usize {
    // By logarithms: a probability of no right answer among a thousand is less than a float can be.
    let mut log_term = n as f64 * (1.0 - chance).ln();
    let mut below = log_term.exp();
    for k in 0..n {
        if below >= 0.999 {
            return k;
        }
        log_term += ((n - k) as f64 / (k + 1) as f64 * chance / (1.0 - chance)).ln();
        below += log_term.exp();
    }
    n
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
                    worked_questions: 0,
                    pretrain_questions: 1,
                    ..LatentWorldParams::default()
                };
                let splits = splits_of(&params);
                let of_form = |part: &[Question]| -> Vec<Question> {
                    let mut part = part.to_vec();
                    part.retain(|it| it.form == form);
                    part
                };
                let (train, test) = (of_form(&splits.train), of_form(&splits.test));
                let model = Perceptron::trained(&train);
                right += model.right(&test);
                let times = |answer: &String| test.iter().filter(|it| it.answer == *answer).count();
                constant += model.answers.iter().map(times).max().unwrap();
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
    assert_eq!(Perceptron::trained(&train).right(&test), test.len());
    assert_eq!(most_by_chance(100, 0.5), 65);
}
