//! Prompt and training templates (paper, II and III-A).

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Question;

/// GPT-2's end-of-text token, written out.
pub const END_OF_TEXT: &str = "<|endoftext|>";

/// What a student sees before it writes. A trained student is asked in the form it was trained on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PromptForm {
    /// `Question: {q} Answer:` (paper, II: sampling, self-training and the label-only baseline).
    #[default]
    Answer,
    /// `Question: {q} Answer: Let's think step by step.` (paper, II: the teacher and distillation).
    StepByStep,
}

impl PromptForm {
    /// The prompt for `question`. A multiple-choice question ends its options with a line break
    /// before `Answer:`; a yes/no question shows none (paper, Figure 2).
    pub fn prompt(self, question: &Question) -> String {
        let gap = if question.choices.is_empty() {
            " "
        } else {
            "\n"
        };
        let tail = match self {
            Self::Answer => "",
            Self::StepByStep => " Let's think step by step.",
        };
        format!("Question: {}{gap}Answer:{tail}", question.asked())
    }
}

/// What a prompt gives away of the answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Hint {
    /// Nothing.
    #[default]
    None,
    /// The gold answer, to be reasoned towards (`STaR`'s rationalization, Zelikman et al. 2022, section 3.2): ` (CORRECT)`
    /// behind the gold choice, as in the paper's Figure 2; ` (The answer is {a}.)` behind a question without choices (ours).
    Answer,
}

impl Hint {
    /// Whether it gives nothing away.
    pub fn is_none(&self) -> bool {
        *self == Self::None
    }

    /// `question` as a prompt with this hint asks it.
    pub fn given(self, question: &Question) -> Cow<'_, Question> {
        if self == Self::None {
            return Cow::Borrowed(question);
        }
        let mut hinted = question.clone();
        let gold = question.labels().position(|label| label == question.answer);
        match gold.and_then(|gold| hinted.choices.get_mut(gold)) {
            Some(choice) => choice.push_str(" (CORRECT)"),
            None => hinted.question += &self.words(question),
        }
        Cow::Owned(hinted)
    }

    /// What it says of `question` where a template has a place for it: ` (The answer is {a}.)`, or nothing.
    pub fn words(self, question: &Question) -> String {
        match self {
            Self::None => String::new(),
            Self::Answer if question.choice(&question.answer).is_some() => {
                let answer = ChoiceAnswer::Both.written(question, &question.answer);
                format!(" (The answer is {answer}.)")
            }
            Self::Answer => format!(" (The answer is {}.)", question.answer),
        }
    }
}

/// How a multiple-choice answer is written in training texts (ours; the paper is silent).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ChoiceAnswer {
    /// `(B)`.
    #[default]
    Letter,
    /// `hive`.
    Text,
    /// `(B) hive`.
    Both,
}

impl ChoiceAnswer {
    /// The answer labelled `label` as it is written.
    pub fn written(self, question: &Question, label: &str) -> String {
        match (self, question.choice(label)) {
            (Self::Text, Some(text)) => text.to_owned(),
            (Self::Both, Some(text)) => format!("({label}) {text}"),
            _ => format!("({label})"),
        }
    }
}

/// What stands before the answer that closes a training text (paper, II).
pub const ANSWER_CUE: &str = " So the answer is";

/// The sentence that closes a training text: ` So the answer is {answer}.` (paper, II).
pub fn answer_sentence(answer: &str) -> String {
    format!("{ANSWER_CUE} {answer}.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::AnswerForm;

    fn question(choices: &[&str]) -> Question {
        Question {
            id: "q-1".into(),
            question: "Where do bees live?".into(),
            choices: choices.iter().map(|&c| c.into()).collect(),
            form: AnswerForm::Choice,
            answer: "A".into(),
            rationale: None,
        }
    }

    #[test]
    fn prompts_are_the_papers() {
        assert_eq!(
            PromptForm::Answer.prompt(&question(&[])),
            "Question: Where do bees live? Answer:"
        );
        assert_eq!(
            PromptForm::StepByStep.prompt(&question(&["hive", "sea"])),
            "Question: Where do bees live? Answer choices: (A) hive, (B) sea.\nAnswer: Let's think step by step."
        );
    }

    #[test]
    fn a_hint_gives_the_gold_answer_away() {
        let asked =
            |hint: Hint, question: &Question| PromptForm::Answer.prompt(&hint.given(question));
        let choice = Question {
            answer: "B".into(),
            ..question(&["hive", "sea"])
        };
        assert_eq!(
            asked(Hint::Answer, &choice),
            "Question: Where do bees live? Answer choices: (A) hive, (B) sea (CORRECT).\nAnswer:"
        );
        let number = Question {
            form: AnswerForm::Number,
            answer: "12".into(),
            ..question(&[])
        };
        assert_eq!(
            asked(Hint::Answer, &number),
            "Question: Where do bees live? (The answer is 12.) Answer:"
        );
        for question in [&choice, &number] {
            assert_eq!(
                asked(Hint::None, question),
                PromptForm::Answer.prompt(question)
            );
        }
    }

    #[test]
    fn choices_are_found_by_label() {
        assert_eq!(question(&["hive", "sea"]).choice("B"), Some("sea"));
        assert_eq!(question(&["hive", "sea"]).choice("C"), None);
    }
}
