//! Prompts as manifests declare them: templates, examples, chats; what is in a key, and what is refused.

use serde_json::{Value, json};

use crate::harness::{Bench, TINY};
use crate::needs;

/// The tiny world, its student, and what is done with a prompt: in each stage that takes one.
const STAGES: &str = r#"
[stages.sampled]
kind = "sample"
first_tokens = 2
paths_per_first_token = 2
max_new_tokens = 24
PROMPT

[stages.scored]
kind = "score"
paths = "sampled"
measure = "gold-probability"
PROMPT

[stages.trained]
kind = "finetune"
paths = "scored"
epochs = 1
PROMPT

[stages.answers]
kind = "predict"
model = "trained"
max_new_tokens = 16
"#;

/// The tiny world up to its student, which reads longer prompts.
fn world() -> String {
    let world = TINY.split("[stages.sampled]").next().unwrap();
    world.replace("context = 160", "context = 400")
}

fn manifest(prompt: &str) -> String {
    format!("{}{}", world(), STAGES.replace("PROMPT", prompt))
}

/// The rows of a stage, or of an output, that ran.
fn rows(bench: &Bench, stage: &str) -> Vec<Value> {
    let shown = bench.run(&["show", "m.toml", stage, "--json"]).ok();
    let lines = shown.stdout.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// A bench whose student of the folder `base` has this chat template.
fn chat_bench(template: &str, prompt: &str) -> Bench {
    let bench = Bench::new(&manifest(""));
    bench.run_manifest(&["--stage", "student"]).ok();
    bench.run(&["export", "m.toml", "student", "base"]).ok();
    bench.write("base/chat_template.jinja", template);
    let world = world();
    let world = world.split("[stages.student]").next().unwrap();
    let stages = STAGES.replace("PROMPT", prompt);
    bench.write(
        "m.toml",
        format!("{world}\n[student]\nmodel = \"./base\"\n{stages}"),
    );
    bench
}

/// Ends each turn with the only special token that there is.
const TEMPLATE: &str = "{% for m in messages %}{{ m.role + ': ' + m.content + eos_token + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}";

#[test]
fn a_template_with_examples_is_asked_by_every_stage() {
    let prompt =
        "prompt = { template = \"Q: {question}\\nA:\", few_shot = { count = 2, seed = 1 } }";
    let bench = Bench::new(&manifest(prompt));
    // It would fail once the training is over.
    let missing = bench.run_manifest(&["--stage", "answers"]);
    assert_eq!(missing.code, Some(2));
    assert!(
        missing
            .stderr
            .contains("hint: add `examples = \"data.train\"`"),
        "{}",
        missing.stderr
    );
    bench.write("m.toml", manifest(prompt) + "examples = \"data.train\"\n");
    bench.run_manifest(&["--stage", "answers"]).ok();
    let train = rows(&bench, "data.train");
    let answers = rows(&bench, "answers");
    let shown: Vec<&str> = answers
        .iter()
        .map(|row| row["prompt"].as_str().unwrap())
        .collect();
    let before = |prompt: &str| prompt.rsplit_once("Q: ").unwrap().0.to_owned();
    assert!(
        answers.len() == 8
            && shown
                .iter()
                .all(|prompt| before(prompt) == before(shown[0]))
    );
    let examples = before(shown[0]);
    assert_eq!(examples.matches("Q: ").count(), 2, "{examples}");
    for example in examples.trim_end().split("\n\n") {
        let (question, answer) = example.split_once("\nA: ").unwrap();
        let of = |row: &&Value| row["question"] == question.trim_start_matches("Q: ");
        let gold = &train.iter().find(of).unwrap()["answer"];
        assert!(
            answer.ends_with(&format!("{}.", gold.as_str().unwrap())),
            "{example} {gold}"
        );
    }
    // Another seed shows others, which is another prompt; the same is a hit.
    assert_eq!(
        bench.run_manifest(&["--stage", "answers"]).ok().ran(),
        Vec::<String>::new()
    );
    let other = [
        "--set",
        "stages.sampled.prompt.few_shot.seed=2",
        "--stage",
        "sampled",
    ];
    assert_eq!(bench.run_manifest(&other).ok().ran(), ["sampled"]);
}

#[test]
fn a_chat_is_sampled_scored_trained_and_asked() {
    let bench = chat_bench(TEMPLATE, "prompt = { chat = { system = \"Be brief.\" } }");
    bench.run_manifest(&["--stage", "answers"]).ok();
    let answers = rows(&bench, "answers");
    for row in &answers {
        let prompt = row["prompt"].as_str().unwrap();
        assert!(
            prompt.starts_with("system: Be brief.<|endoftext|>\nuser: "),
            "{prompt}"
        );
        assert!(prompt.ends_with("<|endoftext|>\nassistant: "), "{prompt}");
    }
    assert!(
        answers.len() == 8
            && rows(&bench, "scored")
                .iter()
                .all(|row| row["scores"]["gold_probability"].is_number())
    );
    let model = bench.run(&["show", "m.toml", "trained"]).ok().stdout;
    assert!(model.contains("Be brief."), "{model}");
    // The template, the system text and the date are in the key.
    assert_eq!(
        bench.run_manifest(&["--stage", "sampled"]).ok().ran(),
        Vec::<String>::new()
    );
    for set in [
        "stages.sampled.prompt.chat.system=Think.",
        "stages.sampled.prompt.chat.date=\"2024-07-26\"",
        "stages.sampled.prompt.chat.arguments.enable_thinking=false",
    ] {
        let run = bench
            .run_manifest(&["--set", set, "--stage", "sampled"])
            .ok();
        assert_eq!(run.ran(), ["sampled"], "{set}");
    }
    bench.write("base/chat_template.jinja", TEMPLATE.replace("': '", "'> '"));
    let ran = bench.run_manifest(&["--stage", "sampled"]).ok().ran();
    assert!(ran.contains(&"sampled".to_owned()), "{ran:?}");
}

#[test]
fn a_hint_has_its_place_in_a_template() {
    let prompt = "prompt = \"{question}{hint} Why?\"\nhint = \"answer\"";
    let stage = "[stages.sampled]\nkind = \"sample\"\nfirst_tokens = 1\npaths_per_first_token = 1\nmax_new_tokens = 4\n";
    let bench = Bench::new(&format!("{}{stage}{prompt}\n", world()));
    bench.run_manifest(&["--stage", "sampled"]).ok();
    assert!(
        rows(&bench, "sampled")
            .iter()
            .all(|path| path["hint"] == "answer")
    );
}

/// What `plan` says of a manifest that it refuses.
fn refused(prompt: &str) -> String {
    let run = Bench::new(&manifest(prompt)).run(&["plan", "m.toml"]);
    assert_eq!(run.code, Some(2), "{}", run.stdout);
    run.stderr
}

#[test]
fn a_prompt_that_cannot_be_is_refused_before_anything_runs() {
    for (prompt, wanted) in [
        (
            "prompt = \"{question} {answer}\"",
            "it would give the gold answer away",
        ),
        (
            "prompt = \"{question} {choice}\"",
            "did you mean {choices}?",
        ),
        ("prompt = \"step-by-stp\"", "did you mean `step-by-step`?"),
        ("prompt = { chat = { sistem = \"x\" } }", "system"),
        (
            "prompt = { template = \"answer\", fewshot = { count = 1 } }",
            "few_shot",
        ),
        (
            "prompt = { template = \"answer\", few_shot = { count = 0 } }",
            "count",
        ),
        (
            "prompt = { template = \"answer\", chat = {} }",
            "both `template` and `chat`",
        ),
        (
            "prompt = \"answer\"\nexamples = \"data.train\"",
            "examples stand before a question only where",
        ),
        (
            "prompt = { template = \"answer\", few_shot = {} }\nexamples = \"data.test\"",
            "takes test data `data.test`",
        ),
        ("prompt = { chat = { date = \"today\" } }", "is not a date"),
        (
            "prompt = { chat = { add_generation_prompt = false } }",
            "`stages.trained.prompt.chat.add_generation_prompt`: a student is trained on what stands in its opened turn",
        ),
        (
            "prompt = { template = \"answer\", few_shot = { count = 1 } }",
            "`stages.answers.prompt`: `trained` is asked as it was taught, with examples before each question, and none come in",
        ),
    ] {
        let told = refused(prompt);
        assert!(told.contains(wanted), "{prompt}\n{told}");
    }
}

#[test]
fn a_student_without_a_template_and_a_template_that_hides_its_answer_are_told() {
    let plain = Bench::new(&manifest("prompt = \"chat\""));
    let run = plain.run_manifest(&["--stage", "sampled"]);
    assert_eq!(run.code, Some(1));
    assert!(
        run.stderr.contains("has no chat template"),
        "{}",
        run.stderr
    );
    let opens = TEMPLATE.replace("'assistant: '", "'assistant: <think>'");
    let bench = chat_bench(&opens, "prompt = \"chat\"");
    let run = bench.run_manifest(&["--stage", "trained"]);
    assert_eq!(run.code, Some(1));
    assert!(
        run.stderr
            .contains("chat template `default`: the conversation does not begin with its prompt"),
        "{}",
        run.stderr
    );
    assert!(
        run.stderr
            .contains("write the prompt as a template of the manifest"),
        "{}",
        run.stderr
    );
}

#[test]
fn a_template_that_leaves_out_what_it_is_told_is_refused() {
    let all = "{% for m in messages %}{{ m.content }}{% endfor %}";
    for (template, says) in [
        ("{{ 'Hello.' }}", "user"),
        (
            "{% for m in messages if m.role == 'user' %}{{ m.content }}{% endfor %}",
            "system",
        ),
        (all, ""),
    ] {
        let prompt = format!(
            "prompt = {{ chat = {{ system = \"Be brief.\", template = \"{template}\" }} }}"
        );
        let bench = chat_bench(TEMPLATE, &prompt);
        let run = bench.run_manifest(&["--stage", "sampled"]);
        if says.is_empty() {
            run.ok();
            continue;
        }
        assert_eq!(run.code, Some(1), "{}", run.stderr);
        let wanted =
            format!("the chat template `prompt.chat.template` leaves out what the {says} says");
        assert!(run.stderr.contains(&wanted), "{}", run.stderr);
    }
}

#[test]
fn keys_from_before_there_was_a_choice_stay() {
    let key = |kind: &str, params: Value| {
        let kind = sert_run::stage::kind(kind).unwrap();
        let params = kind.complete(params.as_object().unwrap()).unwrap();
        Value::Object(kind.key_params(&params))
    };
    for kind in ["finetune", "distill"] {
        assert_eq!(key(kind, json!({}))["prompt"], Value::Null);
    }
    let distilled = key("distill", json!({ "prompt": "step-by-step" }));
    assert_eq!(distilled, key("distill", json!({})));
    assert_eq!(
        key("finetune", json!({ "prompt": "answer" })),
        key("finetune", json!({}))
    );
    assert_eq!(
        key("distill", json!({ "prompt": "answer" }))["prompt"],
        "answer"
    );
    for (kind, word) in [
        ("sample", "answer"),
        ("score", "step-by-step"),
        ("predict", "auto"),
        ("predict", "step-by-step"),
        ("student", "answer"),
    ] {
        assert_eq!(
            key(kind, json!({ "prompt": word }))["prompt"],
            word,
            "{kind}"
        );
    }
    let own = "Think: {question}";
    assert_eq!(key("teach", json!({ "prompt": own }))["prompt"], own);
    assert_eq!(key("teach", json!({}))["prompt"], Value::Null);
    // A template is in the key by its content, however it is written.
    assert_eq!(
        key("sample", json!({ "prompt": { "template": own } }))["prompt"],
        own
    );
    let chat = key("sample", json!({ "prompt": "chat" }));
    assert_eq!(chat["prompt"]["chat"]["date"], "2026-01-01");
}

/// `SmolLM2` with its own template, whose words and special tokens are real ones.
#[test]
fn a_real_student_is_asked_by_its_own_template() {
    let Some(folder) = needs::modern("smollm2-135m-instruct") else {
        return;
    };
    let prompt = "prompt = { chat = { user = \"{question} Answer yes or no.\" } }\nlong_prompts = \"refuse\"";
    let stage = format!("[stages.answers]\nkind = \"predict\"\nmax_new_tokens = 12\n{prompt}\n");
    let world = world();
    let world = world.split("[stages.student]").next().unwrap();
    let model = folder.display();
    let bench = Bench::new(&format!("{world}\n[student]\nmodel = \"{model}\"\n{stage}"));
    bench
        .run_manifest(&["--stage", "answers", "--limit", "3"])
        .ok();
    let shown = bench
        .run(&["show", "m.toml", "answers", "--json", "--limit", "3"])
        .ok();
    for line in shown.stdout.lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let (prompt, output) = (
            row["prompt"].as_str().unwrap(),
            row["output"].as_str().unwrap(),
        );
        assert!(
            prompt.contains("<|im_end|>\n<|im_start|>user\n"),
            "{prompt}"
        );
        assert!(
            prompt.ends_with("Answer yes or no.<|im_end|>\n<|im_start|>assistant\n"),
            "{prompt}"
        );
        assert!(
            !output.trim().is_empty() && !output.starts_with(' '),
            "{output:?}"
        );
    }
}
