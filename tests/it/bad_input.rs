//! Each kind of bad input gets one clear message, the right exit code, and leaves the cache sound.

use std::path::Path;

use crate::harness::{Bench, Run, TINY};

/// The run must end with `code` and say all of `words` on stderr; never a panic.
fn refused(run: &Run, code: i32, words: &[&str]) {
    assert_eq!(run.code, Some(code), "{}\n{}", run.stdout, run.stderr);
    assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
    for word in words {
        assert!(
            run.stderr.contains(word),
            "`{word}` is not said:\n{}",
            run.stderr
        );
    }
}

fn manifest_refused(manifest: &str, words: &[&str]) {
    let bench = Bench::new(manifest);
    refused(&bench.run(&["m.toml"]), 2, words);
    assert!(!bench.path("cache/results-v1").exists(), "nothing may run");
}

#[test]
fn manifests() {
    manifest_refused("title = ", &["m.toml:1"]);
    manifest_refused(
        &TINY.replace("min_tokens", "min_token"),
        &["min_token", "did you mean `min_tokens`", "m.toml:"],
    );
    manifest_refused(
        &TINY.replace("max_new_tokens = 48", "max_new_tokens = \"many\""),
        &["max_new_tokens", "integer"],
    );
    manifest_refused(
        &TINY.replace("max_new_tokens = 48", "max_new_tokens = 0"),
        &["max_new_tokens", "0"],
    );
    manifest_refused(
        &TINY.replace("paths = \"kept\"", "paths = \"kpt\""),
        &["kpt", "kept"],
    );
    manifest_refused(
        &TINY.replace("paths = \"kept\"", "paths = \"measured\""),
        &["paths", "evaluation"],
    );
    manifest_refused(
        &TINY.replace("kind = \"teach\"", "kind = \"tech\""),
        &["tech", "teach"],
    );
    manifest_refused(
        &TINY.replace("[stages.sampled]\n", "[stages.sampled]\nmodel = \"sert\"\n"),
        &["wait for each other", "sampled -> kept -> sert"],
    );
    manifest_refused(
        &TINY.replace(
            "[stages.sampled]\n",
            "[stages.sampled]\nquestions = \"data.test\"\n",
        ),
        &["test"],
    );
    // Nor as answers, or with a score.
    let answered = |user: &str| {
        format!(
            "{TINY}\n[stages.said]\nkind = \"answers-as-paths\"\npredictions = \"answers\"\n\n\
             [stages.rated]\nkind = \"score\"\npaths = \"said\"\nquestions = \"data.test\"\n\n\
             [stages.again]\n{user} = \"rated\"\n"
        )
    };
    for user in [
        "kind = \"filter\"\npaths",
        "kind = \"finetune\"\npaths",
        "kind = \"distill\"\npaths",
        "kind = \"distill\"\npaths = \"teacher\"\nvalidation_paths",
    ] {
        manifest_refused(
            &answered(user),
            &[
                "takes `rated`, which is made from test data",
                "`answers` reads `data.test`",
            ],
        );
    }
    manifest_refused(&TINY.replace("heads = 2", "heads = 3"), &["heads"]);
    // All mistakes at once.
    manifest_refused(
        &TINY
            .replace("heads = 2", "head = 2")
            .replace("epochs = 3", "epochs = -3")
            .replace("seed = 7", "sed = 7"),
        &["head", "epochs", "sed"],
    );
}

#[test]
fn usage() {
    let bench = Bench::new(TINY);
    refused(&bench.run(&["nowhere.toml"]), 2, &["nowhere.toml"]);
    refused(
        &bench.run(&["m.toml", "--set", "stages.kpt.length.min_tokens=3"]),
        2,
        &["kpt"],
    );
    refused(
        &bench.run(&["m.toml", "--stage", "nothing"]),
        2,
        &["nothing", "sampled"],
    );
    refused(
        &bench.run(&["show", "m.toml", "kept"]),
        1,
        &["not in the store", "hint"],
    );
    refused(&bench.run(&[]), 2, &[]);
    // A command badly spelt is no manifest.
    refused(
        &bench.run(&["pln", "m.toml"]),
        2,
        &["unrecognized subcommand 'pln'", "plan"],
    );
    bench.write("folder/manifest", TINY.replace("seed = 7", "sed = 7"));
    refused(&bench.run(&["folder/manifest"]), 2, &["did you mean"]);
    refused(
        &bench.run(&["--offline", "m.toml", "--set", "sed=7"]),
        2,
        &["sed"],
    );
    bench.write("a-file", "");
    refused(&bench.run(&["m.toml", "--cache", "a-file"]), 1, &["a-file"]);
}

const STUDENT: &str = r#"
[data]
dataset = "jsonl"
path = "questions.jsonl"

[student]
model = "./student"

[stages.answers]
kind = "predict"
max_new_tokens = 8

[stages.measured]
kind = "eval"
predictions = "answers"

[tables.t]
rows = [{ label = "x", eval = "measured" }]
"#;

const QUESTIONS: &str = "{\"id\":\"a\",\"question\":\"Is it?\",\"answer\":\"yes\"}\n\
    {\"id\":\"b\",\"question\":\"Is it not?\",\"answer\":\"no\"}\n\
    {\"id\":\"c\",\"question\":\"Was it?\",\"answer\":\"no\"}\n\
    {\"id\":\"d\",\"question\":\"Will it be?\",\"answer\":\"yes\"}\n";

/// A folder with the manifest above, questions, and a student made by the tiny pipeline.
fn with_student() -> Bench {
    let bench = Bench::new(TINY);
    bench
        .run_manifest(&["--stage", "student", "--set", "stages.student.epochs=1"])
        .ok();
    bench
        .run(&[
            "export",
            "m.toml",
            "student",
            "student",
            "--set",
            "stages.student.epochs=1",
        ])
        .ok();
    bench.write("m.toml", STUDENT);
    bench.write("questions.jsonl", QUESTIONS);
    bench
}

fn edit(path: &Path, change: impl FnOnce(Vec<u8>) -> Vec<u8>) {
    let bytes = std::fs::read(path).unwrap();
    std::fs::write(path, change(bytes)).unwrap();
}

#[test]
fn students_and_datasets() {
    let bench = with_student();
    let weights = bench.path("student/model.safetensors");
    let config = bench.path("student/config.json");
    let whole_weights = std::fs::read(&weights).unwrap();
    let whole_config = std::fs::read(&config).unwrap();
    // What the manifest names and is not there is a mistake of the manifest.
    let check = |words: &[&str]| refused(&bench.run(&["m.toml"]), 2, words);
    let fails = |words: &[&str]| refused(&bench.run(&["m.toml"]), 1, words);

    edit(&weights, |bytes| bytes[..bytes.len() / 2].to_vec());
    fails(&["model.safetensors"]);
    std::fs::write(&weights, b"").unwrap();
    fails(&["model.safetensors"]);
    std::fs::remove_file(&weights).unwrap();
    fails(&["student", "model.safetensors"]);
    std::fs::write(&weights, &whole_weights).unwrap();

    edit(&config, |bytes| {
        String::from_utf8(bytes)
            .unwrap()
            .replace("\"n_embd\": 32", "\"n_embd\": 64")
            .into()
    });
    fails(&["shape"]);
    std::fs::write(&config, &whole_config).unwrap();
    edit(&config, |bytes| {
        String::from_utf8(bytes)
            .unwrap()
            .replace("\"vocab_size\": 300", "\"vocab_size\": 290")
            .into()
    });
    fails(&["vocab"]);
    std::fs::write(&config, "{").unwrap();
    fails(&["config.json"]);
    std::fs::write(&config, &whole_config).unwrap();

    bench.write(
        "questions.jsonl",
        QUESTIONS.replace(",\"answer\":\"no\"", ""),
    );
    fails(&["questions.jsonl:2:1", "answer"]);
    bench.write("questions.jsonl", "");
    fails(&["questions.jsonl", "no row"]);
    bench.write("questions.jsonl", b"\xff{}\n");
    fails(&["questions.jsonl:1:1", "UTF-8"]);
    std::fs::remove_file(bench.path("questions.jsonl")).unwrap();
    check(&["questions.jsonl"]);

    // Mended, it runs, and the cache is sound.
    bench.write("questions.jsonl", QUESTIONS);
    bench.run(&["m.toml"]).ok();
    bench.run(&["cache", "verify"]).ok();

    // A prompt longer than the context: cut and counted, or refused, as declared.
    let long = "very ".repeat(400);
    bench.write(
        "questions.jsonl",
        QUESTIONS
            .replace("Will", &format!("Will {long}"))
            .replace("Is it", &format!("Is {long}it")),
    );
    let cut = bench.run(&["m.toml"]).ok();
    assert!(cut.stderr.contains("leave no room"), "{}", cut.stderr);
    refused(
        &bench.run(&["m.toml", "--set", "stages.answers.long_prompts=refuse"]),
        1,
        &["leave no room", "hint"],
    );

    // Without a student at all.
    std::fs::rename(bench.path("student"), bench.path("elsewhere")).unwrap();
    check(&["`student.model`: there is no such file or folder: `./student`"]);
    bench.run(&["cache", "verify"]).ok();
}

#[test]
fn a_teacher_of_another_dataset() {
    let bench = with_student();
    let manifest = format!(
        "{STUDENT}\n[stages.teacher]\nkind = \"teach\"\nrecording = \"jsonl\"\npath = \"teacher.jsonl\"\n\n[stages.rd]\nkind = \"distill\"\npaths = \"teacher\"\nepochs = 1\n"
    );
    bench.write("m.toml", manifest);
    bench.write(
        "teacher.jsonl",
        "{\"id\":\"x-1\",\"rationale\":\"So.\",\"answer_text\":\"yes\"}\n",
    );
    refused(&bench.run(&["m.toml"]), 1, &["teacher", "0 of"]);
    bench.run(&["cache", "verify"]).ok();
}

#[test]
fn offline_without_the_files_says_where_it_looked() {
    let bench = Bench::new(
        &STUDENT
            .replace("./student", "openai-community/gpt2")
            .replace("path = \"questions.jsonl\"\n", "")
            .replace("jsonl", "strategyqa"),
    );
    bench.write("mirror/empty", "");
    let run = bench.run(&["m.toml", "--offline", "--mirror", "mirror"]);
    refused(&run, 1, &["hint"]);
    let plan = bench.run(&["plan", "m.toml", "--offline"]).ok();
    assert!(plan.stdout.contains("unknown"), "{}", plan.stdout);
    // The table stays narrow: what is missing is told below it.
    let (table, below) = plan.stdout.rsplit_once('┘').unwrap();
    assert!(table.contains("needs an outside file"), "{table}");
    assert!(
        table.lines().all(|line| line.chars().count() <= 120),
        "{table}"
    );
    assert!(below.contains("student: "), "{below}");
}
