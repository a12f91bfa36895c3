//! `sert-run cache stats|verify|gc`: looks after the store.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::exit::{Exit, Failure};
use super::session::{OverrideArgs, Purpose, Session, StoreArgs};
use crate::event::Silent;
use crate::plan::resolve;
use crate::report::{bytes_text, printable};
use crate::store::GcOptions;

#[derive(Args)]
pub(crate) struct CacheArgs {
    #[command(subcommand)]
    command: CacheCommand,
}

#[derive(Subcommand)]
enum CacheCommand {
    /// Say what the store holds
    Stats(StoreArgs),
    /// Read everything and check it against its digest; exit code 1 where something is damaged
    Verify(StoreArgs),
    /// Delete what none of these manifests needs
    Gc(GcArgs),
}

#[derive(Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
struct GcArgs {
    /// Manifests whose results stay
    #[arg(required = true)]
    manifests: Vec<PathBuf>,
    #[command(flatten)]
    overrides: OverrideArgs,
    /// Also delete rows (sampled paths, answers, scores), which are cheap to keep and dear to make
    #[arg(long)]
    rows: bool,
    /// Also delete checkpoints of trainings that did not finish
    #[arg(long)]
    unfinished: bool,
    /// Delete also what stages may still need whose keys are not known yet
    #[arg(long)]
    force: bool,
    /// Only say what would go
    #[arg(long)]
    dry_run: bool,
}

pub(crate) fn run(args: &CacheArgs) -> Result<Exit, Failure> {
    match &args.command {
        CacheCommand::Stats(store) => stats(store),
        CacheCommand::Verify(store) => verify(store),
        CacheCommand::Gc(args) => gc(args),
    }
}

fn stats(args: &StoreArgs) -> Result<Exit, Failure> {
    let stats = args.open()?.stats()?;
    let mut out = anstream::stdout().lock();
    writeln!(out, "results   {:>10}", stats.results)?;
    writeln!(
        out,
        "objects   {:>10}  {}",
        stats.objects,
        bytes_text(stats.object_bytes)
    )?;
    for (name, bucket) in &stats.buckets {
        writeln!(
            out,
            "rows      {:>10}  {}  {name}",
            bucket.rows,
            bytes_text(bucket.bytes)
        )?;
    }
    writeln!(out, "unfinished{:>10}", stats.work_dirs)?;
    if stats.set_aside > 0 {
        writeln!(
            out,
            "set aside {:>10}  damaged files; `sert-run cache gc` removes them",
            stats.set_aside
        )?;
    }
    Ok(Exit::Done)
}

fn verify(args: &StoreArgs) -> Result<Exit, Failure> {
    let report = args.open()?.verify(&mut |_, _| {})?;
    let mut out = anstream::stdout().lock();
    writeln!(
        out,
        "{} objects, {} rows, {} results read; {} damaged",
        report.objects,
        report.rows,
        report.results,
        report.damage.len()
    )?;
    for damage in &report.damage {
        let line = format!("damaged: {}: {}", damage.path.display(), damage.what);
        writeln!(out, "{}", printable(&line))?;
    }
    Ok(if report.damage.is_empty() {
        Exit::Done
    } else {
        Exit::Failed
    })
}

fn gc(args: &GcArgs) -> Result<Exit, Failure> {
    let mut keep = BTreeSet::new();
    let mut unknown = BTreeSet::new();
    for manifest in &args.manifests {
        let session = Session::open_with(manifest, &args.overrides, Purpose::Look)?;
        let nodes = session.plan.order().to_vec();
        for each in resolve(
            &session.plan,
            &nodes,
            &session.environment(&session.options, &Silent),
        )? {
            keep.extend(each.key);
            if each.key.is_none() {
                unknown.extend(session.plan.node(each.node).names.iter().cloned());
            }
        }
    }
    // Without its key a stage's result cannot be told from one that nobody needs.
    if !unknown.is_empty() && !args.force {
        let names: Vec<String> = unknown.into_iter().collect();
        return Err(Failure::usage(format!(
            "the keys of these stages are not known yet: {}\nhint: run the manifest first, or give the same --set, --limit and --mirror; `--force` deletes what they may still need",
            names.join(", ")
        )));
    }
    let report = args.overrides.store.open()?.gc(GcOptions {
        keep: &keep,
        rows: args.rows,
        unfinished: args.unfinished,
        dry_run: args.dry_run,
    })?;
    let verb = if args.dry_run {
        "would delete"
    } else {
        "deleted"
    };
    writeln!(
        anstream::stdout(),
        "{verb} {} results, {} objects ({}), {} rows ({}), {} work folders",
        report.results,
        report.objects,
        bytes_text(report.object_bytes),
        report.rows,
        bytes_text(report.row_bytes),
        report.work_dirs
    )?;
    Ok(Exit::Done)
}
