//! Replies in all the forms that servers write: what was paid for is kept, whole and rightly read.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::endpoints::{manifest, teacher};
use crate::fault_server::{Act, Asked, FaultServer, completion};
use crate::harness::{Bench, Run};

/// A completion whose message, choice and body have these fields besides, or instead.
fn chat(message: &Value, choice: &Value, body: &Value) -> Value {
    let mut whole = json!({
        "model": "tiny",
        "choices": [{ "index": 0, "finish_reason": "stop", "message": { "role": "assistant", "content": "It has wings." } }],
        "usage": { "prompt_tokens": 10, "completion_tokens": 5 },
    });
    let mut put = |place: &str, fields: &Value| {
        let object = whole.pointer_mut(place).and_then(Value::as_object_mut);
        let fields = fields.as_object().cloned().unwrap_or_default();
        object.unwrap().extend(fields);
    };
    put("/choices/0/message", message);
    put("/choices/0", choice);
    put("", body);
    whole
}

/// The question's number in a request's first message.
fn number(asked: &Asked) -> usize {
    let json = asked.json();
    let first = json["messages"][0]["content"].as_str().unwrap_or_default();
    let digits: String = first.chars().filter(char::is_ascii_digit).collect();
    digits.parse().unwrap_or_default()
}

/// How often each question was asked about.
fn asked_about(server: &FaultServer) -> BTreeMap<usize, u32> {
    let mut counts = BTreeMap::new();
    for (request, count) in server.counts() {
        let body = request.splitn(3, ' ').nth(2).unwrap();
        let json: Value = serde_json::from_str(body).unwrap();
        let first = json["messages"][0]["content"].as_str().unwrap();
        let digits: String = first.chars().filter(char::is_ascii_digit).collect();
        *counts.entry(digits.parse().unwrap()).or_default() += count.asked;
    }
    counts
}

/// The paths by their question's number.
fn paths(bench: &Bench) -> BTreeMap<usize, Value> {
    let shown = bench.run(&["show", "m.toml", "teacher", "--json"]).ok();
    let lines = shown.stdout.lines().map(|line| {
        let path: Value = serde_json::from_str(line).unwrap();
        let id = path["question_id"].as_str().unwrap();
        (id[1..].parse().unwrap(), path)
    });
    lines.collect()
}

/// A path's text, end and answer.
type Read = (String, &'static str, Option<&'static str>);

const ONE_STEP: [&str; 2] = ["--set", "stages.teacher.answer_prompt=\"\""];

/// One reply each: its form, and the path that it is, if it is one. All are asked for once.
#[test]
fn every_form_of_a_good_reply_is_kept_and_read() {
    let said = "It has wings.";
    let none = json!({});
    let whole = |message: Value| chat(&message, &none, &none);
    let choice = |choice: Value| chat(&none, &choice, &none);
    let body = |body: Value| chat(&none, &none, &body);
    let cut = json!({ "finish_reason": "length" });
    let thought = "Bees fly, so they";
    let as_text = |value: &Value| Act::json(200, value);
    let odd = |from: &str, to: &str| {
        let text = whole(json!({})).to_string();
        assert!(text.contains(from), "{text}");
        Act::Answer(200, "", text.replace(from, to))
    };
    let plain = || Some((said.to_owned(), "end-of-text", None));
    let forms: Vec<(&str, Act, Option<Read>)> = vec![
        ("plain", as_text(&whole(json!({}))), plain()),
        (
            "reasoning and answer",
            as_text(&whole(json!({ "reasoning_content": thought }))),
            Some((format!("{thought}\n\n{said}"), "end-of-text", Some(said))),
        ),
        (
            "tags",
            as_text(&whole(
                json!({ "content": format!("<think>\n{thought}\n</think>\n\n{said}") }),
            )),
            Some((format!("{thought}\n\n{said}"), "end-of-text", Some(said))),
        ),
        (
            "reasoning cut",
            as_text(&chat(
                &json!({ "content": null, "reasoning": thought }),
                &cut,
                &none,
            )),
            Some((thought.to_owned(), "length", None)),
        ),
        (
            "tag cut",
            as_text(&chat(
                &json!({ "content": format!("<think>{thought}") }),
                &cut,
                &none,
            )),
            Some((thought.to_owned(), "length", None)),
        ),
        (
            "reasoning alone",
            as_text(&whole(
                json!({ "content": "", "reasoning_content": thought }),
            )),
            Some((thought.to_owned(), "end-of-text", None)),
        ),
        (
            "nothing before its length",
            as_text(&chat(&json!({ "content": null }), &cut, &none)),
            None,
        ),
        (
            "declined",
            as_text(&whole(json!({ "content": null, "refusal": "I cannot" }))),
            None,
        ),
        (
            "no refusal",
            as_text(&whole(json!({ "refusal": "" }))),
            plain(),
        ),
        (
            "parts",
            as_text(&whole(
                json!({ "content": [{ "type": "text", "text": "It has " }, { "type": "text", "text": "wings." }] }),
            )),
            plain(),
        ),
        (
            "finish null",
            as_text(&choice(json!({ "finish_reason": null }))),
            Some((said.to_owned(), "unknown", None)),
        ),
        (
            "choices out of order",
            as_text(&body(
                json!({ "choices": [{ "index": 1, "message": { "content": "no" } }, { "index": 0, "finish_reason": "stop", "message": { "content": said } }] }),
            )),
            plain(),
        ),
        (
            "error null",
            as_text(&body(json!({ "error": null }))),
            plain(),
        ),
        (
            "error empty",
            as_text(&body(json!({ "error": "" }))),
            plain(),
        ),
        (
            "error object",
            as_text(&body(json!({ "error": {} }))),
            plain(),
        ),
        (
            "error of nothing",
            as_text(&body(json!({ "error": { "code": 0, "message": "" } }))),
            plain(),
        ),
        (
            "error in choice null",
            as_text(&choice(json!({ "error": null }))),
            plain(),
        ),
        (
            "detail",
            as_text(&body(json!({ "detail": "served by node 3" }))),
            plain(),
        ),
        (
            "fields of other types",
            as_text(&body(
                json!({ "id": 3, "created": "now", "model": ["m"], "object": 0 }),
            )),
            plain(),
        ),
        (
            "no usage",
            as_text(&body(json!({ "usage": null }))),
            plain(),
        ),
        (
            "usage huge",
            as_text(&body(
                json!({ "usage": { "prompt_tokens": 1_u64 << 63, "completion_tokens": 1e300 } }),
            )),
            plain(),
        ),
        (
            "usage negative",
            as_text(&body(
                json!({ "usage": { "prompt_tokens": -1, "completion_tokens": "-1" } }),
            )),
            plain(),
        ),
        (
            "log-probabilities",
            odd(
                "\"index\":0",
                "\"logprobs\":{\"content\":[{\"logprob\":-Infinity},{\"logprob\":NaN}]}",
            ),
            plain(),
        ),
        (
            "surrogate",
            odd("wings.", "wings \\ud83d."),
            Some(("It has wings \u{fffd}.".to_owned(), "end-of-text", None)),
        ),
        (
            "blanks before",
            odd("{\"model\"", "\n\n   \n{\"model\""),
            plain(),
        ),
        (
            "mark",
            Act::Bytes(
                "application/json",
                [b"\xef\xbb\xbf", whole(json!({})).to_string().as_bytes()].concat(),
            ),
            plain(),
        ),
        (
            "called a stream",
            Act::Bytes(
                "text/event-stream",
                whole(json!({})).to_string().into_bytes(),
            ),
            plain(),
        ),
        (
            "charset",
            Act::Bytes(
                "application/json; charset=iso-8859-1",
                whole(json!({ "content": "w#ngs" }))
                    .to_string()
                    .replace('#', "\u{1}")
                    .into_bytes()
                    .into_iter()
                    .map(|byte| if byte == 1 { 0xef } else { byte })
                    .collect(),
            ),
            Some(("wïngs".to_owned(), "end-of-text", None)),
        ),
        (
            "charset misnamed",
            Act::Bytes(
                "text/plain; charset=iso-8859-1",
                whole(json!({ "content": "wïngs" }))
                    .to_string()
                    .into_bytes(),
            ),
            Some(("wïngs".to_owned(), "end-of-text", None)),
        ),
    ];
    let (names, acts): (Vec<_>, Vec<_>) = forms
        .into_iter()
        .map(|(name, act, expected)| ((name, expected), act))
        .unzip();
    let count = names.len();
    let server = FaultServer::new(move |asked: &Asked| match &acts[number(asked)] {
        Act::Answer(status, headers, body) => Act::Answer(*status, headers, body.clone()),
        Act::Bytes(kind, body) => Act::Bytes(kind, body.clone()),
        _ => unreachable!("only answers"),
    });
    let bench = teacher(&server.base_url, count, "");
    let run = bench.run_manifest(&ONE_STEP).ok();
    bench.write(
        "m.toml",
        manifest(&server.base_url, "").replace("budget = {}", "answer_prompt = \"\""),
    );
    let paths = paths(&bench);
    for (place, (name, expected)) in names.iter().enumerate() {
        let found = paths.get(&place);
        match expected {
            Some((text, end, answer)) => {
                let path = found.unwrap_or_else(|| panic!("{name}: no path\n{}", run.stderr));
                assert_eq!(path["text"], *text, "{name}");
                assert_eq!(path["end"], *end, "{name}");
                assert_eq!(
                    path.get("answer_text"),
                    answer.map(|it| json!(it)).as_ref(),
                    "{name}"
                );
            }
            None => assert_eq!(found, None, "{name}"),
        }
    }
    let asked = asked_about(&server);
    let twice: Vec<&str> = (names.iter().enumerate())
        .filter(|(place, _)| asked[place] != 1)
        .map(|(_, (name, _))| *name)
        .collect();
    assert!(twice.is_empty(), "paid twice: {twice:?}");
    for words in [
        "3 of 29 replies were cut by length before the model said anything",
        "raise max_tokens (`endpoint.max_tokens`, now 128)",
        "1 of 29 replies hold reasoning and no answer",
        "content filter 1, empty 1",
    ] {
        assert!(
            run.stderr.contains(words),
            "`{words}` is not said:\n{}",
            run.stderr
        );
    }
    // A kept reply is a kept reply, whatever its form.
    bench
        .run(&[
            "m.toml",
            "--set",
            "stages.teacher.prompt=\"Q: {question}\"",
            "--set",
            "stages.teacher.prompt=\"paper\"",
        ])
        .ok();
    assert_eq!(asked_about(&server), asked);
}

/// What is no good reply is asked for again, and kept once it is one; what cannot be read is not paid for again and
/// again.
#[test]
fn what_looks_like_a_reply_and_is_none_is_asked_for_again() {
    let none = json!({});
    let half = json!({ "content": "It has w" });
    let first: Vec<Act> = vec![
        Act::json(
            200,
            &chat(&half, &json!({ "finish_reason": "error" }), &none),
        ),
        Act::json(
            200,
            &chat(&half, &json!({ "finish_reason": "abort" }), &none),
        ),
        Act::json(
            200,
            &chat(
                &half,
                &json!({ "error": { "code": 502, "message": "upstream" } }),
                &none,
            ),
        ),
        Act::json(
            200,
            &chat(&half, &none, &json!({ "error": { "message": "cut off" } })),
        ),
        Act::json(200, &json!({ "error": "boom" })),
        Act::json(200, &json!({ "detail": "boom" })),
        Act::json(
            200,
            &json!({ "object": "error", "message": "engine is dead", "code": 500 }),
        ),
        Act::json(
            200,
            &json!({ "id": null, "choices": null, "error": { "code": 429, "message": "wait" } }),
        ),
        Act::Bytes("text/html", b"<html>Sign in</html>".to_vec()),
        Act::Bytes(
            "application/json",
            b"{\"choices\":[{\"message\":{\"content\":\"w\xefngs\"}}]}".to_vec(),
        ),
        Act::json(
            200,
            &chat(
                &json!({ "content": null, "tool_calls": [{ "id": "1" }] }),
                &json!({ "finish_reason": "tool_calls" }),
                &none,
            ),
        ),
    ];
    let count = first.len();
    let server = FaultServer::new(
        move |asked: &Asked| match (&first[number(asked)], asked.nth) {
            (Act::Answer(status, headers, body), 0) => Act::Answer(*status, headers, body.clone()),
            (Act::Bytes(kind, body), 0) => Act::Bytes(kind, body.clone()),
            _ => Act::says("It has wings."),
        },
    );
    let bench = teacher(
        &server.base_url,
        count,
        "limits.concurrency = 1\nlimits.give_up_after_s = 20",
    );
    bench.write(
        "m.toml",
        manifest(&server.base_url, "limits.give_up_after_s = 20")
            .replace("budget = {}", "answer_prompt = \"\""),
    );
    bench.run_manifest(&[]).ok();
    let paths = paths(&bench);
    assert_eq!(paths.len(), count);
    assert!(paths.values().all(|path| path["text"] == "It has wings."));
    assert!(asked_about(&server).values().all(|asked| *asked == 2));
}

#[test]
fn a_reply_that_is_no_text_is_set_aside_and_told() {
    let server = FaultServer::new(|asked: &Asked| match number(asked) {
        1 => Act::Bytes(
            "application/json",
            b"{\"choices\":[{\"message\":{\"content\":\"w\xefngs\"}}]}".to_vec(),
        ),
        _ => Act::says("It has wings."),
    });
    let bench = teacher(&server.base_url, 3, "limits.tries = 10");
    let run = bench.run_manifest(&ONE_STEP);
    assert_eq!(run.code, Some(1));
    for words in [
        "the answer is no text",
        "not UTF-8",
        "2 of 3 replies are kept",
    ] {
        assert!(
            run.stderr.contains(words),
            "`{words}` is not said:\n{}",
            run.stderr
        );
    }
    assert_eq!(asked_about(&server)[&1], 2, "it may be paid for each time");
}

#[test]
fn a_stream_of_events_is_told_as_such() {
    let event = b"data: {\"choices\":[{\"delta\":{\"content\":\"It\"}}]}\n\ndata: [DONE]\n\n";
    let streams = |asked: &Asked| asked.json()["stream"] != json!(false);
    for kind in ["text/event-stream; charset=utf-8", "application/json"] {
        let server = FaultServer::new(move |asked: &Asked| {
            if streams(asked) {
                Act::Bytes(kind, event.to_vec())
            } else {
                Act::says("It has wings.")
            }
        });
        let bench = teacher(&server.base_url, 4, "limits.concurrency = 1");
        let run = bench.run_manifest(&ONE_STEP);
        assert_eq!(run.code, Some(1));
        for words in ["a stream of events", "extra_body = { stream = false }"] {
            assert!(
                run.stderr.contains(words),
                "`{words}` is not said:\n{}",
                run.stderr
            );
        }
        assert_eq!(server.asked(), 1, "the next would be the same");
        let quiet = "stages.teacher.endpoint.extra_body={stream=false}";
        bench
            .run_manifest(&[&ONE_STEP[..], &["--set", quiet]].concat())
            .ok();
    }
    let refused = Bench::new(&manifest(
        "http://a.example/v1",
        "extra_body = { stream = true }",
    ))
    .run(&["m.toml"]);
    assert_eq!(refused.code, Some(2));
    assert!(
        refused.stderr.contains("`stream` is not free"),
        "{}",
        refused.stderr
    );
}

/// The second step goes on from the text as it was written, so that replies that are kept stay; a model that did
/// not come to the end of its thinking is not asked to conclude.
#[test]
fn the_second_step_follows_what_was_written() {
    let server = FaultServer::new(|asked: &Asked| {
        let none = json!({});
        if asked.prompt().starts_with("Therefore") {
            return Act::json(
                200,
                &chat(
                    &json!({ "content": "<think>Not no.</think>yes." }),
                    &none,
                    &none,
                ),
            );
        }
        Act::json(
            200,
            &match number(asked) {
                0 => chat(
                    &json!({ "content": "<think>It may.</think>It does." }),
                    &none,
                    &none,
                ),
                1 => chat(
                    &json!({ "content": null, "reasoning": "It may." }),
                    &none,
                    &none,
                ),
                2 => chat(
                    &json!({ "content": null, "reasoning": "It m" }),
                    &json!({ "finish_reason": "length" }),
                    &none,
                ),
                _ => chat(
                    &json!({ "content": " It does.", "reasoning": "It may." }),
                    &none,
                    &none,
                ),
            },
        )
    });
    let bench = teacher(&server.base_url, 4, "");
    bench.run_manifest(&[]).ok();
    let paths = paths(&bench);
    let texts: Vec<&str> = paths
        .values()
        .map(|path| path["text"].as_str().unwrap())
        .collect();
    assert_eq!(
        texts,
        [
            "It may.\n\nIt does.",
            "It may.",
            "It m",
            "It may.\n\n It does."
        ]
    );
    let answers: Vec<Option<&str>> = paths
        .values()
        .map(|path| path["answer_text"].as_str())
        .collect();
    assert_eq!(answers, [Some("yes."), Some("yes."), None, Some("yes.")]);
    let counts = server.counts();
    let second: Vec<Value> = (counts
        .keys()
        .filter(|request| request.contains("Therefore")))
    .map(|request| serde_json::from_str(request.splitn(3, ' ').nth(2).unwrap()).unwrap())
    .collect();
    let mut written: Vec<&str> = second
        .iter()
        .map(|body| body["messages"][1]["content"].as_str().unwrap())
        .collect();
    written.sort_unstable();
    assert_eq!(
        written,
        [" It does.", "<think>It may.</think>It does.", "It may."]
    );
}

/// A judge weighs scores before it settles on them: only those that it says count.
#[test]
fn scores_are_not_read_out_of_the_thinking() {
    let scores = |score: u32| {
        [
            "Coherence",
            "Relevance",
            "Logical Consistency",
            "Completeness",
        ]
        .map(|name| format!("{name}: {score}"))
        .join("\n")
    };
    let server = FaultServer::new(move |asked: &Asked| {
        let prompt = asked.prompt();
        let none = json!({});
        let says = |text: &str| prompt.contains(&format!("Is {text} even?"));
        if !prompt.contains("Score") {
            return Act::says(&format!("It has {} wings.", number(asked)));
        }
        let (low, high) = (scores(2), scores(8));
        let message = if says("0") {
            json!({ "content": high, "reasoning_content": low })
        } else if says("1") {
            json!({ "content": format!("<think>{low}</think>\n{high}") })
        } else if says("2") {
            json!({ "content": format!("{low}</think>\n{high}") })
        } else if says("3") {
            json!({ "content": null, "reasoning": low })
        } else {
            json!({ "content": format!("<think>{low}") })
        };
        Act::json(200, &chat(&message, &none, &none))
    });
    let judged = format!(
        "{}\n[stages.judged]\nkind = \"judge\"\npaths = \"teacher\"\nendpoint = {{ base_url = \"{}\", model = \"tiny\" }}\n",
        manifest(&server.base_url, "").replace("budget = {}", "answer_prompt = \"\""),
        server.base_url
    );
    let bench = teacher(&server.base_url, 5, "");
    bench.write("m.toml", judged);
    let run = bench.run_manifest(&[]).ok();
    let shown = bench.run(&["show", "m.toml", "judged", "--json"]).ok();
    let found: Vec<Option<f64>> = (shown.stdout.lines())
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["scores"]["judge"].as_f64())
        .collect();
    assert_eq!(found, [Some(8.0), Some(8.0), Some(8.0), None, None]);
    assert!(
        run.stderr
            .contains("2 of 5 replies hold reasoning and no answer"),
        "{}",
        run.stderr
    );
}

/// Whatever a server says that it counted, a budget is a stop: no sum wraps, and what it does not say is estimated.
#[test]
fn a_budget_holds_whatever_usage_says() {
    let with = |usage: Value| {
        FaultServer::new(move |_: &Asked| {
            let mut body = completion("It has wings.");
            body["usage"] = usage.clone();
            Act::json(200, &body)
        })
    };
    let run = |server: &FaultServer| -> Run {
        let bench = teacher(&server.base_url, 30, "limits.concurrency = 1");
        let run = bench.run_manifest(&["--set", "stages.teacher.budget.tokens=2000"]);
        assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
        run
    };
    // Each request is estimated at about 150 tokens.
    for usage in [
        json!(null),
        json!({}),
        json!("none"),
        json!({ "prompt_tokens": -1000, "completion_tokens": -1000 }),
        json!({ "prompt_tokens": "-1000", "completion_tokens": 3 }),
        json!({ "prompt_tokens": 10 }),
        json!({ "total_tokens": 10 }),
    ] {
        let server = with(usage.clone());
        let stopped = run(&server);
        assert_eq!(stopped.code, Some(1), "{usage}: {}", stopped.stderr);
        assert!(
            stopped.stderr.contains("of 2000 tokens"),
            "{usage}: {}",
            stopped.stderr
        );
        assert!(
            (10..16).contains(&server.asked()),
            "{usage}: {}",
            server.asked()
        );
    }
    for usage in [
        json!({ "prompt_tokens": 1_u64 << 63, "completion_tokens": 1_u64 << 63 }),
        json!({ "prompt_tokens": u64::MAX, "completion_tokens": 1e300 }),
        json!({ "prompt_tokens": "99999999999999999999999999", "completion_tokens": 1 }),
    ] {
        let server = with(usage.clone());
        let stopped = run(&server);
        assert_eq!(stopped.code, Some(1), "{usage}");
        assert!(
            stopped
                .stderr
                .contains("18446744073709551615 of 2000 tokens"),
            "{usage}: {}",
            stopped.stderr
        );
        assert_eq!(server.asked(), 1, "{usage}");
    }
    // Without a budget it is told, and nothing overflows; neither does the plan of such a request.
    let server = with(json!({ "prompt_tokens": u64::MAX, "completion_tokens": u64::MAX }));
    let bench = teacher(&server.base_url, 3, "limits.tokens_per_minute = 60000000");
    bench.run_manifest(&[]).ok();
    bench.run(&["show", "m.toml", "teacher"]).ok();
    let most = "stages.teacher.endpoint.extra_body={max_completion_tokens=9223372036854775807}";
    bench.run(&["plan", "m.toml", "--set", most]).ok();
    let refused =
        bench.run_manifest(&["--set", most, "--set", "stages.teacher.budget.tokens=2000"]);
    assert!(
        refused.stderr.contains("the budget is spent"),
        "{}",
        refused.stderr
    );
}
