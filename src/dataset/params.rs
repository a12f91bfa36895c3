//! What a manifest's `[data]` table holds.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::calculator::Calculator;
use super::columns::Columns;
use super::latent_world_params::LatentWorldParams;
use super::microworld_params::MicroworldParams;
use super::{DATASETS, DatasetKind};

/// Which questions to use, and how they are split.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct DataParams {
    /// The dataset. Default `strategyqa`.
    pub dataset: DatasetName,
    /// `file` and `jsonl` only: one file with all rows, split by `test_fraction`. A row of `jsonl` is an object with
    /// `question`, `answer` (or `answerKey`) and optionally `id`, `choices`, `rationale`; one of `file` has the `columns`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// `file` and `jsonl` only: the file of training rows, instead of `path`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub train_path: Option<PathBuf>,
    /// `file` and `jsonl` only: the file of test rows, instead of `path`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_path: Option<PathBuf>,
    /// `file` only: the file of validation rows, beside `train_path` and `test_path`. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation_path: Option<PathBuf>,
    /// `hub` only: the data set on the Hugging Face hub, `owner/name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// `hub` only: its configuration (subset), for example `ARC-Challenge`. Default: its only one, or the one it calls default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<String>,
    /// `hub` only: the commit, 40 hexadecimal digits; or a branch or tag, which is taken as it was when first fetched, and told.
    /// Default `main`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// `hub` only: which splits to read. Default: `{ train = "train", test = "test" }`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub splits: Option<HubSplits>,
    /// `file` and `hub` only: which columns hold what. Default: what the layout is known to have (docs/data.md lists those).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub columns: Option<Columns>,
    /// `file` and `hub` only: what a row that is no question does. Default `fail`.
    #[serde(skip_serializing_if = "BadRows::is_fail")]
    pub bad_rows: BadRows,
    /// What becomes of marks for a calculator in worked solutions, as GSM8K has them: `48/2 = <<48/2=24>>24`. Default `keep`, as
    /// the paper that published them trained (Cobbe et al. 2021).
    #[serde(skip_serializing_if = "Calculator::is_keep")]
    pub calculator: Calculator,
    /// `file` and `jsonl` with `path` only: share of the rows that become test questions, 0 to 1.
    /// Default 0.3, the share of the paper's `strategyqa` split (Ho et al. 2023).
    #[schemars(range(min = 0.0, max = 1.0))]
    pub test_fraction: f64,
    /// `file`, `hub` and `jsonl` only: the form of the answers. Default `auto`: choices make it `choice`; else
    /// yes and no make it `yes-no`, numbers `number`, anything else `text`.
    pub answer_form: AnswerFormParam,
    /// `file`, `hub` and `jsonl` only: what the answer of a row with choices is. Default `auto`: whatever makes it one of the choices;
    /// an answer that could be two of them is an error that shows both.
    pub answer_is: AnswerIs,
    /// Share of the training questions set apart for validation, 0 to 1. Default 0: the paper
    /// trains on all of them.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub validation_fraction: f64,
    /// Decides which questions are set apart: they are ranked by a hash of this seed and their
    /// id. Default 0 (ours).
    pub split_seed: u64,
    /// The first so many questions of each split, after the split; for trials. Default: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub limit: Option<usize>,
    /// `microworld` only: the world and its questions.
    pub microworld: MicroworldParams,
    /// `latent-world` only: the world, its questions and its text.
    pub latent_world: LatentWorldParams,
}

impl DataParams {
    /// Fields that say where files are: a key has the files' digests in their place, by split.
    pub(crate) const PLACE_FIELDS: &[&str] = &[
        "path",
        "train_path",
        "test_path",
        "validation_path",
        "id",
        "config",
        "revision",
        "splits",
    ];

    /// The fields that are set and that only some datasets have a use for: each as a message shows it, and those datasets.
    pub(super) fn of_some_datasets(&self) -> Vec<(&'static str, String, &'static [&'static str])> {
        const FILES: &[&str] = &["file", "jsonl"];
        const FILE: &[&str] = &["file"];
        const HUB: &[&str] = &["hub"];
        const TABLES: &[&str] = &["file", "hub"];
        const SOLVED: &[&str] = &["gsm8k", "file", "hub", "jsonl"];
        let paths = self.own_files().into_iter().map(|(field, path)| {
            let of = if field == "validation_path" {
                FILE
            } else {
                FILES
            };
            (field, format!("`{}`", path.display()), of)
        });
        let others = [
            ("id", self.id.is_some(), HUB),
            ("config", self.config.is_some(), HUB),
            ("revision", self.revision.is_some(), HUB),
            ("splits", self.splits.is_some(), HUB),
            ("columns", self.columns.is_some(), TABLES),
            ("bad_rows", self.bad_rows != BadRows::Fail, TABLES),
            ("calculator", self.calculator != Calculator::Keep, SOLVED),
        ];
        let others = others.into_iter().filter(|(_, set, _)| *set);
        paths
            .chain(others.map(|(field, _, of)| (field, String::new(), of)))
            .collect()
    }

    /// The user's files that are named, each with its field.
    pub(crate) fn own_files(&self) -> Vec<(&'static str, &PathBuf)> {
        let fields = [
            ("path", &self.path),
            ("train_path", &self.train_path),
            ("test_path", &self.test_path),
            ("validation_path", &self.validation_path),
        ];
        let named = fields.into_iter();
        named
            .filter_map(|(field, path)| Some((field, path.as_ref()?)))
            .collect()
    }
}

impl Default for DataParams {
    fn default() -> Self {
        Self {
            dataset: DatasetName::default(),
            path: None,
            train_path: None,
            test_path: None,
            validation_path: None,
            id: None,
            config: None,
            revision: None,
            splits: None,
            columns: None,
            bad_rows: BadRows::Fail,
            calculator: Calculator::Keep,
            test_fraction: 0.3,
            answer_form: AnswerFormParam::Auto,
            answer_is: AnswerIs::Auto,
            validation_fraction: 0.0,
            split_seed: 0,
            limit: None,
            microworld: MicroworldParams::default(),
            latent_world: LatentWorldParams::default(),
        }
    }
}

/// Which splits of a data set on the hub to read: the names that it gives them, or patterns of files such as
/// `data/train-*.parquet`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct HubSplits {
    /// To train on. Default `train`.
    pub train: String,
    /// Set apart from them. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation: Option<String>,
    /// To measure on. Default `test`.
    pub test: String,
}

impl Default for HubSplits {
    fn default() -> Self {
        Self {
            train: "train".to_owned(),
            validation: None,
            test: "test".to_owned(),
        }
    }
}

/// What a row that is no question does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum BadRows {
    /// It is an error.
    #[default]
    Fail,
    /// It is left out, and counted in a warning.
    Drop,
}

impl BadRows {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
    fn is_fail(&self) -> bool {
        *self == Self::Fail
    }
}

/// How a dataset of one's own wants its answers read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum AnswerFormParam {
    /// As the rows look; rows of different forms are an error.
    #[default]
    Auto,
    /// `yes` or `no` (or `true` or `false`).
    YesNo,
    /// A label or the text of one of the row's choices.
    Choice,
    /// A number, in any notation that docs/answers.md has.
    Number,
    /// Free text.
    Text,
}

/// What the answer of a row with choices is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum AnswerIs {
    /// Whatever makes it one of the choices: its label, its text, or its index from 0 as MMLU and `HellaSwag` have it.
    #[default]
    Auto,
    /// The text of a choice.
    Text,
    /// The label of a choice: the row's own, else A, B, ... or 1, 2, ...
    Label,
    /// The place of a choice, counted from 0.
    Index,
}

impl AnswerIs {
    /// As a manifest writes it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Text => "text",
            Self::Label => "label",
            Self::Index => "index",
        }
    }
}

/// The name of a dataset that is registered in [`DATASETS`].
#[derive(Clone, Copy)]
pub(crate) struct DatasetName(&'static DatasetKind);

impl DatasetName {
    /// The dataset called `name`, if there is one.
    pub(crate) fn find(name: &str) -> Option<Self> {
        DATASETS.iter().find(|kind| kind.name == name).map(Self)
    }

    /// What is registered under the name.
    pub(crate) fn kind(self) -> &'static DatasetKind {
        self.0
    }
}

impl Default for DatasetName {
    fn default() -> Self {
        Self(&DATASETS[0])
    }
}

impl PartialEq for DatasetName {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.0, other.0)
    }
}

impl Eq for DatasetName {}

impl fmt::Debug for DatasetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name)
    }
}

impl fmt::Display for DatasetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name)
    }
}

impl Serialize for DatasetName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.name)
    }
}

impl<'de> Deserialize<'de> for DatasetName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::find(&name).ok_or_else(|| {
            let known: Vec<&str> = DATASETS.iter().map(|kind| kind.name).collect();
            serde::de::Error::custom(format!(
                "unknown dataset `{name}`, expected one of {}",
                known.join(", ")
            ))
        })
    }
}

impl JsonSchema for DatasetName {
    fn schema_name() -> Cow<'static, str> {
        "DatasetName".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let each: Vec<Schema> = DATASETS
            .iter()
            .map(|kind| json_schema!({ "const": kind.name, "type": "string", "description": kind.doc }))
            .collect();
        json_schema!({ "description": "A registered dataset.", "oneOf": each })
    }
}
