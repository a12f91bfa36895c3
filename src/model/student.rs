//! A student: shape, weights and tokenizer, kept as a Hub folder.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::json;

use super::carried::Carried;
use super::config::Gpt2Config;
use super::error::ModelError;
use super::safetensors::SINGLE;
use super::tokenizer::StudentTokenizer;
use super::vocabulary::Vocabulary;
use super::weight_files::WeightFiles;
use super::weights::Weights;
use crate::key::Digest;
use crate::memory::room_for;
use crate::text::END_OF_TEXT;

/// A small language model that is sampled and trained. Its weights are in memory, or in files that are still to be read.
#[derive(Clone, Debug)]
pub struct Student<W = Weights> {
    /// Its shape.
    pub config: Gpt2Config,
    /// Its weights.
    pub weights: W,
    /// Its tokenizer.
    pub tokenizer: StudentTokenizer,
    /// Which tokens it may write, and which of them end a text.
    pub vocabulary: Vocabulary,
    /// What its folder holds besides weights; `None` of one that was made here.
    carried: Option<Carried>,
}

impl Student {
    /// A student from parts that belong together.
    ///
    /// # Errors
    /// The config contradicts itself, the weights or the tokenizer.
    pub fn new(
        config: Gpt2Config,
        weights: Weights,
        tokenizer: StudentTokenizer,
    ) -> Result<Self, ModelError> {
        let student = Student::made(config, tokenizer)?;
        weights.check(&student.config)?;
        Ok(student.with(weights))
    }

    /// Reads a Hub folder.
    ///
    /// # Errors
    /// A file is missing or damaged, or they do not belong together.
    pub fn load(folder: &Path) -> Result<Self, ModelError> {
        Student::open(folder)?.read()
    }

    /// A student with fresh weights (see [`Weights::init`]).
    ///
    /// # Errors
    /// The config contradicts itself or the tokenizer.
    pub fn init(
        config: Gpt2Config,
        tokenizer: StudentTokenizer,
        seed: u64,
    ) -> Result<Self, ModelError> {
        let student = Student::made(config, tokenizer)?;
        let bytes = u64::try_from(4 * student.config.parameters()).unwrap_or(u64::MAX);
        room_for(
            "a fresh student",
            "lower `width`, `layers` or `context`",
            bytes,
        )
        .map_err(ModelError::Memory)?;
        let weights = Weights::init(&student.config, seed);
        Ok(student.with(weights))
    }

    /// Writes a Hub folder that HF transformers loads: of one that came from a folder, that folder's files and the
    /// weights. The same student gives the same bytes.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn save(&self, folder: &Path) -> Result<(), ModelError> {
        fs::create_dir_all(folder).map_err(ModelError::writing(folder))?;
        match &self.carried {
            Some(files) => files.save(folder)?,
            None => self.save_settings(folder)?,
        }
        self.weights.save(&folder.join(SINGLE))
    }

    /// The files of a student that was made here.
    fn save_settings(&self, folder: &Path) -> Result<(), ModelError> {
        let generation = json!({
            "_from_model_config": true,
            "bos_token_id": self.tokenizer.eos_id(),
            "eos_token_id": self.tokenizer.eos_id(),
        });
        for (name, text) in [
            ("config.json", self.config.to_json()),
            ("generation_config.json", format!("{generation:#}\n")),
        ] {
            let path = folder.join(name);
            fs::write(&path, text).map_err(ModelError::writing(&path))?;
        }
        self.tokenizer.save(folder, &self.config)
    }

    /// Number of parameters; the tied head counts once.
    pub fn parameters(&self) -> usize {
        self.weights.parameters()
    }
}

impl Student<()> {
    /// A student that was made here, still without weights.
    fn made(config: Gpt2Config, tokenizer: StudentTokenizer) -> Result<Self, ModelError> {
        config.check()?;
        tokenizer.check(&config)?;
        Ok(Self {
            vocabulary: Vocabulary::new(tokenizer.vocab_size(), [tokenizer.eos_id()]),
            config,
            weights: (),
            tokenizer,
            carried: None,
        })
    }
}

impl<W> Student<W> {
    /// The same with other weights.
    pub fn with<V>(self, weights: V) -> Student<V> {
        Student {
            config: self.config,
            weights,
            tokenizer: self.tokenizer,
            vocabulary: self.vocabulary,
            carried: self.carried,
        }
    }

    /// The same without weights.
    pub fn without_weights(&self) -> Student<()> {
        Student {
            config: self.config.clone(),
            weights: (),
            tokenizer: self.tokenizer.clone(),
            vocabulary: self.vocabulary.clone(),
            carried: self.carried.clone(),
        }
    }

    /// Ends of text as a path may have them written out: this student's, where they are special tokens, and GPT-2's,
    /// which another student may have written.
    pub fn end_marks(&self) -> Vec<String> {
        let ends = self.vocabulary.ends().iter();
        let mut marks: Vec<String> = ends
            .filter_map(|id| self.tokenizer.special_token(*id))
            .collect();
        marks.extend([
            self.tokenizer.eos_token().to_owned(),
            END_OF_TEXT.to_owned(),
        ]);
        marks
    }
}

impl Student<WeightFiles> {
    /// Opens a Hub folder: reads all but the values of the weights.
    ///
    /// # Errors
    /// A file is missing or damaged, or they do not belong together.
    pub fn open(folder: &Path) -> Result<Self, ModelError> {
        Self::open_digested(folder, &BTreeMap::new())
    }

    /// The same of a folder whose weights have these `digests`, by the files' names; see
    /// [`WeightFiles::check_digests`].
    ///
    /// # Errors
    /// As of [`Student::open`].
    pub fn open_digested(
        folder: &Path,
        digests: &BTreeMap<String, Digest>,
    ) -> Result<Self, ModelError> {
        let config = Gpt2Config::load(folder)?;
        let tokenizer = StudentTokenizer::load(folder, config.eos_token_id)?;
        tokenizer.check(&config)?;
        Ok(Self {
            weights: WeightFiles::open_digested(folder, &config, digests)?,
            vocabulary: Vocabulary::load(folder, &tokenizer)?,
            carried: Some(Carried::load(folder)?),
            config,
            tokenizer,
        })
    }

    /// The same with its weights in memory.
    ///
    /// # Errors
    /// A file cannot be read, or a weight is not a number.
    pub fn read(self) -> Result<Student, ModelError> {
        let weights = self.weights.read()?;
        Ok(self.with(weights))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parity() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/parity")
    }

    #[test]
    fn a_folder_that_transformers_wrote_is_read_and_written_back() {
        let student = Student::load(&parity()).unwrap();
        // 257*48 + 64*48 + 3*(12*48*48 + 13*48) + 2*48
        assert_eq!(student.parameters(), 100_320);
        let folder = tempfile::tempdir().unwrap();
        student.save(folder.path()).unwrap();
        let again = Student::load(folder.path()).unwrap();
        assert_eq!(
            (&again.config.n_embd, &again.weights),
            (&student.config.n_embd, &student.weights)
        );
        // HF's own names, formats and metadata: the same bytes but for the order of the arrays.
        let size = |folder: &Path| fs::metadata(folder.join(SINGLE)).unwrap().len();
        assert!(size(folder.path()).abs_diff(size(&parity())) < 64);
        assert_eq!(
            fs::read(folder.path().join("vocab.json")).unwrap(),
            fs::read(parity().join("vocab.json")).unwrap()
        );
    }

    #[test]
    fn parts_that_do_not_belong_together_are_refused() {
        let student = Student::load(&parity()).unwrap();
        let mut config = student.config.clone();
        config.vocab_size = 256;
        let message = Student::init(config, student.tokenizer.clone(), 1)
            .unwrap_err()
            .to_string();
        assert!(message.contains("tokenizer has 257 tokens"), "{message}");
        let mut config = student.config.clone();
        config.n_layer = 4;
        let message = Student::new(config, student.weights, student.tokenizer)
            .unwrap_err()
            .to_string();
        assert!(
            message.contains("`h.3.attn.c_attn.bias` is missing"),
            "{message}"
        );
    }

    /// Writes two folders for `tests/fixtures/check_hub_folder.py` into `CHECK_FOLDER`.
    #[test]
    #[ignore = "its output is for a script"]
    fn folders_for_transformers() {
        let folder = std::path::PathBuf::from(std::env::var("CHECK_FOLDER").unwrap());
        Student::load(&parity())
            .unwrap()
            .save(&folder.join("parity"))
            .unwrap();
        let texts = (0..300).map(|index| format!("Question: is {index} an animal? Answer: yes"));
        let tokenizer = StudentTokenizer::train(texts, 320).unwrap();
        let config = Gpt2Config {
            vocab_size: tokenizer.vocab_size(),
            n_positions: 64,
            n_embd: 32,
            n_layer: 2,
            n_head: 2,
            eos_token_id: Some(tokenizer.eos_id()),
            ..Gpt2Config::default()
        };
        Student::init(config, tokenizer, 1)
            .unwrap()
            .save(&folder.join("fresh"))
            .unwrap();
    }
}
