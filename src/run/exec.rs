//! One job, on whatever machine it is given to: a store of its own, which goes when it is done, over the remote that all share.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use super::clock::Stopwatch;
use super::job::{End, EndOutcome, EventLog, Job, JobFolder, Part, write};
use super::one::{Finished, run_node, tell_end};
use crate::event::{CancelToken, Observer, StageOutcome};
use crate::fetch::{FetchOptions, Fetcher};
use crate::model::device::{self, DeviceName};
use crate::model::train::Checkpoints;
use crate::plan::{NodeId, recipe};
use crate::stage::{Environment, RunOptions, Stage, StageError};
use crate::store::{RemoteChoice, Store, StoreError};

/// How the names of scratch folders begin.
const SCRATCH: &str = "sert-run-job-";
/// And how before they are locked.
const NEW_SCRATCH: &str = "sert-run-new-";
const SCRATCH_LOCK: &str = "job.lock";

/// What a job is run with.
pub(crate) struct Exec<'a> {
    pub(crate) job: &'a Job,
    /// Where its events, its end and its checkpoints go.
    pub(crate) out: JobFolder,
    pub(crate) part: Part,
    /// Where its store is made.
    pub(crate) scratch: PathBuf,
    /// 0 for what the job says.
    pub(crate) threads: usize,
    /// Devices that share a training's batches.
    pub(crate) together: usize,
    /// Whether a device may make graphs of its steps.
    pub(crate) graphs: bool,
    pub(crate) cancel: &'a CancelToken,
    /// Set before `cancel` where the machine's time is over, and the job is to go on elsewhere.
    pub(crate) warned: &'a AtomicBool,
    /// Who else listens.
    pub(crate) observer: &'a dyn Observer,
}

impl Exec<'_> {
    /// Runs the job. How it ended is written beside its events, at the very end.
    ///
    /// # Errors
    /// That cannot be written.
    pub(crate) fn run(&self, kinds: &[&'static dyn Stage]) -> Result<End, StageError> {
        let watch = Stopwatch::start();
        let mut end = End {
            outcome: EndOutcome::Failed,
            host: sysinfo::System::host_name().unwrap_or_default(),
            device: self.job.device.clone(),
            began_unix_s: watch.began_unix_s,
            ..End::default()
        };
        let io = |path: PathBuf| move |source| StageError::Io { path, source };
        let events = self.out.events(self.part);
        std::fs::create_dir_all(self.out.path()).map_err(io(self.out.path().to_owned()))?;
        let log = EventLog::open(&events).map_err(io(events))?;
        if let Err(error) = self.work(kinds, &Both(&log, self.observer), &mut end) {
            end.fail(&error);
        }
        end.peak_memory_bytes = peak_memory();
        end.elapsed_s = watch.elapsed().as_secs_f64();
        let path = self.out.end(self.part);
        write(&path, &end.encode()).map_err(io(path))?;
        Ok(end)
    }

    fn work(
        &self,
        kinds: &[&'static dyn Stage],
        observer: &dyn Observer,
        end: &mut End,
    ) -> Result<(), StageError> {
        let job = self.job;
        let node = job.node(kinds)?;
        if let Some(shard) = self.part.shard
            && node.kind.sharded_by(&node.params).is_empty()
        {
            return Err(StageError::Invalid(format!(
                "a stage of kind `{}` is done as a whole, so there is no part {shard} of `{}`\nhint: leave out --shard",
                job.kind,
                job.name()
            )));
        }
        let options = self.options(end)?;
        let began = SystemTime::now();
        let scratch = Scratch::new(&self.scratch).map_err(|source| StageError::Io {
            path: self.scratch.clone(),
            source,
        })?;
        let mut store = Store::open(&scratch.store())?;
        store.work_below(self.out.path());
        // What was made is pushed even where the job is told to stop, so this has a token of its own.
        let choice = RemoteChoice {
            url: job.remote.clone(),
            readonly: false,
        };
        store.attach(&choice, &CancelToken::default())?;
        let fetcher = Fetcher::new(FetchOptions {
            mirror: job.mirror.clone(),
            offline: job.offline,
            cancel: self.cancel.clone(),
            ..FetchOptions::from_env(&job.downloads)
        });
        let environment = Environment {
            options: &options,
            folder: &job.folder,
            store: &store,
            fetcher: &fetcher,
            observer,
            cancel: self.cancel,
            planning: false,
            shard: self.part.shard,
        };
        let watch = Stopwatch::start();
        let finished = store.while_pushing(Arc::new(|_| {}), || {
            let context = environment.context(node.name(), node.seed, &job.inputs);
            let found = recipe(&node, &job.inputs, &context)?;
            job.check(&found)?;
            let finished = run_node(&node, NodeId::new(0), &job.inputs, None, &environment);
            tell_end(&node, &finished, &watch, &environment);
            Ok::<_, StageError>(finished)
        })?;
        end.rows = store.sealed();
        let warnings = store.take_warnings();
        for warning in &warnings {
            tracing::warn!("{warning}");
        }
        self.settle(&finished, &store, &warnings, began, end)
    }

    /// What is to be said of a stage that is over.
    fn settle(
        &self,
        finished: &Finished,
        store: &Store,
        warnings: &[String],
        began: SystemTime,
        end: &mut End,
    ) -> Result<(), StageError> {
        match (finished.outcome, &finished.error) {
            (_, Some(error)) => end.fail(error),
            (StageOutcome::Interrupted, None) if !self.warned.load(Ordering::SeqCst) => {
                end.outcome = EndOutcome::Cancelled;
                end.exit = EXIT_INTERRUPTED;
            }
            (StageOutcome::Interrupted, None) => {
                if end.rows.is_empty() && !changed_since(&self.work_folder(), began) {
                    return Err(StageError::Invalid(format!(
                        "`{}` was warned that its time is over before it had made anything that it could go on from (a row, or an epoch of training)\nhint: give it more `time` in `[run.slurm]`, or more `shards`",
                        self.job.name()
                    )));
                }
                end.outcome = EndOutcome::Saved;
                end.exit = EXIT_SAVED;
            }
            _ if store.unpushed() > 0 => {
                return Err(StageError::Invalid(format!(
                    "what was made could not be put to {}: {}",
                    self.job.remote,
                    warnings.join("; ")
                )));
            }
            _ => {
                end.outcome = EndOutcome::Done;
                end.exit = 0;
            }
        }
        Ok(())
    }

    fn work_folder(&self) -> PathBuf {
        let work = self.out.path().join("work");
        work.join(self.job.key.to_string())
    }

    /// How to run here; the device must be there that the job was written for.
    fn options(&self, end: &mut End) -> Result<RunOptions, StageError> {
        let job = self.job;
        let declared: DeviceName = job
            .device
            .parse()
            .map_err(|error| StageError::Invalid(format!("the job's device: {error}")))?;
        if self.together > 1 && matches!(declared, DeviceName::Cpu | DeviceName::Wgpu(None)) {
            return Err(StageError::Invalid(format!(
                "--data-parallel is for cards that have numbers, and the job is for `{declared}`\nhint: declare a `device` such as cuda:0 or wgpu:0 in `[run.slurm]`, or leave out `gpus`"
            )));
        }
        let devices = (0..self.together).map(|count| declared.further(count));
        let devices: Vec<DeviceName> = devices.collect();
        for device in &devices {
            if *device != DeviceName::Cpu
                && let Err(error) = device.open()
            {
                let (here, why) = device::auto();
                return Err(StageError::Invalid(format!(
                    "the job is for device {device}, and this machine ({}) has {here} ({why}): {error}\nhint: ask for nodes that have it (`gres`, `gpus`, `partition`), or declare another `device` in `[run.slurm]`",
                    end.host
                )));
            }
        }
        end.device_description = device::description(declared);
        Ok(RunOptions {
            threads: match self.threads {
                0 => job.threads,
                threads => threads,
            },
            batch_size: job.batch_size,
            graphs: self.graphs && !job.enforce_eager,
            device: declared,
            beside: devices[1..].to_vec(),
            device_description: end.device_description.clone(),
            gradient_checkpointing: job.gradient_checkpointing,
            // Its time may be over after any.
            checkpoints: Checkpoints::EachEpoch,
            ..RunOptions::default()
        })
    }
}

/// Exit codes of a job: interrupted, as everywhere; and saved, to be queued again (`EX_TEMPFAIL` of sysexits.h).
const EXIT_INTERRUPTED: i32 = 130;
const EXIT_SAVED: i32 = 75;

impl End {
    fn fail(&mut self, error: &StageError) {
        self.outcome = EndOutcome::Failed;
        self.exit = 1;
        self.error = Some(error.to_string());
        self.memory = matches!(error, StageError::Memory(_));
        self.lacks = match error {
            StageError::InputGone { port } => Some(port.clone()),
            StageError::Store(StoreError::MissingObject(digest)) => Some(digest.to_string()),
            _ => None,
        };
    }
}

/// Two that listen.
struct Both<'a>(&'a dyn Observer, &'a dyn Observer);

impl Observer for Both<'_> {
    fn event(&self, event: &crate::event::RunEvent) {
        self.0.event(event);
        self.1.event(event);
    }
}

/// A folder for a job's store, which goes with the job.
struct Scratch {
    path: PathBuf,
    /// Held as long as the job lives.
    _lock: File,
}

impl Scratch {
    /// Makes one below `folder`, where those of killed jobs are removed first.
    fn new(folder: &Path) -> std::io::Result<Self> {
        remove_the_dead(folder);
        // It has its name once it is locked, so that nobody takes it for a dead one's.
        let new = tempfile::Builder::new()
            .prefix(NEW_SCRATCH)
            .tempdir_in(folder)?;
        let lock = File::create(new.path().join(SCRATCH_LOCK))?;
        lock.lock()?;
        let made = new.keep();
        let name = made.file_name().unwrap_or_default().to_string_lossy();
        let path = folder.join(name.replacen(NEW_SCRATCH, SCRATCH, 1));
        std::fs::rename(&made, &path)?;
        Ok(Self { path, _lock: lock })
    }

    /// Where the store is.
    fn store(&self) -> PathBuf {
        self.path.join("store")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

fn remove_the_dead(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let is_ours = entry.file_name().to_string_lossy().starts_with(SCRATCH);
        if is_ours && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            let path = entry.path();
            let is_dead = match File::options().write(true).open(path.join(SCRATCH_LOCK)) {
                Ok(lock) => lock.try_lock().is_ok(),
                // Its job was killed while it removed it. Another user's cannot be opened.
                Err(error) => error.kind() == ErrorKind::NotFound,
            };
            if is_dead {
                let _ = std::fs::remove_dir_all(&path);
            }
        }
    }
}

/// Whether a file in a folder was written since.
fn changed_since(folder: &Path, since: SystemTime) -> bool {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let modified = entries.filter_map(|entry| entry.metadata().ok()?.modified().ok());
    // File servers' clocks are not this machine's; a checkpoint of an earlier try is much older.
    modified
        .max()
        .is_some_and(|latest| latest + std::time::Duration::from_secs(5) >= since)
}

/// The most memory that this process has had, where the system tells.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}
