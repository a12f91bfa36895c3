//! `[data]` and `[student]` of a new manifest, after a look at what they name.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::mapping::{self, Mapping};
use crate::cli::exit::{Failure, whole};
use crate::dataset::{DataParams, DataSource, Splits, load, quoted};
use crate::fetch::{FetchOptions, Fetcher};
use crate::input::nearest;
use crate::model::{Student, is_gguf};
use crate::report::form_name;
use crate::text::printable;

/// Data sets that need no file, each with the recording of its teacher.
pub(super) const NAMED: &[(&str, Recording)] = &[
    (
        "microworld",
        Recording {
            name: "microworld-solver",
            words: "the world's exact solver",
        },
    ),
    (
        "latent-world",
        Recording {
            name: "latent-world-solver",
            words: "the world's exact solver",
        },
    ),
    (
        "strategyqa",
        Recording {
            name: "strategyqa-text-davinci-002",
            words: "recorded chains of thought (Ho et al. 2023)",
        },
    ),
    (
        "commonsenseqa",
        Recording {
            name: "commonsenseqa-palm-540b",
            words: "recorded chains of thought",
        },
    ),
    (
        "gsm8k",
        Recording {
            name: "reference-solutions",
            words: "the data set's own solutions",
        },
    ),
];

/// A teacher's recording.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Recording {
    pub(super) name: &'static str,
    /// What it is, for a comment.
    pub(super) words: &'static str,
}

/// The section `[data]`.
pub(super) struct DataSection {
    /// What titles call it.
    pub(super) title: String,
    /// The section.
    pub(super) text: String,
    /// Who teaches, if anybody did already.
    pub(super) recording: Option<Recording>,
    /// What was found, for the person.
    pub(super) told: Vec<String>,
}

/// What is said where no data set was named.
pub(super) fn no_data() -> DataSection {
    let (name, recording) = &NAMED[0];
    DataSection {
        title: "a generated world".to_owned(),
        text: format!(
            "\n# No data set was named, so this is a generated one. For a table of your own:\n# `dataset = \"file\"` and its `path` (docs/data.md), or once more\n# `sert-run init --data FILE`.\n[data]\ndataset = \"{name}\"\n{MORE}"
        ),
        recording: Some(recording.clone()),
        told: vec![
            "no data set was named (--data FILE): the manifest has a generated one".to_owned(),
        ],
    }
}

/// A data set that needs no file, or `None`.
pub(super) fn named(name: &str) -> Option<DataSection> {
    let (name, recording) = NAMED.iter().find(|(known, _)| *known == name)?;
    Some(DataSection {
        title: (*name).to_owned(),
        text: format!("\n[data]\ndataset = \"{name}\"\n{MORE}"),
        recording: Some(recording.clone()),
        told: Vec::new(),
    })
}

/// The user's own tables.
pub(super) struct Own<'a> {
    pub(super) path: &'a Path,
    /// To measure on; else `path` is split.
    pub(super) test: Option<&'a Path>,
    /// Where the manifest will be, which paths in it are relative to.
    pub(super) folder: &'a Path,
}

impl Own<'_> {
    /// Refuses what is no file.
    pub(super) fn check(&self) -> Result<(), Failure> {
        for path in [Some(self.path), self.test].into_iter().flatten() {
            if !path.exists() {
                let shown = path.display();
                let names = NAMED.iter().map(|(name, _)| *name);
                let hint = match nearest(&path.to_string_lossy(), names.clone()) {
                    Some(name) => format!("did you mean the data set `{name}`?"),
                    None => format!(
                        "a table of questions, or one of {}; of the hub: `dataset = \"hub\"`, docs/data.md",
                        names.collect::<Vec<_>>().join(", ")
                    ),
                };
                return Err(Failure::usage(format!(
                    "there is no file `{shown}`\nhint: {hint}"
                )));
            }
        }
        Ok(())
    }

    /// Reads the questions by `mapping`, so that the manifest is right when it is written.
    pub(super) fn section(&self, mapping: &Mapping) -> Result<DataSection, Failure> {
        let splits = self.questions(mapping)?;
        let rows = mapping.rows;
        let [path, test] = [Some(self.path), self.test].map(|path| self.written(path));
        let mut text = "\n[data] # docs/data.md\ndataset = \"file\"\n".to_owned();
        let path = path.unwrap_or_default();
        let _ = match test {
            None => write!(
                text,
                "path = {path} # {rows} rows\ntest_fraction = 0.3 # the share to measure on: {} of them\n",
                splits.test.len()
            ),
            Some(test) => write!(
                text,
                "train_path = {path} # {rows} rows\ntest_path = {test} # {}\n",
                splits.test.len()
            ),
        };
        text += MORE;
        text += &mapping.text();
        let train = &splits.train;
        let solved = train.iter().filter(|q| q.rationale.is_some()).count();
        let mut told = vec![format!(
            "{}: {rows} rows; {} questions to train on, {} to measure on; answers: {}",
            printable(&self.path.display().to_string()),
            train.len(),
            splits.test.len(),
            train
                .first()
                .map_or("none", |question| form_name(question.form)),
        )];
        told.extend(mapping.told());
        if train.is_empty() || splits.test.is_empty() {
            told.push(
                "warning: a part has no questions; give more rows, or --test FILE".to_owned(),
            );
        }
        let warnings = splits.warnings.iter();
        told.extend(warnings.map(|warning| format!("warning: {}", printable(warning))));
        if solved > 0 {
            told.push(format!(
                "{solved} questions have a worked solution: those are the teacher's paths"
            ));
        }
        let title = self.path.file_stem().unwrap_or_default().to_string_lossy();
        Ok(DataSection {
            title: title.into_owned(),
            text,
            recording: (solved > 0).then_some(Recording {
                name: "reference-solutions",
                words: "the rows' own worked solutions",
            }),
            told,
        })
    }

    fn questions(&self, mapping: &Mapping) -> Result<Splits, Failure> {
        let mut params = json!({ "dataset": "file" });
        match self.test {
            None => params["path"] = json!(self.path),
            Some(test) => {
                params["train_path"] = json!(self.path);
                params["test_path"] = json!(test);
            }
        }
        if let Some(columns) = mapping.declared() {
            params["columns"] = json!(columns);
        }
        let params: DataParams = serde_json::from_value(params).map_err(anyhow::Error::from)?;
        let fetcher = Fetcher::new(FetchOptions {
            offline: true, // files of the user's are here
            ..FetchOptions::from_env("cache")
        });
        let from = DataSource {
            fetcher: &fetcher,
            progress: &|_| {},
        };
        load(&params, &from).map_err(|error| {
            let told = whole(&error.into());
            Failure::usage(match mapping.declared() {
                Some(_) => format!("{told}\n{}", mapping::hint(&mapping.columns)),
                None => told,
            })
        })
    }

    /// A path as the manifest has it.
    fn written(&self, path: Option<&Path>) -> Option<String> {
        Some(quoted(&led_from(self.folder, path?).to_string_lossy()))
    }
}

/// The section `[student]` for `model`; the paper's where none was named.
pub(super) fn student(model: Option<&str>, folder: &Path) -> Result<String, Failure> {
    let mut text = String::from("\n[student]\n");
    let Some(model) = model else {
        text += "# Of the Hugging Face hub, a folder in its format, or a GGUF file\n# (docs/students.md); `sert-run student MODEL` says what one is.\nmodel = \"openai-community/gpt2\" # the paper's\n";
        text += ABOUT_PROMPTS;
        return Ok(text);
    };
    let local = Path::new(model);
    let is_local = local.exists() || model.starts_with(['.', '/']) || is_gguf(local);
    let model = if is_local {
        Student::open(local).map_err(|error| {
            Failure::usage(format!(
                "{}\nhint: `--student` takes a model of the hub, a folder in its format or a GGUF file; docs/students.md",
                whole(&anyhow::Error::from(crate::stage::StageError::from(error)))
            ))
        })?;
        led_from(folder, local).to_string_lossy().into_owned()
    } else {
        model.to_owned()
    };
    let _ = writeln!(text, "model = {}", quoted(&model));
    text += ABOUT_PROMPTS;
    Ok(text)
}

const ABOUT_PROMPTS: &str =
    "# prompt = \"answer\" # \"chat\" for an instruct model (docs/prompts.md)\n";
/// Fields of any data set.
const MORE: &str = "# validation_fraction = 0.1 # of the training questions, to choose thresholds by\n# limit = 50 # the first so many questions of each part, for trials\n";

/// A path of the command line as a manifest in `folder` names the same file.
fn led_from(folder: &Path, path: &Path) -> PathBuf {
    match path.strip_prefix(folder) {
        Ok(below) => below.to_owned(),
        _ if path.is_absolute() || folder == Path::new(".") => path.to_owned(),
        Err(_) => path.canonicalize().unwrap_or_else(|_| path.to_owned()),
    }
}
