//! What many machines share: a bucket of an S3 server, or a folder on a shared file system, as named bytes.
//!
//! Goes in: names and bytes. Comes out: the same bytes, or that there are none. Nothing here knows what the bytes are:
//! `store` names them by their content and checks them as they come. A name is put once: where two machines put it, the
//! first one wins ([`Bucket::put`]).

mod address;
mod credentials;
mod dates;
mod error;
mod folder;
mod holder;
mod profile;
mod s3;
mod sign;
mod xml;

#[cfg(test)]
pub(crate) mod tests;

use std::fs::File;
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

pub(crate) use address::RemoteUrl;
pub(crate) use error::RemoteError;
pub(crate) use holder::Holder;

use crate::event::CancelToken;
use folder::Folder;
use s3::S3;

/// Something in a bucket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Entry {
    /// Its name.
    pub(crate) name: String,
    /// Its size.
    pub(crate) bytes: u64,
    /// When it was put, by the bucket's clock.
    pub(crate) modified: SystemTime,
}

/// What became of something that was put.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Put {
    /// It is there now.
    New,
    /// Something of this name was there already, and stays.
    Present,
}

/// Whether something of the same name may be replaced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Existing {
    /// It stays: the first value wins.
    Stays,
    /// It is known to be damaged, or is of the caller's own.
    IsReplaced,
}

/// What came of something that was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Pulled {
    /// There is nothing of this name.
    Absent,
    /// It has so many bytes, more than were wanted; none were written.
    TooLong(u64),
    /// All its bytes were written.
    Whole,
}

/// Named bytes that many machines share. Names are relative paths of ASCII letters, digits and `-._/`.
pub(crate) trait Bucket: Send + Sync {
    /// Writes the bytes of `name` to `out` as they come, where there are at most `most`.
    fn pull(&self, name: &str, most: u64, out: &mut dyn Write) -> Result<Pulled, RemoteError>;
    /// What there is of `name`.
    fn head(&self, name: &str) -> Result<Option<Entry>, RemoteError>;
    /// Puts `bytes`, wholly or not at all.
    fn put(&self, name: &str, bytes: &[u8], existing: Existing) -> Result<Put, RemoteError>;
    /// Puts all of an open file, which has so many bytes, wholly or not at all.
    fn put_file(
        &self,
        name: &str,
        file: &File,
        bytes: u64,
        existing: Existing,
    ) -> Result<Put, RemoteError>;
    /// All that there is whose names begin so.
    fn list(&self, prefix: &str) -> Result<Vec<Entry>, RemoteError>;
    /// Removes `name`, if it is there.
    fn remove(&self, name: &str) -> Result<(), RemoteError>;
    /// The time by the bucket's clock, that of [`Entry::modified`].
    fn now(&self) -> Result<SystemTime, RemoteError>;
    /// Whether a name that is there really is not put again ([`Existing::Stays`]) when two machines put it at the same
    /// moment. `present` is the caller's own, with these bytes.
    fn puts_once(&self, present: &str, bytes: &[u8]) -> Result<bool, RemoteError>;
}

/// How long a request is tried.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// Tries of a request, the first included.
    pub(crate) tries: u32,
    /// The wait before the second; it doubles before each further one.
    pub(crate) wait: Duration,
    /// How long a server may say nothing.
    pub(crate) silence: Duration,
}

impl Default for Patience {
    /// Ours: of a server that fails every fifth request, one request in 400,000 is given up; one that is not there is
    /// given up after half a minute.
    fn default() -> Self {
        Self {
            tries: 8,
            wait: Duration::from_millis(200),
            silence: Duration::from_mins(1),
        }
    }
}

/// Opens what `url` names; nothing is asked of it yet.
///
/// # Errors
/// The settings for it cannot be read, or its folder is not there.
pub(crate) fn open(url: &RemoteUrl, cancel: &CancelToken) -> Result<Arc<dyn Bucket>, RemoteError> {
    Ok(match url {
        RemoteUrl::Folder(folder) => Arc::new(Folder::open(folder)?),
        RemoteUrl::S3 { bucket, prefix } => {
            let settings = credentials::Settings::from_env(bucket)?;
            let patience = Patience::default();
            Arc::new(S3::new(bucket, prefix, settings, patience, cancel.clone())?)
        }
    })
}
