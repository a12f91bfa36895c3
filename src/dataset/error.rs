//! Why a dataset cannot be loaded.

use std::io;
use std::path::PathBuf;

use crate::disk::advice;
use crate::fetch::FetchError;
use crate::memory::Shortage;

/// Why a dataset cannot be loaded. Lines and columns count from 1.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// A file cannot be read.
    #[error("{}: {source}{}", path.display(), advice(source))]
    Read {
        /// The file.
        path: PathBuf,
        /// What failed.
        source: io::Error,
    },
    /// What is to be generated does not fit the memory.
    #[error(transparent)]
    Memory(#[from] Shortage),
    /// A file has no row.
    #[error("{}: the file has no row", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A file is not UTF-8 text.
    #[error(
        "{}:{line}: not UTF-8 at byte {byte} of the line\nhint: convert the file, for example with iconv -t UTF-8", path.display()
    )]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// The first offending byte of the line, from 0.
        byte: usize,
    },
    /// A line or file is not JSON of the expected shape.
    #[error("{}:{line}:{column}: {reason}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// The column.
        column: usize,
        /// What the parser says.
        reason: String,
    },
    /// A row has no answer.
    #[error(
        "{}:{line}: the row has no answer\nhint: every row needs `question` and `answer`", path.display()
    )]
    NoAnswer {
        /// The file.
        path: PathBuf,
        /// The line, or the row counted from 1 in a file that is one JSON value.
        line: usize,
    },
    /// A row is otherwise not a question.
    #[error("{}:{line}: {reason}", path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// The line, or the row counted from 1 in a file that is one JSON value.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// The answer is none of the choices.
    #[error(
        "{}:{line}: the answer `{answer}` is not among the choices: {choices}\nhint: give a label (A, B, ...) or the text of a choice", path.display()
    )]
    NotAChoice {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// The answer found.
        answer: String,
        /// The choices, with labels.
        choices: String,
    },
    /// Two rows have one id.
    #[error("the id `{id}` is used twice: {first} and {second}")]
    DuplicateId {
        /// The id.
        id: String,
        /// Where it is first, as `file:line`.
        first: String,
        /// Where it is again.
        second: String,
    },
    /// The rows' answers are of different forms.
    #[error(
        "{}: the answer is {first} in line {first_line} but {second} in line {second_line}\nhint: set `answer_form` to the form that is meant", path.display()
    )]
    MixedForms {
        /// The file.
        path: PathBuf,
        /// The first row's form.
        first: &'static str,
        /// The first row's line.
        first_line: usize,
        /// The other form.
        second: &'static str,
        /// The first line that has it.
        second_line: usize,
    },
    /// A parameter does not go with the others.
    #[error("{field}: {reason}")]
    Param {
        /// The parameter.
        field: &'static str,
        /// What is wrong, with its hint.
        reason: String,
    },
    /// An outside file could not be had.
    #[error(transparent)]
    Fetch(#[from] FetchError),
}
