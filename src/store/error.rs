//! What can go wrong with a store, in words that a person can act on.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::beneath::Foreign;
use crate::disk::advice;
use crate::key::Digest;
use crate::remote::RemoteError;

/// Why the store could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The file system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, for example `write`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The disk or the quota is used up.
    #[error(
        "no space left on the disk: cannot {action} {}\nhint: free some space, or put the store on another disk, and run \
         again; what was stored before is intact",
        path.display()
    )]
    DiskFull {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
    },
    /// A file would be longer than files may be.
    #[error("cannot {action} {}: {source}{}", path.display(), advice(source))]
    TooLarge {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// No permission, or a read-only file system.
    #[error(
        "cannot {action} {}: {source}\nhint: the store's folder must be readable and writable for you; choose another, or \
         change its permissions",
        path.display()
    )]
    NotAllowed {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The store may be read, and something would have to be written.
    #[error(
        "the store {} may only be read ({reason}), and something would have to be written to it\nhint: name another \
         store with --cache, or ask whoever owns this one for the right to write (docs/store.md, \"Sharing\")",
        root.display()
    )]
    ReadOnly {
        /// The store.
        root: PathBuf,
        /// What was refused when it was opened.
        reason: String,
    },
    /// Something that is not the store's stands where a file or a folder of the store would.
    #[error(
        "{} is {what}, and the store keeps a file or a folder of its own there: it is not followed, written to or \
         deleted\nhint: move it away if it is yours, or let `sert-run cache rebuild` set it aside",
        path.display()
    )]
    InTheWay {
        /// Where.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// The store's root is there, but not a folder.
    #[error("the store {} is not a folder\nhint: name a folder, or a path where one can be made", .0.display())]
    RootIsFile(PathBuf),
    /// The index was written by a newer program.
    #[error(
        "the index {} has version {found}, this program knows versions up to {known}\nhint: update sert-run, or choose \
         another folder for the store",
        path.display()
    )]
    NewerIndex {
        /// The index.
        path: PathBuf,
        /// The version found there.
        found: i64,
        /// The newest version that this program knows.
        known: i64,
    },
    /// Another process held the index for longer than the waiting time.
    #[error(
        "the index {} is locked by another process\nhint: wait until the other run ends; a store must lie on a local disk",
        .0.display()
    )]
    Locked(PathBuf),
    /// Another process has the store open, so nothing may be removed.
    #[error("the store {} is in use\nhint: run this again when no other run uses the store", .0.display())]
    InUse(PathBuf),
    /// The index was found damaged while in use.
    #[error(
        "the index {} is damaged\nhint: run again; it will be rebuilt from the stored files, and nothing is lost",
        .0.display()
    )]
    IndexDamaged(PathBuf),
    /// The index refused for another reason.
    #[error("the index {} failed: {source}{}", path.display(), index_hint(source))]
    Index {
        /// The index.
        path: PathBuf,
        /// The database's reason.
        source: rusqlite::Error,
    },
    /// An object that is needed is absent or damaged.
    #[error("the object {0} is not in the store\nhint: run the stage that makes it again")]
    MissingObject(Digest),
    /// A name that would leave the folder it belongs in.
    #[error("`{0}` is not a usable name: expected a relative path without `..`")]
    BadName(String),
    /// A bucket's name becomes a folder's name.
    #[error("`{0}` is not a bucket: expected lower-case letters, digits and `-`")]
    BadBucket(String),
    /// A row too long for its record.
    #[error("the row {key} has {bytes} bytes: expected fewer than 2^32")]
    RowTooLong {
        /// The row's key.
        key: Digest,
        /// Its length.
        bytes: usize,
    },
    /// A command about a remote, and none is named.
    #[error(
        "no remote is named\nhint: --remote s3://BUCKET/PREFIX or --remote file:///FOLDER, SERT_REMOTE, or `remote` in the \
         manifest's `[store]` (docs/store.md)"
    )]
    NoRemote,
    /// Something would have to be written to a remote that is to be read only.
    #[error(
        "{0} may only be read\nhint: leave out `readonly`, or ask whoever owns it for the right to write"
    )]
    ReadOnlyRemote(String),
    /// The remote does not do what is asked.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// The remote ceased to answer.
    #[error("{0} does not answer any more; nothing was deleted")]
    RemoteDown(String),
    /// Something that is kept cannot be read there.
    #[error(
        "{name} of {remote} is needed and could not be read, so what it names is not known; nothing was deleted\nhint: run this again, or look at who may read it"
    )]
    UnreadRemote {
        /// The remote.
        remote: String,
        /// The object.
        name: String,
    },
    /// Two collectors at once.
    #[error(
        "{who} is collecting in {remote}\nhint: run this again when it is done; one that was killed is forgotten after ten minutes"
    )]
    IsCollecting {
        /// The remote.
        remote: String,
        /// The other one.
        who: String,
    },
    /// A collector whose mark may have gone stale.
    #[error(
        "{0} answers so slowly that others may not have seen that it is collected in; nothing more was deleted\nhint: run this again"
    )]
    CollectorTooSlow(String),
}

/// Says of a failed call what was tried, and on which file.
pub(super) trait Doing<T> {
    /// `action` is a verb, for example `write`.
    fn doing(self, action: &'static str, path: &Path) -> Result<T, StoreError>;
}

impl<T> Doing<T> for io::Result<T> {
    fn doing(self, action: &'static str, path: &Path) -> Result<T, StoreError> {
        self.map_err(|source| {
            let path = path.to_owned();
            if let Some(Foreign { path, what }) = Foreign::of(&source).cloned() {
                return StoreError::InTheWay { path, what };
            }
            match source.kind() {
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                    StoreError::DiskFull { action, path }
                }
                ErrorKind::FileTooLarge => StoreError::TooLarge {
                    action,
                    path,
                    source,
                },
                ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                    StoreError::NotAllowed {
                        action,
                        path,
                        source,
                    }
                }
                _ => StoreError::Io {
                    action,
                    path,
                    source,
                },
            }
        })
    }
}

/// `SQLite` does not say why the system refused a read or a write.
fn index_hint(source: &rusqlite::Error) -> &'static str {
    if source.sqlite_error_code() == Some(rusqlite::ErrorCode::SystemIoFailure) {
        "\nhint: look at the disk, and at `ulimit -f`, which bounds how long files may get; what was stored before is intact"
    } else {
        ""
    }
}

impl StoreError {
    /// Whether a file that was asked for is not there.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}
