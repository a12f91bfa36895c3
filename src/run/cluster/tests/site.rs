//! A cluster in this process, and runs that send stages to it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::super::Exec;
use super::super::super::executor::{Execution, execute};
use super::super::super::job::{End, Job, JobFolder, JobSettings, write};
use super::super::super::scheduler::Policy;
use super::super::super::worker::{Here, Worker};
use super::super::ClusterWorker;
use super::super::array::Array;
use super::super::queue::{Left, Limits, Queue, QueueError, Queued, Submission};
use crate::artifact::ArtifactKind;
use crate::event::{CancelToken, Observer, RunEvent, Silent};
use crate::fetch::{FetchOptions, Fetcher};
use crate::key::Digest;
use crate::manifest::{self, Changes, ClusterSection};
use crate::model::device::DeviceName;
use crate::model::{Arithmetic, Dtype};
use crate::plan::{Estimates, NodeId, Plan};
use crate::remote::RemoteUrl;
use crate::stage::{
    Context, Environment, Output, Outputs, Port, RunOptions, Stage, StageError, StageKind, Typed,
};
use crate::store::{RemoteChoice, Store};

pub(super) static KINDS: &[&dyn Stage] = &[&Typed::<Words>::new(), &Typed::<Think>::new()];

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct WordsParams {
    count: u32,
}

/// Makes words, here.
pub(super) struct Words;

impl StageKind for Words {
    type Params = WordsParams;
    const NAME: &'static str = "words";
    const VERSION: u32 = 1;
    const DOC: &'static str = "Words.";
    const INPUTS: &'static [Port] = &[];
    const OUTPUTS: &'static [Output] = &[Output::new("text", ArtifactKind::Text, "The words.")];

    fn run(params: &WordsParams, context: &Context<'_>) -> Result<Outputs, StageError> {
        let words: Vec<String> = (0..params.count).map(|n| format!("word {n}")).collect();
        Ok(Outputs::from([("text".to_owned(), context.keep(&words)?)]))
    }
}

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ThinkParams {
    number: u32,
    fails: bool,
    memory: bool,
}

/// Says something of each word, as a model would: away, in parts, a row for each.
pub(super) struct Think;

impl StageKind for Think {
    type Params = ThinkParams;
    const NAME: &'static str = "think";
    const VERSION: u32 = 1;
    const DOC: &'static str = "Thinks.";
    const INPUTS: &'static [Port] = &[Port::required("text", ArtifactKind::Text, "The words.")];
    const OUTPUTS: &'static [Output] = &[Output::new("text", ArtifactKind::Text, "Thoughts.")];

    fn numerics(_: &ThinkParams) -> Option<Arithmetic> {
        Some(Arithmetic::sample(Dtype::F32))
    }

    fn sharded_by(_: &ThinkParams) -> &'static [&'static str] {
        &["text"]
    }

    fn run(params: &ThinkParams, context: &Context<'_>) -> Result<Outputs, StageError> {
        if params.fails {
            return Err(StageError::Invalid("it cannot think".to_owned()));
        }
        let words: Vec<String> = context.input("text")?;
        let words = context.part(words, |word| word);
        let key = |word: &str| Digest::of(format!("{} {word}", params.number).as_bytes());
        let keys: Vec<Digest> = words.iter().map(|word| key(word)).collect();
        let known = context.store.rows("thoughts", &keys)?;
        let (mut made, mut all) = (Vec::new(), Vec::new());
        for ((word, key), known) in words.iter().zip(&keys).zip(known) {
            let row = known.unwrap_or_else(|| {
                let row = format!("{word}, thought {}", params.number).into_bytes();
                made.push((*key, row.clone()));
                row
            });
            all.push(String::from_utf8_lossy(&row).into_owned());
        }
        if !made.is_empty() {
            context.progress("thoughts", made.len(), words.len(), 0, String::new());
        }
        context.store.put_rows("thoughts", &made)?;
        Ok(Outputs::from([("text".to_owned(), context.keep(&all)?)]))
    }
}

/// What becomes of a job.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Fate {
    Runs,
    /// The queue knows only this of it.
    Vanishes(Option<Left>),
    /// Its script says that the program ended so, and the queue how it left.
    Dies(i32, Option<Left>),
    /// It stays where it is.
    Waits(&'static str),
}

/// A cluster in this process: what was in the queue when it was last looked at has run when it is looked at again.
pub(super) struct Cluster {
    pub(super) jobs: PathBuf,
    pub(super) limits: Limits,
    /// By the job's number, in the order in which they are submitted.
    pub(super) fates: BTreeMap<usize, Fate>,
    /// What `submit` says, first of all.
    pub(super) says: Mutex<Vec<QueueError>>,
    pub(super) state: Mutex<ClusterState>,
}

#[derive(Default)]
pub(super) struct ClusterState {
    pub(super) submissions: Vec<Submission>,
    pub(super) queue: Vec<(usize, Queued)>,
    pub(super) seen: BTreeSet<usize>,
    pub(super) left: BTreeMap<String, Left>,
    pub(super) number: usize,
    pub(super) most: usize,
    pub(super) cancelled: Vec<String>,
}

impl Cluster {
    fn run_job(&self, number: usize, job: &Queued) -> Option<Left> {
        let array = Array::load(&self.jobs, &job.name).unwrap();
        let element = array.0[job.element as usize];
        let out = JobFolder::of(&self.jobs, &element.key);
        match self.fates.get(&number).copied().unwrap_or(Fate::Runs) {
            Fate::Waits(_) => unreachable!("it stays in the queue"),
            Fate::Vanishes(left) => left,
            Fate::Dies(exit, left) => {
                let end = End {
                    exit,
                    host: "n7".into(),
                    ..End::default()
                };
                write(&out.log(element.part), b"one\ntwo\n").unwrap();
                write(&out.end(element.part), &end.encode()).unwrap();
                left
            }
            Fate::Runs => {
                let scratch = tempfile::tempdir().unwrap();
                let exec = Exec {
                    together: 1,
                    graphs: false,
                    job: &Job::read(&out.job()).unwrap(),
                    out,
                    part: element.part,
                    scratch: scratch.path().to_owned(),
                    threads: 1,
                    cancel: &CancelToken::default(),
                    warned: &AtomicBool::new(false),
                    observer: &Silent,
                };
                exec.run(KINDS).unwrap();
                None
            }
        }
    }
}

impl Queue for Cluster {
    fn takes_estimated_time(&self) -> bool {
        true
    }

    fn limits(&self) -> Limits {
        self.limits
    }

    fn submit(&self, submission: &Submission) -> Result<Option<String>, QueueError> {
        if let Some(error) = self.says.lock().unwrap().pop() {
            return Err(error);
        }
        let mut state = self.state.lock().unwrap();
        let array = state.submissions.len();
        for element in 0..u32::try_from(submission.array.0.len()).unwrap() {
            let number = state.number;
            state.number += 1;
            let fate = self.fates.get(&number).copied();
            let waits = match fate {
                Some(Fate::Waits(reason)) => super::super::reasons::waits(reason),
                _ => None,
            };
            let queued = Queued {
                name: submission.name(),
                element,
                id: format!("{array}_{element}"),
                runs: !matches!(fate, Some(Fate::Waits(_))),
                waits,
            };
            state.queue.push((number, queued));
        }
        state.most = state.most.max(state.queue.len());
        state.submissions.push(submission.clone());
        Ok(Some(array.to_string()))
    }

    fn queued(&self) -> Result<Vec<Queued>, QueueError> {
        let (seen, rest) = {
            let mut state = self.state.lock().unwrap();
            let queue = std::mem::take(&mut state.queue);
            let known = std::mem::take(&mut state.seen);
            queue.into_iter().partition::<Vec<_>, _>(|(number, job)| {
                known.contains(number) && job.waits.is_none()
            })
        };
        for (number, job) in seen {
            if let Some(left) = self.run_job(number, &job) {
                self.state.lock().unwrap().left.insert(job.id, left);
            }
        }
        let mut state = self.state.lock().unwrap();
        state.seen = rest.iter().map(|(number, _)| *number).collect();
        state.queue.extend(rest);
        Ok(state.queue.iter().map(|(_, job)| job.clone()).collect())
    }

    fn cancel(&self, ids: &[String]) -> Result<(), QueueError> {
        let mut state = self.state.lock().unwrap();
        state.queue.retain(|(_, job)| !ids.contains(&job.id));
        state.cancelled.extend_from_slice(ids);
        Ok(())
    }

    fn left(&self, id: &str, _: bool) -> Option<Left> {
        self.state.lock().unwrap().left.get(id).copied()
    }
}

/// A folder that machines share, and a run on one of them.
pub(super) struct Site {
    pub(super) folder: tempfile::TempDir,
    pub(super) cluster: Cluster,
    pub(super) section: ClusterSection,
    pub(super) detach: bool,
    pub(super) policy: Policy,
    pub(super) cancel: CancelToken,
}

/// What a run told and left.
pub(super) struct Ran {
    pub(super) outcomes: Vec<String>,
    pub(super) errors: Vec<String>,
    pub(super) notes: Vec<String>,
    pub(super) started: Vec<String>,
    pub(super) text: BTreeMap<String, Vec<String>>,
}

#[derive(Default)]
pub(super) struct Ear(Mutex<Vec<RunEvent>>);

impl Observer for Ear {
    fn event(&self, event: &RunEvent) {
        self.0.lock().unwrap().push(event.clone());
    }
}

impl Site {
    pub(super) fn new(fates: &[(usize, Fate)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let jobs = folder.path().join("remote/jobs-v1");
        std::fs::create_dir_all(&jobs).unwrap();
        Self {
            cluster: Cluster {
                jobs,
                limits: Limits {
                    array: 1000,
                    submitted: None,
                },
                fates: fates.iter().copied().collect(),
                says: Mutex::default(),
                state: Mutex::default(),
            },
            folder,
            section: toml::from_str(
                "look_s = 0\nlost_after_s = 0\n[defaults]\nshards = 3\nmemory = '1G'",
            )
            .unwrap(),
            detach: false,
            policy: Policy::KeepGoing,
            cancel: CancelToken::default(),
        }
    }

    /// Runs a manifest from a store of its own.
    pub(super) fn run(&self, store: &str, manifest: &str) -> Ran {
        let folder = self.folder.path();
        let path = folder.join("m.toml");
        std::fs::write(&path, manifest).unwrap();
        let manifest = manifest::load(&path, &Changes::default(), KINDS).unwrap();
        let plan = Plan::new(&manifest).unwrap();
        let remote = RemoteUrl::Folder(folder.join("remote"));
        let mut store = Store::open(&folder.join(store)).unwrap();
        let choice = RemoteChoice {
            url: remote.clone(),
            readonly: false,
        };
        store.attach(&choice, &self.cancel).unwrap();
        let fetcher = Fetcher::new(FetchOptions::from_env(folder));
        let (options, ear) = (RunOptions::default(), Ear::default());
        let environment = Environment {
            options: &options,
            folder,
            store: &store,
            fetcher: &fetcher,
            observer: &ear,
            cancel: &self.cancel,
            planning: false,
            shard: None,
        };
        let cluster = ClusterWorker {
            executor: "slurm",
            queue: &self.cluster,
            environment,
            section: &self.section,
            job: JobSettings {
                device: DeviceName::Cpu,
                remote,
                folder: folder.to_owned(),
                mirror: None,
                offline: true,
                downloads: folder.to_owned(),
                threads: 1,
                batch_size: 0,
                gradient_checkpointing: false,
                enforce_eager: false,
            },
            jobs: self.cluster.jobs.clone(),
            program: "sert-run".into(),
            estimates: Estimates::default(),
            detach: self.detach,
        };
        let here = Here(environment);
        let workers: [&dyn Worker; 2] = [&here, &cluster];
        let execution = store.while_pushing(Arc::new(|_| {}), || {
            execute(&plan, plan.order(), &workers, self.policy, &self.cancel)
        });
        Self::ran(&plan, &execution, &store, &ear)
    }

    fn ran(plan: &Plan, execution: &Execution, store: &Store, ear: &Ear) -> Ran {
        let name = |node: NodeId| plan.node(node).name().to_owned();
        let stages = &execution.stages;
        let text = |outputs: &Outputs| {
            let bytes = store.object(&outputs["text"]).unwrap().unwrap();
            <Vec<String> as crate::artifact::Artifact>::decode(&bytes).unwrap()
        };
        let events = ear.0.lock().unwrap();
        let note = |event: &RunEvent| match event {
            RunEvent::Note { message, .. } => Some(message.clone()),
            _ => None,
        };
        let started = |event: &RunEvent| match event {
            RunEvent::StageStarted { stage, .. } => Some(stage.clone()),
            _ => None,
        };
        Ran {
            outcomes: stages
                .iter()
                .map(|stage| format!("{} {:?}", name(stage.node), stage.outcome))
                .collect(),
            errors: stages
                .iter()
                .filter_map(|stage| Some(stage.error.as_ref()?.to_string()))
                .collect(),
            notes: events.iter().filter_map(note).collect(),
            started: events.iter().filter_map(started).collect(),
            text: stages
                .iter()
                .filter(|stage| stage.outcome.is_done())
                .map(|stage| (name(stage.node), text(&stage.outputs)))
                .collect(),
        }
    }

    pub(super) fn submissions(&self) -> Vec<Submission> {
        self.cluster.state.lock().unwrap().submissions.clone()
    }

    pub(super) fn cancelled(&self) -> usize {
        self.cluster.state.lock().unwrap().cancelled.len()
    }

    /// The files of jobs that are left.
    pub(super) fn left(&self) -> Vec<PathBuf> {
        fn walk(folder: &Path, into: &mut Vec<PathBuf>) {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    walk(&path, into);
                } else {
                    into.push(path);
                }
            }
        }
        let mut left = Vec::new();
        walk(&self.cluster.jobs, &mut left);
        left
    }
}

impl Ran {
    pub(super) fn notes_with(&self, text: &str) -> usize {
        self.notes.iter().filter(|note| note.contains(text)).count()
    }
}
