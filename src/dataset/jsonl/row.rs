//! One row: from JSON to a question.

use serde_json::Value;

use super::choices::{Choices, Given, letter};
use super::described;
use super::numbers::Numbers;
use super::source::SourceRow;
use crate::dataset::{AnswerFormParam, AnswerIs, DataParams};
use crate::input::{InputError, noun};
use crate::text::{AnswerForm, Question, gold};

/// What stands between a solution and its answer (GSM8K).
const MARK: &str = "####";

/// One row, and what is asked of it.
pub(in crate::dataset) struct RowReader<'a> {
    pub(in crate::dataset) line: &'a dyn SourceRow,
    pub(in crate::dataset) params: &'a DataParams,
}

impl RowReader<'_> {
    /// The question; `name` is its id where the row has none.
    pub(in crate::dataset) fn question(
        &self,
        name: String,
        numbers: &mut Numbers,
    ) -> Result<Question, InputError> {
        let row = self.line.fields()?;
        let question = self.text("question", row.question.as_ref())?;
        let question = question.ok_or_else(|| {
            let keys = self.line.keys().join("`, `");
            self.line
                .wrong_at("question", "the row has no question".to_owned())
                .hint(format!(
                    "every row needs `question` and `answer`; this one has `{keys}`"
                ))
        })?;
        let id = self.line.id()?.unwrap_or(name);
        let choices = match &row.choices {
            Some(value) => {
                let by_place = matches!(self.params.answer_is, AnswerIs::Label | AnswerIs::Index);
                Choices::read(self.line, value, by_place)?
            }
            None => None,
        };
        let given = [("answer", &row.answer), ("answerKey", &row.answer_key)];
        let mut given = given
            .into_iter()
            .filter_map(|(key, value)| self.answer(key, value.as_ref()).transpose());
        let raw = given.next().ok_or_else(|| {
            self.line
                .wrong_at("answer", "the row has no answer".to_owned())
                .hint("every row needs `question` and `answer` (or `answerKey`)")
        })??;
        let (said, solution) = self.said(&raw, choices.is_some())?;
        let wanted = self.params.answer_form;
        let (form, answer) = match wanted {
            AnswerFormParam::Auto if choices.is_some() => (AnswerForm::Choice, None),
            AnswerFormParam::Auto => {
                // A number in words may be a word: `Seven`.
                let in_digits = said.contains(char::is_numeric);
                let number = || gold(AnswerForm::Number, said).filter(|_| in_digits);
                if let Some(answer) = gold(AnswerForm::YesNo, said) {
                    (AnswerForm::YesNo, Some(answer))
                } else if let Some(answer) = number() {
                    (AnswerForm::Number, Some(answer))
                } else {
                    (AnswerForm::Text, gold(AnswerForm::Text, said))
                }
            }
            AnswerFormParam::YesNo => (AnswerForm::YesNo, gold(AnswerForm::YesNo, said)),
            AnswerFormParam::Choice => (AnswerForm::Choice, None),
            AnswerFormParam::Number => (AnswerForm::Number, gold(AnswerForm::Number, said)),
            AnswerFormParam::Text => (AnswerForm::Text, gold(AnswerForm::Text, said)),
        };
        let (choices, answer) = match (form, choices, answer) {
            (AnswerForm::Choice, Some(choices), _) => {
                let chosen = self.chosen(&choices, &raw, said, numbers)?;
                if let Some(other) = given.next().transpose()? {
                    let second = self.chosen(&choices, &other, &other.text, numbers)?;
                    if second != chosen {
                        let what = format!(
                            "the answer is ({chosen}), but `{}` is ({second})",
                            other.key
                        );
                        return Err(self.line.wrong_at(raw.key, what));
                    }
                }
                (choices.texts, chosen.to_string())
            }
            (AnswerForm::Choice, None, _) => {
                let what = "the row has no choices, which `answer_form` asks for";
                return Err(self.line.wrong(what.to_owned()));
            }
            // Choices belong to the question only where an answer is one of them.
            (_, _, Some(answer)) => (Vec::new(), answer),
            (AnswerForm::Text, _, None) => {
                let what = format!(
                    "of the answer `{said}` nothing is left to compare: it is punctuation alone"
                );
                return Err(self.line.wrong_at(raw.key, what));
            }
            (form, _, None) => {
                let what = format!("the answer `{said}` is not {}", described(form));
                return Err(self.line.wrong_at(raw.key, what));
            }
        };
        let rationale = self.text("rationale", row.rationale.as_ref())?;
        Ok(Question {
            id,
            question: question.trim().to_owned(),
            choices,
            form,
            answer,
            rationale: rationale.or(solution).map(str::to_owned),
        })
    }

    /// The text under `key`, unless it is blank.
    fn text<'v>(&self, key: &str, value: Option<&'v Value>) -> Result<Option<&'v str>, InputError> {
        match value {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => {
                Ok(Some(text.as_str()).filter(|text| !text.trim().is_empty()))
            }
            Some(other) => {
                let what = format!("the {key} is {}, where text is expected", noun(other));
                Err(self.line.wrong_at(key, what))
            }
        }
    }

    /// The answer under `key`; none where there is none.
    fn answer(
        &self,
        key: &'static str,
        value: Option<&Value>,
    ) -> Result<Option<Answer>, InputError> {
        let (text, kind) = match value {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::String(text)) if text.trim().is_empty() => return Ok(None),
            Some(Value::String(text)) => (text.trim().to_owned(), Kind::Text),
            Some(Value::Number(number)) => (self.line.digits(key, number), Kind::Number),
            Some(Value::Bool(truth)) => (if *truth { "yes" } else { "no" }.to_owned(), Kind::Truth),
            Some(other) => {
                let what = format!(
                    "the answer is {}, neither text nor a number nor true or false",
                    noun(other)
                );
                return Err(self.line.wrong_at(key, what));
            }
        };
        Ok(Some(Answer { key, text, kind }))
    }

    /// What is said to be the answer, and the solution before it: as GSM8K has them, with `####` between them.
    fn said<'r>(
        &self,
        raw: &'r Answer,
        choices: bool,
    ) -> Result<(&'r str, Option<&'r str>), InputError> {
        let whole = raw.text.as_str();
        let Some((solution, said)) = whole.rsplit_once(MARK) else {
            return Ok((whole, None));
        };
        let (solution, said) = (solution.trim(), said.trim());
        let solution = Some(solution).filter(|text| !text.is_empty());
        let plain = match (
            gold(AnswerForm::YesNo, said),
            gold(AnswerForm::Number, said),
        ) {
            (Some(_), _) => Some(("yes-no", AnswerForm::YesNo)),
            (None, Some(_)) => Some(("number", AnswerForm::Number)),
            (None, None) => None,
        };
        match (self.params.answer_form, plain) {
            (AnswerFormParam::Text, _) => Ok((whole, None)),
            (AnswerFormParam::Auto, Some((name, form))) if !choices => {
                let what = format!(
                    "the answer can be read in 2 ways: as {}, it is `{said}` after `{MARK}`, with a solution before it; as free text, it is all of `{}`",
                    described(form),
                    shortened(whole)
                );
                let hint = format!(
                    "say which beside `dataset`: `answer_form = \"{name}\"` or `answer_form = \"text\"`"
                );
                Err(self.line.wrong_at(raw.key, what).hint(hint))
            }
            (AnswerFormParam::Auto, None) if !choices => Ok((whole, None)),
            _ => Ok((said, solution)),
        }
    }

    /// The label of the choice that an answer is.
    fn chosen(
        &self,
        choices: &Choices,
        answer: &Answer,
        said: &str,
        numbers: &mut Numbers,
    ) -> Result<char, InputError> {
        // `true` is `yes`, unless `true` is what the choices have.
        let said = match (answer.kind, said) {
            (Kind::Truth, "yes") if choices.texts.iter().any(|text| text == "true") => "true",
            (Kind::Truth, "no") if choices.texts.iter().any(|text| text == "false") => "false",
            _ => said,
        };
        let given = Given {
            key: answer.key,
            raw: said,
            is_number: answer.kind == Kind::Number,
        };
        let chosen = choices.chosen(self.line, &given, self.params.answer_is)?;
        numbers.note(self.line, &given, &chosen.by)?;
        Ok(letter(chosen.place))
    }
}

/// An answer as it stands in a row.
struct Answer {
    key: &'static str,
    text: String,
    kind: Kind,
}

/// What an answer is in JSON.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
    Truth,
}

/// A text as far as a message shows it.
fn shortened(text: &str) -> String {
    const SHOWN: usize = 40;
    let one_line = text.replace('\n', " ");
    match one_line.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &one_line[..end]),
        None => one_line,
    }
}
