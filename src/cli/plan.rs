//! `sert-run plan X.toml`: what a run would do, and what it would take.

use std::io::Write;

use clap::Args;

use super::allow::AllowArgs;
use super::complete;
use super::data;
use super::exit::{Exit, Failure, say};
use super::session::{ManifestArgs, Purpose, Session};
use super::width::WidthArgs;
use crate::event::Silent;
use crate::plan::{NodeId, estimate, programs, resolve, servers};
use crate::report;

#[derive(Args)]
#[command(after_help = "Examples:
  sert-run plan experiments/quickstart.toml
  sert-run plan experiments/quickstart.toml --set stages.sert.epochs=9")]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    manifest: ManifestArgs,
    /// Plan only this stage and what it needs; may be given again
    #[arg(long = "stage", value_name = "STAGE", add = complete::stages())]
    stages: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    allow: AllowArgs,
    #[command(flatten)]
    width: WidthArgs,
}

pub(crate) fn run(args: &PlanArgs) -> Result<Exit, Failure> {
    let mut session = Session::open(&args.manifest, Purpose::Plan)?;
    for note in &session.manifest.notes {
        say(&format!("note: {note}"));
    }
    args.allow.apply(&mut session)?;
    let nodes = session.wanted(&args.stages)?;
    session.check_outside(&nodes)?;
    let environment = session.environment(&session.options, &Silent);
    let resolved = resolve(&session.plan, &nodes, &environment)?;
    let estimates = estimate(&session.plan, &resolved, &environment)?;
    let to_run: Vec<NodeId> = resolved
        .iter()
        .filter(|each| each.state.is_open())
        .map(|each| each.node)
        .collect();
    let permissions = &session.options.permissions;
    let servers = servers(&session.plan, to_run.iter().copied(), permissions);
    let programs = programs(&session.plan, to_run);
    if args.json {
        data::print_json(&report::plan_json(
            &session.plan,
            &resolved,
            &estimates,
            &servers,
            &programs,
        ))?;
    } else {
        write!(
            anstream::stdout().lock(),
            "{}",
            report::plan_text(
                &session.manifest.sweep,
                &session.plan,
                &resolved,
                &estimates,
                &servers,
                &programs,
                args.width.stdout(),
            )
        )?;
    }
    Ok(Exit::Done)
}
