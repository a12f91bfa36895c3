//! Runs that send stages away, against a queue that runs them in this process, loses them, or does not.

mod simulation;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::Exec;
use super::super::executor::{Execution, execute};
use super::super::job::{End, Job, JobFolder, JobSettings, write};
use super::super::scheduler::Policy;
use super::super::worker::{Here, Worker};
use super::ClusterWorker;
use super::array::Array;
use super::claim::Coordinator;
use super::queue::{Left, Limits, Queue, QueueError, Queued, Submission};
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

static KINDS: &[&dyn Stage] = &[&Typed::<Words>::new(), &Typed::<Think>::new()];

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct WordsParams {
    count: u32,
}

/// Makes words, here.
struct Words;

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
struct ThinkParams {
    number: u32,
    fails: bool,
    memory: bool,
}

/// Says something of each word, as a model would: away, in parts, a row for each.
struct Think;

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
enum Fate {
    Runs,
    /// The queue knows only this of it.
    Vanishes(Option<Left>),
    /// Its script says that the program ended so, and the queue how it left.
    Dies(i32, Option<Left>),
    /// It stays where it is.
    Waits(&'static str),
}

/// A cluster in this process: what was in the queue when it was last looked at has run when it is looked at again.
struct Cluster {
    jobs: PathBuf,
    limits: Limits,
    /// By the job's number, in the order in which they are submitted.
    fates: BTreeMap<usize, Fate>,
    /// What `submit` says, first of all.
    says: Mutex<Vec<QueueError>>,
    state: Mutex<ClusterState>,
}

#[derive(Default)]
struct ClusterState {
    submissions: Vec<Submission>,
    queue: Vec<(usize, Queued)>,
    seen: BTreeSet<usize>,
    left: BTreeMap<String, Left>,
    number: usize,
    most: usize,
    cancelled: Vec<String>,
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
    fn name(&self) -> &'static str {
        "slurm"
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
                Some(Fate::Waits(reason)) => super::reasons::waits(reason),
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
struct Site {
    folder: tempfile::TempDir,
    cluster: Cluster,
    section: ClusterSection,
    detach: bool,
    policy: Policy,
    cancel: CancelToken,
}

/// What a run told and left.
struct Ran {
    outcomes: Vec<String>,
    errors: Vec<String>,
    notes: Vec<String>,
    started: Vec<String>,
    text: BTreeMap<String, Vec<String>>,
}

#[derive(Default)]
struct Ear(Mutex<Vec<RunEvent>>);

impl Observer for Ear {
    fn event(&self, event: &RunEvent) {
        self.0.lock().unwrap().push(event.clone());
    }
}

impl Site {
    fn new(fates: &[(usize, Fate)]) -> Self {
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
    fn run(&self, store: &str, manifest: &str) -> Ran {
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

    fn submissions(&self) -> Vec<Submission> {
        self.cluster.state.lock().unwrap().submissions.clone()
    }

    fn cancelled(&self) -> usize {
        self.cluster.state.lock().unwrap().cancelled.len()
    }

    /// The files of jobs that are left.
    fn left(&self) -> Vec<PathBuf> {
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
    fn notes_with(&self, text: &str) -> usize {
        self.notes.iter().filter(|note| note.contains(text)).count()
    }
}

const ONE: &str =
    "[stages.words]\nkind = 'words'\ncount = 20\n[stages.one]\nkind = 'think'\ntext = 'words'\n";
const TWO: &str = "[stages.words]\nkind = 'words'\ncount = 20\n[stages.one]\nkind = 'think'\ntext = 'words'\n[stages.two]\nkind = 'think'\ntext = 'one'\nnumber = 2\n";

fn expected() -> Vec<String> {
    (0..20).map(|n| format!("word {n}, thought 0")).collect()
}

#[test]
fn stages_go_out_in_parts_and_come_back_whole() {
    let mut site = Site::new(&[]);
    site.cluster.limits.array = 2;
    let ran = site.run("a", TWO);
    assert_eq!(
        ran.outcomes,
        ["words Ran", "one Ran", "two Ran"],
        "{:?}",
        ran.errors
    );
    assert_eq!(ran.text["one"], expected());
    assert_eq!(ran.text["two"][7], "word 7, thought 0, thought 2");
    assert_eq!(ran.started, ["words", "one", "two"]);
    let elements: Vec<usize> = site
        .submissions()
        .iter()
        .map(|it| it.array.0.len())
        .collect();
    assert_eq!(elements, [2, 1, 2, 1]);
    assert_eq!(site.left(), Vec::<PathBuf>::new());
    // What the remote has is done; another machine submits nothing.
    let again = site.run("b", TWO);
    assert_eq!(again.outcomes, ["words Hit", "one Hit", "two Hit"]);
    assert_eq!(site.submissions().len(), 4);
    // As a whole it is the same.
    let mut whole = Site::new(&[]);
    whole.section.defaults.shards = None;
    let ran = whole.run("a", TWO);
    assert_eq!(ran.text["one"], expected());
    assert_eq!((whole.submissions().len(), whole.left().len()), (2, 0));
}

#[test]
fn what_is_lost_is_tried_again_and_more_memory_is_asked_for_where_there_was_too_little() {
    for (fate, note, memory) in [
        (
            Fate::Vanishes(Some(Left::NodeFailed)),
            "its node failed; it is tried again",
            1024,
        ),
        (
            Fate::Vanishes(None),
            "it ended without a word; it is tried again",
            1024,
        ),
        (
            Fate::Vanishes(Some(Left::TimeOver)),
            "its time was over before it had saved",
            1024,
        ),
        (
            Fate::Dies(143, None),
            "ended by signal 15; it is tried again",
            1024,
        ),
        (
            Fate::Dies(143, Some(Left::Preempted)),
            "another job took its node; it is tried again",
            1024,
        ),
        (
            Fate::Dies(-1, None),
            "it ended without a word; it is tried again",
            1024,
        ),
        (
            Fate::Vanishes(Some(Left::OutOfMemory)),
            "with 2048 MiB of memory in place of 1024",
            2048,
        ),
        (
            Fate::Dies(1, Some(Left::OutOfMemory)),
            "it took more memory than it had asked for; it is tried again with 2048 MiB",
            2048,
        ),
        (
            Fate::Dies(137, None),
            "with 2048 MiB of memory in place of 1024",
            2048,
        ),
    ] {
        let site = Site::new(&[(1, fate)]);
        let ran = site.run("a", ONE);
        assert_eq!(
            ran.outcomes,
            ["words Ran", "one Ran"],
            "{fate:?}: {:?}",
            ran.errors
        );
        assert_eq!(ran.text["one"], expected());
        assert_eq!(ran.notes_with(note), 1, "{fate:?}: {:?}", ran.notes);
        let submissions = site.submissions();
        assert_eq!(submissions[1].array.0.len(), 1, "the other parts are done");
        assert_eq!(submissions[1].class.memory_mib, memory);
        assert_eq!(site.left(), Vec::<PathBuf>::new());
    }
}

#[test]
fn what_would_fail_again_is_not_tried_again() {
    let always: Vec<(usize, Fate)> = (0..9)
        .map(|n| (n, Fate::Vanishes(Some(Left::NodeFailed))))
        .collect();
    for (fates, manifest, error, submissions) in [
        (
            &always[..],
            ONE.to_owned(),
            "was lost, the third of 3 tries: its node failed",
            3,
        ),
        (
            &[(0, Fate::Dies(127, None))],
            ONE.to_owned(),
            "ended with code 127 before it had begun:\none\ntwo",
            1,
        ),
        (&[], format!("{ONE}fails = true"), "it cannot think", 1),
    ] {
        let site = Site::new(fates);
        let ran = site.run("a", &manifest);
        assert_eq!(ran.outcomes, ["words Ran", "one Failed"]);
        assert!(ran.errors[0].contains(error), "{:?}", ran.errors);
        assert_eq!(site.submissions().len(), submissions);
    }
    // Somebody took it out of the queue: that is a wish, whether its program could say so or not.
    for fate in [
        Fate::Vanishes(Some(Left::Cancelled)),
        Fate::Dies(143, Some(Left::Cancelled)),
    ] {
        let site = Site::new(&[(2, fate)]);
        assert_eq!(
            site.run("a", ONE).outcomes,
            ["words Ran", "one Interrupted"]
        );
        assert_eq!(site.run("a", ONE).text["one"], expected());
        let numbers: Vec<usize> = site
            .submissions()
            .iter()
            .map(|it| it.array.0.len())
            .collect();
        assert_eq!(numbers, [3, 1], "what was done stays so");
    }
}

#[test]
fn a_run_that_comes_later_finds_what_is_in_the_queue() {
    let mut site = Site::new(&[(0, Fate::Waits("Priority")), (2, Fate::Waits("Priority"))]);
    site.detach = true;
    let ran = site.run("a", TWO);
    assert_eq!(ran.outcomes, ["words Ran", "one Skipped", "two Skipped"]);
    assert_eq!(
        ran.notes_with("3 jobs of 1 stages are left to the queue"),
        1,
        "{:?}",
        ran.notes
    );
    let again = site.run("a", TWO);
    assert_eq!(again.notes_with("jobs of 1 stages are left"), 1);
    assert_eq!(
        again.notes_with("2 jobs wait: others are before it (Slurm: Priority)"),
        1,
        "{:?}",
        again.notes
    );
    assert_eq!(site.submissions().len(), 1);
    site.detach = false;
    site.cluster.fates.clear();
    for (_, job) in &mut site.cluster.state.lock().unwrap().queue {
        job.waits = None;
    }
    let ran = site.run("a", TWO);
    assert_eq!(
        ran.outcomes,
        ["words Hit", "one Ran", "two Ran"],
        "{:?}",
        ran.errors
    );
    assert_eq!(ran.text["one"], expected());
    assert_eq!(
        site.submissions()
            .iter()
            .map(|it| it.array.0.len())
            .collect::<Vec<_>>(),
        [3, 3]
    );
    assert_eq!(site.left(), Vec::<PathBuf>::new());
}

#[test]
fn no_more_is_submitted_than_may_be() {
    let mut many = "[stages.words]\nkind = 'words'\ncount = 5\n".to_owned();
    for n in 0..7 {
        let stage = format!("[stages.t{n}]\nkind = 'think'\ntext = 'words'\nnumber = {n}\n");
        many.push_str(&stage);
    }
    let mut site = Site::new(&[]);
    site.cluster.limits.submitted = Some(4);
    let ran = site.run("a", &many);
    assert_eq!(
        ran.outcomes.iter().filter(|it| it.ends_with("Ran")).count(),
        8,
        "{:?}",
        ran.errors
    );
    assert!(site.cluster.state.lock().unwrap().most <= 4);
    // A limit that only shows when it is met, a controller that is away for a while: it waits.
    let site = Site::new(&[]);
    *site.cluster.says.lock().unwrap() = vec![
        QueueError::Away("no controller".into()),
        QueueError::Full("a limit".into()),
    ];
    let ran = site.run("a", ONE);
    assert_eq!(ran.outcomes, ["words Ran", "one Ran"]);
    assert_eq!(
        (ran.notes_with("a limit"), ran.notes_with("no controller")),
        (1, 1)
    );
    // What it will never do is the stage's failure.
    let site = Site::new(&[]);
    *site.cluster.says.lock().unwrap() = vec![QueueError::Refused("Invalid account".into())];
    let ran = site.run("a", ONE);
    assert_eq!(ran.outcomes, ["words Ran", "one Failed"]);
    assert!(
        ran.errors[0].contains("Invalid account\nhint: it asked for 1 GiB"),
        "{:?}",
        ran.errors
    );
}

#[test]
fn a_run_that_stops_leaves_nothing_behind() {
    // In its first stage, and in its second, when the first is done.
    for (waits, outcomes) in [
        (1, ["words Ran", "one Interrupted", "two Skipped"]),
        (4, ["words Ran", "one Ran", "two Interrupted"]),
    ] {
        let site = Site::new(&[(waits, Fate::Waits("Resources"))]);
        let ran = std::thread::scope(|scope| {
            let running = scope.spawn(|| site.run("a", TWO));
            while !site.cluster.state.lock().unwrap().seen.contains(&waits) {
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            site.cancel.cancel();
            running.join().unwrap()
        });
        assert_eq!(ran.outcomes, outcomes);
        assert!(site.cancelled() >= 1);
        assert!(site.cluster.state.lock().unwrap().queue.is_empty());
        assert_eq!(site.left(), Vec::<PathBuf>::new());
    }
}

#[test]
fn a_failure_ends_what_waits_where_nothing_more_is_to_be_begun() {
    let manifest = format!("{TWO}[stages.bad]\nkind = 'think'\ntext = 'words'\nfails = true\n");
    let mut site = Site::new(&[(0, Fate::Waits("Resources"))]);
    site.section.defaults.shards = None;
    site.policy = Policy::FailFast;
    let ran = site.run("a", &manifest);
    assert_eq!(
        ran.outcomes,
        ["words Ran", "one Skipped", "two Skipped", "bad Failed"]
    );
    assert_eq!(site.cancelled(), 1);
}

#[test]
fn what_another_run_looks_after_is_waited_for() {
    let site = Site::new(&[]);
    // A run that has claimed the stage, as one would that is at it.
    let key = {
        let mut probe = Site::new(&[
            (0, Fate::Waits("x")),
            (1, Fate::Waits("x")),
            (2, Fate::Waits("x")),
        ]);
        probe.detach = true;
        probe.run("a", ONE);
        probe.submissions().remove(0).array.0[0].key
    };
    let other = Coordinator::new(&site.cluster.jobs).unwrap();
    let folder = JobFolder::of(&site.cluster.jobs, &key);
    assert_eq!(other.claim(&folder).unwrap(), Ok(()));
    let ran = std::thread::scope(|scope| {
        let running = scope.spawn(|| site.run("a", ONE));
        std::thread::sleep(std::time::Duration::from_secs(2));
        assert_eq!(site.submissions().len(), 0);
        other.close();
        running.join().unwrap()
    });
    assert_eq!(ran.outcomes, ["words Ran", "one Ran"]);
    assert_eq!(
        ran.notes_with("looks after this stage; waiting"),
        1,
        "{:?}",
        ran.notes
    );
}

#[test]
fn an_input_that_is_gone_is_made_again() {
    let mut site = Site::new(&[(0, Fate::Waits("x"))]);
    site.section.defaults.shards = None;
    site.detach = true;
    site.run("a", ONE);
    // The remote loses what the job is to read; here it is sound.
    let lost = site.folder.path().join("remote/objects-v1");
    std::fs::remove_dir_all(&lost).unwrap();
    site.detach = false;
    site.cluster.fates.clear();
    site.cluster.state.lock().unwrap().queue[0].1.waits = None;
    let ran = site.run("a", ONE);
    assert_eq!(ran.outcomes, ["words Hit", "one Ran"], "{:?}", ran.errors);
    assert_eq!(ran.text["one"], expected());
}
