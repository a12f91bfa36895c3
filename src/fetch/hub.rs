//! A model's folder in Hub format, put together from single files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::hub_names::is_hub_name;
use super::hub_templates::{MORE_TEMPLATES, is_template};
use super::record::{self, folder_of};
use super::{FetchError, Fetcher, HUB, OnProgress, PinnedFile, relative_place};
use crate::beneath::{self, Foreign, Kind};
use crate::disk;

const TEMPLATE: &str = "chat_template.jinja";

/// Files that a model may lack.
const OPTIONAL: &[&str] = &[
    TEMPLATE,
    "generation_config.json",
    "special_tokens_map.json",
    "tokenizer_config.json",
];

/// Checksums of files that are known: GPT-2's vocabulary (`openai-community/gpt2` at `main`).
const PINS: &[PinnedFile] = &[
    PinnedFile::known(
        "https://huggingface.co/openai-community/gpt2/resolve/main/vocab.json",
        "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783",
        1_042_301,
    ),
    PinnedFile::known(
        "https://huggingface.co/openai-community/gpt2/resolve/main/merges.txt",
        "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5",
        456_318,
    ),
];

/// A model on the Hub.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HubModel<'a> {
    /// `owner/name`, for example `openai-community/gpt2`.
    pub id: &'a str,
    /// A branch, tag or commit, for example `main`.
    pub revision: &'a str,
    /// Whether the weights are wanted, or only configuration and tokenizer.
    pub weights: bool,
}

/// `model.safetensors.index.json`: which shard holds which array.
#[derive(Deserialize)]
struct ShardIndex {
    weight_map: BTreeMap<String, String>,
}

impl Fetcher {
    /// A folder with the model's files: `config.json`, the tokenizer (`tokenizer.json`, or
    /// `vocab.json` and `merges.txt`), the weights (`model.safetensors`, or an index and its
    /// shards), and what else there is of the optional ones, with chat templates of other names. The files are links to where they
    /// were found.
    ///
    /// A mirror that has the model's `config.json` is taken to have all that the model has, so
    /// that absent optional files are not asked for over the network again and again.
    ///
    /// # Errors
    /// A needed file cannot be had.
    pub fn hub_folder(
        &self,
        model: &HubModel<'_>,
        progress: OnProgress<'_>,
    ) -> Result<PathBuf, FetchError> {
        check_id(model)?;
        let url = |name: &str| format!("{HUB}/{}/resolve/{}/{name}", model.id, model.revision);
        let config = relative_place(&url("config.json"))?;
        let mirror = self.options().mirror.as_deref();
        let mirror = mirror.filter(|dir| dir.join(&config).is_file());
        let mut files = BTreeMap::new();
        let mut bring = |name: &str, optional: bool| -> Result<Option<PathBuf>, FetchError> {
            let file = pinned(url(name));
            if optional {
                let place = relative_place(&file.url)?;
                if mirror.is_some() && self.in_mirror(&file, &place)?.is_none() {
                    return Ok(None);
                }
                if self.known_absent(&place) {
                    return Ok(None);
                }
            }
            match self.fetch(&file, progress) {
                Ok(path) => {
                    files.insert(name.to_owned(), path.clone());
                    Ok(Some(path))
                }
                Err(error) if optional && error.is_absence() => {
                    if let FetchError::NotFound { .. } = error {
                        self.remember_absence(&relative_place(&file.url)?)?;
                    }
                    Ok(None)
                }
                Err(error) => Err(error),
            }
        };

        bring("config.json", false)?;
        let whole = bring("tokenizer.json", true)?.is_some();
        bring("vocab.json", whole)?;
        bring("merges.txt", whole)?;
        let mut templates = false;
        for name in OPTIONAL {
            templates |= bring(name, true)?.is_some() && *name == TEMPLATE;
        }
        // Few models have templates of other names, and those beside that file: the others are not asked for a listing.
        if templates || mirror.is_some() {
            for name in self.more_templates(model.id, model.revision, mirror, progress)? {
                bring(&name, true)?;
            }
        }
        if model.weights && bring("model.safetensors", true)?.is_none() {
            if let Some(index) = bring("model.safetensors.index.json", true)? {
                for shard in shards(&index)? {
                    bring(&shard, false)?;
                }
            } else {
                // Neither form: the error names the one that most models have.
                self.absent_weights(&url("model.safetensors"))?;
            }
        }
        self.assemble(model, &files)
    }

    fn absence_marker(&self, place: &Path) -> PathBuf {
        record::beside(&self.downloads().join(place), ".404")
    }

    /// A branch is taken as it was when first fetched: what was absent then is not asked for again.
    pub(super) fn known_absent(&self, place: &Path) -> bool {
        let marker = beneath::kind(&self.options().cache_dir, &self.absence_marker(place));
        matches!(marker, Ok(Some(Kind::File)))
    }

    pub(super) fn remember_absence(&self, place: &Path) -> Result<(), FetchError> {
        let marker = self.absence_marker(place);
        self.make_folder(folder_of(&marker))?;
        record::write(&marker, b"")
    }

    fn absent_weights(&self, url: &str) -> Result<(), FetchError> {
        let place = relative_place(url)?;
        // Weights may be added tomorrow to a model that has none: ask again then.
        for name in [url.to_owned(), format!("{url}.index.json")] {
            let place = relative_place(&name)?;
            if self.known_absent(&place) {
                let _ = fs::remove_file(self.absence_marker(&place));
            }
        }
        let mirror_path = self.options().mirror.as_ref().map(|dir| dir.join(&place));
        let url = url.to_owned();
        if self.options().offline {
            return Err(FetchError::Offline {
                url,
                mirror_path,
                place,
            });
        }
        Err(FetchError::NotFound { url })
    }

    /// `hub/<id>/<revision>/` in the cache, with a link to each file and no other: what an earlier
    /// fetch linked and this one did not find would come into the model. Of a cache that may only be read, in a
    /// folder of this process's own, unless it is there.
    fn assemble(
        &self,
        model: &HubModel<'_>,
        files: &BTreeMap<String, PathBuf>,
    ) -> Result<PathBuf, FetchError> {
        let is_refused = |error: &io::Error| {
            matches!(
                error.kind(),
                ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem
            )
        };
        match assemble_in(&self.options().cache_dir, model, files) {
            Err(FetchError::Io { source, .. }) if is_refused(&source) => {
                let own = if let Some(own) = self.own_folder.get() {
                    own
                } else {
                    let made = tempfile::tempdir();
                    let made = made.map_err(|e| FetchError::io(&std::env::temp_dir(), e))?;
                    self.own_folder.get_or_init(|| made)
                };
                assemble_in(own.path(), model, files)
            }
            assembled => assembled,
        }
    }
}

/// See [`Fetcher::assemble`].
fn assemble_in(
    base: &Path,
    model: &HubModel<'_>,
    files: &BTreeMap<String, PathBuf>,
) -> Result<PathBuf, FetchError> {
    let folder = base.join("hub").join(model.id).join(model.revision);
    // No id begins with a point.
    let asides = base.join("hub").join(".aside");
    for each in [&folder, &asides] {
        fs::create_dir_all(base)
            .and_then(|()| beneath::create_folder(base, each))
            .map_err(|e| FetchError::io(each, e))?;
    }
    let more = folder.join(MORE_TEMPLATES);
    if files.keys().any(|name| is_template(name)) {
        beneath::create_folder(base, &more).map_err(|e| FetchError::io(&more, e))?;
    }
    for (name, path) in files {
        let source = fs::canonicalize(path).map_err(|e| FetchError::io(path, e))?;
        let link = folder.join(name);
        if fs::canonicalize(&link).is_ok_and(|now| now == source) {
            continue;
        }
        // Made aside and renamed, so that another process never sees it missing. Not in the
        // folder itself, where one that a kill left behind would be taken for the model's.
        let flat = name.replace('/', ".");
        let aside = asides.join(format!("{}.{flat}", std::process::id()));
        let _ = fs::remove_file(&aside);
        let target = from_folder(base, folder_of(&link), &source);
        place_link(&target, &source, &aside).map_err(|e| FetchError::io(&aside, e))?;
        fs::rename(&aside, &link).map_err(|e| FetchError::io(&link, e))?;
    }
    let wanted = |name: &str| files.contains_key(name);
    remove_others(&folder, wanted).map_err(|e| FetchError::io(&folder, e))?;
    if more.is_dir() {
        let wanted = |name: &str| files.contains_key(&format!("{MORE_TEMPLATES}/{name}"));
        remove_others(&more, wanted).map_err(|e| FetchError::io(&more, e))?;
    }
    Ok(folder)
}

/// How a link in `folder` names `source`: from there where both are in the cache, so that it can be moved as a whole.
fn from_folder(base: &Path, folder: &Path, source: &Path) -> PathBuf {
    let inside = |base: PathBuf| Some(source.strip_prefix(base).ok()?.to_owned());
    let inside = fs::canonicalize(base).ok().and_then(inside);
    match (inside, folder.strip_prefix(base)) {
        (Some(inside), Ok(folder)) => {
            let up: PathBuf = folder.components().map(|_| "..").collect();
            up.join(inside)
        }
        _ => source.to_owned(),
    }
}

/// Removes the links of `folder` that are not `wanted`. A folder stays: it belongs to a
/// revision whose name goes on after this one's (`v1` and `v1/b`). A file that is no link is somebody's, who has to
/// say what becomes of it: the model must not have it.
fn remove_others(folder: &Path, wanted: impl Fn(&str) -> bool) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let wanted = entry.file_name().to_str().is_some_and(&wanted);
        let kind = entry.file_type()?;
        if wanted || kind.is_dir() {
            continue;
        }
        if cfg!(unix) && !kind.is_symlink() {
            return Err(Foreign::error(&entry.path(), Kind::File));
        }
        match fs::remove_file(entry.path()) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {} // gone, by us or by another process
        }
    }
    Ok(())
}

#[cfg(unix)]
fn place_link(target: &Path, _source: &Path, link: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, link)
}

#[cfg(not(unix))]
fn place_link(_target: &Path, source: &Path, link: &Path) -> io::Result<()> {
    fs::hard_link(source, link).or_else(|_| fs::copy(source, link).map(drop))
}

fn pinned(url: String) -> PinnedFile {
    let known = PINS.iter().find(|pin| pin.url == url);
    known.cloned().unwrap_or_else(|| PinnedFile::at(url))
}

/// An id and a revision become parts of paths and addresses.
fn check_id(model: &HubModel<'_>) -> Result<(), FetchError> {
    if is_hub_name(model.id, model.revision) {
        return Ok(());
    }
    Err(FetchError::BadModelId {
        id: format!("{} at {}", model.id, model.revision),
    })
}

/// The shards' names, each once.
fn shards(index: &Path) -> Result<BTreeSet<String>, FetchError> {
    let bad = |reason: String| FetchError::BadIndex {
        path: index.to_owned(),
        reason,
    };
    let bytes = disk::read_small(index).map_err(|e| FetchError::io(index, e))?;
    let parsed: ShardIndex = serde_json::from_slice(&bytes).map_err(|e| bad(e.to_string()))?;
    let names: BTreeSet<String> = parsed.weight_map.into_values().collect();
    match names
        .iter()
        .find(|name| name.contains(['/', '\\']) || name.starts_with('.'))
    {
        Some(name) => Err(bad(format!("`{name}` is not the name of a file beside it"))),
        None if names.is_empty() => Err(bad("it names no file".into())),
        None => Ok(names),
    }
}
