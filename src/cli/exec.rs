//! `sert-run exec JOB`: one job, described by a file, on this machine.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::Args;

use super::exit::{Exit, Failure, say};
use super::signals;
use super::workers::EagerArgs;
use crate::event::{CancelToken, Observer, RunEvent, Silent};
use crate::run::{EndOutcome, Exec, Job, JobFolder, Part};
use crate::stage::{KINDS, Shard};

#[derive(Args)]
#[command(after_help = "Examples:
  sert-run exec jobs/sampled.json
  sert-run exec jobs/sampled.json --shard 0/8")]
pub(crate) struct ExecArgs {
    /// The job: a file that `run --executor` or `plan --jobs DIR` wrote
    job: PathBuf,
    /// Do part I (from 0) of N of its questions, and leave rows only: for stages that can be shared out
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
    /// The number of this try, from 1, by which its files are named
    #[arg(long, value_name = "N", default_value_t = 1)]
    attempt: u32,
    /// Where events, the record of the end and checkpoints go; by default beside the job
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// A folder on this machine's own disk, for a store that goes when the job is done; by default `$SLURM_TMPDIR`, or where
    /// the system has temporary files
    #[arg(long, value_name = "DIR", env = "SLURM_TMPDIR")]
    scratch: Option<PathBuf>,
    /// Worker threads; by default those that Slurm gave (`SLURM_CPUS_PER_TASK`), or what the job says
    #[arg(long, value_name = "N", env = "SLURM_CPUS_PER_TASK")]
    threads: Option<usize>,
    /// Share each batch of a training out over N devices: the job's, and those that come after it by number
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    data_parallel: u16,
    #[command(flatten)]
    eager: EagerArgs,
    /// Stop, and keep what is done, when stdin is closed: for whoever starts it and is not to leave it behind
    #[arg(long)]
    while_stdin_is_open: bool,
    /// Also tell events on stderr, as JSON lines
    #[arg(long)]
    events: bool,
}

pub(crate) fn run(args: &ExecArgs) -> Result<Exit, Failure> {
    let job = Job::read(&args.job).map_err(|error| Failure::usage(error.to_string()))?;
    let beside = args
        .job
        .parent()
        .map(std::path::Path::to_owned)
        .unwrap_or_default();
    let out = args.out.clone().unwrap_or(beside);
    let out = if out.as_os_str().is_empty() {
        PathBuf::from(".")
    } else {
        out
    };
    let cancel = CancelToken::default();
    let warned = Arc::new(AtomicBool::new(false));
    signals::stop_job(&cancel);
    signals::warn_run(&cancel, &warned);
    if args.while_stdin_is_open {
        let cancel = cancel.clone();
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
            cancel.cancel();
        });
    }
    let observer: &dyn Observer = if args.events { &Lines } else { &Silent };
    let exec = Exec {
        job: &job,
        out: JobFolder::at(&out),
        part: Part {
            shard: args.shard,
            attempt: args.attempt,
        },
        scratch: args.scratch.clone().unwrap_or_else(std::env::temp_dir),
        threads: args.threads.unwrap_or(0),
        together: usize::from(args.data_parallel),
        graphs: !args.eager.enforce_eager,
        cancel: &cancel,
        warned: &warned,
        observer,
    };
    let end = exec.run(KINDS)?;
    if let Some(error) = &end.error {
        say(&format!("error: stage `{}`: {error}", job.name()));
    }
    Ok(match end.outcome {
        EndOutcome::Done => Exit::Done,
        EndOutcome::Saved => Exit::Saved,
        EndOutcome::Cancelled => Exit::Interrupted,
        EndOutcome::Failed | EndOutcome::Died => Exit::Failed,
    })
}

/// Events as JSON lines.
struct Lines;

impl Observer for Lines {
    fn event(&self, event: &RunEvent) {
        if let Ok(line) = serde_json::to_string(event) {
            say(&line);
        }
    }
}
