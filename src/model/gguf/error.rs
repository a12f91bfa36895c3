//! What can be wrong with a GGUF file.

use std::io;
use std::path::{Path, PathBuf};

use crate::disk::advice;

/// A GGUF file that cannot be read, believed or used.
#[derive(Debug, thiserror::Error)]
pub enum GgufError {
    /// The operating system refused.
    #[error("cannot read `{}`: {source}{}", path.display(), advice(source))]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Something in it is damaged, or not done here.
    #[error("`{}`: {fault}", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// What, and what to do.
        fault: Fault,
    },
}

impl GgufError {
    /// Reading `path` failed.
    pub(super) fn reading(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}

/// What is wrong in a file, where, and what was expected.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{place}: {found}, expected {expected}\nhint: {hint}")]
pub struct Fault {
    /// Where: `header`, a key of the metadata, a tensor.
    pub place: String,
    /// What is there.
    pub found: String,
    /// What would do.
    pub expected: String,
    /// What to do.
    pub hint: String,
}

impl Fault {
    /// What no writer of GGUF makes.
    pub(super) fn damaged(
        place: impl Into<String>,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        let hint = "the file may have been cut off or damaged; fetch or write it again";
        Self::new(place, found, expected, hint)
    }

    /// What is well made but not done here, or damaged in a way that has a hint of its own.
    pub(super) fn new(
        place: impl Into<String>,
        found: impl Into<String>,
        expected: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self {
            place: place.into(),
            found: found.into(),
            expected: expected.into(),
            hint: hint.into(),
        }
    }

    /// The same of a file.
    pub(super) fn at(self, path: &Path) -> GgufError {
        GgufError::Wrong {
            path: path.to_owned(),
            fault: self,
        }
    }
}
