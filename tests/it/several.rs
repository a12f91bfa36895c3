//! Several answers to each question, from drawing to the table.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::harness::{Bench, TINY};

const SEVERAL: &str = r#"
[stages.drawn]
kind = "predict"
model = "student"
n = 2
temperature = 1.0
top_k = 10
max_new_tokens = 24

[stages.one]
kind = "predict"
model = "student"
temperature = 1.0
top_k = 10
max_new_tokens = 24

[stages.parted]
kind = "predict"
model = "student"
n = 3
branching = "first-token"
max_new_tokens = 24

[stages.said]
kind = "answers-as-paths"
predictions = "parted"

[stages.sure]
kind = "score"
measure = "answer-margin"
paths = "said"
questions = "data.test"

[stages.drawn-measured]
kind = "eval"
predictions = "drawn"

[stages.one-measured]
kind = "eval"
predictions = "one"
calibration = true

[stages.parted-measured]
kind = "eval"
predictions = "parted"
scored = "sure"
best_by = "answer_margin"

[tables.several]
metrics = ["acc", "maj@n", "pass@2", "best@n", "margin-vote@n", "brier", "brier@n"]
rows = [
    { label = "one", eval = "one-measured" },
    { label = "drawn", eval = "drawn-measured" },
    { label = "parted", eval = "parted-measured" },
]
baseline = "one"
reported = { source = "nobody", values = [{ row = "drawn", "pass@2" = 50.0 }] }
"#;

fn rows(bench: &Bench, stage: &str) -> Vec<Value> {
    let shown = bench.run(&["show", "m.toml", stage, "--json"]).ok();
    let lines = shown.stdout.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Output, tokens and log-probabilities by question and draw.
fn by_draw(rows: &[Value]) -> BTreeMap<(String, u64), [Value; 3]> {
    let of = |row: &Value| {
        let id = row["question_id"].as_str().unwrap().to_owned();
        let draw = row["draw"].as_u64().unwrap_or(0);
        let parts = ["output", "tokens", "log_prob"].map(|part| row[part].clone());
        ((id, draw), parts)
    };
    rows.iter().map(of).collect()
}

/// How many rows of answers the store holds.
fn kept(bench: &Bench) -> u64 {
    let stats = bench.run(&["cache", "stats"]).ok().stdout;
    let line = stats.lines().find(|line| line.ends_with("  answers"));
    let count = line.and_then(|line| line.split_whitespace().nth(1));
    count.unwrap_or_else(|| panic!("{stats}")).parse().unwrap()
}

#[test]
fn more_answers_leave_the_first_ones() {
    let bench = Bench::new(&format!("{TINY}{SEVERAL}"));
    bench.run_manifest(&["--stage", "drawn"]).ok();
    let two = by_draw(&rows(&bench, "drawn"));
    assert_eq!((two.len(), kept(&bench)), (16, 16));
    let more = ["--stage", "drawn", "--set", "stages.drawn.n=4"];
    bench.run_manifest(&more).ok();
    assert_eq!(kept(&bench), 32, "two to each question are new");
    let shown = bench
        .run(&[
            "show",
            "m.toml",
            "drawn",
            "--json",
            "--set",
            "stages.drawn.n=4",
        ])
        .ok();
    let four: Vec<Value> = (shown.stdout.lines())
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let four = by_draw(&four);
    assert_eq!(four.len(), 32);
    for (id, answer) in &two {
        assert_eq!(&four[id], answer);
    }
    let outputs: std::collections::BTreeSet<String> = four
        .values()
        .map(|[output, ..]| output.to_string())
        .collect();
    assert!(outputs.len() > 8, "they are drawn: {outputs:?}");
    // The first is the answer that is given alone, which is kept without log-probabilities.
    bench.run_manifest(&["--stage", "one"]).ok();
    for (id, [output, tokens, log_prob]) in by_draw(&rows(&bench, "one")) {
        assert_eq!((&output, &tokens), (&two[&id][0], &two[&id][1]));
        assert!(log_prob.is_null() && two[&id][2]["sum"].as_f64().unwrap() < 0.0);
    }
}

#[test]
fn several_answers_are_measured_and_shown() {
    let bench = Bench::new(&format!("{TINY}{SEVERAL}"));
    bench.run_manifest(&[]).ok();
    let parted = rows(&bench, "parted");
    assert_eq!(parted.len(), 24);
    // Greedy from three first tokens: three texts that begin otherwise.
    for answers in parted.chunks(3) {
        let first: Vec<&Value> = answers.iter().map(|answer| &answer["tokens"][0]).collect();
        assert!(
            first[0] != first[1] && first[1] != first[2] && first[0] != first[2],
            "{first:?}"
        );
    }
    for path in rows(&bench, "sure") {
        match path["scores"]["answer_margin"].as_f64() {
            Some(margin) => assert!((0.0..=1.0).contains(&margin), "{path}"),
            None => assert_eq!(path["unparsed"][0], "answer_margin", "{path}"),
        }
    }
    let shown = bench.run(&["show", "m.toml", "drawn-measured"]).ok().stdout;
    for column in ["avg@n", "maj@n", "pass@1", "pass@2", "best@n", "Brier@n"] {
        assert!(shown.contains(column), "{column}:\n{shown}");
    }
    let alone = bench.run(&["show", "m.toml", "one-measured"]).ok().stdout;
    assert!(alone.contains("Brier") && !alone.contains('@'), "{alone}");
    let table = bench.run(&["table", "m.toml", "several"]).ok().stdout;
    for part in [
        "maj@n",
        "margin vote@n",
        "Answers to each question: 1 of one; 2 of drawn; 3 of parted.",
        "pass@2 needs 2 answers to each question, and there are 1",
    ] {
        assert!(table.contains(part), "{part}:\n{table}");
    }
}

#[test]
fn what_cannot_be_is_refused_before_a_run() {
    for (line, told) in [
        (
            "n = 2\ntemperature = 0.0",
            "2 greedy answers to a question are all the same",
        ),
        ("n = 0", "n"),
        ("n = 1001", "n"),
    ] {
        let manifest = format!("{TINY}\n[stages.drawn]\nkind = \"predict\"\n{line}\n");
        let run = Bench::new(&manifest).run(&["plan", "m.toml"]);
        assert_eq!(run.code, Some(2), "{line}: {}", run.stderr);
        assert!(run.stderr.contains(told), "{line}: {}", run.stderr);
    }
    let manifest = format!(
        "{TINY}\n[stages.best]\nkind = \"eval\"\npredictions = \"answers\"\nbest_by = \"judge\"\n"
    );
    let run = Bench::new(&manifest).run(&["plan", "m.toml"]);
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    assert!(
        run.stderr.contains("could carry the score `judge`"),
        "{}",
        run.stderr
    );
    for name in ["pass@0", "pass@01", "pass@k"] {
        let manifest = format!(
            "{TINY}\n[tables.more]\nmetrics = [\"{name}\"]\nrows = [{{ label = \"a\", eval = \"measured\" }}]\n"
        );
        let run = Bench::new(&manifest).run(&["plan", "m.toml"]);
        assert_eq!(run.code, Some(2), "{name}: {}", run.stderr);
    }
}
