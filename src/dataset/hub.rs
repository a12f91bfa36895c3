//! A data set on the Hugging Face hub: its files at one commit.

use super::file::{load, part_file};
use super::hub_files::Listing;
use super::{DataFile, DataParams, DataSource, DatasetError, DatasetKind, Files};
use crate::fetch::HubData;
use crate::input::read_json;

pub(super) const KIND: DatasetKind = DatasetKind {
    name: "hub",
    doc: "a data set on the Hugging Face hub: `id`, `config`, `revision`, `splits`, in a known layout or by `columns`",
    check: |params| id(params).map(drop),
    files,
    load,
};

fn id(params: &DataParams) -> Result<&str, DatasetError> {
    params.id.as_deref().ok_or_else(|| DatasetError::Param {
        field: "id",
        reason: "missing: dataset `hub` needs the data set's name\nhint: for example `id = \"openai/gsm8k\"`".to_owned(),
    })
}

fn files(params: &DataParams, from: &DataSource<'_>) -> Result<Files, DatasetError> {
    let id = id(params)?;
    let revision = params.revision.as_deref().unwrap_or("main");
    let data = HubData { id, revision };
    let listing = from.fetcher.fetch(&data.listing()?, from.progress)?;
    let listing: Listing = read_json(&listing)?;
    let commit = listing.commit().ok_or_else(|| DatasetError::Param {
        field: "revision",
        reason: format!("the hub does not say which commit of `{id}` the revision `{revision}` is"),
    })?;
    let mut notes = Vec::new();
    if commit != revision {
        notes.push(format!(
            "the revision `{revision}` of `{id}` is the commit {commit}, and is taken as that from now on; to pin it: revision = \"{commit}\""
        ));
    }
    let splits = params.splits.clone().unwrap_or_default();
    let validation = splits.validation.as_deref();
    let wanted = [
        ("train", "splits.train", Some(splits.train.as_str())),
        ("validation", "splits.validation", validation),
        ("test", "splits.test", Some(splits.test.as_str())),
    ];
    let mut files = Vec::new();
    for (part, field, split) in wanted {
        let Some(split) = split else { continue };
        let found = listing.files(params.config.as_deref(), split);
        let found = found.map_err(|refused| DatasetError::Param {
            field: if refused.of_config { "config" } else { field },
            reason: refused.reason,
        })?;
        for (number, file) in found.into_iter().enumerate() {
            let pinned = data.file(commit, file.name, file.sha256)?;
            files.push(part_file(part, number, DataFile::Pinned(pinned)));
        }
    }
    Ok(Files { files, notes })
}
