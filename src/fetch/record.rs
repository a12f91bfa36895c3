//! What was known about a download when it ended: a small JSON file beside it.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{FetchError, PinnedFile};
use crate::beneath::{self, Kind};

/// What a finished download is known by.
pub(super) struct Downloaded {
    pub(super) sha256: String,
    pub(super) etag: Option<String>,
}

/// The record beside a download. Size and modification time tell cheaply that nobody touched the
/// file since its digest was taken.
#[derive(Serialize, Deserialize)]
pub(super) struct DownloadRecord {
    url: String,
    sha256: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
    size: u64,
    modified_ns: u64,
}

impl DownloadRecord {
    /// Records the download at `path`.
    pub(super) fn write(path: &Path, url: &str, done: &Downloaded) -> Result<(), FetchError> {
        let (size, modified_ns) = stat(path)?;
        let record = Self {
            url: url.to_owned(),
            sha256: done.sha256.clone(),
            etag: done.etag.clone(),
            size,
            modified_ns,
        };
        let text = serde_json::to_string_pretty(&record).expect("a record is plain JSON");
        let target = beside(path, ".meta.json");
        let part = beside(path, ".meta.json.part");
        // Not synced: of a record that a power cut spoils nothing is believed, and the file is fetched again.
        write(&part, text.as_bytes())?;
        rename(&part, &target)
    }

    /// The record of the download at `path`.
    fn read(path: &Path) -> Option<Self> {
        let bytes = beneath::read(path.parent()?, &beside(path, ".meta.json")).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// Whether `path`, below `base`, holds the file: it was downloaded completely, is what it was then as far as its size
    /// and time tell, and is what is pinned now. A file that is not is left where it is, to be overwritten.
    pub(super) fn vouches_for(
        base: &Path,
        path: &Path,
        file: &PinnedFile,
    ) -> Result<bool, FetchError> {
        let kind = beneath::kind(base, path).map_err(|e| FetchError::io(path, e))?;
        if kind != Some(Kind::File) {
            return Ok(false);
        }
        let Some(recorded) = Self::read(path) else {
            return Ok(false);
        };
        if file
            .sha256
            .as_deref()
            .is_some_and(|pin| pin != recorded.sha256)
        {
            return Ok(false);
        }
        let untouched = stat(path)? == (recorded.size, recorded.modified_ns);
        Ok(untouched || sha256_of(path)? == recorded.sha256)
    }
}

/// Writes a file beside a download.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), FetchError> {
    beneath::create(folder_of(path), path)
        .and_then(|mut file| file.write_all(bytes))
        .map_err(|e| FetchError::io(path, e))
}

/// Gives a file beside a download its name.
pub(super) fn rename(from: &Path, to: &Path) -> Result<(), FetchError> {
    beneath::rename(folder_of(to), from, to).map_err(|e| FetchError::io(to, e))
}

/// The folder of a download and of what lies beside it, which was looked at when it was made.
pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent().expect("a download lies below downloads/")
}

/// Whether the download at `path` still is what was recorded of it when it ended; `None` where it is none of ours.
pub(super) fn still_as_recorded(path: &Path) -> Result<Option<bool>, FetchError> {
    match DownloadRecord::read(path) {
        Some(recorded) => Ok(Some(sha256_of(path)? == recorded.sha256)),
        None => Ok(None),
    }
}

fn stat(path: &Path) -> Result<(u64, u64), FetchError> {
    let metadata = fs::metadata(path).map_err(|e| FetchError::io(path, e))?;
    let modified_ns = metadata
        .modified()
        .ok()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
        .and_then(|since| u64::try_from(since.as_nanos()).ok())
        .unwrap_or(0);
    Ok((metadata.len(), modified_ns))
}

/// `path` with `suffix` after its name.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

/// SHA-256 of the file, as 64 hexadecimal digits.
pub(super) fn sha256_of(path: &Path) -> Result<String, FetchError> {
    hash(path).map_err(|e| FetchError::io(path, e))
}

fn hash(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
    }
    let mut hex = String::with_capacity(64);
    for byte in hasher.finalize() {
        write!(hex, "{byte:02x}").expect("writing to a String cannot fail");
    }
    Ok(hex)
}
