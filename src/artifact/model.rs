//! A student as an artifact: the files of its Hub-format folder by content.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::key::{Digest, canonical_json};
use crate::text::{ChoiceAnswer, PromptForm};

/// A folder in Hub format whose files are objects in the store.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ModelFolder {
    /// Each file's content digest, by name.
    pub files: BTreeMap<String, Digest>,
    /// The prompt that it was trained to answer; a pretrained student is asked `... Answer:`.
    pub prompt: PromptForm,
    /// How it was trained to write a multiple-choice answer.
    #[serde(default)]
    pub choice_answer: ChoiceAnswer,
}

impl ModelFolder {
    /// Identifies what the student computes: its configuration, weights and tokenizer, whatever it
    /// was trained for and whatever else lies in its folder.
    pub fn identity(&self) -> Digest {
        let counts =
            |name: &str| !["generation_config.json", "special_tokens_map.json"].contains(&name);
        let files: BTreeMap<_, _> = self.files.iter().filter(|(name, _)| counts(name)).collect();
        let files = serde_json::to_value(files).expect("digests by name are JSON");
        Digest::of(canonical_json(&files).as_bytes())
    }
}
