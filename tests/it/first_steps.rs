//! A newcomer's first commands: a manifest for a table, the bases of the program, the shell, the manual, the version.

use crate::harness::Bench;

const QUESTIONS: &str = "stem,gold\nIs 1 even?,no\nIs 2 even?,yes\nIs 3 even?,no\nIs 4 even?,yes\n";

#[test]
fn a_table_becomes_a_manifest_that_plans() {
    let bench = Bench::new("");
    bench.write("q.csv", QUESTIONS);
    let init = bench
        .run(&["init", "--data", "q.csv", "--student", "gpt2"])
        .ok();
    assert_eq!(init.stdout, "");
    for part in [
        "q.csv: 4 rows; 3 questions to train on, 1 to measure on; answers: yes or no\n",
        "a guess: question = \"stem\": a column of this name often holds it\n",
        "wrote sert.toml; next:\n  sert-run data sert.toml ",
    ] {
        assert!(init.stderr.contains(part), "{}", init.stderr);
    }
    let wide = init.stderr.lines().find(|line| line.chars().count() > 80);
    assert_eq!(wide, None);
    let plan = bench.run(&["plan", "sert.toml", "--offline"]).ok();
    assert!(plan.stdout.contains("predict-sert"), "{}", plan.stdout);
    let data = bench.run(&["data", "sert.toml", "--offline"]).ok();
    assert!(data.stdout.contains("question    Is "), "{}", data.stdout);
    // It is not written over, and on stdout there is nothing else.
    let again = bench.run(&["init", "--data", "q.csv"]);
    assert_eq!(again.code, Some(2), "{}", again.stderr);
    assert!(
        again.stderr.contains("replace it with `--force`"),
        "{}",
        again.stderr
    );
    let shown = bench
        .run(&["init", "--data", "q.csv", "--student", "gpt2", "-o", "-"])
        .ok();
    let written = std::fs::read_to_string(bench.path("sert.toml")).unwrap();
    assert_eq!(shown.stdout.replace("FILE.toml", "sert.toml"), written);
}

#[test]
fn a_run_tells_what_went_with_a_dropped_stage() {
    let bench = Bench::new(
        "extends = \"builtin:arms\"\nstages.teacher = false\n[data]\ndataset = \"microworld\"\n[student]\nmodel = \"m\"\n",
    );
    let run = bench.run_manifest(&["--stage", "data"]).ok();
    let mut notes = run.events().filter(|event| event["event"] == "note");
    let told = notes.any(|note| {
        let text = note["message"].as_str().unwrap_or_default();
        text.starts_with("note: `teacher` is dropped, and with it the stages `rd`")
    });
    assert!(told, "{}", run.stderr);
    // Looking at what is there is no occasion for it.
    assert!(!bench.run(&["table", "m.toml"]).stderr.contains("dropped"));
}

#[test]
fn bases_the_shell_the_manual_and_the_version() {
    let bench = Bench::new(crate::harness::TINY);
    let base = include_str!("../../experiments/base/arms.toml");
    assert_eq!(bench.run(&["builtin", "builtin:arms"]).ok().stdout, base);
    assert!(
        bench
            .run(&["builtin"])
            .ok()
            .stdout
            .contains("builtin:arms-without-teacher\n")
    );
    let stranger = bench.run(&["builtin", "armz"]);
    assert_eq!(
        (
            stranger.code,
            stranger.stderr.contains("did you mean `arms`?")
        ),
        (Some(2), true)
    );

    let bash = bench.run(&["completions", "bash"]).ok().stdout;
    assert!(
        bash.contains("COMPLETE=\"bash\"") && bash.contains(" sert-run\n"),
        "{bash}"
    );
    let asked = |words: &[&str]| {
        let mut command = bench.command(&[&["--"][..], words].concat());
        command
            .env("COMPLETE", "bash")
            .env("_CLAP_IFS", "\n")
            .env("_CLAP_COMPLETE_COMP_TYPE", "9")
            .env("_CLAP_COMPLETE_INDEX", (words.len() - 1).to_string());
        let output = command.output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(asked(&["sert-run", "show", "m.toml", "kep"]), "kept");
    assert_eq!(
        asked(&["sert-run", "m.toml", "--stage", "sert"]),
        "sert\nsert-rd"
    );
    assert_eq!(
        asked(&["sert-run", "table", "m.toml", "--table", ""]),
        "results"
    );

    bench.run(&["man", "man1"]).ok();
    for page in ["sert-run.1", "sert-run-init.1", "sert-run-cache-gc.1"] {
        assert!(
            std::fs::metadata(bench.path("man1").join(page))
                .unwrap()
                .len()
                > 200,
            "{page}"
        );
    }
    let version = bench.run(&["--version"]).ok().stdout;
    let lines: Vec<&str> = version.lines().collect();
    assert_eq!(lines[0], concat!("sert-run ", env!("CARGO_PKG_VERSION")));
    for (line, name) in lines[1..]
        .iter()
        .zip(["commit: ", "features: ", "target: "])
    {
        assert!(
            line.starts_with(name) && line.len() > name.len() + 2,
            "{version}"
        );
    }
    assert_eq!(bench.run(&["-V"]).ok().stdout, format!("{}\n", lines[0]));
}
