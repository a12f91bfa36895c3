//! What a person at a terminal sees: what fits it, how far the run is, what to type next; and what programs get instead.

use serde_json::Value;

use crate::harness::{Bench, Run};
use crate::needs::{Need, skip};

/// The paper's arms, as small as they run: what is kept is whatever was written.
const SMALL: &str = r#"
extends = "BASE"
[data]
dataset = "microworld"
limit = 6
microworld = { entities = 12, train_questions = 12, test_questions = 8, pretrain_questions = 30, fact_repeats = 1 }
[stages.student]
kind = "pretrain"
vocab_size = 300
width = 16
layers = 1
heads = 2
context = 256
epochs = 1
[defaults.sample]
first_tokens = 2
paths_per_first_token = 1
max_new_tokens = 8
[defaults.predict]
max_new_tokens = 6
[defaults.finetune]
epochs = 1
[defaults.distill]
epochs = 1
[stages.kept]
pattern = { enabled = false }
length = { min_tokens = 1 }
repetition = { max_rate = 1.0 }
perplexity = { min_perplexity = 0.0 }
[stages.teacher]
kind = "teach"
recording = "microworld-solver"
# Nobody reads this one: it says what the student answers to the questions that its paths are of.
[stages.predict-train]
kind = "predict"
questions = "data.train"
"#;

fn bench() -> Bench {
    let base = concat!(env!("CARGO_MANIFEST_DIR"), "/experiments/base/arms.toml");
    Bench::new(&SMALL.replace("BASE", base))
}

/// All but one stage of the manifest.
const MOST: &[&str] = &["--stage", "eval-untrained", "--stage", "eval-sert"];

fn widest(text: &str, of: impl Fn(&str) -> bool) -> usize {
    let lines = text.lines().filter(|line| of(line));
    lines
        .map(|line| line.trim_end().chars().count())
        .max()
        .unwrap_or(0)
}

fn in_table(line: &str) -> bool {
    line.starts_with(['┌', '│', '╞', '└', '├'])
}

#[test]
fn tables_fit_what_they_are_printed_on() {
    let bench = bench();
    let run = bench.run(&[&["m.toml", "--quiet"], MOST].concat()).ok();
    assert_eq!(run.stderr, "");
    // A pipe takes any width, and so does a file.
    assert!(widest(&run.stdout, in_table) > 100, "{}", run.stdout);
    let whole = bench.run(&["table", "m.toml"]).ok().stdout;
    let narrow = |arguments: &[&str], columns: &str| {
        let mut command = bench.command(arguments);
        command.env("COLUMNS", columns);
        Run::of(&command.output().unwrap()).ok().stdout
    };
    let wide = narrow(&["table", "m.toml", "--wide"], "60");
    assert_eq!(wide, whole);
    narrow(&["table", "m.toml", "--out", "t.txt"], "60");
    assert_eq!(std::fs::read_to_string(bench.path("t.txt")).unwrap(), whole);
    for columns in ["60", "80"] {
        let room: usize = columns.parse().unwrap();
        for arguments in [
            &["table", "m.toml"][..],
            &["plan", "m.toml"],
            &["show", "m.toml", "kept.funnel"],
            &["show", "m.toml", "eval-sert"],
            &[
                "diff",
                "m.toml",
                "m.toml",
                "--set-b",
                "stages.sert.epochs=2",
            ],
            &["doctor", "--no-test"],
        ] {
            let text = narrow(arguments, columns);
            let found = widest(&text, in_table);
            assert!(found <= room, "{arguments:?} in {columns}: {text}");
        }
        // What is cut in blocks says as much: every figure of a row.
        let text = narrow(&["table", "m.toml"], columns);
        let figures = |text: &str| text.matches(['[', ']']).count();
        assert_eq!(figures(&text), figures(&whole), "{text}");
        let first = text.lines().find(|line| line.starts_with('│')).unwrap();
        assert!(first.contains("Acc %") && first.contains(" n "), "{first}");
    }
}

#[test]
fn programs_are_told_how_far_the_run_is() {
    let bench = bench();
    let run = bench.run_manifest(&["--stage", "eval-sert"]).ok();
    let events: Vec<Value> = run.events().collect();
    let of_run: Vec<&Value> = events.iter().filter_map(|event| event.get("run")).collect();
    let stages = run.ran().len() as u64;
    assert!(
        of_run.iter().all(|run| run["stages"] == stages),
        "{events:?}"
    );
    let at: Vec<u64> = of_run
        .iter()
        .map(|run| run["stage"].as_u64().unwrap())
        .collect();
    assert!(at.is_sorted() && at.last() == Some(&stages), "{at:?}");
    let left = |run: &&&Value| run["seconds_left"].as_f64().is_some_and(|left| left >= 0.0);
    // Once a training has shown how fast this machine is, the time is told.
    let told = of_run.iter().filter(left).count();
    assert!(told > 0, "{events:?}");
    assert_eq!(of_run.last().unwrap()["seconds_left"], 0.0);
    // What ran before takes what it took: told from the first event on.
    let again = bench
        .run_manifest(&["--stage", "eval-sert", "--set", "seed=1"])
        .ok();
    let first = again
        .events()
        .find(|event| event["event"] == "stage-started")
        .unwrap();
    assert!(
        first["run"]["seconds_left"]
            .as_f64()
            .is_some_and(|left| left > 0.0),
        "{first}"
    );
    let notes = events.iter().filter(|event| event["event"] == "note");
    assert!(notes.into_iter().all(|note| note.get("run").is_none()));
}

#[test]
fn a_path_stands_beside_the_answers_before_and_after() {
    let bench = bench();
    let show = [
        "show",
        "m.toml",
        "kept",
        "--answers",
        "--question",
        "microworld-train-0002",
    ];
    let early = bench.run(&show);
    assert!(
        early.code == Some(1) && early.stderr.contains("`data` is not in the store"),
        "{}",
        early.stderr
    );
    bench.run(&[&["m.toml", "--quiet"], MOST].concat()).ok();
    let text = bench.run(&show).ok().stdout;
    let titles: Vec<&str> = text.lines().filter(|line| !line.starts_with(' ')).collect();
    let begin = |place: usize, begins: &str| {
        assert!(
            titles
                .get(place)
                .is_some_and(|title| title.starts_with(begins)),
            "{place}: {text}"
        );
    };
    begin(0, "question microworld-train-0002, gold answer ");
    begin(1, "answer before training, of `predict-untrained`");
    begin(2, "path of `kept`, first token ");
    begin(titles.len() - 1, "answer after training, of `predict-sert`");
    assert!(widest(&text, |_| true) <= 80, "{text}");

    // It is the answer that a stage gives, and was kept as such: the others of the stage are the work that is left.
    let run = bench.run_manifest(&["--stage", "predict-train"]).ok();
    let made = (run.events())
        .filter(|event| event["event"] == "progress" && event["stage"] == "predict-train");
    let answers: Vec<Value> = made
        .filter(|event| event["progress"]["unit"] == "answers")
        .collect();
    assert_eq!(answers.len(), 5, "{answers:?}");
    let rows = bench
        .run(&[
            "show",
            "m.toml",
            "predict-train",
            "--json",
            "--question",
            "microworld-train-0002",
        ])
        .ok();
    let row: Value = serde_json::from_str(rows.stdout.trim()).unwrap();
    let shown = text.split("of `predict-untrained`\n").nth(1).unwrap();
    let shown = shown.split("\npath of").next().unwrap();
    let plain = |text: &str| text.split_whitespace().collect::<String>();
    let output = plain(row["output"].as_str().unwrap());
    let output = if output.is_empty() {
        "(nothing)".to_owned()
    } else {
        output
    };
    assert_eq!(plain(shown), output, "{text}");

    for (arguments, told) in [
        (
            ["kept", "--question", "x"],
            "`data.train` has no question `x`",
        ),
        (
            ["teacher", "--question", "x"],
            "no student of the manifest wrote paths of `teacher`",
        ),
    ] {
        let run = bench.run(&[&["show", "m.toml", "--answers"], &arguments[..]].concat());
        assert!(
            run.code == Some(2) && run.stderr.contains(told),
            "{}",
            run.stderr
        );
    }
}

/// At the end of a run three commands say what there is to see; each of them works.
#[cfg(target_os = "linux")]
#[test]
fn a_terminal_is_told_what_to_type_next() {
    let bench = bench();
    let program = env!("CARGO_BIN_EXE_sert-run");
    let on_terminal = |arguments: &str, term: &str| {
        let mut command = std::process::Command::new("script");
        let line = format!("stty cols 80 rows 40; {program} {arguments}");
        command.args(["-qec", &line, "/dev/null"]);
        command.current_dir(bench.path("")).env("TERM", term);
        command.env_remove("SERT_CACHE").env_remove("COLUMNS");
        command.stdin(std::process::Stdio::null());
        command.output().ok().map(|output| Run::of(&output).stdout)
    };
    let Some(said) = on_terminal(&format!("m.toml {}", MOST.join(" ")), "dumb") else {
        return skip(Need::Terminal, "there is no `script` to make a terminal");
    };
    assert!(widest(&said, in_table) <= 80, "{said}");
    let of_stage = |line: &str| line.contains(" ran in ") || line.contains("tokens/s");
    assert!(
        widest(&said, of_stage) <= 80 && said.contains(" ran in "),
        "{said}"
    );
    let commands: Vec<&str> = said
        .lines()
        .filter_map(|line| line.trim_end().strip_prefix(&format!("  {program} ")))
        .collect();
    assert_eq!(commands.len(), 3, "{said}");
    assert!(
        commands[0].starts_with("show m.toml kept --question microworld-train-"),
        "{said}"
    );
    assert_eq!(
        commands[1],
        "plan m.toml --set stages.kept.length.min_tokens=11"
    );
    assert_eq!(commands[2], "report m.toml --out report");
    for command in commands {
        bench.run(&command.split(' ').collect::<Vec<_>>()).ok();
    }
    assert!(bench.path("report/index.html").exists());
    // With bars, the run has its own line below them.
    let bars = on_terminal(
        &format!("m.toml --set seed=1 {}", MOST.join(" ")),
        "xterm-256color",
    )
    .unwrap();
    assert!(bars.contains("stage 2 of "), "{bars:?}");
    // Who wants silence gets it.
    let quiet = on_terminal("m.toml --quiet --stage kept", "dumb").unwrap();
    assert!(
        !quiet.contains("stages:") && !quiet.contains(program),
        "{quiet}"
    );
}
