//! A question with its gold answer.

use serde::{Deserialize, Serialize};

/// How a question wants to be answered, and so how an answer is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AnswerForm {
    /// `yes` or `no`.
    YesNo,
    /// One of the question's choices, by label `A`, `B`, ...
    Choice,
    /// A number, written without thousands separators.
    Number,
    /// Free text, compared after normalisation.
    Text,
}

/// One question of a dataset.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Question {
    /// Unique within its dataset, for example `strategyqa-0042`.
    pub id: String,
    /// The question's words, without its choices.
    pub question: String,
    /// The texts of the choices in order; their labels are `A`, `B`, ... Empty unless `form` is
    /// [`AnswerForm::Choice`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
    /// How it wants to be answered.
    pub form: AnswerForm,
    /// The gold answer in canonical form: `yes`, `no`, a label `A`.., a number, or text.
    pub answer: String,
    /// A reference solution, where the dataset has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rationale: Option<String>,
}

impl Question {
    /// The question as a prompt asks it. A multiple-choice question carries its options (paper,
    /// Figure 2): `{q} Answer choices: (A) ..., (B) ..., (E) ....` and a line break.
    pub fn asked(&self) -> String {
        if self.choices.is_empty() {
            return self.question.clone();
        }
        format!("{} Answer choices: {}.", self.question, self.options())
    }

    /// The choices with their labels: `(A) ..., (B) ...`.
    pub fn options(&self) -> String {
        let options: Vec<String> = self
            .choices
            .iter()
            .zip('A'..)
            .map(|(text, label)| format!("({label}) {text}"))
            .collect();
        options.join(", ")
    }

    /// The labels of the choices, in order.
    pub fn labels(&self) -> impl Iterator<Item = String> {
        ('A'..).take(self.choices.len()).map(String::from)
    }

    /// The text of the choice labelled `label`, if there is one.
    pub fn choice(&self, label: &str) -> Option<&str> {
        self.choices
            .iter()
            .zip('A'..)
            .find(|(_, each)| label.chars().eq([*each]))
            .map(|(text, _)| text.as_str())
    }
}
