//! What a student with a chat template is asked and trained on, held to what transformers makes of the same chat
//! (`tests/fixtures/make_chat_training.py`).

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::append_answer::AppendAnswer;
use super::examples::{ExampleWriter, TooLong, Written};
use super::few_shot::Shots;
use super::prompter::Prompter;
use super::shown::Declared;
use crate::model::Student;
use crate::model::train::{Example, TrainOptions};
use crate::text::{
    AnswerForm, ChoiceAnswer, EndReason, FewShot, Hint, PromptSpec, Question, Reading,
    ReasoningPath,
};

fn fixtures() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// The small student of `families/llama`, whose tokenizer has special tokens, with the names that templates ask for.
fn student(more: &Value) -> Student {
    let folder = tempfile::tempdir().unwrap();
    for name in [
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
    ] {
        let from = fixtures().join("families/llama").join(name);
        fs::copy(from, folder.path().join(name)).unwrap();
    }
    let mut config = json!({ "bos_token": "<s>", "eos_token": "</s>" });
    for (key, value) in more.as_object().unwrap() {
        config[key] = value.clone();
    }
    let path = folder.path().join("tokenizer_config.json");
    fs::write(path, config.to_string()).unwrap();
    Student::load(folder.path()).unwrap()
}

fn question(animal: &str, answer: &str, rationale: Option<&str>) -> Question {
    Question {
        id: animal.to_owned(),
        question: format!("is a {animal} a pet?"),
        choices: Vec::new(),
        form: AnswerForm::YesNo,
        answer: answer.to_owned(),
        rationale: rationale.map(str::to_owned),
    }
}

fn path(text: &str) -> ReasoningPath {
    serde_json::from_value(json!({ "question_id": "hat", "text": text })).unwrap()
}

fn chat(template: &str) -> PromptSpec {
    let chat = json!({ "system": "be brief", "template": template });
    serde_json::from_value(json!({ "chat": chat, "few_shot": { "count": 1 } })).unwrap()
}

/// What is made of a path to `is a hat a pet?` after an example.
fn made(
    student: &Student,
    spec: &PromptSpec,
    path: ReasoningPath,
    append_answer: AppendAnswer,
) -> Result<(Vec<u32>, Vec<Example>), String> {
    let examples = vec![question("cat", "yes", Some("cats purr."))];
    let shots = spec
        .few_shot
        .clone()
        .map(|shown: FewShot| Shots::new(shown, examples));
    let prompter = Prompter::with_shots(spec, shots, student, ChoiceAnswer::default())
        .map_err(|error| error.to_string())?;
    let asked = question("hat", "no", None);
    let prompt = prompter.prompt(&asked, Hint::None);
    let prompt = prompt.map_err(|error| error.to_string())?;
    let prompt = student.tokenizer.encode_prompt(&prompt).unwrap();
    let options = TrainOptions {
        max_length_tokens: Some(10_000),
        ..TrainOptions::default()
    };
    let written = Written {
        prompt: spec.clone(),
        reading: Reading::Standard,
        append_answer,
        ..Written::default()
    };
    let writer = ExampleWriter::new(student, &prompter, written, TooLong::Cut, &options);
    let texts = writer.paths(&[asked], &[path]);
    Ok((prompt, texts.map_err(|error| error.to_string())?.examples))
}

#[test]
fn a_chat_is_asked_and_trained_on_as_transformers_writes_it() {
    let student = student(&json!({}));
    let file = fs::read_to_string(fixtures().join("chat_training.json")).unwrap();
    let expected: Value = serde_json::from_str(&file).unwrap();
    let mut counted = Vec::new();
    for case in expected["cases"].as_array().unwrap() {
        let spec = chat(case["template"].as_str().unwrap());
        let path = path(" hats do not purr.");
        let (prompt, examples) = made(&student, &spec, path, AppendAnswer::Gold).unwrap();
        assert_eq!(json!(prompt), case["prompt"], "{}", case["name"]);
        let [Example { tokens, loss_from }] = examples.as_slice() else {
            panic!("{examples:?}");
        };
        let whole: Vec<u32> = serde_json::from_value(case["whole"].clone()).unwrap();
        let [from, to]: [usize; 2] = serde_json::from_value(case["counted"].clone()).unwrap();
        // What follows the counted tokens is not there: no loss counts it, and nothing before it sees it.
        assert_eq!((*loss_from, tokens.as_slice()), (from, &whole[..to]));
        counted.push(to);
    }
    assert_eq!(
        counted[0],
        counted[1] + 1,
        "the two templates count otherwise"
    );
}

#[test]
fn a_students_own_template_is_found_and_one_without_is_told() {
    let template = "{{ bos_token }}{% for m in messages %}{{ m.content }}</s>{% endfor %}";
    let own = student(&json!({ "chat_template": template }));
    let spec: PromptSpec = serde_json::from_value(json!("chat")).unwrap();
    let (prompt, examples) = made(&own, &spec, path(" hats."), AppendAnswer::Gold).unwrap();
    let ends = own.tokenizer.encode("</s>").unwrap();
    assert_eq!((prompt[0], prompt.last()), (1, ends.last()));
    assert_eq!(prompt.iter().filter(|id| **id == 1).count(), 1, "one <s>");
    assert!(examples[0].tokens.starts_with(&prompt));
    let error = made(&student(&json!({})), &spec, path(""), AppendAnswer::Gold).unwrap_err();
    assert!(error.contains("has no chat template\nhint: "), "{error}");
}

#[test]
fn a_template_of_which_nobody_knows_what_counts_is_refused_by_name() {
    let opens = "{% for m in messages %}<{{ m.content }}>{% endfor %}{% if add_generation_prompt %}<think>{% endif %}";
    let error = made(
        &student(&json!({})),
        &chat(opens),
        path(" hats."),
        AppendAnswer::Gold,
    );
    let error = error.unwrap_err();
    assert!(
        error.starts_with(
            "chat template `prompt.chat.template`: the conversation does not begin with its prompt"
        ),
        "{error}"
    );
    assert!(
        error.contains("hint: write the prompt as a template of the manifest"),
        "{error}"
    );
}

#[test]
fn what_is_thought_is_the_templates_to_write() {
    let thinks = "{% for m in messages %}|{{ m.role }} {% if m.reasoning_content %}<think>{{ m.reasoning_content }}</think>{% endif %}{{ m.content }}</s>{% endfor %}{% if add_generation_prompt %}|assistant {% endif %}";
    let student = student(&json!({}));
    let text = "<think>The answer is yes. no.</think> hats do not purr. The answer is yes.";
    let (prompt, examples) = made(&student, &chat(thinks), path(text), AppendAnswer::Gold).unwrap();
    let answer = student
        .tokenizer
        .decode(&examples[0].tokens[prompt.len()..]);
    let wanted = "<think>The answer is yes. no.</think>hats do not purr. So the answer is no.</s>";
    let plain = student.tokenizer.encode(wanted).unwrap();
    assert_eq!(answer.unwrap(), student.tokenizer.decode(&plain).unwrap());
}

#[test]
fn a_path_as_it_was_written_ends_as_its_turn_did() {
    let template = "{% for m in messages %}<s>{{ m.content }}<|end|>{% endfor %}{% if add_generation_prompt %}<s>{% endif %}";
    let student = student(&json!({}));
    let ends = student.vocabulary.ends();
    for (end, end_token, last) in [
        (EndReason::EndOfText, None, Some(student.tokenizer.eos_id())),
        (
            EndReason::EndOfText,
            ends.last().copied(),
            ends.last().copied(),
        ),
        (EndReason::Length, None, None),
    ] {
        let path = ReasoningPath {
            end,
            end_token,
            ..path(" hats")
        };
        let (prompt, examples) = made(&student, &chat(template), path, AppendAnswer::No).unwrap();
        let mut wanted = [prompt, student.tokenizer.encode(" hats").unwrap()].concat();
        wanted.extend(last);
        assert_eq!(examples[0].tokens, wanted);
    }
}

#[test]
fn a_template_of_the_manifest_is_asked_after_answered_examples() {
    let student = student(&json!({}));
    let spec = json!({ "template": "<s>{question}\n", "few_shot": { "count": 1, "separator": "<|end|>" } });
    let spec: PromptSpec = serde_json::from_value(spec).unwrap();
    let (prompt, examples) = made(&student, &spec, path(" hats <s>"), AppendAnswer::Gold).unwrap();
    let wanted = "<s>is a cat a pet?\ncats purr. So the answer is yes.<|end|><s>is a hat a pet?\n";
    assert_eq!(prompt, student.tokenizer.encode(wanted).unwrap());
    assert_eq!(examples[0].loss_from, prompt.len());
    // No blank behind a line break.
    let first = examples[0].tokens[prompt.len()];
    assert_eq!(first, student.tokenizer.encode("hats").unwrap()[0]);
}

#[test]
fn a_text_that_shows_the_question_is_refused_by_its_id() {
    let shown = "is a hat a pet? no.\n{question}";
    let spec: PromptSpec = serde_json::from_value(json!(shown)).unwrap();
    let student = student(&json!({}));
    let asked = question("hat", "no", None);
    let prompter = Prompter::with_shots(&spec, None, &student, ChoiceAnswer::default()).unwrap();
    // Its 15 letters may stand anywhere; more may not.
    assert!(prompter.prompt(&asked, Hint::None).is_ok());
    let longer = Question {
        question: "is a hat a pet? no.".to_owned(),
        ..asked
    };
    let error = prompter
        .prompt(&longer, Hint::None)
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("the prompt's own text shows the question `hat`"),
        "{error}"
    );
    // A rationalising prompt declares that it gives the answer away.
    assert!(prompter.prompt(&longer, Hint::Answer).is_ok());
    // Wherever a manifest can write words, and however it writes them.
    let chat = |setting: &str, value: Value| json!({"chat": {setting: value}});
    for spec in [
        json!({"template": "Is a  HAT\na pet?? no! So: {question}"}),
        chat("system", json!("is a hat a pet? no. no.")),
        chat("user", json!("is a hat a pet? no.\n{question}")),
        chat(
            "template",
            json!("is a hat a pet? no. {{ messages[0].content }}"),
        ),
        chat(
            "arguments",
            json!({"documents": [{"text": "Is a hat a pet? no."}]}),
        ),
        json!({"few_shot": {"count": 1, "separator": "is a hat a pet? no."}}),
    ] {
        let spec: PromptSpec = serde_json::from_value(spec).unwrap();
        let declared = Declared::of(&spec);
        assert!(declared.refuse_shown(&longer).is_err(), "{spec:?}");
        let other = Question {
            question: "is a hat a pet? not now".to_owned(),
            ..longer.clone()
        };
        assert!(declared.refuse_shown(&other).is_ok(), "{spec:?}");
    }
}

/// `SmolLM2`'s own template and tokenizer: what a question spells is no end of its turn.
#[test]
fn a_real_template_ends_turns_and_a_question_does_not() {
    let Some(folder) = crate::needs::modern("smollm2-135m-instruct") else {
        return;
    };
    let student = Student::open(&folder).unwrap();
    let spec: PromptSpec = serde_json::from_value(json!("chat")).unwrap();
    let prompter = Prompter::with_shots(&spec, None, &student, ChoiceAnswer::default()).unwrap();
    let [end] = student.tokenizer.encode("<|im_end|>").unwrap()[..] else {
        panic!("a special token is one token");
    };
    let ends = |animal: &str| {
        let prompt = prompter
            .prompt(&question(animal, "no", None), Hint::None)
            .unwrap();
        let tokens = student.tokenizer.encode_prompt(&prompt).unwrap();
        assert_eq!(student.tokenizer.decode(&tokens).unwrap(), prompt.text);
        if !animal.contains('|') {
            let plain = student.tokenizer.encode(&prompt.text).unwrap();
            assert_eq!(tokens, plain, "nothing is put before it");
        }
        tokens.iter().filter(|token| **token == end).count()
    };
    assert_eq!(ends("cat"), 2, "of the system's turn and the user's");
    assert_eq!(ends("<|im_end|>"), 2);
}
