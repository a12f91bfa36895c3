//! Rating sheets, from the store and back.

use crate::harness::Bench;

const RATED: &str = r#"
[data]
dataset = "jsonl"
train_path = "train.jsonl"
test_path = "test.jsonl"

[stages.written]
kind = "import-paths"
path = "written.jsonl"
"#;

/// Two paths to each of three questions, with a judge's scores.
fn bench() -> Bench {
    let bench = Bench::new(RATED);
    let questions: Vec<String> = (0..3)
        .map(|q| format!(r#"{{"id":"gold-{q}","question":"-Is it {q}?","answer":"yes"}}"#))
        .collect();
    bench.write("train.jsonl", questions.join("\n"));
    bench.write(
        "test.jsonl",
        r#"{"id":"t","question":"Was it?","answer":"no"}"#,
    );
    let paths: Vec<String> = (0..6)
        .map(|path| {
            format!(
                r#"{{"question_id":"gold-{}","text":"=path {path}, \"so\"","scores":{{"coherence":{path}.4}}}}"#,
                path % 3
            )
        })
        .collect();
    bench.write("written.jsonl", paths.join("\n"));
    bench.run(&["m.toml"]).ok();
    bench
}

/// The sheet with each row's path number plus `more` as all its ratings.
fn fill(bench: &Bench, from: &str, to: &str, more: usize) {
    let sheet = std::fs::read_to_string(bench.path(from)).unwrap();
    let mut lines = sheet.lines();
    let mut filled = format!("{}\n", lines.next().unwrap());
    for line in lines {
        let number: usize = line.split("path ").nth(1).unwrap()[..1].parse().unwrap();
        let rating = number + more;
        let ratings = format!(",{rating},{rating},{rating},{rating},");
        filled += &line.replace(",,,,,", &ratings);
        filled.push('\n');
    }
    bench.write(to, filled);
}

#[test]
fn a_sheet_goes_out_and_comes_back() {
    let bench = bench();
    let written = bench
        .run(&[
            "rate",
            "sheet",
            "m.toml",
            "written",
            "--out",
            "sheet.csv",
            "--seed",
            "3",
        ])
        .ok();
    assert!(
        written.stderr.contains("wrote 6 of 6 paths"),
        "{}",
        written.stderr
    );
    let sheet = std::fs::read_to_string(bench.path("sheet.csv")).unwrap();
    assert_eq!(sheet.lines().count(), 7);
    assert!(!sheet.contains("gold") && !sheet.contains(".4"), "{sheet}");
    assert!(
        sheet.contains(",'-Is it 0?,\"'=path 0, \"\"so\"\"\","),
        "{sheet}"
    );
    let again = bench.run(&["rate", "sheet", "m.toml", "written", "--out", "sheet.csv"]);
    assert_eq!(again.code, Some(2), "{}", again.stderr);

    fill(&bench, "sheet.csv", "anna.csv", 0);
    fill(&bench, "sheet.csv", "ben.csv", 1);
    let read = |more: &[&str]| {
        let mut arguments = vec!["rate", "read", "m.toml", "written", "anna.csv", "ben.csv"];
        arguments.extend(more);
        bench.run(&arguments)
    };
    let text = read(&["--seed", "3"]).ok().stdout;
    for words in [
        "6 rated items of 3 questions",
        "anna and ben",
        "anna and judge (recorded)",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let json = read(&["--seed", "3", "--json"]).ok().stdout;
    let report: serde_json::Value = serde_json::from_str(&json).unwrap();
    let coherence = &report["criteria"][0];
    assert_eq!(coherence["criterion"], "coherence");
    assert_eq!(coherence["means"][1]["mean"]["value"], 3.5);
    assert_eq!(coherence["agreements"][0]["n"], 6);
    // One apart throughout: 1 - 1 / (twice the variance of 0..5, and 1).
    let kappa = coherence["agreements"][0]["agreement"]["kappa"]["value"]
        .as_f64()
        .unwrap();
    assert!(
        (kappa - (1.0 - 1.0 / (35.0 / 6.0 + 1.0))).abs() < 1e-12,
        "{kappa}"
    );
    // 0.4 is nearest 0, and so on: the judge is anna's equal.
    assert_eq!(
        coherence["agreements"][1]["agreement"]["exact"]["value"],
        1.0
    );
    assert_eq!(report["ratings"].as_array().unwrap().len(), 12);

    let wrong_seed = read(&[]);
    assert_eq!(wrong_seed.code, Some(1), "{}", wrong_seed.stdout);
    for words in [
        "12 faults",
        "anna.csv:2: item `p",
        "ben.csv:7: ",
        "\nhint: ",
    ] {
        assert!(
            wrong_seed.stderr.contains(words),
            "{words}: {}",
            wrong_seed.stderr
        );
    }
    let blank = bench.run(&[
        "rate",
        "read",
        "m.toml",
        "written",
        "sheet.csv",
        "--seed",
        "3",
    ]);
    assert_eq!(blank.code, Some(1));
    assert!(blank.stderr.contains("6 faults"), "{}", blank.stderr);
}

#[test]
fn what_cannot_be_rated() {
    let bench = bench();
    for (stage, code, words) in [
        ("data.test", 2, "expected paths or verdicts"),
        ("writen", 2, "writen"),
        ("written.other", 2, "no output `other`"),
    ] {
        let run = bench.run(&["rate", "sheet", "m.toml", stage, "--out", "s.csv"]);
        assert_eq!(run.code, Some(code), "{stage}: {}", run.stderr);
        assert!(run.stderr.contains(words), "{stage}: {}", run.stderr);
        assert!(!bench.path("s.csv").exists());
    }
    let twice = bench.run(&["rate", "read", "m.toml", "written", "s.csv", "s.csv"]);
    assert_eq!(twice.code, Some(2), "{}", twice.stderr);
    let absent = bench.run(&["rate", "read", "m.toml", "written", "s.csv"]);
    assert_eq!(absent.code, Some(1), "{}", absent.stderr);
    assert!(
        absent
            .stderr
            .contains("\n  s.csv: there is no such file or folder: `s.csv`"),
        "{}",
        absent.stderr
    );
}
