//! A model's chat templates of other names: which there are, only a listing says.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use serde::Deserialize;

use super::hub_names::is_plain;
use super::{FetchError, Fetcher, HUB, OnProgress, PinnedFile, relative_place};
use crate::disk;

/// The folder of chat templates that have names of their own.
pub(super) const MORE_TEMPLATES: &str = "additional_chat_templates";

/// What the Hub says of a model at a revision.
#[derive(Deserialize)]
struct Listing {
    #[serde(default)]
    siblings: Vec<Sibling>,
}

/// One of its files.
#[derive(Deserialize)]
struct Sibling {
    rfilename: String,
}

impl Fetcher {
    /// The files of a model's further chat templates: those of the `mirror` that has the model, or else those that the Hub lists.
    pub(super) fn more_templates(
        &self,
        id: &str,
        revision: &str,
        mirror: Option<&Path>,
        progress: OnProgress<'_>,
    ) -> Result<Vec<String>, FetchError> {
        if let Some(mirror) = mirror {
            let place = format!("{HUB}/{id}/resolve/{revision}/{MORE_TEMPLATES}");
            let folder = mirror.join(relative_place(&place)?);
            let entries = match fs::read_dir(&folder) {
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
                entries => entries.map_err(|e| FetchError::io(&folder, e))?,
            };
            let names = entries.flatten().filter_map(|entry| {
                let name = entry.file_name();
                Some(format!("{MORE_TEMPLATES}/{}", name.to_str()?))
            });
            return Ok(names.filter(|name| is_template(name)).collect());
        }
        let revision = revision.replace('/', "%2F");
        let listing = PinnedFile::at(format!("{HUB}/api/models/{id}/revision/{revision}"));
        let place = relative_place(&listing.url)?;
        if self.known_absent(&place) {
            return Ok(Vec::new());
        }
        let path = match self.fetch(&listing, progress) {
            Ok(path) => path,
            Err(error) if error.is_absence() => {
                if let FetchError::NotFound { .. } = error {
                    self.remember_absence(&place)?;
                }
                return Ok(Vec::new());
            }
            Err(error @ FetchError::Cancelled { .. }) => return Err(error),
            // A model is whole without them, and was had before they were asked for.
            Err(error) => {
                tracing::warn!(%error, "what templates `{id}` has was not to be had; those of other names are left out");
                return Ok(Vec::new());
            }
        };
        let bytes = disk::read_small(&path).map_err(|e| FetchError::io(&path, e))?;
        let Ok(parsed) = serde_json::from_slice::<Listing>(&bytes) else {
            let _ = fs::remove_file(&path);
            tracing::warn!(
                "what the Hub says of `{id}` is no listing; templates of other names are left out"
            );
            return Ok(Vec::new());
        };
        let names = parsed.siblings.into_iter().map(|file| file.rfilename);
        Ok(names.filter(|name| is_template(name)).collect())
    }
}

/// Whether a file of a model is a further chat template, by a name that may be part of paths and addresses.
pub(super) fn is_template(name: &str) -> bool {
    let name = name.strip_prefix(MORE_TEMPLATES);
    let name = name.and_then(|name| name.strip_prefix('/')?.strip_suffix(".jinja"));
    name.is_some_and(is_plain)
}
