//! The user's permission for a manifest to use the remote that it names: results go there, and count that come from there.
//!
//! It is given by naming the remote oneself (`--remote`, `SERT_REMOTE`), or for all runs in a file in the user's
//! configuration folder.

use std::path::{Path, PathBuf};

use super::exit::Failure;
use crate::disk;
use crate::remote::RemoteUrl;

/// Why the manifest's remote is not used; `None` where the user has allowed it.
///
/// # Errors
/// The user's file cannot be understood.
pub(super) fn remote(manifest: &Path, url: &RemoteUrl) -> Result<Option<String>, Failure> {
    let path = file();
    let text = path.as_ref().and_then(|path| disk::read_small(path).ok());
    let text = String::from_utf8_lossy(text.as_deref().unwrap_or_default()).into_owned();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let allowed: RemoteUrl = line.parse().map_err(|error| {
            let path = path.as_deref().unwrap_or(Path::new("remotes"));
            Failure::usage(format!("{}:{}: {error}", path.display(), number + 1))
        })?;
        if covers(&allowed, url) {
            return Ok(None);
        }
    }
    let remembered = path.map_or_else(String::new, |path| {
        format!(", or the line `{url}` to {} for all runs", path.display())
    });
    Ok(Some(format!(
        "{} names the remote {url}, which you have not allowed; it was not asked, and nothing was sent\nhint: if you trust \
         it, add --remote {url}{remembered}; --remote none goes without it",
        manifest.display()
    )))
}

/// Whether `url` is what is allowed, or below it.
fn covers(allowed: &RemoteUrl, url: &RemoteUrl) -> bool {
    match (allowed, url) {
        (RemoteUrl::Folder(allowed), RemoteUrl::Folder(url)) => url.starts_with(allowed),
        (RemoteUrl::S3 { .. }, RemoteUrl::S3 { .. }) => {
            let (allowed, url) = (allowed.to_string(), url.to_string());
            let rest = url.strip_prefix(&allowed);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        }
        _ => false,
    }
}

/// The user's file.
fn file() -> Option<PathBuf> {
    use etcetera::BaseStrategy;
    let folders = etcetera::choose_base_strategy().ok()?;
    Some(folders.config_dir().join("sert-run").join("remotes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_allowed_covers_what_is_below_it() {
        let covers =
            |allowed: &str, url: &str| covers(&allowed.parse().unwrap(), &url.parse().unwrap());
        assert!(covers("s3://lab", "s3://lab"));
        assert!(covers("s3://lab", "s3://lab/team/x"));
        assert!(covers("file:///shared", "file:///shared/x"));
        assert!(!covers("s3://lab", "s3://lab2/x"));
        assert!(!covers("s3://lab/team", "s3://lab/teams"));
        assert!(!covers("s3://lab/team", "s3://lab"));
        assert!(!covers("file:///shared", "file:///shared2"));
        assert!(!covers("file:///shared", "s3://shared"));
    }
}
