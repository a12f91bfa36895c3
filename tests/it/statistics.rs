//! What tables and figures claim: unknown is not zero, chance is not certain, and settings are those of the evaluations.
//! Answers come from outside, so no model runs.

use std::fmt::Write as _;

use serde_json::Value;

use crate::harness::{Bench, Run};

/// An imported arm: its name, the outputs, and how they ended where the file says it.
type Arm<'a> = (&'a str, &'a [&'a str], Option<&'a str>);

/// Questions of a split about something, with `gold` answers in turn.
fn questions(split: &str, about: &str, n: usize, gold: &[&str]) -> String {
    let mut text = String::new();
    for i in 0..n {
        let answer = gold[i % gold.len()];
        let _ = writeln!(
            text,
            r#"{{"id":"{split}{i}","question":"Is {about} {i}?","answer":"{answer}"}}"#
        );
    }
    text
}

/// A stage that brings in an arm's answers to the questions `split`, and one that measures them.
fn imported(bench: &Bench, (name, outputs, end): Arm<'_>, split: &str, port: &str) -> String {
    let mut rows = String::new();
    for (i, output) in outputs.iter().enumerate() {
        let end = end.map_or_else(String::new, |end| format!(r#","end":"{end}""#));
        let _ = writeln!(
            rows,
            r#"{{"question_id":"{split}{i}","prompt":"","output":"{output}"{end}}}"#
        );
    }
    bench.write(&format!("{name}.jsonl"), rows);
    format!(
        "[stages.{name}]\nkind = \"import-predictions\"\npath = \"{name}.jsonl\"\n{port}[stages.ev-{name}]\nkind = \"eval\"\npredictions = \"{name}\"\n{port}"
    )
}

/// A manifest of arms over `n` questions with gold answers in turn, and a table of them.
fn bench(n: usize, gold: &[&str], arms: &[Arm<'_>], table: &str) -> Bench {
    let bench = Bench::new("");
    bench.write("train.jsonl", questions("t", "it", 3, gold));
    bench.write("test.jsonl", questions("x", "this", n, gold));
    let mut text = "title = \"s\"\n[data]\ndataset = \"jsonl\"\ntrain_path = \"train.jsonl\"\ntest_path = \"test.jsonl\"\n".to_owned();
    for arm in arms {
        text += &imported(&bench, *arm, "x", "");
    }
    let rows: Vec<String> = (arms.iter())
        .map(|(name, ..)| format!("{{ label = \"{name}\", eval = \"ev-{name}\" }}"))
        .collect();
    let _ = writeln!(text, "[tables.t]\n{table}\nrows = [{}]", rows.join(", "));
    bench.write("m.toml", text);
    bench
}

/// The cells of the first line of a table that begins with `label` and has `with` in it.
fn line(text: &str, label: &str, with: &str) -> Vec<String> {
    let cells = |line: &str| -> Vec<String> {
        let inner = line.trim_start_matches('│').trim_end_matches('│');
        inner
            .split('┆')
            .map(|cell| cell.trim().to_owned())
            .collect()
    };
    let lines = text.lines().filter(|line| line.starts_with('│')).map(cells);
    let mut found =
        lines.filter(|cells| cells[0] == label && cells.iter().any(|c| c.contains(with)));
    found
        .next()
        .unwrap_or_else(|| panic!("{label} {with}:\n{text}"))
}

fn has(run: &Run, parts: &[&str]) {
    for part in parts {
        assert!(run.stdout.contains(part), "{part}:\n{}", run.stdout);
    }
}

fn json(bench: &Bench, arguments: &[&str]) -> Value {
    let run = bench.run(arguments).ok();
    serde_json::from_str(&run.stdout).unwrap()
}

/// Fmt and cut need to know how an answer ended; Rep needs a word.
#[test]
fn what_a_file_does_not_say_is_blank() {
    let yes = ["Yes."; 10];
    let mixed = [
        "Yes.", "", "No.", "", "Yes.", "Yes.", "", "Yes.", "Yes.", "Yes.",
    ];
    let arms: [Arm<'_>; 3] = [
        ("silent", &yes, None),
        ("ended", &mixed, Some("end-of-text")),
        ("cut", &yes, Some("length")),
    ];
    let bench = bench(10, &["yes"], &arms, "metrics = [\"acc\", \"fmt\", \"rep\"]");
    let run = bench.run_manifest(&[]).ok();
    let silent = line(&run.stdout, "silent", "");
    assert_eq!(
        (silent[2].as_str(), silent[5].as_str()),
        ("", ""),
        "{silent:?}"
    );
    let ended = line(&run.stdout, "ended", "");
    assert_eq!(ended[2], "0.70 [0.40, 0.89]"); // three say nothing, and each of the others yes or no once
    assert_eq!(line(&run.stdout, "cut", "")[2], "0.00 [0.00, 0.28]");
    assert_eq!(line(&run.stdout, "cut", "")[5], "10");
    has(
        &run,
        &[
            "How the answers ended is not known, and so neither cut nor Fmt: silent.",
            "ended: 7 of 10 answers have a word; Rep is of these.",
        ],
    );
    let tested = bench
        .run_manifest(&["--set", "tables.t.baseline=\"silent\""])
        .ok();
    has(
        &tested,
        &["No test on Fmt of or against silent: there is no such figure."],
    );
    let shown = bench.run(&["show", "m.toml", "ev-silent"]).ok();
    assert!(!shown.stdout.contains("Ended"), "{}", shown.stdout);
    assert!(
        shown.stdout.contains("is not known, so Fmt is not"),
        "{}",
        shown.stdout
    );
    let json = json(&bench, &["show", "m.toml", "ev-silent", "--json"]);
    assert!(json["format"].get("ended").is_none(), "{json}");
    assert_eq!(json["answered"]["given"]["yes"], 10);

    // Some rows of one file say it: the figures are of these, and a test pairs these.
    let rows = std::fs::read_to_string(bench.path("cut.jsonl")).unwrap();
    let partly: Vec<String> = (rows.lines().enumerate())
        .map(|(i, row)| match i {
            0..4 => row.replace(",\"end\":\"length\"", ""),
            4..9 => row.replace("\"length\"", "\"end-of-text\""),
            _ => row.to_owned(),
        })
        .collect();
    bench.write("cut.jsonl", partly.join("\n"));
    let run = bench
        .run_manifest(&["--set", "tables.t.baseline=\"ended\""])
        .ok();
    let cut = line(&run.stdout, "cut", "of");
    assert!(cut[2].starts_with("0.83 ["), "{cut:?}");
    assert_eq!(cut[5], "1 of 6");
    assert_eq!(line(&run.stdout, "cut", "Fmt")[7], "6");
    has(
        &run,
        &["cut: 6 of 10 answers say how they ended; cut and Fmt are of these."],
    );
}

/// No interval without a width, whatever the data; forms are made again to the same bytes.
#[test]
fn nothing_is_certain_by_chance() {
    let one: [Arm<'_>; 2] = [("a", &["Yes because."], None), ("b", &["No."], None)];
    let alike: [Arm<'_>; 2] = [("a", &["Yes."; 40], None), ("b", &["Yes yes."; 40], None)];
    let interval = regex::Regex::new(r"\[([-+0-9.]+), ([-+0-9.]+)\]").unwrap();
    for (n, arms) in [(1, one), (40, alike)] {
        let bench = bench(n, &["yes"], &arms, "baseline = \"a\"");
        let first = bench.run_manifest(&[]).ok();
        assert_eq!(bench.run_manifest(&[]).ok().stdout, first.stdout);
        assert!(
            line(&first.stdout, "a", "")[2].ends_with(" [-]"),
            "{}",
            first.stdout
        );
        let found: Vec<_> = interval.captures_iter(&first.stdout).collect();
        assert!(found.len() > 4, "{}", first.stdout);
        for found in found {
            assert_ne!(found[1], found[2], "{}", first.stdout);
        }
        for end in ["txt", "md", "csv", "tex", "html", "json"] {
            let name = format!("t.{end}");
            bench.run(&["table", "m.toml", "--out", &name]).ok();
            bench.run(&["table", "m.toml", "--check", &name]).ok();
        }
        let json = std::fs::read_to_string(bench.path("t.json")).unwrap();
        let json: Value = serde_json::from_str(&json).unwrap();
        let mut open = vec![&json];
        while let Some(value) = open.pop() {
            if let Some(low) = value.get("low") {
                assert!(low.as_f64() < value["high"].as_f64(), "{value}");
            }
            match value {
                Value::Array(items) => open.extend(items),
                Value::Object(items) => open.extend(items.values()),
                _ => {}
            }
        }
        // One question proves nothing, however far apart the lengths are.
        if n == 1 {
            assert_eq!(line(&first.stdout, "b", "Len")[4], "1.000");
        }
    }
}

/// Everything that is printed of an evaluation has its confidence.
#[test]
fn settings_travel_with_the_evaluation() {
    let outputs: Vec<&str> = (0..40)
        .map(|i| if i % 3 == 0 { "No." } else { "Yes it is." })
        .collect();
    let end = Some("end-of-text");
    let arms: [Arm<'_>; 2] = [("a", &outputs, end), ("b", &["Yes."; 40], end)];
    let bench = bench(40, &["yes", "no"], &arms, "baseline = \"b\"");
    let run = bench
        .run_manifest(&["--set", "defaults.eval.confidence=0.5"])
        .ok();
    has(&run, &["Brackets: 50 % intervals ("]);
    assert!(!run.stdout.contains("95 %"), "{}", run.stdout);
    // Wilson at 50 % for 20 of 40; at 95 % it would be 35.20 to 64.80.
    assert_eq!(line(&run.stdout, "b", "50.00")[1], "50.00 [44.70, 55.30]");
    assert!(line(&run.stdout, "majority class (`yes`)", "")[1].starts_with("50.00 [44.70"));
    assert_eq!(line(&run.stdout, "chance", "")[1], "50.00");
    let width = |confidence: f64| -> f64 {
        let set = format!("defaults.eval.confidence={confidence}");
        bench.run_manifest(&["--set", &set]).ok();
        let table = json(
            &bench,
            &["table", "m.toml", "--format", "json", "--set", &set],
        );
        let test = &table["tests"][0]["difference"];
        test["high"].as_f64().unwrap() - test["low"].as_f64().unwrap()
    };
    assert!(width(0.5) < 0.5 * width(0.99), "{}", run.stdout);

    // Rows of different settings, each told.
    let run = bench
        .run_manifest(&[
            "--set",
            "stages.ev-a.confidence=0.9",
            "--set",
            "stages.ev-a.max_rep=0.5",
        ])
        .ok();
    has(
        &run,
        &[
            "Brackets: intervals of several confidences, 90 % of majority class (`yes`); a, 95 % of b (",
            "Fmt allows a Rep up to 0.5 of a, 0.75 of b.",
        ],
    );
}

/// Arms with the same answers are one, and a table asks what it says that it asks.
#[test]
fn a_family_counts_different_tests_that_were_asked_for() {
    let some = |right: usize| -> Vec<&'static str> {
        (0..30)
            .map(|i| if i < right { "Yes it is." } else { "No." })
            .collect()
    };
    let (base, better, best) = (some(10), some(20), some(28));
    let arms: [Arm<'_>; 5] = [
        ("base", &base, None),
        ("same", &base, None),
        ("better", &better, None),
        ("again", &better, None),
        ("best", &best, None),
    ];
    let bench = bench(
        30,
        &["yes"],
        &arms,
        "baseline = \"base\"\nmetrics = [\"acc\", \"len\"]",
    );
    let run = bench.run_manifest(&[]).ok();
    has(
        &run,
        &[
            "The same answers: base = same; better = again.",
            "Holm's correction over the 4 tests of this table, rows with the same answers counted once.",
        ],
    );
    let tested = |run: &Run, label: &str| {
        let lines = run.stdout.lines().filter(|line| line.starts_with('│'));
        lines
            .filter(|line| {
                let cells: Vec<&str> = line.split(['│', '┆']).map(str::trim).collect();
                cells[1] == label && (cells[3] == "Acc %" || cells[3] == "Len")
            })
            .count()
    };
    assert_eq!(
        (tested(&run, "same"), tested(&run, "again")),
        (0, 2),
        "{}",
        run.stdout
    );
    let run = bench
        .run_manifest(&[
            "--set",
            "tables.t.tests={ metrics = [\"acc\"], rows = [\"best\"] }",
        ])
        .ok();
    has(&run, &["Holm's correction over the 1 test of this table."]);
    assert_eq!((tested(&run, "better"), tested(&run, "best")), (0, 1));
    // Its own discordance: 18 of 30.
    let best = line(&run.stdout, "best", "Acc %");
    assert_eq!((best[4].as_str(), best[5].as_str()), ("< 0.001", "< 0.001"));
    assert!(best[6].starts_with("38."), "{best:?}");
}

/// Rows over two sets of questions with the same ids: baselines of each, no test between them, and both are told.
#[test]
fn two_sets_of_questions_in_one_table() {
    let arms: [Arm<'_>; 1] = [("a", &["Yes."; 10], None)];
    let bench = bench(10, &["yes", "yes", "no"], &arms, "");
    bench.write("other-train.jsonl", questions("o", "it", 3, &["no"]));
    bench.write(
        "other.jsonl",
        questions("x", "that", 20, &["no", "no", "yes"]),
    );
    let text = std::fs::read_to_string(bench.path("m.toml")).unwrap();
    let (stages, _) = text.split_once("[tables.t]").unwrap();
    let other = imported(
        &bench,
        ("b", &["No."; 20], None),
        "x",
        "questions = \"other.test\"\n",
    );
    bench.write(
        "m.toml",
        format!(
            "{stages}[stages.other]\nkind = \"dataset\"\ndataset = \"jsonl\"\ntrain_path = \"other-train.jsonl\"\ntest_path = \"other.jsonl\"\n{other}[tables.t]\nbaseline = \"a\"\nmetrics = [\"acc\", \"len\"]\nrows = [{{ label = \"a\", eval = \"ev-a\" }}, {{ label = \"b\", eval = \"ev-b\" }}]\n"
        ),
    );
    let run = bench.run_manifest(&[]).ok();
    let majority = |of: &str| line(&run.stdout, of, "")[1].clone();
    assert!(majority("majority class (`yes`), data.test").starts_with("70.00 ["));
    assert!(majority("majority class (`no`), other.test").starts_with("70.00 ["));
    assert_eq!(majority("chance, data.test"), "50.00");
    assert_eq!(line(&run.stdout, "gold, other.test", "")[1], "70.0");
    has(
        &run,
        &[
            "No test of b: it answers other questions, other.test (20 questions), than a, data.test (10 questions).",
            "One answer only, `no` to every question: b.",
        ],
    );
}

/// Seeds that answered other questions, though of the same ids, add theirs, and the table says so.
#[test]
fn seeds_over_other_questions_add_theirs() {
    let arms: [Arm<'_>; 1] = [("a", &["Yes."; 10], None)];
    let bench = bench(10, &["yes"], &arms, "");
    bench.write("other.jsonl", questions("x", "that", 10, &["yes", "no"]));
    let text = std::fs::read_to_string(bench.path("m.toml")).unwrap();
    let swept =
        "\n[sweep.zip]\nseed = [0, 1]\n\"data.test_path\" = [\"test.jsonl\", \"other.jsonl\"]\n";
    bench.write("m.toml", text + swept);
    let run = bench.run_manifest(&[]).ok();
    has(
        &run,
        &[
            "Seeds ask questions of their own: a figure is over those of all of them, and n counts them.",
        ],
    );
    let row = line(&run.stdout, "a", "");
    assert!(row[1].starts_with("75.00 ± 35.36 ["), "{row:?}");
    assert_eq!(row.last().unwrap(), "20", "{row:?}");
}

/// A hole names the stage that failed, not one that did not come to run because of it.
#[test]
fn a_hole_names_what_failed_first() {
    let bench = Bench::new(
        "title = \"h\"\n[data]\ndataset = \"jsonl\"\ntrain_path = \"train.jsonl\"\ntest_path = \"test.jsonl\"\n[student]\nmodel = \"openai-community/gpt2\"\n[stages.answers]\nkind = \"predict\"\n[stages.measured]\nkind = \"eval\"\npredictions = \"answers\"\n[tables.t]\nrows = [{ label = \"a\", eval = \"measured\" }]\n",
    );
    bench.write(
        "train.jsonl",
        "{\"id\": \"t\", \"question\": \"Is it?\", \"answer\": \"yes\"}\n{",
    );
    bench.write("test.jsonl", "");
    for how in ["--fail-fast", "--keep-going"] {
        let run = bench.run_manifest(&[how, "--offline"]);
        assert_eq!(run.code, Some(1), "{}", run.stderr);
        has(&run, &["Holes (-): a: `data` failed: "]);
    }
}

/// A constant answer is seen at a glance, in no wider a table than a terminal is.
#[test]
fn what_was_answered_stands_beside_what_is_right() {
    let outputs: Vec<&str> = (0..20)
        .map(|i| if i < 15 { "No." } else { "Well." })
        .collect();
    let arms: [Arm<'_>; 2] = [("always", &["No."; 20], None), ("mostly", &outputs, None)];
    let bench = bench(20, &["yes", "no", "no", "no"], &arms, "");
    let run = bench.run_manifest(&[]).ok();
    assert_eq!(line(&run.stdout, "gold", "")[1..], ["75.0", "25.0", "", ""]);
    let always = line(&run.stdout, "always", "100.0");
    assert_eq!(always[1..4], ["100.0", "0.0", "0.0"]);
    assert!(always[4].starts_with("50.00 ["), "{always:?}");
    assert_eq!(line(&run.stdout, "mostly", "25.0")[3], "25.0");
    has(
        &run,
        &[
            "One answer only, `no` to every question: always.",
            "One answer only, `no` wherever an answer was read: mostly.",
        ],
    );
    let widest = run.stdout.lines().filter(|line| line.starts_with('│'));
    let widest = widest.map(|line| line.chars().count()).max();
    assert!(widest <= Some(140), "{widest:?}");
    // Where the table has a column of it, it stands there.
    let set = "tables.t.metrics=[\"acc\", \"balanced-acc\"]";
    let run = bench.run_manifest(&["--set", set]).ok();
    assert!(line(&run.stdout, "always", "50.00")[2].starts_with("50.00 ["));
    assert_eq!(line(&run.stdout, "always", "100.0").len(), 4);
}
