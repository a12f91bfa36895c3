//! The teacher's row of the paper's Table II, computed from its published completions. Needs ../shared.

use serde_json::Value;

use crate::harness::Bench;
use crate::needs::shared;

const MANIFEST: &str = r#"
title = "GPT-3.5"
reading = "paper"

[data]
dataset = "strategyqa"

[stages.teacher-test]
kind = "predict-recorded"
recording = "strategyqa-text-davinci-002"

[stages.teacher-all]
kind = "predict-recorded"
recording = "strategyqa-text-davinci-002"
questions = "data.all"

[stages.eval-test]
kind = "eval"
predictions = "teacher-test"

[stages.eval-all]
kind = "eval"
predictions = "teacher-all"
questions = "data.all"

[tables.teacher]
rows = [
    { label = "test", eval = "eval-test" },
    { label = "all", eval = "eval-all" },
]
"#;

/// The paper's 53.45, 76.77 and 0.36: accuracy over all questions, length and repetition over the test split.
#[test]
fn the_papers_teacher_comes_out_of_its_completions() {
    let Some(mirror) = shared("mirror") else {
        return;
    };
    let bench = Bench::new(MANIFEST);
    let mirror = mirror.to_str().unwrap();
    let run = bench.run(&["m.toml", "--mirror", mirror]).ok();
    assert!(run.stdout.contains("53.4"), "{}", run.stdout);
    let rows = |stage: &str| -> Vec<Value> {
        let shown = bench
            .run(&["show", "m.toml", stage, "--json", "--mirror", mirror])
            .ok();
        shown
            .stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    let evaluation = |stage: &str| rows(stage).remove(0);
    let (test, all) = (evaluation("eval-test"), evaluation("eval-all"));
    let value = |evaluation: &Value, field: &str| evaluation[field]["value"].as_f64().unwrap();
    let count = |evaluation: &Value, test: &dyn Fn(&Value) -> bool| {
        let outcomes = evaluation["outcomes"].as_array().unwrap();
        outcomes.iter().filter(|outcome| test(outcome)).count()
    };
    let right = |outcome: &Value| outcome["correct"] == true;
    let unparsed = |outcome: &Value| outcome["parsed"].is_null();
    assert_eq!(count(&all, &|_| true), 2290);
    assert_eq!(count(&all, &right), 1224);
    assert_eq!(count(&all, &unparsed), 403);
    assert_eq!(count(&test, &|_| true), 687);
    assert_eq!(count(&test, &right), 368);
    assert!((value(&all, "accuracy") - 1224.0 / 2290.0).abs() < 1e-12);
    assert!((value(&test, "len") - 76.7715).abs() < 5e-5);
    assert!((value(&test, "rep") - 0.3646).abs() < 5e-5);
    let cut = rows("teacher-all")
        .iter()
        .filter(|row| row["end"] == "length")
        .count();
    assert_eq!(cut, 647);
    assert!(
        run.stderr
            .contains("647 of 2290 recorded paths were cut by length"),
        "{}",
        run.stderr
    );
}

/// A recording that lacks questions is no answer to them.
#[test]
fn a_recording_that_lacks_questions_says_how_many() {
    let bench = Bench::new(
        &MANIFEST
            .replace(
                "dataset = \"strategyqa\"",
                "dataset = \"jsonl\"\ntrain_path = \"train.jsonl\"\ntest_path = \"test.jsonl\"",
            )
            .replace(
                "recording = \"strategyqa-text-davinci-002\"",
                "recording = \"jsonl\"\npath = \"teacher.jsonl\"",
            ),
    );
    let question = |id: &str| format!(r#"{{"id":"{id}","question":"Is it {id}?","answer":"yes"}}"#);
    bench.write("train.jsonl", question("t"));
    bench.write("test.jsonl", ["a", "b", "c"].map(question).join("\n"));
    let answer = |id: &str| format!(r#"{{"id":"{id}","rationale":"So.","answer_text":"yes"}}"#);
    bench.write("teacher.jsonl", ["a", "c", "t"].map(answer).join("\n"));
    let run = bench.run(&["m.toml"]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(
        run.stderr.contains("lacks 1 of 3 questions (first: `b`)"),
        "{}",
        run.stderr
    );
}
