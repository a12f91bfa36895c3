//! The provider's batch interface: files of requests, found again after a kill, never made twice.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use crate::endpoints::{assert_whole, lesson, manifest, teacher};
use crate::fault_server::{Act, Asked, FaultServer, completion};
use crate::harness::Bench;

const QUICK: &str = "limits.batch_poll_s = 0.02\nlimits.batch_requests = 40";

/// A provider's files and batches.
#[derive(Default)]
struct Provider {
    files: BTreeMap<String, String>,
    /// By id: the input file, and how often it was looked at.
    batches: BTreeMap<String, (String, u32)>,
}

impl Provider {
    fn act(&mut self, asked: &Asked, hold: bool, fate: &dyn Fn(&str, usize) -> Fate) -> Act {
        let ok = |value: &Value| Act::json(200, value);
        let path = asked.path.strip_prefix("/v1").unwrap();
        let parts: Vec<&str> = path.trim_start_matches('/').split(['/', '?']).collect();
        match (asked.method.as_str(), parts.as_slice()) {
            ("POST", ["files"]) => {
                assert!(asked.body.contains("name=\"purpose\"\r\n\r\nbatch\r\n"));
                let content = asked
                    .body
                    .split("application/jsonl\r\n\r\n")
                    .nth(1)
                    .unwrap();
                let id = format!("file-{}", self.files.len());
                self.files.insert(
                    id.clone(),
                    content.split("\r\n--").next().unwrap().to_owned(),
                );
                ok(&json!({ "id": id }))
            }
            ("POST", ["batches"]) => {
                let body = asked.json();
                assert_eq!(body["endpoint"], "/v1/chat/completions");
                let id = format!("batch_{}", self.batches.len());
                let file = body["input_file_id"].as_str().unwrap().to_owned();
                self.batches.insert(id.clone(), (file, 0));
                ok(&json!({ "id": id }))
            }
            ("GET", ["batches", "limit=100"]) => {
                let list = self.batches.iter();
                let list: Vec<Value> = list
                    .map(|(id, (file, _))| json!({ "id": id, "input_file_id": file }))
                    .collect();
                ok(&json!({ "data": list }))
            }
            ("GET", ["batches", id]) => {
                let (file, looks) = self.batches.get_mut(*id).unwrap();
                *looks += 1;
                if hold || *looks < 2 {
                    return ok(
                        &json!({ "id": id, "status": "in_progress", "request_counts": { "total": 2, "completed": 0, "failed": 0 } }),
                    );
                }
                let (mut out, mut errors, mut expired) = (String::new(), String::new(), false);
                for (place, line) in self.files[file].lines().enumerate() {
                    let line: Value = serde_json::from_str(line).unwrap();
                    match fate(id, place) {
                        Fate::Answered => {
                            let inner = Asked {
                                body: line["body"].to_string(),
                                ..asked.clone()
                            };
                            let response =
                                json!({ "status_code": 200, "body": completion(&lesson(&inner)) });
                            let answer = json!({ "custom_id": line["custom_id"], "response": response, "error": null });
                            let _ = writeln!(out, "{answer}");
                        }
                        Fate::Failed => {
                            let response = json!({ "status_code": 500, "body": { "error": { "message": "oops" } } });
                            let answer =
                                json!({ "custom_id": line["custom_id"], "response": response });
                            let _ = writeln!(errors, "{answer}");
                        }
                        Fate::Response(response) => {
                            let id = &line["custom_id"];
                            let _ = writeln!(out, "{{\"custom_id\":{id},\"response\":{response}}}");
                        }
                        Fate::Expired => expired = true,
                    }
                }
                self.files.insert(format!("out-{id}"), out);
                self.files.insert(format!("err-{id}"), errors);
                let status = if expired { "expired" } else { "completed" };
                ok(
                    &json!({ "id": id, "status": status, "output_file_id": format!("out-{id}"), "error_file_id": format!("err-{id}"), "request_counts": { "total": 2, "completed": 2, "failed": 0 } }),
                )
            }
            ("GET", ["files", id, "content"]) => Act::Answer(200, "", self.files[*id].clone()),
            other => panic!("{other:?}"),
        }
    }
}

enum Fate {
    Answered,
    Failed,
    /// This response, as it stands in the line.
    Response(String),
    Expired,
}

struct Batches {
    server: FaultServer,
    provider: Arc<Mutex<Provider>>,
    hold: Arc<AtomicBool>,
}

/// A provider; `spoil` may replace what it sends.
fn batches(
    fate: impl Fn(&str, usize) -> Fate + Send + Sync + 'static,
    spoil: impl Fn(&Asked, Act) -> Act + Send + Sync + 'static,
) -> Batches {
    let provider: Arc<Mutex<Provider>> = Arc::default();
    let hold = Arc::new(AtomicBool::new(false));
    let (shared, held) = (Arc::clone(&provider), Arc::clone(&hold));
    let server = FaultServer::new(move |asked| {
        let act = shared
            .lock()
            .unwrap()
            .act(asked, held.load(Ordering::SeqCst), &fate);
        spoil(asked, act)
    });
    Batches {
        server,
        provider,
        hold,
    }
}

fn bench(server: &str, questions: usize) -> Bench {
    let bench = teacher(server, questions, QUICK);
    let batch = manifest(server, QUICK).replace("budget = {}", "mode = \"batch\"");
    bench.write("m.toml", batch);
    bench
}

#[test]
fn what_a_batch_leaves_open_goes_into_the_next() {
    let fate = |id: &str, place: usize| match (id, place) {
        ("batch_0", 30..) => Fate::Expired,
        ("batch_0", 3) => Fate::Failed,
        _ => Fate::Answered,
    };
    let flaky = |asked: &Asked, act: Act| match (asked.path.contains("batch_1"), asked.nth) {
        (true, 0) => Act::Answer(503, "", String::new()),
        _ => act,
    };
    let batches = batches(fate, flaky);
    let bench = bench(&batches.server.base_url, 60);
    let run = bench.run_manifest(&[]).ok();
    assert!(
        run.stderr
            .contains("the batch `batch_0` of 40 requests is at the provider"),
        "{}",
        run.stderr
    );
    assert_whole(&bench, 60);
    // 40 (29 answered), 31; then 60 answers in 40 and 20.
    let provider = batches.provider.lock().unwrap();
    let sizes: Vec<usize> = provider
        .batches
        .values()
        .map(|(file, _)| provider.files[file].lines().count())
        .collect();
    assert_eq!(sizes, [40, 31, 40, 20]);
    drop(provider);
    let shown = bench
        .run(&["show", "m.toml", "teacher", "--rows", "1"])
        .ok();
    assert!(
        shown
            .stdout
            .contains("120 replies; 131 requests (11 failed"),
        "{}",
        shown.stdout
    );

    // The same requests one by one are the same rows.
    let before = batches.server.asked();
    bench
        .run(&["m.toml", "--set", "stages.teacher.mode=online"])
        .ok();
    bench
        .run(&[
            "m.toml",
            "--set",
            "stages.teacher.mode=online",
            "--limit",
            "20",
        ])
        .ok();
    assert_eq!(batches.server.asked(), before);
}

#[test]
fn a_killed_run_finds_its_batch_again() {
    let batches = batches(|_, _| Fate::Answered, |_, act| act);
    batches.hold.store(true, Ordering::SeqCst);
    let bench = bench(&batches.server.base_url, 20);
    let looked_at = || {
        let provider = batches.provider.lock().unwrap();
        provider
            .batches
            .values()
            .map(|(_, looks)| *looks)
            .sum::<u32>()
    };
    for round in 1..=2 {
        let mut child = bench
            .command(&["m.toml"])
            .stderr(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        while looked_at() < 3 * round {
            std::thread::sleep(Duration::from_millis(2));
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    batches.hold.store(false, Ordering::SeqCst);
    bench.run_manifest(&[]).ok();
    assert_whole(&bench, 20);
    assert_eq!(
        batches.provider.lock().unwrap().batches.len(),
        2,
        "one for each step"
    );
    let shown = bench
        .run(&["show", "m.toml", "teacher", "--rows", "1"])
        .ok();
    assert!(
        shown.stdout.contains("40 replies; 40 requests, 440 tokens"),
        "{}",
        shown.stdout
    );
}

/// The answer to "make a batch" is lost: it is looked for before another is made.
#[test]
fn a_batch_is_not_made_twice() {
    let batches = batches(
        |_, _| Fate::Answered,
        |asked, act| match (act, asked.path.as_str(), asked.method.as_str()) {
            (Act::Answer(_, _, body), "/v1/batches", "POST") => Act::Truncate(body),
            (act, ..) => act,
        },
    );
    let bench = bench(&batches.server.base_url, 20);
    bench.run_manifest(&[]).ok();
    assert_whole(&bench, 20);
    assert_eq!(batches.provider.lock().unwrap().batches.len(), 2);
}

/// A batch's answers have the same forms as those that come one by one, and are read by the same rules.
#[test]
fn answers_of_a_batch_take_the_same_road() {
    let body = |message: Value, finish: &str| json!({ "choices": [{ "index": 0, "finish_reason": finish, "message": message }], "usage": { "prompt_tokens": 11, "completion_tokens": 7 } });
    let good = body(json!({ "content": "It is so." }), "stop");
    let responses = [
        json!({ "status_code": 200, "body": good.to_string() }).to_string(),
        json!({ "status_code": "200", "body": good }).to_string(),
        json!({ "body": good }).to_string(),
        json!({ "status_code": 200, "body": good }).to_string().replace("\"index\":0", "\"logprobs\":[NaN,-Infinity]"),
        json!({ "status_code": 200, "body": body(json!({ "content": "<think>It may.</think>It is so." }), "stop") }).to_string(),
        json!({ "status_code": 200, "body": body(json!({ "content": null, "reasoning": "It m" }), "length") }).to_string(),
        json!({ "status_code": 200, "body": body(json!({ "content": "It is" }), "error") }).to_string(),
        json!({ "status_code": 200, "body": body(json!({ "content": " " }), "stop") }).to_string(),
    ];
    let count = responses.len();
    let fate = move |id: &str, place: usize| match id {
        "batch_0" => Fate::Response(responses[place].clone()),
        // What was broken off is answered now, and what was empty is empty again.
        _ if place == 0 => Fate::Response(responses[1].clone()),
        _ => Fate::Response(responses[7].clone()),
    };
    let spoil = |asked: &Asked, act: Act| match (asked.path.as_str(), asked.nth) {
        ("/v1/files/out-batch_0/content", 0) => {
            Act::Answer(200, "", "<html>Bad gateway</html>".into())
        }
        (_, _) => act,
    };
    let batches = batches(fate, spoil);
    let bench = bench(&batches.server.base_url, count);
    let one_step = [
        "--set",
        "stages.teacher.answer_prompt=\"\"",
        "--set",
        "stages.teacher.endpoint.limits.give_up_after_s=20",
    ];
    let run = bench.run_manifest(&one_step).ok();
    let manifest = manifest(&batches.server.base_url, QUICK);
    bench.write(
        "m.toml",
        manifest.replace("budget = {}", "mode = \"batch\"\nanswer_prompt = \"\""),
    );
    let shown = bench.run(&["show", "m.toml", "teacher", "--json"]).ok();
    let paths: Vec<Value> = shown
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let texts: Vec<&str> = paths
        .iter()
        .map(|path| path["text"].as_str().unwrap())
        .collect();
    let so = "It is so.";
    assert_eq!(texts, [so, so, so, so, "It may.\n\nIt is so.", "It m", so]);
    assert!(run.stderr.contains("raise max_tokens"), "{}", run.stderr);
    let provider = batches.provider.lock().unwrap();
    let sizes: Vec<usize> = (provider.batches.values())
        .map(|(file, _)| provider.files[file].lines().count())
        .collect();
    assert_eq!(
        sizes,
        [8, 2],
        "nothing is paid for twice but what was broken off or empty"
    );
}

#[test]
fn a_budget_sends_what_fits() {
    let batches = batches(|_, _| Fate::Answered, |_, act| act);
    let bench = bench(&batches.server.base_url, 20);
    let stopped = bench.run_manifest(&["--set", "stages.teacher.budget.requests=15"]);
    assert_eq!(stopped.code, Some(1));
    for word in ["15 of 15 requests", "15 of 20 replies are kept"] {
        assert!(stopped.stderr.contains(word), "{}", stopped.stderr);
    }
    bench.run_manifest(&[]).ok();
    assert_whole(&bench, 20);
}
