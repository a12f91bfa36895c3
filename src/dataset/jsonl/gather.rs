//! Questions of one split, row by row: their answers have one form, and no id is there twice.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::described;
use super::numbers::Numbers;
use super::row::RowReader;
use super::source::SourceRow;
use crate::dataset::{DataParams, DatasetError};
use crate::input::InputError;
use crate::text::Question;

/// The questions of a split so far.
pub(in crate::dataset) struct Gathered<'p> {
    params: &'p DataParams,
    /// What questions without an id are named after.
    part: &'p str,
    questions: Vec<Question>,
    /// Where each id is first.
    seen: BTreeMap<String, String>,
    /// The row whose answer the others have to be like.
    first: String,
    numbers: Numbers,
    /// The ids of questions with choices that are alike.
    alike: Vec<String>,
}

/// What a split has.
pub(in crate::dataset) struct PartQuestions {
    /// Its questions, in the file's order.
    pub(in crate::dataset) questions: Vec<Question>,
    /// What makes their answers doubtful.
    pub(in crate::dataset) warnings: Vec<String>,
}

impl<'p> Gathered<'p> {
    /// None yet.
    pub(in crate::dataset) fn new(part: &'p str, params: &'p DataParams) -> Self {
        Self {
            params,
            part,
            questions: Vec::new(),
            seen: BTreeMap::new(),
            first: String::new(),
            numbers: Numbers::default(),
            alike: Vec::new(),
        }
    }

    /// The next row's question; `number` is that of the row, from 0.
    ///
    /// # Errors
    /// It is no question, has another form of answer than those before, or the id of one of them.
    pub(in crate::dataset) fn add(
        &mut self,
        row: &dyn SourceRow,
        number: usize,
    ) -> Result<(), InputError> {
        let reader = RowReader {
            line: row,
            params: self.params,
        };
        let name = format!("{}-{number:04}", self.part);
        let question = reader.question(name, &mut self.numbers)?;
        match self.questions.first() {
            Some(other) if other.form != question.form => {
                let what = format!(
                    "the answer is {}, but {} in {}",
                    described(question.form),
                    described(other.form),
                    self.first
                );
                let hint = "set `answer_form` to the form that is meant";
                return Err(row.wrong_at("answer", what).hint(hint));
            }
            Some(_) => {}
            None => self.first = row.named(),
        }
        let here = row.place_of("id");
        if let Some(first) = self.seen.insert(question.id.clone(), here) {
            let what = format!("the id `{}` is used twice, first at {first}", question.id);
            return Err(row.wrong_at("id", what));
        }
        let mut choices: Vec<&String> = question.choices.iter().collect();
        choices.sort_unstable();
        if choices.windows(2).any(|two| two[0] == two[1]) {
            self.alike.push(question.id.clone());
        }
        self.questions.push(question);
        Ok(())
    }

    /// All of them, which are from `path`.
    pub(in crate::dataset) fn done(self, path: &Path) -> PartQuestions {
        let alike = self.alike.first().map(|first| {
            format!(
                "{}: {} questions have two choices with the same text, as `{first}`; their labels tell which is right",
                path.display(),
                self.alike.len()
            )
        });
        PartQuestions {
            questions: self.questions,
            warnings: self
                .numbers
                .warning(path)
                .into_iter()
                .chain(alike)
                .collect(),
        }
    }
}

/// A split, and the parameter that names where it is from.
pub(in crate::dataset) struct Part<'q> {
    /// `train`, `validation` or `test`.
    pub(in crate::dataset) name: &'static str,
    /// The parameter that its mistakes are told at.
    pub(in crate::dataset) field: &'static str,
    /// Its questions.
    pub(in crate::dataset) questions: &'q mut Vec<Question>,
}

/// Checks that the answers of all parts have one form. Where an id is in two of them, as in files that are numbered from 0 each,
/// the split becomes part of all ids; then a note says so, in which they are called `both`.
///
/// # Errors
/// Two parts have answers of different forms.
pub(in crate::dataset) fn agree(
    parts: &mut [Part<'_>],
    both: &str,
) -> Result<Option<String>, DatasetError> {
    let mut first = None;
    for part in &*parts {
        let Some(question) = part.questions.first() else {
            continue;
        };
        let (form, field) = *first.get_or_insert((question.form, part.field));
        if form != question.form {
            return Err(DatasetError::Param {
                field: part.field,
                reason: format!(
                    "its answers are {}, those of `{field}` {}\nhint: set `answer_form` to the form that is meant",
                    described(question.form),
                    described(form)
                ),
            });
        }
    }
    let mut seen = BTreeSet::new();
    let all = parts.iter().flat_map(|part| part.questions.iter());
    let Some(shared) = all.map(|q| &q.id).find(|id| !seen.insert(*id)).cloned() else {
        return Ok(None);
    };
    for part in &mut *parts {
        for question in &mut *part.questions {
            question.id = format!("{}-{}", part.name, question.id);
        }
    }
    Ok(Some(format!(
        "{both} have a question `{shared}`, so the ids are by split: `train-{shared}`, `test-{shared}`"
    )))
}
