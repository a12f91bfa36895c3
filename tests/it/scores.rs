//! `score` against the engine asked directly, on whole texts.

use std::collections::BTreeMap;

use serde_json::Value;
use sert_run::event::CancelToken;
use sert_run::model::Student;
use sert_run::model::engine::Engine;
use sert_run::model::{EngineOptions, ScoreJob};
use sert_run::text::{PromptForm, Question, Reading, parse_answer, reasoning_part};

use crate::harness::{Bench, TINY};

const SCORED: &str = r#"
[stages.likely]
kind = "score"
paths = "sampled"
measure = "gold-log-prob"

[stages.judged]
kind = "score"
paths = "likely"
measure = "gold-probability"

[stages.picked]
kind = "filter"
paths = "judged"
length = { enabled = false }
repetition = { enabled = false }
perplexity = { enabled = false }
pattern = { enabled = false }
select = { rule = "highest-score", score = "gold_probability" }
"#;

fn rows(bench: &Bench, stage: &str) -> Vec<Value> {
    let shown = bench.run(&["show", "m.toml", stage, "--json"]).ok();
    let lines = shown.stdout.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn the_gold_answer_is_scored_after_the_path() {
    let bench = Bench::new(&format!("{TINY}{SCORED}"));
    bench.run_manifest(&["--stage", "picked"]).ok();
    bench.run(&["export", "m.toml", "student", "student"]).ok();
    let student = Student::load(&bench.path("student")).unwrap();
    let engine = Engine::new(
        &student.architecture,
        &student.weights,
        EngineOptions::default(),
    )
    .unwrap();
    let questions: BTreeMap<String, Question> = rows(&bench, "data.train")
        .into_iter()
        .map(|row| serde_json::from_value::<Question>(row).unwrap())
        .map(|question| (question.id.clone(), question))
        .collect();
    let paths = rows(&bench, "judged");
    assert_eq!(paths.len(), 288);
    let jobs: Vec<ScoreJob> = paths
        .iter()
        .map(|path| {
            let question = &questions[path["question_id"].as_str().unwrap()];
            let text = path["text"].as_str().unwrap().replace("<|endoftext|>", "");
            let reasoning = match reasoning_part(&text, Reading::Standard).trim() {
                "" => String::new(),
                reasoning => format!(" {reasoning}"),
            };
            let prompt = PromptForm::Answer.prompt(question);
            let encode = |text: &str| student.tokenizer.encode(text).unwrap();
            ScoreJob {
                prompt: encode(&format!("{prompt}{reasoning} So the answer is")),
                continuations: vec![encode(" yes."), encode(" no.")],
            }
        })
        .collect();
    let mut wanted = Vec::new();
    engine
        .score(
            &jobs,
            &mut |_, scores| {
                wanted.push([0, 1].map(|option: usize| scores[option].iter().sum::<f64>()));
            },
            &CancelToken::default(),
        )
        .unwrap();
    assert_eq!(wanted.len(), paths.len());
    let mut best: BTreeMap<&str, f64> = BTreeMap::new();
    for (path, [yes, no]) in paths.iter().zip(wanted) {
        let id = path["question_id"].as_str().unwrap();
        let (gold, other) = match questions[id].answer.as_str() {
            "yes" => (yes, no),
            _ => (no, yes),
        };
        let score = |name: &str| path["scores"][name].as_f64().unwrap();
        // The same kernels on the same tokens: the same bits.
        assert_eq!(score("gold_log_prob").to_bits(), gold.to_bits());
        let probability = 10.0 * gold.exp() / (gold.exp() + other.exp());
        let found = score("gold_probability");
        assert!((found - probability).abs() < 1e-9, "{found} {probability}");
        let top = best.entry(id).or_insert(found);
        *top = top.max(found);
    }
    // And `filter` picks by it.
    let picked = rows(&bench, "picked");
    assert_eq!(picked.len(), 12);
    for path in &picked {
        let id = path["question_id"].as_str().unwrap();
        let score = path["scores"]["gold_probability"].as_f64().unwrap();
        assert_eq!(score.to_bits(), best[id].to_bits());
    }
}

/// Numbers have no legal answers to compare with.
#[test]
fn a_free_answer_has_no_probability_among_legal_ones() {
    let bench = Bench::new(&format!("{TINY}{SCORED}"));
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
    bench.write(
        "m.toml",
        "[data]\ndataset = \"jsonl\"\npath = \"q.jsonl\"\ntest_fraction = 0.0\n\
         [student]\nmodel = \"./student\"\n\
         [stages.outside]\nkind = \"import-paths\"\npath = \"p.jsonl\"\n\
         [stages.judged]\nkind = \"score\"\npaths = \"outside\"\nmeasure = \"gold-probability\"\n",
    );
    bench.write(
        "q.jsonl",
        r#"{"id":"a","question":"How many?","answer":"7"}"#,
    );
    bench.write("p.jsonl", r#"{"question_id":"a","text":" Some."}"#);
    let run = bench.run(&["m.toml"]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    for word in ["`a` has none to compare", "gold-log-prob"] {
        assert!(run.stderr.contains(word), "{}", run.stderr);
    }
    // What the hint says works, and the score's name follows.
    bench
        .run(&["m.toml", "--set", "stages.judged.measure=gold-log-prob"])
        .ok();
    let shown = bench
        .run(&[
            "show",
            "m.toml",
            "judged",
            "--set",
            "stages.judged.measure=gold-log-prob",
        ])
        .ok();
    assert!(shown.stdout.contains("gold_log_prob -"), "{}", shown.stdout);
}

/// What a trained student wrote for test questions, scored (paper, Figure 3).
#[test]
fn answers_to_test_questions_are_scored_as_paths() {
    let manifest = format!(
        "{TINY}\n[stages.said]\nkind = \"answers-as-paths\"\npredictions = \"answers\"\n\n\
         [stages.rated]\nkind = \"score\"\npaths = \"said\"\nquestions = \"data.test\"\n\
         measure = \"gold-probability\"\nprompt = \"step-by-step\"\n"
    );
    let bench = Bench::new(&manifest);
    bench.run_manifest(&["--stage", "rated"]).ok();
    let (answers, rated) = (rows(&bench, "answers"), rows(&bench, "rated"));
    assert_eq!((answers.len(), rated.len()), (8, 8));
    for (answer, path) in answers.iter().zip(&rated) {
        assert_eq!(answer["question_id"], path["question_id"]);
        assert_eq!(answer["output"], path["text"]);
        let score = path["scores"]["gold_probability"].as_f64().unwrap();
        assert!(score > 0.0 && score < 10.0, "{score}");
    }
}

/// The probabilities of the two most probable tokens, from the engine's logits over the whole text.
#[test]
fn an_answers_margin_is_that_of_the_two_best_tokens() {
    let scored = "\n[stages.written]\nkind = \"import-paths\"\npath = \"written.jsonl\"\n\n\
         [stages.sure]\nkind = \"score\"\npaths = \"written\"\nmeasure = \"answer-margin\"\n";
    let bench = Bench::new(TINY);
    bench.run_manifest(&["--stage", "data"]).ok();
    let mut written = String::new();
    for question in rows(&bench, "data.train") {
        for said in [" It is so. So the answer is yes.", " no", " It is unclear."] {
            let path = serde_json::json!({ "question_id": question["id"], "text": said });
            written.extend([path.to_string(), "\n".to_owned()]);
        }
    }
    bench.write("written.jsonl", written);
    bench.write("m.toml", format!("{TINY}{scored}"));
    bench.run_manifest(&["--stage", "sure"]).ok();
    bench.run(&["export", "m.toml", "student", "student"]).ok();
    let student = Student::load(&bench.path("student")).unwrap();
    let engine = Engine::new(
        &student.architecture,
        &student.weights,
        EngineOptions::default(),
    )
    .unwrap();
    let questions: BTreeMap<String, Question> = rows(&bench, "data.train")
        .into_iter()
        .map(|row| serde_json::from_value::<Question>(row).unwrap())
        .map(|question| (question.id.clone(), question))
        .collect();
    let encode = |text: &str| student.tokenizer.encode(text).unwrap();
    let vocabulary = student.architecture.vocab_rows;
    let (mut read, mut unread) = (0, 0);
    for path in rows(&bench, "sure") {
        let question = &questions[path["question_id"].as_str().unwrap()];
        let text = path["text"].as_str().unwrap();
        let found = path["scores"]["answer_margin"].as_f64();
        let Some(answer) = parse_answer(question, text, Reading::Standard).answer() else {
            assert_eq!(
                (found, &path["unparsed"][0]),
                (None, &Value::from("answer_margin"))
            );
            unread += 1;
            continue;
        };
        let text = text.replace("<|endoftext|>", "");
        let reasoning = match reasoning_part(&text, Reading::Standard).trim() {
            "" => String::new(),
            reasoning => format!(" {reasoning}"),
        };
        let prompt = PromptForm::Answer.prompt(question);
        let before = encode(&format!("{prompt}{reasoning} So the answer is"));
        let answer = encode(&format!(" {answer}"));
        let logits = engine
            .logits(&[before.clone(), answer.clone()].concat())
            .unwrap();
        let margin = |place: usize| {
            let row = &logits[(before.len() + place - 1) * vocabulary..][..vocabulary];
            let all: f64 = row.iter().map(|logit| f64::from(*logit).exp()).sum();
            let mut sorted: Vec<f64> = row
                .iter()
                .map(|logit| f64::from(*logit).exp() / all)
                .collect();
            sorted.sort_by(|a, b| b.total_cmp(a));
            sorted[0] - sorted[1]
        };
        let wanted = (0..answer.len()).map(margin).sum::<f64>() / answer.len() as f64;
        assert!(
            (found.unwrap() - wanted).abs() < 1e-5,
            "{found:?} is not {wanted}"
        );
        read += 1;
    }
    assert_eq!((read, unread), (24, 12));
}
