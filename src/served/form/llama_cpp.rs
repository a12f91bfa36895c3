//! llama.cpp's `llama-server`: its own `/completion`, which gives all tokens by their ids with `return_tokens`.
//!
//! `completion_probabilities` holds `id`, `logprob` and `top_logprobs` of each token, before any sampler
//! (`post_sampling_probs` off), but leaves out tokens that end within a character; where it does, which ones these are is not
//! told, and all of them are read once more. Such a token is told as one of the most probable ones beside another that is drawn. It reads no given text: a token at a time, it is made to draw the
//! one that is there by `logit_bias`, which the log-probability is told without.

use serde_json::{Value, json};

use super::{Ask, Drawn, Form, ReadAsk, Reading, id, ids, list, log_prob, sorted};

pub(super) static FORM: Form = Form {
    title: "llama.cpp",
    path: "/completion",
    version: (&["/props"], "/build_info"),
    ask,
    read,
    reading: Reading::ByToken { ask: ask_read },
    ids_hint: "llama-server gives token ids where it knows return_tokens and n_probs; build b11434 does",
    raw_hint: "take a llama-server that knows post_sampling_probs, such as build b11434, and start it without --backend-sampling",
};

/// What is added to the logit of a token that shall be drawn: more than any two lie apart.
const FORCED: f64 = 1e6;

fn ask(ask: &Ask<'_>) -> Value {
    json!({
        "prompt": ask.prompt,
        "n_predict": ask.max_tokens,
        // In the order of HF transformers, and no other ones.
        "samplers": ["temperature", "top_k", "top_p"],
        "temperature": ask.temperature,
        "top_k": ask.top_k,
        "top_p": ask.top_p,
        "min_keep": 0,
        "seed": ask.seed,
        // With 0 it tells none at all.
        "n_probs": ask.best.max(1),
        "post_sampling_probs": false,
        "return_tokens": true,
        "ignore_eos": false,
        "cache_prompt": true,
        "stream": false,
    })
}

fn read(body: &Value) -> Result<Drawn, String> {
    let tokens = ids(body, "/tokens")?;
    let each = match body.get("completion_probabilities") {
        // It leaves the field out where no token ended a character.
        None if !tokens.is_empty() && body.get("stop_type").is_some() => &Vec::new(),
        _ => list(body, "/completion_probabilities")?,
    };
    let whole = each.len() == tokens.len()
        && each
            .iter()
            .zip(&tokens)
            .all(|(entry, token)| entry["id"] == *token);
    let log_probs = if whole {
        let known = each
            .iter()
            .map(|entry| entry.get("logprob").and_then(log_prob));
        known.collect()
    } else {
        vec![None; tokens.len()]
    };
    let first = each.first().zip(tokens.first());
    let first = first.filter(|(entry, token)| entry["id"] == **token);
    let first = first.map(|(entry, _)| entry);
    let first = first.and_then(|entry| entry.get("top_logprobs")?.as_array());
    let candidate = |entry: &Value| Some((id(entry.get("id")?)?, log_prob(entry.get("logprob")?)?));
    let best = first.into_iter().flatten().filter_map(candidate);
    Ok(Drawn {
        best: sorted(best.collect()),
        log_probs,
        tokens,
        ended: matches!(body["stop_type"].as_str(), Some("eos" | "word")),
    })
}

fn ask_read(read: &ReadAsk<'_>, token: u32, best: usize) -> Value {
    let mut body = ask(&Ask {
        model: read.model,
        prompt: read.tokens,
        max_tokens: 1,
        temperature: 0.0,
        top_k: 0,
        top_p: 1.0,
        seed: 0,
        ends: &[],
        best,
    });
    body["logit_bias"] = json!([[token, FORCED]]);
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: u32, log_prob: f64) -> Value {
        json!({"id": id, "token": "x", "bytes": [120], "logprob": log_prob, "top_logprobs": [
            {"id": 9, "token": "y", "bytes": [121], "logprob": -2.5},
            {"id": id, "token": "x", "bytes": [120], "logprob": log_prob},
        ]})
    }

    /// As build b11434 answers.
    fn documented() -> Value {
        json!({
            "index": 0, "content": " blue", "tokens": [7, 2], "stop": true, "model": "student",
            "tokens_predicted": 2, "tokens_evaluated": 3, "truncated": false, "stop_type": "eos",
            "completion_probabilities": [entry(7, -0.5), entry(2, -0.1)],
        })
    }

    #[test]
    fn a_documented_answer_is_read() {
        let drawn = read(&documented()).unwrap();
        assert_eq!(drawn.tokens, [7, 2]);
        assert_eq!(drawn.log_probs, [Some(-0.5), Some(-0.1)]);
        assert_eq!(drawn.best, [(7, -0.5), (9, -2.5)]);
        assert!(drawn.ended);
    }

    /// Where tokens were left out, no log-probability is taken for another's.
    #[test]
    fn tokens_within_a_character_are_read_once_more() {
        let mut body = documented();
        body["tokens"] = json!([7, 7, 2]);
        body["stop_type"] = json!("limit");
        let drawn = read(&body).unwrap();
        assert_eq!((drawn.tokens.len(), drawn.ended), (3, false));
        assert_eq!(drawn.log_probs, [None; 3]);
        body.as_object_mut()
            .unwrap()
            .remove("completion_probabilities");
        assert_eq!(read(&body).unwrap().log_probs, [None; 3]);
    }

    #[test]
    fn what_is_missing_is_named() {
        let mut body = documented();
        body.as_object_mut().unwrap().remove("tokens");
        assert_eq!(read(&body).unwrap_err(), "it has no list `tokens`");
        let old = json!({ "content": " blue", "tokens": [], "completion_probabilities": null });
        assert!(read(&old).unwrap_err().contains("completion_probabilities"));
    }
}
