//! The words of the method: questions, reasoning paths, predictions, the prompts around them, and
//! what can be read out of them.
//!
//! Everything here is plain data or a pure function of text and token ids: no model, no files.

mod answer;
mod excerpt;
mod fold;
mod imitation;
mod number;
mod overlap;
mod path;
mod prediction;
mod printable;
mod prompt;
mod prompt_spec;
mod question;
mod repetition;
mod word_list;
#[cfg(test)]
pub(crate) mod teacher_fixture;
mod template;
mod thought;

pub(crate) use answer::{Declared, behind_opening_number, composed, declared, without_markup};
pub use answer::{
    Parsed, Reading, answers_given, conclusion, gold, is_gold, parse_answer, parse_reply,
    reasoning_part,
};
pub(crate) use excerpt::cut;
pub use excerpt::{Excerpt, excerpt};
pub use fold::fold;
pub use imitation::{asked_again, imitative_complete};
pub use number::Number;
pub(crate) use number::whole as whole_number;
pub use overlap::{NgramIndex, OverlapRow, Shared, plain_words};
pub use path::{
    DropReason, EndReason, FilterDecision, FilteredPath, FirstToken, LogProbSummary, ReasoningPath,
};
pub use prediction::Prediction;
pub(crate) use prediction::is_first;
pub(crate) use printable::{escaped, one_line, printable};
pub use prompt::{ANSWER_CUE, ChoiceAnswer, END_OF_TEXT, Hint, PromptForm, answer_sentence};
pub use prompt_spec::{Asks, CHAT_DATE, ChatSpec, FewShot, PromptSpec};
pub use question::{AnswerForm, Question};
pub use repetition::{rep_n, word_count, word_rep};
pub use template::{Filled, PLACES, Template, TemplateError};
pub use thought::{Parted, parted};
