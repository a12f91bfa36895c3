//! What can be wrong with ratings.

use std::fmt::Write as _;
use std::path::PathBuf;

use crate::artifact::{ArtifactError, ArtifactKind};
use crate::input::InputError;

/// Errors in sheets that are told one by one; the rest is counted.
const TOLD: usize = 25;

/// Something wrong in a sheet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct SheetError {
    /// The sheet.
    pub file: PathBuf,
    /// Its line, from 1; none where it is about the sheet as a whole.
    pub line: Option<u64>,
    /// What was found and what was expected.
    pub what: String,
}

impl From<InputError> for SheetError {
    /// A sheet that is no text, or cannot be read.
    fn from(error: InputError) -> Self {
        let column = error.at.map(|(_, column)| format!("column {column}: "));
        let hint = error.hint.map(|hint| format!("; {hint}"));
        Self {
            file: error.path,
            line: error.at.map(|(line, _)| line as u64),
            what: column.unwrap_or_default() + &error.what + &hint.unwrap_or_default(),
        }
    }
}

/// Paths cannot be rated, or sheets not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RatingError {
    /// The artifact has no paths.
    #[error("{found} cannot be rated, expected paths or verdicts on paths")]
    NoPaths {
        /// What it has.
        found: ArtifactKind,
    },
    /// A path's question is not among those given.
    #[error(
        "question `{question_id}` of a path is not among the {questions} questions of its stage"
    )]
    NoQuestion {
        /// The question.
        question_id: String,
        /// How many questions there are.
        questions: usize,
    },
    /// Sheets have errors; these are all of them.
    #[error("{}", told(.0))]
    Sheets(Vec<SheetError>),
    /// The sheet cannot be written.
    #[error(transparent)]
    Csv(#[from] csv::Error),
    /// The artifact cannot be read.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
}

fn told(errors: &[SheetError]) -> String {
    let some = if errors.len() == 1 { "fault" } else { "faults" };
    let mut text = format!("{} {some} in rating sheets", errors.len());
    for error in errors.iter().take(TOLD) {
        let line = error.line.map(|line| format!(":{line}"));
        let _ = write!(
            text,
            "\n  {}{}: {}",
            error.file.display(),
            line.unwrap_or_default(),
            error.what
        );
    }
    if errors.len() > TOLD {
        let _ = write!(text, "\n  and {} more", errors.len() - TOLD);
    }
    text + "\nhint: a sheet is read with the stage, --set, --limit and --seed that it was written with; \
            --partial takes blank ratings as not given yet"
}
