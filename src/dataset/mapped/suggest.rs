//! What to say of a table whose layout is not known, or that lacks a column which is named.

use std::path::Path;

use super::kinds::{ColumnKinds, Holds};
use crate::dataset::columns::{AnswerColumn, ChoiceColumns, ChoiceLists, Columns};
use crate::input::{InputError, nearest};

/// Names that columns have elsewhere, the likelier first (ours).
const QUESTIONS: &[&str] = &[
    "question",
    "query",
    "problem",
    "prompt",
    "instruction",
    "input",
    "stem",
    "text",
    "sentence",
];
const ANSWERS: &[&str] = &[
    "answer",
    "answerkey",
    "answer_key",
    "label",
    "target",
    "gold",
    "output",
    "response",
    "completion",
    "solution",
    "result",
    "correct",
];
const CHOICES: &[&str] = &[
    "choices",
    "options",
    "endings",
    "candidates",
    "alternatives",
];
const RATIONALES: &[&str] = &[
    "rationale",
    "explanation",
    "reasoning",
    "cot",
    "solution",
    "steps",
];

/// That no layout fits, with the columns and a mapping to begin with.
pub(super) fn unknown_layout(path: &Path, kinds: &ColumnKinds) -> InputError {
    let what = format!(
        "its layout is not a known one, and `columns` does not say which column holds what; it has {}",
        kinds.listed()
    );
    let (suggested, _) = suggested(kinds);
    InputError::of_file(path, what).hint(format!(
        "say so beside `dataset`, for example: columns = {}",
        suggested.written()
    ))
}

/// That the column which `field` names is not there.
pub(super) fn no_column(path: &Path, field: &str, column: &str, kinds: &ColumnKinds) -> InputError {
    let what = format!(
        "there is no column `{column}`, which `columns.{field}` names; it has {}",
        kinds.listed()
    );
    let error = InputError::of_file(path, what);
    let all: Vec<&str> = kinds.iter().map(|(path, _)| path).collect();
    // Of a nested column its last name is what people write.
    let last = all
        .iter()
        .copied()
        .find(|path| path.rsplit('.').next() == Some(column));
    match last.or_else(|| nearest(column, all.iter().copied())) {
        Some(found) => error.hint(format!("did you mean `{found}`?")),
        None => error.hint("a nested column is named by its path: `choices.text`"),
    }
}

/// Why a column is thought to hold something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Guess {
    /// It is called so elsewhere.
    Named,
    /// Its name has such a name in it.
    Alike,
    /// Nothing is called so, and it is the first that could.
    First,
}

/// A mapping to begin with, and why each of its fields has the column that it has.
pub(super) fn suggested(kinds: &ColumnKinds) -> (Columns, Vec<(&'static str, Guess)>) {
    let mut guesses = Vec::new();
    let mut find = |field, names: &[&str], fits: &dyn Fn(Holds) -> bool, but: &[&str]| {
        let open = || {
            kinds
                .iter()
                .filter(|(path, holds)| fits(*holds) && !but.contains(path))
                .map(|(path, _)| path)
        };
        let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_lowercase();
        let same = names
            .iter()
            .find_map(|name| open().find(|path| last(path) == *name));
        let alike = || {
            names
                .iter()
                .find_map(|name| open().find(|path| last(path).contains(name)))
        };
        let found = match same {
            Some(path) => Some((path, Guess::Named)),
            None => alike().map(|path| (path, Guess::Alike)),
        };
        guesses.extend(found.map(|(_, guess)| (field, guess)));
        found.map(|(path, _)| path.to_owned())
    };
    let text = |holds| holds == Holds::Text;
    let scalar = |holds| {
        matches!(
            holds,
            Holds::Text | Holds::Number | Holds::Truth | Holds::Mixed
        )
    };
    let first = |but: &[&str]| {
        let first = kinds
            .iter()
            .find(|(path, holds)| scalar(*holds) && !but.contains(path));
        first.map_or("...", |(path, _)| path).to_owned()
    };
    let named = find("question", QUESTIONS, &text, &[]);
    let question = named.clone().unwrap_or_else(|| first(&[]));
    let answer = find("answer", ANSWERS, &scalar, &[&question]);
    let answered = answer.is_some();
    let answer = answer.unwrap_or_else(|| first(&[&question]));
    let list = |holds| matches!(holds, Holds::Texts | Holds::List | Holds::Columns);
    let choices = find("choices", CHOICES, &list, &[]).map(|column| {
        let texts = format!("{column}.text");
        let label = format!("{column}.label");
        match kinds.get(&texts) {
            Some(_) => ChoiceLists {
                text: texts,
                label: kinds.get(&label).map(|_| label),
            },
            None => ChoiceLists {
                text: column,
                label: None,
            },
        }
    });
    let rationale = find("rationale", RATIONALES, &text, &[&question, &answer]);
    for (field, found) in [("question", named.is_some()), ("answer", answered)] {
        if !found {
            guesses.push((field, Guess::First));
        }
    }
    let columns = Columns {
        rationale,
        id: None,
        context: None,
        choices: choices.map(ChoiceColumns::Lists),
        answer: AnswerColumn {
            column: answer,
            is: None,
            after: None,
        },
        question,
    };
    (columns, guesses)
}
