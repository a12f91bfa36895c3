//! A stranger's manifest sends nothing anywhere that the user has not allowed, and says what it would send.
//!
//! 127.0.0.2 is this machine too on Linux, but only for tests: the program takes it for another host.
#![cfg(target_os = "linux")]

use crate::endpoints::{lesson, manifest, teacher};
use crate::fault_server::{Act, Asked, FaultServer};
use crate::harness::{Bench, Run};

const VARIABLE: &str = "SERT_TEST_SECRET";
const PERMISSION: &str = "http://127.0.0.2:SERT_TEST_SECRET";

fn bench() -> (FaultServer, Bench) {
    let server = FaultServer::at("127.0.0.2", |asked: &Asked| {
        assert_eq!(asked.authorization, "Bearer wJalr-0123456789");
        Act::says(&lesson(asked))
    });
    let bench = teacher(
        &server.base_url,
        2,
        &format!("api_key_env = \"{VARIABLE}\""),
    );
    (server, bench)
}

fn run(bench: &Bench, arguments: &[&str]) -> Run {
    let mut command = bench.command(arguments);
    command.env(VARIABLE, "wJalr-0123456789");
    Run::of(&command.output().unwrap())
}

/// The run is refused as bad usage, before anything is sent or made, with the flag that would allow it.
fn assert_refused(server: &FaultServer, run: &Run, permission: &str) {
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    let flag = format!("hint: if you trust it, add --allow-endpoint {permission};");
    for words in [
        "you have not allowed yet",
        "stage teacher",
        "nothing was sent",
        flag.as_str(),
    ] {
        assert!(
            run.stderr.contains(words),
            "`{words}` is not said:\n{}",
            run.stderr
        );
    }
    assert_eq!(server.asked(), 0);
}

#[test]
fn what_a_user_has_not_allowed_is_not_sent() {
    let (server, bench) = bench();
    for style in ["auto", "json", "none"] {
        let refused = run(&bench, &["m.toml", "--progress", style]);
        assert_refused(&server, &refused, PERMISSION);
        assert!(
            refused.stderr.contains(
                "127.0.0.2, with the key in SERT_TEST_SECRET, over http without encryption"
            )
        );
    }
    assert!(!bench.path("cache/rows-v1/replies").exists());
    // Not for another variable, another host, or another way there.
    for other in [
        "http://127.0.0.2",
        "http://127.0.0.2:OTHER",
        "127.0.0.2:SERT_TEST_SECRET",
        "http://127.0.0.3:SERT_TEST_SECRET",
    ] {
        assert_refused(
            &server,
            &run(&bench, &["m.toml", "--allow-endpoint", other]),
            PERMISSION,
        );
    }
    // Nor does a permission for one variable hold for what the manifest says tomorrow.
    let moved = [
        "m.toml",
        "--allow-endpoint",
        PERMISSION,
        "--set",
        "stages.teacher.endpoint.api_key_env=\"HOME\"",
    ];
    assert_refused(&server, &run(&bench, &moved), "http://127.0.0.2:HOME");
    let no_permission = run(&bench, &["m.toml", "--allow-endpoint", "127.0.0.2:8000"]);
    assert_eq!(no_permission.code, Some(2));
    assert!(
        no_permission.stderr.contains("HOST:VARIABLE"),
        "{}",
        no_permission.stderr
    );

    run(&bench, &["m.toml", "--allow-endpoint", PERMISSION]).ok();
    assert_eq!(server.asked(), 4);
    // What is in the store asks nobody, so it needs no permission.
    run(&bench, &["m.toml"]).ok();
    run(&bench, &["show", "m.toml", "teacher"]).ok();
    // Replies that are kept are taken without it, even where the stage is new; a new one is not asked for.
    let renamed = manifest(&server.base_url, &format!("api_key_env = \"{VARIABLE}\""));
    bench.write(
        "n.toml",
        renamed
            .replace("stages.teacher", "stages.other")
            .replace("budget = {}", "prompt = \"{question}\""),
    );
    assert_eq!(run(&bench, &["n.toml"]).code, Some(2));
    assert_eq!(server.asked(), 4);
}

#[test]
fn what_a_user_allowed_once_is_allowed_for_every_manifest() {
    let (server, bench) = bench();
    bench.write("config/sert-run/endpoints", format!("# mine\n{PERMISSION}"));
    run(&bench, &["m.toml"]).ok();
    assert_eq!(server.asked(), 4);
    bench.write("config/sert-run/endpoints", "one two\n");
    let wrong = run(&bench, &["m.toml"]);
    assert_eq!(wrong.code, Some(2));
    assert!(
        wrong.stderr.contains("endpoints:1: `one two` is no HOST"),
        "{}",
        wrong.stderr
    );

    let (server, bench) = self::bench();
    let mut command = bench.command(&["m.toml"]);
    command
        .env(VARIABLE, "wJalr-0123456789")
        .env("SERT_ALLOW_ENDPOINT", format!("api.example,{PERMISSION}"));
    Run::of(&command.output().unwrap()).ok();
    assert_eq!(server.asked(), 4);
}

/// Without a key a host needs leave too: it is sent the questions.
#[test]
fn a_host_without_a_key_is_asked_about_too() {
    let server = FaultServer::at("127.0.0.2", |asked: &Asked| Act::says(&lesson(asked)));
    let bench = teacher(&server.base_url, 2, "");
    assert_refused(&server, &run(&bench, &["m.toml"]), "http://127.0.0.2");
    let offline = run(&bench, &["m.toml", "--offline"]);
    assert_eq!(offline.code, Some(1));
    assert!(
        offline.stderr.contains("may not be used (offline)"),
        "{}",
        offline.stderr
    );
    run(&bench, &["m.toml", "--allow-endpoint", "http://127.0.0.2"]).ok();
    assert_eq!(server.asked(), 4);
}

#[test]
fn a_plan_names_the_host_and_the_variable() {
    let bench = teacher(
        "https://attacker.example/v1",
        2,
        "api_key_env = \"AWS_SECRET_ACCESS_KEY\"",
    );
    let asks = "asks https://attacker.example/v1 with the key in AWS_SECRET_ACCESS_KEY: teacher";
    let flag = ["--allow-endpoint", "attacker.example:AWS_SECRET_ACCESS_KEY"];
    let plan = run(&bench, &["plan", "m.toml"]).ok().stdout;
    let not_yet = format!(
        "{asks}; not allowed yet: `run` asks you, or wants {}\n",
        flag.join(" ")
    );
    assert!(plan.contains(&not_yet), "{plan}");
    let plan = run(&bench, &[&["plan", "m.toml"][..], &flag].concat())
        .ok()
        .stdout;
    assert!(plan.contains(&format!("{asks}\n")), "{plan}");
    let json = run(&bench, &["plan", "m.toml", "--json"]).ok().stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        json["servers"],
        serde_json::json!([{ "base_url": "https://attacker.example/v1", "variable": "AWS_SECRET_ACCESS_KEY", "stages": ["teacher"], "allowed": false }])
    );
    let local = teacher("http://127.0.0.1:8080/v1", 2, "api_key_env = \"K\"");
    let plan = run(&local, &["plan", "m.toml"]).ok().stdout;
    assert!(
        plan.contains("asks http://127.0.0.1:8080/v1 with the key in K: teacher\n"),
        "{plan}"
    );
}
