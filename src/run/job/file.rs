//! The file that describes a job.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::disk;
use crate::key::{Recipe, StageKey};
use crate::model::device::DeviceName;
use crate::plan::Node;
use crate::remote::RemoteUrl;
use crate::stage::{Inputs, Stage, StageError};

/// The version that is written, and the only one that is read.
const VERSION: u32 = 1;

/// A stage that another machine is to run: all that it takes, so that no manifest is read there.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    version: u32,
    /// The program that wrote it.
    pub(crate) program: String,
    /// The stage's names; the first one speaks for all.
    pub(crate) stages: Vec<String>,
    /// What its result will be kept under.
    pub(crate) key: StageKey,
    /// What the key is made from.
    pub(crate) recipe: Recipe,
    pub(crate) kind: String,
    /// Defaults filled in.
    pub(crate) params: Map<String, Value>,
    pub(crate) seed: u64,
    /// By port, the content of what comes in, which the remote has.
    pub(crate) inputs: Inputs,
    /// Where models run, by its name.
    pub(crate) device: String,
    pub(crate) remote: RemoteUrl,
    /// The manifest's folder: where relative paths start.
    pub(crate) folder: PathBuf,
    /// Where outside files are looked for first.
    pub(crate) mirror: Option<PathBuf>,
    pub(crate) offline: bool,
    /// Where outside files were downloaded to.
    pub(crate) downloads: PathBuf,
    /// 0 for as many as the job has cores.
    pub(crate) threads: usize,
    pub(crate) batch_size: usize,
    pub(crate) gradient_checkpointing: bool,
    /// No graphs of a device's steps.
    #[serde(default)]
    pub(crate) enforce_eager: bool,
}

/// What every stage of a run has in its job.
#[derive(Clone, Debug)]
pub(crate) struct JobSettings {
    pub(crate) device: DeviceName,
    pub(crate) remote: RemoteUrl,
    pub(crate) folder: PathBuf,
    pub(crate) mirror: Option<PathBuf>,
    pub(crate) offline: bool,
    pub(crate) downloads: PathBuf,
    pub(crate) threads: usize,
    pub(crate) batch_size: usize,
    pub(crate) gradient_checkpointing: bool,
    pub(crate) enforce_eager: bool,
}

impl Job {
    /// The job of a stage.
    pub(crate) fn new(node: &Node, recipe: Recipe, settings: JobSettings) -> Self {
        Self {
            version: VERSION,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            stages: node.names.iter().map(ToString::to_string).collect(),
            key: recipe.key(),
            inputs: recipe.inputs.clone(),
            recipe,
            kind: node.kind.name().to_owned(),
            params: node.params.clone(),
            seed: node.seed,
            device: settings.device.to_string(),
            remote: settings.remote,
            folder: settings.folder,
            mirror: settings.mirror,
            offline: settings.offline,
            downloads: settings.downloads,
            threads: settings.threads,
            batch_size: settings.batch_size,
            gradient_checkpointing: settings.gradient_checkpointing,
            enforce_eager: settings.enforce_eager,
        }
    }

    /// As it is written.
    pub(crate) fn encode(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).expect("a job holds only JSON values")
    }

    /// Reads the job at `path`.
    ///
    /// # Errors
    /// It cannot be read, is no job, or another version's.
    pub(crate) fn read(path: &Path) -> Result<Self, StageError> {
        let bytes = disk::read(path).map_err(|source| StageError::Io {
            path: path.to_owned(),
            source,
        })?;
        Self::decode(&bytes, path)
    }

    fn decode(bytes: &[u8], path: &Path) -> Result<Self, StageError> {
        let invalid = |why: String| StageError::Invalid(format!("{}: {why}", path.display()));
        let written = |error: serde_json::Error| {
            invalid(format!(
                "no job: {error}\nhint: jobs are written by `sert-run run --executor slurm` and by `sert-run plan --jobs DIR`"
            ))
        };
        let value: Value = serde_json::from_slice(bytes).map_err(written)?;
        match value.get("version").and_then(Value::as_u64) {
            Some(version) if version == u64::from(VERSION) => {}
            Some(version) => {
                return Err(invalid(format!(
                    "the job has version {version}, and this program ({}) reads version {VERSION}\nhint: let the program run it that wrote it ({})",
                    env!("CARGO_PKG_VERSION"),
                    value["program"].as_str().unwrap_or("unknown")
                )));
            }
            None => return Err(invalid("no job: it names no version".to_owned())),
        }
        serde_json::from_value(value).map_err(written)
    }

    /// The stage's name.
    pub(crate) fn name(&self) -> &str {
        self.stages.first().map_or("", String::as_str)
    }

    /// The stage that it asks for.
    ///
    /// # Errors
    /// No kind is called so, or its parameters do not fit.
    pub(crate) fn node(&self, kinds: &[&'static dyn Stage]) -> Result<Node, StageError> {
        let kind = kinds.iter().copied().find(|kind| kind.name() == self.kind);
        let kind = kind.ok_or_else(|| {
            StageError::Invalid(format!(
                "the job's stage `{}` is of kind `{}`, which this program ({}) has not\nhint: let the program run it that wrote it ({})",
                self.name(),
                self.kind,
                env!("CARGO_PKG_VERSION"),
                self.program
            ))
        })?;
        Ok(Node {
            names: self
                .stages
                .iter()
                .map(|name| name.as_str().into())
                .collect(),
            place: 0,
            kind,
            params: kind.complete(&self.params)?,
            seed: self.seed,
        })
    }

    /// Whether `found` is the recipe that the job was written for.
    ///
    /// # Errors
    /// It is not: both keys, and in which fields they differ.
    pub(crate) fn check(&self, found: &Recipe) -> Result<(), StageError> {
        let key = found.key();
        if key == self.key {
            return Ok(());
        }
        let differences = found.differences(&self.recipe);
        let field = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
        let fields: Vec<String> = differences
            .iter()
            .map(|each| {
                format!(
                    "`{}` is {} there and {} here",
                    each.field,
                    field(&each.from),
                    field(&each.to)
                )
            })
            .collect();
        Err(StageError::Invalid(format!(
            "the stage's key is {} in the job and {} on this machine: {}\nhint: both must run the same program and see the same files",
            self.key.0.short(),
            key.0.short(),
            fields.join("; ")
        )))
    }
}
