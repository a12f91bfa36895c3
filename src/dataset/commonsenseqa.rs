//! `CommonsenseQA` (Talmor et al. 2019): five choices; the public development set is the test set.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{DataFile, DataParams, DatasetError, DatasetKind, Splits, read_json_lines};
use crate::fetch::PinnedFile;
use crate::text::{AnswerForm, Question};

pub(super) const KIND: DatasetKind = DatasetKind {
    name: "commonsenseqa",
    doc: "CommonsenseQA: 9,741 training and 1,221 test questions (the public development set), five choices",
    files: |_| Ok(FILES.iter().cloned().map(DataFile::Pinned).collect()),
    load,
};

const FILES: [PinnedFile; 2] = [
    PinnedFile::known(
        "https://raw.githubusercontent.com/kojima-takeshi188/zero_shot_cot/5ef330fcdeec0cd26aee27943504f91f8ec1c33c/dataset/CommonsenseQA/train_rand_split.jsonl",
        "58ffa3c8472410e24b8c43f423d89c8a003d8284698a6ed7874355dedd09a2fb",
        3_785_890,
    ),
    PinnedFile::known(
        "https://raw.githubusercontent.com/kojima-takeshi188/zero_shot_cot/5ef330fcdeec0cd26aee27943504f91f8ec1c33c/dataset/CommonsenseQA/dev_rand_split.jsonl",
        "3210497fdaae614ac085d9eb873dd7f4d49b6f965a93adadc803e1229fd8a02a",
        471_653,
    ),
];

#[derive(Deserialize)]
struct Row {
    id: String,
    #[serde(rename = "answerKey", default)]
    answer_key: String,
    question: Stem,
}

#[derive(Deserialize)]
struct Stem {
    stem: String,
    choices: Vec<Choice>,
}

#[derive(Deserialize)]
struct Choice {
    label: String,
    text: String,
}

fn load(_: &DataParams, paths: &[PathBuf]) -> Result<Splits, DatasetError> {
    Ok(Splits {
        train: questions(&paths[0])?,
        test: questions(&paths[1])?,
        ..Splits::default()
    })
}

fn questions(path: &Path) -> Result<Vec<Question>, DatasetError> {
    read_json_lines::<Row>(path)?
        .into_iter()
        .map(|(line, row)| question(path, line, row))
        .collect()
}

fn question(path: &Path, line: usize, row: Row) -> Result<Question, DatasetError> {
    let place = || (path.to_owned(), line);
    if row.answer_key.is_empty() {
        let (path, line) = place();
        return Err(DatasetError::NoAnswer { path, line });
    }
    let choices = row.question.choices;
    if !choices
        .iter()
        .zip('A'..='Z')
        .all(|(choice, label)| choice.label.chars().eq([label]))
    {
        let (path, line) = place();
        let reason = "the choices are not labelled A, B, ... in order".into();
        return Err(DatasetError::Row { path, line, reason });
    }
    if !choices.iter().any(|choice| choice.label == row.answer_key) {
        let (path, line) = place();
        let listed: Vec<String> = choices
            .iter()
            .map(|c| format!("({}) {}", c.label, c.text))
            .collect();
        return Err(DatasetError::NotAChoice {
            path,
            line,
            answer: row.answer_key,
            choices: listed.join(", "),
        });
    }
    Ok(Question {
        id: row.id,
        question: row.question.stem.trim().to_owned(),
        choices: choices.into_iter().map(|choice| choice.text).collect(),
        form: AnswerForm::Choice,
        answer: row.answer_key,
        rationale: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::reference;

    #[test]
    fn it_is_the_reference_split() {
        let Some((splits, reference)) = reference::both("commonsenseqa") else {
            return;
        };
        assert_eq!((splits.train.len(), splits.test.len()), (9741, 1221));
        reference::assert_same(&splits, &reference);
    }

    #[test]
    fn an_answer_must_be_a_choice() {
        let row = |key: &str| -> Row {
            serde_json::from_value(serde_json::json!({
                "id": "x", "answerKey": key,
                "question": {"stem": "s", "choices": [{"label": "A", "text": "bank"}]}
            }))
            .unwrap()
        };
        assert!(question(Path::new("f"), 3, row("A")).is_ok());
        let error = question(Path::new("f"), 3, row("B"))
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("f:3: the answer `B` is not among the choices: (A) bank"),
            "{error}"
        );
        let error = question(Path::new("f"), 3, row("")).unwrap_err();
        assert!(
            matches!(error, DatasetError::NoAnswer { line: 3, .. }),
            "{error}"
        );
    }
}
