//! What is printed for a person, and that outside text sets no terminal's colours.

use std::process::Stdio;

use crate::harness::{Bench, Run, TINY};

/// Answers that were made elsewhere, measured: no model, so it runs in an instant.
const OUTSIDE: &str = r#"
[data]
dataset = "jsonl"
train_path = "train.jsonl"
test_path = "test.jsonl"

[stages.said]
kind = "import-predictions"
path = "said.jsonl"

[stages.measured]
kind = "eval"
predictions = "said"

[tables.t]
caption = "Outside"
rows = [{ label = "mine\u001b[31m", eval = "measured" }]
"#;

/// Three yes/no questions, and two students: A is right on the first, B on the second and third.
fn outside() -> Bench {
    let bench = Bench::new(OUTSIDE);
    bench.write(
        "train.jsonl",
        r#"{"id":"t","question":"Was it?","answer":"no"}"#,
    );
    bench.write(
        "test.jsonl",
        [
            r#"{"id":"one","question":"Is\u001b[31m it?","answer":"yes"}"#,
            r#"{"id":"two","question":"Is it not?","answer":"no"}"#,
            r#"{"id":"three\u001b[2J","question":"Will it be?","answer":"yes"}"#,
        ]
        .join("\n"),
    );
    bench.write("said.jsonl", said(["yes", "yes", "no"]));
    bench.write("other.jsonl", said(["no", "no", "yes"]));
    bench
}

fn said(answers: [&str; 3]) -> String {
    let ids = ["one", "two", "three\\u001b[2J"];
    let rows = ids.iter().zip(answers).map(|(id, answer)| {
        format!(
            "{{\"question_id\":\"{id}\",\"prompt\":\"Q\",\"output\":\"So\\u001b[31m {answer}\",\
             \"option_log_probs\":[-1.0,-2.0],\"end\":\"unknown\"}}"
        )
    });
    rows.collect::<Vec<_>>().join("\n")
}

#[test]
fn outside_text_sets_no_colours() {
    let bench = outside();
    let run = bench.run(&["m.toml"]).ok();
    assert!(run.stdout.contains(r"mine\u{1b}[31m"), "{}", run.stdout);
    assert!(
        run.stdout.contains("No row shows the untrained student"),
        "{}",
        run.stdout
    );
    for (what, word) in [
        ("data.test", r"Is\u{1b}[31m it?"),
        ("said", r"So\u{1b}[31m yes"),
        ("measured", r"three\u{1b}[2J"),
    ] {
        let shown = bench.run(&["show", "m.toml", what]).ok();
        assert!(shown.stdout.contains(word), "{}", shown.stdout);
    }
}

/// Control characters that JSON leaves as they are, and what a terminal would make something of.
#[test]
fn data_is_written_as_it_is() {
    let bench = outside();
    let odd = "a\u{7f}b\u{9b}31mc\u{202e}";
    bench.write(
        "m.toml",
        OUTSIDE.replace("mine\\u001b[31m", &odd.replace('\u{7f}', "\\u007f")),
    );
    bench.write("said.jsonl", said(["yes", "yes", "no"]).replace("So", odd));
    let run = bench.run(&["m.toml"]).ok();
    assert!(!run.stdout.contains('\u{7f}'), "{}", run.stdout);
    bench.run(&["export", "m.toml", "said", "said.out"]).ok();
    let shown = bench.run(&["show", "m.toml", "said", "--json"]).ok();
    let written = std::fs::read_to_string(bench.path("said.out")).unwrap();
    assert!(written.contains(odd) && shown.stdout == written);
    for form in ["json", "csv", "html", "tex", "md"] {
        let file = format!("t.{form}");
        bench.run(&["table", "m.toml", "--out", &file]).ok();
        let format = if form == "tex" { "latex" } else { form };
        let shown = bench.run(&["table", "m.toml", "--format", format]).ok();
        let written = std::fs::read_to_string(bench.path(&file)).unwrap();
        assert_eq!(shown.stdout, written, "{form}");
        // Those two write such characters in a way of their own.
        let own = ["md", "tex"].contains(&form);
        assert_eq!(written.contains(odd), !own, "{form}: {written}");
    }
    let plan = bench.run(&["plan", "m.toml", "--json"]).ok();
    serde_json::from_str::<serde_json::Value>(&plan.stdout).unwrap();
    let cell = format!("{odd}:acc");
    let why = bench.run(&["why", "m.toml", &cell, "--json"]).ok();
    assert!(why.stdout.contains(odd), "{}", why.stdout);
}

#[test]
fn json_obeys_question_and_rows() {
    let bench = outside();
    bench.run(&["m.toml"]).ok();
    let rows = |more: &[&str]| {
        let mut arguments = vec!["show", "m.toml", "said", "--json"];
        arguments.extend(more);
        let shown = bench.run(&arguments).ok();
        let ids = shown.stdout.lines().map(|line| {
            let row: serde_json::Value = serde_json::from_str(line).unwrap();
            row["question_id"].as_str().unwrap().to_owned()
        });
        ids.collect::<Vec<_>>()
    };
    assert_eq!(rows(&[]).len(), 3);
    assert_eq!(rows(&["--rows", "2"]), ["one", "two"]);
    assert_eq!(rows(&["--question", "two"]), ["two"]);
    let shown = bench
        .run(&["show", "m.toml", "measured", "--json", "--question", "two"])
        .ok();
    let evaluation: serde_json::Value = serde_json::from_str(&shown.stdout).unwrap();
    assert_eq!(evaluation["outcomes"].as_array().unwrap().len(), 1);
    assert_eq!(evaluation["accuracy"]["n"], 3);
}

#[test]
fn diff_says_who_became_right_and_who_wrong() {
    let bench = outside();
    bench.run(&["m.toml"]).ok();
    bench
        .run(&["m.toml", "--set", "stages.said.path=other.jsonl"])
        .ok();
    let arguments = [
        "diff",
        "m.toml",
        "m.toml",
        "--set-b",
        "stages.said.path=other.jsonl",
    ];
    let short = bench.run(&arguments).ok();
    for word in [
        "Acc (options) %",
        "both right 0, only A 1, only B 2, both wrong 0",
    ] {
        assert!(short.stdout.contains(word), "{word}: {}", short.stdout);
    }
    assert!(!short.stdout.contains("right in B"), "{}", short.stdout);
    let mut arguments = arguments.to_vec();
    arguments.push("--questions");
    let long = bench.run(&arguments).ok();
    for word in [
        "right in B, wrong in A: 2",
        "wrong in B, right in A: 1",
        "    one  gold yes\n    A said yes: So\\u{1b}[31m yes\n    B said no: So\\u{1b}[31m no\n",
        "    three\\u{1b}[2J  gold yes\n    A said no",
    ] {
        assert!(long.stdout.contains(word), "{word}: {}", long.stdout);
    }
}

#[test]
fn events_are_json_lines_and_nothing_else() {
    let bench = outside();
    bench.run(&["m.toml"]).ok();
    bench.write("cache/index-v1.sqlite", "damaged ".repeat(1000));
    let run = bench.run_manifest(&[]).ok();
    let notes: Vec<serde_json::Value> = run
        .stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}")))
        .filter(|event: &serde_json::Value| event["event"] == "note" && event["stage"] == "")
        .collect();
    assert!(
        notes.iter().any(|note| note["level"] == "warning"
            && note["message"].as_str().unwrap().contains("index")),
        "{}",
        run.stderr
    );
}

/// `sert-run m.toml | true`: nobody reads the tables, and the failure is told all the same.
#[test]
fn a_reader_that_goes_away_changes_no_exit_code() {
    let bench = outside();
    let without_reader = || {
        let mut child = bench
            .command(&["m.toml"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        Run::of(&child.wait_with_output().unwrap())
    };
    without_reader().ok();
    bench.write("said.jsonl", "{\"question_id\":\"one\"}\n");
    let failed = without_reader();
    assert_eq!(failed.code, Some(1), "{}", failed.stderr);
    assert!(
        failed.stderr.contains("error: stage `said`"),
        "{}",
        failed.stderr
    );
    // Nor is there a panic where nobody reads stderr.
    let mut child = bench
        .command(&["m.toml"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_under_the_tables_is_an_error() {
    let bench = outside();
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let run = Run::of(&bench.command(&["m.toml"]).stdout(full).output().unwrap());
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(run.stderr.contains("0 failed"), "{}", run.stderr);
    assert!(
        run.stderr.contains("could not be written to stdout"),
        "{}",
        run.stderr
    );
}

#[test]
fn the_funnel_is_printed_and_gc_is_careful() {
    let bench = Bench::new(TINY);
    let run = bench.run(&["m.toml", "--stage", "kept"]).ok();
    assert!(
        run.stdout.starts_with("kept: which paths were kept"),
        "{}",
        run.stdout
    );
    assert!(run.stdout.contains("The kept paths: "), "{}", run.stdout);
    assert!(
        !run.stdout.contains("SERT+RD"),
        "no row of the table ran: {}",
        run.stdout
    );

    // The keys below `teacher`, which did not run, are not known.
    let refused = bench.run(&["cache", "gc", "m.toml"]);
    assert_eq!(refused.code, Some(2), "{}", refused.stdout);
    for word in ["not known yet: ", "answers", "measured", "--force"] {
        assert!(refused.stderr.contains(word), "{word}: {}", refused.stderr);
    }
    let forced = bench.run(&["cache", "gc", "m.toml", "--force"]).ok();
    assert!(
        forced.stdout.contains("deleted 0 results"),
        "{}",
        forced.stdout
    );
}
