//! A student as an artifact: the files of its Hub-format folder by content.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::key::{Digest, canonical_json};
use crate::model::{ADAPTER_CONFIG, Student};
use crate::text::{ChoiceAnswer, END_OF_TEXT, PromptSpec};

/// A folder in Hub format whose files are objects in the store. That of a model with a low-rank adapter has the files of the
/// model that the adapter was trained beside, which the store holds once, and the adapter's, as PEFT names them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ModelFolder {
    /// Each file's content digest, by name.
    pub files: BTreeMap<String, Digest>,
    /// The prompt that it was trained to answer; a pretrained student is asked `... Answer:`.
    pub prompt: PromptSpec,
    /// How it was trained to write a multiple-choice answer.
    #[serde(default)]
    pub choice_answer: ChoiceAnswer,
    /// How its texts begin and end.
    #[serde(default, skip_serializing_if = "TextMarks::are_plain")]
    pub marks: TextMarks,
}

/// How a student's texts begin and end, where it is otherwise than GPT-2's. The files say it too; said here, it is in
/// the keys of what is made with the student, and files that say nothing else stay out of them.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct TextMarks {
    /// What the tokenizer puts before every text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prefix: Vec<u32>,
    /// The tokens that end a text, where the tokenizer's end of text is not the only one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ends: Vec<u32>,
    /// The end of text that closes training texts, where it is not `<|endoftext|>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_of_text: Option<String>,
}

impl TextMarks {
    /// Those of `student`.
    pub fn of<W>(student: &Student<W>) -> Self {
        let (tokenizer, ends) = (&student.tokenizer, student.vocabulary.ends());
        let more = ends != [tokenizer.eos_id()];
        let other = tokenizer.eos_token() != END_OF_TEXT;
        Self {
            prefix: tokenizer.prefix().to_vec(),
            ends: if more { ends.to_vec() } else { Vec::new() },
            end_of_text: other.then(|| tokenizer.eos_token().to_owned()),
        }
    }

    /// Whether they are GPT-2's.
    pub fn are_plain(&self) -> bool {
        *self == Self::default()
    }
}

/// Files of a folder that no number depends on, or (of ends) only what [`TextMarks`] say.
const CARRIED_ALONG: [&str; 4] = [
    "chat_template.jinja",
    "chat_template.json",
    "generation_config.json",
    "special_tokens_map.json",
];

impl ModelFolder {
    /// Whether it has an adapter, which whoever takes its weights adds to them.
    pub fn is_adapted(&self) -> bool {
        self.files.contains_key(ADAPTER_CONFIG)
    }

    /// Identifies what the student computes: its configuration, weights and tokenizer, whatever it
    /// was trained for and whatever else lies in its folder.
    pub fn identity(&self) -> Digest {
        let counts = |name: &str| !CARRIED_ALONG.contains(&name);
        let files: BTreeMap<_, _> = self.files.iter().filter(|(name, _)| counts(name)).collect();
        let files = serde_json::to_value(files).expect("digests by name are JSON");
        Digest::of(canonical_json(&files).as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_and_files_that_are_carried_along_leave_an_old_folder_as_it_was() {
        let folder = |names: &[&str]| ModelFolder {
            files: names
                .iter()
                .map(|name| ((*name).to_owned(), Digest::of(name.as_bytes())))
                .collect(),
            prompt: PromptSpec::default(),
            choice_answer: ChoiceAnswer::Letter,
            marks: TextMarks::default(),
        };
        let plain = folder(&["config.json", "model.safetensors", "tokenizer.json"]);
        let written = serde_json::to_value(&plain).unwrap();
        let keys: Vec<&String> = written.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["files", "prompt", "choice_answer"]);
        assert_eq!(
            serde_json::from_value::<ModelFolder>(written).unwrap(),
            plain
        );
        let more = [
            "chat_template.jinja",
            "config.json",
            "generation_config.json",
            "model.safetensors",
            "special_tokens_map.json",
            "tokenizer.json",
        ];
        assert_eq!(folder(&more).identity(), plain.identity());
        let other = folder(&["config.json", "model.safetensors", "tokenizer_config.json"]);
        assert_ne!(other.identity(), plain.identity());
    }
}
