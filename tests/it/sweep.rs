//! Sweeps: equal work once, kept sets that coincide share what follows, failures are holes, a kill loses nothing.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use sert_run::manifest::{self, Changes};
use sert_run::plan::Plan;
use sert_run::stage::KINDS;

use crate::harness::{Bench, Run, TINY};
use crate::needs::{Need, shared, skip};

/// The tiny experiment at 2 x 2 thresholds and 2 seeds. Of `max_rate`, 0.99 and 1.0 keep the same paths.
fn swept() -> String {
    let sweep = r#"
[sweep]
seeds = [1, 2]

[sweep.grid]
"stages.kept.length.min_tokens" = [2, 12]
"stages.kept.repetition.max_rate" = [0.99, 1.0]
"#;
    TINY.replace("kind = \"pretrain\"", "kind = \"pretrain\"\nseed = 7")
        .replace("epochs = 3", "epochs = 1")
        .replace("epochs = 2", "epochs = 1")
        .replace(
            "rows = [{ label = \"SERT+RD\", eval = \"measured\" }]",
            "rows = [{ label = \"untrained\", eval = \"measured-untrained\" }, { label = \"SERT+RD\", eval = \"measured\" }]\nbaseline = \"untrained\"",
        )
        + FIGURES
        + "\n[stages.answers-untrained]\nkind = \"predict\"\nmax_new_tokens = 32\n"
        + "\n[stages.measured-untrained]\nkind = \"eval\"\npredictions = \"answers-untrained\"\n"
        + sweep
}

const FIGURES: &str = r#"
[figures.accuracy]
kind = "curve"
x = "min_tokens"
rows = [{ label = "SERT+RD", eval = "measured" }, { label = "untrained", eval = "measured-untrained" }]

[figures.yield]
kind = "heat-map"
measure = "yield"
x = "min_tokens"
y = "max_rate"
filter = "kept"

[figures.losses]
kind = "losses"
trainings = ["student", "sert"]
"#;

/// One name for all points, one node for what means the same.
#[test]
fn stages_are_found_by_their_name_in_the_manifest() {
    let bench = Bench::new(&swept());
    let manifest = manifest::load(&bench.path("m.toml"), &Changes::default(), KINDS).unwrap();
    let plan = Plan::new(&manifest).unwrap();
    let kept = plan.needed(&["kept".to_owned()]).unwrap();
    let of_kind = |kind: &str| {
        let nodes = kept
            .iter()
            .filter(|node| plan.node(**node).kind.name() == kind);
        nodes.count()
    };
    assert_eq!(
        (of_kind("filter"), of_kind("sample"), of_kind("pretrain")),
        (8, 2, 1)
    );
    let error = plan.find("kept").unwrap_err().to_string();
    assert!(error.contains("several stages"), "{error}");
    assert!(plan.find("student").is_ok());
    let error = plan.find("kpt").unwrap_err().to_string();
    assert!(error.contains("did you mean `kept`?"), "{error}");
}

fn count(run: &Run, stage: &str) -> usize {
    let of = |name: &String| name == stage || name.starts_with(&format!("{stage}["));
    run.ran().iter().filter(|name| of(name)).count()
}

#[test]
fn a_sweep_does_equal_work_once_and_resumes() {
    let undisturbed = Bench::new(&swept());
    let plan = undisturbed.run(&["plan", "m.toml"]).ok();
    assert!(plan.stdout.contains("8 points: "), "{}", plan.stdout);
    assert!(plan.stdout.contains("finetune up to 8"), "{}", plan.stdout);
    assert!(plan.stdout.contains("filter 8"), "{}", plan.stdout);
    let first = undisturbed.run_manifest(&[]).ok();
    assert_eq!(count(&first, "student"), 1, "{:?}", first.ran());
    assert_eq!(count(&first, "sampled"), 2, "one run for each seed");
    assert_eq!(count(&first, "kept"), 8);
    // Early cut-off: the two rates keep the same paths, so at most 2 lengths x 2 seeds are trained on.
    assert!(
        (2..=4).contains(&count(&first, "sert")),
        "{:?}",
        first.ran()
    );
    assert_eq!(count(&first, "sert"), count(&first, "sert-rd"));
    assert!(
        first.stdout.contains("the same paths as"),
        "{}",
        first.stdout
    );
    assert!(
        first.stdout.contains("standard deviation over seeds (2)"),
        "{}",
        first.stdout
    );
    assert!(
        first.stdout.contains("The same answers: "),
        "{}",
        first.stdout
    );
    assert!(
        first
            .stdout
            .contains("Detectable: the smallest difference that n questions"),
        "{}",
        first.stdout
    );

    // All hits, the same bytes; `table` prints what the run printed.
    let again = undisturbed.run_manifest(&[]).ok();
    assert!(again.ran().is_empty(), "{:?}", again.ran());
    assert_eq!(again.stdout, first.stdout);
    let table = undisturbed.run(&["table", "m.toml"]).ok();
    assert!(
        first.stdout.contains(table.stdout.trim_end()),
        "{}",
        table.stdout
    );

    // A new value runs what is new.
    let more = undisturbed
        .run_manifest(&[
            "--set",
            "sweep.grid.\"stages.kept.length.min_tokens\"=[2, 12, 13]",
        ])
        .ok();
    assert_eq!(count(&more, "sampled"), 0);
    assert_eq!(count(&more, "kept"), 4);
    assert!(count(&more, "sert") <= 2, "{:?}", more.ran());

    // Killed in the middle, then again: the same bytes.
    let killed = Bench::new(&swept());
    kill_after(&killed, 14);
    let resumed = killed.run_manifest(&[]).ok();
    assert_eq!(resumed.stdout, first.stdout);

    forms(&undisturbed);
    latex(&undisturbed);
    figures(&undisturbed);
    walk(&undisturbed);
}

/// Kills the run once so many stages are over.
fn kill_after(bench: &Bench, stages: usize) {
    let mut child = bench
        .command(&["m.toml", "--progress", "json"])
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let over = lines
        .map_while(Result::ok)
        .filter(|line| line.contains("\"stage-finished\""))
        .take(stages)
        .count();
    assert_eq!(over, stages, "the run was over before it could be killed");
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Every form is made again to the same bytes, and `--check` notices a change.
fn forms(bench: &Bench) {
    for end in ["txt", "md", "csv", "tex", "html", "json"] {
        let name = format!("t.{end}");
        bench.run(&["table", "m.toml", "--out", &name]).ok();
        let written = std::fs::read_to_string(bench.path(&name)).unwrap();
        assert!(written.contains("SERT+RD"), "{written}");
        let checked = bench.run(&["table", "m.toml", "--check", &name]).ok();
        assert_eq!(checked.stdout, "");
        bench.write(&name, written.replacen("SERT+RD", "SERT+RX", 1));
        let stale = bench.run(&["table", "m.toml", "--check", &name]);
        assert_eq!(stale.code, Some(1), "{}", stale.stderr);
        assert!(stale.stdout.contains("SERT+RX"), "{}", stale.stdout);
    }
    let unknown = bench.run(&["table", "m.toml", "--table", "result"]);
    assert_eq!(unknown.code, Some(2));
    assert!(
        unknown.stderr.contains("did you mean `results`?"),
        "{}",
        unknown.stderr
    );
}

/// The LaTeX form compiles, where there is a LaTeX.
fn latex(bench: &Bench) {
    bench.run(&["table", "m.toml", "--out", "t.tex"]).ok();
    bench.write(
        "paper.tex",
        "\\documentclass{article}\n\\usepackage{booktabs}\n\\begin{document}\n\\input{t.tex}\n\\end{document}\n",
    );
    let run = std::process::Command::new("pdflatex")
        .args(["-interaction=nonstopmode", "-halt-on-error", "paper.tex"])
        .current_dir(bench.folder.path())
        .output();
    match run {
        Ok(output) => assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stdout)
        ),
        Err(_) => skip(
            Need::Latex,
            "there is no pdflatex to compile the table with",
        ),
    }
}

/// Figures come out the same.
fn figures(bench: &Bench) {
    let draw = |out: &str| {
        let mut arguments = vec!["figure", "m.toml", "--out", out];
        for name in ["accuracy", "yield", "losses"] {
            arguments.extend(["--figure", name]);
        }
        bench.run(&arguments).ok();
    };
    draw("f1");
    draw("f2");
    for name in ["accuracy.svg", "yield.svg", "losses.svg"] {
        let read = |folder: &str| {
            std::fs::read_to_string(bench.path(&format!("{folder}/{name}"))).unwrap()
        };
        assert_eq!(read("f1"), read("f2"));
        assert!(read("f1").starts_with("<svg"), "{}", read("f1"));
    }
    let curve = std::fs::read_to_string(bench.path("f1/accuracy.svg")).unwrap();
    for part in [
        "min_tokens",
        "SERT+RD (max_rate=0.99)",
        "untrained",
        "mean over 2 seeds",
        "0.04M parameters",
    ] {
        assert!(curve.contains(part), "{part}: {curve}");
    }
    bench
        .run(&[
            "figure", "m.toml", "--figure", "yield", "--format", "png", "--out", "f1",
        ])
        .ok();
    assert!(
        std::fs::read(bench.path("f1/yield.png"))
            .unwrap()
            .starts_with(b"\x89PNG")
    );
}

/// From a cell to the stages, the keys and the questions.
fn walk(bench: &Bench) {
    let why = bench.run(&["why", "m.toml", "2 / 1.0 / SERT+RD:acc"]).ok();
    for part in [
        "sampled[seed=1]",
        "sampled[seed=2]",
        "key ",
        "paths <- ",
        "microworld-test-",
        "8 questions",
    ] {
        assert!(why.stdout.contains(part), "{part}:\n{}", why.stdout);
    }
    let json = bench
        .run(&["why", "m.toml", "results:untrained:len", "--json"])
        .ok();
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["measured"][0]["outcomes"].as_array().unwrap().len(), 8);
    let wrong = bench.run(&["why", "m.toml", "untrianed:acc"]);
    assert_eq!(wrong.code, Some(2));
    assert!(
        wrong.stderr.contains("did you mean `untrained`?"),
        "{}",
        wrong.stderr
    );
}

#[test]
fn a_failed_point_is_a_hole_and_the_others_go_on() {
    let text = swept()
        .replace("seeds = [1, 2]", "")
        .replace("[2, 12]", "[2, 100000]")
        .replace("[0.99, 1.0]", "[1.0]");
    let bench = Bench::new(&text);
    let run = bench.run_manifest(&[]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert_eq!(count(&run, "measured"), 1, "{:?}", run.ran());
    assert!(
        run.stdout.contains("Holes (-): 100000 / 1.0 / SERT+RD: `sert[min_tokens=100000]` failed: there is nothing to train on"),
        "{}",
        run.stdout
    );
    let fast = Bench::new(&text).run_manifest(&["--fail-fast"]);
    assert_eq!(fast.code, Some(1));
    assert_eq!(count(&fast, "measured"), 0, "{:?}", fast.ran());
}

/// The paper's row of GPT-3.5 from its published completions, through the manifest of Table II.
#[test]
fn table_2_has_the_teachers_row_as_published() {
    let Some(mirror) = shared("mirror") else {
        return;
    };
    let bench = Bench::new("");
    let manifest = format!("{}/experiments/table2.toml", env!("CARGO_MANIFEST_DIR"));
    let mirror = mirror.to_str().unwrap();
    bench
        .run(&[
            &manifest,
            "--mirror",
            mirror,
            "--stage",
            "eval-gpt35",
            "--stage",
            "eval-gpt35-all",
        ])
        .ok();
    let table = bench.run(&["table", &manifest, "--mirror", mirror]).ok();
    let row: Vec<&str> = (table.stdout.lines())
        .find(|line| line.contains("GPT-3.5"))
        .unwrap()
        .split(['│', '┆'])
        .map(str::trim)
        .collect();
    for (cell, value) in [(3, "53.45"), (5, "76.77"), (6, "0.36")] {
        assert!(row[cell].starts_with(value), "{row:?}");
    }
    for part in [
        "Acc over data.all (2290 questions; unparsed 403, cut by length 647)",
        "the rest over data.test (687 questions",
        "`eval-gpt35` is there only where `data.dataset` is `strategyqa`",
        "53.45 (+0.00, inside)",
        "76.77 (+0.00, inside)",
        "0.36 (+0.00, inside)",
    ] {
        assert!(table.stdout.contains(part), "{part}:\n{}", table.stdout);
    }
}
