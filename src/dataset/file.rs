//! A data set of one's own, in any of the forms that tables come in.

use std::path::PathBuf;

use super::jsonl::gather::{Part, agree};
use super::mapped::{Reader, UNDIVIDED};
use super::own_files::{self, OwnFiles};
use super::{
    DataFile, DataParams, DatasetError, DatasetKind, Files, PartFile, PartPath, Splits, split,
};
use crate::input::TableForm;

pub(super) const KIND: DatasetKind = DatasetKind {
    name: "file",
    doc: "your own questions as JSON lines or array, CSV, TSV or Parquet, in a known layout or by `columns`",
    check: |params| {
        let (OwnFiles::One(_) | OwnFiles::BySplit(_)) = own_files::named(params)?;
        Ok(())
    },
    files: |params, _| {
        let files = match own_files::named(params)? {
            OwnFiles::One(path) => vec![part_file(ALL, 0, DataFile::Local(path))],
            OwnFiles::BySplit(paths) => {
                let each = paths.into_iter();
                each.map(|(part, path)| part_file(part, 0, DataFile::Local(path)))
                    .collect()
            }
        };
        Ok(Files {
            files,
            notes: Vec::new(),
        })
    },
    load,
};

/// The part of a file that is split here.
const ALL: &str = "all";

/// The `number`th file of a part. Its role says what decides, beside its bytes, how it is read.
pub(super) fn part_file(part: &str, number: usize, file: DataFile) -> PartFile {
    let form = match &file {
        DataFile::Local(path) => TableForm::key_of(path),
        DataFile::Pinned(pinned) => TableForm::key_of(pinned.url.as_ref().as_ref()),
    };
    PartFile {
        role: format!("{part}/{number}.{form}"),
        file,
    }
}

/// The questions of files that [`part_file`] named.
pub(super) fn load(params: &DataParams, files: &[PartPath]) -> Result<Splits, DatasetError> {
    let mut reader = Reader::new(params);
    let mut warnings = Vec::new();
    let mut read = |part: &str, called: &str| -> Result<Vec<_>, DatasetError> {
        let is_of = |file: &&PartPath| file.role.split('/').next() == Some(part);
        let paths: Vec<PathBuf> = files.iter().filter(is_of).map(|f| f.path.clone()).collect();
        if paths.is_empty() {
            return Ok(Vec::new());
        }
        let read = reader.questions(called, &paths)?;
        warnings.extend(read.warnings);
        Ok(read.questions)
    };
    let all = read(ALL, UNDIVIDED)?;
    let (mut train, mut validation, mut test) = (
        read("train", "train")?,
        read("validation", "validation")?,
        read("test", "test")?,
    );
    let mut notes = Vec::new();
    if all.is_empty() {
        let fields = if params.dataset.kind().name == KIND.name {
            ["train_path", "validation_path", "test_path"]
        } else {
            ["splits.train", "splits.validation", "splits.test"]
        };
        let names = ["train", "validation", "test"];
        let each = [&mut train, &mut validation, &mut test];
        let mut parts: Vec<Part<'_>> = each
            .into_iter()
            .zip(names)
            .zip(fields)
            .map(|((questions, name), field)| Part {
                name,
                field,
                questions,
            })
            .collect();
        notes.extend(agree(&mut parts, "two splits")?);
    } else {
        (train, test) = split::set_apart(all, params.test_fraction, params.split_seed);
    }
    notes.splice(0..0, reader.notes);
    warnings.splice(0..0, reader.warnings);
    Ok(Splits {
        train,
        validation,
        test,
        notes,
        warnings,
        ..Splits::default()
    })
}
