//! Answers read by the program: predictions and teachers from elsewhere, under either reading.

use serde_json::{Value, json};

use crate::harness::Bench;

const DATA: &str = r#"
title = "answers"

[data]
dataset = "jsonl"
train_path = "train.jsonl"
test_path = "test.jsonl"
"#;

const MEASURED: &str = r#"
[stages.there]
kind = "import-predictions"
path = "there.jsonl"

[stages.measured]
kind = "eval"
predictions = "there"
bootstrap_resamples = 200

[tables.results]
rows = [{ label = "there", eval = "measured" }]
"#;

fn lines(rows: &[Value]) -> String {
    let rows: Vec<String> = rows.iter().map(Value::to_string).collect();
    rows.join("\n")
}

/// A folder in which outputs are measured against gold answers.
fn bench(manifest: &str, pairs: &[(&str, &str)]) -> Bench {
    let bench = Bench::new(manifest);
    let question = |split: &str, place: usize, gold: &str| json!({ "id": format!("{split}{place}"), "question": format!("{split} {place}?"), "answer": gold });
    let rows = |split: &str| -> Vec<Value> {
        let numbered = pairs.iter().enumerate();
        numbered
            .map(|(place, (gold, _))| question(split, place, gold))
            .collect()
    };
    bench.write("train.jsonl", lines(&rows("train")));
    bench.write("test.jsonl", lines(&rows("test")));
    let predictions: Vec<Value> = pairs
        .iter()
        .enumerate()
        .map(|(place, (_, output))| {
            json!({ "question_id": format!("test{place}"), "prompt": "", "output": output })
        })
        .collect();
    bench.write("there.jsonl", lines(&predictions));
    bench
}

/// What was read of each output, and whether it is right.
fn outcomes(bench: &Bench, set: &[&str]) -> Vec<(Option<String>, bool)> {
    let mut arguments = vec!["show", "m.toml", "measured", "--json"];
    arguments.extend(set);
    let shown = bench.run(&arguments).ok().stdout;
    let evaluation: Value = serde_json::from_str(shown.lines().next().unwrap()).unwrap();
    let outcome = |each: &Value| {
        let parsed = each["parsed"].as_str().map(str::to_owned);
        (parsed, each["correct"] == true)
    };
    evaluation["outcomes"]
        .as_array()
        .unwrap()
        .iter()
        .map(outcome)
        .collect()
}

#[test]
fn the_declared_reading_reads_imported_answers() {
    let pairs = [
        ("yes", "**Yes**"),
        ("no", "The answer is not yes."),
        ("no", "So the answer is no."),
    ];
    let bench = bench(&format!("{DATA}{MEASURED}"), &pairs);
    bench.run(&["m.toml"]).ok();
    let yes = || Some("yes".to_owned());
    let no = || Some("no".to_owned());
    assert_eq!(
        outcomes(&bench, &[]),
        [(yes(), true), (None, false), (no(), true)]
    );
    let paper = ["--set", "reading=paper"];
    let run = bench
        .run(&["m.toml", "--set", "reading=paper", "--progress", "json"])
        .ok();
    // Only what reads answers runs again.
    assert_eq!(run.ran(), ["measured"]);
    assert_eq!(
        outcomes(&bench, &paper),
        [(None, false), (yes(), false), (no(), true)]
    );
}

#[test]
fn outputs_of_which_nothing_can_be_read_are_told_with_an_example() {
    let pairs = [("yes", "Bees fly."), ("no", "Who knows?")];
    let bench = bench(&format!("{DATA}{MEASURED}"), &pairs);
    let run = bench.run(&["m.toml", "--progress", "json"]).ok();
    let warned: Vec<String> = run
        .events()
        .filter(|event| event["level"] == "warning")
        .map(|event| event["message"].as_str().unwrap().to_owned())
        .collect();
    assert!(
        warned
            .iter()
            .any(|text| text.contains("of none of 2 outputs")
                && text.contains("\"Bees fly.\"")
                && text.contains("reading = \"standard\"")),
        "{warned:?}"
    );
}

#[test]
fn a_teacher_of_whom_nothing_can_be_read_is_told_with_an_example() {
    let teacher =
        "\n[stages.teacher]\nkind = \"teach\"\nrecording = \"jsonl\"\npath = \"teacher.jsonl\"\n";
    let bench = bench(&format!("{DATA}{teacher}"), &[("yes", ""), ("no", "")]);
    let recorded = |answers: [&str; 2]| {
        let rows = ["train0", "train1"].into_iter().zip(answers);
        let rows: Vec<Value> = rows
            .map(|(id, answer)| json!({ "id": id, "rationale": " It has wings.", "answer_text": answer }))
            .collect();
        bench.write("teacher.jsonl", lines(&rows));
        let run = bench
            .run(&["m.toml", "--stage", "teacher", "--progress", "json"])
            .ok();
        run.events()
            .filter(|event| event["level"] == "warning")
            .map(|event| event["message"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        recorded(["**Yes**, they do.", "<answer>no</answer>"]),
        Vec::<String>::new()
    );
    let warned = recorded(["Certainly!", "Hardly."]);
    let [warning] = &warned[..] else {
        panic!("{warned:?}")
    };
    assert!(
        warning.contains("of 2 of 2 teacher paths no answer can be read")
            && warning.contains("`train0`: \"Certainly!\"")
            && warning.contains("hint:"),
        "{warning}"
    );
}

#[test]
fn a_gold_answer_that_is_none_is_refused_with_its_line() {
    for (form, gold, wanted) in [
        ("text", "...", "nothing is left to compare"),
        ("number", "10-12", "`10-12` is not a number"),
        ("yes-no", "maybe", "`maybe` is not yes or no"),
    ] {
        let manifest = format!("{DATA}answer_form = \"{form}\"\n{MEASURED}");
        let bench = bench(&manifest, &[(gold, "x")]);
        let run = bench.run(&["m.toml"]);
        assert_eq!(run.code, Some(1), "{}", run.stderr);
        assert!(
            run.stderr.contains(wanted) && run.stderr.contains("train.jsonl:1"),
            "{}",
            run.stderr
        );
    }
}
