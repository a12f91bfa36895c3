//! `sert-run run X.toml`, or just `sert-run X.toml`.

use std::io::Write;

use clap::{Args, ValueEnum};

use super::exit::{Exit, Failure};
use super::session::{ManifestArgs, Session};
use crate::event::{Observer, Outcome, Silent};
use crate::report;
use crate::run::{Execution, JsonLines, Policy, Terminal, execute};

/// How progress is told, on stderr.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ProgressStyle {
    /// Bars on a terminal, lines elsewhere
    Auto,
    /// One JSON object per event
    Json,
    /// Nothing
    None,
}

#[derive(Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    manifest: ManifestArgs,
    /// Run only this stage and what it needs; may be given again
    #[arg(long = "stage", value_name = "STAGE")]
    stages: Vec<String>,
    /// When a stage fails, run what does not depend on it
    #[arg(long)]
    keep_going: bool,
    /// Worker threads; 0 for all cores
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Sequences decoded together; 0 for automatic
    #[arg(long, value_name = "N")]
    batch_size: Option<usize>,
    /// How progress is told, on stderr
    #[arg(long, value_enum, default_value = "auto")]
    progress: ProgressStyle,
}

pub(crate) fn run(args: &RunArgs) -> Result<Exit, Failure> {
    let mut session = Session::open(&args.manifest, true)?;
    if let Some(threads) = args.threads {
        session.options.threads = threads;
    }
    if let Some(batch_size) = args.batch_size {
        session.options.batch_size = batch_size;
    }
    let nodes = session.plan.needed(&args.stages)?;
    stop_on_interrupt(&session);
    let observer: Box<dyn Observer> = match args.progress {
        ProgressStyle::Auto => Box::new(Terminal::new()),
        ProgressStyle::Json => Box::new(JsonLines::new(std::io::stderr())),
        ProgressStyle::None => Box::new(Silent),
    };
    let policy = if args.keep_going {
        Policy::KeepGoing
    } else {
        Policy::FailFast
    };
    let execution = execute(
        &session.plan,
        &nodes,
        &session.environment(&*observer),
        policy,
    );
    session.store.flush()?;
    tell(&session, &execution, args.progress)?;
    for warning in session.store.take_warnings() {
        anstream::eprintln!("warning: {warning}");
    }
    Ok(if execution.interrupted {
        Exit::Interrupted
    } else if execution.count(Outcome::Failed) > 0 {
        Exit::Failed
    } else {
        Exit::Done
    })
}

/// The first Ctrl-C asks the run to finish the rows in hand; a second one ends it at once.
fn stop_on_interrupt(session: &Session) {
    let cancel = session.cancel.clone();
    let handler = move || {
        if cancel.is_cancelled() {
            std::process::exit(130);
        }
        anstream::eprintln!("stopping: what is done is kept; press Ctrl-C again to stop at once");
        cancel.cancel();
    };
    // Fails only when a handler is set twice; then the first one serves.
    let _ = ctrlc::set_handler(handler);
}

fn tell(session: &Session, execution: &Execution, progress: ProgressStyle) -> Result<(), Failure> {
    let mut out = anstream::stdout().lock();
    for table in report::tables(&session.manifest, &session.plan, &session.store, &|node| {
        execution.outputs(node).cloned()
    })? {
        writeln!(out, "{table}")?;
    }
    if progress == ProgressStyle::Json {
        return Ok(());
    }
    let count = |outcome| execution.count(outcome);
    anstream::eprintln!(
        "{} stages: {} hit, {} ran, {} failed, {} skipped; {:.1} s",
        execution.stages.len(),
        count(Outcome::Hit),
        count(Outcome::Ran),
        count(Outcome::Failed),
        count(Outcome::Skipped),
        execution.elapsed.as_secs_f64()
    );
    for stage in &execution.stages {
        if let Some(error) = &stage.error {
            anstream::eprintln!(
                "error: stage `{}`: {error}",
                session.plan.node(stage.node).name()
            );
        }
    }
    if execution.interrupted {
        anstream::eprintln!("interrupted; the same command goes on where this one stopped");
    }
    Ok(())
}
