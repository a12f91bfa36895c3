//! A dataset of one's own: JSON lines.
//!
//! A row is an object with `question`, `answer` (or `answerKey`), and optionally `id`, `choices` (see `choices`) and
//! `rationale`; other fields are ignored. The training and test rows come from two files, or from one that is
//! split by a fraction. What can be read in two ways is an error that shows both, never a guess.

mod choices;
#[cfg(test)]
mod choices_tests;
mod numbers;
mod row;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::{DataFile, DataParams, DatasetError, DatasetKind, Splits, split};
use crate::input::JsonLines;
use crate::text::{AnswerForm, Question};
use numbers::Numbers;
use row::RowReader;

pub(super) const KIND: DatasetKind = DatasetKind {
    name: "jsonl",
    doc: "your own questions, one JSON object a line: question, answer (or answerKey), and optionally id, choices, rationale",
    files,
    load,
};

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
    if let [train_path, test_path] = paths {
        let mut train = questions(train_path, "train", params)?;
        let mut test = questions(test_path, "test", params)?;
        let form = |part: &FileQuestions| part.questions.first().map(|q| described(q.form));
        if let (Some(of_train), Some(of_test)) = (form(&train), form(&test))
            && of_train != of_test
        {
            return Err(DatasetError::Param {
                field: "test_path",
                reason: format!(
                    "its answers are {of_test}, those of `train_path` {of_train}\nhint: set `answer_form` to the form that is meant"
                ),
            });
        }
        let notes = by_split(&mut train.questions, &mut test.questions);
        return Ok(Splits {
            train: train.questions,
            test: test.questions,
            notes: notes.into_iter().collect(),
            warnings: train.warning.into_iter().chain(test.warning).collect(),
            ..Splits::default()
        });
    }
    let all = questions(&paths[0], "row", params)?;
    let (train, test) = split::set_apart(all.questions, params.test_fraction, params.split_seed);
    Ok(Splits {
        train,
        test,
        warnings: all.warning.into_iter().collect(),
        ..Splits::default()
    })
}

/// Where both files use an id, as files that are numbered from 0 each do, the split becomes part of all ids.
fn by_split(train: &mut [Question], test: &mut [Question]) -> Option<String> {
    let ids: BTreeSet<&str> = train.iter().map(|question| question.id.as_str()).collect();
    let shared = test.iter().find(|q| ids.contains(q.id.as_str()))?;
    let note = format!(
        "both files have a question `{0}`, so the ids are by split: `train-{0}`, `test-{0}`",
        shared.id
    );
    for (part, questions) in [("train", train), ("test", test)] {
        for question in questions {
            question.id = format!("{part}-{}", question.id);
        }
    }
    Some(note)
}

/// What a file has.
struct FileQuestions {
    questions: Vec<Question>,
    warning: Option<String>,
}

/// The file's questions. Those without an id are named after `part`.
fn questions(path: &Path, part: &str, params: &DataParams) -> Result<FileQuestions, DatasetError> {
    let mut questions: Vec<Question> = Vec::new();
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    let mut first = String::new();
    let mut numbers = Numbers::default();
    let lines = JsonLines::open(path)?;
    for line in lines.rows() {
        let reader = RowReader {
            line: &line,
            params,
        };
        let name = format!("{part}-{:04}", questions.len());
        let question = reader.question(name, &mut numbers)?;
        match questions.first() {
            Some(other) if other.form != question.form => {
                let what = format!(
                    "the answer is {}, but {} in line {first}",
                    described(question.form),
                    described(other.form)
                );
                let hint = "set `answer_form` to the form that is meant";
                return Err(line.wrong_at("answer", what).hint(hint).into());
            }
            Some(_) => {}
            None => first = line.number.to_string(),
        }
        let here = line.place_of("id");
        if let Some(first) = seen.insert(question.id.clone(), here) {
            let what = format!("the id `{}` is used twice, first at {first}", question.id);
            return Err(line.wrong_at("id", what).into());
        }
        questions.push(question);
    }
    Ok(FileQuestions {
        questions,
        warning: numbers.warning(path),
    })
}

fn described(form: AnswerForm) -> &'static str {
    match form {
        AnswerForm::YesNo => "yes or no",
        AnswerForm::Choice => "one of the choices",
        AnswerForm::Number => "a number",
        AnswerForm::Text => "free text",
    }
}
