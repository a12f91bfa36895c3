//! What is wrong with a declared prompt, told before anything runs.

use std::collections::BTreeMap;

use crate::input::nearest;
use crate::model::{ChatError, ChatSettings, ChatTemplate};
use crate::stage::ParamError;
use crate::text::{Asks, ChatSpec, PLACES, PromptSpec, Template, TemplateError};

/// Places that people would write for what gives the answer away.
const GIVE_AWAY: [&str; 8] = [
    "answer",
    "gold",
    "label",
    "target",
    "solution",
    "rationale",
    "reasoning",
    "explanation",
];
/// Prompts by name.
const NAMES: [&str; 3] = ["answer", "step-by-step", "chat"];

/// What is wrong with the prompt in the parameter `prompt`.
pub(crate) fn prompt_errors(spec: &PromptSpec) -> Vec<ParamError> {
    match &spec.asks {
        Asks::Form(_) => Vec::new(),
        Asks::Template(text) => template_error("prompt", "template", text, &NAMES)
            .into_iter()
            .collect(),
        Asks::Chat(chat) => chat_errors(chat),
    }
}

/// The same of the prompt that a training's texts have.
pub(crate) fn training_prompt_errors(spec: &PromptSpec) -> Vec<ParamError> {
    let mut errors = prompt_errors(spec);
    if let Asks::Chat(chat) = &spec.asks
        && !chat.add_generation_prompt
    {
        errors.push(ParamError {
            field: "prompt.chat.add_generation_prompt".to_owned(),
            message:
                "a student is trained on what stands in its opened turn, and learns to open none"
                    .to_owned(),
            hint: Some(
                "leave it out: of a template that opens none the prompt is the same".to_owned(),
            ),
        });
    }
    errors
}

/// What is wrong with a template, or with a word that names no prompt; `names` are those there are.
pub(crate) fn template_error(
    field: &str,
    key: &str,
    text: &str,
    names: &[&str],
) -> Option<ParamError> {
    let of = |message: String, hint: String| {
        Some(ParamError {
            field: field.to_owned(),
            message,
            hint: Some(hint),
        })
    };
    match Template::new(text) {
        Ok(_) => None,
        Err(TemplateError::Unknown(place)) if GIVE_AWAY.contains(&place.as_str()) => of(
            format!("a prompt has no place for `{{{place}}}`: it would give the gold answer away"),
            format!(
                "take it out; for rationalization `sample` has `hint = \"answer\"`, whose place is {{hint}}; examples with their answers are `few_shot`; `{{{{{place}}}}}` writes the text `{{{place}}}`"
            ),
        ),
        Err(TemplateError::Unknown(place)) => {
            let meant = nearest(&place, PLACES)
                .map_or_else(String::new, |near| format!("did you mean {{{near}}}? "));
            of(
                format!("there is no place `{{{place}}}`"),
                format!(
                    "{meant}places: {{question}}, {{choices}}, {{hint}}; `{{{{{place}}}}}` writes the text `{{{place}}}`"
                ),
            )
        }
        Err(TemplateError::NoQuestion) => {
            let accepted = format!(
                "accepted: {}, or a text with {{question}} in it",
                names.join(", ")
            );
            let meant = nearest(text, names.iter().copied());
            let hint = match meant {
                Some(near) if key == "template" => format!("did you mean `{near}`? {accepted}"),
                _ if key == "template" => accepted,
                _ => "write where the question stands: {question}".to_owned(),
            };
            let shown: String = text.chars().take(40).collect();
            of(
                format!("`{shown}` is no known prompt, and has no place for {{question}}"),
                hint,
            )
        }
    }
}

fn chat_errors(chat: &ChatSpec) -> Vec<ParamError> {
    let mut errors: Vec<ParamError> = template_error("prompt.chat.user", "user", &chat.user, &[])
        .into_iter()
        .collect();
    let today = match chat.date.parse() {
        Ok(today) => today,
        Err(error) => {
            let error: ChatError = error;
            errors.push(ParamError::of("prompt.chat.date", &error));
            return errors;
        }
    };
    let settings = ChatSettings {
        special_tokens: BTreeMap::new(),
        arguments: chat.arguments.clone(),
        today,
    };
    // A name of one of the student's templates is Jinja too, of a text without any place.
    let source = chat.template.as_deref().unwrap_or_default();
    match ChatTemplate::new("prompt.chat.template", source, settings) {
        Ok(_) => {}
        Err(error @ ChatError::Reserved(_)) => {
            errors.push(ParamError::of("prompt.chat.arguments", &error));
        }
        Err(error) => errors.push(ParamError::of("prompt.chat.template", &error)),
    }
    errors
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn told(prompt: Value) -> Vec<String> {
        let spec: PromptSpec = serde_json::from_value(prompt).unwrap();
        let errors = prompt_errors(&spec).into_iter();
        let told = errors.map(|error| {
            format!(
                "{}: {} | {}",
                error.field,
                error.message,
                error.hint.unwrap_or_default()
            )
        });
        told.collect()
    }

    #[test]
    fn a_prompt_that_would_give_the_answer_away_is_refused() {
        for place in GIVE_AWAY {
            for prompt in [
                json!(format!("{{question}} {{{place}}}")),
                json!({ "chat": { "user": format!("{{question}} {{{place}}}") } }),
            ] {
                let told = told(prompt);
                assert_eq!(told.len(), 1);
                assert!(
                    told[0].contains("would give the gold answer away"),
                    "{told:?}"
                );
                assert!(told[0].contains("hint = \"answer\""), "{told:?}");
            }
        }
    }

    #[test]
    fn slips_are_told_with_the_nearest_name() {
        for (prompt, wanted) in [
            (json!("{question} {choice}"), "did you mean {choices}?"),
            (
                json!("{question} {x}"),
                "there is no place `{x}` | places: ",
            ),
            (json!("step-by-stp"), "did you mean `step-by-step`?"),
            (
                json!("Think."),
                "no place for {question} | accepted: answer",
            ),
            (
                json!({ "chat": { "user": "Think." } }),
                "prompt.chat.user: ",
            ),
            (
                json!({ "chat": { "date": "2026-02-30" } }),
                "prompt.chat.date: `2026-02-30` is not a date",
            ),
            (
                json!({ "chat": { "arguments": { "messages": 1 } } }),
                "prompt.chat.arguments: ",
            ),
            (
                json!({ "chat": { "template": "{% if %}" } }),
                "prompt.chat.template: ",
            ),
        ] {
            let told = told(prompt);
            assert!(
                told.len() == 1 && told[0].contains(wanted),
                "{told:?} {wanted}"
            );
        }
    }

    #[test]
    fn prompts_that_do_are_let_pass() {
        for prompt in [
            json!("answer"),
            json!("chat"),
            json!("Q: {question}\nPut it in \\boxed{}. A:"),
            json!({ "template": "{question}{hint}", "few_shot": {} }),
            json!({ "chat": { "template": "tool_use", "arguments": { "enable_thinking": false } } }),
            json!({ "chat": { "template": "{{ messages[0].content }}" } }),
        ] {
            assert_eq!(told(prompt), Vec::<String>::new());
        }
    }
}
