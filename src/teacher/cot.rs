//! How a teacher is asked: zero-shot chain of thought in two steps (paper, II; Ho et al. 2023).
//!
//! The first step asks for reasoning, the second, after the reasoning, for the answer. What the
//! model writes is kept raw.

use super::http::Turn;
use crate::text::{PromptForm, Question};

/// The paper's first prompt: `Question: {q} Answer: Let's think step by step.`
pub(crate) const PAPER: &str = "paper";
/// That of Ho et al. 2023: `Q: {q}\nA: Let's think step by step.`
pub(crate) const HO: &str = "ho-et-al-2023";
/// The second step's words (Ho et al. 2023).
pub(crate) const ANSWER_PROMPT: &str = "Therefore, the answer is";

const PLACE: &str = "{question}";

/// What is wrong with a `prompt`, if anything is.
pub(crate) fn prompt_error(prompt: &str) -> Option<String> {
    let fits = [PAPER, HO].contains(&prompt) || prompt.contains(PLACE);
    (!fits).then(|| format!("`{prompt}` is no known prompt, and has no place for {PLACE}"))
}

/// The first step: asks for reasoning.
pub(crate) fn reasoning(prompt: &str, question: &Question) -> Vec<Turn> {
    let text = match prompt {
        PAPER => PromptForm::StepByStep.prompt(question),
        HO => format!("Q: {}\nA: Let's think step by step.", question.asked()),
        own => own.replace(PLACE, &question.asked()),
    };
    vec![Turn::Asked(text)]
}

/// The second step: asks for the answer, after the first and what it brought.
pub(crate) fn answer(mut first: Vec<Turn>, reasoning: &str, answer_prompt: &str) -> Vec<Turn> {
    first.push(Turn::Wrote(reasoning.to_owned()));
    first.push(Turn::Asked(answer_prompt.to_owned()));
    first
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::AnswerForm;

    #[test]
    fn the_prompts_are_those_of_the_papers() {
        let question = Question {
            id: "q".into(),
            question: "Do bees fly?".into(),
            choices: Vec::new(),
            form: AnswerForm::YesNo,
            answer: "yes".into(),
            rationale: None,
        };
        let first = |prompt| reasoning(prompt, &question);
        let asked = |text: &str| vec![Turn::Asked(text.into())];
        assert_eq!(
            first(PAPER),
            asked("Question: Do bees fly? Answer: Let's think step by step.")
        );
        assert_eq!(
            first(HO),
            asked("Q: Do bees fly?\nA: Let's think step by step.")
        );
        assert_eq!(first("Think: {question}"), asked("Think: Do bees fly?"));
        assert_eq!(prompt_error("Think: {question}"), None);
        assert!(prompt_error("papper").is_some());
        let second = answer(first(HO), " They do.", ANSWER_PROMPT);
        assert_eq!(second.len(), 3);
    }
}
