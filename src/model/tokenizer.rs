//! The student's tokenizer: GPT-2's byte-level BPE.
//!
//! In: `tokenizer.json`, or `vocab.json` and `merges.txt`; or texts to train one from. Out: token ids and back,
//! and files that HF transformers loads. No special token is ever added to a text.
//! Source: Radford et al. 2019 (GPT-2); the `tokenizers` crate.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tokenizers::models::TrainerWrapper;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{AddedToken, Model, Tokenizer};

use super::config::Gpt2Config;
use super::error::ModelError;
use super::tokenizer_file;
use crate::disk;
use crate::guard::catch;
use crate::text::END_OF_TEXT;

/// 256 bytes and the end of text: no smaller vocabulary can write every text.
const MIN_VOCABULARY: usize = 257;

/// Turns text into token ids and back. Shared between threads by reference.
#[derive(Clone, Debug)]
pub struct StudentTokenizer {
    inner: Tokenizer,
    eos_token: String,
    eos_id: u32,
}

impl StudentTokenizer {
    /// Reads the tokenizer of a Hub folder.
    ///
    /// # Errors
    /// Its files are missing or malformed, or it has no end of text.
    pub fn load(folder: &Path) -> Result<Self, ModelError> {
        let json = folder.join("tokenizer.json");
        let (vocab, merges) = (folder.join("vocab.json"), folder.join("merges.txt"));
        let eos_token = eos_token(folder)?;
        let there = |path: &Path| disk::exists(path).map_err(ModelError::reading(path));
        if there(&json)? {
            let bytes = disk::read_small(&json).map_err(ModelError::reading(&json))?;
            tokenizer_file::check(&bytes).map_err(|says| failed(Some(&json))(says.into()))?;
            let inner = guarded(Some(&json), || Tokenizer::from_bytes(bytes))?;
            return Self::new(inner, eos_token, Some(&json));
        }
        if !(there(&vocab)? && there(&merges)?) {
            return Err(ModelError::NoFile {
                path: json,
                hint: "a model in Hub format has tokenizer.json, or vocab.json and merges.txt",
            });
        }
        let (Some(vocab_file), Some(merges_file)) = (vocab.to_str(), merges.to_str()) else {
            return Err(failed(Some(&vocab))("the path is not UTF-8".into()));
        };
        disk::check_small(&merges).map_err(ModelError::reading(&merges))?;
        let bytes = disk::read_small(&vocab).map_err(ModelError::reading(&vocab))?;
        tokenizer_file::check_vocabulary(&bytes)
            .map_err(|says| failed(Some(&vocab))(says.into()))?;
        let build = || BPE::from_file(vocab_file, merges_file).build();
        let model = guarded(Some(&vocab), build)?;
        let mut inner = byte_level(model);
        // Only what the vocabulary holds: a token that it lacks would get a new id.
        if inner.token_to_id(&eos_token).is_some() {
            inner.add_special_tokens(&[AddedToken::from(eos_token.clone(), true)]);
        }
        Self::new(inner, eos_token, Some(&vocab))
    }

    /// Trains a byte-level BPE of at most `vocab_size` tokens, the end of text first. The same texts give the same
    /// tokenizer, in whatever order they come.
    ///
    /// # Errors
    /// `vocab_size` is too small for the 256 bytes and the end of text.
    pub fn train(
        texts: impl Iterator<Item = String> + Send,
        vocab_size: usize,
    ) -> Result<Self, ModelError> {
        if vocab_size < MIN_VOCABULARY {
            return Err(failed(None)(
                format!(
                    "vocabulary size {vocab_size} is too small, accepted: {MIN_VOCABULARY} or more"
                )
                .into(),
            ));
        }
        let trainer = BpeTrainer::builder()
            .show_progress(false)
            .vocab_size(vocab_size)
            .min_frequency(2)
            .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
            .special_tokens(vec![AddedToken::from(END_OF_TEXT.to_owned(), true)])
            .build();
        let mut inner = byte_level(BPE::default());
        inner
            .train(&mut TrainerWrapper::BpeTrainer(trainer), texts)
            .map_err(failed(None))?;
        Self::new(inner, END_OF_TEXT.to_owned(), None)
    }

    fn new(
        mut inner: Tokenizer,
        eos_token: String,
        path: Option<&Path>,
    ) -> Result<Self, ModelError> {
        inner.with_padding(None);
        inner.with_truncation(None).map_err(failed(path))?;
        let eos_id = inner.token_to_id(&eos_token).ok_or_else(|| {
            failed(path)(
                format!("it has no token `{eos_token}`\nhint: a text could not end").into(),
            )
        })?;
        Ok(Self {
            inner,
            eos_token,
            eos_id,
        })
    }

    /// Token ids of `text`; nothing is added. An end of text written out in `text` is that token.
    ///
    /// # Errors
    /// The tokenizer fails, which a byte-level one does not.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, ModelError> {
        let encoding = guarded(None, || self.inner.encode_fast(text, false))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// The text of `ids`, the end of text written out. Bytes that are no UTF-8 become U+FFFD.
    ///
    /// # Errors
    /// The tokenizer fails, which a byte-level one does not.
    pub fn decode(&self, ids: &[u32]) -> Result<String, ModelError> {
        guarded(None, || self.inner.decode(ids, false))
    }

    /// The end-of-text token's id.
    pub fn eos_id(&self) -> u32 {
        self.eos_id
    }

    /// Number of tokens, the special ones included.
    pub fn vocab_size(&self) -> usize {
        self.inner.get_vocab_size(true)
    }

    /// Checks that model and tokenizer have the same vocabulary.
    ///
    /// # Errors
    /// Another number of tokens, or another end of text.
    pub fn check(&self, config: &Gpt2Config) -> Result<(), ModelError> {
        if self.vocab_size() != config.vocab_size {
            return Err(ModelError::VocabularySize {
                tokenizer: self.vocab_size(),
                model: config.vocab_size,
            });
        }
        if self.eos_id != config.eos_token_id {
            return Err(ModelError::EndOfText {
                tokenizer: self.eos_id,
                model: config.eos_token_id,
            });
        }
        Ok(())
    }

    /// Writes the five files that HF transformers reads.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn save(&self, folder: &Path, config: &Gpt2Config) -> Result<(), ModelError> {
        let path = folder.join("tokenizer.json");
        let text = self.inner.to_string(true).map_err(failed(Some(&path)))?;
        fs::write(&path, text + "\n").map_err(ModelError::writing(&path))?;
        self.inner
            .get_model()
            .save(folder, None)
            .map_err(failed(Some(folder)))?;

        let special = json!({
            "bos_token": self.eos_token,
            "eos_token": self.eos_token,
            "unk_token": self.eos_token,
        });
        let mut settings = json!({
            "add_prefix_space": false,
            "clean_up_tokenization_spaces": false,
            "model_max_length": config.n_positions,
            "tokenizer_class": "GPT2Tokenizer",
        });
        for (name, value) in special.as_object().into_iter().flatten() {
            settings[name] = value.clone();
        }
        for (name, value) in [
            ("special_tokens_map.json", &special),
            ("tokenizer_config.json", &settings),
        ] {
            let path = folder.join(name);
            fs::write(&path, format!("{value:#}\n")).map_err(ModelError::writing(&path))?;
        }
        Ok(())
    }
}

/// A tokenizer that splits and joins as GPT-2's does.
fn byte_level(model: BPE) -> Tokenizer {
    let mut tokenizer = Tokenizer::new(model);
    let bytes = ByteLevel::new(false, true, true);
    tokenizer
        .with_pre_tokenizer(Some(bytes))
        .with_decoder(Some(bytes));
    tokenizer
}

/// The end of text that `tokenizer_config.json` names, otherwise GPT-2's.
fn eos_token(folder: &Path) -> Result<String, ModelError> {
    let path = folder.join("tokenizer_config.json");
    if !path.is_file() {
        return Ok(END_OF_TEXT.to_owned());
    }
    let bytes = disk::read_small(&path).map_err(ModelError::reading(&path))?;
    let settings: Value =
        serde_json::from_slice(&bytes).map_err(|source| ModelError::Json { path, source })?;
    let token = &settings["eos_token"];
    let text = token.as_str().or_else(|| token["content"].as_str());
    Ok(text.unwrap_or(END_OF_TEXT).to_owned())
}

/// What the `tokenizers` crate gives. A tokenizer is a stranger's file, and some make the crate panic.
fn guarded<T>(
    path: Option<&Path>,
    work: impl FnOnce() -> tokenizers::Result<T>,
) -> Result<T, ModelError> {
    let done = catch(work).unwrap_or_else(|panic| {
        Err(format!("the library that runs it failed: {panic}\nhint: its file is damaged, or made to do that").into())
    });
    done.map_err(failed(path))
}

fn failed(path: Option<&Path>) -> impl FnOnce(tokenizers::Error) -> ModelError {
    move |error| ModelError::Tokenizer {
        path: path.map(Path::to_owned),
        reason: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts() -> impl Iterator<Item = String> + Send {
        (0..200).map(|index| format!("Question: does the cat number {index} sleep? Answer: yes"))
    }

    #[test]
    fn training_is_deterministic_and_every_text_round_trips() {
        let tokenizer = StudentTokenizer::train(texts(), 300).unwrap();
        let mut reversed: Vec<String> = texts().collect();
        reversed.reverse();
        let again = StudentTokenizer::train(reversed.into_iter(), 300).unwrap();
        assert_eq!(
            tokenizer.inner.to_string(false).unwrap(),
            again.inner.to_string(false).unwrap()
        );
        assert_eq!((tokenizer.vocab_size(), tokenizer.eos_id()), (300, 0));
        for text in ["", " two  blanks\n", "Ünïcode 日本 🙂", "a<|endoftext|>b"] {
            let ids = tokenizer.encode(text).unwrap();
            assert_eq!(tokenizer.decode(&ids).unwrap(), text);
        }
        assert_eq!(tokenizer.encode("<|endoftext|>").unwrap(), [0]);
    }

    #[test]
    fn both_kinds_of_files_give_the_same_tokenizer() {
        let tokenizer = StudentTokenizer::train(texts(), 290).unwrap();
        let folder = tempfile::tempdir().unwrap();
        tokenizer
            .save(folder.path(), &Gpt2Config::default())
            .unwrap();
        let text = "Question: does the dog sleep?<|endoftext|>";
        let expected = tokenizer.encode(text).unwrap();
        let from_json = StudentTokenizer::load(folder.path()).unwrap();
        assert_eq!(from_json.encode(text).unwrap(), expected);
        fs::remove_file(folder.path().join("tokenizer.json")).unwrap();
        let from_merges = StudentTokenizer::load(folder.path()).unwrap();
        assert_eq!(from_merges.encode(text).unwrap(), expected);
        assert_eq!(from_merges.vocab_size(), 290);
    }

    #[test]
    fn every_defect_has_its_message() {
        let folder = tempfile::tempdir().unwrap();
        let failure = || {
            StudentTokenizer::load(folder.path())
                .unwrap_err()
                .to_string()
        };
        assert!(
            failure().contains("tokenizer.json` is missing\nhint: "),
            "{}",
            failure()
        );
        fs::write(folder.path().join("tokenizer.json"), "{").unwrap();
        assert!(failure().starts_with("tokenizer `"), "{}", failure());

        let message = StudentTokenizer::train(texts(), 256)
            .unwrap_err()
            .to_string();
        assert!(
            message.contains("vocabulary size 256 is too small"),
            "{message}"
        );

        let tokenizer = StudentTokenizer::train(texts(), 280).unwrap();
        tokenizer
            .save(folder.path(), &Gpt2Config::default())
            .unwrap();
        fs::write(
            folder.path().join("tokenizer_config.json"),
            r#"{"eos_token": {"content": "</s>"}}"#,
        )
        .unwrap();
        assert!(failure().contains("no token `</s>`"), "{}", failure());

        let mut config = Gpt2Config {
            vocab_size: 281,
            eos_token_id: 0,
            ..Gpt2Config::default()
        };
        let message = tokenizer.check(&config).unwrap_err().to_string();
        assert!(
            message.contains("has 280 tokens, but config.json says vocab_size 281"),
            "{message}"
        );
        config.vocab_size = 280;
        tokenizer.check(&config).unwrap();
        config.eos_token_id = 1;
        assert!(tokenizer.check(&config).is_err());
    }
}
