//! The scheduler and the guard, with kinds that do nothing but fail in their own ways.

use std::fmt::Write as _;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Execution, Here, Policy, Worker, execute};
use crate::artifact::ArtifactKind;
use crate::event::{CancelToken, Observer, RunEvent, StageOutcome};
use crate::fetch::{FetchOptions, Fetcher};
use crate::manifest::{self, Changes};
use crate::plan::Plan;
use crate::stage::{
    Context, Environment, Output, Outputs, Port, RunOptions, Stage, StageError, StageKind, Typed,
};
use crate::store::Store;

static KINDS: &[&dyn Stage] = &[&Typed::<Work>::new()];

/// How a stage goes.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct WorkParams {
    /// A panic here.
    panics: bool,
    /// A panic in a thread.
    thread_panics: bool,
    /// An error.
    fails: bool,
    /// Tells stages apart.
    number: u32,
}

struct Work;

impl StageKind for Work {
    type Params = WorkParams;
    const NAME: &'static str = "work";
    const VERSION: u32 = 1;
    const DOC: &'static str = "Works, or not.";
    const INPUTS: &'static [Port] =
        &[Port::required("after", ArtifactKind::Text, "What comes before.").optional()];
    const OUTPUTS: &'static [Output] = &[Output::new("text", ArtifactKind::Text, "Nothing much.")];

    fn run(params: &WorkParams, context: &Context<'_>) -> Result<Outputs, StageError> {
        if params.panics {
            let none: Vec<u32> = Vec::new();
            let _ = none[params.number as usize];
        }
        if params.thread_panics {
            std::thread::scope(|scope| {
                scope.spawn(|| panic!("in a thread, {}", params.number));
            });
        }
        if params.fails {
            return Err(StageError::Invalid("it fails".to_owned()));
        }
        let text = vec![format!("{} {}", context.stage, params.number)];
        Ok(Outputs::from([("text".to_owned(), context.keep(&text)?)]))
    }
}

/// Runs a manifest with so many workers; the outcomes by stage, in the order in which stages ended.
fn run(text: &str, policy: Policy, workers: usize) -> (Plan, Execution, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.toml");
    std::fs::write(&path, text).unwrap();
    let manifest = manifest::load(&path, &Changes::default(), KINDS).unwrap();
    let plan = Plan::new(&manifest).unwrap();
    let cache = folder.path().join("cache");
    let store = Store::open(&cache).unwrap();
    let fetcher = Fetcher::new(FetchOptions {
        offline: true,
        ..FetchOptions::from_env(&cache)
    });
    let (options, cancel, ended) = (
        RunOptions::default(),
        CancelToken::default(),
        Ended::default(),
    );
    let environment = Environment {
        options: &options,
        folder: folder.path(),
        store: &store,
        fetcher: &fetcher,
        observer: &ended,
        cancel: &cancel,
        planning: false,
        shard: None,
    };
    let here = Here(environment);
    let workers: Vec<&dyn Worker> = vec![&here; workers];
    let execution = execute(&plan, plan.order(), &workers, policy, &cancel);
    (plan, execution, ended.0.into_inner().unwrap())
}

/// Notes how stages end.
#[derive(Default)]
struct Ended(Mutex<Vec<String>>);

impl Observer for Ended {
    fn event(&self, event: &RunEvent) {
        if let RunEvent::StageFinished { stage, outcome, .. } = event {
            self.0.lock().unwrap().push(format!("{stage} {outcome:?}"));
        }
    }
}

const FAILURES: &str = r#"
[stages.first]
kind = "work"
[stages.bad]
kind = "work"
panics = true
after = "first"
[stages.worse]
kind = "work"
thread_panics = true
number = 7
[stages.behind]
kind = "work"
after = "bad"
[stages.last]
kind = "work"
after = "first"
number = 3
"#;

#[test]
fn a_panic_is_the_failure_of_its_stage_and_others_run() {
    for workers in [1, 3] {
        let (plan, execution, mut ended) = run(FAILURES, Policy::KeepGoing, workers);
        ended.sort();
        assert_eq!(
            ended,
            [
                "bad Failed",
                "behind Skipped",
                "first Ran",
                "last Ran",
                "worse Failed"
            ]
        );
        let says = |name: &str| {
            let finished = execution.finished(plan.find(name).unwrap()).unwrap();
            finished.error.as_ref().unwrap().to_string()
        };
        let bad = says("bad");
        assert!(
            bad.contains("index out of bounds: the len is 0 but the index is 0"),
            "{bad}"
        );
        assert!(
            bad.contains("run/tests.rs:") && bad.contains("hint: please report"),
            "{bad}"
        );
        if workers == 1 {
            let worse = says("worse");
            assert!(worse.contains("in a thread, 7 (src"), "{worse}");
        }
    }
}

#[test]
fn with_one_worker_stages_end_in_their_order() {
    let (_, _, ended) = run(FAILURES, Policy::KeepGoing, 1);
    let expected = "first Ran, bad Failed, worse Failed, behind Skipped, last Ran";
    assert_eq!(ended.join(", "), expected);
    let (_, execution, ended) = run(FAILURES, Policy::FailFast, 1);
    let expected = "first Ran, bad Failed, worse Skipped, behind Skipped, last Skipped";
    assert_eq!(ended.join(", "), expected);
    assert_eq!(execution.count(StageOutcome::Skipped), 3);
}

/// Stages in the worst order: each is declared before the one that it reads from.
fn backwards(count: usize) -> String {
    let mut text = String::new();
    for place in (1..count).rev() {
        let _ = write!(
            text,
            "[stages.s{place}]\nkind = \"work\"\nnumber = {place}\nafter = \"s{}\"\n",
            place - 1
        );
    }
    text + "[stages.s0]\nkind = \"work\"\n"
}

/// What takes the square of the number of stages takes minutes here.
#[test]
fn thousands_of_stages_are_checked_and_planned_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.toml");
    let began = Instant::now();
    std::fs::write(&path, backwards(20_000)).unwrap();
    let manifest = manifest::load(&path, &Changes::default(), KINDS).unwrap();
    let plan = Plan::new(&manifest).unwrap();
    assert_eq!(plan.order().len(), 20_000);
    let target = ["s19999".to_owned()];
    assert_eq!(plan.needed(&target).unwrap().len(), 20_000);
    let first = plan.node(plan.order()[0]).name();
    assert_eq!(first, "s0");

    // As many mistakes: a hundred are told, and how many more there are.
    let wrong = backwards(20_000).replace("after = \"s", "after = \"t");
    std::fs::write(&path, wrong.replace("number", "nummer")).unwrap();
    let errors = manifest::load(&path, &Changes::default(), KINDS).unwrap_err();
    assert_eq!(errors.errors.len(), 39_998);
    let told = errors.to_string();
    assert!(told.ends_with("39898 more mistakes are not listed"));
    assert_eq!(told.matches("did you mean `number`?").count(), 50);
    assert_eq!(told.matches("error: ").count(), 100);
    assert!(
        began.elapsed() < Duration::from_mins(1),
        "{:?}",
        began.elapsed()
    );
}

/// The same while they run: all are skipped, so that only the scheduler works.
#[test]
fn thousands_of_stages_are_carried_out_at_once() {
    let text = backwards(20_000).replace("[stages.s0]\n", "[stages.s0]\nfails = true\n");
    let began = Instant::now();
    let (_, execution, _) = run(&text, Policy::KeepGoing, 2);
    assert_eq!(execution.count(StageOutcome::Skipped), 19_999);
    assert!(
        began.elapsed() < Duration::from_mins(1),
        "{:?}",
        began.elapsed()
    );
}
