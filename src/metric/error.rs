//! Why something could not be measured.

use std::collections::BTreeSet;

use thiserror::Error;

/// A metric's error.
#[derive(Clone, PartialEq, Debug, Error)]
pub enum MetricError {
    /// There is nothing to measure.
    #[error("eval: no {what} given")]
    Empty {
        /// What is missing, for example `questions`.
        what: &'static str,
    },
    /// Perplexities of other texts are set beside each other.
    #[error(
        "perplexity: two of these are of other texts\nhint: measure one text with each student"
    )]
    OtherText,
    /// Predictions and questions do not match one to one.
    #[error(
        "eval: {predictions} predictions for {questions} questions: {missing} questions without a prediction, {unknown} predictions of unknown questions, {repeated} repeated; the first: `{first}`\nhint: predictions and questions have to come from the same dataset, split and limit"
    )]
    Coverage {
        /// Predictions given.
        predictions: usize,
        /// Questions given.
        questions: usize,
        /// Questions without a prediction.
        missing: usize,
        /// Predictions whose question is not among those given.
        unknown: usize,
        /// Predictions (or questions) beyond the first of one id.
        repeated: usize,
        /// The first id at fault.
        first: String,
    },
    /// Some predictions carry option log-likelihoods and others do not, or not one per option.
    #[error(
        "eval: the prediction of question `{question_id}` has {found} option log-likelihoods, expected {expected}\nhint: all predictions of one table have to come from one `predict` stage"
    )]
    OptionLogProbs {
        /// The question.
        question_id: String,
        /// How many it has.
        found: usize,
        /// How many its question has options.
        expected: usize,
    },
    /// Questions have not all as many answers, or these are not numbered.
    #[error(
        "eval: question `{question_id}` has {found} answers numbered from 0, expected {expected}, as of the others\nhint: `draw` numbers the answers to each question 0, 1, 2 and so on, and each question has as many"
    )]
    Answers {
        /// The first question at fault.
        question_id: String,
        /// Its answers up to the first number that is missing.
        found: usize,
        /// The most that a question has.
        expected: usize,
    },
    /// A `k` of pass@k above the number of answers.
    #[error(
        "eval: pass@{k} needs {k} answers to each question, and there are {n}\nhint: declare `pass_k` up to {n}, or raise `n` of `predict`: it draws the missing ones only"
    )]
    TooFewAnswers {
        /// The `k`.
        k: u32,
        /// How many answers there are.
        n: usize,
    },
    /// A score that answers are chosen or weighed by is not there.
    #[error(
        "eval: `{key}` asks for the score `{name}`, which none of {answers} answers carries; the scores that are there: {known}\nhint: take one of these, or give `scored` the paths of a `score`, `judge` or `verify` stage that makes `{name}` over `answers-as-paths`"
    )]
    NoScore {
        /// The parameter.
        key: &'static str,
        /// The score.
        name: String,
        /// How many answers there are.
        answers: usize,
        /// Those that are carried.
        known: String,
    },
    /// The scored paths are not those of the answers.
    #[error(
        "eval: {missing} of {answers} answers have no path of the same text in `scored`; the first: answer {draw} to `{question_id}`\nhint: `scored` takes the paths that `answers-as-paths` makes of these predictions, scored and not filtered"
    )]
    NotScored {
        /// Answers without a path.
        missing: usize,
        /// Answers.
        answers: usize,
        /// The first question at fault.
        question_id: String,
        /// Which of its answers.
        draw: u32,
    },
    /// Two evaluations that are to be paired measured different questions.
    #[error(
        "compare: one evaluation has {a} questions, the other {b}, and {shared} of them are the same; the first that only one has: `{first}`\nhint: arms and seeds are compared question by question; evaluate all of them on the same dataset, split and limit"
    )]
    DifferentQuestions {
        /// Questions of the one.
        a: usize,
        /// Questions of the other.
        b: usize,
        /// Questions of both.
        shared: usize,
        /// The first id that only one has.
        first: String,
    },
    /// Two evaluations that are to be paired measured questions of the same ids and of other content.
    #[error(
        "compare: two evaluations have {questions} questions of the same ids, but other words, choices or gold answers\nhint: arms and seeds are compared question by question; evaluate all of them on the same dataset, split and limit"
    )]
    OtherContent {
        /// Questions of each.
        questions: usize,
    },
    /// An evaluation has a question twice, so it cannot be paired.
    #[error("compare: an evaluation has question `{question_id}` twice, expected once")]
    Repeated {
        /// The question.
        question_id: String,
    },
    /// A parameter out of its range.
    #[error("eval: `{key}` is {found}; accepted: {accepted}")]
    Parameter {
        /// Its name.
        key: &'static str,
        /// The value found.
        found: String,
        /// The values accepted.
        accepted: &'static str,
    },
}

impl MetricError {
    /// An error unless both have the same questions.
    pub(super) fn same_questions(a: &BTreeSet<&str>, b: &BTreeSet<&str>) -> Result<(), Self> {
        let Some(first) = a.difference(b).chain(b.difference(a)).next() else {
            return Ok(());
        };
        Err(Self::DifferentQuestions {
            a: a.len(),
            b: b.len(),
            shared: a.intersection(b).count(),
            first: (*first).to_owned(),
        })
    }
}
