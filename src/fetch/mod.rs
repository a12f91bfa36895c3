//! Outside files: pinned, checked, and fetched once.
//!
//! What goes in: a URL with, where it is known, its SHA-256. What comes out: a path on disk whose
//! bytes were checked. A file is looked for in three places, nearest first: the mirror
//! (`DIR/<host>/<path>`, which is never written to), the download cache, the network.
//!
//! A file's identity is its public URL: `HF_ENDPOINT` changes where the bytes of a Hub file come
//! from, not what it is called in the mirror or in the cache.
//!
//! The one secret, `HF_TOKEN`, comes from the environment, goes to huggingface.co over https and
//! nowhere else, and has no text form.

mod download;
mod error;
mod http;
mod hub;
mod hub_data;
mod hub_names;
mod hub_templates;
mod kept;
mod record;
#[cfg(test)]
pub(crate) mod tests;
mod token;

use std::borrow::Cow;
use std::env;
use std::fs::{self, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::beneath;
use crate::event::{CancelToken, Progress};

use download::Client;
pub(crate) use download::pieces;
pub(crate) use error::FetchError;
pub(crate) use http::{BadRoots, client_config, may_pass};
pub(crate) use hub::HubModel;
pub(crate) use hub_data::HubData;
use record::DownloadRecord;
use token::Token;

/// Where the Hub is, unless `HF_ENDPOINT` says otherwise.
const HUB: &str = "https://huggingface.co";

/// Time between two looks at whether another process has brought a file. Ours.
const LOOK_AT_LOCK: Duration = Duration::from_millis(50);

/// An outside file by URL, with what is known about its bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PinnedFile {
    /// `https://host/path`.
    pub url: Cow<'static, str>,
    /// SHA-256 of the whole file, 64 lower-case hexadecimal digits.
    pub sha256: Option<Cow<'static, str>>,
    /// Length in bytes, for progress before the server says it.
    pub size: Option<u64>,
}

impl PinnedFile {
    /// A file whose bytes are known, as a constant.
    pub const fn known(url: &'static str, sha256: &'static str, size: u64) -> Self {
        Self {
            url: Cow::Borrowed(url),
            sha256: Some(Cow::Borrowed(sha256)),
            size: Some(size),
        }
    }

    /// A file of which only the address is known.
    pub fn at(url: impl Into<String>) -> Self {
        Self {
            url: Cow::Owned(url.into()),
            sha256: None,
            size: None,
        }
    }
}

/// Where files may come from.
#[derive(Clone, Debug)]
pub struct FetchOptions {
    /// Downloads are kept in `downloads/` in it, assembled models in `hub/`.
    pub cache_dir: PathBuf,
    /// A directory with files at `<host>/<path>`, looked at first.
    pub mirror: Option<PathBuf>,
    /// Never use the network.
    pub offline: bool,
    /// Where Hub files are downloaded from, for example `https://huggingface.co`.
    pub hub_endpoint: String,
    /// Ends a download at its next bytes; what came is kept.
    pub cancel: CancelToken,
}

impl FetchOptions {
    /// Options as the environment sets them: `SERT_MIRROR`, `HF_ENDPOINT`, and `HF_HUB_OFFLINE=1`.
    pub fn from_env(cache_dir: impl Into<PathBuf>) -> Self {
        let set = |name| env::var_os(name).filter(|value| !value.is_empty());
        Self {
            cache_dir: cache_dir.into(),
            mirror: set("SERT_MIRROR").map(PathBuf::from),
            offline: set("HF_HUB_OFFLINE").is_some_and(|value| value != "0"),
            hub_endpoint: set("HF_ENDPOINT")
                .and_then(|value| value.into_string().ok())
                .unwrap_or_else(|| HUB.to_owned()),
            cancel: CancelToken::default(),
        }
    }
}

/// Brings outside files.
#[derive(Debug)]
pub struct Fetcher {
    options: FetchOptions,
    client: Client,
    /// Where models are put together if the cache may not be written to.
    own_folder: Arc<OnceLock<tempfile::TempDir>>,
}

/// Hears how far a download has come, in bytes.
pub(crate) type OnProgress<'a> = &'a dyn Fn(Progress);

/// What a download tells, and listens to.
struct Ears<'a> {
    progress: OnProgress<'a>,
    cancel: &'a CancelToken,
}

impl Fetcher {
    /// A fetcher; reads `HF_TOKEN` from the environment.
    pub fn new(options: FetchOptions) -> Self {
        Self::with_client(options, Client::new(Token::from_env()))
    }

    fn with_client(mut options: FetchOptions, client: Client) -> Self {
        let trimmed = options.hub_endpoint.trim_end_matches('/').len();
        options.hub_endpoint.truncate(trimmed);
        Self {
            options,
            client,
            own_folder: Arc::default(),
        }
    }

    /// The same, which never uses the network.
    #[must_use]
    pub fn offline(&self) -> Self {
        let mut here = Self::new(FetchOptions {
            offline: true,
            ..self.options.clone()
        });
        here.own_folder = Arc::clone(&self.own_folder);
        here
    }

    /// The options in use.
    pub fn options(&self) -> &FetchOptions {
        &self.options
    }

    /// The checked file, if it is on this machine; asks no network.
    ///
    /// # Errors
    /// The mirror's file is not the pinned one.
    pub fn present(&self, file: &PinnedFile) -> Result<Option<PathBuf>, FetchError> {
        let place = relative_place(&file.url)?;
        if let Some(path) = self.in_mirror(file, &place)? {
            return Ok(Some(path));
        }
        let path = self.downloads().join(&place);
        Ok(self.vouched(&path, file)?.then_some(path))
    }

    /// A path to `file`, whose bytes were checked against its pin, or, where it has none, against
    /// what the server said and what was recorded when it was downloaded.
    ///
    /// # Errors
    /// The file is nowhere to be had, or its bytes are not the pinned ones.
    pub fn fetch(
        &self,
        file: &PinnedFile,
        progress: OnProgress<'_>,
    ) -> Result<PathBuf, FetchError> {
        if let Some(path) = self.present(file)? {
            return Ok(path);
        }
        let place = relative_place(&file.url)?;
        let path = self.downloads().join(&place);
        if self.options.offline {
            return Err(FetchError::Offline {
                url: file.url.to_string(),
                mirror_path: self.options.mirror.as_ref().map(|dir| dir.join(&place)),
                place,
            });
        }
        self.make_folder(record::folder_of(&path))?;
        // Two processes may want the same file: the second waits, then finds it.
        let lock_path = record::beside(&path, ".lock");
        let lock = beneath::open_or_create(&self.options.cache_dir, &lock_path);
        let lock = lock.map_err(|e| FetchError::io(&lock_path, e))?;
        let cancel = &self.options.cancel;
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                // A file system without locks: then only the checksum guards.
                Err(TryLockError::Error(e)) if e.kind() == io::ErrorKind::Unsupported => break,
                Err(TryLockError::Error(e)) => return Err(FetchError::io(&lock_path, e)),
                Err(TryLockError::WouldBlock) if cancel.is_cancelled() => {
                    let url = file.url.to_string();
                    return Err(FetchError::Cancelled { url, received: 0 });
                }
                Err(TryLockError::WouldBlock) => cancel.sleep(LOOK_AT_LOCK),
            }
        }
        if self.vouched(&path, file)? {
            return Ok(path);
        }
        let from = self.network_url(&file.url);
        let done = self
            .client
            .download(&from, file, &path, &Ears { progress, cancel })?;
        DownloadRecord::write(&path, &file.url, &done)?;
        Ok(path)
    }

    fn vouched(&self, path: &Path, file: &PinnedFile) -> Result<bool, FetchError> {
        DownloadRecord::vouches_for(&self.options.cache_dir, path, file)
    }

    /// Makes a folder in the cache, whose own place is the user's choice.
    fn make_folder(&self, folder: &Path) -> Result<(), FetchError> {
        let base = &self.options.cache_dir;
        fs::create_dir_all(base)
            .and_then(|()| beneath::create_folder(base, folder))
            .map_err(|e| FetchError::io(folder, e))
    }

    /// The file in the mirror, if it is there. The mirror belongs to the user: it is only read.
    fn in_mirror(&self, file: &PinnedFile, place: &Path) -> Result<Option<PathBuf>, FetchError> {
        let Some(path) = self.options.mirror.as_ref().map(|dir| dir.join(place)) else {
            return Ok(None);
        };
        if !path.is_file() {
            return Ok(None);
        }
        if let Some(expected) = file.sha256.as_deref() {
            // Each time: there is no record of it, for nothing may be written beside it.
            let found = record::sha256_of(&path)?;
            if found != expected {
                return Err(FetchError::Checksum {
                    url: file.url.to_string(),
                    expected: expected.to_owned(),
                    found,
                    kept: path,
                });
            }
        }
        Ok(Some(path))
    }

    fn network_url(&self, url: &str) -> String {
        match url.strip_prefix(HUB) {
            Some(rest) if rest.starts_with('/') => format!("{}{rest}", self.options.hub_endpoint),
            _ => url.to_owned(),
        }
    }
}

/// `<host>/<path>` of a URL, as a relative path without `..`, a query or a fragment.
fn relative_place(url: &str) -> Result<PathBuf, FetchError> {
    let bad = || FetchError::BadUrl {
        url: url.to_owned(),
    };
    let rest = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"))
        .ok_or_else(bad)?;
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (host, path) = rest.split_once('/').ok_or_else(bad)?;
    // `user:password@host` would put a secret into file names.
    if host.is_empty() || host.contains('@') || path.is_empty() {
        return Err(bad());
    }
    // The same place on every system: on Windows `:` is a drive or a stream, and `\` another `/`.
    let mut place = PathBuf::from(host.replace(':', "_"));
    for part in path.split('/') {
        if matches!(part, "" | "." | "..") || part.contains(['\\', ':', '\0']) {
            return Err(bad());
        }
        place.push(part);
    }
    Ok(place)
}
