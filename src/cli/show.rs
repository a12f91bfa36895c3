//! `sert-run show X.toml STAGE`: what a stage made, for a person or as JSON lines.

use std::io::Write;

use clap::Args;

use super::exit::{Exit, Failure};
use super::session::{ManifestArgs, Session};
use crate::report::artifact_text;

#[derive(Args)]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    manifest: ManifestArgs,
    /// The stage, or one of its outputs as STAGE.OUTPUT
    stage: String,
    /// Print the artifact's JSON lines as they are
    #[arg(long)]
    json: bool,
    /// Rows to print; 0 for all
    #[arg(long, default_value_t = 20, value_name = "N")]
    rows: usize,
    /// Only the rows of this question
    #[arg(long, value_name = "ID")]
    question: Option<String>,
}

pub(crate) fn run(args: &ShowArgs) -> Result<Exit, Failure> {
    let session = Session::open(&args.manifest, false)?;
    let found = session.artifact(&args.stage)?;
    let mut out = anstream::stdout().lock();
    if args.json {
        out.write_all(&found.bytes)?;
    } else {
        // A terminal's colours and cursor are not for model output to set: see `artifact_text`.
        write!(
            out,
            "{}",
            artifact_text(
                found.kind,
                &found.bytes,
                args.rows,
                args.question.as_deref()
            )?
        )?;
    }
    Ok(Exit::Done)
}
