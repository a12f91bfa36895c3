//! Downloads that are kept: whether they still are what came.

use std::fs;
use std::path::{Path, PathBuf};

use super::{FetchError, Fetcher, PinnedFile, record, relative_place};
use crate::beneath::{self, Kind};

/// How a record's name ends, after the name of the download that it is of.
const RECORD: &str = ".meta.json";

/// What [`Fetcher::verify_downloads`] found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DownloadsReport {
    /// Sound downloads.
    pub sound: u64,
    /// Those that are not what came, and are set aside as `*.bad`.
    pub damaged: Vec<PathBuf>,
}

impl Fetcher {
    /// Whether the file that `path` leads to is, read anew, what its pin or the record of its download says. One that is
    /// not is set aside, so that it is fetched again. Of a file that was not downloaded nothing is known: it counts as
    /// sound.
    ///
    /// # Errors
    /// The file cannot be read or renamed.
    pub fn is_sound(&self, path: &Path) -> Result<bool, FetchError> {
        let (Ok(path), Ok(downloads)) =
            (fs::canonicalize(path), fs::canonicalize(self.downloads()))
        else {
            return Ok(true);
        };
        if !path.starts_with(downloads) || record::still_as_recorded(&path)? != Some(false) {
            return Ok(true);
        }
        set_aside(&path)?;
        Ok(false)
    }

    /// Sets a download aside that is whole and yet not what it should be, so that it is fetched again. Says where it lies now;
    /// none where the file is not of the downloads, but of the mirror.
    ///
    /// # Errors
    /// It cannot be renamed.
    pub(crate) fn set_aside(&self, file: &PinnedFile) -> Result<Option<PathBuf>, FetchError> {
        let place = relative_place(&file.url)?;
        if self.in_mirror(file, &place)?.is_some() {
            return Ok(None);
        }
        set_aside(&self.downloads().join(place)).map(Some)
    }

    /// Reads every download and compares it with its record; sets aside those that differ, if it is to `mend`.
    ///
    /// # Errors
    /// A folder or a file cannot be read, or renamed.
    pub fn verify_downloads(&self, mend: bool) -> Result<DownloadsReport, FetchError> {
        let mut report = DownloadsReport::default();
        let mut open = vec![self.downloads()];
        while let Some(folder) = open.pop() {
            // What is no folder, or has a link on its way, is not ours to look at.
            let Ok(listed) = beneath::list(&self.options.cache_dir, &folder) else {
                continue;
            };
            for (path, kind) in listed {
                match kind {
                    Kind::Folder => open.push(path),
                    Kind::File if !is_record(&path) => match record::still_as_recorded(&path)? {
                        Some(true) => report.sound += 1,
                        Some(false) => {
                            if mend {
                                set_aside(&path)?;
                            }
                            report.damaged.push(path);
                        }
                        None => {}
                    },
                    _ => {}
                }
            }
        }
        report.damaged.sort();
        Ok(report)
    }

    /// Where downloads are kept.
    pub(super) fn downloads(&self) -> PathBuf {
        self.options.cache_dir.join("downloads")
    }
}

fn is_record(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| name.ends_with(RECORD))
}

fn set_aside(path: &Path) -> Result<PathBuf, FetchError> {
    let bad = record::beside(path, ".bad");
    let folder = path.parent().expect("a download lies in a folder");
    beneath::rename(folder, path, &bad).map_err(|e| FetchError::io(path, e))?;
    Ok(bad)
}
