//! vLLM: `/v1/completions` with `return_token_ids` (from 0.10.2) and `return_tokens_as_token_ids`.
//!
//! `choices[0].token_ids` are the tokens, the one that ended the text included; `logprobs.token_logprobs` theirs;
//! `logprobs.top_logprobs[0]` holds the most probable ones under names such as `token_id:42`. With `--logprobs-mode
//! raw_logprobs`, the default, these are before temperature, top-k and top-p. A given text is read by `prompt_logprobs`: at each place the token's
//! id with its log-probability.

use serde_json::{Map, Value, json};

use super::{Ask, Drawn, Form, ReadAsk, Reading, ids, list, log_prob, same_length, sorted};

pub(super) static FORM: Form = Form {
    title: "vLLM",
    path: "/v1/completions",
    version: (&["/version"], "/version"),
    ask,
    read,
    reading: Reading::AtOnce {
        ask: ask_read,
        read: read_given,
    },
    ids_hint: "vLLM gives token ids (return_token_ids) from version 0.10.2 on",
    raw_hint: "start vLLM with `--logprobs-mode raw_logprobs`, its default",
};

/// Written out where the server's own default may be another one: it takes them from `generation_config.json`.
fn neutral(model: Option<&str>) -> Map<String, Value> {
    let mut body = Map::new();
    if let Some(model) = model {
        body.insert("model".to_owned(), json!(model));
    }
    let fields = [
        ("n", json!(1)),
        ("stream", json!(false)),
        ("min_p", json!(0.0)),
        ("repetition_penalty", json!(1.0)),
        ("presence_penalty", json!(0.0)),
        ("frequency_penalty", json!(0.0)),
        ("skip_special_tokens", json!(false)),
        ("return_token_ids", json!(true)),
        ("return_tokens_as_token_ids", json!(true)),
    ];
    body.extend(fields.map(|(name, value)| (name.to_owned(), value)));
    body
}

fn ask(ask: &Ask<'_>) -> Value {
    let mut body = neutral(ask.model);
    let fields = [
        ("prompt", json!(ask.prompt)),
        ("max_tokens", json!(ask.max_tokens)),
        ("temperature", json!(ask.temperature)),
        ("top_k", json!(ask.top_k)),
        ("top_p", json!(ask.top_p)),
        ("seed", json!(ask.seed)),
        ("stop_token_ids", json!(ask.ends)),
        ("logprobs", json!(ask.best)),
    ];
    body.extend(fields.map(|(name, value)| (name.to_owned(), value)));
    Value::Object(body)
}

fn read(body: &Value) -> Result<Drawn, String> {
    let tokens = ids(body, "/choices/0/token_ids")?;
    let log_probs = list(body, "/choices/0/logprobs/token_logprobs")?;
    same_length(&tokens, log_probs.len())?;
    let first = body.pointer("/choices/0/logprobs/top_logprobs/0");
    let first = first.and_then(Value::as_object).into_iter().flatten();
    let mut best = Vec::new();
    for (name, value) in first {
        let id = name
            .strip_prefix("token_id:")
            .and_then(|id| id.parse().ok());
        let id: u32 =
            id.ok_or_else(|| format!("`top_logprobs` names a token `{name}`, not by its id"))?;
        // One that cannot be drawn any more has none.
        best.extend(log_prob(value).map(|log_prob| (id, log_prob)));
    }
    Ok(Drawn {
        tokens,
        log_probs: log_probs.iter().map(log_prob).collect(),
        best: sorted(best),
        ended: body.pointer("/choices/0/finish_reason") == Some(&json!("stop")),
    })
}

fn ask_read(ask: &ReadAsk<'_>) -> Value {
    let mut body = neutral(ask.model);
    let fields = [
        ("prompt", json!(ask.tokens)),
        ("max_tokens", json!(1)),
        ("temperature", json!(1.0)),
        ("seed", json!(0)),
        ("prompt_logprobs", json!(0)),
    ];
    body.extend(fields.map(|(name, value)| (name.to_owned(), value)));
    Value::Object(body)
}

fn read_given(body: &Value, ask: &ReadAsk<'_>) -> Result<Vec<f64>, String> {
    let places = list(body, "/choices/0/prompt_logprobs")?;
    same_length(ask.tokens, places.len())?;
    let places = places.iter().zip(ask.tokens).skip(ask.from);
    let given = places.map(|(place, token)| {
        let found = place
            .get(token.to_string())
            .and_then(|it| it.get("logprob"));
        found
            .and_then(log_prob)
            .ok_or_else(|| format!("`prompt_logprobs` has no log-probability of the token {token}"))
    });
    given.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As vLLM 0.11 answers.
    fn documented() -> Value {
        json!({
            "id": "cmpl-1", "object": "text_completion", "created": 1, "model": "student",
            "choices": [{
                "index": 0, "text": " blue", "finish_reason": "stop", "stop_reason": null,
                "logprobs": {
                    "text_offset": [0, 5],
                    "token_logprobs": [-0.5, -9999.0],
                    "tokens": ["token_id:7", "token_id:2"],
                    "top_logprobs": [
                        {"token_id:9": -2.5, "token_id:7": -0.5, "token_id:4": -9999.0},
                        {"token_id:2": -0.1}
                    ],
                },
                "prompt_logprobs": [null, {"5": {"logprob": -1.5, "rank": 3, "decoded_token": " a"}}, {"6": {"logprob": 0.0, "rank": 1, "decoded_token": "b"}}],
                "prompt_token_ids": [1, 5, 6], "token_ids": [7, 2],
            }],
            "usage": {"prompt_tokens": 3, "total_tokens": 5, "completion_tokens": 2},
        })
    }

    #[test]
    fn a_documented_answer_is_read() {
        let drawn = read(&documented()).unwrap();
        assert_eq!(drawn.tokens, [7, 2]);
        // -9999 stands for minus infinity.
        assert_eq!(drawn.log_probs, [Some(-0.5), None]);
        assert_eq!(drawn.best, [(7, -0.5), (9, -2.5)]);
        assert!(drawn.ended);
        let asked = ReadAsk {
            model: None,
            tokens: &[1, 5, 6],
            from: 1,
        };
        assert_eq!(read_given(&documented(), &asked).unwrap(), [-1.5, 0.0]);
    }

    #[test]
    fn what_is_missing_is_named() {
        let without = |at: &str, name: &str| {
            let mut body = documented();
            let holder = body.pointer_mut(at).unwrap().as_object_mut().unwrap();
            holder.remove(name);
            read(&body).unwrap_err()
        };
        assert_eq!(
            without("/choices/0", "token_ids"),
            "it has no list `choices.0.token_ids`"
        );
        assert_eq!(
            without("/choices/0", "logprobs"),
            "it has no list `choices.0.logprobs.token_logprobs`"
        );
        let mut words = documented();
        words["choices"][0]["logprobs"]["top_logprobs"][0] = json!({" blue": -0.5});
        assert!(read(&words).unwrap_err().contains("not by its id"));
        words["choices"][0]["token_ids"] = json!([7]);
        assert!(read(&words).unwrap_err().contains("1 tokens and 2"));
        let asked = ReadAsk {
            model: None,
            tokens: &[1, 5, 8],
            from: 2,
        };
        let wrong = read_given(&documented(), &asked).unwrap_err();
        assert!(wrong.contains("of the token 8"), "{wrong}");
    }
}
