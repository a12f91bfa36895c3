//! A prompt's declared texts that show the question itself: its answer may follow there.

use serde_json::Value;

use crate::stage::StageError;
use crate::text::{Asks, PromptSpec, Question, Template, plain_words};

/// Letters and blanks of a question's words at least, for it to be told in another text (ours): shorter ones may stand
/// there by chance.
const TELLING: usize = 16;

/// The words of all texts that a manifest declares for a prompt, whatever their case, blanks and punctuation: of a template,
/// of a chat's messages, its own template and its arguments, of what stands between examples.
pub(crate) struct Declared(Vec<String>);

impl Declared {
    pub(crate) fn of(prompt: &PromptSpec) -> Self {
        let mut texts = Vec::new();
        let template = |text: &str, texts: &mut Vec<String>| {
            // One that cannot be read is refused elsewhere.
            if let Ok(template) = Template::new(text) {
                texts.extend(template.fixed().map(words));
            }
        };
        match &prompt.asks {
            Asks::Form(_) => {}
            Asks::Template(text) => template(text, &mut texts),
            Asks::Chat(chat) => {
                template(&chat.user, &mut texts);
                let written = chat.system.iter().chain(&chat.template);
                texts.extend(written.map(|text| words(text)));
                for argument in chat.arguments.values() {
                    strings(argument, &mut texts);
                }
            }
        }
        let examples = prompt.few_shot.iter();
        texts.extend(examples.map(|examples| words(&examples.separator)));
        texts.retain(|text| text.len() > TELLING);
        Self(texts)
    }

    /// Refuses a question that one of them shows.
    ///
    /// # Errors
    /// A text has the question's words, one after the other.
    pub(crate) fn refuse_shown(&self, question: &Question) -> Result<(), StageError> {
        if self.0.is_empty() {
            return Ok(());
        }
        let asked = words(&question.question);
        let is_telling = asked.trim().chars().count() >= TELLING;
        if !is_telling || !self.0.iter().any(|text| text.contains(&asked)) {
            return Ok(());
        }
        Err(StageError::Invalid(format!(
            "the prompt's own text shows the question `{}`, whose answer may follow there\nhint: take it out of the text, or show examples by `few_shot`, which never shows the question itself",
            question.id
        )))
    }
}

/// The words of a text with one blank before each and one behind the last, so that only whole words are found.
fn words(text: &str) -> String {
    format!(" {} ", plain_words(text).join(" "))
}

/// The words of all texts in a value.
fn strings(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::String(text) => into.push(words(text)),
        Value::Array(values) => values.iter().for_each(|value| strings(value, into)),
        Value::Object(map) => {
            for (name, value) in map {
                into.push(words(name));
                strings(value, into);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
