//! The family of self-training methods on a tiny world: unions, rationalization, merged models, overlap with test data.

use crate::harness::{Bench, TINY};

/// The tiny experiment's data and student.
fn head() -> &'static str {
    TINY.split_once("[stages.sampled]").unwrap().0
}

const STAGES: &str = r#"
[defaults.sample]
first_tokens = 2
paths_per_first_token = 2
max_new_tokens = 12

[defaults.finetune]
epochs = 1

[stages.sampled]
kind = "sample"

[stages.more]
kind = "sample"
seed = 8

[stages.hinted]
kind = "sample"
hint = "answer"

[stages.clean]
kind = "overlap"
paths = ["sampled", "more", "hinted"]
n = 6
on_exceed = "drop"

[stages.star]
kind = "finetune"
paths = "clean"
append_answer = "gold"

[stages.ssd]
kind = "finetune"
paths = ["sampled", "more"]
append_answer = false

[stages.soup]
kind = "merge"
models = ["student", "star", "ssd"]
weights = [2, 1, 1]

[stages.same]
kind = "merge"
models = ["star", "star"]

[stages.answers]
kind = "predict"
model = "soup"
max_new_tokens = 8

[stages.measured]
kind = "eval"
predictions = "answers"

[tables.results]
caption = "methods"
rows = [{ label = "soup", eval = "measured" }]
"#;

#[test]
fn a_methods_manifest_runs_and_its_lists_are_stages() {
    let bench = Bench::new(&format!("{}{STAGES}", head()));
    let first = bench.run_manifest(&[]).ok();
    let ran = first.ran();
    for stage in [
        "sampled+more+hinted",
        "sampled+more",
        "clean",
        "soup",
        "same",
    ] {
        assert!(ran.iter().any(|name| name == stage), "{stage}: {ran:?}");
    }
    assert!(
        first
            .stderr
            .contains("were written with the answer in the prompt"),
        "{}",
        first.stderr
    );
    assert!(bench.run_manifest(&[]).ok().ran().is_empty());

    // All draws are there, each once; hinted ones are marked and say what they were asked.
    let rows = |stage: &str| {
        let shown = bench.run(&["show", "m.toml", stage, "--json"]).ok().stdout;
        let rows = shown
            .lines()
            .map(|line| serde_json::from_str(line).unwrap());
        rows.collect::<Vec<serde_json::Value>>()
    };
    let all = rows("sampled+more+hinted");
    assert_eq!(all.len(), 3 * rows("sampled").len());
    let hinted = all.iter().filter(|row| row["hint"] == "answer").count();
    assert_eq!(hinted, rows("hinted").len());
    assert!(rows("sampled").iter().all(|row| row.get("hint").is_none()));

    // The mean of a model and itself is that model.
    let weights = |stage: &str| {
        let folder = bench.path(stage);
        bench
            .run(&["export", "m.toml", stage, folder.to_str().unwrap()])
            .ok();
        std::fs::read(folder.join("model.safetensors")).unwrap()
    };
    let star = weights("star");
    assert_eq!(weights("same"), star);
    assert_ne!(weights("soup"), star);

    // A weight is how often rows are there, and is for as many stages as there are.
    let weighted = |weights: &str| {
        let union = "\n[stages.both]\nkind = \"union\"\npaths = [\"sampled\", \"more\"]\n";
        bench.write(
            "w.toml",
            format!("{}{STAGES}{union}weights = {weights}\n", head()),
        );
        bench.run(&["w.toml", "--stage", "both"])
    };
    weighted("[2, 0.5]").ok();
    let shown = bench.run(&["show", "w.toml", "both", "--json"]).ok().stdout;
    let one = rows("sampled").len();
    assert_eq!(shown.lines().count(), 2 * one + one / 2);
    let wrong = weighted("[1]");
    assert_eq!(wrong.code, Some(2));
    assert!(
        wrong.stderr.contains("there are 1 weights for 2 stages"),
        "{}",
        wrong.stderr
    );
}

#[test]
fn hints_and_unsolved_questions_are_guarded() {
    let with = |more: &str| {
        let bench = Bench::new(&format!("{}{STAGES}{more}", head()));
        let run = bench.run(&["plan", "m.toml"]);
        assert_eq!(run.code, Some(2), "{}", run.stdout);
        run.stderr
    };
    // What is unsolved is known by a score that somebody makes.
    let again = "[stages.again]\nkind = \"sample\"\nhint = \"answer\"\nonly = \"unsolved\"\n";
    let told = with(again);
    assert!(told.contains("none are named"), "{told}");
    let told = with(&format!("{again}paths = \"sampled\"\n"));
    assert!(
        told.contains("no stage before it makes the score `correct`"),
        "{told}"
    );
    let told = with("[stages.x]\nkind = \"sample\"\npaths = \"sampled\"\n");
    assert!(told.contains("only = \"unsolved\""), "{told}");
    // A hint never reaches test questions.
    let told =
        with("[stages.x]\nkind = \"sample\"\nhint = \"answer\"\nquestions = \"data.test\"\n");
    assert!(told.contains("takes test data `data.test`"), "{told}");
    // A list names stages that are there.
    let told = with("[stages.x]\nkind = \"finetune\"\npaths = [\"sampled\", \"mroe\"]\n");
    assert!(told.contains("did you mean `more`?"), "{told}");
}

#[test]
fn paths_verified_elsewhere_say_which_questions_are_unsolved() {
    let imported = r#"
[stages.imported]
kind = "import-paths"
path = "rows.jsonl"

[stages.again]
kind = "sample"
hint = "answer"
only = "unsolved"
paths = "imported"
"#;
    let bench = Bench::new(&format!("{}{STAGES}{imported}", head()));
    bench.run(&["m.toml", "--stage", "sampled"]).ok();
    let shown = bench
        .run(&["show", "m.toml", "sampled", "--json"])
        .ok()
        .stdout;
    let rows: Vec<serde_json::Value> = shown
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let solved = rows[0]["question_id"].clone();
    let mut questions: Vec<String> = rows
        .iter()
        .map(|row| row["question_id"].to_string())
        .collect();
    questions.dedup();
    let scored: Vec<String> = rows
        .iter()
        .map(|row| {
            let mut row = row.clone();
            row["scores"] =
                serde_json::json!({"correct": f64::from(u8::from(row["question_id"] == solved))});
            row.to_string()
        })
        .collect();
    bench.write("rows.jsonl", scored.join("\n"));
    bench.run(&["m.toml", "--stage", "again"]).ok();
    let shown = bench
        .run(&["show", "m.toml", "again", "--json"])
        .ok()
        .stdout;
    assert!(!shown.contains(&solved.to_string()), "{shown}");
    assert_eq!(shown.lines().count(), 4 * (questions.len() - 1));
}

#[test]
fn overlap_with_test_questions_fails_the_run_or_drops_the_rows() {
    let line = |id: usize, question: &str| {
        format!("{{\"id\": \"{id}\", \"question\": \"{question}\", \"answer\": \"yes\"}}\n")
    };
    let train = [
        line(
            1,
            "Do bees that live in a hive of wax fly far out to sea in winter?",
        ),
        line(2, "Is tin a metal?"),
        line(3, "Can owls see at night?"),
    ];
    let test = [
        line(
            4,
            "do bees that live in a hive of wax fly far out to sea in winter",
        ),
        line(5, "Is 5 odd?"),
    ];
    let manifest = |more: &str| {
        format!(
            "[data]\ndataset = \"jsonl\"\ntrain_path = \"train.jsonl\"\ntest_path = \"test.jsonl\"\n\n[stages.clean]\nkind = \"overlap\"\nquestions = \"data.train\"\n{more}"
        )
    };
    let bench = Bench::new(&manifest(""));
    bench.write("train.jsonl", train.concat());
    bench.write("test.jsonl", test.concat());
    let failed = bench.run_manifest(&[]);
    assert_eq!(failed.code, Some(1), "{}", failed.stderr);
    assert!(
        failed.stderr.contains("1 of 3 rows share 8 words in a row"),
        "{}",
        failed.stderr
    );
    // The near duplicate is told, and told again where the questions come out of the store.
    for _ in 0..2 {
        let told = bench.run(&["m.toml", "--stage", "data"]).ok().stderr;
        assert!(
            told.contains("1 of 2 test questions are nearly training questions"),
            "{told}"
        );
    }
    bench.write("m.toml", manifest("on_exceed = \"drop\"\n"));
    bench.run_manifest(&[]).ok();
    let shown = |output: &str| bench.run(&["show", "m.toml", output, "--json"]).ok().stdout;
    let left = shown("clean.questions");
    assert!(
        left.lines().count() == 2 && !left.contains("bees"),
        "{left}"
    );
    let report: serde_json::Value = serde_json::from_str(shown("clean.overlap").trim()).unwrap();
    assert_eq!(report["share"], 1.0, "{report}");
    assert!(
        bench
            .run(&["show", "m.toml", "clean.overlap"])
            .ok()
            .stdout
            .contains("100.0 %")
    );
    bench.write("m.toml", manifest("max_share = 1.0\n"));
    bench.run_manifest(&[]).ok();
}
