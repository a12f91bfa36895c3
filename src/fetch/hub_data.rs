//! A data set on the Hub: the addresses of what it says of itself, and of its files.

use std::fmt::Write as _;

use super::hub_names::is_hub_name;
use super::{FetchError, HUB, PinnedFile};

/// A data set on the Hub.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct HubData<'a> {
    /// `owner/name`, for example `openai/gsm8k`.
    pub id: &'a str,
    /// A branch, tag or commit.
    pub revision: &'a str,
}

impl HubData<'_> {
    /// What the Hub says of the data set at the revision: its commit, its files, its card's header.
    ///
    /// # Errors
    /// The id or the revision is none.
    pub(crate) fn listing(&self) -> Result<PinnedFile, FetchError> {
        let Self { id, revision } = self;
        if !is_hub_name(id, revision) {
            return Err(FetchError::BadDataId {
                id: format!("{id} at {revision}"),
            });
        }
        let revision = revision.replace('/', "%2F"); // `refs/convert/parquet`
        Ok(PinnedFile::at(format!(
            "{HUB}/api/datasets/{id}/revision/{revision}?blobs=true"
        )))
    }

    /// One of its files at a commit, with its SHA-256 where that is known.
    ///
    /// # Errors
    /// The name is not that of a file.
    pub(crate) fn file(
        &self,
        commit: &str,
        name: &str,
        sha256: Option<&str>,
    ) -> Result<PinnedFile, FetchError> {
        let url = format!(
            "{HUB}/datasets/{}/resolve/{commit}/{}",
            self.id,
            encoded(name)
        );
        super::relative_place(&url)?;
        Ok(PinnedFile {
            sha256: sha256.map(|sha256| sha256.to_owned().into()),
            ..PinnedFile::at(url)
        })
    }
}

/// A path as addresses write it.
fn encoded(path: &str) -> String {
    let mut text = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'/' | b'-' | b'_' | b'.' | b'~' => text.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => text.push(char::from(byte)),
            _ => {
                let _ = write!(text, "%{byte:02X}");
            }
        }
    }
    text
}
