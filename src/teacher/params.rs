//! What a `teach` stage's teacher is declared by.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::http::{Budget, Endpoint, Mode};
use super::{RECORDINGS, RecordingKind, cot};
use crate::text::{PromptSpec, Reading};

/// Whose reasoning paths to learn from. Fields say which source they belong to.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct TeachParams {
    /// Where the paths come from. Default `recorded`.
    pub source: TeachSource,
    /// `recorded` only: which recording. Default `strategyqa-text-davinci-002`.
    pub recording: RecordingName,
    /// Recordings `completions` and `jsonl` only: the file, as a path or an https URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Recordings `completions` and `jsonl` only: the teacher's name for tables. Default: as the
    /// file says, or the file's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub teacher: Option<String>,
    /// `http` only: the server and the model to ask.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Endpoint>,
    /// `http` only: the prompt (docs/prompts.md). Default `paper`: `Question: {q} Answer: Let's think step by step.`
    /// (paper, II). `ho-et-al-2023` is `Q: {q}\nA: Let's think step by step.`; anything else is a
    /// text of your own with a place for `{question}`, whose options, if it has any, are in it.
    pub prompt: PromptSpec,
    /// `http` only: what asks for the answer after the reasoning, in a second request. Default
    /// `Therefore, the answer is` (Ho et al. 2023). Empty: it is not asked for, and is read out of the
    /// reasoning.
    pub answer_prompt: String,
    /// By which rule answers are read, to tell where next to none can be (docs/answers.md). Default `standard` (ours). Not
    /// in the key: the paths are the same.
    pub reading: Reading,
    /// `http` only: one by one, or as files through the provider's batch interface. Default `online`.
    /// Not in the key.
    pub mode: Mode,
    /// `http` only: what may be spent. Default: no limit. Not in the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
}

impl Default for TeachParams {
    fn default() -> Self {
        Self {
            source: TeachSource::Recorded,
            recording: RecordingName::default(),
            path: None,
            teacher: None,
            endpoint: None,
            prompt: PromptSpec::template(cot::PAPER),
            answer_prompt: cot::ANSWER_PROMPT.to_owned(),
            reading: Reading::default(),
            mode: Mode::Online,
            budget: None,
        }
    }
}

impl TeachParams {
    /// Fields that hold local paths: a key has the files' digests in their place.
    pub(crate) const PATH_FIELDS: &[&str] = &["path"];
}

/// Where a teacher's paths come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum TeachSource {
    /// They were written earlier, and published or kept.
    #[default]
    Recorded,
    /// A model behind an OpenAI-compatible server writes them: zero-shot chain of thought (paper, II).
    Http,
}

/// The name of a recording that is registered in [`RECORDINGS`].
#[derive(Clone, Copy)]
pub(crate) struct RecordingName(&'static RecordingKind);

impl RecordingName {
    /// The recording called `name`, if there is one.
    pub(crate) fn find(name: &str) -> Option<Self> {
        RECORDINGS.iter().find(|kind| kind.name == name).map(Self)
    }

    /// What is registered under the name.
    pub(crate) fn kind(self) -> &'static RecordingKind {
        self.0
    }
}

impl Default for RecordingName {
    fn default() -> Self {
        Self(&RECORDINGS[0])
    }
}

impl PartialEq for RecordingName {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.0, other.0)
    }
}

impl Eq for RecordingName {}

impl fmt::Debug for RecordingName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name)
    }
}

impl fmt::Display for RecordingName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name)
    }
}

impl Serialize for RecordingName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.name)
    }
}

impl<'de> Deserialize<'de> for RecordingName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::find(&name).ok_or_else(|| {
            let known: Vec<&str> = RECORDINGS.iter().map(|kind| kind.name).collect();
            serde::de::Error::custom(format!(
                "unknown recording `{name}`, expected one of {}",
                known.join(", ")
            ))
        })
    }
}

impl JsonSchema for RecordingName {
    fn schema_name() -> Cow<'static, str> {
        "RecordingName".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let each: Vec<Schema> = RECORDINGS
            .iter()
            .map(|kind| json_schema!({ "const": kind.name, "type": "string", "description": kind.doc }))
            .collect();
        json_schema!({ "description": "A registered recording of a teacher.", "oneOf": each })
    }
}
