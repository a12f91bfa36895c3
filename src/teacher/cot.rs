//! How a teacher is asked: zero-shot chain of thought in two steps (paper, II; Ho et al. 2023).
//!
//! The first step asks for reasoning, the second, after the reasoning, for the answer. What the
//! model writes is kept raw.

use super::TeacherError;
use super::http::Turn;
use crate::text::{Asks, Hint, PromptForm, PromptSpec, Question, Template};

/// The paper's first prompt: `Question: {q} Answer: Let's think step by step.`
pub(crate) const PAPER: &str = "paper";
/// That of Ho et al. 2023: `Q: {q}\nA: Let's think step by step.`
pub(crate) const HO: &str = "ho-et-al-2023";
/// The second step's words (Ho et al. 2023).
pub(crate) const ANSWER_PROMPT: &str = "Therefore, the answer is";

/// What asks `question` for reasoning. The names stand for their texts; a template was checked before.
///
/// # Errors
/// A template that cannot be used, or a chat's: a server has a template of its own.
pub(crate) fn asked(prompt: &PromptSpec, question: &Question) -> Result<String, TeacherError> {
    let wrong = |reason: String| TeacherError::Param {
        field: "prompt",
        reason,
    };
    match &prompt.asks {
        Asks::Form(form) => Ok(form.prompt(question)),
        Asks::Template(name) if *name == PAPER => Ok(PromptForm::StepByStep.prompt(question)),
        Asks::Template(name) if *name == HO => Ok(format!(
            "Q: {}\nA: Let's think step by step.",
            question.asked()
        )),
        Asks::Template(own) => {
            let template = Template::new(own).map_err(|error| wrong(error.to_string()))?;
            Ok(template.fill(question, Hint::None).text)
        }
        Asks::Chat(_) => Err(wrong(CHAT.to_owned())),
    }
}

/// Why a chat is not asked of a server.
pub(crate) const CHAT: &str = "a server has a chat template of its own";

/// The second step: asks for the answer, after the first and what it brought.
pub(crate) fn answer(first: String, reasoning: &str, answer_prompt: &str) -> Vec<Turn> {
    vec![
        Turn::Asked(first),
        Turn::Wrote(reasoning.to_owned()),
        Turn::Asked(answer_prompt.to_owned()),
    ]
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
        let first = |prompt| asked(&PromptSpec::template(prompt), &question);
        let says = |prompt, text: &str| assert_eq!(first(prompt).unwrap(), text);
        says(
            PAPER,
            "Question: Do bees fly? Answer: Let's think step by step.",
        );
        says(HO, "Q: Do bees fly?\nA: Let's think step by step.");
        says("Think: {question}", "Think: Do bees fly?");
        says("answer", "Question: Do bees fly? Answer:");
        assert!(first("papper").is_err());
        let second = answer(first(HO).unwrap(), " They do.", ANSWER_PROMPT);
        assert_eq!(second.len(), 3);
    }
}
