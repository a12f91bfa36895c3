//! `engine = "server"`: a student behind vLLM, `SGLang` or llama.cpp's server gives the rows that our own engine gives; what a
//! server lacks is said before anything is drawn; whatever fails, nothing is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::fault_server::{Act, Asked, FaultServer};
use crate::harness::{Bench, Run};
use crate::served_student::{Form, Served, folder, manifest};

const AT: &str = "name = \"NAME\", version = \"VERSION\", base_url = \"URL\", limits = { backoff_s = 0.005, max_backoff_s = 0.02, give_up_after_s = 20.0, read_timeout_s = 60.0 }";

fn bench(form: Form, server: &FaultServer, more: &str) -> Bench {
    let at = format!("{}{more}", AT.replace("URL", &server.base_url));
    Bench::new(&manifest(form, &at))
}

fn rows(bench: &Bench, stage: &str) -> Vec<Value> {
    let shown = bench.run(&["show", "m.toml", stage, "--json"]).ok();
    let lines = shown.stdout.lines().map(serde_json::from_str);
    lines.collect::<Result<_, _>>().unwrap()
}

fn near(a: &Value, b: &Value, what: &str) {
    let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
    assert!((a - b).abs() < 2e-3, "{what}: {a} {b}");
}

/// The same paths: tokens, ends and log-probabilities.
fn same_paths(own: &[Value], served: &[Value]) {
    assert_eq!(own.len(), served.len());
    assert!(!own.is_empty());
    for (own, served) in own.iter().zip(served) {
        for field in [
            "question_id",
            "first_token",
            "draw",
            "text",
            "tokens",
            "end",
            "end_token",
        ] {
            assert_eq!(own.get(field), served.get(field), "{field}");
        }
        assert_eq!(own["log_prob"]["count"], served["log_prob"]["count"]);
        for field in ["sum", "first", "min"] {
            near(&own["log_prob"][field], &served["log_prob"][field], field);
        }
    }
}

/// Greedily, so that no random number tells them apart: every server's form, every stage that draws or reads.
#[test]
fn each_server_gives_the_rows_of_our_own_engine() {
    let student = Served::load(&folder());
    for form in Form::ALL {
        let served = student.clone();
        let server = FaultServer::new(move |asked: &Asked| served.act(form, asked));
        let bench = bench(form, &server, "");
        bench.run_manifest(&[]).ok();
        same_paths(&rows(&bench, "own"), &rows(&bench, "served"));
        let (own, drawn) = (rows(&bench, "own-drawn"), rows(&bench, "served-drawn"));
        assert_eq!(own.len(), 5);
        for (own, drawn) in own.iter().zip(&drawn) {
            assert_eq!(own["output"], drawn["output"], "{form:?}");
            assert_eq!(own["tokens"], drawn["tokens"]);
            assert_eq!(own["end"], drawn["end"]);
            let options = |row: &Value| row["option_log_probs"].as_array().unwrap().clone();
            assert!(!options(own).is_empty());
            for (own, drawn) in options(own).iter().zip(&options(drawn)) {
                near(own, drawn, "an option");
            }
        }
        let (own, scored) = (rows(&bench, "own-scored"), rows(&bench, "served-scored"));
        for (own, scored) in own.iter().zip(&scored) {
            let perplexity = |row: &Value| row["scores"]["perplexity"].clone();
            near(&perplexity(own), &perplexity(scored), "perplexity");
        }
        // Nothing is asked a second time, and the two engines' rows are never each other's.
        let asked = server.asked();
        bench.run_manifest(&[]).ok();
        assert_eq!(server.asked(), asked);
    }
}

/// More draws ask for the new ones alone; another version of the server, or another seed, for all.
#[test]
fn rows_belong_to_a_server_and_its_version() {
    let student = Served::load(&folder());
    let version = Arc::new(AtomicU32::new(0));
    let now = Arc::clone(&version);
    let server = FaultServer::new(move |asked: &Asked| {
        if asked.path == "/version" {
            let version = format!("0.11.{}", now.load(Ordering::SeqCst));
            return Act::json(200, &json!({ "version": version }));
        }
        student.act(Form::Vllm, asked)
    });
    let bench = bench(Form::Vllm, &server, "");
    let run = |more: &[&str]| {
        let sets = [
            "--stage",
            "served",
            "--set",
            "stages.served.temperature=1.0",
        ];
        bench.run_manifest(&[&sets[..], more].concat())
    };
    let drawn = |more: &[&str]| {
        let before = server.counts();
        run(more).ok();
        let after = server.counts();
        let is_path = |key: &&String| {
            let body = key
                .split_once(' ')
                .and_then(|(_, rest)| rest.split_once(' '));
            let body: Value = serde_json::from_str(body.unwrap().1).unwrap_or_default();
            body["temperature"] == 1.0 && body["logprobs"] == 0 && body["max_tokens"] == 11
        };
        let asked = |counts: &std::collections::BTreeMap<String, crate::fault_server::Count>| {
            counts.keys().filter(is_path).count()
        };
        asked(&after) - asked(&before)
    };
    assert_eq!(drawn(&[]), 18, "6 questions, 3 first tokens");
    assert_eq!(
        drawn(&["--set", "stages.served.paths_per_first_token=3"]),
        36
    );
    assert_eq!(
        drawn(&["--set", "stages.served.paths_per_first_token=2"]),
        0
    );
    assert_eq!(drawn(&["--set", "seed=8"]), 18);
    // What another version draws is another's.
    let wrong = run(&["--set", "stages.served.server.version=\"0.11.1\""]);
    assert_eq!(wrong.code, Some(1));
    for told in [
        "the server there is vLLM 0.11.0, and the manifest says vLLM 0.11.1",
        "set `server.version = \\\"0.11.0\\\"`",
    ] {
        assert!(wrong.stderr.contains(told), "{}", wrong.stderr);
    }
    version.store(1, Ordering::SeqCst);
    // The same requests, whose answers are rows of their own.
    let before = server.asked();
    run(&["--set", "stages.served.server.version=\"0.11.1\""]).ok();
    assert!(server.asked() > before + 18);
}

/// What is sent to a server that lacks something: only what finds that out.
fn refused(form: Form, act: impl Fn(&Asked) -> Act + Send + Sync + 'static) -> (Run, u32) {
    let server = FaultServer::new(act);
    let bench = bench(form, &server, "");
    let run = bench.run_manifest(&["--stage", "served"]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(!bench.path("cache/rows-v1/paths").exists());
    (run, server.asked())
}

fn told(run: &Run, words: &[&str]) {
    for word in words {
        assert!(run.stderr.contains(word), "{word}\n{}", run.stderr);
    }
}

#[test]
fn what_a_server_lacks_is_said_before_anything_is_drawn() {
    let student = Served::load(&folder());
    let without = |form: Form, change: fn(&mut Value)| {
        let student = student.clone();
        refused(form, move |asked| {
            let mut answer = student.answer(form, asked);
            change(&mut answer);
            Act::json(200, &answer)
        })
    };
    let (run, asked) = without(Form::Vllm, |answer| {
        if let Some(choice) = answer.pointer_mut("/choices/0") {
            choice.as_object_mut().unwrap().remove("token_ids");
        }
    });
    told(
        &run,
        &[
            "vLLM does not give what a served student needs",
            "`choices.0.token_ids`",
            "0.10.2",
        ],
    );
    assert_eq!(asked, 2, "its version and one token");
    let (run, _) = without(Form::Vllm, |answer| {
        if let Some(choice) = answer.pointer_mut("/choices/0") {
            choice["logprobs"] = Value::Null;
        }
    });
    told(&run, &["`choices.0.logprobs.token_logprobs`"]);
    let (run, _) = without(Form::LlamaCpp, |answer| {
        if let Some(fields) = answer.as_object_mut() {
            fields.remove("tokens");
        }
    });
    told(
        &run,
        &["llama.cpp does not give", "`tokens`", "return_tokens"],
    );
    let (run, _) = without(Form::Sglang, |answer| {
        if let Some(meta) = answer.get_mut("meta_info").and_then(Value::as_object_mut) {
            meta.remove("output_top_logprobs");
        }
    });
    told(
        &run,
        &["the 5 most probable tokens were asked for, and 0 came"],
    );
    let (run, _) = without(Form::Vllm, |answer| {
        if let Some(fields) = answer.as_object_mut() {
            fields.remove("version");
        }
    });
    told(
        &run,
        &[
            "does not tell its version at `/version`",
            "vllm, sglang or llama.cpp",
        ],
    );
}

#[test]
fn tempered_log_probabilities_and_other_weights_are_found_out() {
    let student = Served::load(&folder());
    let served = student.clone();
    // As SGLang does unless told otherwise.
    let (run, asked) = refused(Form::Sglang, move |asked| {
        let mut answer = served.answer(Form::Sglang, asked);
        let temperature = asked.json()["sampling_params"]["temperature"].as_f64();
        if let (Some(temperature), Some(top)) = (
            temperature.filter(|it| *it > 0.0),
            answer.pointer_mut("/meta_info/output_top_logprobs/0"),
        ) {
            for entry in top.as_array_mut().unwrap() {
                entry[0] = json!(entry[0].as_f64().unwrap() / temperature);
            }
        }
        Act::json(200, &answer)
    });
    told(
        &run,
        &[
            "after temperature, top-k or top-p",
            "SGLANG_RETURN_ORIGINAL_LOGPROB=1",
        ],
    );
    assert_eq!(asked, 3, "its version and two tokens");
    // Everything is as it should be, of another student: one that was trained a little, perhaps.
    let (run, _) = refused(Form::Vllm, move |asked| {
        let mut answer = student.answer(Form::Vllm, asked);
        if let Some(read) = answer.pointer_mut("/choices/0/prompt_logprobs")
            && let Some(places) = read.as_array_mut()
        {
            let last = places.len() - 1;
            for place in &mut places[1..last] {
                for entry in place.as_object_mut().unwrap().values_mut() {
                    entry["logprob"] = json!(entry["logprob"].as_f64().unwrap() - 0.05);
                }
            }
        }
        Act::json(200, &answer)
    });
    told(
        &run,
        &[
            "the model there is not this stage's student",
            "at most 0.02 is rounding in its number format",
            "`bf16` is most servers' default",
            "check_weights",
        ],
    );
}

/// Rounding may tell another least probable token beside the same ones.
#[test]
fn a_server_whose_rounding_changes_the_last_of_the_most_probable_is_used() {
    let student = Served::load(&folder());
    let server = FaultServer::new(move |asked: &Asked| {
        let mut answer = student.answer(Form::Vllm, asked);
        let body = asked.json();
        let shaped = body["temperature"] == 4.0;
        if let Some(top) = answer.pointer_mut("/choices/0/logprobs/top_logprobs/0")
            && let Some(tokens) = top.as_object_mut().filter(|_| shaped)
        {
            let value = |entry: (&String, &Value)| (entry.0.clone(), entry.1.as_f64().unwrap());
            let mut order: Vec<(String, f64)> = tokens.iter().map(value).collect();
            order.sort_by(|a, b| b.1.total_cmp(&a.1));
            let (last, log_prob) = order.pop().unwrap();
            tokens.remove(&last);
            let other = (0..).map(|id| format!("token_id:{id}"));
            let other = other
                .into_iter()
                .find(|id| *id != last && !tokens.contains_key(id));
            tokens.insert(other.unwrap(), json!(log_prob));
        }
        Act::json(200, &answer)
    });
    let bench = bench(Form::Vllm, &server, "");
    bench.run_manifest(&["--stage", "served"]).ok();
}

/// What came is not what was asked for: no path is made of it.
#[test]
fn no_token_and_too_many_end_the_stage() {
    for times in [0, 30] {
        let student = Served::load(&folder());
        let server = FaultServer::new(move |asked: &Asked| {
            let mut answer = student.answer(Form::Vllm, asked);
            let body = asked.json();
            let draws = body["logprobs"] == 0 && body["max_tokens"] == 11;
            if let Some(choice) = answer.pointer_mut("/choices/0").filter(|_| draws) {
                choice["finish_reason"] = json!("length");
                for place in ["/token_ids", "/logprobs/token_logprobs"] {
                    let values = choice.pointer_mut(place).unwrap();
                    let first = values[0].clone();
                    *values = json!(vec![first; times]);
                }
            }
            Act::json(200, &answer)
        });
        let bench = bench(Form::Vllm, &server, "");
        let run = bench.run_manifest(&["--stage", "served"]);
        assert_eq!(run.code, Some(1), "{}", run.stderr);
        let came = format!("1 to 11 tokens were asked for, and {times} came");
        told(&run, &[&came]);
    }
}

/// A server that fails often: of what arrives every row is made, and each once.
#[test]
fn whatever_fails_the_rows_are_whole() {
    let student = Served::load(&folder());
    let server = FaultServer::new(move |asked: &Asked| {
        let good = || student.act(Form::Vllm, asked);
        if asked.path == "/version" {
            return good();
        }
        match asked.lot() {
            0..15 => Act::Answer(500, "", "<html>oops</html>".to_owned()),
            15..30 => Act::Truncate(student.answer(Form::Vllm, asked).to_string()),
            30..40 => Act::Answer(429, "retry-after: 0\r\n", String::new()),
            _ => good(),
        }
    });
    let bench = bench(Form::Vllm, &server, "");
    bench
        .run_manifest(&["--stage", "served", "--stage", "own"])
        .ok();
    same_paths(&rows(&bench, "own"), &rows(&bench, "served"));
    let failed = server
        .counts()
        .values()
        .filter(|count| count.asked > count.answered)
        .count();
    assert!(failed > 3, "{failed} of {} requests failed", server.asked());
}

/// Ctrl-C: what came is kept, and the same command asks for the rest.
#[cfg(unix)]
#[test]
fn an_interrupt_keeps_what_came() {
    let student = Served::load(&folder());
    let drawn = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&drawn);
    let server = FaultServer::new(move |asked: &Asked| {
        let body = asked.json();
        if body["logprobs"] == 0 && body["max_tokens"] == 11 {
            count.fetch_add(1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(100));
        }
        student.act(Form::Vllm, asked)
    });
    let bench = bench(Form::Vllm, &server, ", check_weights = false");
    let text = std::fs::read_to_string(bench.path("m.toml")).unwrap();
    bench.write(
        "m.toml",
        text.replace("limits = {", "limits = { concurrency = 1,"),
    );
    let mut child = bench
        .command(&["m.toml", "--progress", "none", "--stage", "served"])
        .stderr(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    while drawn.load(Ordering::SeqCst) < 6 {
        assert!(child.try_wait().unwrap().is_none(), "over before");
        std::thread::sleep(Duration::from_millis(5));
    }
    let killed = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(killed.unwrap().success());
    let ended = child.wait_with_output().unwrap();
    assert_eq!(
        ended.status.code(),
        Some(130),
        "{}",
        String::from_utf8_lossy(&ended.stderr)
    );
    let before = drawn.load(Ordering::SeqCst);
    assert!(before < 18);
    bench.run_manifest(&["--stage", "served"]).ok();
    let all = drawn.load(Ordering::SeqCst);
    // What was in flight may be asked again.
    assert!(all <= 18 + 1, "{all} were drawn in all, {before} before");
    assert_eq!(rows(&bench, "served").len(), 18);
}

/// A manifest that contradicts itself is told so before anything runs.
#[test]
fn mistakes_in_a_manifest_are_told() {
    let of = |server: &str, told: &[&str]| {
        let bench = Bench::new(&manifest(Form::Vllm, server));
        let run = bench.run(&["plan", "m.toml"]);
        assert_eq!(run.code, Some(2), "{}", run.stdout);
        for word in told {
            assert!(run.stderr.contains(word), "{word}\n{}", run.stderr);
        }
    };
    of(
        "name = \"vllm\", base_url = \"http://127.0.0.1:1/v1\"",
        &["version"],
    );
    of(
        "name = \"vllm\", version = \"1\"",
        &["neither the server's address is given"],
    );
    of(
        "launch = \"vllm\", version = \"1\", base_url = \"http://127.0.0.1:1\"",
        &["has an address of its own"],
    );
    of(
        "name = \"vlm\", version = \"1\", base_url = \"http://127.0.0.1:1\"",
        &["vllm"],
    );
    let bench = Bench::new(&manifest(Form::Vllm, "launch = \"vllm\", version = \"1\""));
    let refused = bench.run_manifest(&["--stage", "served"]);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(
        refused.stderr.contains("--allow-programs"),
        "{}",
        refused.stderr
    );
}

/// A teacher's paths have no tokens until a student's tokenizer gives them some.
#[test]
fn a_filter_tokenises_paths_by_a_model() {
    let with = |model: &str| {
        let text = manifest(
            Form::Vllm,
            "name = \"vllm\", version = \"1\", base_url = \"http://127.0.0.1:1\"",
        );
        let more = format!(
            "\n[stages.teacher]\nkind = \"teach\"\nrecording = \"microworld-solver\"\n\n[stages.kept]\nkind = \"filter\"\npaths = \"teacher\"\n{model}\nlength = {{ min_tokens = 2 }}\nperplexity = {{ enabled = false }}\npattern = {{ enabled = false }}\nselect = {{ rule = \"all\" }}\n"
        );
        Bench::new(&(text + &more))
    };
    let without = with("").run(&["plan", "m.toml"]);
    assert_eq!(without.code, Some(2), "{}", without.stdout);
    assert!(
        without.stderr.contains("model = \"student\""),
        "{}",
        without.stderr
    );
    let bench = with("model = \"student\"");
    bench.run_manifest(&["--stage", "kept"]).ok();
    let kept = rows(&bench, "kept");
    assert!(!kept.is_empty());
    for path in kept {
        assert!(path["tokens"].as_array().unwrap().len() >= 2, "{path}");
    }
}
