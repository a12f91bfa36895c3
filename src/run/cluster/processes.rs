//! This machine's own queue: jobs as processes here, so many at once. One that is killed, or takes the machine's memory with
//! it, ends nothing else, and is tried again as on a cluster.

use std::collections::{BTreeMap, VecDeque};
use std::fs::OpenOptions;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::super::job::{End, EndOutcome, JobFolder, write};
use super::array::Element;
use super::queue::{Left, Limits, Queue, QueueError, Queued, Submission};
use crate::memory;

/// Time between two looks at a process.
const LOOK: Duration = Duration::from_millis(20);
/// So long a process may take to save what it has, as Slurm gives it.
const GRACE: Duration = Duration::from_secs(30);

/// Jobs as processes of this machine. When it goes, they do.
pub(crate) struct ProcessQueue(Arc<Shared>);

struct Shared {
    /// How many run at once.
    at_once: usize,
    cores: u32,
    memory_mib: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Job>,
    running: Vec<Running>,
    left: BTreeMap<String, Left>,
    submitted: u64,
}

struct Job {
    queued: Queued,
    element: Element,
    submission: Arc<Submission>,
}

struct Running {
    queued: Queued,
    cpus: u32,
    memory_mib: u64,
    is_cancelled: bool,
}

impl Job {
    fn cpus(&self) -> u32 {
        self.submission.class.resources.cpus.unwrap_or(1)
    }
}

impl ProcessQueue {
    /// A queue of which `at_once` jobs run at once, if given, and else as many as there are cores for.
    pub(crate) fn new(at_once: Option<u32>) -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Self(Arc::new(Shared {
            at_once: at_once.map_or(cores, |jobs| jobs.max(1) as usize),
            cores: u32::try_from(cores).unwrap_or(u32::MAX),
            memory_mib: memory::total() >> 20,
            state: Mutex::default(),
        }))
    }
}

impl Drop for ProcessQueue {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.waiting.clear();
        for job in &mut state.running {
            job.is_cancelled = true;
        }
        drop(state);
        while !self.0.state().running.is_empty() {
            thread::sleep(LOOK);
        }
    }
}

impl Shared {
    /// What panicked here has left it whole: each change is one step.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts what there is room for, in the order in which it was submitted.
    fn start(self: &Arc<Self>) {
        loop {
            let mut state = self.state();
            let Some(job) = state.waiting.front() else {
                return;
            };
            let (cpus, memory_mib) = (job.cpus(), job.submission.class.memory_mib);
            let sum = |of: fn(&Running) -> u64| state.running.iter().map(of).sum::<u64>();
            let has_room = state.running.len() < self.at_once
                && sum(|job| job.cpus.into()) + u64::from(cpus) <= self.cores.into()
                && sum(|job| job.memory_mib) + memory_mib <= self.memory_mib;
            // One that asks for more than there is has the machine to itself.
            if !has_room && !state.running.is_empty() {
                return;
            }
            let Some(job) = state.waiting.pop_front() else {
                return;
            };
            state.running.push(Running {
                queued: Queued {
                    runs: true,
                    waits: None,
                    ..job.queued.clone()
                },
                cpus,
                memory_mib,
                is_cancelled: false,
            });
            drop(state);
            let shared = Arc::clone(self);
            thread::spawn(move || {
                let left = shared.run(&job);
                let mut state = shared.state();
                let id = &job.queued.id;
                state.running.retain(|running| running.queued.id != *id);
                state.left.extend(left.map(|left| (id.clone(), left)));
                drop(state);
                shared.start();
            });
        }
    }

    /// Runs a job to its end.
    fn run(&self, job: &Job) -> Option<Left> {
        let folder = JobFolder::of(&job.submission.jobs, &job.element.key);
        let part = job.element.part;
        let (end, log) = (folder.end(part), folder.log(part));
        let _ = std::fs::remove_file(&end);
        let mut record = End {
            host: sysinfo::System::host_name().unwrap_or_default(),
            ..End::default()
        };
        match process(job, log) {
            Ok(child) => {
                let (status, is_cancelled) = self.watch(&job.queued.id, child);
                if is_cancelled {
                    return Some(Left::Cancelled);
                }
                if end.exists() || status.is_some_and(|status| status.success()) {
                    return None;
                }
                record.exit = code(status);
            }
            Err(error) => {
                let program = &job.submission.program;
                record.outcome = EndOutcome::Failed;
                record.error = Some(format!("`{program}` cannot be started: {error}"));
            }
        }
        // Without it, it counts as lost.
        let _ = write(&end, &record.encode());
        None
    }

    /// Waits until a process has ended, and ends it where it was cancelled. Says how it ended, and whether that was why.
    fn watch(&self, id: &str, mut child: Child) -> (Option<ExitStatus>, bool) {
        let mut told: Option<Instant> = None;
        loop {
            match child.try_wait() {
                Ok(None) => {}
                Ok(Some(status)) => return (Some(status), told.is_some()),
                Err(_) => return (None, told.is_some()),
            }
            let is_cancelled = {
                let state = self.state();
                let mut running = state.running.iter();
                running.any(|job| job.queued.id == id && job.is_cancelled)
            };
            match told {
                None if is_cancelled => {
                    // It saves, and ends.
                    drop(child.stdin.take());
                    told = Some(Instant::now());
                }
                Some(since) if since.elapsed() > GRACE => {
                    let _ = child.kill();
                }
                _ => {}
            }
            thread::sleep(LOOK);
        }
    }
}

/// Starts the process of a job. It ends when this one does: what it reads from is closed then.
fn process(job: &Job, log: PathBuf) -> std::io::Result<Child> {
    let part = job.element.part;
    let folder = JobFolder::of(&job.submission.jobs, &job.element.key);
    let log = OpenOptions::new().create(true).append(true).open(log)?;
    let mut command = Command::new(&job.submission.program);
    command.arg("exec").arg(folder.job());
    if let Some(shard) = part.shard {
        command.args(["--shard", &shard.to_string()]);
    }
    command
        .args(["--attempt", &part.attempt.to_string()])
        .args(["--threads", &job.cpus().to_string()])
        .arg("--while-stdin-is-open")
        .stdin(Stdio::piped())
        .stdout(log.try_clone()?)
        .stderr(log);
    command.spawn()
}

/// The exit code of a process as a shell tells it.
fn code(status: Option<ExitStatus>) -> i32 {
    let Some(status) = status else {
        return 1;
    };
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return 128 + signal;
    }
    status.code().unwrap_or(1)
}

impl Queue for ProcessQueue {
    fn look_s(&self) -> u32 {
        1
    }

    fn goes_on_alone(&self) -> bool {
        false
    }

    fn limits(&self) -> Limits {
        Limits {
            array: u32::MAX,
            submitted: None,
        }
    }

    fn submit(&self, submission: &Submission) -> Result<Option<String>, QueueError> {
        let name = submission.name();
        let submission = Arc::new(submission.clone());
        let mut state = self.0.state();
        state.submitted += 1;
        let id = state.submitted.to_string();
        let elements = submission.array.0.iter().zip(0..);
        let jobs: Vec<Job> = elements
            .map(|(element, number)| Job {
                queued: Queued {
                    name: name.clone(),
                    element: number,
                    id: format!("{id}_{number}"),
                    runs: false,
                    waits: None,
                },
                element: *element,
                submission: Arc::clone(&submission),
            })
            .collect();
        state.waiting.extend(jobs);
        drop(state);
        self.0.start();
        Ok(Some(id))
    }

    fn queued(&self) -> Result<Vec<Queued>, QueueError> {
        let state = self.0.state();
        let running = state.running.iter().map(|job| &job.queued);
        let all = running.chain(state.waiting.iter().map(|job| &job.queued));
        Ok(all.cloned().collect())
    }

    fn cancel(&self, ids: &[String]) -> Result<(), QueueError> {
        let mut state = self.0.state();
        state.waiting.retain(|job| !ids.contains(&job.queued.id));
        for job in &mut state.running {
            job.is_cancelled |= ids.contains(&job.queued.id);
        }
        Ok(())
    }

    fn left(&self, id: &str, _: bool) -> Option<Left> {
        self.0.state().left.get(id).copied()
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::super::super::job::Part;
    use super::super::array::Array;
    use super::super::class::{Class, Estimate};
    use super::*;
    use crate::key::{Digest, StageKey};
    use crate::manifest::{ClusterSection, JobResources};
    use crate::stage::Shard;

    /// A folder of jobs, and a program in it that does as `text` says.
    fn submission(text: &str, parts: u32, cpus: Option<u32>) -> (tempfile::TempDir, Submission) {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("program");
        std::fs::write(
            &program,
            format!("#!/bin/bash\ncd {}\n{text}\n", folder.path().display()),
        )
        .unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let resources = JobResources {
            cpus,
            ..JobResources::default()
        };
        let key = StageKey(Digest::of(b"a"));
        let part = |shard| Part {
            shard: Some(shard),
            attempt: 1,
        };
        let elements = Shard::all(parts).map(|shard| Element {
            key,
            part: part(shard),
        });
        let submission = Submission {
            array: Array(elements.collect()),
            class: Class::new(resources, Estimate::default(), &ClusterSection::default()).unwrap(),
            jobs: folder.path().to_owned(),
            program: program.display().to_string(),
            warning_s: 1,
            is_gpu: false,
        };
        std::fs::create_dir_all(JobFolder::of(folder.path(), &key).path()).unwrap();
        (folder, submission)
    }

    fn wait_for(is_so: impl Fn() -> bool) {
        let since = Instant::now();
        while !is_so() {
            assert!(since.elapsed() < Duration::from_mins(1), "it never came");
            thread::sleep(LOOK);
        }
    }

    fn end(submission: &Submission, element: usize) -> Option<End> {
        let Element { key, part } = submission.array.0[element];
        End::read(&JobFolder::of(&submission.jobs, &key).end(part))
    }

    #[test]
    fn so_many_run_at_once_as_may_and_each_says_how_it_ended() {
        // Each waits for the other, so a third would be seen; the last is killed.
        let text = r#"echo "$@" >> said; n="run-${4%/*}"; touch "$n"; ls run-* | wc -l >> at-once; sleep 0.3; rm "$n"
            case "$4" in 4/5) kill -9 $$;; 3/5) exit 3;; esac"#;
        let (folder, submission) = submission(text, 5, Some(1));
        let queue = ProcessQueue::new(Some(2));
        assert_eq!(queue.submit(&submission).unwrap().as_deref(), Some("1"));
        let queued = queue.queued().unwrap();
        assert_eq!((queued.len(), queued[4].id.as_str()), (5, "1_4"));
        wait_for(|| queue.queued().unwrap().is_empty());
        let read = |name| std::fs::read_to_string(folder.path().join(name)).unwrap();
        let said = read("said");
        assert_eq!(said.lines().count(), 5);
        assert!(
            said.contains("job.json --shard 0/5 --attempt 1 --threads 1 --while-stdin-is-open\n"),
            "{said}"
        );
        let most = read("at-once")
            .lines()
            .map(|n| n.trim().parse::<u32>().unwrap())
            .max();
        let cores = thread::available_parallelism().map_or(1, usize::from);
        assert!(most <= Some(2), "{most:?}");
        if cores > 1 {
            assert_eq!(most, Some(2));
        }
        let ends: Vec<Option<i32>> = (0..5)
            .map(|n| end(&submission, n).map(|end| end.exit))
            .collect();
        assert_eq!(ends, [None, None, None, Some(3), Some(137)]);
        assert_eq!(end(&submission, 4).unwrap().outcome, EndOutcome::Died);
    }

    #[test]
    fn a_program_that_cannot_be_started_says_why() {
        let (_folder, mut submission) = submission("", 1, None);
        submission.program = "/nowhere/sert-run".into();
        let queue = ProcessQueue::new(None);
        queue.submit(&submission).unwrap();
        wait_for(|| queue.queued().unwrap().is_empty());
        let end = end(&submission, 0).unwrap();
        assert_eq!(end.outcome, EndOutcome::Failed);
        let why = end.error.unwrap();
        assert!(
            why.starts_with("`/nowhere/sert-run` cannot be started: "),
            "{why}"
        );
    }

    #[test]
    fn what_is_cancelled_saves_and_ends_and_nothing_outlives_the_queue() {
        let text = r#"touch "run-${4%/*}"; cat > /dev/null; touch "saved-${4%/*}""#;
        let (folder, submission) = submission(text, 3, None);
        let queue = ProcessQueue::new(Some(1));
        queue.submit(&submission).unwrap();
        let has = |name: &str| folder.path().join(name).exists();
        wait_for(|| has("run-0"));
        queue.cancel(&["1_0".into(), "1_1".into()]).unwrap();
        wait_for(|| has("run-2"));
        assert!(has("saved-0") && !has("run-1"));
        assert_eq!(queue.left("1_0", true), Some(Left::Cancelled));
        assert_eq!(end(&submission, 0), None, "it is no loss");
        drop(queue);
        assert!(has("saved-2"));
    }
}
