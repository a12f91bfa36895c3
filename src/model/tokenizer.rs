//! The student's tokenizer.
//!
//! In: `tokenizer.json` of any kind, or GPT-2's `vocab.json` and `merges.txt`; or texts to train a byte-level BPE from. Out: token ids and back,
//! and files that HF transformers loads. What the tokenizer puts before every text (a beginning-of-text token, by its
//! post-processor) begins a prompt, as with transformers; nothing is put between a prompt and what follows it, or after.
//! Source: Radford et al. 2019 (GPT-2); the `tokenizers` crate.

#[cfg(test)]
mod kinds;
mod parts;
mod prompt_text;
mod slow;
mod special;

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::models::{ModelWrapper, TrainerWrapper};
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{AddedToken, Model, Tokenizer};

use super::architecture::Architecture;
use super::error::{ModelError, is_lfs_pointer};
use super::tokenizer_file;
use crate::disk;
use crate::guard::catch;
use crate::text::END_OF_TEXT;

pub use prompt_text::PromptText;
use special::Special;

/// 256 bytes and the end of text: no smaller vocabulary can write every text.
const MIN_VOCABULARY: usize = 257;

/// Rows without a token that a model of any size may have (ours): a whole step of the padding that is usual. Of a larger model it
/// may be a quarter: published ones have up to 3 % (`DeepSeek`'s 102,400 rows for 100,015 tokens; Qwen 2.5's 152,064 for 151,665).
const MOST_PADDING: usize = 64;

/// Turns text into token ids and back. Shared between threads by reference.
#[derive(Clone, Debug)]
pub struct StudentTokenizer {
    inner: Tokenizer,
    eos_token: String,
    eos_id: u32,
    prefix: Vec<u32>,
    size: usize,
    special: Special,
}

impl StudentTokenizer {
    /// Reads the tokenizer of a Hub folder. Its end of text is the one that its own files name, otherwise the token
    /// `end_of_text`, which `config.json` names, otherwise GPT-2's.
    ///
    /// # Errors
    /// Its files are missing or malformed, or it has no end of text.
    pub fn load(folder: &Path, end_of_text: Option<u32>) -> Result<Self, ModelError> {
        let json = folder.join("tokenizer.json");
        let (vocab, merges) = (folder.join("vocab.json"), folder.join("merges.txt"));
        let settings = Settings::load(folder)?;
        let there = |path: &Path| disk::exists(path).map_err(ModelError::reading(path));
        if there(&json)? {
            let bytes = disk::read_small(&json).map_err(ModelError::reading(&json))?;
            if is_lfs_pointer(&bytes) {
                return Err(ModelError::LfsPointer(json));
            }
            tokenizer_file::check(&bytes).map_err(|says| failed(Some(&json))(says.into()))?;
            let mut inner = guarded(Some(&json), || Tokenizer::from_bytes(bytes))?;
            settings.apply(&mut inner);
            let eos_token = settings.end_of_text(&inner, end_of_text);
            return Self::new(inner, eos_token, Some(&json));
        }
        if !(there(&vocab)? && there(&merges)?) {
            return Err(slow::none(folder));
        }
        let (Some(vocab_file), Some(merges_file)) = (vocab.to_str(), merges.to_str()) else {
            return Err(failed(Some(&vocab))("the path is not UTF-8".into()));
        };
        disk::check_small(&merges).map_err(ModelError::reading(&merges))?;
        let bytes = disk::read_small(&vocab).map_err(ModelError::reading(&vocab))?;
        tokenizer_file::check_vocabulary(&bytes)
            .map_err(|says| failed(Some(&vocab))(says.into()))?;
        let added = read(folder, "added_tokens.json")?;
        slow::check_gpt2(folder, &settings.config, &added, &bytes)?;
        let build = || BPE::from_file(vocab_file, merges_file).build();
        let model = guarded(Some(&vocab), build)?;
        let mut inner = byte_level(model);
        settings.apply(&mut inner);
        let eos_token = settings.end_of_text(&inner, end_of_text);
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
        check_unknown(&inner).map_err(|says| failed(path)(says.into()))?;
        let eos_id = inner.token_to_id(&eos_token).ok_or_else(|| {
            failed(path)(
                format!("it has no token `{eos_token}`, so no text could end\nhint: name the token that ends a text as `eos_token` in tokenizer_config.json, or its id as `eos_token_id` in config.json").into(),
            )
        })?;
        // The mask tells what the post-processor added; what it adds after a text is not wanted here.
        let begun = guarded(path, || inner.encode("a", true))?;
        let added = begun.get_special_tokens_mask().iter();
        let added = added.take_while(|added| **added == 1).count();
        let prefix = begun.get_ids()[..added].to_vec();
        if let Some(id) = prefix.iter().find(|id| inner.id_to_token(**id).is_none()) {
            return Err(failed(path)(
                format!("`post_processor` puts {id} before every text, accepted: ids of its own tokens\nhint: take the tokenizer's files from one folder").into(),
            ));
        }
        let highest = inner.get_vocab(true).into_values().max();
        Ok(Self {
            eos_token,
            eos_id,
            prefix,
            size: highest.map_or(0, |id| id as usize + 1),
            special: Special::of(&inner),
            inner,
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

    /// The end of text, written out.
    pub fn eos_token(&self) -> &str {
        &self.eos_token
    }

    /// The token of this id, as the vocabulary has it.
    pub fn token(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    /// All that makes it, as its file would have it.
    pub(super) fn settings(&self) -> Option<Value> {
        serde_json::to_value(&self.inner).ok()
    }

    /// A special token, written out; `None` where it is none: its text is then a text like others.
    pub(super) fn special_token(&self, id: u32) -> Option<String> {
        let added = self.inner.get_added_tokens_decoder();
        added
            .get(&id)
            .filter(|token| token.special)
            .map(|token| token.content.clone())
    }

    /// What the tokenizer puts before every text, as a beginning-of-text token; often nothing.
    pub fn prefix(&self) -> &[u32] {
        &self.prefix
    }

    /// Number of tokens, the special ones included: the highest id and one.
    pub fn vocab_size(&self) -> usize {
        self.size
    }

    /// Checks that the model has a row for each token, and the same end of text. It may have more rows: see
    /// [`super::Vocabulary`].
    ///
    /// # Errors
    /// Too few rows, or another end of text.
    pub fn check(&self, architecture: &Architecture) -> Result<(), ModelError> {
        let (tokenizer, model) = (self.vocab_size(), architecture.vocab_rows);
        if tokenizer > model {
            return Err(ModelError::VocabularySize { tokenizer, model });
        }
        match architecture.end_of_text {
            Some(model) if model != self.eos_id => Err(ModelError::EndOfText {
                tokenizer: self.eos_id,
                model,
            }),
            _ => Ok(()),
        }
    }

    /// Checks that a model of files has no more rows without a token than padding makes.
    ///
    /// # Errors
    /// So many that they are another tokenizer's.
    pub(super) fn check_padding(&self, architecture: &Architecture) -> Result<(), ModelError> {
        let (tokenizer, model) = (self.vocab_size(), architecture.vocab_rows);
        if model.saturating_sub(tokenizer) > MOST_PADDING.max(model / 4) {
            return Err(ModelError::VocabularyRows { tokenizer, model });
        }
        Ok(())
    }

    /// Writes the five files that HF transformers reads, of a tokenizer that was trained here.
    ///
    /// # Errors
    /// A file cannot be written.
    pub(super) fn save(
        &self,
        folder: &Path,
        architecture: &Architecture,
    ) -> Result<(), ModelError> {
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
            "model_max_length": architecture.context,
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

/// What the files beside the tokenizer's own say of it.
struct Settings {
    config: Value,
    special: Value,
}

impl Settings {
    fn load(folder: &Path) -> Result<Self, ModelError> {
        Ok(Self {
            config: read(folder, "tokenizer_config.json")?,
            special: read(folder, "special_tokens_map.json")?,
        })
    }

    /// The end of text that they name, otherwise the token of the id that `config.json` names, otherwise GPT-2's.
    fn end_of_text(&self, tokenizer: &Tokenizer, id: Option<u32>) -> String {
        let named = [&self.config, &self.special].into_iter().find_map(|file| {
            let token = &file["eos_token"];
            token.as_str().or_else(|| token["content"].as_str())
        });
        let by_id = || id.and_then(|id| tokenizer.id_to_token(id));
        let named = named.map(str::to_owned).or_else(by_id);
        named.unwrap_or_else(|| END_OF_TEXT.to_owned())
    }

    /// GPT-2's class of transformers lets `add_prefix_space` win over what the tokenizer's own file says.
    fn apply(&self, tokenizer: &mut Tokenizer) {
        let class = self.config["tokenizer_class"].as_str();
        let gpt2 = class.is_none_or(|class| class.starts_with("GPT2Tokenizer"));
        let (true, Some(wanted)) = (gpt2, self.config["add_prefix_space"].as_bool()) else {
            return;
        };
        if let Some(PreTokenizerWrapper::ByteLevel(bytes)) = tokenizer.get_pre_tokenizer()
            && bytes.add_prefix_space != wanted
        {
            let bytes = bytes.add_prefix_space(wanted);
            tokenizer.with_pre_tokenizer(Some(bytes));
        }
    }
}

/// What a JSON file says; null where it is not there.
fn read(folder: &Path, name: &str) -> Result<Value, ModelError> {
    let path = folder.join(name);
    if !disk::exists(&path).map_err(ModelError::reading(&path))? {
        return Ok(Value::Null);
    }
    let bytes = disk::read_small(&path).map_err(ModelError::reading(&path))?;
    let object = serde_json::from_slice(&bytes).map(Value::Object);
    object.map_err(|source| ModelError::Json { path, source })
}

/// Models of whole words need a token for the words that they lack.
fn check_unknown(tokenizer: &Tokenizer) -> Result<(), String> {
    let unknown = match tokenizer.get_model() {
        ModelWrapper::WordPiece(model) => &model.unk_token,
        ModelWrapper::WordLevel(model) => &model.unk_token,
        ModelWrapper::BPE(_) | ModelWrapper::Unigram(_) => return Ok(()),
    };
    if tokenizer.get_model().token_to_id(unknown).is_some() {
        return Ok(());
    }
    Err(format!(
        "`model.unk_token` is `{unknown}`, accepted: a token of `model.vocab`\nhint: words that the vocabulary lacks become that token, so it has to be one"
    ))
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
        reason: tokenizer_file::in_words(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::architecture::Gpt2;

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
            .save(folder.path(), &Gpt2::default().into())
            .unwrap();
        let text = "Question: does the dog sleep?<|endoftext|>";
        let expected = tokenizer.encode(text).unwrap();
        let from_json = StudentTokenizer::load(folder.path(), None).unwrap();
        assert_eq!(from_json.encode(text).unwrap(), expected);
        fs::remove_file(folder.path().join("tokenizer.json")).unwrap();
        let from_merges = StudentTokenizer::load(folder.path(), None).unwrap();
        assert_eq!(from_merges.encode(text).unwrap(), expected);
        assert_eq!(from_merges.vocab_size(), 290);
    }

    /// A folder with this tokenizer, whose files say something more.
    pub(super) fn edited(edit: impl Fn(&mut Value, &mut Value)) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let tokenizer = StudentTokenizer::train(texts(), 290).unwrap();
        tokenizer
            .save(folder.path(), &Gpt2::default().into())
            .unwrap();
        let read = |name: &str| -> Value {
            serde_json::from_slice(&fs::read(folder.path().join(name)).unwrap()).unwrap()
        };
        let mut own = read("tokenizer.json");
        let mut settings = read("tokenizer_config.json");
        edit(&mut own, &mut settings);
        for (name, value) in [("tokenizer.json", own), ("tokenizer_config.json", settings)] {
            fs::write(folder.path().join(name), value.to_string()).unwrap();
        }
        folder
    }

    /// The post-processor `before $A after`.
    pub(super) fn template(before: &[&str], after: &[&str]) -> Value {
        let special = |token: &&str| json!({"SpecialToken": {"id": token, "type_id": 0}});
        let mut single: Vec<Value> = before.iter().map(special).collect();
        single.push(json!({"Sequence": {"id": "A", "type_id": 0}}));
        single.extend(after.iter().map(special));
        let tokens = [("<|endoftext|>", 0), ("a", 65), ("b", 66)].map(|(token, id)| {
            let entry = json!({"id": token, "ids": [id], "tokens": [token]});
            (token.to_owned(), entry)
        });
        let pair = [
            single.clone(),
            vec![json!({"Sequence": {"id": "B", "type_id": 1}})],
        ]
        .concat();
        json!({
            "type": "TemplateProcessing",
            "single": single,
            "pair": pair,
            "special_tokens": serde_json::Map::from_iter(tokens),
        })
    }

    #[test]
    fn what_the_post_processor_puts_before_a_text_begins_a_prompt_and_nothing_else() {
        let end = "<|endoftext|>";
        for (before, after, prefix) in [
            (&[][..], &[][..], &[][..]),
            (&[end], &[], &[0]),
            (&[end], &[end], &[0]),
            (&[], &[end], &[]),
            // Two, one of which is a letter that texts have too.
            (&["a", end], &["b"], &[65, 0]),
        ] {
            let folder = edited(|own, _| own["post_processor"] = template(before, after));
            let tokenizer = StudentTokenizer::load(folder.path(), None).unwrap();
            assert_eq!(tokenizer.prefix(), prefix, "{before:?} {after:?}");
            for text in ["a cat", "", "b<|endoftext|>"] {
                let plain = tokenizer.encode(text).unwrap();
                let begun = tokenizer.encode_prompt(&text.into()).unwrap();
                assert_eq!(begun, [prefix, &plain].concat());
            }
        }
    }

    #[test]
    fn the_end_of_text_is_named_by_the_tokenizers_files_or_by_its_id() {
        let end_of = |edit: &dyn Fn(&mut Value), id| {
            let folder = edited(|_, settings| edit(settings));
            if id == Some(66) {
                fs::remove_file(folder.path().join("special_tokens_map.json")).unwrap();
            }
            let found = StudentTokenizer::load(folder.path(), id).unwrap();
            (found.eos_id(), found.eos_token().to_owned())
        };
        let end = |id: u32, token: &str| (id, token.to_owned());
        assert_eq!(end_of(&|_| (), Some(65)), end(0, "<|endoftext|>"));
        let named = |settings: &mut Value| settings["eos_token"] = json!({"content": "a"});
        assert_eq!(end_of(&named, Some(0)), end(65, "a"));
        // Named by special_tokens_map.json alone, and by nothing but the id in config.json.
        let unnamed = |settings: &mut Value| settings["eos_token"] = Value::Null;
        assert_eq!(end_of(&unnamed, Some(65)), end(0, "<|endoftext|>"));
        assert_eq!(end_of(&unnamed, Some(66)), end(66, "b"));
    }

    /// As transformers' GPT-2 tokenizer does, and its general one does not.
    #[test]
    fn add_prefix_space_is_read_where_the_class_reads_it() {
        for (class, spaced) in [
            (json!("GPT2Tokenizer"), true),
            (json!("GPT2TokenizerFast"), true),
            (Value::Null, true),
            (json!("PreTrainedTokenizerFast"), false),
        ] {
            let folder = edited(|_, settings| {
                settings["tokenizer_class"] = class.clone();
                settings["add_prefix_space"] = json!(true);
            });
            let tokenizer = StudentTokenizer::load(folder.path(), None).unwrap();
            let ids = tokenizer.encode("the cat").unwrap();
            let text = if spaced { " the cat" } else { "the cat" };
            assert_eq!(tokenizer.decode(&ids).unwrap(), text, "{class}");
        }
    }

    #[test]
    fn every_defect_has_its_message() {
        let folder = tempfile::tempdir().unwrap();
        let failure = || {
            StudentTokenizer::load(folder.path(), None)
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
        assert!(
            failure().contains("\nhint: is the file whole"),
            "{}",
            failure()
        );
        let pointer = "version https://git-lfs.github.com/spec/v1\nsize 1\n";
        fs::write(folder.path().join("tokenizer.json"), pointer).unwrap();
        assert!(
            failure().contains("hint: run `git lfs pull`"),
            "{}",
            failure()
        );
        for (change, expected) in [
            (
                json!({"type": "Foo"}),
                "`model` is of no kind that is known, or lacks a field of its kind",
            ),
            (
                json!({"type": "WordPiece", "unk_token": "zz", "continuing_subword_prefix": "##",
                    "max_input_chars_per_word": 100, "vocab": {"a": 0, "<|endoftext|>": 1}}),
                "`model.unk_token` is `zz`, accepted: a token of `model.vocab`\nhint: ",
            ),
        ] {
            let folder = edited(|own, _| own["model"] = change.clone());
            let error = StudentTokenizer::load(folder.path(), None).unwrap_err();
            let said = error.to_string();
            assert!(
                said.contains(expected) && said.contains("\nhint: "),
                "{said}"
            );
            assert!(!said.contains("Untagged"), "{said}");
        }

        let message = StudentTokenizer::train(texts(), 256)
            .unwrap_err()
            .to_string();
        assert!(
            message.contains("vocabulary size 256 is too small"),
            "{message}"
        );

        let tokenizer = StudentTokenizer::train(texts(), 280).unwrap();
        tokenizer
            .save(folder.path(), &Gpt2::default().into())
            .unwrap();
        fs::write(
            folder.path().join("tokenizer_config.json"),
            r#"{"eos_token": {"content": "</s>"}}"#,
        )
        .unwrap();
        assert!(failure().contains("no token `</s>`"), "{}", failure());

        let mut model = Architecture::from(Gpt2::default());
        (model.vocab_rows, model.end_of_text) = (279, Some(0));
        let message = tokenizer.check(&model).unwrap_err().to_string();
        assert!(
            message.contains("has 280 tokens, but config.json says vocab_size 279"),
            "{message}"
        );
        for vocab_size in [280, 320] {
            model.vocab_rows = vocab_size;
            for eos in [Some(0), None] {
                model.end_of_text = eos;
                tokenizer.check(&model).unwrap();
            }
        }
        model.end_of_text = Some(1);
        assert!(tokenizer.check(&model).is_err());
    }

    /// As published models have them: rows and tokens of Qwen 2.5, Phi 2, Gemma 3, Pythia and a small fixture, and a whole step of
    /// padding; against `SmolLM2`'s rows with a small tokenizer, and GPT-2's.
    #[test]
    fn rows_without_tokens_are_padding_or_another_tokenizers() {
        let mut tokenizer = StudentTokenizer::train(texts(), 280).unwrap();
        let mut model = Architecture::from(Gpt2::default());
        model.end_of_text = None;
        let mut checked = |tokens, rows| {
            (tokenizer.size, model.vocab_rows) = (tokens, rows);
            tokenizer
                .check_padding(&model)
                .map_err(|error| error.to_string())
        };
        for (tokens, rows) in [
            (151_646, 151_936),
            (151_665, 152_064),
            (50_295, 51_200),
            (262_144, 262_144),
            (50_277, 50_688),
            (61, 83),
            (1, 64),
            (300, 400),
        ] {
            checked(tokens, rows).unwrap();
        }
        for (tokens, rows) in [(512, 49_152), (32_000, 50_257), (299, 400), (1, 66)] {
            let said = checked(tokens, rows).unwrap_err();
            let expected = format!("has {tokens} tokens, but config.json says vocab_size {rows}: ");
            assert!(
                said.contains(&expected) && said.contains("\nhint: "),
                "{said}"
            );
        }
    }

    /// How a post-processor is changed, and what is said of it.
    type Change<'a> = (&'a dyn Fn(&mut Value), &'a str);

    /// Each would have the library panic, or draw what is no token.
    #[test]
    fn a_post_processor_that_puts_what_is_no_token_is_refused() {
        let end = "<|endoftext|>";
        let refused = |change: &dyn Fn(&mut Value)| {
            let folder = edited(|own, _| {
                own["post_processor"] = template(&[end], &[]);
                change(&mut own["post_processor"]);
            });
            let error = StudentTokenizer::load(folder.path(), None).unwrap_err();
            error.to_string()
        };
        let cases: [Change<'_>; 3] = [
            (
                &|own| own["special_tokens"] = json!({}),
                "`post_processor.single` names `<|endoftext|>`, which its `special_tokens` lacks",
            ),
            (
                &|own| own["special_tokens"][end]["ids"] = json!([99_999]),
                "`post_processor` puts 99999 before every text",
            ),
            (
                &|own| own["single"][1]["Sequence"]["id"] = json!("B"),
                "`post_processor.single` has the second text of a pair",
            ),
        ];
        for (change, expected) in cases {
            let said = refused(change);
            assert!(said.starts_with("tokenizer `"), "{said}");
            assert!(
                said.contains(expected) && said.contains("\nhint: "),
                "{said}"
            );
        }
        let folder = edited(|own, _| {
            own["post_processor"] =
                json!({"type": "Sequence", "processors": [template(&[end], &[])]});
            own["post_processor"]["processors"][0]["special_tokens"] = json!({});
        });
        let error = StudentTokenizer::load(folder.path(), None).unwrap_err();
        let said = error.to_string();
        assert!(
            said.contains("`post_processor.processors[0].single` names"),
            "{said}"
        );
    }
}
