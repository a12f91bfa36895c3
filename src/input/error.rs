//! What is wrong with a file that somebody brought.

use std::fmt;
use std::path::{Path, PathBuf};

/// What is wrong with a file that somebody brought, and where.
#[derive(Debug)]
pub struct InputError {
    /// The file.
    pub path: PathBuf,
    /// Line and column, both from 1, the column in characters; none where it is about the file as a whole.
    pub at: Option<(usize, usize)>,
    /// What was found, and what was expected.
    pub what: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl InputError {
    /// About the file as a whole.
    pub fn of_file(path: &Path, what: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            at: None,
            what: what.into(),
            hint: None,
        }
    }

    /// About a place in it.
    pub fn at(path: &Path, line: usize, column: usize, what: impl Into<String>) -> Self {
        Self {
            at: Some((line, column)),
            ..Self::of_file(path, what)
        }
    }

    /// With advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some((line, column)) = self.at {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.what)?;
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for InputError {}
