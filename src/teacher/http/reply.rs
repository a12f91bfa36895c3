//! What a server answered, as a row: read out of the response's body and kept beside it.
//!
//! The body is what was paid for; what it says is read out of it anew each time it is taken from where
//! replies are kept, so that a better reading needs no second request.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Tokens, lenient, message, usage};
use crate::text::{EndReason, Parted, parted};

/// How servers name the ends of a text, in lower case: of itself or by a stop text, by length, by a filter, and by
/// trouble of their own (`error` of `OpenRouter`, `abort` of vLLM and `SGLang`, the last of `DeepSeek`).
const STOPPED: [&str; 7] = [
    "stop",
    "stop_sequence",
    "eos",
    "eos_token",
    "end_turn",
    "complete",
    "completed",
];
const CUT: [&str; 4] = ["length", "max_tokens", "max_output_tokens", "model_length"];
const FILTERED: [&str; 4] = ["content_filter", "safety", "sensitive", "recitation"];
const BROKEN: [&str; 6] = [
    "error",
    "abort",
    "aborted",
    "cancelled",
    "canceled",
    "insufficient_system_resource",
];
const TOOLS: [&str; 3] = ["tool_calls", "tool_call", "function_call"];

/// One reply, kept under its request's key and never asked for again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Reply {
    /// Whether it is an answer.
    pub kind: ReplyKind,
    /// The text as the model wrote it, thinking in tags and all; empty where there is none.
    pub content: String,
    /// What it thought before it answered.
    pub thought: Option<String>,
    /// What it said: all of the text where nothing was thought.
    pub said: String,
    /// Why it ended, as the server says: `stop`, `length`, ...
    pub finish: Option<String>,
    /// What it cost, as the server says.
    pub usage: Option<Tokens>,
    /// The model that answered, as the server says.
    pub served_by: Option<String>,
    /// The response's body as it came.
    pub raw: String,
}

/// A reply as it is kept.
#[derive(Serialize, Deserialize)]
struct StoredReply {
    // Rows that were paid for have this name, whatever the field is called since.
    #[serde(rename = "verdict")]
    kind: ReplyKind,
    text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    finish: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    usage: Option<Tokens>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    served_by: Option<String>,
    raw: String,
}

/// What kind of reply it is: an answer, or why there is none.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ReplyKind {
    /// A text.
    Answered,
    /// The model thought, and said nothing.
    ThoughtOnly,
    /// The provider's filter, or the model, declined.
    ContentFilter,
    /// The prompt does not fit the model's context.
    TooLong,
    /// Nothing was written, twice.
    Empty,
    /// The server had trouble in the middle of it.
    BrokenOff,
}

impl ReplyKind {
    /// The name that notes use.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::ThoughtOnly => "thought only",
            Self::ContentFilter => "content filter",
            Self::TooLong => "too long",
            Self::Empty => "empty",
            Self::BrokenOff => "broken off",
        }
    }
}

impl Reply {
    /// What it says, where it is an answer. Never what was thought.
    pub(crate) fn answer(&self) -> Option<&str> {
        (self.kind == ReplyKind::Answered).then_some(self.said.as_str())
    }

    /// The reasoning that it is: what was thought, then what was said.
    pub(crate) fn reasoning(&self) -> Option<String> {
        match (self.kind, &self.thought) {
            (ReplyKind::Answered, None) => Some(self.said.clone()),
            (ReplyKind::Answered, Some(thought)) => Some(format!("{thought}\n\n{}", self.said)),
            (ReplyKind::ThoughtOnly, thought) => thought.clone(),
            _ => None,
        }
    }

    /// The text that a conversation goes on from: as it was written, or what was thought where that is all.
    pub(crate) fn written(&self) -> &str {
        match &self.thought {
            Some(thought) if self.content.trim().is_empty() => thought,
            _ => &self.content,
        }
    }

    /// Whether its length ended it.
    pub(crate) fn is_cut(&self) -> bool {
        self.ended(&CUT)
    }

    /// Whether it calls tools, which nobody offered, in place of an answer.
    pub(crate) fn calls_tools(&self) -> bool {
        self.ended(&TOOLS)
    }

    /// Why the text ended.
    pub(crate) fn end(&self) -> EndReason {
        if self.is_cut() {
            EndReason::Length
        } else if self.ended(&STOPPED) {
            EndReason::EndOfText
        } else {
            EndReason::Unknown
        }
    }

    fn ended(&self, names: &[&str]) -> bool {
        let finish = self.finish.as_deref().unwrap_or_default().to_lowercase();
        names.contains(&finish.as_str())
    }

    /// The reply as bytes, to be kept.
    pub(crate) fn to_row(&self) -> Vec<u8> {
        let row = StoredReply {
            kind: self.kind,
            text: self.content.clone(),
            finish: self.finish.clone(),
            usage: self.usage,
            served_by: self.served_by.clone(),
            raw: self.raw.clone(),
        };
        serde_json::to_vec(&row).expect("texts and numbers are JSON")
    }

    /// The reply that [`Reply::to_row`] made bytes of, its body read anew.
    ///
    /// # Errors
    /// The bytes are no row.
    pub(crate) fn from_row(row: &[u8]) -> Result<Self, serde_json::Error> {
        let row: StoredReply = serde_json::from_slice(row)?;
        let read = lenient::parse(&row.raw).and_then(|body| Self::read(&body, &row.raw));
        Ok(read.unwrap_or_else(|| {
            let Parted { thought, said } = parted(&row.text);
            Self {
                kind: row.kind,
                content: row.text,
                thought,
                said,
                finish: row.finish,
                usage: row.usage,
                served_by: row.served_by,
                raw: row.raw,
            }
        }))
    }

    /// A score: its text is the body as JSON, which `Scored` reads.
    pub(super) fn scored(body: &Value, raw: &str) -> Self {
        Self {
            kind: ReplyKind::Answered,
            content: body.to_string(),
            thought: None,
            said: body.to_string(),
            finish: None,
            usage: Some(Tokens::default()),
            served_by: None,
            raw: raw.to_owned(),
        }
    }

    /// Tokens: the body as JSON, which `served` reads; `None` where it is no object. In the forms of vLLM, of `SGLang`'s
    /// `/generate` and of llama.cpp's `/completion`.
    pub(super) fn tokens(body: &Value, raw: &str) -> Option<Self> {
        let fields = body.as_object()?;
        let finish = ["/choices/0/finish_reason", "/meta_info/finish_reason/type"];
        let finish = finish.iter().find_map(|at| body.pointer(at)?.as_str());
        let cost = body.get("usage").or(fields.get("meta_info"));
        let counted = |name: &str| usage::count(fields.get(name)?);
        let evaluated = || {
            Some(Tokens {
                prompt: counted("tokens_evaluated")?,
                completion: counted("tokens_predicted")?,
            })
        };
        let mut reply = Self {
            finish: finish.map(str::to_owned),
            usage: cost.and_then(usage::tokens).or_else(evaluated),
            served_by: fields
                .get("model")
                .and_then(Value::as_str)
                .map(str::to_owned),
            ..Self::scored(body, raw)
        };
        if reply.ended(&BROKEN) {
            reply.kind = ReplyKind::BrokenOff;
        }
        Some(reply)
    }

    /// A request that was refused, with the server's words. It cost nothing.
    pub(super) fn refused(kind: ReplyKind, raw: &str) -> Self {
        Self {
            kind,
            content: String::new(),
            thought: None,
            said: String::new(),
            finish: None,
            usage: Some(Tokens::default()),
            served_by: None,
            raw: raw.to_owned(),
        }
    }

    /// The reply in a completion's body; `None` where the body is not one.
    pub(super) fn read(body: &Value, raw: &str) -> Option<Self> {
        let choices = body.get("choices")?.as_array()?;
        // One is asked for; a server that sends several may send them in any order.
        let first = choices.iter().find(|choice| choice["index"] == 0);
        let choice = first.or(choices.first())?;
        let message = message::read(choice)?;
        let word = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
        let mut reply = Self {
            kind: ReplyKind::Answered,
            content: message.content,
            thought: message.thought,
            said: message.said,
            finish: word(choice.get("finish_reason")),
            usage: body.get("usage").and_then(usage::tokens),
            served_by: word(body.get("model")),
            raw: raw.to_owned(),
        };
        reply.kind = if message.declined || reply.ended(&FILTERED) {
            ReplyKind::ContentFilter
        } else if reply.ended(&BROKEN) {
            ReplyKind::BrokenOff
        } else if !reply.said.trim().is_empty() {
            ReplyKind::Answered
        } else if reply.thought.is_some() {
            ReplyKind::ThoughtOnly
        } else {
            ReplyKind::Empty
        };
        Some(reply)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn chat(message: &Value, finish: &Value) -> Reply {
        let body = json!({
            "model": "m-2026",
            "choices": [{ "message": message, "finish_reason": finish }],
            "usage": { "prompt_tokens": 7, "completion_tokens": 3 },
        });
        Reply::read(&body, &body.to_string()).unwrap()
    }

    #[test]
    fn a_completion_is_read_whatever_its_other_fields_are() {
        let plain = chat(&json!({ "content": " Yes." }), &json!("stop"));
        assert_eq!(plain.answer(), Some(" Yes."));
        let usage = Some(Tokens {
            prompt: 7,
            completion: 3,
        });
        assert_eq!(plain.usage, usage);
        assert_eq!(plain.served_by.as_deref(), Some("m-2026"));
        let odd = json!({
            "id": 7, "object": null, "created": "now", "model": { "name": "m" }, "usage": "none", "system_fingerprint": [],
            "choices": [{ "index": "0", "text": "so", "finish_reason": { "type": "stop" }, "logprobs": [] }],
        });
        let odd = Reply::read(&odd, "").unwrap();
        assert_eq!(
            (odd.answer(), odd.usage, odd.served_by.as_deref()),
            (Some("so"), None, None)
        );
        assert_eq!(odd.end(), EndReason::Unknown);
        let choice =
            |index: Value, text: &str| json!({ "index": index, "message": { "content": text } });
        for (choices, text) in [
            (json!([choice(json!(1), "b"), choice(json!(0), "a")]), "a"),
            (
                json!([choice(json!(null), "a"), choice(json!(null), "b")]),
                "a",
            ),
            (json!([choice(json!(4), "a")]), "a"),
        ] {
            let reply = Reply::read(&json!({ "choices": choices }), "").unwrap();
            assert_eq!(reply.answer(), Some(text));
        }
        for broken in [
            json!({}),
            json!({ "choices": [] }),
            json!({ "choices": null }),
            json!([1]),
            json!({ "choices": [null] }),
        ] {
            assert_eq!(Reply::read(&broken, ""), None, "{broken}");
        }
    }

    #[test]
    fn what_it_is_worth_and_why_it_ended() {
        use ReplyKind::{Answered, BrokenOff, ContentFilter, Empty, ThoughtOnly};
        let thought =
            |content: Value| json!({ "content": content, "reasoning_content": "It may." });
        for (message, finish, kind, end) in [
            (
                json!({ "content": "Yes" }),
                json!("stop"),
                Answered,
                EndReason::EndOfText,
            ),
            (
                json!({ "content": "Yes" }),
                json!("STOP"),
                Answered,
                EndReason::EndOfText,
            ),
            (
                json!({ "content": "Yes" }),
                json!("end_turn"),
                Answered,
                EndReason::EndOfText,
            ),
            (
                json!({ "content": "Yes" }),
                json!("length"),
                Answered,
                EndReason::Length,
            ),
            (
                json!({ "content": "Yes" }),
                json!("max_tokens"),
                Answered,
                EndReason::Length,
            ),
            (
                json!({ "content": "Yes" }),
                json!(null),
                Answered,
                EndReason::Unknown,
            ),
            (
                json!({ "content": "Yes" }),
                json!("who knows"),
                Answered,
                EndReason::Unknown,
            ),
            (
                json!({ "content": null }),
                json!("stop"),
                Empty,
                EndReason::EndOfText,
            ),
            (
                json!({ "content": " \n" }),
                json!("length"),
                Empty,
                EndReason::Length,
            ),
            (
                json!({ "content": "<think></think>" }),
                json!("stop"),
                Empty,
                EndReason::EndOfText,
            ),
            (
                json!({ "content": null, "tool_calls": [{ "id": "1" }] }),
                json!("tool_calls"),
                Empty,
                EndReason::Unknown,
            ),
            (
                thought(json!(null)),
                json!("length"),
                ThoughtOnly,
                EndReason::Length,
            ),
            (
                thought(json!("")),
                json!("stop"),
                ThoughtOnly,
                EndReason::EndOfText,
            ),
            (
                thought(json!("Yes")),
                json!("stop"),
                Answered,
                EndReason::EndOfText,
            ),
            (
                json!({ "content": "<think>It m" }),
                json!("length"),
                ThoughtOnly,
                EndReason::Length,
            ),
            (
                json!({ "content": "I will" }),
                json!("content_filter"),
                ContentFilter,
                EndReason::Unknown,
            ),
            (
                json!({ "content": null, "refusal": "I cannot" }),
                json!("stop"),
                ContentFilter,
                EndReason::EndOfText,
            ),
            (
                json!({ "content": "It has w" }),
                json!("error"),
                BrokenOff,
                EndReason::Unknown,
            ),
            (
                json!({ "content": "It has w" }),
                json!("abort"),
                BrokenOff,
                EndReason::Unknown,
            ),
            (
                thought(json!("Ye")),
                json!("insufficient_system_resource"),
                BrokenOff,
                EndReason::Unknown,
            ),
        ] {
            let reply = chat(&message, &finish);
            assert_eq!((reply.kind, reply.end()), (kind, end), "{message} {finish}");
            assert_eq!(reply.answer().is_some(), kind == Answered);
        }
    }

    #[test]
    fn a_path_has_what_was_thought_before_what_was_said() {
        let both = json!({ "content": "So yes.", "reasoning_content": "Bees have wings." });
        let tags = json!({ "content": "<think>\nBees have wings.\n</think>\n\nSo yes." });
        for message in [both, tags] {
            let reply = chat(&message, &json!("stop"));
            assert_eq!(reply.reasoning().unwrap(), "Bees have wings.\n\nSo yes.");
            assert_eq!(reply.answer(), Some("So yes."));
            assert_eq!(reply.written(), message["content"].as_str().unwrap());
        }
        let plain = chat(&json!({ "content": " So yes.\n" }), &json!("stop"));
        assert_eq!(plain.reasoning().as_deref(), Some(" So yes.\n"));
        let only = chat(
            &json!({ "content": null, "reasoning": "Bees" }),
            &json!("length"),
        );
        assert_eq!(
            (only.reasoning().as_deref(), only.written()),
            (Some("Bees"), "Bees")
        );
        let broken = chat(&json!({ "content": "Bees" }), &json!("error"));
        assert_eq!(broken.reasoning(), None);
    }

    /// A row that an earlier version kept says what its body says today.
    #[test]
    fn a_kept_reply_is_read_anew() {
        let reply = chat(&json!({ "content": "b", "reasoning": "a" }), &json!("stop"));
        assert_eq!(Reply::from_row(&reply.to_row()).unwrap(), reply);
        let old = |kind: &str, text: &str, raw: &str| {
            let row = json!({ "verdict": kind, "text": text, "raw": raw });
            Reply::from_row(row.to_string().as_bytes()).unwrap()
        };
        let body = |message: Value, finish: &str| {
            json!({ "choices": [{ "message": message, "finish_reason": finish }] }).to_string()
        };
        let silent = body(
            json!({ "content": null, "reasoning_content": "a" }),
            "length",
        );
        assert_eq!(old("empty", "", &silent).kind, ReplyKind::ThoughtOnly);
        let tagged = body(json!({ "content": "<think>a</think>b" }), "stop");
        assert_eq!(
            old("answered", "<think>a</think>b", &tagged).answer(),
            Some("b")
        );
        let half = body(json!({ "content": "It has w" }), "error");
        assert_eq!(
            old("answered", "It has w", &half).kind,
            ReplyKind::BrokenOff
        );
        let refused = old("too-long", "", r#"{"error":{"message":"too long"}}"#);
        assert_eq!((refused.kind, refused.answer()), (ReplyKind::TooLong, None));
        let filtered = old("content-filter", "", "policy");
        assert_eq!(filtered.kind, ReplyKind::ContentFilter);
        assert!(Reply::from_row(b"{}").is_err());
    }
}
