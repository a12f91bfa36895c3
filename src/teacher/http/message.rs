//! What a choice of a completion holds, wherever its server puts it.
//!
//! The text is `message.content` (a string, or a list of parts), or `text` of the older interface. What the
//! model thought before it is in a field of its own: `reasoning_content` (`DeepSeek`, `SGLang`, llama.cpp, older
//! vLLM), `reasoning` (vLLM, Ollama, Groq), `reasoning_details` (`OpenRouter`, `MiniMax`), `thinking` and
//! `thinking_blocks` (`LiteLLM`); or among the parts (`Magistral`); or in the text, in tags.

use serde_json::Value;

use crate::text::parted;

/// Where servers put what was thought; the first that holds something counts, for some send it twice.
const THOUGHT_FIELDS: [&str; 5] = [
    "reasoning_content",
    "reasoning",
    "thinking",
    "reasoning_details",
    "thinking_blocks",
];
/// Where an object holds its words.
const WORD_FIELDS: [&str; 6] = [
    "text",
    "thinking",
    "reasoning",
    "content",
    "summary",
    "value",
];

/// A choice, read.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Message {
    /// The text as it came, thinking in tags and all: what a conversation goes on from.
    pub(super) content: String,
    /// What the model thought.
    pub(super) thought: Option<String>,
    /// What it said.
    pub(super) said: String,
    /// Whether it declined.
    pub(super) declined: bool,
}

/// The message of `choice`; `None` where it has none.
pub(super) fn read(choice: &Value) -> Option<Message> {
    let message = choice.get("message").filter(|message| message.is_object());
    let (holder, content) = match (message, choice.get("text")) {
        (Some(message), _) => (message, message.get("content")),
        (None, Some(text)) => (choice, Some(text)),
        (None, None) => return None,
    };
    let mut parts = Parts::default();
    parts.take(content.unwrap_or(&Value::Null))?;
    let field = (THOUGHT_FIELDS.iter())
        .filter_map(|name| Some(words(holder.get(*name)?)))
        .find(|text| !text.trim().is_empty());
    let tags = parted(&parts.text);
    let thought = joined([
        field.unwrap_or(parts.thought),
        tags.thought.unwrap_or_default(),
    ]);
    // Some copy what was thought into an empty content.
    let said = if thought.as_deref() == Some(tags.said.trim()) {
        String::new()
    } else {
        tags.said
    };
    Some(Message {
        declined: parts.declined || holder.get("refusal").is_some_and(says_something),
        content: parts.text,
        thought,
        said,
    })
}

/// Whether a field that is for trouble tells of any: `null`, `""`, `{}`, `[]`, `0`, `false` and what is made of
/// these do not.
pub(super) fn says_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(yes) => *yes,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.trim().is_empty(),
        Value::Array(values) => values.iter().any(says_something),
        Value::Object(fields) => fields.values().any(says_something),
    }
}

/// A content's parts by what they are.
#[derive(Default)]
struct Parts {
    text: String,
    thought: String,
    declined: bool,
}

impl Parts {
    /// Takes a content; `None` where it is of no form that a text has.
    fn take(&mut self, content: &Value) -> Option<()> {
        match content {
            Value::Null => {}
            Value::String(text) => self.text += text,
            Value::Array(parts) => {
                for part in parts {
                    self.take(part)?;
                }
            }
            Value::Object(part) => {
                let kind = part.get("type").and_then(Value::as_str).unwrap_or_default();
                if kind.contains("think") || kind.contains("reason") {
                    self.thought += &words(content);
                } else if kind == "refusal" {
                    self.declined |= part.get("refusal").is_some_and(says_something);
                } else if let Some(text) = part.get("text") {
                    self.text += &words(text);
                }
            }
            Value::Bool(_) | Value::Number(_) => return None,
        }
        Some(())
    }
}

/// The words in a value of any form.
fn words(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(words).collect(),
        Value::Object(fields) => {
            let mut texts = WORD_FIELDS
                .iter()
                .filter_map(|name| Some(words(fields.get(*name)?)));
            texts.find(|text| !text.is_empty()).unwrap_or_default()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => String::new(),
    }
}

/// Two accounts of what was thought, as one where the first has the second in it.
fn joined([first, second]: [String; 2]) -> Option<String> {
    let (first, second) = (first.trim(), second.trim());
    let all = if second.is_empty() || first.contains(second) {
        first.to_owned()
    } else if second.contains(first) {
        second.to_owned()
    } else {
        format!("{first}\n\n{second}")
    };
    (!all.is_empty()).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_said_and_what_was_thought_are_found_wherever_they_are() {
        for (message, thought, said) in [
            (json!({ "content": " Yes." }), None, " Yes."),
            (json!({ "content": null }), None, ""),
            (json!({}), None, ""),
            (
                json!({ "content": "b", "reasoning_content": "a" }),
                Some("a"),
                "b",
            ),
            (
                json!({ "content": "b", "reasoning": "a\n" }),
                Some("a"),
                "b",
            ),
            (
                json!({ "content": null, "reasoning_content": "a", "reasoning": "a" }),
                Some("a"),
                "",
            ),
            (
                json!({ "content": "b", "reasoning_content": null, "reasoning": "a" }),
                Some("a"),
                "b",
            ),
            (
                json!({ "content": "b", "reasoning_content": "", "reasoning": {} }),
                None,
                "b",
            ),
            (json!({ "content": "b", "thinking": "a" }), Some("a"), "b"),
            (
                json!({ "content": "b", "thinking_blocks": [{ "type": "thinking", "thinking": "a", "signature": "x" }] }),
                Some("a"),
                "b",
            ),
            (
                json!({ "content": "b", "reasoning_details": [{ "type": "reasoning.text", "text": "a1 ", "index": 0 }, { "type": "reasoning.encrypted", "data": "x" }, { "type": "reasoning.summary", "summary": "a2" }] }),
                Some("a1 a2"),
                "b",
            ),
            (json!({ "content": "<think>a</think>b" }), Some("a"), "b"),
            (
                json!({ "content": "<think>a</think>b", "reasoning_content": "a" }),
                Some("a"),
                "b",
            ),
            (
                json!({ "content": "<think>c</think>b", "reasoning_content": "a" }),
                Some("a\n\nc"),
                "b",
            ),
            (
                json!({ "content": "a", "reasoning_content": "a" }),
                Some("a"),
                "",
            ),
            (
                json!({ "content": [{ "type": "text", "text": "a" }, { "text": "b" }, "c"] }),
                None,
                "abc",
            ),
            (
                json!({ "content": [{ "type": "thinking", "thinking": [{ "type": "text", "text": "a" }] }, { "type": "text", "text": "b" }] }),
                Some("a"),
                "b",
            ),
            (
                json!({ "content": { "type": "output_text", "text": "b" } }),
                None,
                "b",
            ),
            (
                json!({ "content": [{ "type": "text", "text": { "value": "b" } }] }),
                None,
                "b",
            ),
            (
                json!({ "content": [null, { "type": "image_url", "image_url": { "url": "x" } }, { "text": "b" }] }),
                None,
                "b",
            ),
        ] {
            let read = read(&json!({ "message": message })).unwrap();
            assert_eq!(
                (read.thought.as_deref(), read.said.as_str()),
                (thought, said),
                "{message}"
            );
            assert!(!read.declined, "{message}");
        }
        let older = read(&json!({ "text": " so", "message": null })).unwrap();
        assert_eq!(
            (older.said.as_str(), older.content.as_str()),
            (" so", " so")
        );
        let tagged = read(&json!({ "message": { "content": "<think>a</think>b" } })).unwrap();
        assert_eq!(tagged.content, "<think>a</think>b");
        for none in [
            json!({}),
            json!({ "message": null }),
            json!({ "message": "b" }),
            json!({ "delta": { "content": "b" } }),
        ] {
            assert_eq!(read(&none), None, "{none}");
        }
        for strange in [
            json!({ "message": { "content": 3 } }),
            json!({ "message": { "content": [true] } }),
            json!({ "text": 3 }),
        ] {
            assert_eq!(read(&strange), None, "{strange}");
        }
    }

    #[test]
    fn a_refusal_says_something() {
        for (message, declined) in [
            (json!({ "content": "b", "refusal": null }), false),
            (json!({ "content": "b", "refusal": "" }), false),
            (json!({ "content": "b", "refusal": false }), false),
            (json!({ "content": null, "refusal": "I cannot" }), true),
            (
                json!({ "content": [{ "type": "refusal", "refusal": "I cannot" }] }),
                true,
            ),
        ] {
            let read = read(&json!({ "message": message })).unwrap();
            assert_eq!(read.declined, declined, "{message}");
        }
    }

    #[test]
    fn empty_fields_tell_of_no_trouble() {
        for nothing in [
            json!(null),
            json!(""),
            json!(" "),
            json!({}),
            json!([]),
            json!(0),
            json!(0.0),
            json!(false),
            json!({ "message": "", "code": null }),
            json!([{}, ""]),
            json!({ "code": 0, "message": null }),
        ] {
            assert!(!says_something(&nothing), "{nothing}");
        }
        for something in [
            json!("x"),
            json!({ "message": "x" }),
            json!({ "code": 500 }),
            json!([1]),
            json!(true),
        ] {
            assert!(says_something(&something), "{something}");
        }
    }
}
