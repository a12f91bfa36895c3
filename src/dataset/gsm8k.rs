//! `GSM8K` (Cobbe et al. 2021): grade-school problems whose answer is a number.

use std::path::Path;

use serde::Deserialize;

use super::{DataParams, DatasetError, DatasetKind, Files, PartPath, Splits, read_json_lines};
use crate::fetch::PinnedFile;
use crate::text::{AnswerForm, Question, gold};

pub(super) const KIND: DatasetKind = DatasetKind {
    name: "gsm8k",
    doc: "GSM8K: 7,473 training and 1,319 test problems with numeric answers and worked solutions",
    check: |_| Ok(()),
    files: |_, _| Ok(Files::pinned(&FILES)),
    load,
};

const FILES: [PinnedFile; 2] = [
    PinnedFile::known(
        "https://raw.githubusercontent.com/openai/grade-school-math/3101c7d5072418e28b9008a6636bde82a006892c/grade_school_math/data/train.jsonl",
        "17f347dc51477c50d4efb83959dbb7c56297aba886e5544ee2aaed3024813465",
        4_166_206,
    ),
    PinnedFile::known(
        "https://raw.githubusercontent.com/openai/grade-school-math/3101c7d5072418e28b9008a6636bde82a006892c/grade_school_math/data/test.jsonl",
        "3730d312f6e3440559ace48831e51066acaca737f6eabec99bccb9e4b3c39d14",
        749_738,
    ),
];

#[derive(Deserialize)]
struct Row {
    question: String,
    answer: String,
}

fn load(_: &DataParams, paths: &[PartPath]) -> Result<Splits, DatasetError> {
    Ok(Splits {
        train: questions(&paths[0].path, "train")?,
        test: questions(&paths[1].path, "test")?,
        ..Splits::default()
    })
}

fn questions(path: &Path, part: &str) -> Result<Vec<Question>, DatasetError> {
    read_json_lines::<Row>(path)?
        .into_iter()
        .enumerate()
        .map(|(i, (line, row))| question(path, line, format!("gsm8k-{part}-{i:04}"), &row))
        .collect()
}

/// The solution comes first, with its `<<6*7=42>>` annotations; the answer follows `####`.
fn question(path: &Path, line: usize, id: String, row: &Row) -> Result<Question, DatasetError> {
    let (solution, answer) = row
        .answer
        .rsplit_once("####")
        .map(|(solution, answer)| (solution.trim_end(), answer.trim()))
        .filter(|(_, answer)| !answer.is_empty())
        .ok_or_else(|| DatasetError::NoAnswer {
            path: path.to_owned(),
            line,
        })?;
    let answer = gold(AnswerForm::Number, answer).ok_or_else(|| DatasetError::Row {
        path: path.to_owned(),
        line,
        reason: format!("the answer `{answer}` is not a number"),
    })?;
    Ok(Question {
        id,
        question: row.question.clone(),
        choices: Vec::new(),
        form: AnswerForm::Number,
        answer,
        rationale: Some(solution.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::reference;

    #[test]
    fn it_is_the_reference_split() {
        let Some((splits, reference)) = reference::both("gsm8k") else {
            return;
        };
        assert_eq!((splits.train.len(), splits.test.len()), (7473, 1319));
        reference::assert_same(&splits, &reference);
    }

    #[test]
    fn the_answer_follows_the_mark() {
        let row = |answer: &str| Row {
            question: "q".into(),
            answer: answer.into(),
        };
        let found = question(Path::new("f"), 1, "x".into(), &row("a <<1=1>>\n#### 1,234")).unwrap();
        assert_eq!(
            (found.answer.as_str(), found.rationale.as_deref()),
            ("1234", Some("a <<1=1>>"))
        );
        assert!(question(Path::new("f"), 1, "x".into(), &row("1234")).is_err());
        assert!(question(Path::new("f"), 1, "x".into(), &row("1234 ####")).is_err());
        let error = question(Path::new("f"), 1, "x".into(), &row("a\n#### 10-12")).unwrap_err();
        assert!(
            error.to_string().contains("`10-12` is not a number"),
            "{error}"
        );
    }
}
