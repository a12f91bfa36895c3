//! What a running stage is given, and what it gives back.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::OutsideFile;
use crate::artifact::{Artifact, ArtifactError, ModelFolder};
use crate::dataset::{DataFile, DatasetError, Source};
use crate::event::{CancelToken, Observer, Progress, Reporter};
use crate::fetch::{FetchError, Fetcher};
use crate::filter::FilterError;
use crate::key::{Digest, StageKey};
use crate::metric::MetricError;
use crate::model::engine::{Engine, EngineError, EngineOptions};
use crate::model::train::TrainError;
use crate::model::{ModelError, Student};
use crate::store::{Store, StoreError};
use crate::teacher::TeacherError;

/// What a stage made: the content digest of each output object, by output name.
pub type Outputs = BTreeMap<String, Digest>;

/// A stage's inputs: the content digest of each, by port.
pub type Inputs = BTreeMap<String, Digest>;

/// How to run; never part of a key.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// Worker threads; 0 for all cores.
    pub threads: usize,
    /// Sequences decoded together; 0 for automatic.
    pub batch_size: usize,
}

impl RunOptions {
    /// Worker threads, counted.
    pub fn thread_count(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            threads => threads,
        }
    }
}

/// What every stage of a run shares.
#[derive(Clone, Copy)]
pub struct Environment<'a> {
    /// How to run.
    pub options: &'a RunOptions,
    /// The folder of the manifest: where relative paths start.
    pub folder: &'a Path,
    /// Where outputs and rows are kept.
    pub store: &'a Store,
    /// Where outside files come from.
    pub fetcher: &'a Fetcher,
    /// Who listens.
    pub observer: &'a dyn Observer,
    /// Whether to stop.
    pub cancel: &'a CancelToken,
}

impl<'a> Environment<'a> {
    /// What the stage called `stage` is given.
    pub fn context(&self, stage: &'a str, seed: u64, inputs: &'a Inputs) -> Context<'a> {
        Context {
            stage,
            key: None,
            seed,
            inputs,
            options: self.options,
            folder: self.folder,
            store: self.store,
            fetcher: self.fetcher,
            report: Reporter::new(stage, self.observer),
            cancel: self.cancel,
        }
    }
}

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
}

/// Why a stage did not finish.
#[derive(Debug, thiserror::Error)]
#[expect(
    missing_docs,
    reason = "each variant says what failed by the error it holds"
)]
pub enum StageError {
    #[error("parameters do not fit: {0}")]
    Params(#[from] serde_json::Error),
    #[error("interrupted")]
    Cancelled,
    #[error(
        "the input `{port}` is gone from the store\nhint: run the same command again; the stage that makes it will run"
    )]
    InputGone { port: String },
    #[error("{0}")]
    Invalid(String),
    #[error("cannot read `{}`: {source}", path.display())]
    Io {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    #[error(transparent)]
    Teacher(#[from] TeacherError),
    #[error(transparent)]
    Filter(#[from] FilterError),
    #[error(transparent)]
    Metric(#[from] MetricError),
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Engine(EngineError),
    #[error(transparent)]
    Train(TrainError),
}

impl From<EngineError> for StageError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Cancelled => Self::Cancelled,
            other => Self::Engine(other),
        }
    }
}

impl From<TrainError> for StageError {
    fn from(error: TrainError) -> Self {
        match error {
            TrainError::Cancelled => Self::Cancelled,
            other => Self::Train(other),
        }
    }
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

    /// Keeps `value` and gives its digest.
    ///
    /// # Errors
    /// When the store cannot write.
    pub fn keep<T: Artifact>(&self, value: &T) -> Result<Digest, StageError> {
        Ok(self.store.put_object(&value.encode())?)
    }

    /// The student that comes in at `port`, loaded.
    ///
    /// # Errors
    /// When a file is gone or is not what a student is made of.
    pub fn student(&self, port: &str) -> Result<(ModelFolder, Student), StageError> {
        let folder: ModelFolder = self.input(port)?;
        let scratch = self.scratch()?;
        self.store.materialise(&folder.files, scratch.path())?;
        let student = Student::load(scratch.path())?;
        Ok((folder, student))
    }

    /// Keeps a trained student as a folder in Hub format.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn keep_student(
        &self,
        student: &Student,
        prompt: crate::text::PromptForm,
    ) -> Result<Digest, StageError> {
        let scratch = self.scratch()?;
        student.save(scratch.path())?;
        self.keep_folder(scratch.path(), prompt)
    }

    /// Keeps every file of a Hub-format folder.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub fn keep_folder(
        &self,
        folder: &Path,
        prompt: crate::text::PromptForm,
    ) -> Result<Digest, StageError> {
        let mut files = BTreeMap::new();
        for path in super::hub_files(folder)? {
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            files.insert(name, self.store.put_file(&path)?);
        }
        self.keep(&ModelFolder { files, prompt })
    }

    /// The sampling engine for `student`.
    ///
    /// # Errors
    /// When the weights do not fit the configuration.
    pub fn engine(&self, student: &Student) -> Result<Engine, StageError> {
        let options = EngineOptions {
            threads: self.options.threads,
            max_batch: self.options.batch_size,
        };
        Ok(Engine::new(&student.config, &student.weights, options)?)
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
    pub fn with_source<T>(&self, work: impl FnOnce(&Source<'_>) -> T) -> T {
        let report = self.report;
        work(&Source {
            fetcher: self.fetcher,
            progress: &move |progress| report.progress(progress),
        })
    }

    /// The folder for unfinished work of this stage: checkpoints that let a killed run go on.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn work_dir(&self) -> Result<PathBuf, StageError> {
        let key = self.key.ok_or_else(|| {
            StageError::Invalid("only a running stage has a work folder".to_owned())
        })?;
        Ok(self.store.work_dir(&key)?)
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
            unit,
            tokens,
            detail,
        });
    }

    fn scratch(&self) -> Result<tempfile::TempDir, StageError> {
        tempfile::tempdir_in(self.store.temp_dir()).map_err(|source| StageError::Io {
            path: self.store.temp_dir(),
            source,
        })
    }
}
