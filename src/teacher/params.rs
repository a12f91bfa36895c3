//! What a `teach` stage's teacher is declared by.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{RECORDINGS, RecordingKind};

/// Whose reasoning paths to learn from.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TeachParams {
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
}

impl TeachParams {
    /// Fields that hold local paths: a key has the files' digests in their place.
    pub const PATH_FIELDS: &[&str] = &["path"];
}

/// Where a teacher's paths come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TeachSource {
    /// They were written earlier, and published or kept.
    #[default]
    Recorded,
}

/// The name of a recording that is registered in [`RECORDINGS`].
#[derive(Clone, Copy)]
pub struct RecordingName(&'static RecordingKind);

impl RecordingName {
    /// The recording called `name`, if there is one.
    pub fn find(name: &str) -> Option<Self> {
        RECORDINGS.iter().find(|kind| kind.name == name).map(Self)
    }

    /// What is registered under the name.
    pub fn kind(self) -> &'static RecordingKind {
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
