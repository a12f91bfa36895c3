//! A dataset of one's own: JSON lines.
//!
//! A row is an object with `question`, `answer`, and optionally `id`, `choices` (texts, or objects
//! with `label` and `text`) and `rationale`; other fields are ignored. The training and test rows
//! come from two files, or from one that is split by a fraction.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::{
    AnswerFormParam, DataFile, DataParams, DatasetError, DatasetKind, Splits, read_json_lines,
    split,
};
use crate::text::{AnswerForm, Question};

pub(super) const KIND: DatasetKind = DatasetKind {
    name: "jsonl",
    doc: "your own questions, one JSON object a line: question, answer, and optionally id, choices, rationale",
    files,
    load,
};

/// Labels go from A to Z.
const MAX_CHOICES: usize = 26;

#[derive(Deserialize)]
struct Row {
    id: Option<Value>,
    question: Option<String>,
    choices: Option<Vec<Choice>>,
    answer: Option<Value>,
    rationale: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Choice {
    Text(String),
    Labelled { label: String, text: String },
}

fn files(params: &DataParams) -> Result<Vec<DataFile>, DatasetError> {
    let wrong = |field, reason: &str| {
        Err(DatasetError::Param {
            field,
            reason: reason.to_owned(),
        })
    };
    match (&params.path, &params.train_path, &params.test_path) {
        (Some(path), None, None) => Ok(vec![DataFile::Local(path.clone())]),
        (None, Some(train), Some(test)) => Ok(vec![
            DataFile::Local(train.clone()),
            DataFile::Local(test.clone()),
        ]),
        (None, Some(_), None) => wrong("test_path", "missing beside `train_path`"),
        (None, None, Some(_)) => wrong("train_path", "missing beside `test_path`"),
        (None, None, None) => wrong(
            "path",
            "dataset `jsonl` needs a file\nhint: give `path`, or `train_path` and `test_path`",
        ),
        (Some(_), ..) => wrong("path", "given together with `train_path` or `test_path`"),
    }
}

fn load(params: &DataParams, paths: &[PathBuf]) -> Result<Splits, DatasetError> {
    let mut seen = BTreeMap::new();
    if let [train, test] = paths {
        let splits = Splits {
            train: questions(train, "train", params.answer_form, &mut seen)?,
            test: questions(test, "test", params.answer_form, &mut seen)?,
            ..Splits::default()
        };
        let form = |part: &[Question]| part.first().map(|question| described(question.form));
        return match (form(&splits.train), form(&splits.test)) {
            (Some(train), Some(test)) if train != test => Err(DatasetError::Param {
                field: "test_path",
                reason: format!(
                    "its answers are {test}, those of `train_path` {train}\nhint: set `answer_form` to the form that is meant"
                ),
            }),
            _ => Ok(splits),
        };
    }
    let all = questions(&paths[0], "row", params.answer_form, &mut seen)?;
    let (train, test) = split::set_apart(all, params.test_fraction, params.split_seed);
    Ok(Splits {
        train,
        test,
        ..Splits::default()
    })
}

/// The file's questions; `seen` says where each id was used, over all files.
fn questions(
    path: &Path,
    part: &str,
    wanted: AnswerFormParam,
    seen: &mut BTreeMap<String, String>,
) -> Result<Vec<Question>, DatasetError> {
    let mut questions: Vec<Question> = Vec::new();
    let mut first_line = 0;
    for (line, row) in read_json_lines::<Row>(path)? {
        let reader = RowReader { path, line };
        let name = format!("{part}-{:04}", questions.len());
        let question = reader.question(row, name, wanted)?;
        if let Some(first) = questions.first() {
            if first.form != question.form {
                return Err(DatasetError::MixedForms {
                    path: path.to_owned(),
                    first: described(first.form),
                    first_line,
                    second: described(question.form),
                    second_line: line,
                });
            }
        } else {
            first_line = line;
        }
        let here = format!("{}:{line}", path.display());
        if let Some(first) = seen.insert(question.id.clone(), here.clone()) {
            return Err(DatasetError::DuplicateId {
                id: question.id,
                first,
                second: here,
            });
        }
        questions.push(question);
    }
    Ok(questions)
}

/// One row and its place.
struct RowReader<'a> {
    path: &'a Path,
    line: usize,
}

impl RowReader<'_> {
    fn question(
        &self,
        row: Row,
        name: String,
        wanted: AnswerFormParam,
    ) -> Result<Question, DatasetError> {
        let question = row
            .question
            .filter(|text| !text.trim().is_empty())
            .ok_or_else(|| self.wrong("the row has no question"))?;
        let id = match row.id {
            None | Some(Value::Null) => name,
            Some(Value::String(id)) if !id.is_empty() => id,
            Some(Value::Number(id)) => id.to_string(),
            Some(other) => {
                return Err(self.wrong(&format!("the id `{other}` is neither text nor a number")));
            }
        };
        let raw = match row.answer {
            Some(Value::String(text)) if !text.trim().is_empty() => text.trim().to_owned(),
            Some(Value::Number(number)) => number.to_string(),
            Some(Value::Bool(truth)) => if truth { "yes" } else { "no" }.to_owned(),
            None | Some(Value::Null | Value::String(_)) => {
                return Err(DatasetError::NoAnswer {
                    path: self.path.to_owned(),
                    line: self.line,
                });
            }
            Some(other) => {
                return Err(self.wrong(&format!(
                    "the answer `{other}` is neither text nor a number nor true or false"
                )));
            }
        };
        let choices = self.choices(row.choices.unwrap_or_default())?;
        let (form, answer) = match wanted {
            AnswerFormParam::Auto if !choices.is_empty() => (AnswerForm::Choice, None),
            AnswerFormParam::Auto => {
                if let Some(answer) = yes_no(&raw) {
                    (AnswerForm::YesNo, Some(answer))
                } else if let Some(answer) = number(&raw) {
                    (AnswerForm::Number, Some(answer))
                } else {
                    (AnswerForm::Text, Some(raw.clone()))
                }
            }
            AnswerFormParam::YesNo => (AnswerForm::YesNo, yes_no(&raw)),
            AnswerFormParam::Choice => (AnswerForm::Choice, None),
            AnswerFormParam::Number => (AnswerForm::Number, number(&raw)),
            AnswerFormParam::Text => (AnswerForm::Text, Some(raw.clone())),
        };
        let answer = match (form, answer) {
            (AnswerForm::Choice, _) => self.chosen(&raw, &choices)?,
            (_, Some(answer)) => answer,
            (form, None) => {
                return Err(self.wrong(&format!("the answer `{raw}` is not {}", described(form))));
            }
        };
        Ok(Question {
            id,
            question: question.trim().to_owned(),
            // Choices belong to the question only where an answer is one of them.
            choices: if form == AnswerForm::Choice {
                choices
            } else {
                Vec::new()
            },
            form,
            answer,
            rationale: row.rationale.filter(|text| !text.trim().is_empty()),
        })
    }

    fn choices(&self, rows: Vec<Choice>) -> Result<Vec<String>, DatasetError> {
        if rows.len() > MAX_CHOICES {
            return Err(self.wrong(&format!(
                "{} choices, at most {MAX_CHOICES} have a label",
                rows.len()
            )));
        }
        rows.into_iter()
            .zip('A'..='Z')
            .map(|(choice, expected)| match choice {
                Choice::Text(text) => Ok(text),
                Choice::Labelled { label, text } if label.chars().eq([expected]) => Ok(text),
                Choice::Labelled { label, .. } => Err(self.wrong(&format!(
                    "a choice is labelled `{label}` where `{expected}` was expected"
                ))),
            })
            .collect()
    }

    /// The label that `raw` means: a label (`B`, `b`, `(B)`) or the text of exactly one choice.
    fn chosen(&self, raw: &str, choices: &[String]) -> Result<String, DatasetError> {
        let labelled = || choices.iter().zip('A'..='Z');
        let bare = raw.trim_matches(['(', ')', '.', ' ']);
        let mut meant: Vec<char> = labelled()
            .filter(|(text, label)| {
                text.trim() == raw || bare.chars().map(|c| c.to_ascii_uppercase()).eq([*label])
            })
            .map(|(_, label)| label)
            .collect();
        meant.dedup();
        match meant[..] {
            [label] => Ok(label.to_string()),
            [] => Err(DatasetError::NotAChoice {
                path: self.path.to_owned(),
                line: self.line,
                answer: raw.to_owned(),
                choices: labelled()
                    .map(|(text, label)| format!("({label}) {text}"))
                    .collect::<Vec<_>>()
                    .join(", "),
            }),
            _ => Err(self.wrong(&format!("the answer `{raw}` could mean several choices"))),
        }
    }

    fn wrong(&self, reason: &str) -> DatasetError {
        DatasetError::Row {
            path: self.path.to_owned(),
            line: self.line,
            reason: reason.to_owned(),
        }
    }
}

fn yes_no(raw: &str) -> Option<String> {
    match raw.to_lowercase().as_str() {
        "yes" | "true" => Some("yes".into()),
        "no" | "false" => Some("no".into()),
        _ => None,
    }
}

/// The number without thousands separators, or nothing where it is not one.
fn number(raw: &str) -> Option<String> {
    let plain = raw.replace(',', "");
    let digits = plain.strip_prefix('-').unwrap_or(&plain);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    (all_digits(whole) && all_digits(fraction)).then_some(plain)
}

fn described(form: AnswerForm) -> &'static str {
    match form {
        AnswerForm::YesNo => "yes or no",
        AnswerForm::Choice => "one of the choices",
        AnswerForm::Number => "a number",
        AnswerForm::Text => "free text",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn rows(text: &str, form: AnswerFormParam) -> Result<Vec<Question>, DatasetError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        questions(file.path(), "row", form, &mut BTreeMap::new())
    }

    fn answers(text: &str) -> Vec<(AnswerForm, String)> {
        let rows = rows(text, AnswerFormParam::Auto).unwrap();
        rows.into_iter().map(|q| (q.form, q.answer)).collect()
    }

    #[test]
    fn forms_are_read_from_the_rows() {
        assert_eq!(
            answers(
                "{\"question\": \"q\", \"answer\": true}\n{\"question\": \"q\", \"answer\": \"No\"}"
            ),
            [
                (AnswerForm::YesNo, "yes".into()),
                (AnswerForm::YesNo, "no".into())
            ]
        );
        assert_eq!(
            answers(
                "{\"question\": \"q\", \"answer\": \"1,234.5\"}\n{\"question\": \"q\", \"answer\": -7}"
            ),
            [
                (AnswerForm::Number, "1234.5".into()),
                (AnswerForm::Number, "-7".into())
            ]
        );
        let choice = |answer| {
            format!(
                "{{\"question\": \"q\", \"choices\": [\"hive\", \"sea\"], \"answer\": \"{answer}\"}}\n"
            )
        };
        assert_eq!(
            answers(&["B", "(b)", "sea"].map(choice).concat()),
            [const { AnswerForm::Choice }; 3].map(|form| (form, "B".to_owned()))
        );
    }

    #[test]
    fn what_is_wrong_names_the_line() {
        let error = |text: &str| rows(text, AnswerFormParam::Auto).unwrap_err().to_string();
        let good = r#"{"id": 1, "question": "q", "answer": "yes"}"#;
        let text = error(&format!("{good}\n\n{{\"question\": \"q\"}}"));
        assert!(text.contains(":3: the row has no answer"), "{text}");
        let text = error(&format!("{good}\n{{\"question\": \"q\", \"answer\": 3}}"));
        assert!(
            text.contains("yes or no in line 1 but a number in line 2"),
            "{text}"
        );
        let text = error(&format!("{good}\n{good}"));
        assert!(
            text.contains("the id `1` is used twice") && text.contains(":2"),
            "{text}"
        );
        let text = error(r#"{"question": "q", "choices": ["x", "y"], "answer": "C"}"#);
        assert!(
            text.contains("not among the choices: (A) x, (B) y"),
            "{text}"
        );
        let text = error(r#"{"question": "q", "choices": ["B", "y"], "answer": "B"}"#);
        assert!(text.contains("could mean several"), "{text}");
        let text = error(r#"{"question": " ", "answer": "C"}"#);
        assert!(text.contains(":1: the row has no question"), "{text}");
    }

    #[test]
    fn a_declared_form_decides() {
        let text = "{\"question\": \"q\", \"answer\": \"42\"}\n{\"question\": \"q\", \"answer\": \"many\"}";
        let found = rows(text, AnswerFormParam::Text).unwrap();
        let forms: Vec<AnswerForm> = found.iter().map(|q| q.form).collect();
        assert_eq!(forms, [AnswerForm::Text, AnswerForm::Text]);
        let error = rows(text, AnswerFormParam::Number).unwrap_err().to_string();
        assert!(
            error.contains(":2: the answer `many` is not a number"),
            "{error}"
        );
    }

    #[test]
    fn one_file_or_two() {
        let with = |path: Option<&str>, train: Option<&str>, test: Option<&str>| {
            files(&DataParams {
                path: path.map(PathBuf::from),
                train_path: train.map(PathBuf::from),
                test_path: test.map(PathBuf::from),
                ..DataParams::default()
            })
        };
        assert_eq!(with(Some("a"), None, None).unwrap().len(), 1);
        assert_eq!(with(None, Some("a"), Some("b")).unwrap().len(), 2);
        for (path, train, test) in [
            (None, None, None),
            (Some("a"), Some("b"), None),
            (None, Some("b"), None),
            (None, None, Some("b")),
        ] {
            assert!(with(path, train, test).is_err());
        }
    }
}
