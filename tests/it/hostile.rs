//! Model folders and manifests of strangers, made to do harm: each is a failure in words, in no memory to speak of, and
//! takes nothing else with it.
#![cfg(unix)]

use serde_json::{Value, json};

use crate::harness::{Bench, Run};

const WORLD: &str = "[data]\ndataset = \"microworld\"\n\
    microworld = { entities = 12, train_questions = 12, test_questions = 8, pretrain_questions = 60, fact_repeats = 2 }\n";

/// A folder with a sound model in `good`.
fn with_model() -> Bench {
    let bench = Bench::new(&format!(
        "{WORLD}[stages.student]\nkind = \"pretrain\"\nvocab_size = 300\nwidth = 32\nlayers = 1\nheads = 2\n\
         context = 160\nepochs = 1\n"
    ));
    bench.run_manifest(&[]).ok();
    bench.run(&["export", "m.toml", "student", "good"]).ok();
    bench.write(
        "m.toml",
        format!("{WORLD}[student]\nmodel = \"./bad\"\n[stages.sampled]\nkind = \"sample\"\nmax_new_tokens = 4\nlong_prompts = \"truncate-left\"\n"),
    );
    bench
}

/// `good` with one of its JSON files changed, as `bad`.
fn spoil(bench: &Bench, file: &str, change: &dyn Fn(&mut Value)) {
    let bad = bench.path("bad");
    let _ = std::fs::remove_dir_all(&bad);
    std::fs::create_dir(&bad).unwrap();
    for entry in std::fs::read_dir(bench.path("good")).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), bad.join(entry.file_name())).unwrap();
    }
    let path = bad.join(file);
    let mut value: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    change(&mut value);
    std::fs::write(&path, value.to_string()).unwrap();
}

/// Runs `m.toml` in at most 8 GB, where the shell can set that.
fn run(bench: &Bench) -> Run {
    let program = bench.command(&["m.toml"]);
    let mut command = std::process::Command::new("sh");
    command
        .args(["-c", "ulimit -v 8000000 2> /dev/null; exec \"$0\" \"$@\""])
        .arg(program.get_program())
        .args(program.get_args())
        .current_dir(bench.folder.path())
        .env_remove("SERT_CACHE")
        .env_remove("SERT_REMOTE")
        .env_remove("SERT_MIRROR")
        .env_remove("SERT_DEVICE");
    Run::of(&command.output().unwrap())
}

fn fails(run: &Run, words: &[&str]) {
    assert_eq!(run.code, Some(1), "{words:?}\n{}", run.stderr);
    assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
    for word in words {
        assert!(
            run.stderr.contains(word),
            "`{word}` is not said:\n{}",
            run.stderr
        );
    }
}

type Change = (&'static [&'static str], &'static dyn Fn(&mut Value));

#[test]
fn tokenizers() {
    let bench = with_model();
    let cases: [Change; 9] = [
        (&["normalizer.pattern"], &|file| {
            file["normalizer"] =
                json!({"type": "Replace", "pattern": {"String": ""}, "content": "x"});
        }),
        (&["normalizer.prepend"], &|file| {
            file["normalizer"] = json!({"type": "Prepend", "prepend": ""});
        }),
        (&["normalizer.precompiled_charsmap"], &|file| {
            file["normalizer"] = json!({"type": "Precompiled", "precompiled_charsmap": "/////w=="});
        }),
        (&["pre_tokenizer.length"], &|file| {
            file["pre_tokenizer"] = json!({"type": "FixedLength", "length": 0});
        }),
        (&["`post_processor.single` names `<x>`"], &|file| {
            file["post_processor"] = json!({"type": "TemplateProcessing", "pair": [], "special_tokens": {},
                "single": [{"SpecialToken": {"id": "<x>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]});
        }),
        (&["model.continuing_subword_prefix"], &|file| {
            file["model"]["continuing_subword_prefix"] = json!("##");
        }),
        (&["`normalizer` makes a text"], &|file| {
            let step =
                json!({"type": "Replace", "pattern": {"String": "e"}, "content": "eeeeeeeeee"});
            file["normalizer"] = json!({"type": "Sequence", "normalizers": vec![step; 12]});
        }),
        (&["`model.vocab` has a token of 1000000 bytes"], &|file| {
            file["model"]["vocab"]["x".repeat(1_000_000)] = json!(299);
        }),
        // Nothing that is looked for: the library itself panics, and that is the file's failure.
        (
            &["stage `sampled`", "the library that runs it failed"],
            &|file| {
                file["decoder"] = json!({"type": "Strip", "content": "Ġ", "start": 0, "stop": 9});
            },
        ),
    ];
    for (words, change) in cases {
        spoil(&bench, "tokenizer.json", change);
        let mut all = vec!["tokenizer"];
        all.extend(words);
        fails(&run(&bench), &all);
    }
    // Deep, and doubled.
    for text in [
        "[".repeat(1_000_000),
        "{\"normalizer\": null, \"normalizer\": null}".to_owned(),
    ] {
        bench.write("bad/tokenizer.json", text);
        fails(&run(&bench), &["tokenizer.json"]);
    }
}

#[test]
fn configurations_and_weights() {
    let bench = with_model();
    let cases: [(&'static str, Value, &'static str); 7] = [
        (
            "n_layer",
            json!(10_000_000),
            "`n_layer` is 10000000, but the weights have",
        ),
        (
            "n_layer",
            json!(5_000_000_000_u64),
            "`n_layer` is 5000000000, accepted: up to",
        ),
        ("n_embd", json!(16_000_000), "parameters, accepted: up to"),
        (
            "n_positions",
            json!(9_000_000_000_000_u64),
            "`n_positions` is 9000000000000",
        ),
        ("n_inner", json!(u64::MAX), "`n_inner` is"),
        (
            "vocab_size",
            json!(16_000_000),
            "tokens, but config.json says vocab_size 16000000",
        ),
        ("n_head", json!(0), "`n_head` is 0"),
    ];
    for (key, value, word) in cases {
        spoil(&bench, "config.json", &|file| file[key] = value.clone());
        fails(&run(&bench), &["stage `student`", word]);
        // A plan says so too, and does not count with such numbers.
        let plan = bench.run(&["plan", "m.toml"]);
        assert_eq!(plan.code, Some(2), "{}", plan.stderr);
        assert!(plan.stderr.contains(word), "{}", plan.stderr);
    }
    // Files larger than any disk, with holes.
    for (file, word) in [
        ("config.json", "more than the"),
        ("tokenizer.json", "more than the"),
        ("tokenizer_config.json", "more than the"),
        ("model.safetensors", "safetensors"),
    ] {
        spoil(&bench, "config.json", &|_| {});
        let file = std::fs::File::create(bench.path("bad").join(file)).unwrap();
        if file.set_len(1 << 42).is_ok() {
            fails(&run(&bench), &["stage `student`", word]);
        }
    }
    // A header that names values which the file has, all of them holes: more than the machine's memory.
    spoil(&bench, "config.json", &|file| {
        file["n_embd"] = json!(65_536);
        file["n_head"] = json!(1);
    });
    fails(&run(&bench), &["weights of `", "`: array"]);
}

#[test]
fn one_bad_model_is_one_failure_in_a_sweep() {
    let bench = with_model();
    spoil(&bench, "tokenizer.json", &|file| {
        file["pre_tokenizer"] = json!({"type": "FixedLength", "length": 0});
    });
    let manifest = std::fs::read_to_string(bench.path("m.toml")).unwrap();
    bench.write(
        "m.toml",
        format!("{manifest}[sweep.grid]\n\"student.model\" = [\"./bad\", \"./good\"]\n"),
    );
    let swept = bench.run(&["m.toml"]);
    assert_eq!(swept.code, Some(1), "{}", swept.stderr);
    assert!(
        swept.stderr.contains("1 failed, 1 skipped"),
        "{}",
        swept.stderr
    );
    let good = swept
        .stderr
        .lines()
        .find(|line| line.starts_with("sampled") && line.contains("good"));
    assert!(
        good.is_some_and(|line| line.contains("ran in")),
        "{}",
        swept.stderr
    );
}

#[test]
fn numbers_of_manifests() {
    let refused = |more: &str, code: i32, words: &[&str]| {
        let bench = Bench::new(more);
        let run = run(&bench);
        assert_eq!(run.code, Some(code), "{more}\n{}", run.stderr);
        for word in words {
            assert!(
                run.stderr.contains(word),
                "`{word}` is not said:\n{}",
                run.stderr
            );
        }
    };
    let world = |fields: &str| {
        format!(
            "[data]\ndataset = \"microworld\"\nmicroworld = {{ {fields} }}\n[stages.t]\nkind = \"teach\"\nrecording = \"microworld-solver\"\n"
        )
    };
    for (fields, key) in [
        ("entities = 1_000_000_000_000", "microworld.entities"),
        (
            "pretrain_questions = 1_000_000_000_000",
            "microworld.pretrain_questions",
        ),
        ("fact_repeats = 1_000_000_000", "microworld.fact_repeats"),
    ] {
        refused(&world(fields), 2, &[key, "out of range"]);
    }
    refused(
        &world("train_questions = 1_000_000_000_000"),
        2,
        &["data.microworld.train_questions", "raise `entities`"],
    );
    refused(
        &world("entities = 384, fact_repeats = 1_000_000"),
        1,
        &["stage `data`", "GB of memory", "fact_repeats"],
    );
    refused(
        &format!(
            "{WORLD}[stages.student]\nkind = \"pretrain\"\nwidth = 16384\nheads = 1\nlayers = 1000\n"
        ),
        1,
        &["stage `student`", "GB of memory", "lower `width`"],
    );
    let seeds: Vec<String> = (0..400).map(|seed| seed.to_string()).collect();
    let seeds = seeds.join(", ");
    refused(
        &format!(
            "{WORLD}[stages.t]\nkind = \"teach\"\nrecording = \"microworld-solver\"\n[sweep]\nseeds = [{seeds}]\ngrid.\"data.microworld.seed\" = [{seeds}]\n"
        ),
        2,
        &["the sweep has more than 100000 points"],
    );
    // A key of a hundred thousand parts, and arrays as deep.
    refused(
        &format!("{} = 1\n", vec!["a"; 100_000].join(".")),
        2,
        &["error"],
    );
    refused(&format!("a = {}\n", "[".repeat(100_000)), 2, &["error"]);
}
