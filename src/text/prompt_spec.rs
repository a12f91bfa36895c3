//! A prompt as a manifest declares it.
//!
//! | in a manifest | what is asked |
//! |---|---|
//! | `"answer"`, `"step-by-step"` | the paper's forms |
//! | `"Q: {question}\nA:"`, or `{ template = "..." }` | a template of the manifest's |
//! | `"chat"`, or `{ chat = { system = "...", user = "...", ... } }` | messages, by the student's own chat template |
//! | any of them in a table with `few_shot = { count = 4 }` | the same after answered examples |
//!
//! Of two ways to write one prompt the shorter is kept, so both have one key; a chat's settings are all written out, so
//! that its key says them.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::PromptForm;

/// The day that a chat template is told where it asks for one and the manifest says no other: always the same, so that a
/// prompt is the same tomorrow.
pub const CHAT_DATE: &str = "2026-01-01";
/// What a user's message says where the manifest says no other.
const USER: &str = "{question}";
/// The word for a chat with all settings as they are by default.
const CHAT: &str = "chat";
/// What stands between examples where the manifest says no other.
const SEPARATOR: &str = "\n\n";

/// A prompt: what it asks, and the answered examples before it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub struct PromptSpec {
    /// What it asks.
    pub asks: Asks,
    /// The examples before it.
    pub few_shot: Option<FewShot>,
}

/// What a prompt asks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Asks {
    /// A form of the paper's.
    Form(PromptForm),
    /// A template of the manifest's, as it is written there: see [`super::Template`].
    Template(String),
    /// Messages, by a chat template.
    Chat(Box<ChatSpec>),
}

impl Default for Asks {
    fn default() -> Self {
        Self::Form(PromptForm::default())
    }
}

/// What is asked by a chat template.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ChatSpec {
    /// The system message. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// The user's message, a template with places as of `prompt.template`. Default `{question}`: the question with its
    /// choices.
    pub user: String,
    /// Whether the prompt opens the assistant's turn. Default true.
    pub add_generation_prompt: bool,
    /// Further arguments of the template, as `chat_template_kwargs` of servers: `enable_thinking`, ...
    pub arguments: Map<String, Value>,
    /// The template: the name of one of the student's own where it has several, or a text of Jinja in place of it, as one
    /// that marks the answer by `{% generation %}`. Default: the student's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// The day that the template is told where it asks for one (`strftime_now`). Default 2026-01-01.
    pub date: String,
}

impl Default for ChatSpec {
    fn default() -> Self {
        Self {
            system: None,
            user: USER.to_owned(),
            add_generation_prompt: true,
            arguments: Map::new(),
            template: None,
            date: CHAT_DATE.to_owned(),
        }
    }
}

/// Answered examples before a question.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FewShot {
    /// How many, of the questions at the input `examples` (`data.train` unless the stage names others). Default 4.
    #[schemars(range(min = 1, max = 64))]
    pub count: u32,
    /// Which: another seed draws others. The same examples stand before every question, but never the question itself.
    /// Default 0.
    pub seed: u64,
    /// Whether an example shows the reference solution before its answer, where its data set has one. Default true.
    pub rationales: bool,
    /// What stands between examples, where they are not messages of a chat. Default an empty line.
    pub separator: String,
}

impl Default for FewShot {
    fn default() -> Self {
        Self {
            count: 4,
            seed: 0,
            rationales: true,
            separator: SEPARATOR.to_owned(),
        }
    }
}

/// A prompt as a table of a manifest.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Table {
    /// `answer`, `step-by-step`, or a text with a place for `{question}`; `{choices}` and `{hint}` are places too.
    template: Option<String>,
    /// Messages, by the student's own chat template.
    chat: Option<ChatSpec>,
    /// Answered examples before the question.
    few_shot: Option<FewShot>,
}

impl PromptSpec {
    /// A form of the paper's.
    pub fn form(form: PromptForm) -> Self {
        Self {
            asks: Asks::Form(form),
            few_shot: None,
        }
    }

    /// A template of the manifest's, or the name of a form.
    pub fn template(text: &str) -> Self {
        Self {
            asks: asks(text),
            few_shot: None,
        }
    }
}

/// The form of that name, or a template.
fn asks(text: &str) -> Asks {
    match text {
        "answer" => Asks::Form(PromptForm::Answer),
        "step-by-step" => Asks::Form(PromptForm::StepByStep),
        own => Asks::Template(own.to_owned()),
    }
}

impl From<PromptSpec> for Value {
    fn from(spec: PromptSpec) -> Self {
        let (name, value) = match spec.asks {
            Asks::Form(form) => ("template", json!(form)),
            Asks::Template(text) => ("template", text.into()),
            Asks::Chat(chat) => (CHAT, json!(chat)),
        };
        match spec.few_shot {
            None if value.is_string() => value,
            few_shot => {
                let mut table = json!({ name: value });
                if let Some(few_shot) = few_shot {
                    table["few_shot"] = json!(few_shot);
                }
                table
            }
        }
    }
}

impl TryFrom<Value> for PromptSpec {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        let mut table = match value {
            Value::String(word) if word == CHAT => {
                let asks = Asks::Chat(Box::default());
                return Ok(Self {
                    asks,
                    few_shot: None,
                });
            }
            Value::String(text) => return Ok(Self::template(&text)),
            Value::Object(table) => table,
            other => return Err(format!("`prompt` is {other}, accepted: a text or a table")),
        };
        let mut take = |name: &str| table.remove(name).filter(|value| !value.is_null());
        let (template, chat, few_shot) = (take("template"), take(CHAT), take("few_shot"));
        if let Some(other) = table.keys().next() {
            return Err(format!(
                "`prompt` has no key `{other}`, accepted: template, chat, few_shot"
            ));
        }
        let wrong = |error: serde_json::Error| error.to_string();
        let asks = match (template, chat) {
            (Some(Value::String(text)), None) => asks(&text),
            (None, Some(chat)) => Asks::Chat(serde_json::from_value(chat).map_err(wrong)?),
            (Some(_), Some(_)) => {
                return Err("`prompt` has both `template` and `chat`\nhint: keep one".to_owned());
            }
            (None, None) => Asks::default(),
            (Some(other), None) => return Err(format!("`prompt.template` is {other}, no text")),
        };
        let few_shot = few_shot.map(serde_json::from_value).transpose();
        Ok(Self {
            asks,
            few_shot: few_shot.map_err(wrong)?,
        })
    }
}

impl JsonSchema for PromptSpec {
    fn schema_name() -> Cow<'static, str> {
        "Prompt".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = Table::json_schema(generator);
        schema.insert("type".to_owned(), json!(["string", "object"]));
        schema.insert("description".to_owned(), json!("A prompt (docs/prompts.md): `answer`, `step-by-step`, `chat`, a text with `{question}` in it, or a table with `template` or `chat`, and `few_shot`."));
        schema
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &Value) -> PromptSpec {
        serde_json::from_value(value.clone()).unwrap()
    }

    #[test]
    fn one_prompt_has_one_form_however_it_is_written() {
        for (written, kept) in [
            (json!("answer"), json!("answer")),
            (json!({ "template": "answer" }), json!("answer")),
            (json!({}), json!("answer")),
            (json!("step-by-step"), json!("step-by-step")),
            (json!({ "template": "{question}" }), json!("{question}")),
            (
                json!("chat"),
                json!({ "chat": { "user": "{question}", "add_generation_prompt": true, "arguments": {}, "date": "2026-01-01" } }),
            ),
            (
                json!({ "template": "answer", "few_shot": { "count": 2 } }),
                json!({ "template": "answer", "few_shot": { "count": 2, "seed": 0, "rationales": true, "separator": "\n\n" } }),
            ),
        ] {
            let spec = read(&written);
            assert_eq!(serde_json::to_value(&spec).unwrap(), kept, "{written}");
            assert_eq!(read(&kept), spec);
        }
        assert_eq!(read(&json!({ "chat": {} })), read(&json!("chat")));
        assert_eq!(PromptSpec::default(), read(&json!("answer")));
    }

    #[test]
    fn what_a_chat_is_asked_with_is_in_its_key() {
        let kept = |chat: Value| serde_json::to_value(read(&json!({ "chat": chat }))).unwrap();
        let plain = kept(json!({}));
        for other in [
            json!({ "system": "s" }),
            json!({ "user": "{question}!" }),
            json!({ "add_generation_prompt": false }),
            json!({ "arguments": { "enable_thinking": false } }),
            json!({ "template": "{{ messages }}" }),
            json!({ "date": "2024-07-26" }),
        ] {
            assert_ne!(kept(other.clone()), plain, "{other}");
        }
    }

    #[test]
    fn what_is_no_prompt_is_refused() {
        for wrong in [
            json!(1),
            json!({ "template": "{question}", "chat": {} }),
            json!({ "chat": { "sistem": "s" } }),
            json!({ "few_shot": { "n": 2 } }),
            json!({ "tempalte": "{question}" }),
        ] {
            let read: Result<PromptSpec, _> = serde_json::from_value(wrong.clone());
            assert!(read.is_err(), "{wrong}");
        }
    }
}
