//! What a server answered, as a row: read out of the response's body and kept beside it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Api, Tokens};

/// One reply, kept under its request's key and never asked for again.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Reply {
    /// Whether it is an answer.
    pub verdict: ReplyVerdict,
    /// What the model wrote; empty where there is none.
    pub text: String,
    /// Why it ended, as the server says: `stop`, `length`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish: Option<String>,
    /// What it cost, as the server says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Tokens>,
    /// The model that answered, as the server says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub served_by: Option<String>,
    /// The response's body as it came.
    pub raw: String,
}

/// What a reply is worth.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReplyVerdict {
    /// A text.
    Answered,
    /// The provider's filter, or the model, declined.
    ContentFilter,
    /// The prompt does not fit the model's context.
    TooLong,
    /// Nothing was written, twice.
    Empty,
}

impl ReplyVerdict {
    /// The name that notes use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::ContentFilter => "content filter",
            Self::TooLong => "too long",
            Self::Empty => "empty",
        }
    }
}

impl Reply {
    /// The text, where it is an answer.
    pub fn answer(&self) -> Option<&str> {
        (self.verdict == ReplyVerdict::Answered).then_some(self.text.as_str())
    }

    /// A request that was refused, with the server's words.
    pub(super) fn refused(verdict: ReplyVerdict, raw: &str) -> Self {
        Self {
            verdict,
            text: String::new(),
            finish: None,
            usage: None,
            served_by: None,
            raw: raw.to_owned(),
        }
    }

    /// The reply in a completion's body; `None` where the body is not one.
    pub(super) fn read(api: Api, body: &Value, raw: &str) -> Option<Self> {
        let choice = body.get("choices")?.as_array()?.first()?;
        let declined = |message: &Value| message.get("refusal").is_some_and(|it| !it.is_null());
        let (text, refused) = match api {
            Api::Chat => {
                let message = choice.get("message")?;
                (content(message.get("content"))?, declined(message))
            }
            Api::Completions => (choice.get("text")?.as_str()?.to_owned(), false),
        };
        let word = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
        let finish = word(choice.get("finish_reason"));
        let verdict = if refused || finish.as_deref() == Some("content_filter") {
            ReplyVerdict::ContentFilter
        } else if text.trim().is_empty() {
            ReplyVerdict::Empty
        } else {
            ReplyVerdict::Answered
        };
        let usage = body.get("usage").and_then(|usage| {
            let count = |name: &str| usage.get(name).and_then(Value::as_u64);
            let prompt = count("prompt_tokens")?;
            // A server that leaves them out does not say that there were none.
            let rest = || count("total_tokens")?.checked_sub(prompt);
            Some(Tokens {
                prompt,
                completion: count("completion_tokens").or_else(rest)?,
            })
        });
        Some(Self {
            verdict,
            text,
            finish,
            usage,
            served_by: word(body.get("model")),
            raw: raw.to_owned(),
        })
    }
}

/// A message's text: a string, a list of parts, or nothing.
fn content(content: Option<&Value>) -> Option<String> {
    match content {
        None | Some(Value::Null) => Some(String::new()),
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Array(parts)) => Some(
            parts
                .iter()
                .filter_map(|part| part.get("text")?.as_str())
                .collect(),
        ),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn chat(message: &Value, finish: &str) -> Option<Reply> {
        let body = json!({
            "model": "m-2026",
            "choices": [{ "message": message, "finish_reason": finish }],
            "usage": { "prompt_tokens": 7, "completion_tokens": 3 },
        });
        Reply::read(Api::Chat, &body, "raw")
    }

    #[test]
    fn texts_in_all_their_forms() {
        let plain = chat(&json!({ "content": " Yes." }), "stop").unwrap();
        assert_eq!(plain.answer(), Some(" Yes."));
        assert_eq!(
            plain.usage,
            Some(Tokens {
                prompt: 7,
                completion: 3
            })
        );
        assert_eq!(plain.served_by.as_deref(), Some("m-2026"));
        let parts = chat(
            &json!({ "content": [{ "type": "text", "text": "a" }, { "text": "b" }] }),
            "stop",
        );
        assert_eq!(parts.unwrap().text, "ab");
        assert_eq!(chat(&json!({ "content": 3 }), "stop"), None);
        let body = json!({ "choices": [{ "text": "so", "finish_reason": "length" }] });
        let completion = Reply::read(Api::Completions, &body, "").unwrap();
        assert_eq!((completion.text.as_str(), completion.usage), ("so", None));
        for broken in [json!({}), json!({ "choices": [] }), json!([1])] {
            assert_eq!(Reply::read(Api::Chat, &broken, ""), None);
        }
    }

    #[test]
    fn what_is_no_answer() {
        let verdict = |message: Value, finish| chat(&message, finish).unwrap().verdict;
        assert_eq!(
            verdict(json!({ "content": null }), "stop"),
            ReplyVerdict::Empty
        );
        assert_eq!(
            verdict(json!({ "content": " \n" }), "length"),
            ReplyVerdict::Empty
        );
        let cut = json!({ "content": "I will" });
        assert_eq!(verdict(cut, "content_filter"), ReplyVerdict::ContentFilter);
        let declined = json!({ "content": null, "refusal": "I cannot" });
        assert_eq!(verdict(declined, "stop"), ReplyVerdict::ContentFilter);
    }
}
