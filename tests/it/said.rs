//! What is said is so: what ran stands beside the manifest's words, parts that cannot be made are told and stop no others,
//! a run prints what it was asked for, and pipes get no colours.

use serde_json::json;

use crate::harness::{Bench, Run};
use crate::needs::{Need, skip};

/// Two arms from files: no model.
const BROUGHT: &str = r#"
title = "GPT-2, 1,603 questions"
description = "Of 1,603 questions."

[data]
dataset = "jsonl"
train_path = "train.jsonl"
test_path = "test.jsonl"

[stages.said]
kind = "import-predictions"
path = "said.jsonl"

[stages.said-too]
kind = "import-predictions"
path = "too.jsonl"

[stages.measured]
kind = "eval"
predictions = "said"

[stages.measured-too]
kind = "eval"
predictions = "said-too"

[stages.brought]
kind = "import-paths"
path = "paths.jsonl"

[stages.kept]
kind = "filter"
paths = "brought"
length = { min_tokens = 1 }
perplexity = { enabled = false }

[tables.both]
caption = "All 1,603"
rows = [{ label = "one", eval = "measured" }, { label = "other", eval = "measured-too" }]

[figures.first]
kind = "score-bands"
score = "coherence"
series = [{ label = "brought", paths = "brought" }]

[figures.second]
kind = "funnel"
title = "Of 1,603 questions"
filter = "kept"

[figures.third]
kind = "score-bands"
score = "relevance"
series = [{ label = "brought", paths = "brought" }]
"#;

fn lines(rows: impl IntoIterator<Item = serde_json::Value>) -> String {
    let rows: Vec<String> = rows.into_iter().map(|row| row.to_string()).collect();
    rows.join("\n")
}

/// A folder with four training and three test questions, answers to them, and paths.
fn brought(manifest: &str) -> Bench {
    let bench = Bench::new(manifest);
    let question =
        |id: &str| json!({"id": id, "question": format!("Is it {id}?"), "answer": "yes"});
    bench.write("train.jsonl", lines(["a", "b", "c", "d"].map(question)));
    bench.write("test.jsonl", lines(["x", "y", "z"].map(question)));
    for (file, words) in [("said.jsonl", "yes"), ("too.jsonl", "no")] {
        let answer = |id: &str| json!({"question_id": id, "prompt": "Q", "output": words, "end": "end-of-text"});
        bench.write(file, lines(["x", "y", "z"].map(answer)));
    }
    let path = |id: &str| json!({"question_id": id, "draw": 0, "text": "It is so.", "tokens": [1, 2, 3], "end": "end-of-text"});
    bench.write("paths.jsonl", lines(["a", "b", "c"].map(path)));
    bench
}

#[test]
fn what_ran_stands_beside_the_manifests_words() {
    let bench = brought(BROUGHT);
    let ran = "What ran: jsonl train.jsonl test.jsonl, 3 test questions; answers brought in from said.jsonl; answers brought in from too.jsonl.";
    let run = bench.run(&["m.toml"]).ok();
    let heading = format!("GPT-2, 1,603 questions: All 1,603\n{ran}\n┌");
    assert!(run.stdout.contains(&heading), "{}", run.stdout);
    for form in ["text", "md", "latex", "html", "json"] {
        let table = bench.run(&["table", "m.toml", "--format", form]).ok();
        let count = table.stdout.matches("3 test questions").count();
        assert_eq!(count, 1, "{form}:\n{}", table.stdout);
        assert!(!table.stdout.contains("was changed by"), "{}", table.stdout);
    }

    // Changed from the command line, its words are marked; how it runs is no change, and no folder is told.
    let absolute = format!("stages.said-too.path={}", bench.path("too.jsonl").display());
    let changed = ["--limit", "3", "--set", &absolute, "--set", "run.threads=1"];
    let with = |command: &[&str]| bench.run(&[command, &changed].concat());
    with(&["m.toml"]).ok();
    let caution = "Titles are the manifest's words; the manifest was changed by --limit 3, --set stages.said-too.path=.../too.jsonl.";
    let limited = ran.replace("questions;", "questions (limit 3);");
    let limited = limited.replace("from too.jsonl", "from .../too.jsonl");
    let table = with(&["table", "m.toml"]).ok();
    let heading = format!("All 1,603\n{limited} {caution}\n");
    assert!(table.stdout.contains(&heading), "{}", table.stdout);
    let json = with(&["table", "m.toml", "--format", "json"]).ok();
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["ran"]["changed"][0], "--limit 3");
    with(&["figure", "m.toml", "--figure", "second", "--out", "f"]).ok();
    let svg = std::fs::read_to_string(bench.path("f/second.svg")).unwrap();
    // Each line of text is an element of its own.
    let texts = svg.split('>').filter_map(|part| part.split('<').next());
    let text = texts.map(str::trim).collect::<Vec<_>>().join(" ");
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let text = text.replace("&apos;", "'");
    let below = "What ran: jsonl train.jsonl test.jsonl, 3 training questions (limit 3); paths brought in from paths.jsonl.";
    assert!(text.contains(below) && text.contains(caution), "{text}");
    with(&["report", "m.toml", "--out", "page"]);
    let page = std::fs::read_to_string(bench.path("page/index.html")).unwrap();
    let head = page.split("<main>").next().unwrap();
    for part in [
        "<h1>GPT-2, 1,603 questions</h1>",
        "3 training and 3 test questions (limit 3)",
        "was changed by --limit 3",
    ] {
        assert!(head.contains(part), "{part}: {head}");
    }
    assert!(!page.contains(&bench.path("").display().to_string()));
}

#[test]
fn a_run_of_some_stages_prints_the_tables_that_show_them() {
    let bench = brought(BROUGHT);
    let of = |stage: &str| bench.run(&["m.toml", "--stage", stage]).ok().stdout;
    assert_eq!(of("data"), "");
    assert_eq!(of("said"), "");
    let kept = of("kept");
    assert!(
        kept.contains("which paths were kept") && !kept.contains("All 1,603"),
        "{kept}"
    );
    let measured = of("measured");
    assert!(measured.contains("100.00 ["), "{measured}");
    assert!(
        measured.contains("Holes (-): other: `measured-too` was not asked for."),
        "{measured}"
    );
}

/// The majority is that of the training questions, a limit takes the first ones, tests are corrected for their number,
/// and the record says what was read.
#[test]
fn a_table_is_as_worked_by_hand() {
    let arms = ["none", "all", "half"];
    let mut manifest =
        "[data]\ndataset = \"jsonl\"\ntrain_path = \"train.jsonl\"\ntest_path = \"test.jsonl\"\n"
            .to_owned();
    for arm in arms {
        manifest.extend([format!(
            "\n[stages.{arm}]\nkind = \"import-predictions\"\npath = \"{arm}.jsonl\"\n\n\
             [stages.eval-{arm}]\nkind = \"eval\"\npredictions = \"{arm}\"\n"
        )]);
    }
    let rows = arms.map(|arm| format!("{{ label = \"{arm}\", eval = \"eval-{arm}\" }}"));
    manifest.extend([format!(
        "\n[tables.t]\nmetrics = [\"acc\"]\nbaseline = \"none\"\nrows = [{}]\n",
        rows.join(", ")
    )]);
    let bench = Bench::new(&manifest);
    let question = |id: &str, answer: &str| json!({"id": id, "question": format!("Is it {id}?"), "answer": answer});
    let train = [("a", "no"), ("b", "no"), ("c", "yes"), ("d", "no")];
    bench.write(
        "train.jsonl",
        lines(train.map(|(id, answer)| question(id, answer))),
    );
    let test = ["u", "v", "w", "x", "y", "z"];
    bench.write("test.jsonl", lines(test.map(|id| question(id, "yes"))));
    for (arm, right) in [("none", 0), ("all", 6), ("half", 3)] {
        let answer = |(place, id): (usize, &&str)| {
            let output = if place < right { "yes" } else { "no" };
            json!({"question_id": id, "prompt": "Q", "output": output, "end": "end-of-text"})
        };
        bench.write(
            &format!("{arm}.jsonl"),
            lines(test.iter().enumerate().map(answer)),
        );
    }
    bench.run(&["m.toml"]).ok();
    let table = bench.run(&["table", "m.toml", "--format", "json"]).ok();
    let table: serde_json::Value = serde_json::from_str(&table.stdout).unwrap();
    let value = |label: &str| {
        let mut rows = table["rows"].as_array().unwrap().iter();
        let row = rows.find(|row| row["label"].as_str().unwrap().starts_with(label));
        row.unwrap()["groups"][0]["cells"][0]["value"]
            .as_f64()
            .unwrap()
    };
    for (label, wanted) in [
        ("majority", 0.0),
        ("none", 0.0),
        ("all", 1.0),
        ("half", 0.5),
    ] {
        assert!((value(label) - wanted).abs() < 1e-12, "{label}: {table:#}");
    }
    // Six of six apart: 2 / 64; three of three: 2 / 8. Holm: twice the first.
    let tests = table["tests"].as_array().unwrap();
    let p = |field: &str| -> Vec<f64> {
        tests
            .iter()
            .map(|test| test[field].as_f64().unwrap())
            .collect()
    };
    let close = |found: &[f64], wanted: [f64; 2]| {
        found.len() == 2 && (0..2).all(|at| (found[at] - wanted[at]).abs() < 1e-12)
    };
    assert!(close(&p("p"), [1.0 / 32.0, 0.25]), "{tests:#?}");
    assert!(close(&p("corrected_p"), [1.0 / 16.0, 0.25]), "{tests:#?}");

    let first = bench.run(&["m.toml", "--stage", "data", "--limit", "3"]);
    first.ok();
    let shown = bench
        .run(&["show", "m.toml", "data.train", "--json", "--limit", "3"])
        .ok();
    let ids: Vec<String> = (shown.stdout.lines())
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|row| row["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(ids, ["a", "b", "c"]);

    let mut records = String::new();
    for folder in std::fs::read_dir(bench.path("cache/results-v1")).unwrap() {
        for file in std::fs::read_dir(folder.unwrap().path()).unwrap() {
            records += &std::fs::read_to_string(file.unwrap().path()).unwrap();
        }
    }
    for arm in arms {
        assert!(
            records.contains(&format!("\"path\": \"{arm}.jsonl\"")),
            "{arm}: {records}"
        );
    }
}

/// A yield is of questions, not of paths.
#[test]
fn a_yield_is_as_worked_by_hand() {
    let (head, _) = BROUGHT.split_once("[tables.both]").unwrap();
    let sections = head
        .split("\n\n")
        .filter(|section| !section.contains("said") && !section.contains("measured"));
    let head = sections.collect::<Vec<_>>().join("\n\n");
    let manifest = format!(
        "{head}\n[sweep.grid]\n\"stages.kept.length.min_tokens\" = [1, 3]\n\"stages.kept.repetition.max_rate\" = [0.5, 1.0]\n\n\
         [figures.yield]\nkind = \"heat-map\"\nmeasure = \"yield\"\nx = \"min_tokens\"\ny = \"max_rate\"\nfilter = \"kept\"\n"
    );
    let manifest = manifest.replace(
        "perplexity = {",
        "select = { rule = \"all\" }\nperplexity = {",
    );
    let bench = brought(&manifest);
    // Three paths of one question and a short one of another, of four questions.
    let path = |id: &str, draw: u32, tokens: &[u32]| json!({"question_id": id, "draw": draw, "text": "It is so.", "tokens": tokens, "end": "end-of-text"});
    let paths = [
        path("a", 0, &[1, 2, 3]),
        path("a", 1, &[1, 2, 3]),
        path("a", 2, &[1, 2, 3]),
        path("b", 0, &[1]),
    ];
    bench.write("paths.jsonl", lines(paths));
    bench.run(&["m.toml"]).ok();
    bench.run(&["figure", "m.toml", "--out", "f"]).ok();
    let svg = std::fs::read_to_string(bench.path("f/yield.svg")).unwrap();
    let texts: Vec<&str> = svg.lines().map(str::trim).collect();
    let count = |value: &str| texts.iter().filter(|text| **text == value).count();
    // The scale may say these too.
    assert!(count("50.0") >= 2 && count("25.0") >= 2, "{svg}");
    assert_eq!((count("75.0"), count("100.0")), (0, 0), "{svg}");
}

/// What cannot be drawn or made is told, each with its reason, and the rest is there.
#[test]
fn one_that_cannot_be_made_stops_no_other() {
    let bench = brought(BROUGHT);
    bench.run(&["m.toml"]).ok();
    let told = |run: &Run, of: &[&str]| {
        assert_eq!(run.code, Some(1), "{}", run.stderr);
        let errors = run.stderr.lines().filter(|l| l.starts_with("error: "));
        let errors: Vec<&str> = errors.collect();
        assert_eq!(errors.len(), of.len(), "{errors:?}");
        for (error, name) in errors.iter().zip(of) {
            assert!(error.contains(name), "{name}: {error}");
        }
    };
    let figures = bench.run(&["figure", "m.toml", "--out", "f"]);
    told(
        &figures,
        &["`first` shows `coherence`", "`third` shows `relevance`"],
    );
    let drawn = std::fs::read_dir(bench.path("f")).unwrap();
    let drawn: Vec<_> = drawn.map(|file| file.unwrap().file_name()).collect();
    assert_eq!(drawn, ["second.svg"]);
    let report = bench.run(&["report", "m.toml", "--out", "page"]);
    told(
        &report,
        &["`first` shows `coherence`", "`third` shows `relevance`"],
    );
    let page = std::fs::read_to_string(bench.path("page/index.html")).unwrap();
    assert!(page.contains("the figure `third` shows `relevance`"));
    assert!(bench.path("page/figures/second.svg").exists());

    // Seeds that were measured on different questions have no mean, a hole; where each has a row of its own they do not need one.
    let (head, _) = BROUGHT.split_once("[tables.both]").unwrap();
    let sections = head
        .split("\n\n")
        .filter(|section| !section.contains("-too"));
    let head = sections.collect::<Vec<_>>().join("\n\n");
    let swept = format!(
        "{head}\n[sweep.zip]\nseed = [1, 2]\n\"data.test_path\" = [\"test.jsonl\", \"test-2.jsonl\"]\n\
         \"stages.said.path\" = [\"said.jsonl\", \"said-2.jsonl\"]\n\n\
         [tables.mean]\nrows = [{{ label = \"one\", eval = \"measured\" }}]\n\n\
         [tables.each]\nrow_axes = [\"seed\"]\nrows = [{{ label = \"one\", eval = \"measured\" }}]\n"
    );
    let bench = brought(&swept);
    let two = |text: &str| text.replace("\"x\"", "\"w\"").replace("Is it x", "Is it w");
    for file in ["test", "said"] {
        let text = std::fs::read_to_string(bench.path(&format!("{file}.jsonl"))).unwrap();
        bench.write(&format!("{file}-2.jsonl"), two(&text));
    }
    let stages = ["--stage", "measured", "--progress", "none"];
    let run = bench.run(&[&["m.toml"][..], &stages].concat());
    let hole = "Holes (-): one: compare: one evaluation has 3 questions";
    assert!(run.stdout.contains(hole), "{}", run.stdout);
    let rows = run.stdout.lines().filter(|line| line.contains("┆ one "));
    // Each seed's row, in the results and below.
    assert_eq!(rows.count(), 4, "{}", run.stdout);
    let table = bench.run(&["table", "m.toml"]).ok();
    assert_eq!(table.stdout, run.stdout.trim_end().to_owned() + "\n");
    bench.run(&["report", "m.toml", "--out", "page"]).ok();
    let page = std::fs::read_to_string(bench.path("page/index.html")).unwrap();
    assert!(page.contains("id=\"table-each\"") && page.contains("compare: one evaluation has 3"));
}

/// No command gives a pipe a colour, whatever it says and however much of it.
#[test]
fn pipes_get_no_colours() {
    let bench = brought(BROUGHT);
    bench.write("wrong.toml", BROUGHT.replace("min_tokens", "min_token"));
    let mut said = String::new();
    for arguments in [
        &["m.toml"][..],
        &["wrong.toml"],
        &["plan", "m.toml"],
        &["table", "m.toml"],
        &["show", "m.toml", "measured"],
        &["doctor", "--no-test"],
        &["--help"],
        &["run"],
        &["pln", "m.toml"],
    ] {
        let mut command = bench.command(arguments);
        command
            .env("RUST_LOG", "debug")
            .env("TERM", "xterm-256color");
        command.env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE");
        let run = Run::of(&command.output().unwrap());
        assert!(
            !run.stdout.contains('\u{1b}'),
            "{arguments:?}: {}",
            run.stdout
        );
        assert!(
            !run.stderr.contains('\u{1b}'),
            "{arguments:?}: {}",
            run.stderr
        );
        said += &run.stderr;
    }
    // All of those that style were heard.
    for part in ["DEBUG", "did you mean", "unrecognized subcommand"] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

/// A terminal gets colours unless somebody asks for none, and its lines whatever it can do.
#[cfg(target_os = "linux")]
#[test]
fn terminals_get_what_they_can_show() {
    let bench = brought(BROUGHT);
    bench.write("wrong.toml", BROUGHT.replace("min_tokens", "min_token"));
    let on_terminal = |arguments: &str, variables: &[(&str, &str)]| {
        let program = env!("CARGO_BIN_EXE_sert-run");
        let mut command = std::process::Command::new("script");
        command.args(["-qec", &format!("{program} {arguments}"), "/dev/null"]);
        command.current_dir(bench.path(""));
        command.stdin(std::process::Stdio::null());
        // `CI` is among them: the logs that such machines keep show colours whatever `TERM` says.
        for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "CI", "SERT_CACHE"] {
            command.env_remove(name);
        }
        command.env("TERM", "xterm-256color");
        command.envs(variables.iter().copied());
        command.output().ok().map(|output| Run::of(&output).stdout)
    };
    let Some(coloured) = on_terminal("wrong.toml", &[]) else {
        return skip(Need::Terminal, "there is no `script` to make a terminal");
    };
    assert!(
        coloured.contains("\u{1b}[") && coloured.contains("did you mean"),
        "{coloured:?}"
    );
    for none in [("NO_COLOR", "1"), ("CLICOLOR", "0"), ("TERM", "dumb")] {
        let plain = on_terminal("wrong.toml", &[none]).unwrap();
        assert!(plain.contains("did you mean"), "{none:?}: {plain:?}");
        assert!(!plain.contains('\u{1b}'), "{none:?}: {plain:?}");
    }
    for term in ["xterm-256color", "dumb"] {
        let run = on_terminal(&format!("m.toml --cache {term}"), &[("TERM", term)]).unwrap();
        assert!(
            run.contains("measured-too           ran in"),
            "{term}: {run:?}"
        );
    }
}
