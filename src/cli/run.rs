//! `sert-run run X.toml`, or just `sert-run X.toml`.

use std::io::{IsTerminal as _, Write};
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Args, ValueEnum};

use super::allow::AllowArgs;
use super::complete;
use super::executor::ExecutorArgs;
use super::exit::{Exit, Failure, is_broken_pipe, say, whole};
use super::next::next;
use super::session::{ManifestArgs, Purpose, Session};
use super::signals;
use super::width::WidthArgs;
use super::workers::{EagerArgs, workers};
use crate::event::{Level, Observer, RunEvent, Silent, StageOutcome};
use crate::manifest::TableSpec;
use crate::model::device::DeviceName;
use crate::plan::NodeId;
use crate::report::table::Format;
use crate::report::{self, Missing, Source, Width, bytes_text};
use crate::run::{Execution, Forecast, Here, JsonLines, Policy, Terminal, Worker, execute};

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
#[expect(
    clippy::struct_excessive_bools,
    reason = "one for each switch of the command line"
)]
#[command(after_help = "Examples:
  sert-run run experiments/quickstart.toml
  sert-run run experiments/quickstart.toml --set seed=1")]
pub(crate) struct RunArgs {
    #[command(flatten)]
    manifest: ManifestArgs,
    /// Run only this stage and what it needs; may be given again
    #[arg(long = "stage", value_name = "STAGE", add = complete::stages())]
    stages: Vec<String>,
    /// When a stage fails, run what does not depend on it; so it is for sweeps anyway
    #[arg(long, conflicts_with = "fail_fast")]
    keep_going: bool,
    /// When a stage fails, run nothing more; so it is anyway, but for sweeps
    #[arg(long)]
    fail_fast: bool,
    /// Worker threads; 0 for all cores
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Sequences decoded together; 0 for automatic
    #[arg(long, value_name = "N")]
    batch_size: Option<usize>,
    /// Several devices of one backend, for example cuda:0,cuda:1: independent stages run side by side, one on each
    #[arg(
        long,
        value_name = "DEVICES",
        value_delimiter = ',',
        conflicts_with = "device"
    )]
    devices: Vec<DeviceName>,
    /// Devices of --devices that a training takes together, each with a share of every batch: same losses but for rounding
    #[arg(long, value_name = "N", default_value_t = 1, requires = "devices", value_parser = clap::value_parser!(u16).range(1..))]
    data_parallel: u16,
    #[command(flatten)]
    eager: EagerArgs,
    /// Train with less memory and about a third more computing
    #[arg(long)]
    gradient_checkpointing: bool,
    /// How progress is told, on stderr
    #[arg(long, value_enum, default_value = "auto")]
    progress: ProgressStyle,
    /// Say nothing but warnings and errors; tables are printed
    #[arg(long, short, conflicts_with = "progress")]
    quiet: bool,
    #[command(flatten)]
    executor: ExecutorArgs,
    /// With `--executor slurm` or `hq`: leave once all that is ready was submitted; the same command later goes on
    #[arg(long, requires = "executor")]
    detach: bool,
    #[command(flatten)]
    width: WidthArgs,
    #[command(flatten)]
    allow: AllowArgs,
}

pub(crate) fn run(args: &RunArgs) -> Result<Exit, Failure> {
    let mut session = Session::open(&args.manifest, Purpose::Run)?;
    if let Some(threads) = args.threads {
        session.options.threads = threads;
    }
    if let Some(batch_size) = args.batch_size {
        session.options.batch_size = batch_size;
    }
    session.options.graphs = !args.eager.enforce_eager;
    session.options.gradient_checkpointing |= args.gradient_checkpointing;
    let wanted = session.plan.needed(&args.stages)?;
    // Who reads events is a program, which would not see the question.
    let may_ask = args.progress != ProgressStyle::Json;
    args.allow.ask(&mut session, &wanted, may_ask)?;
    let cluster = args.executor.cluster(&mut session)?;
    let workers = match &cluster {
        Some(_) if !args.devices.is_empty() => {
            return Err(Failure::usage(
                "--devices names devices of this machine, and models run as jobs of a queue\nhint: `device` in `[run.slurm]` and its like says where",
            ));
        }
        Some(cluster) if args.detach && !cluster.goes_on_alone() => {
            return Err(Failure::usage(
                "--detach leaves jobs to a queue, and these are processes of this run, which end with it\nhint: leave `--detach` out",
            ));
        }
        Some(_) => vec![session.options.clone()],
        None => workers(&mut session, &args.devices, usize::from(args.data_parallel))?,
    };
    // After `workers`, which settles the device: whether that computes in a stage's number format is asked here.
    let nodes = session.wanted(&args.stages)?;
    session.check_outside(&nodes)?;
    let voice = Voice::new(args, || session.forecast(&nodes, workers.len()));
    if let Some(why) = &session.why_device {
        voice.info(&format!("device: {} ({why})", session.options.device));
    }
    for note in &session.manifest.notes {
        voice.info(&format!("note: {note}"));
    }
    for warning in session.store.take_warnings() {
        voice.warn(&warning);
    }
    let leftovers = session.store.collect_leftovers()?;
    if !leftovers.is_empty() {
        voice.info(&format!(
            "removed what killed runs left in the store: {} files and folders, {}",
            leftovers.len(),
            bytes_text(leftovers.iter().map(|each| each.bytes).sum())
        ));
    }
    let teller = voice.clone();
    signals::stop_run(&session.cancel, move || {
        teller.info("stopping: what is done is kept; press Ctrl-C again to stop at once");
    });
    let keep_going = args.keep_going || session.manifest.sweep.is_sweep() && !args.fail_fast;
    let policy = if keep_going {
        Policy::KeepGoing
    } else {
        Policy::FailFast
    };
    let here: Vec<Here<'_>> = workers
        .iter()
        .map(|options| Here(session.environment(options, &*voice.observer)))
        .collect();
    let away = match &cluster {
        Some(cluster) => Some(cluster.worker(&session, &nodes, here[0].0, args.detach)?),
        None => None,
    };
    let mut all: Vec<&dyn Worker> = here.iter().map(|worker| worker as _).collect();
    all.extend(away.as_ref().map(|worker| worker as &dyn Worker));
    let work = || {
        let execution = execute(&session.plan, &nodes, &all, policy, &session.cancel);
        let flushed = session.store.flush();
        let is_left = args.detach && execution.count(StageOutcome::Skipped) > 0;
        let (text, failures) = if is_left {
            Default::default() // of stages that are in the queue there is nothing to show yet
        } else {
            results(&session, &nodes, &execution, args.width.stdout())
        };
        // Whether stdout takes the tables must not change what is told of the run, nor its exit code.
        let written = print(&text);
        (execution, flushed, failures, written)
    };
    let teller = voice.clone();
    let pushed = Arc::new(move |text: &str| teller.info(text));
    let (execution, flushed, failures, written) = session.store.while_pushing(pushed, work);
    tell(&session, &execution, &voice);
    let mut exit = if execution.interrupted {
        Exit::Interrupted
    } else if execution.count(StageOutcome::Failed) > 0 {
        Exit::Failed
    } else {
        Exit::Done
    };
    let flushed = flushed.err().map(anyhow::Error::from);
    // A reader that has seen enough is no failure.
    let written = written.err().filter(|error| !is_broken_pipe(error));
    let after = flushed.into_iter().chain(written);
    for error in after.map(|error| whole(&error)).chain(failures) {
        voice.error(&error);
        if exit == Exit::Done {
            exit = Exit::Failed;
        }
    }
    if exit == Exit::Done && voice.is_for_a_person() {
        for (what, command) in next(&session, &execution, &args.manifest) {
            say(&format!("{what}\n  {command}"));
        }
    }
    Ok(exit)
}

/// How a run speaks besides its stages' events: in the same way as they are told.
#[derive(Clone)]
struct Voice {
    style: ProgressStyle,
    quiet: bool,
    observer: Arc<dyn Observer>,
}

impl Voice {
    /// `forecast` is asked for where somebody listens.
    fn new(args: &RunArgs, forecast: impl FnOnce() -> Forecast) -> Self {
        let observer: Arc<dyn Observer> = match args.progress {
            _ if args.quiet => Arc::new(Silent),
            ProgressStyle::Auto => Arc::new(Terminal::new(forecast())),
            ProgressStyle::Json => Arc::new(JsonLines::new(std::io::stderr(), forecast())),
            ProgressStyle::None => Arc::new(Silent),
        };
        Self {
            style: args.progress,
            quiet: args.quiet,
            observer,
        }
    }

    /// Whether somebody at a terminal reads this, and wants to.
    fn is_for_a_person(&self) -> bool {
        self.style == ProgressStyle::Auto && !self.quiet && std::io::stderr().is_terminal()
    }

    fn warn(&self, message: &str) {
        self.note(Level::Warning, "warning: ", message);
    }

    fn error(&self, message: &str) {
        self.note(Level::Warning, "error: ", message);
    }

    fn info(&self, message: &str) {
        if !self.quiet {
            self.note(Level::Info, "", message);
        }
    }

    fn note(&self, level: Level, mark: &str, message: &str) {
        if self.style == ProgressStyle::Json {
            self.observer.event(&RunEvent::Note {
                stage: String::new(),
                level,
                message: message.to_owned(),
            });
        } else {
            say(&format!("{mark}{message}"));
        }
    }
}

/// What the run prints on stdout: what the filters kept, then the manifest's tables, as far as they show a stage that
/// was asked for; and why parts of it could not be made.
fn results(
    session: &Session,
    nodes: &[NodeId],
    execution: &Execution,
    width: Width,
) -> (String, Vec<String>) {
    let source = Source {
        manifest: &session.manifest,
        plan: &session.plan,
        store: &session.store,
        outputs: &|node| execution.outputs(node).cloned(),
        missing: &|node| why_missing(session, execution, node),
    };
    let (mut texts, mut failures) = match report::funnels(&source, nodes, width) {
        Ok(texts) => (texts, Vec::new()),
        Err(error) => (Vec::new(), vec![error.to_string()]),
    };
    let asked = |spec: &&TableSpec| {
        let found = spec.evaluations().map(|port| session.plan.at(&port.stage));
        found.flatten().any(|node| nodes.contains(&node))
    };
    let tables = session.manifest.tables.iter().filter(asked);
    let built = report::table::build_all(&source, tables);
    texts.extend((built.tables.iter()).map(|table| table.render(Format::Text, width)));
    texts.push(String::new()); // an empty line after each, the last one too
    failures.extend(built.failures);
    (texts.join("\n"), failures)
}

/// Why a stage has no outputs: the decision that made it not needed; or the first stage that failed of those that it needs,
/// or else the first that did not run.
fn why_missing(session: &Session, execution: &Execution, node: NodeId) -> Missing {
    let not_needed = |node: NodeId| {
        let finished = execution.finished(node);
        finished.is_some_and(|finished| finished.outcome == StageOutcome::NotNeeded)
    };
    if not_needed(node)
        && let Some(decision) = session.plan.decided_by(node, not_needed)
    {
        let outputs = execution.outputs(decision);
        return Missing::not_needed(&session.plan, &session.store, decision, outputs);
    }
    Missing::NotMade(why_not_made(session, execution, node, not_needed))
}

fn why_not_made(
    session: &Session,
    execution: &Execution,
    node: NodeId,
    not_needed: impl Fn(NodeId) -> bool,
) -> String {
    let name = |node: NodeId| session.plan.node(node).name();
    if execution.finished(node).is_none() {
        return format!("`{}` was not asked for", name(node));
    }
    let error = |node: NodeId| execution.finished(node)?.error.as_ref();
    let missing = |node: NodeId| execution.outputs(node).is_none() && !not_needed(node);
    let causes = session
        .plan
        .causes(node, missing, |node| error(node).is_some());
    let failed = causes
        .iter()
        .find_map(|cause| Some((*cause, error(*cause)?)));
    if let Some((cause, error)) = failed {
        let error = error.to_string();
        let head = error.lines().next().unwrap_or_default();
        return format!("`{}` failed: {head}", name(cause));
    }
    let cause = causes.first().copied().unwrap_or(node);
    let was_asked_for = execution.finished(cause).is_some();
    // With a stop at the first failure, a stage that needs nothing of it does not run either.
    match execution.stages.iter().find(|stage| stage.error.is_some()) {
        Some(stage) if was_asked_for => format!(
            "`{}` did not run, since `{}` failed",
            name(cause),
            name(stage.node)
        ),
        _ => format!("`{}` did not run", name(cause)),
    }
}

fn print(text: &str) -> anyhow::Result<()> {
    let mut out = anstream::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .context("the results could not be written to stdout")
}

fn tell(session: &Session, execution: &Execution, voice: &Voice) {
    // As events, the stages and why they failed are told already.
    if voice.style != ProgressStyle::Json {
        let count = |outcome| execution.count(outcome);
        let interrupted = match count(StageOutcome::Interrupted) {
            0 => String::new(),
            stages => format!(", {stages} interrupted"),
        };
        let not_needed = match count(StageOutcome::NotNeeded) {
            0 => String::new(),
            stages => format!(", {stages} not needed"),
        };
        if !voice.quiet {
            say(&format!(
                "{} stages: {} hit, {} ran, {} failed{interrupted}{not_needed}, {} skipped; {:.1} s",
                execution.stages.len(),
                count(StageOutcome::Hit),
                count(StageOutcome::Ran),
                count(StageOutcome::Failed),
                count(StageOutcome::Skipped),
                execution.elapsed.as_secs_f64()
            ));
        }
        for stage in &execution.stages {
            if let Some(error) = &stage.error {
                let name = session.plan.node(stage.node).name();
                say(&format!("error: stage `{name}`: {error}"));
            }
        }
        if execution.interrupted {
            say("interrupted; the same command goes on where this one stopped");
        }
    }
    for stage in &execution.stages {
        let result = stage.key.and_then(|key| session.store.result(&key).ok()?);
        let used = result.and_then(|result| report::used_at_end(&result.provenance));
        if let (Some(used), true) = (used, voice.style != ProgressStyle::None) {
            let name = session.plan.node(stage.node).name();
            let when = match stage.outcome {
                StageOutcome::Hit => ", when it ran",
                _ => "",
            };
            voice.info(&format!("{name}{when}: {used}"));
        }
    }
    for warning in session.store.take_warnings() {
        voice.warn(&warning);
    }
}
