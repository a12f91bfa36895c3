//! A student: architecture, weights and tokenizer, kept as a Hub folder.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use serde_json::json;

use super::architecture::Architecture;
use super::carried::Carried;
use super::chat::{ChatError, ChatFiles};
use super::error::ModelError;
use super::gguf::Gguf;
use super::gguf_folder::{GGUF_FILE, find_gguf, unpacked};
use super::init::INITIALIZER_RANGE;
use super::lora::Adapter;
use super::safetensors::SINGLE;
use super::tokenizer::StudentTokenizer;
use super::vocabulary::Vocabulary;
use super::weight_files::{WeightFile, WeightFiles};
use super::weights::Weights;
use crate::key::Digest;
use crate::memory::room_for;
use crate::text::END_OF_TEXT;

/// A small language model that is sampled and trained. Its weights are in memory, or in files that are still to be read.
#[derive(Clone, Debug)]
pub struct Student<W = Weights> {
    /// What it is.
    pub architecture: Architecture,
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
    /// The architecture contradicts itself, the weights or the tokenizer.
    pub fn new(
        architecture: Architecture,
        weights: Weights,
        tokenizer: StudentTokenizer,
    ) -> Result<Self, ModelError> {
        let student = Student::made(architecture, tokenizer)?;
        weights.check(&student.architecture)?;
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
    /// The architecture contradicts itself or the tokenizer.
    pub fn init(
        architecture: Architecture,
        tokenizer: StudentTokenizer,
        seed: u64,
    ) -> Result<Self, ModelError> {
        Self::init_within(architecture, tokenizer, INITIALIZER_RANGE, seed)
    }

    /// The same with another standard deviation of the fresh weights.
    ///
    /// # Errors
    /// The architecture contradicts itself or the tokenizer.
    pub fn init_within(
        architecture: Architecture,
        tokenizer: StudentTokenizer,
        deviation: f64,
        seed: u64,
    ) -> Result<Self, ModelError> {
        let student = Student::made(architecture, tokenizer)?;
        let bytes = u64::try_from(4 * student.architecture.parameters()).unwrap_or(u64::MAX);
        room_for(
            "a fresh student",
            "lower `width`, `layers` or `context`",
            bytes,
        )
        .map_err(ModelError::Memory)?;
        let weights = Weights::init_within(&student.architecture, deviation, seed);
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
        let path = folder.join(SINGLE);
        self.weights.save(&path, &self.architecture)
    }

    /// The files of a student that was made here.
    fn save_settings(&self, folder: &Path) -> Result<(), ModelError> {
        let generation = json!({
            "_from_model_config": true,
            "bos_token_id": self.tokenizer.eos_id(),
            "eos_token_id": self.tokenizer.eos_id(),
        });
        for (name, text) in [
            ("config.json", self.architecture.config_json()),
            ("generation_config.json", format!("{generation:#}\n")),
        ] {
            let path = folder.join(name);
            fs::write(&path, text).map_err(ModelError::writing(&path))?;
        }
        self.tokenizer.save(folder, &self.architecture)
    }

    /// Number of parameters; the tied head counts once.
    pub fn parameters(&self) -> usize {
        self.weights.parameters()
    }
}

impl Student<()> {
    /// A student that was made here, still without weights.
    fn made(architecture: Architecture, tokenizer: StudentTokenizer) -> Result<Self, ModelError> {
        architecture.check()?;
        tokenizer.check(&architecture)?;
        Ok(Self {
            vocabulary: Vocabulary::new(tokenizer.vocab_size(), [tokenizer.eos_id()]),
            architecture,
            weights: (),
            tokenizer,
            carried: None,
        })
    }
}

impl Student<()> {
    /// What a Hub folder says beside the weights.
    fn open_small(folder: &Path) -> Result<Self, ModelError> {
        let architecture = Architecture::load(folder)?;
        // Of several ends the first is the one that training texts get, where the tokenizer's files name none.
        let end = architecture
            .end_of_text
            .or(architecture.ends.first().copied());
        let tokenizer = StudentTokenizer::load(folder, end)?;
        tokenizer.check(&architecture)?;
        tokenizer.check_padding(&architecture)?;
        Ok(Self {
            vocabulary: Vocabulary::load(folder, &tokenizer, &architecture.ends)?,
            carried: Some(Carried::load(folder)?),
            weights: (),
            architecture,
            tokenizer,
        })
    }
}

impl<W> Student<W> {
    /// The same with other weights.
    pub fn with<V>(self, weights: V) -> Student<V> {
        Student {
            architecture: self.architecture,
            weights,
            tokenizer: self.tokenizer,
            vocabulary: self.vocabulary,
            carried: self.carried,
        }
    }

    /// The same without weights.
    pub fn without_weights(&self) -> Student<()> {
        Student {
            architecture: self.architecture.clone(),
            weights: (),
            tokenizer: self.tokenizer.clone(),
            vocabulary: self.vocabulary.clone(),
            carried: self.carried.clone(),
        }
    }

    /// Its chat templates, and the special tokens that they see; a student without any template is no error.
    ///
    /// # Errors
    /// A file says what transformers would not take.
    pub fn chat_files(&self) -> Result<ChatFiles, ChatError> {
        let carried = self.carried.as_ref();
        let read = |name: &str| -> Result<Option<Vec<u8>>, ChatError> {
            Ok(carried
                .and_then(|files| files.get(name))
                .map(<[u8]>::to_vec))
        };
        let more = carried.map(Carried::further_templates).unwrap_or_default();
        ChatFiles::of("the student".to_owned(), &more, &read)
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
    /// Opens a Hub folder, or a GGUF file: reads all but the values of the weights.
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
        if let Some(path) = find_gguf(folder)? {
            return Self::open_gguf(&path, digests.get(GGUF_FILE).copied());
        }
        let student = Student::open_small(folder)?;
        let weights = WeightFiles::open_digested(folder, &student.architecture, digests)?;
        Ok(student.with(weights))
    }

    /// The same of a folder that holds an adapter too, as [`Adapter::save`] writes it: what it adds is in the weights.
    ///
    /// # Errors
    /// As of [`Student::open`]; or the adapter is damaged or another model's.
    pub fn open_adapted(
        folder: &Path,
        digests: &BTreeMap<String, Digest>,
    ) -> Result<Self, ModelError> {
        let mut student = Self::open_digested(folder, digests)?;
        let adapter = Adapter::load(folder, &student.architecture)?;
        student.weights = student.weights.adapted(&adapter);
        Ok(student)
    }

    /// A GGUF file says in one what a folder has in several files: these are made of it, and read as others are.
    fn open_gguf(path: &Path, digest: Option<Digest>) -> Result<Self, ModelError> {
        let file = Arc::new(WeightFile::open(path, digest)?);
        let gguf = Gguf::parse(path, file.length()?, Arc::<WeightFile>::clone(&file))
            .map_err(ModelError::Gguf)?;
        let student = unpacked(&gguf, Student::open_small)?;
        let weights = WeightFiles::of_gguf(&gguf, file, &student.architecture)?;
        Ok(student.with(weights))
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
    use crate::model::architecture::Gpt2;

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
            (again.architecture.config_json(), &again.weights),
            (student.architecture.config_json(), &student.weights)
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
    fn a_gguf_file_is_the_student_that_it_was_made_of() {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
        let hub = Student::load(&fixtures.join("families/llama")).unwrap();
        let path = fixtures.join("gguf/llama.gguf");
        let student = Student::load(&path).unwrap();
        assert_eq!(student.weights, hub.weights);
        let files = Student::open(&path).unwrap().weights;
        assert!(!files.is_quantized());
        let what = |student: &Student| {
            let Architecture {
                vocab_rows,
                context,
                heads,
                end_of_text,
                attention,
                norm,
                ..
            } = student.architecture.clone();
            (vocab_rows, context, heads, end_of_text, attention, norm)
        };
        assert_eq!(what(&student), what(&hub));
        for text in ["a cat", " the Question: is it?", "\u{e9}\n\n  1.5"] {
            let ids = |student: &Student| student.tokenizer.encode(text).ok();
            assert_eq!(ids(&student), ids(&hub), "{text}");
        }
        // Written, it is a Hub folder.
        let folder = tempfile::tempdir().unwrap();
        student.save(folder.path()).unwrap();
        let again = Student::load(folder.path()).unwrap();
        assert_eq!((what(&again), &again.weights), (what(&hub), &hub.weights));
        assert_eq!(again.vocabulary, student.vocabulary);

        // In a folder of its own it is meant, two are not.
        let folder = tempfile::tempdir().unwrap();
        fs::copy(&path, folder.path().join("a.gguf")).unwrap();
        assert_eq!(Student::load(folder.path()).unwrap().weights, hub.weights);
        fs::copy(&path, folder.path().join("b.gguf")).unwrap();
        let message = Student::load(folder.path()).unwrap_err().to_string();
        assert!(message.contains("a.gguf, b.gguf\nhint: "), "{message}");
        // It is one by its first bytes too, and by its ending in any case.
        for name in ["c.GGUF", "model.bin"] {
            let other = folder.path().join(name);
            fs::copy(&path, &other).unwrap();
            assert_eq!(Student::load(&other).unwrap().weights, hub.weights);
        }
        let message = |name: &str| {
            let error = Student::load(&folder.path().join(name)).unwrap_err();
            error.to_string()
        };
        fs::write(folder.path().join("notes.txt"), "x").unwrap();
        let said = message("notes.txt");
        assert!(
            said.contains("notes.txt` is neither a folder nor a file in GGUF\nhint: "),
            "{said}"
        );
        let said = message("missing.gguf");
        assert!(
            said.contains("missing.gguf` does not exist\nhint: "),
            "{said}"
        );
        assert!(!said.contains("folder `"), "{said}");
        // Damage is told by the digest that a store has of it.
        let known = BTreeMap::from([(GGUF_FILE.to_owned(), Digest::of(b"another"))]);
        let opened = Student::open_digested(&path, &known).unwrap();
        assert!(opened.weights.check_digests().is_err());
    }

    /// By the file's path and keys, not by those of the folder that is made of it.
    #[test]
    fn what_is_wrong_with_a_gguf_file_is_said_of_the_file() {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
        let whole = fs::read(fixtures.join("gguf/llama.gguf")).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.gguf");
        let refused = |key: &str, value: u32| {
            let mut bytes = whole.clone();
            let at = bytes
                .windows(key.len())
                .position(|name| name == key.as_bytes());
            // A key is followed by the number of its type and by its value.
            let at = at.unwrap() + key.len();
            assert_eq!(bytes[at..at + 4], 4_u32.to_le_bytes());
            bytes[at + 4..at + 8].copy_from_slice(&value.to_le_bytes());
            fs::write(&path, bytes).unwrap();
            Student::load(&path).unwrap_err().to_string()
        };
        for (key, value) in [
            ("llama.context_length", 0),
            ("llama.feed_forward_length", 1 << 30),
            ("tokenizer.ggml.eos_token_id", 9_999),
        ] {
            let said = refused(key, value);
            let file = format!("`{}`", path.display());
            assert!(said.contains(&file) && said.contains(key), "{said}");
            assert!(
                said.contains("\nhint: ") && !said.contains("config.json"),
                "{said}"
            );
            let temporary = said.replace(&file, "");
            let kept = std::env::temp_dir().display().to_string();
            assert!(!temporary.contains(&kept), "{said}");
        }
    }

    /// Its configuration names two ends, and no file of its tokenizer any.
    #[test]
    fn of_several_ends_the_first_closes_texts_and_each_ends_what_is_written() {
        let from =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/families/llama-llama3");
        let folder = tempfile::tempdir().unwrap();
        for name in ["config.json", "model.safetensors", "tokenizer.json"] {
            fs::copy(from.join(name), folder.path().join(name)).unwrap();
        }
        let student = Student::load(folder.path()).unwrap();
        let ends = &student.architecture.ends;
        assert!(ends.len() == 2 && student.architecture.end_of_text.is_none());
        assert_eq!(student.tokenizer.eos_id(), ends[0]);
        let mut all = ends.clone();
        all.sort_unstable();
        assert_eq!(student.vocabulary.ends(), all);
    }

    #[test]
    fn parts_that_do_not_belong_together_are_refused() {
        let student = Student::load(&parity()).unwrap();
        let mut less = student.architecture.clone();
        less.vocab_rows = 256;
        let message = Student::init(less, student.tokenizer.clone(), 1)
            .unwrap_err()
            .to_string();
        assert!(message.contains("tokenizer has 257 tokens"), "{message}");
        let mut more = student.architecture.clone();
        more.layers = 4;
        let message = Student::new(more, student.weights, student.tokenizer)
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
        let gpt2 = Gpt2 {
            vocab_rows: tokenizer.vocab_size(),
            context: 64,
            width: 32,
            layers: 2,
            heads: 2,
        };
        let architecture = Architecture {
            end_of_text: Some(tokenizer.eos_id()),
            ..gpt2.into()
        };
        Student::init(architecture, tokenizer, 1)
            .unwrap()
            .save(&folder.join("fresh"))
            .unwrap();
    }
}
