//! Why a filter could not judge.

use thiserror::Error;

/// A filter's error.
#[derive(Clone, PartialEq, Debug, Error)]
pub enum FilterError {
    /// A step counts tokens and a path has none.
    #[error(
        "filter: step `{step}` counts student tokens, and a path of question `{question_id}` has none\nhint: a teacher's paths carry text alone; {instead}"
    )]
    NoTokens {
        /// The step's name.
        step: String,
        /// The path's question.
        question_id: String,
        /// How the filter does without it.
        instead: String,
    },
    /// A step needs log-probabilities and a path has none.
    #[error(
        "filter: step `{step}` needs log-probabilities, and a path of question `{question_id}` has none\nhint: only paths that a student wrote carry them; {instead}"
    )]
    NoLogProb {
        /// The step's name.
        step: String,
        /// The path's question.
        question_id: String,
        /// How the filter does without it.
        instead: String,
    },
    /// A score is named and a path has none of that name.
    #[error(
        "filter: score `{name}` is missing on a path of question `{question_id}`; its scores: {found}\nhint: put a stage that adds `{name}` before this filter: `verify`, `score` or `judge`"
    )]
    NoScore {
        /// The score's name.
        name: String,
        /// The path's question.
        question_id: String,
        /// The names that are there, joined by commas, or `none`.
        found: String,
    },
    /// A path belongs to no question given.
    #[error(
        "filter: a path belongs to question `{question_id}`, which is not among the {questions} given"
    )]
    UnknownQuestion {
        /// The path's question.
        question_id: String,
        /// How many questions there are.
        questions: usize,
    },
    /// Two questions have one id.
    #[error("filter: question id `{question_id}` stands twice")]
    DuplicateQuestion {
        /// The id.
        question_id: String,
    },
    /// A parameter that its schema cannot rule out.
    #[error("filter: `{key}` is {found}; accepted: {accepted}")]
    Parameter {
        /// Dotted name below the stage.
        key: String,
        /// The value found.
        found: String,
        /// The values accepted.
        accepted: String,
    },
}
