//! `sert-run export X.toml STAGE PATH`: JSON lines, or a folder in Hub format.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use super::exit::{Exit, Failure, say};
use super::session::{ManifestArgs, Purpose, Session};
use crate::artifact::{Artifact, ArtifactKind, ModelFolder};

#[derive(Args)]
pub(crate) struct ExportArgs {
    #[command(flatten)]
    manifest: ManifestArgs,
    /// The stage, or one of its outputs as STAGE.OUTPUT
    stage: String,
    /// Where to write: a file for rows, a folder for a model. It must not exist yet
    to: PathBuf,
}

pub(crate) fn run(args: &ExportArgs) -> Result<Exit, Failure> {
    let session = Session::open(&args.manifest, Purpose::Look)?;
    let found = session.artifact(&args.stage)?;
    if args.to.exists() {
        return Err(Failure::usage(format!(
            "`{}` exists\nhint: export writes to a new place, so that nothing is lost",
            args.to.display()
        )));
    }
    if found.kind == ArtifactKind::Model {
        let model = ModelFolder::decode(&found.bytes)?;
        session.store.materialise(&model.files, &args.to)?;
    } else {
        std::fs::write(&args.to, &found.bytes)
            .with_context(|| format!("failed to write `{}`", args.to.display()))?;
    }
    say(&format!(
        "wrote {} `{}` to {}",
        found.kind,
        args.stage,
        args.to.display()
    ));
    Ok(Exit::Done)
}
