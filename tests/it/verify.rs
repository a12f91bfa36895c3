//! Right answers: checked, filtered by, trained on; and programs of the user's that check and change paths.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::harness::{Bench, Run, TINY};

const RFT: &str = r#"
[stages.brought]
kind = "import-paths"
path = "paths.jsonl"

[stages.checked]
kind = "verify"
paths = "brought"

[stages.right]
kind = "filter"
paths = "checked"
steps = ["correct", { step = "pass_rate", max = 0.95 }, { step = "dedup", by = "text" }, "select"]
select = { rule = "random", keep = 4 }

[stages.rft]
kind = "finetune"
paths = "right"
epochs = 1
"#;

fn rows(bench: &Bench, stage: &str) -> Vec<Value> {
    let shown = bench.run(&["show", "m.toml", stage, "--json"]).ok();
    let lines = shown.stdout.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The rows of `right` where a field is set.
fn rows_with(bench: &Bench, set: &str) -> Vec<Value> {
    let shown = bench.run(&["show", "m.toml", "right", "--json", "--set", set]);
    let shown = shown.ok().stdout;
    let rows = shown
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    rows.collect()
}

fn is_unparsed(path: &Value, name: &str) -> bool {
    let unparsed = path["unparsed"].as_array().into_iter().flatten();
    unparsed.into_iter().any(|it| it == name)
}

/// Five paths to each question: to every third all are right, to the others three of which two say the same, one wrong, one that
/// says nothing. How many questions there are.
fn brought(bench: &Bench) -> usize {
    bench.write("d.toml", TINY);
    bench.run(&["d.toml", "--stage", "data"]).ok();
    let shown = bench.run(&["show", "d.toml", "data.train", "--json"]).ok();
    let questions: Vec<Value> = (shown.stdout.lines())
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let mut rows = String::new();
    for (index, question) in questions.iter().enumerate() {
        let gold = question["answer"].as_str().unwrap();
        let other = if gold == "yes" { "no" } else { "yes" };
        let says = |why: &str, answer: &str| format!(" {why} So the answer is {answer}.");
        let texts = if index % 3 == 0 {
            ["One.", "Two.", "Three.", "Four.", "Five."].map(|why| says(why, gold))
        } else {
            [
                says("One.", gold),
                says("One.", gold),
                says("Two.", gold),
                says("Three.", other),
                " I do not know.".to_owned(),
            ]
        };
        for (draw, text) in texts.into_iter().enumerate() {
            let row = json!({ "question_id": question["id"], "text": text, "draw": draw });
            rows.extend([row.to_string(), "\n".to_owned()]);
        }
    }
    bench.write("paths.jsonl", rows);
    questions.len()
}

#[test]
fn right_answers_are_filtered_and_trained_on() {
    let bench = Bench::new(&format!("{TINY}{RFT}"));
    let questions = brought(&bench);
    let easy = questions.div_ceil(3);
    let others = questions - easy;
    let run = bench.run_manifest(&["--stage", "rft"]).ok();
    let right = 5 * easy + 3 * others;
    let told = format!("{right} of {} paths are right", 5 * questions);
    assert!(run.stderr.contains(&told), "{}", run.stderr);
    let checked = rows(&bench, "checked");
    let mut by_question: BTreeMap<&str, f64> = BTreeMap::new();
    for path in &checked {
        let correct = path["scores"]["correct"].as_f64();
        assert_eq!(correct.is_none(), is_unparsed(path, "correct"), "{path}");
        assert_eq!(correct.is_none(), path["text"] == " I do not know.");
        *by_question
            .entry(path["question_id"].as_str().unwrap())
            .or_default() += correct.unwrap_or(0.0);
    }
    for path in &checked {
        let right = by_question[path["question_id"].as_str().unwrap()];
        let share = path["scores"]["pass_rate"].as_f64().unwrap();
        assert!((share - right / 5.0).abs() < 1e-12, "{path}");
    }
    // Each drop has its reason.
    let verdicts = rows(&bench, "right.verdicts");
    let by = |step: &str| verdicts.iter().filter(|path| path["by"] == step).count();
    assert_eq!(
        ["correct", "pass_rate", "dedup", "select"].map(by),
        [2 * others, 5 * easy, others, 0]
    );
    let funnel = bench.run(&["show", "m.toml", "right.funnel"]).ok().stdout;
    for reason in ["unparsed", "wrong", "too-easy"] {
        assert!(funnel.contains(reason), "{funnel}");
    }
    let kept = rows(&bench, "right");
    assert_eq!(kept.len(), 2 * others);
    assert!(kept.iter().all(|path| path["scores"]["correct"] == 1.0));
    let texts: BTreeSet<(&str, &str)> = kept
        .iter()
        .map(|path| {
            let (id, text) = (&path["question_id"], &path["text"]);
            (id.as_str().unwrap(), text.as_str().unwrap())
        })
        .collect();
    assert_eq!(texts.len(), kept.len(), "each text once");
    // All of it stays; another limit runs no model but the training.
    assert!(
        bench
            .run_manifest(&["--stage", "rft"])
            .ok()
            .ran()
            .is_empty()
    );
    let again = bench.run_manifest(&["--stage", "right", "--set", "stages.right.select.keep=1"]);
    assert_eq!(again.ok().ran(), ["right"]);
    assert_eq!(
        rows_with(&bench, "stages.right.select.keep=1").len(),
        others
    );
}

/// A filter on what nobody verified is refused before anything runs.
#[test]
fn what_nobody_verified_is_told_before_a_run() {
    let bench = Bench::new(&format!(
        "{TINY}\n[stages.right]\nkind = \"filter\"\npaths = \"sampled\"\ncorrect = {{ enabled = true }}\n"
    ));
    let run = bench.run(&["m.toml"]);
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    let told = "no stage before it makes the score `correct`";
    assert!(run.stderr.contains(told), "{}", run.stderr);
}

#[cfg(unix)]
mod programs {
    use super::*;

    const BROUGHT: &str = r#"
[data]
dataset = "jsonl"
train_path = "train.jsonl"
test_path = "test.jsonl"

[stages.brought]
kind = "import-paths"
path = "paths.jsonl"
"#;

    /// The checker of the tests: it goes by a word of the text, notes which lines it is asked, and fails on some.
    fn checker(bench: &Bench) -> String {
        let log = bench.path("log").display().to_string();
        format!(
            r#"while read -r line; do
  id=$(printf '%s' "$line" | sed 's/^{{"id":\([0-9]*\),.*/\1/')
  word=$(printf '%s' "$line" | sed 's/.*"text":"\([a-z]*\)".*/\1/')
  echo "$word" >> '{log}'
  case "$word" in
    crash) echo 'out of luck' >&2; kill -KILL $$ ;;
    bad) echo oops ;;
    silent) ;;
    right) echo "{{\"id\":$id,\"correct\":1}}" ;;
    unknown) echo "{{\"id\":$id,\"correct\":null,\"reason\":\"two answers\"}}" ;;
    *) echo "{{\"id\":$id,\"correct\":0}}" ;;
  esac
done
"#
        )
    }

    fn bench(more: &str, words: &[&str]) -> Bench {
        let bench = Bench::new(&format!("{BROUGHT}{more}"));
        let question = |id: &str| format!(r#"{{"id":"{id}","question":"Is it?","answer":"yes"}}"#);
        bench.write(
            "train.jsonl",
            format!("{}\n{}", question("a"), question("b")),
        );
        bench.write("test.jsonl", question("t").replace("Is", "Was"));
        let path = |(i, word): (usize, &&str)| {
            format!(
                r#"{{"question_id":"{}","text":"{word}","draw":{i}}}"#,
                ["a", "b"][i % 2]
            )
        };
        let paths: Vec<String> = words.iter().enumerate().map(path).collect();
        bench.write("paths.jsonl", paths.join("\n"));
        bench
    }

    fn allowed(bench: &Bench, more: &[&str]) -> Run {
        bench.run_manifest(&[&["--allow-programs"], more].concat())
    }

    const CHECKED: &str = r#"
[stages.checked]
kind = "verify"
paths = "brought"
verifier = "exec"
exec = { program = "check.sh", interpreter = ["sh"], network = true }
"#;

    #[test]
    fn a_program_checks_and_what_it_fails_on_is_unparsed() {
        let words = [
            "right", "wrong", "crash", "right", "bad", "silent", "unknown", "right",
        ];
        let bench = bench(CHECKED, &words);
        bench.write("check.sh", checker(&bench));
        // Not without permission, and `plan` says what would run.
        let refused = bench.run_manifest(&[]);
        assert_eq!(refused.code, Some(2), "{}", refused.stderr);
        for told in [
            "`sh check.sh` (stage checked)",
            "--allow-programs",
            "nothing was run",
        ] {
            assert!(refused.stderr.contains(told), "{}", refused.stderr);
        }
        assert!(!bench.path("log").exists());
        let plan = bench.run(&["plan", "m.toml"]).ok().stdout;
        let told = "runs `sh check.sh`, with the network: checked; `run` wants --allow-programs";
        assert!(plan.contains(told), "{plan}");

        let run = allowed(&bench, &[]).ok();
        let correct: Vec<Option<f64>> = rows(&bench, "checked")
            .iter()
            .map(|path| path["scores"]["correct"].as_f64())
            .collect();
        let (one, zero) = (Some(1.0), Some(0.0));
        assert_eq!(correct, [one, zero, None, one, None, None, None, one]);
        for path in rows(&bench, "checked") {
            let score = path["scores"]["correct"].as_f64();
            assert_eq!(score.is_none(), is_unparsed(&path, "correct"));
            // Of question `a` the right one is the only one that is known; of `b` two of three are right.
            let share = if path["question_id"] == "a" {
                1.0
            } else {
                2.0 / 3.0
            };
            assert_eq!(path["scores"]["pass_rate"], share, "{path}");
        }
        for told in [
            "3 of 8 paths are right, 1 wrong, 0 without an answer, 4 not decided",
            "the program failed: it was ended by signal 9: out of luck (first for question `a`)",
            "the program says: two answers",
            "it wrote a line that is no answer",
        ] {
            assert!(run.stderr.contains(told), "`{told}`:\n{}", run.stderr);
        }
        // It stands with the result, which needs no permission once it is there.
        let hit = bench.run_manifest(&[]).ok();
        assert!(hit.ran().is_empty(), "{}", hit.stderr);
        for told in [
            "when it ran: 8 verified: 3 right, 1 wrong",
            "it was ended by signal 9",
        ] {
            assert!(hit.stderr.contains(told), "{}", hit.stderr);
        }

        // What was answered is kept, row by row; what failed is asked again.
        std::fs::remove_file(bench.path("log")).unwrap();
        let longer = ["--set", "stages.checked.exec.time_limit_s=61"];
        assert_eq!(allowed(&bench, &longer).ok().ran(), ["checked"]);
        let asked = std::fs::read_to_string(bench.path("log")).unwrap();
        let mut asked: Vec<&str> = asked.lines().collect();
        asked.sort_unstable();
        asked.dedup();
        assert_eq!(asked, ["bad", "crash", "silent"]);

        // The program's content is in the key, its place is not.
        assert!(allowed(&bench, &[]).ok().ran().is_empty());
        bench.write("other/check.sh", checker(&bench));
        let moved = ["--set", "stages.checked.exec.program=\"other/check.sh\""];
        assert!(allowed(&bench, &moved).ok().ran().is_empty());
        bench.write(
            "check.sh",
            checker(&bench).replace("*) echo", "wrong) echo"),
        );
        assert_eq!(allowed(&bench, &[]).ok().ran(), ["checked"]);
    }

    #[test]
    fn a_program_that_never_answers_fails_its_stage() {
        let bench = bench(CHECKED, &["right"; 100]);
        bench.write("check.sh", "echo 'No module named sympy' >&2; exit 1");
        let run = allowed(&bench, &[]);
        assert_eq!(run.code, Some(1), "{}", run.stderr);
        for told in [
            "gave no answer",
            "No module named sympy",
            "docs/verifiers.md",
        ] {
            assert!(run.stderr.contains(told), "{}", run.stderr);
        }
        // One that is not there is told with its place in the manifest, before anything runs.
        let missing = ["--set", "stages.checked.exec.program=\"chekc.sh\""];
        let run = allowed(&bench, &missing);
        assert_eq!(run.code, Some(2), "{}", run.stderr);
        assert!(
            run.stderr.contains("stages.checked.exec.program"),
            "{}",
            run.stderr
        );
    }

    const CHANGED: &str = r#"
[stages.changed]
kind = "transform"
paths = "brought"
program = "change.sh"
interpreter = ["sh"]
files = ["with.txt"]
args = ["drop"]
network = true

[stages.kept]
kind = "filter"
paths = "changed"
steps = [{ step = "score", name = "mine", min = 1 }]
"#;

    #[test]
    fn a_program_makes_paths_of_paths() {
        let bench = bench(CHANGED, &["one", "drop", "two"]);
        bench.write("with.txt", "new");
        bench.write(
            "change.sh",
            "test $(wc -l < questions.jsonl) = 2 || exit 7\n\
             grep -v \"\\\"text\\\":\\\"$1\\\"\" | sed \"s/one/$(cat with.txt)/; s/}$/,\\\"scores\\\":{\\\"mine\\\":1}}/\"\n",
        );
        allowed(&bench, &[]).ok();
        let kept = rows(&bench, "kept");
        let texts: Vec<&str> = kept
            .iter()
            .map(|path| path["text"].as_str().unwrap())
            .collect();
        assert_eq!(texts, ["new", "two"]);
        bench.write("with.txt", "newer");
        assert_eq!(allowed(&bench, &[]).ok().ran(), ["changed", "kept"]);
        for (script, told) in [
            ("cat; exit 3", "made no paths: it ended with exit code 3"),
            ("echo oops", "output of change.sh:1:1: "),
            ("echo '{\"question_id\":\"a\"}'", "the row has no `text`"),
            (
                "echo '{\"question_id\":\"t\",\"text\":\"x\"}'",
                "belong to none of the 2 questions",
            ),
        ] {
            bench.write("change.sh", script);
            let run = allowed(&bench, &[]);
            assert_eq!(run.code, Some(1), "{}", run.stderr);
            assert!(run.stderr.contains(told), "`{told}`:\n{}", run.stderr);
        }
    }

    #[test]
    fn an_interrupted_run_ends_its_program() {
        let bench = bench(CHECKED, &["right"]);
        let pid = bench.path("pid");
        bench.write(
            "check.sh",
            format!("sleep 600 & echo $! > '{}'\nwait", pid.display()),
        );
        let child = bench
            .command(&["m.toml", "--allow-programs"])
            .stderr(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let read = || std::fs::read_to_string(&pid).unwrap_or_default();
        for _ in 0..600 {
            if read().ends_with('\n') {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        let interrupted = std::process::Command::new("kill")
            .args(["-INT", &child.id().to_string()])
            .status()
            .unwrap();
        assert!(interrupted.success());
        let run = Run::of(&child.wait_with_output().unwrap());
        assert_eq!(run.code, Some(130), "{}", run.stderr);
        let sleeps = std::process::Command::new("kill")
            .args(["-0", read().trim()])
            .status()
            .unwrap();
        // Where nobody collects what was ended, it is still listed.
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", read().trim()));
        let is_ended = !sleeps.success() || stat.is_ok_and(|stat| stat.contains(") Z "));
        assert!(is_ended, "{}", read());
    }
}
