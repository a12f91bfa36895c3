//! A student as an artifact: the files of its Hub-format folder by content.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::key::{Digest, canonical_json};
use crate::text::PromptForm;

/// A folder in Hub format whose files are objects in the store.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ModelFolder {
    /// Each file's content digest, by name.
    pub files: BTreeMap<String, Digest>,
    /// The prompt that it was trained to answer; a pretrained student is asked `... Answer:`.
    pub prompt: PromptForm,
}

impl ModelFolder {
    /// Identifies what the student computes: the digest of its files, whatever it was trained for.
    pub fn identity(&self) -> Digest {
        let files = serde_json::to_value(&self.files).expect("digests by name are JSON");
        Digest::of(canonical_json(&files).as_bytes())
    }
}
