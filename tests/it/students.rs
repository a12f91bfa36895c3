//! Students whose folders say the same in other ways, or more than GPT-2's do.

use std::path::Path;
use std::sync::OnceLock;

use serde_json::{Value, json};
use sert_run::event::CancelToken;
use sert_run::model::architecture::ArrayId;
use sert_run::model::engine::Engine;
use sert_run::model::{Array, Student, Weights};
use sert_run::model::{EngineOptions, ScoreJob};

use crate::harness::{Bench, TINY};

const WORLD: &str = r#"
[data]
dataset = "microworld"
microworld = { entities = 12, train_questions = 12, test_questions = 8, pretrain_questions = 60, fact_repeats = 2 }
"#;

/// What is done with the student in the folder that `--set student.model` names.
const USE: &str = r#"
[student]
model = "./base"

[stages.answers]
kind = "predict"
max_new_tokens = 24

[stages.sampled]
kind = "sample"
first_tokens = 3
paths_per_first_token = 4
max_new_tokens = 40

[stages.scored]
kind = "score"
paths = "sampled"

[stages.trained]
kind = "finetune"
epochs = 1
"#;

/// A bench with a small student of our own in the folder `base`: made once, and trained until it ends its texts.
fn bench() -> Bench {
    static MADE: OnceLock<Bench> = OnceLock::new();
    let made = MADE.get_or_init(|| {
        let made = Bench::new(TINY);
        let longer = ["--set", "stages.student.epochs=6"];
        made.run_manifest(&[&["--stage", "student"][..], &longer].concat())
            .ok();
        made.run(&[&["export", "m.toml", "student", "base"][..], &longer].concat())
            .ok();
        made
    });
    let bench = Bench::new(&format!("seed = 3\n{WORLD}{USE}"));
    for entry in std::fs::read_dir(made.path("base")).unwrap() {
        let file = entry.unwrap().path();
        let to = format!("base/{}", file.file_name().unwrap().to_str().unwrap());
        bench.write(&to, std::fs::read(&file).unwrap());
    }
    bench
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// A file of a folder, and what is changed in it.
type Change<'a> = (&'a str, &'a dyn Fn(&mut Value));

/// A copy of `base` as `name`, in which JSON files are changed.
fn variant(bench: &Bench, name: &str, changes: &[Change<'_>]) {
    for entry in std::fs::read_dir(bench.path("base")).unwrap() {
        let file = entry.unwrap().path();
        let to = format!("{name}/{}", file.file_name().unwrap().to_str().unwrap());
        bench.write(&to, std::fs::read(&file).unwrap());
    }
    for (file, change) in changes {
        let path = bench.path(name).join(file);
        let mut value = if path.exists() {
            read(&path)
        } else {
            json!({})
        };
        change(&mut value);
        bench.write(&format!("{name}/{file}"), value.to_string());
    }
}

/// The rows of a stage with the student of this folder.
fn rows(bench: &Bench, folder: &str, stage: &str) -> Vec<Value> {
    let student = format!("student.model=./{folder}");
    let set = ["--set", student.as_str()];
    let (run, _) = stage.split_once('.').unwrap_or((stage, ""));
    bench
        .run_manifest(&[&["--stage", run][..], &set].concat())
        .ok();
    let shown = bench
        .run(&[&["show", "m.toml", stage, "--json"][..], &set].concat())
        .ok();
    let lines = shown.stdout.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn outputs(rows: &[Value]) -> Vec<&str> {
    rows.iter()
        .map(|row| row["output"].as_str().unwrap())
        .collect()
}

fn text(path: &Value) -> &str {
    path["text"].as_str().unwrap()
}

/// Arrays by other names, in a safetensors file of their own.
fn rename(bench: &Bench, name: &str, prefix: &str) {
    let file = bench.path(name).join("model.safetensors");
    let bytes = std::fs::read(&file).unwrap();
    let length = usize::try_from(u64::from_le_bytes(bytes[..8].try_into().unwrap())).unwrap();
    let header = std::str::from_utf8(&bytes[8..8 + length]).unwrap();
    let header = header.replace("\"transformer.", &format!("\"{prefix}"));
    let mut renamed = (header.len() as u64).to_le_bytes().to_vec();
    renamed.extend(header.as_bytes());
    renamed.extend(&bytes[8 + length..]);
    std::fs::write(file, renamed).unwrap();
}

#[test]
fn other_ways_of_saying_the_same_give_the_same_answers() {
    let bench = bench();
    let base = rows(&bench, "base", "answers");
    let eos = read(&bench.path("base/config.json"))["eos_token_id"].clone();
    let config = |change: &dyn Fn(&mut Value), name: &str| {
        variant(&bench, name, &[("config.json", change)]);
    };
    config(&|c| c["eos_token_id"] = json!([eos]), "list-of-one");
    config(&|c| c["eos_token_id"] = Value::Null, "null");
    config(
        &|c| {
            c.as_object_mut().unwrap().remove("eos_token_id");
        },
        "absent",
    );
    config(&|c| c["pad_token_id"] = Value::Null, "null-pad");
    let prefixes = [
        "module.transformer.",
        "_orig_mod.transformer.",
        "module._orig_mod.",
    ];
    for (index, prefix) in prefixes.iter().enumerate() {
        let name = format!("wrapped-{index}");
        variant(&bench, &name, &[]);
        rename(&bench, &name, prefix);
    }
    for name in [
        "list-of-one",
        "null",
        "absent",
        "null-pad",
        "wrapped-0",
        "wrapped-1",
        "wrapped-2",
    ] {
        assert_eq!(rows(&bench, name, "answers"), base, "{name}");
    }
    // What cannot be used is refused by the key's name, by `plan` no later than by the run.
    config(&|c| c["eos_token_id"] = json!([eos, 5]), "list-of-two");
    variant(&bench, "unknown", &[]);
    rename(&bench, "unknown", "model.");
    for (name, key) in [
        ("list-of-two", "`eos_token_id` is [0,5]"),
        ("unknown", "`model.h.0.attn.c_attn.bias`"),
    ] {
        let student = format!("student.model=./{name}");
        let run = bench.run(&["m.toml", "--stage", "answers", "--set", &student]);
        assert_eq!(run.code, Some(1), "{name}: {}", run.stderr);
        assert!(
            run.stderr.contains(key) && run.stderr.contains("hint: "),
            "{}",
            run.stderr
        );
    }
}

/// The embedding is padded to a multiple of 64, by rows that would be drawn if they were tokens.
#[test]
fn a_padded_vocabulary_is_used_and_its_padding_never_drawn() {
    let bench = bench();
    let base = rows(&bench, "base", "answers");
    let student = Student::load(&bench.path("base")).unwrap();
    let (tokens, width) = (student.architecture.vocab_rows, student.architecture.width);
    assert_eq!(tokens, 300);
    variant(
        &bench,
        "padded",
        &[("config.json", &|c| c["vocab_size"] = json!(320))],
    );
    let mut weights: Weights = student.weights.clone();
    let embedding = &mut weights.arrays[&ArrayId::TOKEN_EMBEDDING];
    // The most usual token's row, twofold: as a token it would be the likeliest wherever that is likely.
    let usual: Vec<f32> = embedding.data[..width].iter().map(|x| 2.0 * x).collect();
    let padding = std::iter::repeat_n(usual, 20).flatten();
    *embedding = Array {
        shape: vec![320, width],
        data: embedding.data.iter().copied().chain(padding).collect(),
    };
    let path = bench.path("padded/model.safetensors");
    weights.save(&path, &student.architecture).unwrap();
    let padded = rows(&bench, "padded", "answers");
    // Greedy answers are the same; log-likelihoods are under a softmax that has the padding in it.
    assert_eq!(outputs(&padded), outputs(&base));
    assert_ne!(padded[0]["option_log_probs"], base[0]["option_log_probs"]);
    for path in rows(&bench, "padded", "sampled") {
        let tokens = path["tokens"].as_array().unwrap();
        assert!(tokens.iter().all(|token| token.as_u64().unwrap() < 300));
    }
    // It trains, and goes out as it came in.
    let trained = rows_of_model(&bench, "padded");
    assert_eq!(trained.architecture.vocab_rows, 320);
    assert_eq!(
        trained.weights.arrays[&ArrayId::TOKEN_EMBEDDING].shape,
        [320, width]
    );
    // Too few rows are told.
    variant(
        &bench,
        "short",
        &[("config.json", &|c| c["vocab_size"] = json!(299))],
    );
    let run = bench.run(&[
        "m.toml",
        "--stage",
        "answers",
        "--set",
        "student.model=./short",
    ]);
    assert!(run.stderr.contains("vocab_size 299"), "{}", run.stderr);
}

/// The student that `trained` makes of this folder, exported to `out-FOLDER`.
fn rows_of_model(bench: &Bench, folder: &str) -> Student {
    let (student, out) = (format!("student.model=./{folder}"), format!("out-{folder}"));
    let set = ["--set", student.as_str()];
    bench
        .run_manifest(&[&["--stage", "trained"][..], &set].concat())
        .ok();
    bench
        .run(&[&["export", "m.toml", "trained", &out][..], &set].concat())
        .ok();
    Student::load(&bench.path(&out)).unwrap()
}

#[test]
fn a_trained_students_folder_goes_out_as_it_came_in() {
    let bench = bench();
    variant(
        &bench,
        "odd",
        &[
            ("config.json", &|c| {
                c["torch_dtype"] = json!("float16");
                c["mine"] = json!({"b": 1, "a": [1.5]});
                c["eos_token_id"] = json!([0]);
            }),
            ("tokenizer_config.json", &|c| {
                c["tokenizer_class"] = json!("PreTrainedTokenizerFast");
                c["pad_token"] = json!("<pad>");
                c["model_max_length"] = json!(77);
            }),
            ("tokenizer.json", &|t| {
                t["normalizer"] = json!({"type": "Lowercase"});
            }),
            ("special_tokens_map.json", &|s| {
                s["pad_token"] = json!("<pad>");
            }),
            ("generation_config.json", &|g| g["top_k"] = json!(3)),
        ],
    );
    bench.write("odd/chat_template.jinja", "{{ messages }}");
    bench.write("odd/README.md", "mine");
    rows_of_model(&bench, "odd");
    let (from, to) = (bench.path("odd"), bench.path("out-odd"));
    let bytes = |folder: &Path, name: &str| std::fs::read(folder.join(name)).unwrap();
    for name in [
        "chat_template.jinja",
        "generation_config.json",
        "merges.txt",
        "special_tokens_map.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "vocab.json",
    ] {
        assert_eq!(bytes(&to, name), bytes(&from, name), "{name}");
    }
    assert!(!to.join("README.md").exists());
    // Of the configuration only the number format changed, and nothing changed its place.
    let written = std::fs::read_to_string(to.join("config.json")).unwrap();
    let mut config = read(&from.join("config.json"));
    config["torch_dtype"] = json!("float32");
    assert_eq!(written, format!("{config:#}\n"));
    // What only goes along draws nothing anew: the same rows under another template.
    let sampled = rows(&bench, "odd", "sampled");
    bench.write("odd/chat_template.jinja", "{{ other }}");
    let more = ["--stage", "sampled", "--set", "student.model=./odd"];
    let again = bench.run_manifest(&more).ok();
    assert!(again.ran().contains(&"sampled".to_owned()));
    assert_eq!(again.progress_events("sampled"), 0);
    assert_eq!(rows(&bench, "odd", "sampled"), sampled);
    // Another normaliser reads other tokens: upper case is lower case to this one.
    let student = Student::load(&to).unwrap();
    let encode = |text| student.tokenizer.encode(text).unwrap();
    assert_eq!(encode("BEES"), encode("bees"));
}

#[test]
fn each_end_that_generation_config_names_ends_a_text_and_is_scored() {
    let bench = bench();
    let base = rows(&bench, "base", "sampled");
    // A token of an answer; many paths have it too, somewhere after their first.
    let plain = rows(&bench, "base", "answers");
    let tokens = |row: &Value| -> Vec<u64> {
        let list = row["tokens"].as_array().into_iter().flatten();
        list.map(|token| token.as_u64().unwrap()).collect()
    };
    let in_paths = |token: &u64| {
        let has = |path: &&Value| tokens(path).iter().skip(1).any(|other| other == token);
        base.iter().filter(has).count()
    };
    let candidates = plain.iter().enumerate().flat_map(|(row, answer)| {
        let tokens = tokens(answer);
        (0..tokens.len()).map(move |place| (row, tokens[..=place].to_vec()))
    });
    let (row, first) = candidates
        .filter(|(_, first)| !first[..first.len() - 1].contains(&first[first.len() - 1]))
        .max_by_key(|(_, first)| in_paths(&first[first.len() - 1]))
        .unwrap();
    let place = first.len() - 1;
    let end = first[place];
    let list = |g: &mut Value| g["eos_token_id"] = json!([0, end]);
    variant(&bench, "ends", &[("generation_config.json", &list)]);
    let ended = rows(&bench, "ends", "sampled");
    assert_eq!(ended.len(), base.len());
    let mut shorter = 0;
    for (path, whole) in ended.iter().zip(&base) {
        let (found, all) = (tokens(path), tokens(whole));
        // The same draws up to the end; a first token that is given does not end a path.
        assert_eq!(path["row"], whole["row"]);
        match all.iter().skip(1).position(|token| *token == end) {
            Some(place) => {
                shorter += 1;
                assert_eq!(found, all[..=place]);
                assert_eq!(
                    (&path["end"], &path["end_token"]),
                    (&json!("end-of-text"), &json!(end))
                );
            }
            None => assert_eq!(path, whole),
        }
    }
    assert!(shorter > 5, "{shorter}");
    let [_, ended] = perplexities_agree(&rows(&bench, "ends", "scored"));
    assert!(ended >= shorter, "{ended} {shorter}");
    // Answers end by it as well, and the plain student's are still its own.
    let answers = rows(&bench, "ends", "answers");
    assert_eq!(tokens(&answers[row]), first[..place]);
    assert_eq!(answers[row]["end_token"], json!(end));
    assert_eq!(rows(&bench, "base", "answers"), plain);
    assert_eq!(rows(&bench, "base", "sampled"), base);
}

/// The score of a sampled path under the student that wrote it is what was recorded as it wrote, to the last bit. How many
/// were cut, and how many ended by an end of text.
fn perplexities_agree(scored: &[Value]) -> [usize; 2] {
    assert!(!scored.is_empty());
    let mut ends = [0, 0];
    for path in scored {
        let log_prob = &path["log_prob"];
        let (sum, count) = (&log_prob["sum"], &log_prob["count"]);
        let recorded = (-sum.as_f64().unwrap() / count.as_f64().unwrap()).exp();
        let found = path["scores"]["perplexity"].as_f64().unwrap();
        assert_eq!(
            found.to_bits(),
            recorded.to_bits(),
            "{found} {recorded}: {path}"
        );
        ends[usize::from(path["end"] == "end-of-text")] += 1;
    }
    ends
}

#[test]
fn a_students_own_paths_score_as_they_were_drawn() {
    let bench = bench();
    let scored = rows(&bench, "base", "scored");
    let ends = perplexities_agree(&scored);
    assert!(ends[0] > 0 && ends[1] > 0, "both ends are there: {ends:?}");
    let student = Student::load(&bench.path("base")).unwrap();
    let anew = scored.iter().filter(|path| {
        let tokens = student.tokenizer.encode(text(path)).unwrap();
        json!(tokens) != path["tokens"]
    });
    // Or this shows nothing: texts that are tokenised anew are others.
    assert!(anew.count() > 5);
    // Without tokens, or with another tokenizer's, a path's text is tokenised; without its end it has none.
    let lines: Vec<String> = scored
        .iter()
        .map(|path| {
            let (id, text) = (&path["question_id"], &path["text"]);
            json!({"question_id": id, "text": text, "tokens": [7, 7, 9]}).to_string()
        })
        .collect();
    bench.write("outside.jsonl", lines.join("\n"));
    bench.write(
        "m.toml",
        format!(
            "seed = 3\n{WORLD}{USE}\n[stages.outside]\nkind = \"import-paths\"\npath = \"outside.jsonl\"\n\
             [stages.outside-scored]\nkind = \"score\"\npaths = \"outside\"\n"
        ),
    );
    let outside = rows(&bench, "base", "outside-scored");
    let engine = Engine::new(
        &student.architecture,
        &student.weights,
        EngineOptions::default(),
    )
    .unwrap();
    let prompts = prompts(&bench);
    for path in &outside {
        let prompt = &prompts[path["question_id"].as_str().unwrap()];
        let tokens = student.tokenizer.encode(text(path)).unwrap();
        assert_eq!(
            path["scores"]["perplexity"].as_f64(),
            perplexity(&engine, prompt, tokens)
        );
    }
    assert_eq!(outside.len(), scored.len());
}

/// Each training question's prompt by its id, as plain tokens.
fn prompts(bench: &Bench) -> std::collections::BTreeMap<String, Vec<u32>> {
    let student = Student::load(&bench.path("base")).unwrap();
    let questions = rows(bench, "base", "data.train").into_iter();
    let prompt = |question: Value| {
        let text = format!(
            "Question: {} Answer:",
            question["question"].as_str().unwrap()
        );
        let id = question["id"].as_str().unwrap().to_owned();
        (id, student.tokenizer.encode(&text).unwrap())
    };
    questions.map(prompt).collect()
}

fn perplexity(engine: &Engine, prompt: &[u32], tokens: Vec<u32>) -> Option<f64> {
    let count = tokens.len();
    let job = ScoreJob {
        prompt: prompt.to_vec(),
        continuations: vec![tokens],
    };
    let mut sum = 0.0;
    let mut done = |_, scores: Vec<Vec<f64>>| sum = scores[0].iter().sum();
    engine
        .score(&[job], &mut done, &CancelToken::default())
        .unwrap();
    (count > 0).then(|| (-sum / count as f64).exp())
}

/// A path longer than the context beside its prompt: the prompt's far end goes first, then the path's.
#[test]
fn a_prompt_makes_room_for_its_path() {
    let bench = bench();
    let student = Student::load(&bench.path("base")).unwrap();
    let positions = student.architecture.context;
    let id = "microworld-train-0001";
    let plain = &prompts(&bench)[id];
    let word = student.tokenizer.encode(" the").unwrap();
    let tokens = |count: usize| word.iter().copied().cycle().take(count).collect::<Vec<_>>();
    let most = positions - 1;
    let lengths = [
        10,
        positions - plain.len(),
        positions - plain.len() + 1,
        most,
        most + 9,
    ];
    let lines: Vec<String> = lengths
        .iter()
        .map(|&length| {
            let tokens = tokens(length);
            let text = student.tokenizer.decode(&tokens).unwrap();
            json!({"question_id": id, "text": text, "tokens": tokens}).to_string()
        })
        .collect();
    bench.write("outside.jsonl", lines.join("\n"));
    bench.write(
        "m.toml",
        format!(
            "{WORLD}{USE}\n[stages.outside]\nkind = \"import-paths\"\npath = \"outside.jsonl\"\n\
             [stages.far]\nkind = \"score\"\npaths = \"outside\"\n\
             [stages.refused]\nkind = \"score\"\npaths = \"outside\"\nlong_prompts = \"refuse\"\n"
        ),
    );
    let run = bench.run(&["m.toml", "--stage", "far"]).ok();
    for told in [
        "3 of 5 paths leave their prompt too little room",
        "1 of 5 paths are longer than the scoring student's context",
    ] {
        assert!(run.stderr.contains(told), "{}", run.stderr);
    }
    let scored = rows(&bench, "base", "far");
    let engine = Engine::new(
        &student.architecture,
        &student.weights,
        EngineOptions::default(),
    )
    .unwrap();
    for (path, length) in scored.iter().zip(lengths) {
        let kept = length.min(most);
        let room = (positions - kept).min(plain.len());
        let prompt = &plain[plain.len() - room..];
        let wanted = perplexity(&engine, prompt, tokens(kept));
        assert_eq!(path["scores"]["perplexity"].as_f64(), wanted, "{length}");
    }
    let refused = bench.run(&["m.toml", "--stage", "refused"]);
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.stderr.contains("truncate-left"),
        "{}",
        refused.stderr
    );
}

/// A tokenizer that begins every text with a token of its own, as Llama's does.
#[test]
fn what_the_tokenizer_begins_a_text_with_begins_every_prompt() {
    let bench = bench();
    let bos = |tokenizer: &mut Value| {
        let special = json!({"SpecialToken": {"id": "<|endoftext|>", "type_id": 0}});
        let sequence = |name: &str| json!({"Sequence": {"id": name, "type_id": 0}});
        // And ends it with one, which no prompt gets.
        tokenizer["post_processor"] = json!({
            "type": "TemplateProcessing",
            "single": [special, sequence("A"), special],
            "pair": [special, sequence("A"), sequence("B"), special],
            "special_tokens": {"<|endoftext|>":
                {"id": "<|endoftext|>", "ids": [0], "tokens": ["<|endoftext|>"]}},
        });
    };
    variant(&bench, "bos", &[("tokenizer.json", &bos)]);
    let scored = rows(&bench, "bos", "scored");
    assert_ne!(scored, rows(&bench, "base", "scored"));
    let ends = perplexities_agree(&scored);
    assert!(ends[0] > 0 && ends[1] > 0, "both ends are there: {ends:?}");
    let student = Student::load(&bench.path("bos")).unwrap();
    assert_eq!(student.tokenizer.prefix(), [0]);
    let engine = Engine::new(
        &student.architecture,
        &student.weights,
        EngineOptions::default(),
    )
    .unwrap();
    let prompts = prompts(&bench);
    for path in &scored {
        let plain = &prompts[path["question_id"].as_str().unwrap()];
        let prompt = [&[0][..], plain].concat();
        let mut tokens: Vec<u32> =
            serde_json::from_value(path["tokens"].clone()).unwrap_or_default();
        if path["end"] == "end-of-text" {
            tokens.push(0);
        }
        let found = path["scores"]["perplexity"].as_f64();
        assert_eq!(found, perplexity(&engine, &prompt, tokens));
    }
    // Training texts begin with it too, and go on without another.
    let plain = rows_of_model(&bench, "base");
    assert_ne!(rows_of_model(&bench, "bos").weights, plain.weights);
}

/// The end of text is spelt otherwise: a path that has it written out trains as one that has not.
#[test]
fn training_texts_lose_the_students_own_end_of_text() {
    let bench = bench();
    variant(&bench, "other", &[]);
    for file in [
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "vocab.json",
    ] {
        let path = bench.path("other").join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("<|endoftext|>", "</s>")).unwrap();
    }
    let questions = rows(&bench, "base", "data.train");
    let lines = |before: &str| {
        let lines = questions.iter().map(|question| {
            let text = format!("{before} It is what it is.{before}");
            json!({"question_id": question["id"], "text": text}).to_string()
        });
        lines.collect::<Vec<_>>().join("\n")
    };
    let marks = ["", "</s>", "<|endoftext|>", "<s>"];
    let mut manifest = format!("{WORLD}[student]\nmodel = \"./other\"\n");
    for (index, mark) in marks.iter().enumerate() {
        bench.write(&format!("p{index}.jsonl"), lines(mark));
        manifest.extend([format!(
            "[stages.p{index}]\nkind = \"import-paths\"\npath = \"p{index}.jsonl\"\n\
             [stages.t{index}]\nkind = \"finetune\"\npaths = \"p{index}\"\nepochs = 1\n"
        )]);
    }
    bench.write("m.toml", manifest);
    bench.run(&["m.toml"]).ok();
    let made = |index: usize| {
        let stage = format!("t{index}");
        bench.run(&["show", "m.toml", &stage, "--json"]).ok().stdout
    };
    assert_eq!(made(1), made(0), "its own end of text");
    assert_eq!(
        made(2),
        made(0),
        "GPT-2's, which another student may have written"
    );
    assert_ne!(made(3), made(0), "no end of text: a text like others");
    assert!(made(0).contains("\"end_of_text\":\"</s>\""), "{}", made(0));
}

/// A file of llama.cpp is a student: sampled and trained, known by its content whatever it is called, and written as a Hub
/// folder.
#[test]
fn a_gguf_file_is_a_student() {
    let bench = Bench::new(&format!("seed = 3\n{WORLD}{USE}"));
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/gguf/llama.gguf");
    std::fs::copy(&fixture, bench.path("first.gguf")).unwrap();
    std::fs::copy(&fixture, bench.path("second.gguf")).unwrap();
    let small = |name: &'static str| {
        let names: &[&str] = &[
            "m.toml",
            "--set",
            name,
            "--set",
            "stages.answers.max_new_tokens=4",
            "--set",
            "stages.sampled.max_new_tokens=4",
        ];
        bench.run(&[names, &["--stage", "answers", "--stage", "trained"]].concat())
    };
    let run = small("student.model=first.gguf");
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(
        run.stderr.contains("3 layers of width 36"),
        "{}",
        run.stderr
    );
    // Its shape is known of the file in the store too.
    let more = "stages.sampled.max_new_tokens=5";
    let plan = [
        "plan",
        "m.toml",
        "--set",
        "student.model=first.gguf",
        "--set",
        more,
    ];
    let plan = bench.run(&plan).ok();
    assert!(plan.stdout.contains("estimate: "), "{}", plan.stdout);
    assert!(
        !plan.stdout.contains("not in the estimate"),
        "{}",
        plan.stdout
    );
    // Another name, the same student: nothing is made again.
    let run = small("student.model=./second.gguf");
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(!run.stderr.contains("layers of width"), "{}", run.stderr);

    let set = ["--set", "student.model=first.gguf"];
    let run = bench.run(&[&["export", "m.toml", "trained", "out"][..], &set].concat());
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let trained = Student::load(&bench.path("out")).unwrap();
    assert_eq!(trained.architecture.layers, 3);
    assert!(bench.path("out/config.json").is_file());

    // What is none is told before anything runs.
    std::fs::write(bench.path("none.gguf"), "no model").unwrap();
    for (model, wanted) in [
        ("none.gguf", "header: it begins with"),
        ("absent.gguf", "absent.gguf"),
    ] {
        let set = format!("student.model={model}");
        let run = bench.run(&["plan", "m.toml", "--set", &set]);
        assert_ne!(run.code, Some(0), "{model}");
        assert!(run.stderr.contains(wanted), "{model}: {}", run.stderr);
    }
}

/// What the program makes of a model is told before a manifest names it; so is why one is no student.
#[test]
fn a_model_is_described() {
    let bench = Bench::new("");
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let told = |path: &str| {
        let run = bench.run(&["student", fixtures.join(path).to_str().unwrap()]);
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        run.stdout
    };
    for (path, wanted) in [
        (
            "families/gemma3",
            &[
                "gemma3_text",
                "of keys",
                "RMS norm before and after each half; of queries and keys by head",
                "a window of 8 tokens",
            ][..],
        ),
        (
            "families/olmo2",
            &["RMS norm after each half; of all queries and all keys"],
        ),
        ("families/smollm3", &["none in"]),
        (
            "families/gpt-neox",
            &[
                "beside attention",
                "layer norm before each half",
                "an array of its own",
            ],
        ),
        (
            "families/llama",
            &[
                "SiLU, gated",
                "61 of 71 rows",
                "</s>",
                "to train one of rank 16",
            ],
        ),
        ("gguf/llama.gguf", &["llama", "SiLU, gated"]),
        ("parity", &["gpt2", "learned", "the token embedding"]),
    ] {
        let text = told(path);
        for wanted in wanted {
            assert!(text.contains(wanted), "{path}: no `{wanted}` in\n{text}");
        }
    }
    let narrow = std::process::Command::new(env!("CARGO_BIN_EXE_sert-run"))
        .args([
            "student",
            fixtures.join("families/gemma3").to_str().unwrap(),
        ])
        .env("COLUMNS", "80")
        .output()
        .unwrap();
    let narrow = String::from_utf8(narrow.stdout).unwrap();
    assert!(
        narrow.contains("soft-capped") || narrow.contains("scales"),
        "{narrow}"
    );
    assert!(
        narrow.lines().all(|line| line.chars().count() <= 80),
        "{narrow}"
    );

    let llama = fixtures.join("families/llama");
    let json = bench.run(&["student", "--json", llama.to_str().unwrap()]);
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(
        (&json["family"], &json["layers"]),
        (&json!("llama"), &json!(3))
    );
    // What is counted is a number there.
    assert!(json["to_sample"].as_u64() > json["in_int8"].as_u64());
    assert!(json["heads"]["key"].as_u64().is_some() && json["ends"].is_array());

    std::fs::create_dir(bench.path("chat")).unwrap();
    for file in ["config.json", "tokenizer.json", "model.safetensors"] {
        std::fs::copy(llama.join(file), bench.path("chat").join(file)).unwrap();
    }
    let template = "{% for m in messages %}<{{ m['role'] }}> {{ m['content'].strip() }}{% endfor %}{% if add_generation_prompt %} ->{% endif %}";
    std::fs::write(bench.path("chat/chat_template.jinja"), template).unwrap();
    let run = bench.run(&["student", "chat"]);
    assert!(run.stdout.contains("<user> Is it? ->"), "{}", run.stdout);

    std::fs::create_dir(bench.path("bloom")).unwrap();
    std::fs::write(
        bench.path("bloom/config.json"),
        r#"{"model_type": "bloom"}"#,
    )
    .unwrap();
    for (model, wanted) in [
        ("./bloom", "`model_type` is \"bloom\""),
        ("./absent", "does not exist"),
    ] {
        let run = bench.run(&["student", model]);
        assert_ne!(run.code, Some(0), "{model}");
        assert!(run.stderr.contains(wanted), "{}", run.stderr);
        assert!(run.stderr.contains("hint: "), "{}", run.stderr);
    }
}
