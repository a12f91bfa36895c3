//! A verifier behind a server: scores are asked for once, kept one by one, and a failure loses none that came.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::fault_server::{Act, Asked, FaultServer};
use crate::harness::Bench;

const KEY: &str = "sk-verify-0123456789";

/// Questions of which each path's text says what the server is to answer.
fn bench(server: &FaultServer, texts: &[&str]) -> Bench {
    let manifest = format!(
        r#"
[data]
dataset = "jsonl"
train_path = "q.jsonl"
test_path = "t.jsonl"

[stages.brought]
kind = "import-paths"
path = "paths.jsonl"

[stages.checked]
kind = "verify"
paths = "brought"
verifier = "http"
http = {{ url = "{}/score", api_key_env = "VERIFY_KEY", limits = {{ tries = 3, backoff_s = 0.0, concurrency = 4 }} }}

[stages.right]
kind = "filter"
paths = "checked"
steps = ["correct"]
"#,
        server.base_url
    );
    let bench = Bench::new(&manifest);
    let line =
        |id: &str| json!({ "id": id, "question": "Is it?", "answer": "yes" }).to_string() + "\n";
    bench.write("q.jsonl", line("a") + &line("b"));
    bench.write("t.jsonl", line("c"));
    let rows: String = (texts.iter().enumerate())
        .map(|(draw, text)| {
            json!({ "question_id": "a", "text": text, "draw": draw }).to_string() + "\n"
        })
        .collect();
    bench.write("paths.jsonl", rows);
    bench
}

fn run(bench: &Bench, more: &[&str]) -> crate::harness::Run {
    let arguments = [&["m.toml", "--offline"], more].concat();
    let mut command = bench.command(&arguments);
    command.env("VERIFY_KEY", KEY);
    crate::harness::Run::of(&command.output().unwrap())
}

fn scores(bench: &Bench, stage: &str) -> Vec<Value> {
    let shown = bench.run(&["show", "m.toml", stage, "--json"]).ok().stdout;
    let rows = shown.lines().map(|line| {
        let path: Value = serde_json::from_str(line).unwrap();
        path["scores"]["correct"].clone()
    });
    rows.collect()
}

/// What the server says of a path whose text is its own answer.
fn answer(asked: &Asked) -> Act {
    let body = asked.json();
    match body["text"].as_str().unwrap() {
        "right" => Act::json(200, &json!({ "correct": 1 })),
        "wrong" => Act::json(200, &json!({ "correct": false })),
        "half" => Act::json(200, &json!({ "score": 0.5 })),
        "dunno" => Act::json(200, &json!({ "correct": null, "reason": "two answers" })),
        "busy" if asked.nth == 0 => Act::Answer(429, "Retry-After: 0\r\n", String::new()),
        "down" if asked.nth < 2 => Act::error(503, "", "starting"),
        _ => Act::json(200, &json!({ "score": 1.0 })),
    }
}

#[test]
fn a_servers_scores_are_asked_for_once() {
    let server = FaultServer::new(|asked| {
        assert_eq!(asked.path, "/v1/score");
        assert_eq!(asked.authorization, format!("Bearer {KEY}"));
        let body = asked.json();
        assert_eq!(
            [&body["question_id"], &body["question"], &body["gold"]],
            ["a", "Is it?", "yes"]
        );
        answer(asked)
    });
    // Equal paths are one request.
    let texts = ["right", "wrong", "half", "dunno", "busy", "down", "right"];
    let bench = bench(&server, &texts);
    let told = run(&bench, &[]).ok().stderr;
    for words in [
        "4 of 7 paths are right",
        "1 have a score between 0 and 1",
        "the server says: two answers",
    ] {
        assert!(told.contains(words), "`{words}`:\n{told}");
    }
    let found = scores(&bench, "checked");
    assert_eq!(
        found,
        [
            json!(1.0),
            json!(0.0),
            json!(0.5),
            Value::Null,
            json!(1.0),
            json!(1.0),
            json!(1.0)
        ]
    );
    assert_eq!(scores(&bench, "right").len(), 4);
    let asked = server.asked();
    assert_eq!(asked, 6 + 1 + 2, "{:?}", server.counts());
    // Another stage that asks the same asks nobody; nor does the same one after its result is gone.
    let again = [
        "--set",
        "stages.checked.name=\"again\"",
        "--stage",
        "checked",
        "--progress",
        "json",
    ];
    assert_eq!(run(&bench, &again).ok().ran(), ["checked"]);
    assert_eq!(server.asked(), asked);
    // The key is in no file.
    let mut open = vec![bench.folder.path().to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let bytes = std::fs::read(&path).unwrap();
                let found = bytes.windows(KEY.len()).any(|part| part == KEY.as_bytes());
                assert!(!found, "{}", path.display());
            }
        }
    }
    assert!(!told.contains(KEY), "{told}");
}

#[test]
fn a_failure_loses_no_score_that_came() {
    let mended = Arc::new(AtomicBool::new(false));
    let is_mended = Arc::clone(&mended);
    let server = FaultServer::new(move |asked| {
        let bad = asked.json()["text"] == "bad";
        if bad && !is_mended.load(Ordering::Relaxed) {
            return Act::json(200, &json!({ "score": 7 }));
        }
        answer(asked)
    });
    let bench = bench(&server, &["right", "wrong", "bad", "half"]);
    let failed = run(&bench, &[]);
    assert_eq!(failed.code, Some(1), "{}", failed.stderr);
    for words in [
        "`score` is no number from 0 to 1",
        "3 of 4 replies are kept",
    ] {
        assert!(
            failed.stderr.contains(words),
            "`{words}`:\n{}",
            failed.stderr
        );
    }
    mended.store(true, Ordering::Relaxed);
    let before = server.asked();
    run(&bench, &[]).ok();
    assert_eq!(server.asked(), before + 1);
    assert_eq!(scores(&bench, "checked")[2], json!(1.0));
}

#[test]
fn a_server_elsewhere_needs_permission_and_a_network() {
    let server = FaultServer::new(answer);
    let bench = bench(&server, &["right"]);
    let elsewhere = [
        "--set",
        "stages.checked.http.url=\"https://verify.example/score\"",
    ];
    let plan = bench
        .run(&[&["plan", "m.toml"], &elsewhere[..]].concat())
        .ok();
    assert!(
        plan.stdout.contains("https://verify.example/score"),
        "{}",
        plan.stdout
    );
    let refused = run(&bench, &elsewhere);
    assert_ne!(refused.code, Some(0));
    assert!(
        refused.stderr.contains("verify.example"),
        "{}",
        refused.stderr
    );
    let asked = bench.run(&[&["m.toml"], &elsewhere[..]].concat());
    assert_eq!(asked.code, Some(2), "{}", asked.stderr);
    assert!(
        asked.stderr.contains("--allow-endpoint"),
        "{}",
        asked.stderr
    );
    // A url without a scheme is told with its place.
    let wrong = run(
        &bench,
        &["--set", "stages.checked.http.url=\"verify.example\""],
    );
    assert_eq!(wrong.code, Some(2), "{}", wrong.stderr);
    assert!(wrong.stderr.contains("http.url"), "{}", wrong.stderr);
    assert_eq!(server.asked(), 0);
}
