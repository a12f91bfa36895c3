//! How a run ends when its server refuses, is away, or must not be asked; and that no key is left
//! anywhere, whatever happens.

use std::path::Path;
use std::time::Duration;

use base64::Engine as _;

use crate::endpoints::{lesson, manifest, teacher};
use crate::fault_server::{Act, Asked, FaultServer, completion};
use crate::harness::{Bench, Run};

/// A key any piece of which would be noticed.
const KEY: &str = "sk-zqxzqxzqxzqxzqxzqxzqx\"zqxzqxzqx";
const PIECE: &str = "zqxzqx";
const WITH_KEY: &str = "api_key_env = \"SERT_TEST_KEY\"";

fn run_with_key(bench: &Bench, more: &[&str]) -> Run {
    let mut arguments = vec!["m.toml", "--progress", "json"];
    arguments.extend(more);
    let mut command = bench.command(&arguments);
    command.env("SERT_TEST_KEY", KEY).env("RUST_LOG", "trace");
    Run::of(&command.output().unwrap())
}

/// Neither what was printed nor any file holds a piece of the key.
fn assert_no_key(bench: &Bench, run: &Run) {
    assert!(!run.stdout.contains(PIECE), "{}", run.stdout);
    let line = run.stderr.lines().find(|line| line.contains(PIECE));
    assert_eq!(line, None);
    // Where ureq's dump of bytes would be, a piece could lie across two lines.
    assert!(!run.stderr.contains("ureq_proto::util"));
    assert!(
        run.stderr.contains("ureq::run"),
        "what ureq may tell is told"
    );
    assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
    no_key_below(bench.folder.path());
}

fn no_key_below(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            no_key_below(&path);
        } else {
            let bytes = std::fs::read(&path).unwrap();
            let found = bytes
                .windows(PIECE.len())
                .any(|piece| piece == PIECE.as_bytes());
            assert!(!found, "{}", path.display());
        }
    }
}

/// The stage fails with `words`, and with the same command nothing is lost.
fn fails(act: impl Fn(&Asked) -> Act + Send + Sync + 'static, more: &str, words: &[&str]) {
    let server = FaultServer::new(act);
    let bench = teacher(&server.base_url, 6, &format!("{WITH_KEY}\n{more}"));
    let run = run_with_key(&bench, &[]);
    assert_eq!(run.code, Some(1), "{}\n{}", run.stdout, run.stderr);
    for word in words {
        assert!(
            run.stderr.contains(word),
            "`{word}` is not said:\n{}",
            tail(&run.stderr)
        );
    }
    assert!(run.stderr.contains("hint: ") || run.stderr.contains("\\nhint: "));
    assert_no_key(&bench, &run);
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with('{')).collect();
    lines[lines.len().saturating_sub(6)..].join("\n")
}

/// An error body that repeats what it was sent.
fn echoing(status: u16, code: &str) -> impl Fn(&Asked) -> Act + Send + Sync + use<> {
    let code = code.to_owned();
    move |asked| Act::error(status, &code, &format!("no: {}", asked.authorization))
}

#[test]
fn every_refusal_stops_the_run_with_its_reason_and_without_the_key() {
    fails(
        echoing(401, "invalid_api_key"),
        "",
        &[
            "refused the key",
            "401",
            "api_key_env",
            "0 of 6 replies are kept",
        ],
    );
    fails(echoing(403, ""), "", &["refused the key", "403"]);
    fails(
        echoing(429, "insufficient_quota"),
        "",
        &["nothing left to spend", "top up"],
    );
    fails(echoing(402, ""), "", &["nothing left to spend"]);
    fails(
        echoing(400, "invalid_value"),
        "",
        &["the server refused the request", "no: Bearer [key]"],
    );
    fails(
        |asked| match asked.path.as_str() {
            "/v1/models" => Act::json(
                200,
                &serde_json::json!({ "data": [{ "id": "big" }, { "id": "tiny-2" }] }),
            ),
            _ => Act::error(404, "model_not_found", "The model `tiny` does not exist"),
        },
        "",
        &[
            "does not have the model",
            "it has tiny-2, big",
            "endpoint.model",
        ],
    );
    fails(
        |_| Act::Answer(404, "", "404 page not found".into()),
        "",
        &["nothing there", "usually ends in /v1"],
    );
    fails(
        |asked| {
            Act::Answer(
                307,
                "location: http://evil.example/v1?key=sk-zqxzqxzqxzqxzqxzqxzqx\"zqxzqxzqx\r\n",
                asked.authorization.clone(),
            )
        },
        "",
        &["sends us on to", "evil.example"],
    );
    fails(
        |_| Act::Answer(429, "retry-after: 4000\r\n", String::new()),
        "",
        &["asks to wait 4000 seconds", "same command"],
    );
}

#[test]
fn a_server_that_is_away_ends_the_run_in_good_order() {
    let words = [
        "has not answered for",
        "the same command again",
        "replies are kept",
    ];
    fails(
        |asked| Act::Answer(500, "", asked.authorization.clone()),
        "limits.tries = 1000",
        &[&words[..], &["status 500", "one request at a time"]].concat(),
    );
    fails(
        |_| Act::Hang(Duration::from_secs(1)),
        "limits.tries = 1000",
        &[&words[..], &["no answer in time"]].concat(),
    );
    fails(
        |_| Act::Answer(429, "", String::new()),
        "limits.max_retry_after_s = 1",
        &words,
    );

    // Nobody listens there.
    let bench = teacher(
        "http://127.0.0.1:9/v1",
        6,
        &format!("{WITH_KEY}\nlimits.tries = 1000"),
    );
    let run = run_with_key(&bench, &[]);
    assert_eq!(run.code, Some(1));
    for word in ["http://127.0.0.1:9/v1", "has not answered for", "refused"] {
        assert!(run.stderr.contains(word), "{}", tail(&run.stderr));
    }
    assert_no_key(&bench, &run);
}

/// Bodies that are broken or hold the key: what is kept has neither.
#[test]
fn what_repeats_the_key_is_kept_without_it() {
    let server = FaultServer::new(|asked: &Asked| {
        let echo = format!("you sent {}", asked.authorization);
        match asked.nth {
            0 => Act::Answer(200, "", format!("{{ broken: {echo}")),
            1 => Act::Truncate(completion(&echo.repeat(9)).to_string()),
            2 => Act::Answer(500, "", echo),
            3 => Act::Answer(
                200,
                "",
                format!(
                    "{{\"error\": {{\"code\": 500, \"message\": {}}}}}",
                    serde_json::json!(echo)
                ),
            ),
            _ => Act::says(&echo),
        }
    });
    let bench = teacher(&server.base_url, 3, WITH_KEY);
    let run = run_with_key(&bench, &[]).ok();
    assert_no_key(&bench, &run);
    let shown = bench.run(&["show", "m.toml", "teacher"]).ok();
    assert!(
        shown.stdout.contains("you sent Bearer [key]"),
        "{}",
        shown.stdout
    );
    assert!(
        shown.stdout.contains("failed and were sent again"),
        "{}",
        shown.stdout
    );
    let sent = server.counts();
    assert!(!sent.is_empty());
    assert!(
        sent.keys().all(|request| !request.contains(PIECE)),
        "the body holds no key"
    );
}

/// However a server spells what it repeats, what is kept, shown and reported has no key in it.
#[test]
fn a_key_is_hidden_in_every_spelling() {
    let each = |text: &str, spell: fn(u32) -> String| -> String {
        text.chars().map(|c| spell(u32::from(c))).collect()
    };
    let spellings = move |key: &str| {
        let quoted = serde_json::json!(key).to_string();
        let inner = &quoted[1..quoted.len() - 1];
        [
            inner.replace('/', "\\/"),
            each(key, |c| format!("\\u{c:04x}")),
            each(key, |c| format!("\\\\u{c:04X}")),
            each(key, |c| format!("%{c:02X}")),
            each(key, |c| format!("&#{c};")),
            base64::engine::general_purpose::STANDARD.encode(format!("user:{key}")),
        ]
    };
    let server = FaultServer::new(move |asked: &Asked| {
        let key = asked.authorization.trim_start_matches("Bearer ");
        let number = lesson(asked)
            .chars()
            .filter_map(|c| c.to_digit(10))
            .sum::<u32>() as usize;
        let text = &spellings(key)[number % 6];
        let body = completion("IT").to_string();
        match asked.nth {
            // As an error first, then as an answer and all that stands beside it.
            0 => Act::Answer(500, "", format!("{{\"error\":{{\"message\":\"{text}\"}}}}")),
            _ => Act::Answer(
                200,
                "",
                body.replace("IT", text)
                    .replace("\"tiny\"", &format!("\"tiny {text}\"")),
            ),
        }
    });
    let bench = teacher(
        &server.base_url,
        6,
        &format!("{WITH_KEY}\nlimits.give_up_after_s = 20"),
    );
    let run = run_with_key(&bench, &[]).ok();
    assert_no_key(&bench, &run);
    let shown = bench.run(&["show", "m.toml", "teacher", "--json"]).ok();
    assert_eq!(
        shown.stdout.matches("\"text\":\"[key]\"").count(),
        5,
        "{}",
        shown.stdout
    );
    bench.run(&["report", "m.toml", "--out", "page"]).ok();
    no_key_below(bench.folder.path());
    // Nor is it there in the server's spelling.
    for spelling in spellings(KEY) {
        let piece = &spelling[spelling.len() / 3..spelling.len() / 3 + 12];
        let found = std::process::Command::new("grep")
            .args(["-rF", piece, "."])
            .current_dir(bench.folder.path())
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&found.stdout), "", "{piece}");
        assert!(
            !run.stderr.contains(piece) && !shown.stdout.contains(piece),
            "{piece}"
        );
    }
}

#[test]
fn a_key_that_is_missing_or_no_key_is_told_by_its_variable() {
    let server = FaultServer::new(|asked: &Asked| Act::says(&asked.authorization));
    let bench = teacher(&server.base_url, 2, WITH_KEY);
    for (value, word) in [("", "is not set"), ("two\nlines", "cannot be a key")] {
        let mut command = bench.command(&["m.toml", "--progress", "json"]);
        let run = Run::of(&command.env("SERT_TEST_KEY", value).output().unwrap());
        assert_eq!(run.code, Some(1));
        assert!(
            run.stderr.contains("SERT_TEST_KEY") && run.stderr.contains(word),
            "{}",
            run.stderr
        );
        assert!(!run.stderr.contains("two\\nlines"));
    }
    assert_eq!(server.asked(), 0);
    let header = bench.run_manifest(&[
        "--set",
        "stages.teacher.endpoint.api_key_env=\"HOME\"",
        "--set",
        "stages.teacher.endpoint.api_key_header=\"api-key\"",
    ]);
    assert!(header.code.is_some());
    // The bare key, without `Bearer`; and once all is kept, no key is needed.
    let run = run_with_key(
        &bench,
        &[
            "--set",
            "stages.teacher.endpoint.api_key_header=\"api-key\"",
        ],
    );
    run.ok();
    let again = bench.run_manifest(&[]).ok();
    assert!(again.ran().is_empty());
}

/// Refusals that would come again are kept as such: their questions have no path, and are not asked again.
#[test]
fn refused_questions_are_recorded_and_told() {
    let server = FaultServer::new(|asked: &Asked| {
        let text = lesson(asked);
        let refuses = |number: &str| text == format!("reasoning about {number}.");
        if refuses("0") {
            return Act::error(400, "content_filter", "the policy");
        }
        if refuses("1") {
            return Act::error(400, "context_length_exceeded", "too long");
        }
        if refuses("2") {
            return Act::says("  ");
        }
        if text == "answer of 3." {
            let mut declined = completion("");
            declined["choices"][0]["message"]["refusal"] = "I cannot".into();
            return Act::json(200, &declined);
        }
        Act::says(&text)
    });
    let bench = teacher(&server.base_url, 6, "");
    let run = bench.run_manifest(&[]).ok();
    for word in [
        "3 paths for 6 questions",
        "content filter 1",
        "empty 1, too long 1",
    ] {
        assert!(
            run.stderr.contains(word),
            "`{word}` is not said:\n{}",
            run.stderr
        );
    }
    let shown = bench.run(&["show", "m.toml", "teacher"]).ok();
    assert!(
        shown.stdout.contains("3 of 3 paths shown"),
        "{}",
        shown.stdout
    );
    assert!(!shown.stdout.contains("answer: \n"));
    // An empty reply was asked for twice before it was believed.
    let empty = server
        .counts()
        .into_iter()
        .find(|(request, _)| request.contains("Is 2 even?"));
    assert_eq!(empty.unwrap().1.asked, 2);
    let before = server.asked();
    bench
        .run(&["m.toml", "--set", "stages.teacher.answer_prompt=\"So:\""])
        .ok();
    let again: Vec<String> = server
        .counts()
        .into_keys()
        .filter(|request| request.contains("\"So:\""))
        .collect();
    assert_eq!(
        (server.asked() - before) as usize,
        again.len(),
        "only the new second step is asked"
    );
}

/// One request that the server does not take is set aside; the others go on, and only it is asked again.
#[test]
fn a_request_that_fails_alone_is_set_aside() {
    let server = FaultServer::new(|asked: &Asked| {
        let text = lesson(asked);
        if text == "reasoning about 5." && asked.nth == 0 {
            return Act::error(400, "invalid", "a strange letter");
        }
        if text == "reasoning about 4." && asked.nth < 4 {
            return Act::Answer(500, "", String::new());
        }
        Act::says(&text)
    });
    let bench = teacher(
        &server.base_url,
        6,
        "limits.tries = 2\nlimits.concurrency = 1",
    );
    let first = bench.run_manifest(&[]);
    assert_eq!(first.code, Some(1));
    for word in ["2 requests were set aside", "4 of 6 replies are kept"] {
        assert!(first.stderr.contains(word), "{}", first.stderr);
    }
    bench.run_manifest(&[]);
    bench.run_manifest(&[]).ok();
    let asked: u32 = server.counts().values().map(|count| count.asked).sum();
    assert_eq!(asked, 12 + 1 + 4);
}

#[test]
fn offline_asks_no_server_but_one_on_this_machine() {
    let server = FaultServer::new(|asked: &Asked| Act::says(&lesson(asked)));
    let bench = teacher(&server.base_url, 2, "");
    bench.run_manifest(&["--offline"]).ok();
    let away = teacher("http://teacher.invalid/v1", 2, "");
    let run = away.run_manifest(&["--offline"]);
    assert_eq!(run.code, Some(1));
    assert!(run.stderr.contains("offline"), "{}", run.stderr);
}

/// A manifest with mistakes is refused before anything is asked.
#[test]
fn mistakes_in_an_endpoint_are_told_at_load() {
    for (from, to, words) in [
        ("model = \"tiny\"", "", &["the key `model` is missing"][..]),
        (
            "model = \"tiny\"",
            "model = \"tiny\"\nlimits.concurency = 3",
            &["concurency", "did you mean `concurrency`"],
        ),
        (
            "http://a.example/v1",
            "http://me:hunter2@a.example/v1",
            &["endpoint.base_url", "password"],
        ),
        (
            "source = \"http\"",
            "",
            &["recorded teacher has no server", "add `source"],
        ),
        ("budget = {}", "budget.usd = 3", &["budget.usd", "price"]),
        (
            "budget = {}",
            "prompt = \"Why?\"",
            &["no place for {question}"],
        ),
        (
            "model = \"tiny\"",
            "model = \"tiny\"\nn = 3",
            &["endpoint.n", "temperature 0"],
        ),
    ] {
        let good = manifest("http://a.example/v1", "");
        let bad = good.replace(from, to);
        assert_ne!(good, bad, "{from}");
        let run = Bench::new(&bad).run(&["m.toml"]);
        assert_eq!(run.code, Some(2), "{to}: {}", run.stderr);
        for word in words {
            assert!(
                run.stderr.contains(word),
                "`{word}` is not said:\n{}",
                run.stderr
            );
        }
    }
}
