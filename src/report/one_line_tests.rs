//! A metric and a filter step that only tests have, each a file and a line in its list, are everywhere: in the schema,
//! in manifests, evaluations, funnels, tables and figures.

use std::fmt::Write as _;

use super::table::{Format, build_all};
use super::{Missing, Source, Width, artifact_text, fill_figures, funnels};
use crate::artifact::{Artifact, ArtifactKind};
use crate::event::{CancelToken, Silent};
use crate::fetch::{FetchOptions, Fetcher};
use crate::filter::{Funnel, STEPS};
use crate::manifest::{self, Changes};
use crate::metric::{Evaluation, Metric};
use crate::plan::Plan;
use crate::run::{Here, Policy, execute};
use crate::stage::{Environment, KINDS, RunOptions};
use crate::store::Store;

const MANIFEST: &str = r#"
title = "one line"
[sweep.grid]
"stages.kept.test_word.word" = ["tree", "moss"]
[data]
dataset = "jsonl"
train_path = "train.jsonl"
test_path = "test.jsonl"
[stages.paths]
kind = "import-paths"
path = "paths.jsonl"
[stages.kept]
kind = "filter"
paths = "paths"
steps = ["test-word", { step = "test-word", word = "seven" }, { step = "select", rule = "random", keep = 2 }]
[stages.answers]
kind = "import-predictions"
path = "answers.jsonl"
[stages.measured]
kind = "eval"
predictions = "answers"
[tables.t]
metrics = ["acc", "exclamations"]
rows = [{ label = "arm", eval = "measured" }]
baselines = []
reported = { source = "a paper", values = [{ row = "arm", exclamations = 1 }] }
[figures.curve]
kind = "curve"
measure = "exclamations"
x = "stages.kept.test_word.word"
rows = [{ label = "arm", eval = "measured" }]
[figures.funnel]
kind = "funnel"
filter = "kept"
at = { "stages.kept.test_word.word" = "moss" }
"#;

#[test]
fn a_metric_and_a_step_take_a_file_and_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let lines = |name: &str, n: usize, line: &dyn Fn(usize) -> String| {
        let text: String = (0..n).map(|i| line(i) + "\n").collect();
        std::fs::write(folder.path().join(name), text).unwrap();
    };
    let question = |i: usize| format!(r#"{{"id":"q{i}","question":"Is it {i}?","answer":"yes"}}"#);
    lines("train.jsonl", 3, &question);
    lines("test.jsonl", 4, &|i| question(i + 3));
    let words = ["tree", "moss", "seven", "ash", "oak", "elm"];
    lines("paths.jsonl", 6, &|i| {
        format!(
            r#"{{"question_id":"q{}","text":"It is {}."}}"#,
            i / 3,
            words[i]
        )
    });
    let said = ["Yes!", "Yes!!", "Yes.", "No!!!"];
    lines("answers.jsonl", 4, &|i| {
        format!(
            r#"{{"question_id":"q{}","prompt":"","output":"{}"}}"#,
            i + 3,
            said[i]
        )
    });
    let path = folder.path().join("m.toml");
    std::fs::write(&path, MANIFEST).unwrap();
    let manifest = manifest::load(&path, &Changes::default(), KINDS)
        .unwrap_or_else(|errors| panic!("{}", errors.render(false)));
    let plan = Plan::new(&manifest).unwrap();
    let cache = folder.path().join("cache");
    let store = Store::open(&cache).unwrap();
    let fetcher = Fetcher::new(FetchOptions {
        offline: true,
        ..FetchOptions::from_env(&cache)
    });
    let (options, cancel) = (RunOptions::default(), CancelToken::default());
    let environment = Environment {
        options: &options,
        folder: folder.path(),
        store: &store,
        fetcher: &fetcher,
        observer: &Silent,
        cancel: &cancel,
        planning: false,
        shard: None,
    };
    let here = Here(environment);
    let execution = execute(&plan, plan.order(), &[&here], Policy::default(), &cancel);
    for stage in &execution.stages {
        assert!(stage.error.is_none(), "{:?}", stage.error);
    }
    let source = Source {
        manifest: &manifest,
        plan: &plan,
        store: &store,
        outputs: &|node| execution.outputs(node).cloned(),
        missing: &|_| Missing::NotMade(String::new()),
    };

    let schema = manifest::schema_text(KINDS);
    for word in [
        r#""const": "exclamations""#,
        r#""const": "test-word""#,
        r#""test_word""#,
    ] {
        assert!(schema.contains(word), "{word}");
    }

    let node = plan.find("measured").unwrap();
    let (_, evaluation) = source
        .artifact::<Evaluation>(node, "evaluation")
        .unwrap()
        .unwrap();
    let metric = Metric::named("exclamations").unwrap();
    let figure = metric.of(&evaluation).unwrap();
    assert_eq!((figure.value.to_string().as_str(), figure.n), ("2", 3));
    let shown = artifact_text(
        ArtifactKind::Evaluation,
        &evaluation.encode(),
        0,
        None,
        Width::FREE,
    )
    .unwrap();
    assert!(
        shown.contains("Excl") && shown.contains("2.00 ["),
        "{shown}"
    );
    let mut tables = build_all(&source, &manifest.tables);
    assert!(tables.failures.is_empty(), "{:?}", tables.failures);
    let table = tables.tables.remove(0).render(Format::Text, Width::FREE);
    for part in ["Excl", "2.0 [", "3 of 4 answers exclaim; Excl is of these."] {
        assert!(table.contains(part), "{part}:\n{table}");
    }
    let recipe = store
        .result(&execution.finished(node).unwrap().key.unwrap())
        .unwrap();
    let recipe = serde_json::to_string(&recipe.unwrap().recipe).unwrap();
    assert!(
        recipe.contains(r#""measured":["exclamations"]"#),
        "{recipe}"
    );

    // Tree, or moss; then seven; then two of each question.
    let mut told = String::new();
    for &node in plan.order() {
        if plan.node(node).kind.name() == "filter" {
            let (_, funnel) = source.artifact::<Funnel>(node, "funnel").unwrap().unwrap();
            for step in funnel.steps {
                let _ = write!(told, "{} {}; ", step.name, step.dropped);
            }
        }
    }
    let each = "test-word 1; test-word 2 1; select 1; ";
    assert_eq!(told, each.repeat(2));
    let funnels = funnels(&source, plan.order(), Width::FREE)
        .unwrap()
        .concat();
    assert!(funnels.contains("test-word 2"), "{funnels}");
    let drawn = fill_figures(&source, &manifest.figures);
    assert!(drawn.failures.is_empty(), "{:?}", drawn.failures);
    let svgs: Vec<String> = drawn.figures.iter().map(|each| each.figure.svg()).collect();
    assert!(svgs[0].contains("Excl (marks)"), "{}", svgs[0]);
    assert!(svgs[1].contains("test-word 2"), "{}", svgs[1]);

    assert_eq!(STEPS.last().unwrap().name, "test-word");
}
