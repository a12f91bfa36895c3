//! What is asked: one body, and the row key under which its reply is kept.

use serde_json::{Map, Value, json};

use super::{Api, Endpoint, Tokens};
use crate::key::{Digest, canonical_json};

/// Bytes of text per token at most, roughly, in what is asked: English has more than four. Ours.
const BYTES_PER_TOKEN: u64 = 3;
/// Tokens that a chat template adds to a message, roughly. Ours.
const MESSAGE_TOKENS: u64 = 8;

/// One turn of a conversation, from the client's first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Turn {
    /// What is asked.
    Asked(String),
    /// What the model wrote.
    Wrote(String),
}

/// A request as a server sees it.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Request {
    /// The digest of who is asked, what, and which of its `n` replies this is.
    pub key: Digest,
    /// The JSON body.
    pub body: Value,
    /// What it may cost: prompt tokens estimated, and the longest reply.
    pub tokens: Tokens,
}

impl Request {
    /// Asks `endpoint` to go on after `turns`, for the reply `draw` of its `n`, of at most
    /// `max_tokens` unless the endpoint says otherwise. For completions the turns are one text.
    pub(crate) fn new(endpoint: &Endpoint, turns: &[Turn], draw: u32, max_tokens: u32) -> Self {
        let mut body = Map::new();
        body.insert("model".to_owned(), json!(endpoint.model));
        let (field, asked) = match endpoint.api {
            Api::Chat => ("messages", messages(endpoint, turns)),
            Api::Completions | Api::Score | Api::Tokens(_) => {
                ("prompt", Value::from(joined(turns)))
            }
        };
        body.insert(field.to_owned(), asked);
        let mut put = |name: &str, value: Option<Value>| {
            if let Some(value) = value.filter(|_| !endpoint.omits(name)) {
                body.insert(name.to_owned(), value);
            }
        };
        put("temperature", Some(json!(endpoint.temperature)));
        put("top_p", endpoint.top_p.map(|p| json!(p)));
        put(
            "max_tokens",
            Some(json!(endpoint.max_tokens.unwrap_or(max_tokens))),
        );
        let stop = (!endpoint.stop.is_empty()).then(|| json!(endpoint.stop));
        put("stop", stop);
        let seed = endpoint
            .seed
            .map(|seed| json!(u64::from(seed) + u64::from(draw)));
        put("seed", seed);
        for (name, value) in &endpoint.extra_body {
            body.insert(name.clone(), value.clone());
        }
        let body = Value::Object(body);
        let mut identity = json!({
            "row": "reply/1",
            "provider": endpoint.provider(),
            "api": endpoint.api,
            "body": body,
        });
        // With a seed the body tells the draws apart already.
        if body.get("seed").is_none() {
            identity["draw"] = json!(draw);
        }
        Self {
            key: Digest::of(canonical_json(&identity).as_bytes()),
            tokens: cost(turns, endpoint.longest_reply(max_tokens)),
            body,
        }
    }

    /// Asks a server that scores for the score of `body`.
    pub(crate) fn to_score(endpoint: &Endpoint, body: Value) -> Self {
        let identity = json!({ "row": "score/1", "provider": endpoint.provider(), "body": body });
        Self {
            key: Digest::of(canonical_json(&identity).as_bytes()),
            tokens: Tokens::default(),
            body,
        }
    }

    /// Asks a server that goes on from tokens for what `body` says, which may cost so much.
    pub(crate) fn to_draw(endpoint: &Endpoint, body: Value, tokens: Tokens) -> Self {
        let identity = json!({ "row": "tokens/1", "provider": endpoint.provider(), "body": body });
        Self {
            key: Digest::of(canonical_json(&identity).as_bytes()),
            tokens,
            body,
        }
    }

    /// The body's bytes, the same each time.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.body.to_string().into_bytes()
    }
}

fn messages(endpoint: &Endpoint, turns: &[Turn]) -> Value {
    let system = endpoint.system.iter().map(|text| ("system", text));
    let turns = turns.iter().map(|turn| match turn {
        Turn::Asked(text) => ("user", text),
        Turn::Wrote(text) => ("assistant", text),
    });
    let messages = system.chain(turns);
    let messages = messages.map(|(role, text)| json!({ "role": role, "content": text }));
    messages.collect()
}

/// The turns as one text to go on from: what was asked and written, without a joint, and a line break
/// before what is asked next (Ho et al. 2023: `\nTherefore, the answer is`).
fn joined(turns: &[Turn]) -> String {
    let mut text = String::new();
    for (place, turn) in turns.iter().enumerate() {
        match turn {
            Turn::Asked(asked) if place > 0 => {
                text.push('\n');
                text += asked;
            }
            Turn::Asked(words) | Turn::Wrote(words) => text += words,
        }
    }
    text
}

fn cost(turns: &[Turn], longest_reply: u64) -> Tokens {
    let bytes: usize = turns
        .iter()
        .map(|turn| match turn {
            Turn::Asked(text) | Turn::Wrote(text) => text.len(),
        })
        .sum();
    Tokens {
        prompt: (bytes as u64).div_ceil(BYTES_PER_TOKEN) + MESSAGE_TOKENS * turns.len() as u64,
        completion: longest_reply,
    }
}

#[cfg(test)]
mod tests {
    use super::super::endpoint::tests::endpoint;
    use super::*;

    fn turns() -> Vec<Turn> {
        vec![
            Turn::Asked("Q: why?\nA: Let's think step by step.".into()),
            Turn::Wrote(" Because.".into()),
            Turn::Asked("Therefore, the answer is".into()),
        ]
    }

    #[test]
    fn a_chat_has_messages_and_a_completion_one_text() {
        let mut endpoint = endpoint("http://a/v1");
        endpoint.system = Some("Be brief.".into());
        let chat = Request::new(&endpoint, &turns(), 0, 128).body;
        let roles: Vec<&str> = chat["messages"]
            .as_array()
            .unwrap()
            .iter()
            .map(|m| m["role"].as_str().unwrap())
            .collect();
        assert_eq!(roles, ["system", "user", "assistant", "user"]);
        assert_eq!(
            (chat["max_tokens"].as_u64(), chat["temperature"].as_f64()),
            (Some(128), Some(0.0))
        );
        assert_eq!(chat.get("seed"), None);

        endpoint.api = Api::Completions;
        let text = Request::new(&endpoint, &turns(), 0, 128).body;
        assert_eq!(
            text["prompt"],
            "Q: why?\nA: Let's think step by step. Because.\nTherefore, the answer is"
        );
    }

    #[test]
    fn extra_fields_win_and_refused_ones_are_left_out() {
        let mut endpoint = endpoint("http://a/v1");
        endpoint.omit = vec!["max_tokens".into(), "temperature".into()];
        endpoint
            .extra_body
            .insert("max_completion_tokens".into(), json!(2000));
        let request = Request::new(&endpoint, &turns(), 0, 128);
        assert_eq!(request.body.get("max_tokens"), None);
        assert_eq!(request.body.get("temperature"), None);
        assert_eq!(request.tokens.completion, 2000);
        endpoint.extra_body.clear();
        let unlimited = Request::new(&endpoint, &turns(), 0, 128);
        assert_eq!(unlimited.tokens.completion, 4096);
        for (value, tokens) in [
            (json!(2000.0), 2000),
            (json!("2000"), 2000),
            (json!(-1), 4096),
            (json!(i64::MAX), u64::from(u32::MAX)),
        ] {
            (endpoint.extra_body).insert("max_tokens".into(), value);
            let request = Request::new(&endpoint, &turns(), 0, 128);
            assert_eq!(request.tokens.completion, tokens);
        }
    }

    /// The reply belongs to who answers and what was asked, not to the way there.
    #[test]
    fn keys_follow_the_meaning() {
        let base = endpoint("http://a/v1");
        let key = |endpoint: &Endpoint, draw| Request::new(endpoint, &turns(), draw, 128).key;
        let mut slow = base.clone();
        slow.limits.concurrency = 1;
        slow.api_key_env = Some("K".into());
        slow.base_url += "/";
        assert_eq!(key(&base, 0), key(&slow, 0));
        assert_ne!(key(&base, 0), key(&base, 1));
        assert_ne!(key(&base, 0), key(&endpoint("http://b/v1"), 0));

        let named = |url: &str| Endpoint {
            provider: Some("p".into()),
            ..endpoint(url)
        };
        assert_eq!(key(&named("http://a/v1"), 0), key(&named("http://b/v1"), 0));

        // The second reply of seed 4 is the first of seed 5.
        let seeded = |seed| Endpoint {
            seed: Some(seed),
            ..base.clone()
        };
        assert_eq!(key(&seeded(4), 1), key(&seeded(5), 0));
    }
}
