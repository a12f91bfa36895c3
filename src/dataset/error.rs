//! Why a dataset cannot be loaded.

use std::path::PathBuf;

use crate::fetch::FetchError;
use crate::input::InputError;
use crate::memory::Shortage;

/// Why a dataset cannot be loaded. Lines and columns count from 1.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// A file cannot be read, or is not what it should be.
    #[error(transparent)]
    Input(#[from] InputError),
    /// What is to be generated does not fit the memory.
    #[error(transparent)]
    Memory(#[from] Shortage),
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
