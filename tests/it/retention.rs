//! What rows cost and what trainings forget: tokens counted from what was made, and the perplexity of a text.

use serde_json::Value;

use crate::harness::{Bench, TINY};

const STAGES: &str = r#"
[defaults.perplexity]
corpus = { path = "text.txt" }

[stages.raw-answers]
kind = "predict"
max_new_tokens = 8

[stages.raw]
kind = "eval"
predictions = "raw-answers"

[stages.voted]
kind = "verify"
paths = "sampled"
verifier = "majority"

[stages.text-raw]
kind = "perplexity"

[stages.text-own]
kind = "perplexity"
corpus = { path = "text.txt", documents = "line" }

[stages.text-sert]
kind = "perplexity"
model = "sert-rd"

[tables.cost]
baselines = []
metrics = ["acc", "tokens-sampled", "tokens-trained", "tokens-answered", "perplexity", "word-perplexity", "bits-per-byte"]
baseline = "raw"
tests = { metrics = ["perplexity"] }
rows = [
    { label = "raw", eval = "raw", figures = { perplexity = "text-raw", word-perplexity = "text-raw", bits-per-byte = "text-raw" } },
    { label = "SERT+RD", eval = "measured", figures = { perplexity = "text-sert", word-perplexity = "text-sert", bits-per-byte = "text-sert" } },
    { label = "no text", eval = "measured" },
    { label = "another text", eval = "measured", figures = { perplexity = "text-own" } },
]
"#;

/// Twelve documents of the tiny world's own words, of different lengths.
fn text() -> String {
    let document = |i: usize| {
        let what = ["fox", "tree", "cup"][i % 3];
        let rest = " So it is.".repeat(i);
        format!("The {what} is in the house.\nIt is {i} steps away.{rest}\n\n")
    };
    (0..12).map(document).collect::<Vec<_>>().concat()
}

fn bench() -> Bench {
    let bench = Bench::new(&format!("{TINY}{STAGES}"));
    bench.write("text.txt", text());
    bench
}

fn table(bench: &Bench) -> Value {
    let shown = bench
        .run(&["table", "m.toml", "--table", "cost", "--format", "json"])
        .ok()
        .stdout;
    let value: Value = serde_json::from_str(&shown).unwrap();
    value
        .as_array()
        .map_or(value.clone(), |tables| tables[0].clone())
}

fn cell<'t>(table: &'t Value, row: &str, metric: &str) -> &'t Value {
    let place = |list: &Value, is: &dyn Fn(&Value) -> bool| {
        list.as_array().unwrap().iter().position(is).unwrap()
    };
    let row = place(&table["rows"], &|each| each["title"] == row);
    let column = place(&table["metrics"], &|each| *each == metric);
    &table["rows"][row]["groups"][0]["cells"][column]
}

fn rows(bench: &Bench, stage: &str) -> Vec<Value> {
    let shown = bench.run(&["show", "m.toml", stage, "--json"]).ok().stdout;
    shown
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn drawn(bench: &Bench, stage: &str) -> u64 {
    let of_row = |row: &Value| {
        let ended = row["end"] == "end-of-text";
        row["tokens"].as_array().map_or(0, Vec::len) as u64 + u64::from(ended)
    };
    rows(bench, stage).iter().map(of_row).sum()
}

#[test]
fn costs_are_counted_from_rows_and_texts_are_tested_in_pairs() {
    let bench = bench();
    bench.run_manifest(&[]).ok();
    let found = table(&bench);
    let count = |row: &str, metric: &str| {
        let value = cell(&found, row, metric)["value"].as_f64()?;
        format!("{value:.0}").parse::<u64>().ok()
    };
    let trained = |stage: &str| {
        rows(&bench, stage).last().unwrap()["tokens"]
            .as_u64()
            .unwrap()
    };
    // What the student learnt before is not the row's; each stage counts once.
    assert_eq!(count("raw", "tokens-sampled"), Some(0));
    assert_eq!(count("raw", "tokens-trained"), Some(0));
    assert_eq!(
        count("raw", "tokens-answered"),
        Some(drawn(&bench, "raw-answers"))
    );
    assert_eq!(
        count("SERT+RD", "tokens-sampled"),
        Some(drawn(&bench, "sampled"))
    );
    assert_eq!(
        count("SERT+RD", "tokens-trained"),
        Some(trained("sert.losses") + trained("sert-rd.losses"))
    );
    assert_eq!(
        count("SERT+RD", "tokens-answered"),
        Some(drawn(&bench, "answers"))
    );
    assert!(
        cell(&found, "SERT+RD", "tokens-sampled")
            .get("low")
            .is_none()
    );

    // The figure is of all tokens together.
    let shown = bench
        .run(&["show", "m.toml", "text-raw", "--json"])
        .ok()
        .stdout;
    let scores: Value = serde_json::from_str(&shown).unwrap();
    let documents = scores["documents"].as_array().unwrap();
    assert_eq!(documents.len(), 12);
    let sum = |field: &str| {
        documents
            .iter()
            .map(|each| each[field].as_f64().unwrap())
            .sum::<f64>()
    };
    assert!((sum("words") - text().split_whitespace().count() as f64).abs() < 0.5);
    let close = |metric: &str, wanted: f64| {
        let value = cell(&found, "raw", metric)["value"].as_f64().unwrap();
        assert!(
            (value - wanted).abs() < 1e-9 * wanted,
            "{metric}: {value} is not {wanted}"
        );
    };
    close("perplexity", (-sum("log_prob") / sum("tokens")).exp());
    close("word-perplexity", (-sum("log_prob") / sum("words")).exp());
    close(
        "bits-per-byte",
        -sum("log_prob") / sum("bytes") / std::f64::consts::LN_2,
    );
    let ends = cell(&found, "raw", "perplexity");
    assert!(
        ends["low"].as_f64().unwrap() < ends["high"].as_f64().unwrap(),
        "{ends}"
    );

    // A row that names no text has no figure of one, and one of another text no test.
    assert_eq!(cell(&found, "no text", "perplexity")["cell"], "empty");
    let tests = found["tests"].as_array().unwrap();
    assert_eq!(tests.len(), 1, "{tests:?}");
    assert_eq!(
        (&tests[0]["row"], &tests[0]["metric"]),
        (&"SERT+RD".into(), &"perplexity".into())
    );
    assert_eq!(tests[0]["test"], "paired-bootstrap");

    // Read in small pieces a document is less likely, and no less of it is read.
    let pieces = [
        "show",
        "m.toml",
        "text-raw",
        "--json",
        "--set",
        "stages.text-raw.window=8",
    ];
    bench
        .run_manifest(&["--set", "stages.text-raw.window=8", "--stage", "text-raw"])
        .ok();
    let small: Value = serde_json::from_str(&bench.run(&pieces).ok().stdout).unwrap();
    for (small, whole) in small["documents"].as_array().unwrap().iter().zip(documents) {
        assert_eq!(small["tokens"], whole["tokens"]);
        assert_ne!(small["log_prob"], whole["log_prob"]);
    }
    let told = bench.run(&["show", "m.toml", "text-raw"]).ok().stdout;
    assert!(
        told.contains("12 documents") && told.contains("Bits per byte"),
        "{told}"
    );

    // All forms are written, and `why` leads behind the figure.
    for format in ["text", "md", "csv", "latex", "html"] {
        let shown = bench
            .run(&["table", "m.toml", "--table", "cost", "--format", format])
            .ok()
            .stdout;
        assert!(shown.to_lowercase().contains("tokens"), "{format}: {shown}");
    }
    let why = bench
        .run(&["why", "m.toml", "cost:SERT+RD:perplexity"])
        .ok()
        .stdout;
    assert!(
        why.contains("measured by text-sert\n") && why.contains("sampled"),
        "{why}"
    );
    let last = why.lines().last().unwrap_or_default();
    assert!(
        last.starts_with("All stages together: ") && last.ends_with(" s on cpu."),
        "{last}"
    );
}

#[test]
fn a_run_that_was_cut_counts_the_same() {
    let whole = bench();
    whole.run_manifest(&[]).ok();
    let parts = bench();
    for stage in ["sampled", "sert", "text-raw", "answers"] {
        parts.run_manifest(&["--stage", stage]).ok();
    }
    parts.run_manifest(&[]).ok();
    assert_eq!(table(&whole), table(&parts));
}

#[test]
fn a_column_of_a_text_names_its_stage() {
    let told = |table: &str| {
        let bench = Bench::new(&format!(
            "{TINY}\n[stages.text]\nkind = \"perplexity\"\n{table}"
        ));
        let run = bench.run(&["plan", "m.toml"]);
        assert_eq!(run.code, Some(2), "{}", run.stdout);
        run.stderr
    };
    let row = |figures: &str| {
        format!(
            "[tables.t]\nmetrics = [\"acc\", \"perplexity\"]\nrows = [{{ label = \"a\", eval = \"measured\"{figures} }}]\n"
        )
    };
    let missing = told(&row(""));
    assert!(
        missing.contains("says which stage measures `perplexity`"),
        "{missing}"
    );
    let wrong = told(&row(", figures = { perplexity = \"measured\" }"));
    assert!(wrong.contains("text scores"), "{wrong}");
    let cost = told(&row(", figures = { tokens-sampled = \"measured\" }"));
    assert!(cost.contains("tokens-sampled"), "{cost}");
}
