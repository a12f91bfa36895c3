//! `sert-run cache push|pull|ls` and `cache gc --remote`: looks after the store's remote.

use std::collections::BTreeSet;
use std::io::Write;

use indicatif::{ProgressBar, ProgressStyle};

use super::super::exit::{Exit, Failure, say};
use super::super::session::{Purpose, Session};
use super::super::signals;
use super::{GRACE, GcArgs, SyncArgs, keys};
use crate::event::CancelToken;
use crate::key::StageKey;
use crate::report::bytes_text;
use crate::store::{RemoteGcOptions, Store};
use crate::text::printable;

pub(super) fn push(args: &SyncArgs) -> Result<Exit, Failure> {
    let (store, keys) = open(args)?;
    let remote = store.remote_name().unwrap_or_default();
    let rows = args.rows || args.manifests.is_empty();
    let report = watched("pushing", |progress| {
        store.push_all(keys.as_ref(), rows, progress)
    })?;
    let mut out = anstream::stdout().lock();
    writeln!(
        out,
        "pushed to {remote}: {} results, {} rows",
        report.results, report.rows
    )?;
    if report.incomplete > 0 {
        writeln!(
            out,
            "{} results were left out: objects that they name are neither here nor there",
            report.incomplete
        )?;
    }
    tell_warnings(&store);
    for failed in &report.failed {
        say(&format!("error: not pushed: {}", printable(failed)));
    }
    Ok(if report.failed.is_empty() {
        Exit::Done
    } else {
        Exit::Failed
    })
}

pub(super) fn pull(args: &SyncArgs) -> Result<Exit, Failure> {
    let (store, keys) = open(args)?;
    let remote = store.remote_name().unwrap_or_default();
    let report = watched("pulling", |progress| {
        store.pull_all(keys.as_ref(), args.rows, progress)
    })?;
    writeln!(
        anstream::stdout().lock(),
        "pulled from {remote}: {} results, {} objects, {} rows",
        report.results,
        report.objects,
        report.rows
    )?;
    let warned = tell_warnings(&store);
    if report.missing > 0 {
        say(&format!(
            "error: {} objects that results name could not be had; their stages run again",
            report.missing
        ));
    }
    Ok(if report.missing > 0 || warned {
        Exit::Failed
    } else {
        Exit::Done
    })
}

pub(super) fn ls(args: &SyncArgs) -> Result<Exit, Failure> {
    let (store, keys) = open(args)?;
    let stats = store.remote_stats()?;
    let mut out = anstream::stdout().lock();
    let remote = store.remote_name().unwrap_or_default();
    writeln!(out, "{remote}")?;
    writeln!(
        out,
        "results   {:>10}  {} here too",
        stats.results, stats.results_here
    )?;
    writeln!(
        out,
        "objects   {:>10}  {}  {} here too",
        stats.objects,
        bytes_text(stats.object_bytes),
        stats.objects_here
    )?;
    for (bucket, (segments, bytes)) in &stats.buckets {
        writeln!(
            out,
            "segments  {segments:>10}  {}  {}",
            bytes_text(*bytes),
            printable(bucket)
        )?;
    }
    for (who, seconds, objects) in &stats.runs {
        writeln!(
            out,
            "in flight: {}, {seconds} s since its last heartbeat, relies on {objects} objects",
            printable(who)
        )?;
    }
    for who in &stats.collectors {
        writeln!(out, "collecting: {}", printable(who))?;
    }
    if stats.dead_leases > 0 {
        writeln!(
            out,
            "{} leases of runs that ended without giving them back; `cache gc --remote` removes them",
            stats.dead_leases
        )?;
    }
    if let Some(keys) = keys {
        let there = store.remote_has(&keys)?;
        writeln!(
            out,
            "of these manifests: {} of {} stages whose keys are known",
            there.len(),
            keys.len()
        )?;
    }
    tell_warnings(&store);
    Ok(Exit::Done)
}

pub(super) fn gc(args: &GcArgs, keep: &BTreeSet<StageKey>) -> Result<Exit, Failure> {
    let cancel = CancelToken::default();
    let store = args.overrides.open_with_remote(&cancel)?;
    let report = store.gc_remote(RemoteGcOptions {
        keep,
        rows: args.rows,
        grace: args.grace.unwrap_or(GRACE),
        dry_run: args.dry_run,
    })?;
    let verb = if args.dry_run {
        "would delete"
    } else {
        "deleted"
    };
    writeln!(
        anstream::stdout().lock(),
        "{verb} in {}: {} results, {} objects ({}), {} segments of rows ({}), {} leases of runs that have ended; {} runs are in flight, {} \
         results and objects are younger than the grace period",
        store.remote_name().unwrap_or_default(),
        report.results,
        report.objects,
        bytes_text(report.object_bytes),
        report.segments,
        bytes_text(report.row_bytes),
        report.leases,
        report.in_flight,
        report.young
    )?;
    tell_warnings(&store);
    Ok(Exit::Done)
}

/// The store with its remote, and the keys of the manifests' stages, where there are manifests.
fn open(args: &SyncArgs) -> Result<(Store, Option<BTreeSet<StageKey>>), Failure> {
    let cancel = CancelToken::default();
    signals::stop_run(&cancel, || say("stopping: what was transferred is kept"));
    let overrides = &args.overrides;
    let Some(first) = args.manifests.first() else {
        return Ok((overrides.open_with_remote(&cancel)?, None));
    };
    let found = keys(&args.manifests, overrides)?;
    for stage in &found.unknown {
        say(&format!(
            "`{}` is left out: its key is not known yet",
            printable(stage)
        ));
    }
    // The remote is the first manifest's, unless it is given.
    let session = Session::open_with(first, overrides, Purpose::Look)?;
    let choice = overrides.remote.choice(Some(&session.manifest), true)?;
    let mut store = session.store;
    if let Some(choice) = choice {
        store.attach(&choice, &cancel)?;
    }
    Ok((store, Some(found.keep)))
}

/// Does `work` with a line on a terminal that tells how far it is; one that is no terminal gets none.
fn watched<T>(verb: &'static str, work: impl FnOnce(&mut dyn FnMut(u64, u64)) -> T) -> T {
    let style = ProgressStyle::with_template("{msg}: {pos} of {len} results, {elapsed} so far");
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(0).with_message(verb).with_style(style);
    let done = work(&mut |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    done
}

/// Says what went wrong by the way; whether anything did.
fn tell_warnings(store: &Store) -> bool {
    let warnings = store.take_warnings();
    for warning in &warnings {
        say(&format!("warning: {warning}"));
    }
    !warnings.is_empty()
}
