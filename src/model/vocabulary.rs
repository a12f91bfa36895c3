//! Which tokens a student may write, and which of them end a text.
//!
//! In: a tokenizer and `generation_config.json`. Two rules:
//! - An embedding may have more rows than there are tokens (padded to a multiple of 64, as nanoGPT's is). No text has
//!   such a row, so none is drawn. They stay in the softmax, as in HF transformers and in the training that made the
//!   weights, so log-probabilities are the same as there.
//! - A text ends at the tokenizer's end of text, which training texts are closed by, and at whatever else
//!   `config.json` or `generation_config.json` name as `eos_token_id`, as where transformers generates.

use std::path::Path;

use serde_json::{Map, Value};

use super::architecture::Architecture;
use super::error::ModelError;
use super::tokenizer::StudentTokenizer;
use crate::disk;

/// The file that names further ends.
const GENERATION_CONFIG: &str = "generation_config.json";

/// Which tokens may be drawn, and which of them end a text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Vocabulary {
    tokens: usize,
    ends: Vec<u32>,
}

impl Vocabulary {
    /// Tokens from 0 to below `tokens`, of which `ends` end a text.
    pub fn new(tokens: usize, ends: impl IntoIterator<Item = u32>) -> Self {
        let within = |end: &u32| (*end as usize) < tokens;
        let mut ends: Vec<u32> = ends.into_iter().filter(within).collect();
        ends.sort_unstable();
        ends.dedup();
        Self { tokens, ends }
    }

    /// Every row of the embedding, and the end that `architecture` names: for a model without a tokenizer.
    pub fn of(architecture: &Architecture) -> Self {
        let ends = architecture.ends.iter().chain(&architecture.end_of_text);
        Self::new(architecture.vocab_rows, ends.copied())
    }

    /// Reads what ends a text in a Hub folder with this tokenizer, beside what `config.json` has `named`. An end that is no token is left out: it cannot be
    /// drawn.
    ///
    /// # Errors
    /// `generation_config.json` cannot be read, or its `eos_token_id` is neither a token's id nor a list of such.
    pub(super) fn load(
        folder: &Path,
        tokenizer: &StudentTokenizer,
        named: &[u32],
    ) -> Result<Self, ModelError> {
        let mut ends = vec![tokenizer.eos_id()];
        ends.extend(named);
        let path = folder.join(GENERATION_CONFIG);
        if disk::exists(&path).map_err(ModelError::reading(&path))? {
            let bytes = disk::read_small(&path).map_err(ModelError::reading(&path))?;
            let settings: Map<String, Value> =
                serde_json::from_slice(&bytes).map_err(|source| {
                    let path = path.clone();
                    ModelError::Json { path, source }
                })?;
            let named = settings.get("eos_token_id").unwrap_or(&Value::Null);
            ends.extend(ids(named).ok_or_else(|| ModelError::Ends {
                path,
                found: named.to_string(),
            })?);
        }
        Ok(Self::new(tokenizer.vocab_size(), ends))
    }

    /// How many tokens there are: those from 0 to below it may be drawn.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// The tokens that end a text, in order.
    pub fn ends(&self) -> &[u32] {
        &self.ends
    }
}

/// The ids that `eos_token_id` names; `None` where it is something else.
fn ids(value: &Value) -> Option<Vec<u32>> {
    let id = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
    match value {
        Value::Null => Some(Vec::new()),
        Value::Array(list) => list.iter().map(id).collect(),
        one => Some(vec![id(one)?]),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn ends_are_the_tokenizers_and_those_that_generation_config_names() {
        let tokenizer = StudentTokenizer::train(std::iter::empty(), 257).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let load = || Vocabulary::load(folder.path(), &tokenizer, &[]);
        assert_eq!(load().unwrap(), Vocabulary::new(257, [0]));
        let write = |text: &str| fs::write(folder.path().join(GENERATION_CONFIG), text).unwrap();
        for (text, ends) in [
            ("{}", vec![0]),
            (r#"{"eos_token_id": null}"#, vec![0]),
            (r#"{"eos_token_id": 0}"#, vec![0]),
            (r#"{"eos_token_id": 7}"#, vec![0, 7]),
            (r#"{"eos_token_id": [7, 0, 5, 7]}"#, vec![0, 5, 7]),
            // No token: transformers cannot draw it either.
            (r#"{"eos_token_id": [0, 257]}"#, vec![0]),
        ] {
            write(text);
            assert_eq!(load().unwrap().ends(), ends, "{text}");
        }
        for text in [
            r#"{"eos_token_id": "</s>"}"#,
            r#"{"eos_token_id": [0, -1]}"#,
        ] {
            write(text);
            let message = load().unwrap_err().to_string();
            assert!(message.contains("`eos_token_id` is"), "{message}");
            assert!(message.contains("\nhint: name the tokens"), "{message}");
        }
        for text in ["{", "[]"] {
            write(text);
            let message = load().unwrap_err().to_string();
            assert!(message.contains("generation_config.json"), "{message}");
            assert!(message.contains("\nhint: "), "{message}");
        }
    }
}
