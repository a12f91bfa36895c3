//! What training texts say behind a prompt: reasoning, and the answer that closes it (paper, II).

use crate::text::{AnswerForm, ChoiceAnswer, Question, Reading, parted, reasoning_part};

/// The gold answer as training texts write it.
pub(crate) fn gold_answer(question: &Question, choice_answer: ChoiceAnswer) -> String {
    written_answer(question, &question.answer, choice_answer)
}

/// An answer in canonical form as training texts write it.
pub(crate) fn written_answer(
    question: &Question,
    answer: &str,
    choice_answer: ChoiceAnswer,
) -> String {
    match question.form {
        AnswerForm::Choice => choice_answer.written(question, answer),
        _ => answer.to_owned(),
    }
}

/// A path without the ends of text that it has written out.
pub(crate) fn without_marks(path: &str, end_marks: &[String]) -> String {
    let mut path = path.to_owned();
    for mark in end_marks {
        path = path.replace(mark.as_str(), "");
    }
    path
}

/// ` {r}`, a path's reasoning as training texts write it: up to any answer sentence of its own, without ends of text.
/// Empty where the path opens with an answer sentence.
pub(crate) fn reasoning(path: &str, end_marks: &[String], reading: Reading) -> String {
    // A path may begin with end-of-text (paper, Figure 2). In a training text it would teach the
    // student to end before it begins, so it is left out (ours; the paper is silent).
    let path = without_marks(path, end_marks);
    match reasoning_part(&path, reading).trim() {
        "" => String::new(),
        reasoning => format!(" {reasoning}"),
    }
}

/// What a path thinks, if it does, and its [`reasoning`] in what it says: thinking may name several answers, and ends
/// before none of them.
pub(crate) fn thought_and_reasoning(
    path: &str,
    end_marks: &[String],
    reading: Reading,
) -> (Option<String>, String) {
    let parted = parted(&without_marks(path, end_marks));
    (parted.thought, reasoning(&parted.said, &[], reading))
}

/// What is thought, as models write it, before what is said.
pub(crate) fn with_thought(thought: Option<&str>, said: &str) -> String {
    let Some(thought) = thought else {
        return said.to_owned();
    };
    format!("<think>\n{thought}\n</think>\n\n{}", said.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_thought_names_no_answer() {
        let path =
            "<think>\nThe answer is no. Wait.\n</think>\n\nBees fly. The answer is yes.<|end|>";
        let marks = ["<|end|>".to_owned()];
        let (thought, said) = thought_and_reasoning(path, &marks, Reading::Standard);
        assert_eq!(thought.as_deref(), Some("The answer is no. Wait."));
        assert_eq!(said, " Bees fly.");
        assert_eq!(
            with_thought(thought.as_deref(), &said),
            "<think>\nThe answer is no. Wait.\n</think>\n\nBees fly."
        );
        let plain = thought_and_reasoning(" Bees fly.", &marks, Reading::Standard);
        assert_eq!(plain, (None, " Bees fly.".to_owned()));
        assert_eq!(with_thought(None, " Bees fly."), " Bees fly.");
    }
}
