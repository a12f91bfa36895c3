//! Which files of the user's a data set is made of.

use std::path::PathBuf;

use super::{DataFile, DataParams, DatasetError};

/// The files of a data set of one's own.
pub(super) enum OwnFiles {
    /// One with all rows, to be split.
    One(PathBuf),
    /// One for each split that is named: `train`, `validation`, `test`.
    BySplit(Vec<(&'static str, PathBuf)>),
}

impl OwnFiles {
    /// All of them, training first.
    pub(super) fn all(self) -> Vec<DataFile> {
        let paths = match self {
            Self::One(path) => vec![path],
            Self::BySplit(paths) => paths.into_iter().map(|(_, path)| path).collect(),
        };
        paths.into_iter().map(DataFile::Local).collect()
    }
}

/// The files that the parameters name.
///
/// # Errors
/// One is missing, or they do not go together.
pub(super) fn named(params: &DataParams) -> Result<OwnFiles, DatasetError> {
    let wrong = |field, reason: String| Err(DatasetError::Param { field, reason });
    let validation = params.validation_path.as_ref();
    match (&params.path, &params.train_path, &params.test_path) {
        (Some(path), None, None) if validation.is_none() => Ok(OwnFiles::One(path.clone())),
        (None, Some(train), Some(test)) => {
            let mut paths = vec![("train", train.clone())];
            paths.extend(validation.map(|path| ("validation", path.clone())));
            paths.push(("test", test.clone()));
            Ok(OwnFiles::BySplit(paths))
        }
        (None, Some(_), None) => wrong("test_path", "missing beside `train_path`".to_owned()),
        (None, None, Some(_)) => wrong("train_path", "missing beside `test_path`".to_owned()),
        (None, None, None) => wrong(
            "path",
            format!(
                "dataset `{}` needs a file\nhint: give `path`, or `train_path` and `test_path`",
                params.dataset
            ),
        ),
        (Some(_), None, None) => wrong("path", "given together with `validation_path`".to_owned()),
        (Some(_), ..) => wrong(
            "path",
            "given together with `train_path` or `test_path`".to_owned(),
        ),
    }
}
