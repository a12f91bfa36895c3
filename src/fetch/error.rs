//! Why an outside file could not be had.

use std::io;
use std::path::{Path, PathBuf};

use super::http::BadRoots;
use crate::disk::advice;

/// Why an outside file could not be had.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The network may not be used and the file is not on disk.
    #[error(
        "{url} is not on this machine, and the network may not be used (offline){}\nhint: {}",
        looked_at(mirror_path.as_deref()),
        how_to_provide(place, mirror_path.is_some())
    )]
    Offline {
        /// The file's address.
        url: String,
        /// Where the mirror would have it.
        mirror_path: Option<PathBuf>,
        /// Its path below a mirror directory.
        place: PathBuf,
    },
    /// The server has no such file.
    #[error(
        "{url} does not exist (404)\nhint: check the name and the revision; what is private is also answered with 404 unless HF_TOKEN is set"
    )]
    NotFound {
        /// The file's address.
        url: String,
    },
    /// The server wants to know who asks.
    #[error("{url} may not be read ({status})\nhint: {}", gated_hint(*token_set))]
    Gated {
        /// The file's address.
        url: String,
        /// 401 or 403.
        status: u16,
        /// Whether a token was sent.
        token_set: bool,
    },
    /// The server answered with something else than the file.
    #[error("{url} was answered with status {status}\nhint: try again later")]
    Status {
        /// The file's address.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// The bytes are not the expected ones.
    #[error(
        "{url} has other bytes than expected: sha256 {found}, expected {expected}; they are in {}\nhint: look at the file; a proxy's error page or an outdated mirror does this. Remove it to fetch it again", kept.display()
    )]
    Checksum {
        /// The file's address.
        url: String,
        /// The pinned SHA-256.
        expected: String,
        /// What the bytes have.
        found: String,
        /// Where the bytes are.
        kept: PathBuf,
    },
    /// No connection.
    #[error(
        "cannot reach {host} for {url}: {reason}\nhint: check the network and HTTPS_PROXY, or give the file by --mirror DIR"
    )]
    Connect {
        /// The host that was asked.
        host: String,
        /// The file's address.
        url: String,
        /// What failed.
        reason: String,
    },
    /// The file of trusted roots cannot be used.
    #[error(
        "the certificates in `{}`, which {variable} names, cannot be used: {reason}\nhint: name a file of PEM certificates, or unset it to trust Mozilla's", path.display()
    )]
    Roots {
        /// The environment variable that names it.
        variable: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The connection broke while the file came.
    #[error(
        "{url} broke off after {received} of {} bytes: {reason}\nhint: run again; what came is kept and the download goes on from there", expected.map_or_else(|| "?".to_owned(), |n| n.to_string())
    )]
    Incomplete {
        /// The file's address.
        url: String,
        /// Bytes that came.
        received: u64,
        /// Bytes that the server announced.
        expected: Option<u64>,
        /// What failed.
        reason: String,
    },
    /// Not an address of a file.
    #[error(
        "`{url}` is not the address of a file: expected https://host/path, without user name, `.` or `..`"
    )]
    BadUrl {
        /// What was given.
        url: String,
    },
    /// Not the name of a model on the Hub.
    #[error(
        "`{id}` is not a model: expected owner/name as on the Hub, for example openai-community/gpt2, or a folder\nhint: write a folder with ./ in front"
    )]
    BadModelId {
        /// What was given.
        id: String,
    },
    /// Not the name of a data set on the Hub.
    #[error(
        "`{id}` is not a data set: expected owner/name as on the Hub, for example openai/gsm8k"
    )]
    BadDataId {
        /// What was given.
        id: String,
    },
    /// A model's list of weight files cannot be read.
    #[error("{}: {reason}", path.display())]
    BadIndex {
        /// The index file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Somebody asked to stop.
    #[error("{url}: stopped after {received} bytes")]
    Cancelled {
        /// The file's address.
        url: String,
        /// Bytes that came.
        received: u64,
    },
    /// A file on this machine cannot be read or written.
    #[error("{}: {source}{}", path.display(), advice(source))]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What failed.
        source: io::Error,
    },
}

impl FetchError {
    pub(super) fn roots(bad: &BadRoots) -> Self {
        Self::Roots {
            variable: bad.variable,
            path: bad.path.clone(),
            reason: bad.reason.clone(),
        }
    }

    pub(super) fn io(path: &Path, source: io::Error) -> Self {
        Self::Io {
            path: path.to_owned(),
            source,
        }
    }

    /// Whether asking again would bring the same: the name is wrong, or the file is not for who asks.
    pub fn is_final(&self) -> bool {
        matches!(
            self,
            Self::NotFound { .. }
                | Self::Gated { .. }
                | Self::BadUrl { .. }
                | Self::BadModelId { .. }
                | Self::BadDataId { .. }
                | Self::Roots { .. }
        )
    }

    /// Whether the file is known not to be there, rather than out of reach.
    pub(super) fn is_absence(&self) -> bool {
        matches!(self, Self::NotFound { .. } | Self::Offline { .. })
    }
}

fn looked_at(mirror_path: Option<&Path>) -> String {
    mirror_path.map_or_else(String::new, |path| {
        format!("; the mirror has no {}", path.display())
    })
}

fn how_to_provide(place: &Path, mirror_given: bool) -> String {
    if mirror_given {
        "put the file there, or run without --offline".to_owned()
    } else {
        format!(
            "put the file at DIR/{} and give --mirror DIR (or SERT_MIRROR), or run without --offline",
            place.display()
        )
    }
}

fn gated_hint(token_set: bool) -> &'static str {
    if token_set {
        "HF_TOKEN is set but does not open it: accept its terms on its page, or use another token"
    } else {
        "for a gated model or data set, accept its terms on its page and set HF_TOKEN"
    }
}
