//! Questions with gold answers, split into training, validation and test.
//!
//! What goes in: the manifest's [`DataParams`]. What comes out: [`Splits`]. Each dataset is one
//! file with one line in [`DATASETS`], which the manifest's parser, the schema and the help read.
//! A loader says which files it reads before it reads them ([`files`]), so that a caller can
//! digest them; it leaves splitting for validation and the limit to [`load`].
//!
//! Sources: the splits of `StrategyQA` and `CommonsenseQA` are those of Ho et al. 2023 ("Large
//! Language Models Are Reasoning Teachers"), which the paper uses.

mod calculator;
mod columns;
mod commonsenseqa;
mod error;
mod file;
mod gsm8k;
mod hub;
mod hub_files;
#[cfg(test)]
mod hub_tests;
mod jsonl;
pub(crate) mod latent_world;
mod latent_world_params;
mod mapped;
pub(crate) mod microworld;
mod microworld_params;
mod near;
mod own_files;
mod params;
mod random;
#[cfg(test)]
pub(crate) mod reference;
mod split;
mod strategyqa;
mod text_source;

use std::fmt;
use std::path::PathBuf;

pub(crate) use columns::{AnswerColumn, ChoiceColumns, ChoiceLists, Columns, quoted};
pub(crate) use error::DatasetError;
pub(crate) use mapped::{Guess, Look, look};
pub(crate) use params::{AnswerFormParam, AnswerIs, BadRows, DataParams};
pub(crate) use text_source::{TextParams, pretraining_text};

use crate::fetch::{FetchError, Fetcher, OnProgress, PinnedFile};
use crate::input::{read_json, read_json_lines};
use crate::text::Question;

/// A dataset's questions.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Splits {
    /// To train on.
    pub train: Vec<Question>,
    /// Set apart from the training questions.
    pub validation: Vec<Question>,
    /// To measure on.
    pub test: Vec<Question>,
    /// Documents to pretrain on, where the dataset has some.
    pub text: Vec<String>,
    /// What is good to know about the data.
    pub notes: Vec<String>,
    /// What in the data may spoil results.
    pub warnings: Vec<String>,
}

/// A file that a loader reads.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DataFile {
    /// A public file by address and checksum.
    Pinned(PinnedFile),
    /// A file of the user's.
    Local(PathBuf),
}

impl DataFile {
    /// Where it is on disk, fetched if need be.
    ///
    /// # Errors
    /// It cannot be fetched.
    pub fn locate(&self, from: &DataSource<'_>) -> Result<PathBuf, FetchError> {
        match self {
            Self::Pinned(file) => from.fetcher.fetch(file, from.progress),
            Self::Local(path) => Ok(path.clone()),
        }
    }
}

impl fmt::Display for DataFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pinned(file) => f.write_str(&file.url),
            Self::Local(path) => path.display().fmt(f),
        }
    }
}

/// Where files come from, and who hears how it goes.
#[derive(Clone, Copy)]
pub struct DataSource<'a> {
    /// Brings files.
    pub fetcher: &'a Fetcher,
    /// Hears about downloads.
    pub progress: OnProgress<'a>,
}

/// A file of a dataset, and what it is there.
pub(crate) struct PartFile {
    /// The name under which its digest enters keys.
    pub role: String,
    /// The file.
    pub file: DataFile,
}

/// The files of a dataset, in the order in which it wants them.
#[derive(Default)]
pub(crate) struct Files {
    /// The files.
    pub files: Vec<PartFile>,
    /// What is good to know about where they are from.
    pub notes: Vec<String>,
}

impl Files {
    fn pinned(files: &[PinnedFile]) -> Self {
        Self::numbered(files.iter().cloned().map(DataFile::Pinned).collect())
    }

    /// Files that are known by their order.
    fn numbered(files: Vec<DataFile>) -> Self {
        let files = files.into_iter().enumerate();
        Self {
            files: files
                .map(|(index, file)| PartFile {
                    role: format!("file-{index}"),
                    file,
                })
                .collect(),
            notes: Vec::new(),
        }
    }
}

/// A file of a dataset that is here.
pub(crate) struct PartPath {
    /// As of [`PartFile`].
    pub role: String,
    /// Where it is.
    pub path: PathBuf,
}

/// A registered dataset.
pub(crate) struct DatasetKind {
    /// Its name in a manifest.
    pub name: &'static str,
    /// One line for help and schema.
    pub doc: &'static str,
    /// Refuses parameters that lack something or do not go together.
    check: fn(&DataParams) -> Result<(), DatasetError>,
    /// The files that it reads, in the order in which `load` wants them. May ask where they are.
    files: fn(&DataParams, &DataSource<'_>) -> Result<Files, DatasetError>,
    /// The questions, from those files.
    load: fn(&DataParams, &[PartPath]) -> Result<Splits, DatasetError>,
}

/// Every dataset.
pub(crate) static DATASETS: &[DatasetKind] = &[
    strategyqa::KIND,
    commonsenseqa::KIND,
    gsm8k::KIND,
    file::KIND,
    hub::KIND,
    jsonl::KIND,
    microworld::KIND,
    latent_world::KIND,
];

/// Checks that the parameters have what their dataset needs, and nothing that is another's.
///
/// # Errors
/// One is missing, is of another dataset, or has a value that this one does not take.
pub(crate) fn check(params: &DataParams) -> Result<(), DatasetError> {
    let name = params.dataset.kind().name;
    for (field, shown, datasets) in params.of_some_datasets() {
        if !datasets.contains(&name) {
            let reason = match datasets {
                _ if field.ends_with("path") => format!(
                    "{shown} is given, but dataset `{name}` has files of its own\nhint: leave `{field}` out, or set `dataset = \"file\"`"
                ),
                _ => format!(
                    "it is of no use to dataset `{name}`, but to `{}`\nhint: leave it out",
                    datasets.join("` and `")
                ),
            };
            return Err(DatasetError::Param { field, reason });
        }
    }
    (params.dataset.kind().check)(params)
}

/// The files that [`load`] reads for `params`.
///
/// # Errors
/// A parameter is missing or does not go with the others, or it cannot be had which files there are.
pub(crate) fn files(params: &DataParams, from: &DataSource<'_>) -> Result<Files, DatasetError> {
    check(params)?;
    (params.dataset.kind().files)(params, from)
}

/// Loads the questions.
///
/// # Errors
/// A file cannot be had or read, or its rows are not questions.
pub(crate) fn load(params: &DataParams, from: &DataSource<'_>) -> Result<Splits, DatasetError> {
    let Files { files, mut notes } = files(params, from)?;
    let paths = files
        .into_iter()
        .map(|PartFile { role, file }| {
            let path = file.locate(from)?;
            Ok(PartPath { role, path })
        })
        .collect::<Result<Vec<_>, FetchError>>()?;
    let mut splits = (params.dataset.kind().load)(params, &paths)?;
    notes.append(&mut splits.notes);
    splits.notes = notes;
    params.calculator.apply(&mut splits);
    split::carve_validation(&mut splits, params.validation_fraction, params.split_seed);
    split::warn_of_shared_questions(&mut splits);
    // Last, so that a trial has its questions on the sides on which the whole has them.
    if let Some(limit) = params.limit {
        for part in [&mut splits.train, &mut splits.validation, &mut splits.test] {
            part.truncate(limit);
        }
    }
    Ok(splits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_refused() {
        let params: DataParams = toml::from_str("dataset = \"gsm8k\"").unwrap();
        assert_eq!(params.dataset.to_string(), "gsm8k");
        let error = toml::from_str::<DataParams>("dataset = \"gsm8\"").unwrap_err();
        assert!(
            error
                .to_string()
                .contains("strategyqa, commonsenseqa, gsm8k"),
            "{error}"
        );
        let error = toml::from_str::<DataParams>("datset = \"gsm8k\"").unwrap_err();
        assert!(error.to_string().contains("datset"), "{error}");
    }

    #[test]
    fn the_schema_lists_every_dataset() {
        let schema = serde_json::to_string(&schemars::schema_for!(DataParams)).unwrap();
        for kind in DATASETS {
            assert!(
                schema.contains(kind.name) && schema.contains(kind.doc),
                "{}",
                kind.name
            );
        }
    }
}
