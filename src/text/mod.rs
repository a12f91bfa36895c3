//! The words of the method: questions, reasoning paths, predictions, the prompts around them, and
//! what can be read out of them.
//!
//! Everything here is plain data or a pure function of text and token ids: no model, no files.

mod answer;
mod choice;
mod fold;
mod imitation;
mod path;
mod prediction;
mod prompt;
mod question;
mod repetition;
#[cfg(test)]
pub(crate) mod teacher_fixture;
mod thought;

pub use answer::{Parsed, answers_given, conclusion, is_gold, parse_answer, reasoning_part};
pub use fold::fold;
pub use imitation::{asked_again, imitative_complete};
pub use path::{EndReason, FirstToken, JudgedPath, LogProbSummary, ReasoningPath, Verdict};
pub use prediction::Prediction;
pub use prompt::{ANSWER_CUE, ChoiceAnswer, END_OF_TEXT, PromptForm, answer_sentence};
pub use question::{AnswerForm, Question};
pub use repetition::{rep_n, word_count, word_rep};
pub use thought::{Parted, parted};
