//! `CommonsenseQA` (Talmor et al. 2019): five choices; the public development set is the test set.

use std::path::Path;

use serde::Deserialize;

use super::{DataParams, DatasetError, DatasetKind, Files, PartPath, Splits};
use crate::fetch::PinnedFile;
use crate::input::{InputError, JsonLine, JsonLines};
use crate::text::{AnswerForm, Question};

pub(super) const KIND: DatasetKind = DatasetKind {
    name: "commonsenseqa",
    doc: "CommonsenseQA: 9,741 training and 1,221 test questions (the public development set), five choices",
    check: |_| Ok(()),
    files: |_, _| Ok(Files::pinned(&FILES)),
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

fn load(_: &DataParams, paths: &[PartPath]) -> Result<Splits, DatasetError> {
    Ok(Splits {
        train: questions(&paths[0].path)?,
        test: questions(&paths[1].path)?,
        ..Splits::default()
    })
}

fn questions(path: &Path) -> Result<Vec<Question>, DatasetError> {
    let lines = JsonLines::open(path)?;
    let questions: Result<_, InputError> = lines.rows().map(|line| question(&line)).collect();
    Ok(questions?)
}

fn question(line: &JsonLine<'_>) -> Result<Question, InputError> {
    let row: Row = line.read()?;
    if row.answer_key.is_empty() {
        return Err(line.wrong_at("answerKey", "the row has no answer"));
    }
    let choices = row.question.choices;
    if !choices
        .iter()
        .zip('A'..='Z')
        .all(|(choice, label)| choice.label.chars().eq([label]))
    {
        let what = "the choices are not labelled A, B, ... in order";
        return Err(line.wrong_at("question", what));
    }
    if !choices.iter().any(|choice| choice.label == row.answer_key) {
        let listed: Vec<String> = choices
            .iter()
            .map(|c| format!("({}) {}", c.label, c.text))
            .collect();
        let what = format!(
            "the answer `{}` is not among the choices: {}",
            row.answer_key,
            listed.join(", ")
        );
        return Err(line.wrong_at("answerKey", what));
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
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let read = |key: &str| {
            let row = serde_json::json!({
                "id": "x", "answerKey": key,
                "question": {"stem": "s", "choices": [{"label": "A", "text": "bank"}]}
            });
            std::fs::write(&path, format!("\n{row}\n")).unwrap();
            let told =
                |error: DatasetError| error.to_string().replace(&path.display().to_string(), "f");
            questions(&path).map_err(told)
        };
        assert_eq!(read("A").unwrap()[0].answer, "A");
        assert_eq!(
            read("B").unwrap_err(),
            "f:2:23: the answer `B` is not among the choices: (A) bank"
        );
        assert_eq!(read("").unwrap_err(), "f:2:23: the row has no answer");
    }
}
