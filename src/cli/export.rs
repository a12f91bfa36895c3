//! `sert-run export X.toml STAGE PATH`: JSON lines, or a folder in Hub format; an adapter merged into its model, or alone.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use serde_json::Value;

use super::complete;
use super::exit::{Exit, Failure, say};
use super::session::{ManifestArgs, Purpose, Session};
use crate::artifact::{Artifact, ArtifactKind, ModelFolder};
use crate::disk;
use crate::manifest::split_reference;
use crate::model::{ADAPTER_CONFIG, ADAPTER_FILES, Student};
use crate::plan::NodeId;
use crate::stage::StageError;

#[derive(Args)]
#[command(after_help = "Examples:
  sert-run export experiments/quickstart.toml kept kept.jsonl
  sert-run export experiments/quickstart.toml sert sert-model")]
pub(crate) struct ExportArgs {
    #[command(flatten)]
    manifest: ManifestArgs,
    /// The stage, or one of its outputs as STAGE.OUTPUT
    #[arg(add = complete::outputs())]
    stage: String,
    /// Where to write: a file for rows, a folder for a model. It must not exist yet; one that was not finished does not
    to: PathBuf,
    /// Of a student that was trained with `lora`, write the adapter alone, as PEFT loads it
    #[arg(long)]
    adapter: bool,
}

pub(crate) fn run(args: &ExportArgs) -> Result<Exit, Failure> {
    let session = Session::open(&args.manifest, Purpose::Look)?;
    let found = session.artifact(&args.stage)?;
    let exists = || {
        Failure::usage(format!(
            "`{}` exists\nhint: export writes to a new place, so that nothing is lost",
            args.to.display()
        ))
    };
    if args.to.exists() && !disk::is_stream(&args.to) {
        return Err(exists());
    }
    let model = match found.kind {
        ArtifactKind::Model => Some(ModelFolder::decode(&found.bytes)?),
        _ => None,
    };
    if args.adapter && !model.as_ref().is_some_and(ModelFolder::is_adapted) {
        return Err(Failure::usage(format!(
            "`{}` has no adapter: only `finetune` and `distill` with `lora` make one\nhint: leave `--adapter` out",
            args.stage
        )));
    }
    if let Some(model) = model {
        disk::write_folder(&args.to, |part| match (model.is_adapted(), args.adapter) {
            (true, true) => write_adapter(&session, &model, &args.stage, part),
            (true, false) => write_merged(&session, &model, part),
            (false, _) => Ok(session.store.materialise(&model.files, part)?),
        })?;
    } else {
        // It may have come up in between.
        disk::write_new(&args.to, &found.bytes).map_err(|error| match error.source.kind() {
            ErrorKind::AlreadyExists => exists(),
            _ => error.into(),
        })?;
    }
    say(&format!(
        "wrote {} `{}` to {}",
        found.kind,
        args.stage,
        args.to.display()
    ));
    Ok(Exit::Done)
}

/// A model with what its adapter adds in its weights.
fn write_merged(session: &Session, model: &ModelFolder, part: &Path) -> Result<(), Failure> {
    let scratch = session.store.scratch()?;
    session.store.materialise(&model.files, scratch.path())?;
    let student = Student::open_adapted(scratch.path(), &BTreeMap::new());
    let student = student.and_then(Student::read);
    let saved = student.and_then(|student| student.save(part));
    Ok(saved.map_err(StageError::from)?)
}

/// The adapter alone, which says what it is beside.
fn write_adapter(
    session: &Session,
    model: &ModelFolder,
    stage: &str,
    part: &Path,
) -> Result<(), Failure> {
    let mut files = model.files.clone();
    files.retain(|name, _| ADAPTER_FILES.contains(&name.as_str()));
    session.store.materialise(&files, part)?;
    let path = part.join(ADAPTER_CONFIG);
    let mut config: Value = serde_json::from_slice(&disk::read_small(&path)?)
        .with_context(|| format!("`{}` is not what was expected", path.display()))?;
    match base(session, stage)? {
        Base::Named { model, revision } => {
            config["base_model_name_or_path"] = model.into();
            config["revision"] = revision.into();
        }
        Base::Made(stage) => say(&format!(
            "the adapter is beside `{stage}`: export that too, and name its folder as `base_model_name_or_path` in {ADAPTER_CONFIG}"
        )),
    }
    Ok(disk::write(&path, format!("{config:#}\n").as_bytes())?)
}

/// What an adapter is beside.
enum Base {
    /// A student that was brought in, by its name or path.
    Named {
        model: String,
        revision: Option<String>,
    },
    /// One that a stage made.
    Made(String),
}

/// What the adapter of `stage` is beside: the first model on the way to it that was not made with `lora`.
fn base(session: &Session, stage: &str) -> Result<Base, Failure> {
    let (stage, _) = split_reference(stage);
    let mut node = session.plan.find(stage)?;
    let at = |id: NodeId| session.plan.node(id);
    while at(node)
        .params
        .get("lora")
        .is_some_and(|lora| !lora.is_null())
        && let Some((from, _)) = session.plan.inputs(node).get("model")
    {
        node = *from;
    }
    let text = |name: &str| at(node).params.get(name).and_then(Value::as_str);
    let Some(model) = text("model").filter(|_| at(node).kind.name() == "student") else {
        return Ok(Base::Made(at(node).name().to_owned()));
    };
    let revision = text("revision").filter(|revision| *revision != "main");
    let beside = session
        .manifest
        .path
        .parent()
        .map(|folder| folder.join(model));
    let mut local = [beside, Some(PathBuf::from(model))].into_iter().flatten();
    let local = local.find_map(|path| path.canonicalize().ok());
    Ok(Base::Named {
        model: local.map_or_else(|| model.to_owned(), |path| path.display().to_string()),
        revision: revision.map(str::to_owned),
    })
}
