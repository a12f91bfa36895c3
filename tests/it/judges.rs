//! Judges: by a server's model, whose replies are read, and by a student; and filters on their scores.

use serde_json::Value;

use crate::endpoints::lesson;
use crate::fault_server::{Act, Asked, FaultServer};
use crate::harness::{Bench, TINY};

fn scores(c: &str, r: &str, l: &str, k: &str) -> String {
    format!(
        "- Score for Coherence: {c}\n- Score for Relevance: {r}\n- Score for Logical Consistency: {l}\n- Score for Completeness: {k}\nA sentence."
    )
}

fn judge(asked: &Asked) -> Act {
    let prompt = asked.prompt();
    if !prompt.contains("Score for") {
        return Act::says(&lesson(asked));
    }
    assert!(prompt.contains("\nQuestion: Is ") && prompt.contains("\nResponse: reasoning about "));
    assert!(!prompt.contains('{'), "{prompt}");
    let says = |text: &str| prompt.contains(&format!("Is {text} even?"));
    Act::says(&if says("0") {
        scores("[8]", "[7]", "[9]", "[6]")
    } else if says("1") {
        scores("**8**/10", "7/10", "9 out of 10", "6.")
    } else if says("2") {
        scores("7-8", "7", "9", "6")
    } else if says("3") {
        "I would rather not.".to_owned()
    } else {
        scores("2", "2", "2", "2")
    })
}

const JUDGED: &str = r#"
[stages.judged]
kind = "judge"
paths = "teacher"
prefix = "tiny-"
endpoint = { base_url = "SERVER", model = "tiny", max_tokens = 200 }

[stages.good]
kind = "filter"
paths = "judged"
pattern = { enabled = false }
length = { enabled = false }
repetition = { enabled = false }
perplexity = { enabled = false }
scores = [{ name = "tiny-coherence", min = 5 }, { name = "tiny-judge", min = 5 }]
select = { rule = "highest-score", score = "tiny-judge" }
"#;

fn rows(bench: &Bench, stage: &str) -> Vec<Value> {
    let shown = bench.run(&["show", "m.toml", stage, "--json"]).ok();
    let rows = shown.stdout.lines().map(serde_json::from_str);
    rows.collect::<Result<_, _>>().unwrap()
}

#[test]
fn scores_are_read_and_filtered_and_unparsed_ones_are_told() {
    let server = FaultServer::new(judge);
    let bench = crate::endpoints::teacher(&server.base_url, 6, "");
    let mut manifest = crate::endpoints::manifest(&server.base_url, "");
    manifest += &JUDGED.replace("SERVER", &server.base_url);
    bench.write("m.toml", &manifest);
    let run = bench.run_manifest(&[]).ok();
    for word in [
        "6 judged, 2 (33.3 %) unparsed (coherence 2, completeness 1, logical_consistency 1, relevance 1)",
        "`tiny-judge` is 4.75 of 10 on average",
    ] {
        assert!(
            run.stderr.contains(word),
            "`{word}` is not said:\n{}",
            run.stderr
        );
    }
    let judged = rows(&bench, "judged");
    for path in &judged[..2] {
        assert_eq!(
            path["scores"],
            serde_json::json!({ "tiny-coherence": 8.0, "tiny-completeness": 6.0, "tiny-judge": 7.5, "tiny-logical_consistency": 9.0, "tiny-relevance": 7.0 })
        );
    }
    assert_eq!(judged[2]["scores"]["tiny-relevance"], 7.0);
    assert_eq!(
        judged[2]["unparsed"],
        serde_json::json!(["tiny-coherence", "tiny-judge"])
    );
    assert_eq!(judged[3].get("scores"), None);

    // In the funnel, unparsed is a rule of its own; nobody crashes and nobody guesses.
    let cells: Vec<Vec<&str>> = run
        .stdout
        .lines()
        .map(|line| line.split(['│', '┆']).map(str::trim).collect())
        .collect();
    let row = |name: &str| {
        cells
            .iter()
            .position(|row| row.get(1) == Some(&name))
            .unwrap()
    };
    let step = row("score tiny-coherence");
    assert_eq!(cells[step][2..4], ["4", "2"]);
    assert_eq!(
        (cells[step + 1][1], cells[step + 1][2]),
        ("out-of-range", "2")
    );
    assert_eq!((cells[step + 2][1], cells[step + 2][2]), ("unparsed", "2"));
    assert_eq!(rows(&bench, "good").len(), 2);
    let shown = bench.run(&["show", "m.toml", "judged"]).ok();
    assert!(
        shown
            .stdout
            .contains("unparsed: tiny-coherence, tiny-judge"),
        "{}",
        shown.stdout
    );
    assert!(
        shown.stdout.contains("6 judged, 2 (33.3 %) unparsed"),
        "{}",
        shown.stdout
    );
    // Raw replies are kept: another way of reading them would ask nothing.
    let kept = std::fs::read_dir(bench.path("cache/rows-v1/replies")).unwrap();
    let raw: Vec<u8> = kept
        .flat_map(|entry| std::fs::read(entry.unwrap().path()).unwrap())
        .collect();
    assert!(String::from_utf8_lossy(&raw).contains("I would rather not."));

    // A judge that was not asked for a score is another thing than one whose score is unparsed: told before a run.
    bench.write("m.toml", manifest.replace("tiny-judge", "llama-judge"));
    let run = bench.run_manifest(&[]);
    assert_eq!(run.code, Some(2));
    assert!(
        run.stderr.contains("`llama-judge`") && run.stderr.contains("m.toml:"),
        "{}",
        run.stderr
    );
}

/// Several replies: a score is the mean over those in which it can be read.
#[test]
fn more_replies_make_a_mean() {
    let server = FaultServer::new(|asked: &Asked| {
        let seed = asked.json()["seed"].as_u64();
        Act::says(&match seed {
            None => lesson(asked),
            Some(5) => scores("4", "4", "4", "4"),
            Some(6) => scores("8", "8", "8", "high"),
            Some(seed) => panic!("seed {seed}"),
        })
    });
    let bench = crate::endpoints::teacher(&server.base_url, 2, "");
    let judged = JUDGED
        .replace("SERVER", &server.base_url)
        .replace("max_tokens = 200", "n = 2, seed = 5, temperature = 1");
    bench.write(
        "m.toml",
        crate::endpoints::manifest(&server.base_url, "") + &judged,
    );
    bench.run_manifest(&["--stage", "judged"]).ok();
    let judged = rows(&bench, "judged");
    assert_eq!(judged[0]["scores"]["tiny-coherence"], 6.0);
    assert_eq!(judged[0]["scores"]["tiny-completeness"], 4.0);
    assert_eq!(judged[0]["scores"]["tiny-judge"], 5.5);
}

/// A student judges by its expected score; answers on the test split may be judged, and lead nowhere
/// else.
#[test]
fn a_student_judges_paths_and_answers() {
    let more = r#"
[stages.judged]
kind = "judge"
paths = "kept"
model = "student"

[stages.answers-judged]
kind = "judge"
predictions = "answers"
questions = "data.test"
model = "student"
criteria = ["coherence"]
"#;
    let manifest = format!("{TINY}{more}");
    let bench = Bench::new(&manifest);
    bench.run_manifest(&[]).ok();
    let (judged, answers) = (rows(&bench, "judged"), rows(&bench, "answers-judged"));
    assert_eq!((judged.len(), answers.len()), (12, 8));
    let four = [
        "coherence",
        "relevance",
        "logical_consistency",
        "completeness",
    ];
    for (paths, criteria) in [(&judged, &four[..]), (&answers, &four[..1])] {
        for path in paths {
            let scores = path["scores"].as_object().unwrap();
            assert_eq!(scores.len(), criteria.len() + 1, "{path}");
            let score = |name: &str| scores[name].as_f64().unwrap();
            let sum: f64 = criteria.iter().map(|name| score(name)).sum();
            let mean = sum / criteria.len() as f64;
            assert!((score("judge") - mean).abs() < 1e-12, "{path}");
            assert!(
                scores
                    .keys()
                    .all(|name| (0.0..=10.0).contains(&score(name)))
            );
        }
    }
    let again = bench
        .run_manifest(&["--set", "stages.judged.prefix=\"s-\""])
        .ok();
    assert_eq!(again.ran(), ["judged"]);
    assert_eq!(again.progress_events("judged"), 0, "scores are rows");

    let leak =
        format!("{manifest}\n[stages.cheat]\nkind = \"finetune\"\npaths = \"answers-judged\"\n");
    let refused = Bench::new(&leak).run(&["m.toml"]);
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("test data"), "{}", refused.stderr);
}

#[test]
fn who_judges_what_is_checked_at_load() {
    for (more, word) in [
        ("paths = \"kept\"", "nobody is named who judges"),
        ("model = \"student\"", "nothing is named to be judged"),
        (
            "paths = \"kept\"\nmodel = \"student\"\nprompt = \"Rate {response}\"",
            "no place for {question}",
        ),
        (
            "paths = \"kept\"\nmodel = \"student\"\ncriteria = [\"Big One\"]",
            "does not have the form",
        ),
        (
            "paths = \"kept\"\nmodel = \"student\"\nendpoint = { base_url = \"http://a/v1\", model = \"m\" }",
            "not both",
        ),
    ] {
        let run = Bench::new(&format!(
            "{TINY}\n[stages.judged]\nkind = \"judge\"\n{more}\n"
        ))
        .run(&["m.toml"]);
        assert_eq!(run.code, Some(2), "{more}");
        assert!(
            run.stderr.contains(word) && run.stderr.contains("m.toml:"),
            "{more}: {}",
            run.stderr
        );
    }
}
