//! `sert-run plan X.toml`: what a run would do, and what it would take.

use std::io::Write;

use clap::Args;

use super::exit::{Exit, Failure};
use super::session::{ManifestArgs, Purpose, Session};
use crate::event::Silent;
use crate::plan::{estimate, resolve};
use crate::report;

#[derive(Args)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    manifest: ManifestArgs,
    /// Plan only this stage and what it needs; may be given again
    #[arg(long = "stage", value_name = "STAGE")]
    stages: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &PlanArgs) -> Result<Exit, Failure> {
    let session = Session::open(&args.manifest, Purpose::Plan)?;
    let nodes = session.wanted(&args.stages)?;
    session.check_outside(&nodes)?;
    let environment = session.environment(&session.options, &Silent);
    let resolved = resolve(&session.plan, &nodes, &environment)?;
    let estimates = estimate(&session.plan, &resolved, &environment)?;
    let mut out = anstream::stdout().lock();
    if args.json {
        let json = report::plan_json(&session.plan, &resolved, &estimates);
        writeln!(
            out,
            "{}",
            serde_json::to_string_pretty(&json).map_err(anyhow::Error::from)?
        )?;
    } else {
        write!(
            out,
            "{}",
            report::plan_text(
                &session.manifest.sweep,
                &session.plan,
                &resolved,
                &estimates
            )
        )?;
    }
    Ok(Exit::Done)
}
