//! `sert-run cache stats|verify|gc|rebuild|push|pull|ls`: looks after the store, and its remote.

mod remote;

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::exit::{Exit, Failure};
use super::session::{OverrideArgs, Purpose, Session, StoreArgs};
use crate::event::Silent;
use crate::fetch::{FetchOptions, Fetcher};
use crate::key::StageKey;
use crate::model::train::check_checkpoints;
use crate::plan::resolve;
use crate::report::bytes_text;
use crate::store::{Damage, GcOptions, Store, Stranger};
use crate::text::printable;

/// Things that are not the store's, listed at most.
const LISTED: usize = 10;

#[derive(Args)]
#[command(after_help = "Examples:
  sert-run cache stats
  sert-run cache gc experiments/quickstart.toml --dry-run")]
pub(crate) struct CacheArgs {
    #[command(subcommand)]
    command: CacheCommand,
}

#[derive(Subcommand)]
enum CacheCommand {
    /// Say what the store holds
    #[command(after_help = "Examples:
  sert-run cache stats
  sert-run cache stats --cache /scratch/sert")]
    Stats(StoreArgs),
    /// Read everything, check it, and mend what is damaged or lost; exit code 1 where something was
    #[command(after_help = "Examples:
  sert-run cache verify
  sert-run cache verify --cache /scratch/sert")]
    Verify(StoreArgs),
    /// Delete what none of these manifests needs
    #[command(after_help = "Examples:
  sert-run cache gc experiments/quickstart.toml --dry-run
  sert-run cache gc experiments/strategyqa.toml experiments/ablation.toml --rows")]
    Gc(GcArgs),
    /// Make the index anew from the stored files, and set aside what is in the store's way
    #[command(after_help = "Examples:
  sert-run cache rebuild
  sert-run cache rebuild --cache /scratch/sert")]
    Rebuild(StoreArgs),
    /// Push to the remote what is here and not there
    #[command(after_help = "Examples:
  sert-run cache push --remote s3://bucket/prefix
  sert-run cache push experiments/quickstart.toml --remote file:///shared")]
    Push(SyncArgs),
    /// Pull from the remote what is there and not here
    #[command(after_help = "Examples:
  sert-run cache pull --remote s3://bucket/prefix
  sert-run cache pull experiments/quickstart.toml --rows")]
    Pull(SyncArgs),
    /// Say what the remote holds, and who is at work there
    #[command(after_help = "Examples:
  sert-run cache ls --remote s3://bucket/prefix
  sert-run cache ls experiments/quickstart.toml")]
    Ls(SyncArgs),
}

#[derive(Args)]
struct SyncArgs {
    /// Manifests whose stages are meant; everything where there is none
    manifests: Vec<PathBuf>,
    #[command(flatten)]
    overrides: OverrideArgs,
    /// With rows (sampled paths, answers, scores) too; `push` without a manifest takes them anyway
    #[arg(long)]
    rows: bool,
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
    /// With --remote, which is then what is collected and not this machine's store: what is younger stays. A number with
    /// d, h, m or s; 7d by default
    #[arg(long, value_name = "TIME", value_parser = time, requires = "remote")]
    grace: Option<Duration>,
    /// Only say what would go
    #[arg(long)]
    dry_run: bool,
}

/// `7d`, `12h`, `30m`, `0`.
fn time(text: &str) -> Result<Duration, String> {
    let (number, unit) = match text.char_indices().last() {
        Some((at, 'd')) => (&text[..at], 86_400),
        Some((at, 'h')) => (&text[..at], 3600),
        Some((at, 'm')) => (&text[..at], 60),
        Some((at, 's')) => (&text[..at], 1),
        _ => (text, 1),
    };
    let number: Option<u64> = number.parse().ok();
    let seconds = number.and_then(|number| number.checked_mul(unit));
    seconds
        .map(Duration::from_secs)
        .ok_or_else(|| "expected a number with d, h, m or s, for example 7d".to_owned())
}

/// Nobody starves within a week of a remote that is collected every night.
const GRACE: Duration = Duration::from_hours(7 * 24);

/// The keys of what manifests need.
struct Keys {
    keep: BTreeSet<StageKey>,
    /// Stages whose keys are not known yet.
    unknown: BTreeSet<String>,
}

fn keys(manifests: &[PathBuf], overrides: &OverrideArgs) -> Result<Keys, Failure> {
    let (mut keep, mut unknown) = (BTreeSet::new(), BTreeSet::new());
    for manifest in manifests {
        let session = Session::open_with(manifest, overrides, Purpose::Look)?;
        let nodes = session.plan.order().to_vec();
        for each in resolve(
            &session.plan,
            &nodes,
            &session.environment(&session.options, &Silent),
        )? {
            keep.extend(each.key);
            if each.key.is_none() {
                let names = &session.plan.node(each.node).names;
                unknown.extend(names.iter().map(ToString::to_string));
            }
        }
    }
    Ok(Keys { keep, unknown })
}

pub(crate) fn run(args: &CacheArgs) -> Result<Exit, Failure> {
    match &args.command {
        CacheCommand::Stats(store) => stats(store),
        CacheCommand::Verify(store) => verify(store),
        CacheCommand::Gc(args) => gc(args),
        CacheCommand::Rebuild(store) => rebuild(store),
        CacheCommand::Push(args) => remote::push(args),
        CacheCommand::Pull(args) => remote::pull(args),
        CacheCommand::Ls(args) => remote::ls(args),
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
    if !stats.leftovers.is_empty() {
        writeln!(
            out,
            "left over {:>10}  {}  by killed runs, or in use by running ones; the next run removes what is not in use",
            stats.leftovers.len(),
            bytes_text(stats.leftovers.iter().map(|each| each.bytes).sum())
        )?;
    }
    tell_strangers(&mut out, &stats.strangers)?;
    Ok(Exit::Done)
}

/// What is not the store's, one a line.
fn tell_strangers(out: &mut impl Write, strangers: &[Stranger]) -> Result<(), Failure> {
    if strangers.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "not ours  {:>10}  files, folders and links that the store neither follows nor writes to nor deletes:",
        strangers.len()
    )?;
    for stranger in strangers.iter().take(LISTED) {
        let place = stranger.path.display();
        let hint = if stranger.in_the_way {
            ", in the store's way: `sert-run cache rebuild` sets it aside"
        } else {
            ""
        };
        let line = format!("  {place} ({}){hint}", stranger.what);
        writeln!(out, "{}", printable(&line))?;
    }
    if let Some(more @ 1..) = strangers.len().checked_sub(LISTED) {
        writeln!(out, "  and {more} more")?;
    }
    Ok(())
}

fn verify(args: &StoreArgs) -> Result<Exit, Failure> {
    let store = args.open()?;
    let may_write = store.read_only().is_none();
    let mut report = store.verify(&mut |_, _| {})?;
    let checkpoints = verify_checkpoints(&store, &mut report.damage)?;
    let fetcher = Fetcher::new(FetchOptions::from_env(&args.cache));
    let downloads = fetcher
        .verify_downloads(may_write)
        .map_err(anyhow::Error::from)?;
    report
        .damage
        .extend(downloads.damaged.into_iter().map(|path| Damage {
            path,
            what: "it is not what was downloaded; it is fetched again".to_owned(),
        }));
    let taken_in: u64 = report.taken_in.values().sum();
    let mut out = anstream::stdout().lock();
    writeln!(
        out,
        "{} objects, {} rows, {} results, {checkpoints} checkpoints, {} downloads and {} other files read; {} damaged, {} results lost, {taken_in} rows taken in again",
        report.objects,
        report.rows,
        report.results,
        downloads.sound,
        report.files,
        report.damage.len(),
        report.losses.len(),
    )?;
    let mut lines: Vec<String> = Vec::new();
    for damage in &report.damage {
        lines.push(format!(
            "damaged: {}: {}",
            damage.path.display(),
            damage.what
        ));
    }
    for loss in &report.losses {
        let key = loss.key.0.short();
        lines.push(format!(
            "lost: the result of `{}` ({key}): {}; the stage runs again",
            loss.stage, loss.why
        ));
    }
    for (path, rows) in &report.taken_in {
        lines.push(format!(
            "taken in: {rows} rows of {} that the index had lost",
            path.display()
        ));
    }
    for line in lines {
        writeln!(out, "{}", printable(&line))?;
    }
    tell_strangers(&mut out, &report.strangers)?;
    if report.is_sound() {
        return Ok(Exit::Done);
    }
    writeln!(
        out,
        "{}",
        if may_write {
            "what was found is mended: the next run makes again what is missing, and `sert-run cache rebuild` takes back what is restored"
        } else {
            "nothing is mended: the store may only be read"
        }
    )?;
    Ok(Exit::Failed)
}

/// Reads the checkpoints of unfinished trainings; says how many are sound, and sets the others aside.
fn verify_checkpoints(store: &Store, damage: &mut Vec<Damage>) -> Result<usize, Failure> {
    let mut sound = 0;
    for (_, folder) in store.work_dirs()? {
        let checked = check_checkpoints(&folder);
        sound += checked.sound;
        for path in checked.damaged {
            store.set_aside(&path)?;
            damage.push(Damage {
                path,
                what: "the checkpoint does not match its digest; the training starts earlier"
                    .to_owned(),
            });
        }
    }
    Ok(sound)
}

fn rebuild(args: &StoreArgs) -> Result<Exit, Failure> {
    let (store, report) = Store::rebuild(&args.cache)?;
    let mut out = anstream::stdout().lock();
    for warning in store.take_warnings() {
        writeln!(out, "{}", printable(&format!("mended: {warning}")))?;
    }
    for (from, to) in &report.set_aside {
        let line = format!("set aside: {} is now {}", from.display(), to.display());
        writeln!(out, "{}", printable(&line))?;
    }
    writeln!(
        out,
        "the index is made anew: {} rows, {} results; {} files that had been set aside are sound and taken back",
        report.rows, report.results, report.taken_back
    )?;
    Ok(Exit::Done)
}

fn gc(args: &GcArgs) -> Result<Exit, Failure> {
    let Keys { keep, unknown } = keys(&args.manifests, &args.overrides)?;
    // Without its key a stage's result cannot be told from one that nobody needs.
    if !unknown.is_empty() && !args.force {
        let names: Vec<String> = unknown.into_iter().collect();
        return Err(Failure::usage(format!(
            "the keys of these stages are not known yet: {}\nhint: run the manifest first, or give the same --set, --limit and --mirror; `--force` deletes what they may still need",
            names.join(", ")
        )));
    }
    if args.overrides.remote.remote.is_some() {
        return remote::gc(args, &keep);
    }
    // Opened when the sessions' stores are closed: a second handle of this process would count as another user.
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
    let mut out = anstream::stdout().lock();
    writeln!(
        out,
        "{verb} {} results, {} objects ({}), {} rows ({}), {} work folders, {} damaged files that were set aside, {} left over by killed runs ({})",
        report.results,
        report.objects,
        bytes_text(report.object_bytes),
        report.rows,
        bytes_text(report.row_bytes),
        report.work_dirs,
        report.set_aside,
        report.leftovers,
        bytes_text(report.leftover_bytes)
    )?;
    tell_strangers(&mut out, &report.strangers)?;
    Ok(Exit::Done)
}
