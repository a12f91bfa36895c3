//! Outcomes by question: one answer each, or several, which are of one case and never of as many.

use super::QuestionOutcome;

/// The outcomes of each question, in the questions' order; an evaluation keeps those of one side by side.
pub(super) fn by_question(
    outcomes: &[QuestionOutcome],
) -> impl Iterator<Item = &[QuestionOutcome]> + Clone {
    outcomes.chunk_by(|a, b| a.question_id == b.question_id)
}

/// How many answers a question has: as many as any other.
pub(super) fn answers_each(outcomes: &[QuestionOutcome]) -> usize {
    by_question(outcomes).map(<[_]>::len).max().unwrap_or(1)
}
