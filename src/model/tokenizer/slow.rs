//! Folders without `tokenizer.json`: which files of slow tokenizers are read as they are, and what to do about the others.
//!
//! `vocab.json` and `merges.txt` are GPT-2's tokenizer whole. Of other classes (Qwen2's, `RoBERTa`'s) they lack how a text is
//! split, and `SentencePiece`'s and tiktoken's models need those libraries: `tokenizer.json` has all of it, and transformers
//! writes it.

use std::path::Path;

use serde_json::Value;

use crate::disk;
use crate::model::ModelError;

/// Files that slow tokenizers are made of.
const SLOW: [&str; 8] = [
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
    "spm.model",
    "tekken.json",
    "qwen.tiktoken",
    "vocab.txt",
    "vocab.json",
];

/// That a folder has no tokenizer that is read here.
///
/// # Errors
/// Always, unless the folder cannot be read.
pub(super) fn none(folder: &Path) -> ModelError {
    for name in SLOW {
        let path = folder.join(name);
        match disk::exists(&path) {
            Ok(true) => return only(folder, name, "which only transformers can read"),
            Ok(false) => {}
            Err(error) => return ModelError::reading(&path)(error),
        }
    }
    ModelError::NoFile {
        path: folder.join("tokenizer.json"),
        hint: "a model in Hub format has tokenizer.json, or vocab.json and merges.txt",
    }
}

/// Whether `vocab.json` and `merges.txt` are all that there is to a folder's tokenizer.
///
/// # Errors
/// They are another tokenizer's than GPT-2's, or there are tokens beside them.
pub(super) fn check_gpt2(
    folder: &Path,
    config: &Value,
    added: &Value,
    vocabulary: &[u8],
) -> Result<(), ModelError> {
    if let Some(class) = config["tokenizer_class"].as_str()
        && !class.starts_with("GPT2Tokenizer")
    {
        let why = format!("and tokenizer_config.json says that they are a {class}'s");
        return Err(only(folder, "vocab.json and merges.txt", &why));
    }
    // What is wrong with a vocabulary is said where it is read.
    let known: Value = serde_json::from_slice(vocabulary).unwrap_or_default();
    let beside = added.as_object().into_iter().flatten();
    let beside = beside.map(|(token, id)| (token.as_str(), id.as_u64()));
    let listed = config["added_tokens_decoder"]
        .as_object()
        .into_iter()
        .flatten();
    let listed = listed.map(|(id, token)| {
        let token = token["content"].as_str().unwrap_or_default();
        (token, id.parse().ok())
    });
    let mut added = beside.chain(listed);
    if let Some((token, _)) = added.find(|(token, id)| known[*token].as_u64() != *id) {
        let why = format!("which lack the added token {token:?}");
        return Err(only(folder, "vocab.json and merges.txt", &why));
    }
    Ok(())
}

fn only(folder: &Path, found: &str, why: &str) -> ModelError {
    ModelError::SlowTokenizer {
        folder: folder.to_owned(),
        found: found.to_owned(),
        why: why.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::StudentTokenizer;
    use super::super::tests::edited;
    use super::*;

    /// GPT-2's own two files, and what stands beside them.
    fn two_files() -> tempfile::TempDir {
        let folder = edited(|_, _| ());
        fs::remove_file(folder.path().join("tokenizer.json")).unwrap();
        folder
    }

    fn refusal(folder: &Path) -> String {
        let refused = StudentTokenizer::load(folder, None);
        refused
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default()
    }

    #[test]
    fn gpt2s_two_files_are_read_and_others_are_refused_with_the_remedy() {
        let folder = two_files();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        assert_eq!(refusal(folder.path()), "");
        write(
            "tokenizer_config.json",
            r#"{"tokenizer_class": "GPT2Tokenizer", "added_tokens_decoder": {"0": {"content": "<|endoftext|>"}}}"#,
        );
        write("added_tokens.json", r#"{"<|endoftext|>": 0}"#);
        assert_eq!(refusal(folder.path()), "");
        for (name, text, expected) in [
            (
                "added_tokens.json",
                r#"{"<|im_end|>": 5000}"#,
                "which lack the added token \"<|im_end|>\"",
            ),
            (
                "tokenizer_config.json",
                r#"{"added_tokens_decoder": {"5001": {"content": "<tool>"}}}"#,
                "which lack the added token",
            ),
            (
                "tokenizer_config.json",
                r#"{"tokenizer_class": "Qwen2Tokenizer"}"#,
                "says that they are a Qwen2Tokenizer's",
            ),
        ] {
            write(name, text);
            let said = refusal(folder.path());
            assert!(said.contains(expected), "{said}");
            assert!(
                said.contains("has only vocab.json and merges.txt"),
                "{said}"
            );
            let remedy = format!(
                "AutoTokenizer.from_pretrained('{0}').save_pretrained('{0}')",
                folder.path().display()
            );
            assert!(said.contains("hint: ") && said.contains(&remedy), "{said}");
        }
    }

    #[test]
    fn each_slow_file_is_named_with_the_remedy() {
        for name in SLOW {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join(name), "{}").unwrap();
            let said = refusal(folder.path());
            assert!(said.contains(&format!("has only {name}, ")), "{said}");
            assert!(said.contains("save_pretrained("), "{said}");
        }
        let said = refusal(tempfile::tempdir().unwrap().path());
        assert!(said.contains("tokenizer.json` is missing"), "{said}");
    }
}
