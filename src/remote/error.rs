//! Why a remote did not do what was asked.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::disk::advice;

/// Why a remote did not do what was asked. No message has a key, a token or a signature in it.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// It answered, and will not.
    #[error("{name} was refused: status {status}{}{}", said(code, message), hint(code, *status, *signed))]
    Refused {
        /// `s3://bucket/name`.
        name: String,
        /// The HTTP status.
        status: u16,
        /// The server's word for it, for example `AccessDenied`.
        code: String,
        /// The server's sentence.
        message: String,
        /// Whether there were credentials to sign with.
        signed: bool,
    },
    /// It was tried for long enough.
    #[error("{name}: {reason}, in each of {tries} tries")]
    Unreachable {
        /// `s3://bucket/name`.
        name: String,
        /// What happened the last time.
        reason: String,
        /// How often it was tried.
        tries: u32,
    },
    /// The settings for it cannot be used.
    #[error("{0}")]
    Settings(String),
    /// The file system refused.
    #[error("cannot {action} {}: {source}{}", path.display(), advice(source))]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// What came could not be written here.
    #[error("{0}")]
    Sink(io::Error),
    /// Somebody asked to stop.
    #[error("stopped")]
    Cancelled,
}

fn said(code: &str, message: &str) -> String {
    match (code, message) {
        ("", "") => String::new(),
        (code, "") => format!(" ({code})"),
        ("", message) => format!(" ({message})"),
        (code, message) => format!(" ({code}: {message})"),
    }
}

fn hint(code: &str, status: u16, signed: bool) -> &'static str {
    match (code, status) {
        ("NoSuchBucket", _) => {
            "\nhint: check the bucket's name, and AWS_ENDPOINT_URL where the server is not Amazon's"
        }
        (
            "PermanentRedirect"
            | "AuthorizationHeaderMalformed"
            | "IllegalLocationConstraintException",
            _,
        )
        | (_, 301) => {
            "\nhint: the bucket is in another region: set AWS_REGION, or `region` in ~/.aws/config"
        }
        ("InvalidAccessKeyId" | "SignatureDoesNotMatch" | "ExpiredToken" | "InvalidToken", _) => {
            "\nhint: the credentials are not, or no longer, good for this server; `aws sts get-caller-identity` tells for Amazon's"
        }
        (_, 401 | 403) if !signed => {
            "\nhint: no credentials were found, so the request was not signed: set AWS_ACCESS_KEY_ID and \
             AWS_SECRET_ACCESS_KEY, or AWS_PROFILE (`aws configure export-credentials --format env` gives them)"
        }
        (_, 401 | 403) => {
            "\nhint: s3:GetObject and s3:ListBucket are needed to pull, s3:PutObject to push, s3:DeleteObject to collect"
        }
        _ => "",
    }
}

impl RemoteError {
    pub(super) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }

    /// Whether whoever asks may not do this, whatever is tried.
    pub fn is_denied(&self) -> bool {
        match self {
            Self::Refused { status, .. } => matches!(status, 401 | 403),
            Self::Io { source, .. } => matches!(
                source.kind(),
                ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem
            ),
            _ => false,
        }
    }

    /// Whether the remote as a whole cannot be used, so that asking for something else is in vain.
    pub fn is_of_all(&self) -> bool {
        match self {
            Self::Refused { code, status, .. } => {
                // A single name is denied so too, where names may not be listed.
                !(code == "AccessDenied" || code.is_empty() && *status == 403)
            }
            Self::Unreachable { .. } | Self::Settings(_) => true,
            Self::Io { .. } | Self::Sink(_) | Self::Cancelled => false,
        }
    }
}
