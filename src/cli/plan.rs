//! `sert-run plan X.toml`: what a run would do, and what it would take.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;

use super::allow::AllowArgs;
use super::complete;
use super::data;
use super::executor::ExecutorArgs;
use super::exit::{Exit, Failure, say};
use super::session::{ManifestArgs, Purpose, Session};
use super::width::WidthArgs;
use crate::event::Silent;
use crate::plan::{NodeId, NodeState, Resolved, estimate, programs, resolve, servers};
use crate::report;
use crate::run::{Job, JobFolder};

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
    /// Write a job for `sert-run exec` to DIR for each stage of a model's that could run now, and its inputs to the remote
    #[arg(long, value_name = "DIR")]
    jobs: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    executor: ExecutorArgs,
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
    let cluster = args.executor.cluster(&mut session)?;
    let nodes = session.wanted(&args.stages)?;
    session.check_outside(&nodes)?;
    let environment = session.environment(&session.options, &Silent);
    let resolved = resolve(&session.plan, &nodes, &environment)?;
    if let Some(folder) = &args.jobs {
        return write_jobs(&session, &resolved, folder);
    }
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
    } else if let Some(cluster) = &cluster {
        let text = cluster.preview(&session.plan, &resolved, &estimates)?;
        write!(anstream::stdout().lock(), "{text}")?;
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

/// Writes the jobs of the stages that could run now, each to a folder of its own.
fn write_jobs(session: &Session, resolved: &[Resolved], folder: &Path) -> Result<Exit, Failure> {
    let Some(remote) = session.store.remote() else {
        return Err(Failure::usage(
            "a job's inputs and what it makes are in a remote, and none is named\nhint: --remote s3://BUCKET/PREFIX or --remote file:///FOLDER (docs/cluster.md)",
        ));
    };
    let settings = session.job_settings(remote.clone())?;
    let mut out = anstream::stdout().lock();
    let (mut written, mut later) = (0, 0);
    for each in resolved {
        let node = session.plan.node(each.node);
        if !node.may_go_out() || !each.state.is_open() {
            continue;
        }
        let (NodeState::Miss(_), Some(recipe)) = (&each.state, &each.recipe) else {
            later += 1;
            continue;
        };
        session.store.share(recipe.inputs.values().copied())?;
        let job = Job::new(node, recipe.clone(), settings.clone());
        let path = JobFolder::of(folder, &job.key).job();
        std::fs::create_dir_all(path.parent().unwrap_or(folder))?;
        crate::disk::write(&path, &job.encode())?;
        let shared_out = !node.kind.sharded_by(&node.params).is_empty();
        let how = if shared_out { "  (--shard i/n)" } else { "" };
        writeln!(
            out,
            "{}: sert-run exec {}{how}",
            node.name(),
            path.display()
        )?;
        written += 1;
    }
    say(&format!(
        "{written} jobs; {later} more stages of models wait for inputs: run what is not a model's with `sert-run run --stage`, and plan again"
    ));
    Ok(Exit::Done)
}
