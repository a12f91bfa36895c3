//! What a run costs that sends thousands of stages away: its own time, its memory, what it asks of the shared folder.
//!
//! The nodes are this thread's: they leave what a job would leave, and their time is taken off. Say how much with
//! `SIMULATION=STAGES,NODES` (each stage has 100 rows and goes out in two parts):
//!
//! ```text
//! SIMULATION=10000,1000 cargo test --release --lib -- --ignored --nocapture simulation
//! ```

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use super::super::super::executor::execute;
use super::super::super::job::{End, EndOutcome, Job, JobFolder, JobSettings, write};
use super::super::super::scheduler::Policy;
use super::super::super::worker::{Here, Worker};
use super::super::ClusterWorker;
use super::super::array::Array;
use super::super::queue::{Left, Limits, Queue, QueueError, Queued, Submission};
use super::site::*;
use crate::event::{CancelToken, Silent};
use crate::fetch::{FetchOptions, Fetcher};
use crate::key::Digest;
use crate::manifest::{self, Changes, ClusterSection};
use crate::model::device::DeviceName;
use crate::plan::{Estimates, Plan};
use crate::remote::RemoteUrl;
use crate::stage::{Environment, RunOptions};
use crate::store::{RemoteChoice, Store};

/// Rows of a stage.
const ROWS: u32 = 100;

/// A cluster of so many nodes, whose jobs take one look at the queue.
struct Nodes {
    jobs: PathBuf,
    count: usize,
    store: Store,
    state: Mutex<NodesState>,
}

#[derive(Default)]
struct NodesState {
    queue: std::collections::VecDeque<Queued>,
    arrays: usize,
    elements: usize,
    looks: usize,
    /// Nanoseconds of processors that were the nodes'.
    spent: u64,
}

/// Nanoseconds that this thread has had a processor.
fn thread_time() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ')
        .next()
        .and_then(|ns| ns.parse().ok())
        .unwrap_or(0)
}

/// Seconds that all threads of this process have had one, those that are over too.
fn process_time() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap();
    let after = text.rsplit_once(')').unwrap().1;
    let field = |n: usize| {
        after
            .split_whitespace()
            .nth(n - 3)
            .unwrap()
            .parse::<f64>()
            .unwrap()
    };
    (field(14) + field(15)) / 100.0
}

/// Marks in the list of system calls where the nodes' begin and end.
fn mark(what: &str) {
    let _ = std::fs::metadata(format!("/simulation-{what}"));
}

impl Nodes {
    fn run(&self, job: &Queued) {
        let array = Array::load(&self.jobs, &job.name).unwrap();
        let element = array.0[job.element as usize];
        let folder = JobFolder::of(&self.jobs, &element.key);
        let job = Job::read(&folder.job()).unwrap();
        let number = job.params["number"].as_u64().unwrap();
        let shard = element.part.shard.unwrap();
        let rows: Vec<(Digest, Vec<u8>)> = (0..ROWS)
            .filter(|n| n % shard.count() == shard.index())
            .map(|n| {
                let key = Digest::of(format!("{number} word {n}").as_bytes());
                (key, format!("word {n}, thought {number}").into_bytes())
            })
            .collect();
        let end = End {
            outcome: EndOutcome::Done,
            rows: self.store.seal_now("thoughts", &rows),
            ..End::default()
        };
        write(&folder.end(element.part), &end.encode()).unwrap();
    }
}

impl Queue for Nodes {
    fn takes_estimated_time(&self) -> bool {
        true
    }

    fn limits(&self) -> Limits {
        Limits {
            array: 1001,
            submitted: None,
        }
    }

    fn submit(&self, submission: &Submission) -> Result<Option<String>, QueueError> {
        let mut state = self.state.lock().unwrap();
        state.arrays += 1;
        let (name, elements) = (submission.name(), submission.array.0.len());
        state.elements += elements;
        let array = state.arrays;
        let numbers = 0..u32::try_from(elements).unwrap();
        state.queue.extend(numbers.map(|element| Queued {
            name: name.clone(),
            element,
            id: format!("{array}_{element}"),
            runs: true,
            waits: None,
        }));
        Ok(None)
    }

    fn queued(&self) -> Result<Vec<Queued>, QueueError> {
        mark("begin");
        let began = thread_time();
        let mut state = self.state.lock().unwrap();
        state.looks += 1;
        let some = self.count.min(state.queue.len());
        for job in state.queue.drain(..some).collect::<Vec<_>>() {
            self.run(&job);
        }
        let queued = state.queue.iter().cloned().collect();
        state.spent += thread_time() - began;
        mark("end");
        Ok(queued)
    }

    fn cancel(&self, _: &[String]) -> Result<(), QueueError> {
        Ok(())
    }

    fn left(&self, _: &str, _: bool) -> Option<Left> {
        None
    }
}

#[test]
#[ignore = "minutes; what docs/cluster.md says of costs is from here"]
fn simulation() {
    let size = std::env::var("SIMULATION").unwrap_or_else(|_| "200,50".to_owned());
    let (stages, nodes) = size.split_once(',').unwrap();
    let (stages, nodes): (u32, usize) = (stages.parse().unwrap(), nodes.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let jobs = root.join("remote/jobs-v1");
    std::fs::create_dir_all(&jobs).unwrap();
    let mut text = format!("[stages.words]\nkind = 'words'\ncount = {ROWS}\n");
    for n in 0..stages {
        let stage = format!("[stages.t{n}]\nkind = 'think'\ntext = 'words'\nnumber = {n}\n");
        text.push_str(&stage);
    }
    let path = root.join("m.toml");
    std::fs::write(&path, text).unwrap();
    let manifest = manifest::load(&path, &Changes::default(), KINDS).unwrap();
    let plan = Plan::new(&manifest).unwrap();
    let cancel = CancelToken::default();
    let choice = RemoteChoice {
        url: RemoteUrl::Folder(root.join("remote")),
        readonly: false,
    };
    let open = |name: &str| {
        let mut store = Store::open(&root.join(name)).unwrap();
        store.attach(&choice, &cancel).unwrap();
        store
    };
    let queue = Nodes {
        jobs: jobs.clone(),
        count: nodes,
        store: open("node"),
        state: Mutex::default(),
    };
    let store = open("home");
    let fetcher = Fetcher::new(FetchOptions::from_env(root));
    let section: ClusterSection =
        toml::from_str("look_s = 1\nlost_after_s = 60\n[defaults]\nshards = 2\nmemory = '1G'")
            .unwrap();
    let options = RunOptions::default();
    let environment = Environment {
        options: &options,
        folder: root,
        store: &store,
        fetcher: &fetcher,
        observer: &Silent,
        cancel: &cancel,
        planning: false,
        shard: None,
    };
    let cluster = ClusterWorker {
        executor: "slurm",
        queue: &queue,
        environment,
        section: &section,
        job: JobSettings {
            device: DeviceName::Cpu,
            remote: choice.url.clone(),
            folder: root.to_owned(),
            mirror: None,
            offline: true,
            downloads: root.to_owned(),
            threads: 1,
            batch_size: 0,
            gradient_checkpointing: false,
            enforce_eager: false,
        },
        jobs,
        program: "sert-run".into(),
        estimates: Estimates::default(),
        detach: false,
    };
    let here = Here(environment);
    let workers: [&dyn Worker; 2] = [&here, &cluster];
    let (began, before) = (std::time::Instant::now(), process_time());
    let execution = store.while_pushing(Arc::new(|_| {}), || {
        execute(&plan, plan.order(), &workers, Policy::KeepGoing, &cancel)
    });
    let state = queue.state.lock().unwrap();
    let nodes_time = state.spent as f64 / 1e9;
    let own = process_time() - before - nodes_time;
    assert_eq!(
        execution.count(crate::event::StageOutcome::Ran),
        stages as usize + 1
    );
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let memory = status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .unwrap();
    {
        println!(
            "{stages} stages, {} jobs in {} arrays on {nodes} nodes, {} rows: {:.1} s, of them {nodes_time:.1} s of processors the nodes'",
            state.elements,
            state.arrays,
            stages * ROWS,
            began.elapsed().as_secs_f64()
        );
        println!(
            "the run's own: {own:.1} s of processors, {:.2} ms a stage; {} looks at the queue; {memory}",
            own * 1000.0 / f64::from(stages),
            state.looks
        );
    }
}
