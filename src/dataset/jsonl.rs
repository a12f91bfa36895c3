//! A dataset of one's own: JSON lines.
//!
//! A row is an object with `question`, `answer` (or `answerKey`), and optionally `id`, `choices` (see `choices`) and
//! `rationale`; other fields are ignored. The training and test rows come from two files, or from one that is
//! split by a fraction. What can be read in two ways is an error that shows both, never a guess.

mod choices;
#[cfg(test)]
mod choices_tests;
pub(super) mod gather;
mod numbers;
mod row;
pub(super) mod source;
#[cfg(test)]
mod tests;

use std::path::Path;

use super::own_files;
use super::{DataParams, DatasetError, DatasetKind, Files, PartPath, Splits, split};
use crate::input::JsonLines;
use crate::text::AnswerForm;
use gather::{Gathered, Part, PartQuestions, agree};

pub(super) const KIND: DatasetKind = DatasetKind {
    name: "jsonl",
    doc: "your own questions, one JSON object a line: question, answer (or answerKey), and optionally id, choices, rationale",
    check: |params| own_files::named(params).map(drop),
    // Numbered as they always were, so that no key changes.
    files: |params, _| Ok(Files::numbered(own_files::named(params)?.all())),
    load,
};

fn load(params: &DataParams, paths: &[PartPath]) -> Result<Splits, DatasetError> {
    if let [train, test] = paths {
        let mut train = questions(&train.path, "train", params)?;
        let mut test = questions(&test.path, "test", params)?;
        let mut parts = [
            Part {
                name: "train",
                field: "train_path",
                questions: &mut train.questions,
            },
            Part {
                name: "test",
                field: "test_path",
                questions: &mut test.questions,
            },
        ];
        let notes = agree(&mut parts, "both files")?;
        return Ok(Splits {
            train: train.questions,
            test: test.questions,
            notes: notes.into_iter().collect(),
            warnings: train.warnings.into_iter().chain(test.warnings).collect(),
            ..Splits::default()
        });
    }
    let all = questions(&paths[0].path, "row", params)?;
    let (train, test) = split::set_apart(all.questions, params.test_fraction, params.split_seed);
    Ok(Splits {
        train,
        test,
        warnings: all.warnings,
        ..Splits::default()
    })
}

/// The file's questions. Those without an id are named after `part`.
fn questions(path: &Path, part: &str, params: &DataParams) -> Result<PartQuestions, DatasetError> {
    let mut gathered = Gathered::new(part, params);
    for (number, line) in JsonLines::open(path)?.rows().enumerate() {
        gathered.add(&line, number)?;
    }
    Ok(gathered.done(path))
}

/// A form of answers, as messages name it.
fn described(form: AnswerForm) -> &'static str {
    match form {
        AnswerForm::YesNo => "yes or no",
        AnswerForm::Choice => "one of the choices",
        AnswerForm::Number => "a number",
        AnswerForm::Text => "free text",
    }
}
