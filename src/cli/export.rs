//! `sert-run export X.toml STAGE PATH`: JSON lines, or a folder in Hub format.

use std::io::ErrorKind;
use std::path::PathBuf;

use clap::Args;

use super::exit::{Exit, Failure, say};
use super::session::{ManifestArgs, Purpose, Session};
use crate::artifact::{Artifact, ArtifactKind, ModelFolder};
use crate::disk;

#[derive(Args)]
pub(crate) struct ExportArgs {
    #[command(flatten)]
    manifest: ManifestArgs,
    /// The stage, or one of its outputs as STAGE.OUTPUT
    stage: String,
    /// Where to write: a file for rows, a folder for a model. It must not exist yet; one that was not finished does not
    to: PathBuf,
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
    if found.kind == ArtifactKind::Model {
        let model = ModelFolder::decode(&found.bytes)?;
        disk::write_folder(&args.to, |part| -> Result<(), Failure> {
            Ok(session.store.materialise(&model.files, part)?)
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
