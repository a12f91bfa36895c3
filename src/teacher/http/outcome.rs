//! What a response means: keep it, ask again, slow down, set the request aside, or stop at once.
//!
//! In: a status, its headers' wait and a body. Out: an [`ReplyOutcome`]. The table is in
//! `docs/teachers.md`; a test goes through it.

use std::time::Duration;

use serde_json::Value;

use super::message::says_something;
use super::transport::Response;
use super::{Api, EndpointErrorKind, Reply, ReplyKind, Scored, lenient};

/// Characters of a server's words that a message repeats. Ours.
const SAYS_CHARS: usize = 300;

/// What a response means.
#[derive(Debug)]
pub(super) enum ReplyOutcome {
    /// Keep it: an answer, or a refusal that would come again.
    Keep(Reply),
    /// Nothing was written; perhaps something is next time.
    Empty(Reply),
    /// It may well work next time.
    Again(String),
    /// An answer came, and was perhaps paid for, that cannot be read.
    Unreadable(String),
    /// The server has too much to do. `wait` is what it asked for.
    Slow {
        wait: Option<Duration>,
        says: String,
    },
    /// The server does not take this request; perhaps it takes others.
    Rejected(String),
    /// Every further request would go the same way.
    Stop(EndpointErrorKind),
}

/// What `response` to a request at an interface means.
pub(super) fn outcome(response: &Response, api: Api) -> ReplyOutcome {
    let body = lenient::parse(&response.body);
    if !(200..300).contains(&response.status) {
        let error = body.as_ref().and_then(ServerError::anywhere);
        let error = error.unwrap_or_else(|| ServerError::plain(&response.body));
        if api == Api::Score {
            return by_code(response, &error);
        }
        return by_status(response, &error);
    }
    if let Some(reason) = &response.no_text {
        return ReplyOutcome::Unreadable(format!("the answer is no text: {reason}"));
    }
    let Some(body) = body else {
        return if response.is_stream() {
            ReplyOutcome::Stop(EndpointErrorKind::Stream)
        } else {
            ReplyOutcome::Again(format!(
                "the answer is no JSON: {}",
                shortened(&response.body)
            ))
        };
    };
    if api == Api::Score {
        return match Scored::read(&body) {
            Ok(_) => ReplyOutcome::Keep(Reply::scored(&body, &response.body)),
            Err(why) => match ServerError::anywhere(&body) {
                Some(error) => {
                    ReplyOutcome::Again(format!("an error in a success: {}", error.says()))
                }
                None => ReplyOutcome::Unreadable(format!("{why}: {}", shortened(&response.body))),
            },
        };
    }
    if let Some(error) = ServerError::beside_choices(&body) {
        return in_success(response, &error);
    }
    let read = match api {
        Api::Tokens(_) => Reply::tokens(&body, &response.body),
        _ => Reply::read(&body, &response.body),
    };
    match read {
        Some(reply) if reply.kind == ReplyKind::BrokenOff => ReplyOutcome::Again(format!(
            "the server broke the answer off (finish_reason `{}`)",
            reply.finish.unwrap_or_default()
        )),
        // What its length ended would be the same again.
        Some(reply) if reply.kind == ReplyKind::Empty && !reply.is_cut() => {
            ReplyOutcome::Empty(reply)
        }
        Some(reply) => ReplyOutcome::Keep(reply),
        None => match ServerError::anywhere(&body) {
            Some(error) => in_success(response, &error),
            None => ReplyOutcome::Again(format!(
                "the answer is no completion: {}",
                shortened(&response.body)
            )),
        },
    }
}

/// An error in a success's clothes: by the status that it names, if it names one.
fn in_success(response: &Response, error: &ServerError) -> ReplyOutcome {
    let named = error.code.parse().ok();
    let inside = Response {
        // 0 for an error that names no status: `by_status` then goes by its words.
        status: named.filter(|code| (400..600).contains(code)).unwrap_or(0),
        ..response.clone()
    };
    by_status(&inside, error)
}

/// What a server says is wrong, in any of the usual shapes.
#[derive(Debug)]
struct ServerError {
    code: String,
    kind: String,
    message: String,
}

impl ServerError {
    fn plain(text: &str) -> Self {
        Self {
            code: String::new(),
            kind: String::new(),
            message: text.to_owned(),
        }
    }

    /// `{"error": {"message", "type", "code"}}` or `{"error": "..."}`, in the body or in its first choice: an
    /// error even where an answer, or the half of one, stands beside it. An empty one is none.
    fn beside_choices(body: &Value) -> Option<Self> {
        let in_choice = || body.get("choices")?.get(0)?.get("error");
        let told =
            |error: Option<&Value>| error.filter(|error| says_something(error)).map(Self::of);
        told(body.get("error")).or_else(|| told(in_choice()))
    }

    /// The same, or `{"object": "error", "message"}`, or `{"detail": ...}`, which are errors only where there is
    /// no answer.
    fn anywhere(body: &Value) -> Option<Self> {
        let object = body.get("object").and_then(Value::as_str) == Some("error");
        let detail = || body.get("detail").filter(|detail| says_something(detail));
        Self::beside_choices(body)
            .or_else(|| object.then(|| Self::of(body)))
            .or_else(|| detail().map(Self::of))
    }

    fn of(error: &Value) -> Self {
        let word = |name: &str| match error.get(name) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => String::new(),
        };
        let message = match (error, word("message")) {
            (Value::String(text), _) => text.clone(),
            (other, message) if message.is_empty() => other.to_string(),
            (_, message) => message,
        };
        Self {
            code: word("code"),
            kind: word("type"),
            message,
        }
    }

    /// Whether its code, type or words hold one of `marks`.
    fn is(&self, marks: &[&str]) -> bool {
        let all = format!("{} {} {}", self.code, self.kind, self.message).to_lowercase();
        marks.iter().any(|mark| all.contains(mark))
    }

    fn says(&self) -> String {
        shortened(&self.message)
    }
}

fn by_status(response: &Response, error: &ServerError) -> ReplyOutcome {
    let status = response.status;
    let refused = |kind| ReplyOutcome::Keep(Reply::refused(kind, &response.body));
    let about_model = error.is(&["model"])
        && error.is(&[
            "not found",
            "not_found",
            "not exist",
            "no such",
            "unknown model",
        ]);
    // What is about this one prompt first: servers send it with the statuses of faults that end a run.
    if error.is(&[
        "content_filter",
        "content_policy",
        "content management policy",
    ]) || (status == 403 && error.is(&["moderation", "flagged"]))
    {
        return refused(ReplyKind::ContentFilter);
    }
    if status < 500 && status != 429 && error.is(TOO_LONG) {
        return refused(ReplyKind::TooLong);
    }
    // Before 429, which it comes with: no wait brings money.
    if status == 402 || error.is(&["insufficient_quota", "billing_hard_limit"]) {
        return ReplyOutcome::Stop(EndpointErrorKind::Unpaid { says: error.says() });
    }
    if matches!(status, 401 | 403) || error.is(&["invalid_api_key", "authentication_error"]) {
        // Its words may hold a part of the key.
        return ReplyOutcome::Stop(EndpointErrorKind::Denied { status });
    }
    if matches!(status, 0 | 400 | 404 | 422) && about_model {
        return ReplyOutcome::Stop(EndpointErrorKind::Model {
            says: error.says(),
            known: Vec::new(),
        });
    }
    by_code(response, error)
}

/// By the status alone, or the words where there is none (0): what the words of a model's server tell is looked at before.
fn by_code(response: &Response, error: &ServerError) -> ReplyOutcome {
    let status = response.status;
    let says = || {
        if status == 0 {
            format!("an error in a success: {}", error.says())
        } else {
            format!("status {status}: {}", error.says())
        }
    };
    let busy = error.is(&[
        "rate_limit",
        "rate limit",
        "overloaded",
        "too many requests",
    ]);
    match status {
        // Its words may hold a part of the key.
        401 | 403 => ReplyOutcome::Stop(EndpointErrorKind::Denied { status }),
        402 => ReplyOutcome::Stop(EndpointErrorKind::Unpaid { says: error.says() }),
        429 | 529 => ReplyOutcome::Slow {
            wait: response.retry_after,
            says: says(),
        },
        503 if response.retry_after.is_some() => ReplyOutcome::Slow {
            wait: response.retry_after,
            says: says(),
        },
        0 if busy => ReplyOutcome::Slow {
            wait: response.retry_after,
            says: says(),
        },
        0 if error.is(&["invalid_request", "bad request"]) => ReplyOutcome::Rejected(says()),
        0 | 408 | 409 | 425 | 500.. => ReplyOutcome::Again(says()),
        300..=399 => ReplyOutcome::Stop(EndpointErrorKind::Redirected {
            to: response.location.clone().unwrap_or_default(),
        }),
        404 | 405 => ReplyOutcome::Stop(EndpointErrorKind::NoSuchPath {
            status,
            says: error.says(),
        }),
        _ => ReplyOutcome::Rejected(says()),
    }
}

/// How servers say that a prompt is too long: OpenAI and vLLM, llama.cpp, others.
const TOO_LONG: &[&str] = &[
    "context_length_exceeded",
    "exceed_context_size",
    "maximum context length",
    "maximum model length",
    "context size",
    "context window",
    "context length",
    "prompt is too long",
    "prompt too long",
];

/// A server's words for a message: one line, not too long.
pub(super) fn shortened(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    if line.is_empty() {
        return "(nothing)".to_owned();
    }
    let mut short: String = line.chars().take(SAYS_CHARS).collect();
    if short.len() < line.len() {
        short += " ...";
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(status: u16, body: &str) -> Response {
        Response {
            status,
            body: body.to_owned(),
            ..Response::default()
        }
    }

    /// The outcome in a word, as the table of docs/teachers.md has it.
    fn of(status: u16, body: &str) -> String {
        word(outcome(&response(status, body), Api::Chat))
    }

    fn word(outcome: ReplyOutcome) -> String {
        match outcome {
            ReplyOutcome::Keep(reply) => format!("keep: {}", reply.kind.name()),
            ReplyOutcome::Empty(_) => "empty".into(),
            ReplyOutcome::Again(_) => "again".into(),
            ReplyOutcome::Unreadable(_) => "unreadable".into(),
            ReplyOutcome::Slow { .. } => "slow".into(),
            ReplyOutcome::Rejected(_) => "rejected".into(),
            ReplyOutcome::Stop(why) => {
                let name = format!("{why:?}");
                format!(
                    "stop: {}",
                    name.split([' ', '{']).next().unwrap_or_default()
                )
            }
        }
    }

    fn error(code: &str, kind: &str, message: &str) -> String {
        serde_json::json!({ "error": { "code": code, "type": kind, "message": message } })
            .to_string()
    }

    #[test]
    fn every_answer_has_its_outcome() {
        let good = r#"{"choices":[{"message":{"content":"Yes."},"finish_reason":"stop"}]}"#;
        for (status, body, expected) in [
            (200, good.to_owned(), "keep: answered"),
            (200, good.replace("Yes.", " "), "empty"),
            (200, good.replace("\"stop\"", "\"content_filter\""), "keep: content filter"),
            (200, good[..40].to_owned(), "again"),
            (200, "<html>Bad gateway</html>".to_owned(), "again"),
            (200, "{}".to_owned(), "again"),
            (200, String::new(), "again"),
            (200, error("", "server_error", "oops"), "again"),
            (200, r#"{"error":{"code":429,"message":"slow down"}}"#.to_owned(), "slow"),
            (200, r#"{"error":{"code":502,"message":"upstream"}}"#.to_owned(), "again"),
            (200, r#"{"choices":[{"error":{"code":502,"message":"upstream"}}]}"#.to_owned(), "again"),
            (200, error("rate_limit_exceeded", "", "wait"), "slow"),
            (200, error("invalid_api_key", "", "no"), "stop: Denied"),
            (200, error("", "invalid_request_error", "bad temperature"), "rejected"),
            (200, error("model_not_found", "", "no such model"), "stop: Model"),
            (400, error("content_filter", "", "policy"), "keep: content filter"),
            (200, good.replace("\"stop\"", "\"error\""), "again"),
            (200, good.replace("\"stop\"", "\"length\"").replace("Yes.", ""), "keep: empty"),
            (200, good.replace("\"content\"", "\"reasoning\""), "keep: thought only"),
            (200, good.replace("{\"choices\"", "{\"error\":\"\",\"choices\""), "keep: answered"),
            (200, good.replace("{\"choices\"", "{\"error\":{\"message\":null},\"choices\""), "keep: answered"),
            (200, good.replace("{\"choices\"", "{\"detail\":\"node 3\",\"choices\""), "keep: answered"),
            (200, good.replace("{\"choices\"", "{\"error\":\"cut off\",\"choices\""), "again"),
            (200, good.replace("{\"choices\"", "{\"error\":{\"code\":200,\"message\":\"x\"},\"choices\""), "again"),
            (200, good.replace("{\"choices\"", "{\"usage\":NaN,\"choices\""), "keep: answered"),
            (200, r#"{"detail":"overloaded"}"#.to_owned(), "slow"),
            (200, "data: {\"choices\":[]}".to_owned(), "stop: Stream"),
            (200, ": ping\n\ndata: {}".to_owned(), "stop: Stream"),
            (500, "data: {}".to_owned(), "again"),
            (403, error("", "", "Your input was flagged by moderation"), "keep: content filter"),
            (400, error("context_length_exceeded", "", "too long"), "keep: too long"),
            (400, r#"{"error":{"code":400,"type":"exceed_context_size_error","message":"x"}}"#.to_owned(), "keep: too long"),
            (400, r#"{"object":"error","message":"This model's maximum context length is 4096 tokens.","code":400}"#.to_owned(), "keep: too long"),
            (400, error("", "invalid_request_error", "bad temperature"), "rejected"),
            (422, r#"{"detail":[{"msg":"field required"}]}"#.to_owned(), "rejected"),
            (413, "Payload Too Large".to_owned(), "rejected"),
            (401, error("invalid_api_key", "", "Incorrect API key: sk-a***z"), "stop: Denied"),
            (403, "Forbidden".to_owned(), "stop: Denied"),
            (402, "Payment Required".to_owned(), "stop: Unpaid"),
            (429, error("insufficient_quota", "", "you have no money left"), "stop: Unpaid"),
            (429, error("rate_limit_exceeded", "", "slow down"), "slow"),
            (429, String::new(), "slow"),
            (529, error("", "overloaded_error", "overloaded"), "slow"),
            (404, error("model_not_found", "", "The model `x` does not exist"), "stop: Model"),
            (404, r#"{"error":{"message":"model \"x\" not found, try pulling it first"}}"#.to_owned(), "stop: Model"),
            (404, "404 page not found".to_owned(), "stop: NoSuchPath"),
            (405, String::new(), "stop: NoSuchPath"),
            (301, String::new(), "stop: Redirected"),
            (408, String::new(), "again"),
            (500, "Internal Server Error".to_owned(), "again"),
            (502, "<html>".to_owned(), "again"),
            (503, r#"{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}"#.to_owned(), "again"),
            (504, String::new(), "again"),
        ] {
            assert_eq!(of(status, &body), expected, "{status} {body}");
        }
    }

    /// A server that scores has its own words for what is right, and the usual statuses.
    #[test]
    fn a_score_has_its_outcome() {
        for (status, body, expected) in [
            (200, r#"{"correct": 1}"#, "keep: answered"),
            (
                200,
                r#"{"correct": null, "reason": "timeout", "error": "x"}"#,
                "keep: answered",
            ),
            (200, r#"{"score": 0.25}"#, "keep: answered"),
            (200, r#"{"score": 7}"#, "unreadable"),
            (200, "{}", "unreadable"),
            (200, r#"{"error": "the sandbox is down"}"#, "again"),
            (200, "<html>", "again"),
            (400, r#"{"detail": "prompt is too long"}"#, "rejected"),
            (401, "", "stop: Denied"),
            (404, r#"{"error": "model not found"}"#, "stop: NoSuchPath"),
            (
                422,
                r#"{"detail": [{"msg": "field required"}]}"#,
                "rejected",
            ),
            (429, "", "slow"),
            (500, r#"{"error": "invalid_api_key"}"#, "again"),
            (503, "", "again"),
        ] {
            let outcome = outcome(&response(status, body), Api::Score);
            assert_eq!(word(outcome), expected, "{status} {body}");
        }
    }

    #[test]
    fn a_busy_server_that_names_a_time_is_waited_for() {
        let busy = Response {
            retry_after: Some(Duration::from_secs(3)),
            ..response(503, "")
        };
        let ReplyOutcome::Slow { wait, .. } = outcome(&busy, Api::Chat) else {
            panic!("not slow")
        };
        assert_eq!(wait, Some(Duration::from_secs(3)));
    }

    #[test]
    fn a_refused_key_is_not_spelt_out() {
        let body = error("invalid_api_key", "", "Incorrect API key: sk-ab***yz");
        let denied = outcome(&response(401, &body), Api::Chat);
        assert!(!format!("{denied:?}").contains("sk-ab"));
    }
}
