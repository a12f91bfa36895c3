//! Teachers and judges behind a server that fails in every way: nothing is asked twice, nothing is lost.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::fault_server::{Act, Asked, FaultServer, completion};
use crate::harness::{Bench, Run};

/// A teacher for `questions` generated questions. `more` are fields of the endpoint.
pub(crate) fn teacher(server: &str, questions: usize, more: &str) -> Bench {
    let bench = Bench::new(&manifest(server, more));
    let mut rows = String::new();
    for number in 0..questions {
        let _ = writeln!(
            rows,
            r#"{{"id":"q{number:04}","question":"Is {number} even?","answer":"{}"}}"#,
            if number % 2 == 0 { "yes" } else { "no" }
        );
    }
    bench.write("train.jsonl", rows);
    bench.write(
        "test.jsonl",
        r#"{"id":"t","question":"Is 7 even?","answer":"no"}"#,
    );
    bench
}

/// Waits are short, so that a test of thousands of requests takes seconds.
pub(crate) fn manifest(server: &str, more: &str) -> String {
    let give_up = if more.contains("give_up_after_s") {
        ""
    } else {
        "limits.give_up_after_s = 0.6"
    };
    format!(
        r#"
[data]
dataset = "jsonl"
train_path = "train.jsonl"
test_path = "test.jsonl"

[stages.teacher]
kind = "teach"
source = "http"
budget = {{}}

[stages.teacher.endpoint]
base_url = "{server}"
model = "tiny"
limits.backoff_s = 0.005
limits.max_backoff_s = 0.05
limits.read_timeout_s = 0.25
limits.connect_timeout_s = 2.0
{give_up}
{more}
"#
    )
}

/// On a busy machine the last requests can all fail for a while: that is not the end of a server.
const WIDE: &str = "limits.concurrency = 32\nlimits.give_up_after_s = 20.0";

/// What the teacher says: its words hold the question's number, so that a mix-up would show.
pub(crate) fn lesson(asked: &Asked) -> String {
    let json = asked.json();
    let first = json["messages"][0]["content"].as_str().unwrap_or_default();
    let number: String = first.chars().filter(char::is_ascii_digit).collect();
    if asked.prompt().starts_with("Therefore") {
        format!("answer of {number}.")
    } else {
        format!("reasoning about {number}.")
    }
}

/// A server that fails often: 20 % 429, 10 % 500, 5 % truncated, 5 % hang.
fn faulty(asked: &Asked) -> Act {
    match asked.lot() {
        0 => Act::Answer(429, "retry-after: 0\r\n", String::new()),
        1..20 => Act::error(429, "rate_limit_exceeded", "slow down"),
        20..30 => Act::Answer(500, "", "<html>oops</html>".to_owned()),
        30..35 => Act::Truncate(completion(&lesson(asked)).to_string()),
        35..40 => Act::Hang(Duration::from_millis(600)),
        _ => Act::says(&lesson(asked)),
    }
}

fn paths(bench: &Bench) -> Vec<Value> {
    let shown = bench.run(&["show", "m.toml", "teacher", "--json"]).ok();
    let lines = shown.stdout.lines().map(serde_json::from_str);
    lines.collect::<Result<_, _>>().unwrap()
}

/// Every question has the path and the answer that belong to it.
pub(crate) fn assert_whole(bench: &Bench, questions: usize) {
    let paths = paths(bench);
    assert_eq!(paths.len(), questions);
    for (number, path) in paths.iter().enumerate() {
        assert_eq!(path["question_id"], format!("q{number:04}"));
        assert_eq!(path["text"], format!("reasoning about {number}."));
        assert_eq!(path["answer_text"], format!("answer of {number}."));
        assert_eq!(path["end"], "end-of-text");
    }
}

#[test]
fn each_request_is_answered_exactly_once_whatever_fails() {
    let server = FaultServer::new(faulty);
    let bench = teacher(&server.base_url, 1000, WIDE);
    let began = Instant::now();
    bench.run_manifest(&[]).ok();
    println!("2000 replies in {:.1} s", began.elapsed().as_secs_f64());
    let counts = server.settled(2000);
    assert_eq!(counts.len(), 2000, "distinct requests");
    let other = counts.iter().find(|(_, count)| count.answered != 1);
    assert!(other.is_none(), "{other:?}");
    assert!(
        server.asked() > 2800,
        "the faults happened: {}",
        server.asked()
    );
    assert_whole(&bench, 1000);

    // Another stage with the same requests asks nothing, and neither does the same one again.
    let before = server.asked();
    bench.run_manifest(&[]).ok();
    let renamed = manifest(&server.base_url, WIDE).replace("stages.teacher", "stages.other");
    bench.write("n.toml", renamed);
    bench
        .run(&[
            "n.toml",
            "--set",
            "stages.other.endpoint.limits.concurrency=3",
        ])
        .ok();
    assert_eq!(server.asked(), before);
}

/// The replies that are on the disk, by their text.
fn kept(bench: &Bench) -> BTreeSet<String> {
    let folder = bench.path("cache/rows-v1/replies");
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        for part in text.split("\"text\":\"").skip(1) {
            found.extend(part.split('"').next().map(str::to_owned));
        }
    }
    found
}

#[test]
fn nothing_is_lost_across_five_kills() {
    let server = FaultServer::new(faulty);
    let bench = teacher(&server.base_url, 1000, WIDE);
    let mut at_kill: Vec<(BTreeSet<String>, u32)> = Vec::new();
    for round in 1..=5 {
        let errors = bench.path("stderr.txt");
        let mut child = bench
            .command(&["m.toml", "--progress", "none"])
            .stderr(std::fs::File::create(&errors).unwrap())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        while server.answered() < 330 * round {
            assert!(
                child.try_wait().unwrap().is_none(),
                "over before it was killed, in round {round} after {} answers: {}",
                server.answered(),
                std::fs::read_to_string(&errors).unwrap()
            );
            std::thread::sleep(Duration::from_millis(2));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        at_kill.push((kept(&bench), server.answered()));
    }
    let before_last = server.counts();
    bench.run_manifest(&[]).ok();
    assert_whole(&bench, 1000);
    let counts = server.settled(2000);
    assert_eq!(counts.len(), 2000);
    // A server does not see whether a reply arrived where its client was killed: then it is on the disk, or it was
    // asked for again.
    let ever: BTreeSet<&String> = at_kill.iter().flat_map(|(on_disk, _)| on_disk).collect();
    for (request, count) in &counts {
        assert!(
            count.answered >= 1 || ever.contains(&lesson(&asked(request))),
            "{request}"
        );
    }
    // What a kill can cost is what was in flight, at most 32 requests each time.
    let twice: u32 = (counts.values())
        .map(|count| count.answered.saturating_sub(1))
        .sum();
    assert!(twice <= 5 * 32, "{twice} were answered more than once");
    // What was on the disk was never asked for again.
    let (on_disk, _) = at_kill.last().unwrap();
    assert!(on_disk.len() >= 1500, "{}", on_disk.len());
    for (request, count) in &counts {
        let earlier = before_last.get(request).copied().unwrap_or_default();
        if on_disk.contains(&lesson(&asked(request))) {
            assert_eq!(count.asked, earlier.asked, "{request}");
        }
    }
    bench.run(&["cache", "verify"]).ok();
}

/// The request that a key of the server's counts stands for.
fn asked(request: &str) -> Asked {
    Asked {
        method: String::new(),
        path: String::new(),
        authorization: String::new(),
        body: request.splitn(3, ' ').nth(2).unwrap().to_owned(),
        nth: 0,
    }
}

/// Two processes with the same requests on one store: each is asked by one of them.
#[test]
fn requests_in_flight_are_shared_between_processes() {
    let slow = |asked: &Asked| {
        std::thread::sleep(Duration::from_millis(15));
        Act::says(&lesson(asked))
    };
    let server = FaultServer::new(slow);
    let bench = teacher(&server.base_url, 150, "limits.concurrency = 8");
    // Another stage by name and key: the second manifest has fewer questions and another answer prompt.
    let manifest = manifest(&server.base_url, "limits.concurrency = 8");
    let second = manifest.replace("budget = {}", "answer_prompt = \"\"");
    assert_ne!(second, manifest);
    bench.write("m2.toml", second);
    let children = ["m.toml", "m2.toml"].map(|file| {
        let mut command = bench.command(&[file, "--progress", "json"]);
        command
            .stderr(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    });
    for child in children {
        Run::of(&child.wait_with_output().unwrap()).ok();
    }
    let counts = server.settled(300);
    assert_eq!(counts.len(), 300);
    let other = counts.iter().find(|(_, count)| count.answered != 1);
    assert!(other.is_none(), "{other:?}");
}

/// Two questions with the same words are one request, and each has its path.
#[test]
fn equal_requests_are_sent_once() {
    let server = FaultServer::new(|asked: &Asked| Act::says(&lesson(asked)));
    let bench = teacher(&server.base_url, 0, "");
    let row = |id: &str| format!(r#"{{"id":"{id}","question":"Is 4 even?","answer":"yes"}}"#);
    bench.write("train.jsonl", [row("a"), row("b"), row("c")].join("\n"));
    bench.run_manifest(&[]).ok();
    assert_eq!(server.asked(), 2);
    let paths = paths(&bench);
    assert_eq!(paths.len(), 3);
    assert_ne!(paths[0]["row"], paths[1]["row"]);
    assert_eq!(paths[0]["text"], paths[2]["text"]);
}

/// More replies for each question: each is kept by itself, so more of them ask for the rest only.
#[test]
fn more_draws_ask_for_the_rest() {
    let server = FaultServer::new(|asked: &Asked| Act::says(&lesson(asked)));
    let bench = teacher(&server.base_url, 5, "temperature = 0.7");
    let run = |n: u32| {
        let set = format!("stages.teacher.endpoint.n={n}");
        bench.run_manifest(&["--set", &set]).ok();
        server.asked()
    };
    assert_eq!((run(2), run(5), run(3)), (20, 50, 50));
    // With a seed, each draw has its own.
    let seeded = [
        "--set",
        "stages.teacher.endpoint.n=3",
        "--set",
        "stages.teacher.endpoint.seed=7",
    ];
    bench.run_manifest(&seeded).ok();
    let seeds = |seed: u32| {
        let mark = format!("\"seed\":{seed}");
        server
            .counts()
            .keys()
            .filter(|request| request.contains(&mark))
            .count()
    };
    assert_eq!((seeds(7), seeds(8), seeds(9), seeds(10)), (10, 10, 10, 0));
}

/// Ctrl-C: what is in flight comes to its end and is kept, and the same command goes on.
#[cfg(unix)]
#[test]
fn an_interrupt_keeps_what_was_paid_for() {
    let server = FaultServer::new(|asked: &Asked| {
        std::thread::sleep(Duration::from_millis(60));
        Act::says(&lesson(asked))
    });
    let bench = teacher(&server.base_url, 60, "limits.concurrency = 4");
    let child = bench
        .command(&["m.toml"])
        .stderr(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    while server.asked() < 20 {
        std::thread::sleep(Duration::from_millis(2));
    }
    let interrupted = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(interrupted.success());
    let run = Run::of(&child.wait_with_output().unwrap());
    assert_eq!(run.code, Some(130), "{}\n{}", run.stdout, run.stderr);
    assert!(
        run.stderr.contains("goes on where this one stopped"),
        "{}",
        run.stderr
    );
    bench.run_manifest(&[]).ok();
    assert_whole(&bench, 60);
    let counts = server.settled(120);
    assert!(
        counts.values().all(|count| count.answered == 1),
        "nothing was paid twice"
    );
}

/// A declared rate is kept, and a proxy is not asked for this machine's own server.
#[test]
fn a_rate_cap_is_kept() {
    let server = FaultServer::new(|asked: &Asked| Act::says(&lesson(asked)));
    let bench = teacher(&server.base_url, 10, "limits.requests_per_minute = 1200");
    let began = Instant::now();
    let mut command = bench.command(&["m.toml"]);
    command
        .env("HTTP_PROXY", "http://127.0.0.1:9")
        .env("ALL_PROXY", "http://127.0.0.1:9");
    Run::of(&command.output().unwrap()).ok();
    // 20 requests, 50 ms apart; each step starts anew.
    assert!(
        began.elapsed() >= Duration::from_millis(18 * 50),
        "{:?}",
        began.elapsed()
    );
}
