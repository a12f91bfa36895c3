//! `sert-run show X.toml STAGE`: what a stage made, for a person or as JSON lines.

use std::io::Write;

use clap::Args;

use super::complete;
use super::data;
use super::exit::{Exit, Failure};
use super::session::{ManifestArgs, Purpose, Session};
use crate::report::{artifact_json, artifact_text};

#[derive(Args)]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    manifest: ManifestArgs,
    /// The stage, or one of its outputs as STAGE.OUTPUT
    #[arg(add = complete::outputs())]
    stage: String,
    /// Print the artifact's JSON lines
    #[arg(long)]
    json: bool,
    /// Rows to print; 0 for all, which --json prints by default, 20 otherwise
    #[arg(long, value_name = "N")]
    rows: Option<usize>,
    /// Only the rows of this question
    #[arg(long, value_name = "ID")]
    question: Option<String>,
}

pub(crate) fn run(args: &ShowArgs) -> Result<Exit, Failure> {
    let session = Session::open(&args.manifest, Purpose::Look)?;
    let found = session.artifact(&args.stage)?;
    let question = args.question.as_deref();
    if args.json {
        let rows = args.rows.unwrap_or(0);
        data::print(&artifact_json(found.kind, &found.bytes, rows, question)?)?;
    } else {
        let mut out = anstream::stdout().lock();
        let rows = args.rows.unwrap_or(20);
        write!(
            out,
            "{}",
            artifact_text(found.kind, &found.bytes, rows, question)?
        )?;
        if let Some(used) = found.used {
            writeln!(out, "{used}")?;
        }
    }
    Ok(Exit::Done)
}
