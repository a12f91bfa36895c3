//! `SGLang`: its own `/generate`, for `/v1/completions` names the most probable tokens by their text alone, which two tokens may
//! share.
//!
//! `meta_info.output_token_logprobs` holds `[log-probability, id, text]` of each token, the one that ended the text
//! included; `output_top_logprobs[0]` the most probable ones likewise. They are before temperature only where the server
//! runs with `SGLANG_RETURN_ORIGINAL_LOGPROB=1`. A given text is read by `input_token_logprobs`.

use serde_json::{Value, json};

use super::{Ask, Drawn, Form, ReadAsk, Reading, id, list, log_prob, sorted};

pub(super) static FORM: Form = Form {
    title: "SGLang",
    path: "/generate",
    version: (&["/server_info", "/get_server_info"], "/version"),
    ask,
    read,
    reading: Reading::AtOnce {
        ask: ask_read,
        read: read_given,
    },
    ids_hint: "SGLang gives ids and log-probabilities at /generate (return_logprob)",
    raw_hint: "start SGLang with SGLANG_RETURN_ORIGINAL_LOGPROB=1 in its environment",
};

fn ask(ask: &Ask<'_>) -> Value {
    // It has -1 for all.
    let top_k = if ask.top_k == 0 {
        -1
    } else {
        i64::from(ask.top_k)
    };
    json!({
        "input_ids": ask.prompt,
        "sampling_params": {
            "max_new_tokens": ask.max_tokens,
            "temperature": ask.temperature,
            "top_k": top_k,
            "top_p": ask.top_p,
            "min_p": 0.0,
            "repetition_penalty": 1.0,
            "presence_penalty": 0.0,
            "frequency_penalty": 0.0,
            "stop_token_ids": ask.ends,
            "sampling_seed": ask.seed,
            "skip_special_tokens": false,
        },
        "return_logprob": true,
        "logprob_start_len": -1,
        "top_logprobs_num": ask.best,
        "stream": false,
    })
}

fn read(body: &Value) -> Result<Drawn, String> {
    let each = list(body, "/meta_info/output_token_logprobs")?;
    let mut tokens = Vec::with_capacity(each.len());
    let mut log_probs = Vec::with_capacity(each.len());
    for entry in each {
        let token = entry.get(1).and_then(id);
        tokens.push(token.ok_or("`output_token_logprobs` has an entry without a token's id")?);
        log_probs.push(entry.get(0).and_then(log_prob));
    }
    let first = body.pointer("/meta_info/output_top_logprobs/0");
    let first = first.and_then(Value::as_array).into_iter().flatten();
    let best =
        first.filter_map(|entry| Some((entry.get(1).and_then(id)?, log_prob(entry.get(0)?)?)));
    Ok(Drawn {
        tokens,
        log_probs,
        best: sorted(best.collect()),
        ended: body.pointer("/meta_info/finish_reason/type") == Some(&json!("stop")),
    })
}

fn ask_read(ask: &ReadAsk<'_>) -> Value {
    json!({
        "input_ids": ask.tokens,
        "sampling_params": { "max_new_tokens": 1, "temperature": 1.0 },
        "return_logprob": true,
        // Whether the token at this place has an entry is not the same in all versions: the last ones count.
        "logprob_start_len": ask.from.saturating_sub(1),
        "top_logprobs_num": 0,
        "stream": false,
    })
}

fn read_given(body: &Value, ask: &ReadAsk<'_>) -> Result<Vec<f64>, String> {
    let each = list(body, "/meta_info/input_token_logprobs")?;
    let wanted = &ask.tokens[ask.from..];
    let start = each.len().checked_sub(wanted.len()).ok_or_else(|| {
        format!(
            "`input_token_logprobs` has {} entries of {} tokens",
            each.len(),
            wanted.len()
        )
    })?;
    let given = each[start..].iter().zip(wanted).map(|(entry, token)| {
        let same = entry.get(1).and_then(id) == Some(*token);
        let found = entry.get(0).and_then(log_prob).filter(|_| same);
        found.ok_or_else(|| {
            format!("`input_token_logprobs` has no log-probability of the token {token}")
        })
    });
    given.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `SGLang` answers.
    fn documented() -> Value {
        json!({
            "text": " blue",
            "output_ids": [7, 2],
            "meta_info": {
                "id": "1", "finish_reason": {"type": "stop", "matched": 2},
                "prompt_tokens": 3, "completion_tokens": 2, "cached_tokens": 0,
                "input_token_logprobs": [[null, 1, null], [-1.5, 5, null], [-0.25, 6, null]],
                "output_token_logprobs": [[-0.5, 7, null], [-0.1, 2, null]],
                "output_top_logprobs": [[[-0.5, 7, null], [-2.5, 9, null]], [[-0.1, 2, null]]],
            },
        })
    }

    #[test]
    fn a_documented_answer_is_read() {
        let drawn = read(&documented()).unwrap();
        assert_eq!(drawn.tokens, [7, 2]);
        assert_eq!(drawn.log_probs, [Some(-0.5), Some(-0.1)]);
        assert_eq!(drawn.best, [(7, -0.5), (9, -2.5)]);
        assert!(drawn.ended);
        for from in [1, 2] {
            let asked = ReadAsk {
                model: None,
                tokens: &[1, 5, 6],
                from,
            };
            let given = read_given(&documented(), &asked).unwrap();
            assert_eq!(given, [-1.5, -0.25][from - 1..]);
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let mut body = documented();
        body["meta_info"]["output_token_logprobs"] = json!([[-0.5, null, " blue"]]);
        assert!(read(&body).unwrap_err().contains("without a token's id"));
        body["meta_info"] = json!({});
        assert!(read(&body).unwrap_err().contains("output_token_logprobs"));
        for (tokens, from, told) in [
            (&[1, 5, 8][..], 2, "of the token 8"),
            (&[1, 2, 3, 4, 5][..], 1, "3 entries of 4 tokens"),
            (&[1, 5, 6][..], 0, "of the token 1"),
        ] {
            let asked = ReadAsk {
                model: None,
                tokens,
                from,
            };
            let wrong = read_given(&documented(), &asked).unwrap_err();
            assert!(wrong.contains(told), "{wrong}");
        }
    }

    #[test]
    fn all_tokens_are_asked_for_as_it_has_it() {
        let with = |top_k| {
            let body = ask(&Ask {
                model: None,
                prompt: &[1],
                max_tokens: 1,
                temperature: 1.0,
                top_k,
                top_p: 1.0,
                seed: 1,
                ends: &[],
                best: 1,
            });
            body["sampling_params"]["top_k"].clone()
        };
        assert_eq!((with(0), with(10)), (json!(-1), json!(10)));
    }
}
