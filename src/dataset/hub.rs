//! A data set on the Hugging Face hub: its files at one commit.

use super::file::{load, part_file};
use super::hub_files::Listing;
use super::{DataFile, DataParams, DataSource, DatasetError, DatasetKind, Files};
use crate::fetch::HubData;
use crate::input::{InputError, read_json};

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
    let listing = listing(&data, from)?;
    let Some(commit) = listing.commit() else {
        // It may say so the next time.
        from.fetcher.set_aside(&data.listing()?)?;
        return Err(DatasetError::Param {
            field: "revision",
            reason: format!(
                "the hub does not say which commit of `{id}` the revision `{revision}` is"
            ),
        });
    };
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

/// What the hub says of the data set. What is no such thing is not kept: the page of a network that asks for a login comes as a
/// success too, and would be found again by every later run.
fn listing(data: &HubData<'_>, from: &DataSource<'_>) -> Result<Listing, DatasetError> {
    let file = data.listing()?;
    let path = from.fetcher.fetch(&file, from.progress)?;
    read_json(&path).or_else(|error: InputError| {
        let aside = from.fetcher.set_aside(&file)?;
        let now = match aside {
            Some(_) => "; it is set aside, and the next run asks again",
            None => "",
        };
        let error = InputError {
            what: format!(
                "{}; what the hub says of the data set is expected, as JSON ({}){now}",
                error.what, file.url
            ),
            path: aside.unwrap_or(error.path),
            ..error
        };
        let hint = "look at the file: a proxy, or a network that asks for a login, answers with a page of its own";
        Err(error.hint(hint).into())
    })
}
