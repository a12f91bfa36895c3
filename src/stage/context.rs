//! What a running stage is given, and what it gives back.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value};
use tempfile::TempDir;

use super::port::of_list;
use super::{ParamError, RunOptions, Shard, StageError};
use crate::artifact::{Artifact, ModelFolder, TextMarks};
use crate::dataset::{DataFile, DataSource};
use crate::disk;
use crate::event::{CancelToken, Progress, Reporter};
use crate::fetch::Fetcher;
use crate::input::missing;
use crate::key::{Digest, Numerics, StageKey};
use crate::model::{
    ADAPTER_FILES, ADAPTER_WEIGHTS, Adapter, Architecture, Arithmetic, Dtype, EngineOptions,
    GGUF_FILE, HUB_FILES, Inference, ModelError, Student, WeightFiles, find_gguf, template_files,
    thread_pool,
};
use crate::store::{Store, StoreError};
use crate::text::{ChoiceAnswer, PromptSpec};

/// What a stage made: the content digest of each output object, by output name.
pub type Outputs = BTreeMap<String, Digest>;

/// A stage's inputs: the content digest of each, by the name of its port; see [`super::Port::input_name`].
pub type Inputs = BTreeMap<String, Digest>;

/// An outside file or folder that a stage reads; its content digest enters the key, its path does not.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OutsideFile {
    /// The role under which the digest enters the key, for example `model.safetensors`.
    pub role: String,
    /// Where it is.
    pub path: PathBuf,
}

/// What the warnings are recorded under that [`Context::warn_always`] gives.
pub(crate) const WARNINGS: &str = "warnings";

/// What a running stage is given.
pub struct Context<'a> {
    /// The stage's name.
    pub stage: &'a str,
    /// Its key, once it is known that it runs.
    pub key: Option<StageKey>,
    /// The manifest's seed, or the stage's own.
    pub seed: u64,
    /// Its inputs.
    pub inputs: &'a Inputs,
    /// How to run.
    pub options: &'a RunOptions,
    /// The folder of the manifest: where relative paths start.
    pub folder: &'a Path,
    /// Where outputs and rows are kept.
    pub store: &'a Store,
    /// Where outside files come from.
    pub fetcher: &'a Fetcher,
    /// Where to tell.
    pub report: Reporter<'a>,
    /// Whether to stop.
    pub cancel: &'a CancelToken,
    /// See [`super::Environment::planning`].
    pub planning: bool,
    /// See [`super::Environment::shard`].
    pub shard: Option<Shard>,
    /// What the stage used; see [`Context::record_use`].
    pub(super) used: Mutex<Map<String, Value>>,
    /// What the stage read of the store without having it checked first, by port.
    pub(super) lent: Mutex<BTreeMap<String, Vec<Digest>>>,
    /// The digests of outside files, of their bytes as the stage read them.
    pub(super) seen: Mutex<BTreeMap<PathBuf, Digest>>,
}

impl Context<'_> {
    /// The content digest of what comes in at `port`, if anything does.
    pub fn input_digest(&self, port: &str) -> Option<Digest> {
        self.inputs.get(port).copied()
    }

    /// The value that comes in at `port`.
    ///
    /// # Errors
    /// When the object is gone or is not a `T`.
    pub fn input<T: Artifact>(&self, port: &str) -> Result<T, StageError> {
        let bytes = match self.input_digest(port) {
            Some(digest) => self.store.object(&digest)?,
            None => None,
        };
        let bytes = bytes.ok_or_else(|| StageError::InputGone {
            port: port.to_owned(),
        })?;
        Ok(T::decode(&bytes)?)
    }

    /// The value that comes in at an optional `port`.
    ///
    /// # Errors
    /// As [`Context::input`].
    pub fn optional_input<T: Artifact>(&self, port: &str) -> Result<Option<T>, StageError> {
        self.inputs
            .contains_key(port)
            .then(|| self.input(port))
            .transpose()
    }

    /// The names of the inputs that come in at a `port` that takes several, in the manifest's order.
    pub fn input_names(&self, port: &str) -> Vec<String> {
        of_list(self.inputs, port).map(|(name, _)| name).collect()
    }

    /// Keeps `value` and gives its digest.
    ///
    /// # Errors
    /// When the store cannot write.
    pub fn keep<T: Artifact>(&self, value: &T) -> Result<Digest, StageError> {
        Ok(self.store.put_object(&value.encode())?)
    }

    /// The student that comes in at `port`, its weights in memory.
    ///
    /// # Errors
    /// When a file is gone, damaged, or not what a student is made of.
    pub fn student(&self, port: &str) -> Result<(ModelFolder, Student), StageError> {
        let (folder, student) = self.opened_student(port)?;
        let read = self.on_threads(|| {
            let files = student.weights.clone();
            let student = student.read()?;
            files.check_digests()?;
            Ok::<_, ModelError>(student)
        })?;
        Ok((folder, self.sound(read)?))
    }

    /// The student that comes in at `port`, its weights still to be read; see [`Context::engine`].
    ///
    /// # Errors
    /// When a file is gone, damaged, or not what a student is made of.
    pub fn opened_student(
        &self,
        port: &str,
    ) -> Result<(ModelFolder, Student<WeightFiles>), StageError> {
        let folder: ModelFolder = self.input(port)?;
        let scratch = self.store.scratch()?;
        // An adapter is small, and read as a whole: a copy that is checked does.
        let is_weights = |name: &str| {
            name.ends_with(".safetensors") && !(folder.is_adapted() && name == ADAPTER_WEIGHTS)
        };
        match self.store.lend(&folder.files, scratch.path(), is_weights) {
            Err(StoreError::MissingObject(_)) => {
                let port = port.to_owned();
                return Err(StageError::InputGone { port });
            }
            lent => lent?,
        }
        let weights = folder.files.iter().filter(|(name, _)| is_weights(name));
        let weights = weights.map(|(_, digest)| *digest).collect();
        lock(&self.lent).insert(port.to_owned(), weights);
        // The open files outlast their names.
        let student = self.sound(if folder.is_adapted() {
            Student::open_adapted(scratch.path(), &folder.files)
        } else {
            Student::open_digested(scratch.path(), &folder.files)
        })?;
        Ok((folder, student))
    }

    /// The student that comes in at `port` as a folder for another program to read, its adapter added to its weights.
    ///
    /// # Errors
    /// When a file is gone, damaged, or cannot be written.
    pub fn student_folder(&self, port: &str) -> Result<TempDir, StageError> {
        let folder: ModelFolder = self.input(port)?;
        let scratch = self.store.scratch()?;
        if folder.is_adapted() {
            let (_, student) = self.student(port)?;
            student.save(scratch.path())?;
            return Ok(scratch);
        }
        match self.store.materialise(&folder.files, scratch.path()) {
            Err(StoreError::MissingObject(_)) => {
                let port = port.to_owned();
                Err(StageError::InputGone { port })
            }
            made => Ok(made.map(|()| scratch)?),
        }
    }

    /// The file that keeps what the server says that this stage starts; it stays when the stage is finished.
    ///
    /// # Errors
    /// When its folder cannot be made.
    pub fn log_file(&self) -> Result<PathBuf, StageError> {
        Ok(self.store.log_file(&self.running_key()?)?)
    }

    /// What was made of files that [`Store::lend`] lent unread. Where that failed, one of them may be damaged: then the
    /// input is gone, and the stage that makes it runs again.
    fn sound<T, E: Into<StageError>>(&self, made: Result<T, E>) -> Result<T, StageError> {
        let error = match made {
            Ok(made) => return Ok(made),
            Err(error) => error.into(),
        };
        for (port, lent) in &*lock(&self.lent) {
            for digest in lent {
                if !self.store.recheck_object(digest)? {
                    let port = port.clone();
                    return Err(StageError::InputGone { port });
                }
            }
        }
        Err(error)
    }

    /// Keeps a trained student as a folder in Hub format.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn keep_student(
        &self,
        student: &Student,
        prompt: PromptSpec,
        choice_answer: ChoiceAnswer,
    ) -> Result<Digest, StageError> {
        let scratch = self.store.scratch()?;
        student.save(scratch.path())?;
        let mut files = BTreeMap::new();
        for (name, path) in hub_files(scratch.path())? {
            files.insert(name, self.store.take_file(&path)?);
        }
        self.keep(&ModelFolder {
            files,
            prompt,
            choice_answer,
            marks: TextMarks::of(student),
        })
    }

    /// Keeps an adapter that was trained beside the student at `port`, as that student's files and its own. Where these have
    /// an adapter already, both become one.
    ///
    /// # Errors
    /// When a file is gone, cannot be read or cannot be written.
    pub fn keep_adapter(
        &self,
        port: &str,
        adapter: Adapter,
        architecture: &Architecture,
        prompt: PromptSpec,
        choice_answer: ChoiceAnswer,
    ) -> Result<Digest, StageError> {
        let base: ModelFolder = self.input(port)?;
        let scratch = self.store.scratch()?;
        let adapter = if base.is_adapted() {
            let mut files = base.files.clone();
            files.retain(|name, _| ADAPTER_FILES.contains(&name.as_str()));
            self.store.materialise(&files, scratch.path())?;
            adapter.after(&Adapter::load(scratch.path(), architecture)?, architecture)?
        } else {
            adapter
        };
        adapter.save(scratch.path(), architecture)?;
        let mut files = base.files;
        for name in ADAPTER_FILES {
            let digest = self.store.take_file(&scratch.path().join(name))?;
            files.insert(name.to_owned(), digest);
        }
        self.keep(&ModelFolder {
            files,
            prompt,
            choice_answer,
            marks: base.marks,
        })
    }

    /// Keeps every file of a Hub-format folder whose texts have these marks.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub fn keep_folder(
        &self,
        folder: &Path,
        prompt: PromptSpec,
        choice_answer: ChoiceAnswer,
        marks: TextMarks,
    ) -> Result<Digest, StageError> {
        let mut files = BTreeMap::new();
        for (name, path) in hub_files(folder)? {
            let digest = self.store.put_file(&path)?;
            files.insert(name, digest);
            self.saw(path, digest);
        }
        self.keep(&ModelFolder {
            files,
            prompt,
            choice_answer,
            marks,
        })
    }

    /// `student`, ready to be sampled on the run's device. Its weights are read here.
    ///
    /// # Errors
    /// When the weights cannot be read or do not fit the configuration, or the device is not to be had.
    pub fn engine(
        &self,
        student: &Student<WeightFiles>,
        dtype: Dtype,
    ) -> Result<Inference, StageError> {
        let options = EngineOptions {
            dtype,
            threads: self.options.threads,
            max_batch: self.options.batch_size,
            graphs: self.options.graphs,
        };
        let weights = student.weights.clone();
        let device = self.options.device;
        let engine = self.sound(Inference::new(
            device,
            &student.architecture,
            weights,
            options,
        ))?;
        // Before anything is made with it.
        self.sound(self.on_threads(|| student.weights.check_digests())?)?;
        Ok(engine)
    }

    /// Notes the digest of an outside file as the stage read it; the result is only kept if it is that in the key.
    pub fn saw(&self, path: PathBuf, digest: Digest) {
        lock(&self.seen).insert(path, digest);
    }

    /// The digest of an outside file as the stage read it, if it said so.
    pub fn seen(&self, path: &Path) -> Option<Digest> {
        lock(&self.seen).get(path).copied()
    }

    /// Does `work` with as many threads as the run may use.
    ///
    /// # Errors
    /// When they cannot be started.
    pub fn on_threads<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, StageError> {
        Ok(thread_pool(self.options.threads)?.install(work))
    }

    /// Adds to the provenance how many sequences went on together, and where memory ran out.
    pub fn record_batch(&self, engine: &Inference) {
        let ladder = engine.batch_ladder();
        if !ladder.is_empty() {
            self.record_use("sequences", serde_json::json!(ladder));
        }
    }

    /// The run's device with this arithmetic, as keys have it.
    pub fn numerics(&self, arithmetic: Arithmetic) -> Numerics {
        let device = self.options.device;
        Numerics {
            dtype: arithmetic.dtype.name().to_owned(),
            backend: device.backend().to_owned(),
            engine: arithmetic.engine(device).into(),
        }
    }

    /// Where `path` of the manifest leads: from the manifest's folder, or else (as for `--set`) from
    /// the folder that the program was started in.
    pub fn resolve(&self, path: impl AsRef<Path>) -> PathBuf {
        let beside = self.folder.join(path.as_ref());
        if beside.exists() {
            beside
        } else {
            path.as_ref().to_owned()
        }
    }

    /// What is wrong with the file that `field` of the manifest names, where it is not there; an address is no file.
    pub fn missing_file(&self, field: &str, path: impl AsRef<Path>) -> Option<ParamError> {
        let path = path.as_ref();
        if path.to_string_lossy().contains("://") {
            return None;
        }
        let there = self.resolve(path);
        if there.is_dir() {
            return Some(ParamError {
                field: field.to_owned(),
                message: format!("`{}` is a folder, where a file is expected", path.display()),
                hint: Some("name one of its files".to_owned()),
            });
        }
        match disk::check(&there) {
            Ok(()) => None,
            Err(error) if error.kind() == ErrorKind::NotFound => Some(self.missing(field, path)),
            Err(error) => Some(ParamError::of(
                field,
                &format!("`{}`: {error}", path.display()),
            )),
        }
    }

    /// What to say of the file or folder that `field` of the manifest names, which is not there.
    pub fn missing(&self, field: &str, path: &Path) -> ParamError {
        let missing = missing(path, &[self.folder, Path::new("")]);
        ParamError {
            field: field.to_owned(),
            message: missing.what,
            hint: missing.hint,
        }
    }

    /// Pinned files brought here, by the role under which their digests enter the key.
    ///
    /// # Errors
    /// When one is not to be had.
    pub fn outside(&self, files: &[DataFile]) -> Result<Vec<OutsideFile>, StageError> {
        self.with_source(|source| {
            files
                .iter()
                .enumerate()
                .map(|(index, file)| {
                    Ok(OutsideFile {
                        role: format!("file-{index}"),
                        path: file.locate(source)?,
                    })
                })
                .collect()
        })
    }

    /// Calls `work` with the source of outside files, whose downloads are told as progress.
    pub fn with_source<T>(&self, work: impl FnOnce(&DataSource<'_>) -> T) -> T {
        let report = self.report;
        work(&DataSource {
            fetcher: self.fetcher,
            progress: &move |progress| report.progress(progress),
        })
    }

    /// The folder for unfinished work of this stage: checkpoints that let a killed run go on.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn work_dir(&self) -> Result<PathBuf, StageError> {
        Ok(self.store.work_dir(&self.running_key()?)?)
    }

    fn running_key(&self) -> Result<StageKey, StageError> {
        self.key
            .ok_or_else(|| StageError::Invalid("only a running stage has a work folder".to_owned()))
    }

    /// Of `items`, those of the shard that is run, by the question that each is about; all of them where the whole stage is.
    pub fn part<T>(&self, items: Vec<T>, question: impl Fn(&T) -> &str) -> Vec<T> {
        match self.shard {
            None => items,
            Some(shard) => shard.part(items, question),
        }
    }

    /// Adds to the provenance of the stage's result, under `use`: what it took that is not in its key, for
    /// example the requests that it sent. A later value under the same name wins.
    pub fn record_use(&self, name: &str, value: Value) {
        lock(&self.used).insert(name.to_owned(), value);
    }

    /// Warns of something in the inputs that every run is to tell, those too that find the result in the store.
    pub fn warn_always(&self, messages: &[String]) {
        for message in messages {
            self.report.warn(message);
        }
        if !messages.is_empty() {
            self.record_use(WARNINGS, messages.into());
        }
    }

    /// What was recorded with [`Context::record_use`].
    pub fn recorded_use(&self) -> Map<String, Value> {
        lock(&self.used).clone()
    }

    /// Tells how far the work has come.
    pub fn progress(
        &self,
        unit: &'static str,
        done: usize,
        total: usize,
        tokens: u64,
        detail: String,
    ) {
        self.report.progress(Progress {
            done: done as u64,
            total: total as u64,
            unit: unit.into(),
            tokens,
            detail,
        });
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What names the shards of weights.
const INDEX: &str = "model.safetensors.index.json";

/// The files of a model, by the names that they are known by, in their order: those of a Hub folder that make the student or go
/// with it; a GGUF file under one name, whatever it is called.
pub(crate) fn hub_files(model: &Path) -> Result<Vec<(String, PathBuf)>, StageError> {
    if let Some(file) = find_gguf(model)? {
        return Ok(vec![(GGUF_FILE.to_owned(), file)]);
    }
    let io = |source| StageError::Io {
        path: model.to_owned(),
        source,
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(model).map_err(io)? {
        let path = entry.map_err(io)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let weights = name.ends_with(".safetensors") || name == INDEX;
        if (weights || HUB_FILES.contains(&name.as_ref())) && path.is_file() {
            files.push((name.into_owned(), path));
        }
    }
    let templates = template_files(model).map_err(io)?.into_iter();
    files.extend(templates.map(|name| (name.clone(), model.join(name))));
    files.sort();
    Ok(files)
}
