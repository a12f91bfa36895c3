//! Several answers to each question, from drawing to the table.

use std::collections::BTreeMap;

use serde_json::{Value, json};

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

[stages.written]
kind = "import-predictions"
path = "written.jsonl"

[stages.said]
kind = "answers-as-paths"
predictions = "written"

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

[stages.written-measured]
kind = "eval"
predictions = "written"
scored = "sure"
best_by = "answer_margin"

[tables.several]
metrics = ["acc", "maj@n", "pass@2", "best@n", "margin-vote@n", "brier", "brier@n"]
rows = [
    { label = "one", eval = "one-measured" },
    { label = "drawn", eval = "drawn-measured" },
    { label = "written", eval = "written-measured" },
]
baseline = "one"
reported = { source = "nobody", values = [{ row = "drawn", "pass@2" = 50.0 }] }
"#;

/// A bench whose answers of others are three to each test question: `yes`, `no`, `yes`.
fn bench() -> Bench {
    let bench = Bench::new(TINY);
    bench.run_manifest(&["--stage", "data"]).ok();
    let mut written = String::new();
    for question in rows(&bench, "data.test") {
        for (draw, said) in ["yes", "no", "yes"].into_iter().enumerate() {
            let answer = json!({
                "question_id": question["id"],
                "draw": draw,
                "prompt": "",
                "output": format!(" It is said. So the answer is {said}."),
            });
            written.extend([answer.to_string(), "\n".to_owned()]);
        }
    }
    bench.write("written.jsonl", written);
    bench.write("m.toml", format!("{TINY}{SEVERAL}"));
    bench
}

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
    let bench = bench();
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
    let bench = bench();
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
    // The first and the third answer are one, so they are as sure, and together surer than the other half as sure.
    let sure = rows(&bench, "sure");
    assert_eq!(sure.len(), 24);
    let measured = rows(&bench, "written-measured").remove(0);
    let (mut best, mut voted) = (0.0, 0.0);
    for answers in sure.chunks(3) {
        let margin = |i: usize| answers[i]["scores"]["answer_margin"].as_f64().unwrap();
        let [yes, no, again] = [0, 1, 2].map(margin);
        assert!((0.0..=1.0).contains(&yes) && (0.0..=1.0).contains(&no));
        assert_eq!(yes.to_bits(), again.to_bits());
        let outcomes = measured["outcomes"].as_array().unwrap().iter();
        let of_question =
            outcomes.filter(|outcome| outcome["question_id"] == answers[0]["question_id"]);
        let right: Vec<bool> = of_question
            .map(|outcome| outcome["correct"] == true)
            .collect();
        best += f64::from(u8::from(right[usize::from(no > yes)]));
        voted += f64::from(u8::from(right[usize::from(no > yes + again)]));
    }
    let figure = |name: &str| measured["figures"][name]["value"].as_f64().unwrap();
    assert!((figure("best@n") - best / 8.0).abs() < 1e-12, "{best}");
    assert!(
        (figure("margin-vote@n") - voted / 8.0).abs() < 1e-12,
        "{voted}"
    );
    assert!(
        (figure("maj@n") - 0.5).abs() < 1e-12,
        "four questions of eight have the answer yes"
    );
    let shown = bench.run(&["show", "m.toml", "drawn-measured"]).ok().stdout;
    for column in ["avg@n", "maj@n", "pass@1", "pass@2", "best@n", "Brier@n"] {
        assert!(shown.contains(column), "{column}:\n{shown}");
    }
    let alone = bench.run(&["show", "m.toml", "one-measured"]).ok().stdout;
    assert!(alone.contains("Brier") && !alone.contains('@'), "{alone}");
    let table = bench.run(&["table", "m.toml"]).ok().stdout;
    for part in [
        "maj@n",
        "margin vote@n",
        "Answers to each question: 1 of one, 2 of drawn, 3 of written.",
        "pass@2 needs 2 answers to each question, and there are 1",
    ] {
        assert!(table.contains(part), "{part}:\n{table}");
    }
    // Guesses are right as often whatever chooses among them; that one of two is right is more likely.
    let chance = table.lines().rfind(|line| line.contains("chance")).unwrap();
    assert_eq!(chance.matches("50.00").count(), 4, "{table}");
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
