//! What form a file has: its name says so, and its first bytes are held against that.

use std::path::Path;

use crate::input::{InputError, looks_like_json};

/// The form of a file of rows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TableForm {
    /// One JSON object a line, or one array of objects.
    Json {
        /// How the file is packed.
        packed: Packed,
    },
    /// Rows of fields, named by the first.
    Delimited {
        /// What stands between two fields.
        by: u8,
        /// How the file is packed.
        packed: Packed,
    },
    /// Parquet, which packs its own pages.
    Parquet,
}

/// How a file of text is packed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Packed {
    /// It is not.
    Plain,
    /// By gzip.
    Gzip,
    /// By zstd.
    Zstd,
}

/// The endings of files of rows, the name of the form, and its name in keys.
const ENDINGS: &[(&str, TableForm, &str)] = &[
    ("jsonl", JSON, "json"),
    ("ndjson", JSON, "json"),
    ("json", JSON, "json"),
    ("csv", CSV, "csv"),
    ("tsv", TSV, "tsv"),
    ("parquet", TableForm::Parquet, "parquet"),
];
const JSON: TableForm = TableForm::Json {
    packed: Packed::Plain,
};
const CSV: TableForm = TableForm::Delimited {
    by: b',',
    packed: Packed::Plain,
};
const TSV: TableForm = TableForm::Delimited {
    by: b'\t',
    packed: Packed::Plain,
};
/// What a Parquet file begins and ends with.
const PARQUET: &[u8] = b"PAR1";
const GZIP: &[u8] = b"\x1f\x8b";
const ZSTD: &[u8] = b"\x28\xb5\x2f\xfd";
/// As messages list them.
const EXPECTED: &str =
    "expected .jsonl, .ndjson, .json, .csv, .tsv (each also with .gz or .zst) or .parquet";

impl TableForm {
    /// The form that the name of `path` says.
    ///
    /// # Errors
    /// It says none.
    pub(crate) fn of(path: &Path) -> Result<Self, InputError> {
        Self::named(path).map(|(form, _)| form).ok_or_else(|| {
            let ending = path.extension().map_or_else(
                || "its name has no ending that says what it is".to_owned(),
                |ending| format!("its name ends in `.{}`", ending.display()),
            );
            InputError::of_file(path, format!("{ending}; {EXPECTED}"))
                .hint("name the file after what it holds")
        })
    }

    /// The name of the form of `path` in keys: what decides, beside the bytes, how they are read.
    pub(crate) fn key_of(path: &Path) -> &'static str {
        Self::named(path).map_or("unknown", |(_, key)| key)
    }

    fn named(path: &Path) -> Option<(Self, &'static str)> {
        let name = path.file_name()?.to_str()?.to_lowercase();
        let (stem, packed) = [("gz", Packed::Gzip), ("zst", Packed::Zstd)]
            .into_iter()
            .find_map(|(ending, packed)| {
                let stem = name.strip_suffix(ending)?.strip_suffix('.')?;
                Some((stem, packed))
            })
            .unwrap_or((&name, Packed::Plain));
        let (_, ending) = stem.rsplit_once('.')?;
        let (_, form, key) = ENDINGS.iter().find(|(known, ..)| *known == ending)?;
        let form = match *form {
            Self::Json { .. } => Self::Json { packed },
            Self::Delimited { by, .. } => Self::Delimited { by, packed },
            // Its pages are packed one by one; a packed whole is nobody's form.
            Self::Parquet if packed == Packed::Plain => Self::Parquet,
            Self::Parquet => return None,
        };
        Some((form, key))
    }

    /// How the file is packed.
    pub(super) fn packed(self) -> Packed {
        match self {
            Self::Json { packed } | Self::Delimited { packed, .. } => packed,
            Self::Parquet => Packed::Plain,
        }
    }

    /// As messages name it.
    fn name(self) -> &'static str {
        match self {
            Self::Json { .. } => "JSON",
            Self::Delimited { by: b'\t', .. } => "TSV",
            Self::Delimited { .. } => "CSV",
            Self::Parquet => "Parquet",
        }
    }

    /// Refuses bytes, unpacked, that are plainly of another form.
    pub(super) fn check(self, path: &Path, bytes: &[u8]) -> Result<(), InputError> {
        let is = |what: &str, ending: &str| {
            let what = format!("its name says {}, but it is {what}", self.name());
            Err(InputError::of_file(path, what).hint(format!("name it `*{ending}`")))
        };
        match self {
            Self::Parquet if bytes.starts_with(PARQUET) => Ok(()),
            Self::Parquet => {
                let head = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]);
                if looks_like_json(&head) {
                    return is("JSON", ".jsonl");
                }
                let what = "its name says Parquet, but it does not begin as Parquet does";
                Err(InputError::of_file(path, what)
                    .hint("fetch the file itself, or name it after what it holds"))
            }
            _ if bytes.starts_with(PARQUET) => is("a Parquet file", ".parquet"),
            _ if self.packed() == Packed::Plain && bytes.starts_with(GZIP) => {
                is("packed by gzip", ".gz")
            }
            _ if self.packed() == Packed::Plain && bytes.starts_with(ZSTD) => {
                is("packed by zstd", ".zst")
            }
            Self::Delimited { .. } => {
                let head = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]);
                let json = looks_like_json(head.trim_start_matches('\u{feff}'));
                if json { is("JSON", ".jsonl") } else { Ok(()) }
            }
            Self::Json { .. } => {
                let head = String::from_utf8_lossy(&bytes[..bytes.len().min(4096)]);
                let first = head.trim_start_matches('\u{feff}').trim_start();
                let first = first.lines().next().unwrap_or_default();
                let word = first.starts_with(|c: char| c.is_alphabetic() || c == '"');
                match () {
                    () if word && first.contains('\t') => is("rows between tabs", ".tsv"),
                    () if word && first.contains(',') => is("rows between commas", ".csv"),
                    () => Ok(()),
                }
            }
        }
    }
}
