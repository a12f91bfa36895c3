//! What a stage took of servers, what its judge could not read, what its verifier found, and what its training left out: from its result's
//! provenance.

use std::fmt::Write as _;

use serde_json::Value;

use super::interval::share_text;
use crate::text::{one_line, printable};

/// One sentence on what `provenance` says that the stage used; `None` where it says nothing.
pub(crate) fn used_text(provenance: &Value) -> Option<String> {
    told(provenance, |_| true)
}

/// The same for the end of a run, which tells of a verifier only what it left undecided: its table tells the rest, and a
/// sweep has hundreds of them.
pub(crate) fn used_at_end(provenance: &Value) -> Option<String> {
    told(provenance, |verified| verified["not_decided"] != 0)
}

fn told(provenance: &Value, tells: impl Fn(&Value) -> bool) -> Option<String> {
    let used = provenance.get("use")?;
    let parts: Vec<String> = [
        used.get("endpoint").map(endpoint),
        used.get("server").map(server),
        used.get("judged").map(judged),
        used.get("verified").filter(|it| tells(it)).map(verified),
        used.get("too_long").map(too_long),
    ]
    .into_iter()
    .flatten()
    .collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// What a server was asked that a student is behind.
fn server(account: &Value) -> String {
    let count = |path: &str| account.pointer(path).and_then(Value::as_u64).unwrap_or(0);
    let at = printable(account["provider"].as_str().unwrap_or("?"));
    format!(
        "by the server at {at}: {} requests, {} tokens of prompts and {} of replies",
        count("/requests"),
        count("/reported/prompt") + count("/estimated/prompt"),
        count("/reported/completion") + count("/estimated/completion"),
    )
}

fn endpoint(account: &Value) -> String {
    let count = |path: &str| account.pointer(path).and_then(Value::as_u64).unwrap_or(0);
    let word = |name: &str| printable(account[name].as_str().unwrap_or("?"));
    let (requests, own) = (count("/requests"), count("/replies_of_its_own"));
    let replies = count("/replies");
    // A verifier's server has no model, and counts no tokens.
    let has_model = account["model"] != "";
    let mut text = if has_model {
        format!("{} at {}", word("model"), word("provider"))
    } else {
        word("provider")
    };
    let _ = write!(text, ": {replies} replies");
    if replies > own {
        let _ = write!(text, ", {} of them kept from other stages", replies - own);
    }
    let _ = write!(text, "; {requests} requests");
    if requests > own {
        let _ = write!(text, " ({} failed and were sent again)", requests - own);
    }
    if has_model {
        let _ = write!(
            text,
            ", {} tokens of prompts and {} of replies",
            count("/reported/prompt"),
            count("/reported/completion")
        );
    }
    let estimated = count("/estimated/prompt").saturating_add(count("/estimated/completion"));
    if estimated > 0 {
        let _ = write!(
            text,
            ", and perhaps {estimated} of which the server said nothing"
        );
    }
    if let Some(usd) = account["usd"].as_f64() {
        let _ = write!(text, ", ${usd:.4}");
    }
    let refused = account["refused"].as_object().into_iter().flatten();
    let refused: Vec<String> = refused
        .map(|(verdict, count)| format!("{} {count}", printable(verdict)))
        .collect();
    if !refused.is_empty() {
        let _ = write!(text, "; no answer: {}", refused.join(", "));
    }
    text
}

fn judged(judged: &Value) -> String {
    let count = |name: &str| judged[name].as_u64().unwrap_or(0);
    let (paths, unparsed) = (count("paths"), count("unparsed"));
    let share = share_text(unparsed, paths);
    format!("{paths} judged, {unparsed} ({share}) unparsed")
}

fn verified(verified: &Value) -> String {
    let count = |name: &str| verified[name].as_u64().unwrap_or(0);
    let mut text = format!(
        "{} verified: {} right, {} wrong, {} without an answer, {} not decided",
        count("paths"),
        count("right"),
        count("wrong"),
        count("no_answer"),
        count("not_decided")
    );
    if count("between") > 0 {
        let _ = write!(text, ", {} between right and wrong", count("between"));
    }
    let reasons = verified["reasons"].as_array().into_iter().flatten();
    let mut reasons: Vec<String> = reasons
        .map(|each| {
            let why = one_line(each["reason"].as_str().unwrap_or("?"));
            format!("{why}, {} times", each["paths"].as_u64().unwrap_or(0))
        })
        .collect();
    if count("for_other_reasons") > 0 {
        let others = count("for_other_reasons");
        reasons.push(format!("and {others} times for other reasons"));
    }
    if !reasons.is_empty() {
        let _ = write!(text, " ({})", reasons.join("; "));
    }
    text
}

fn too_long(told: &Value) -> String {
    let count = |name: &str| told[name].as_u64().unwrap_or(0);
    let mut text = format!(
        "of {} training texts {} were too long (`too_long = \"{}\"`)",
        count("texts"),
        count("dropped") + count("cut"),
        printable(told["rule"].as_str().unwrap_or("?"))
    );
    for (name, what) in [
        ("dropped", "left out"),
        ("cut", "without the end of their reasoning"),
    ] {
        if count(name) > 0 {
            let _ = write!(text, ", {} {what}", count(name));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_account_in_words() {
        assert_eq!(used_text(&json!({ "host": "h" })), None);
        let provenance = json!({ "use": {
            "endpoint": {
                "provider": "http://a/v1", "model": "m", "replies": 20, "replies_of_its_own": 15,
                "requests": 18, "reported": { "prompt": 700, "completion": 90 },
                "estimated": { "prompt": 5, "completion": 128 }, "usd": 0.0123,
                "refused": { "content filter": 2 },
            },
            "judged": { "paths": 20, "unparsed": 3 },
            "verified": {
                "paths": 9, "right": 4, "wrong": 2, "no_answer": 1, "not_decided": 5,
                "reasons": [{ "reason": "it\ncrashed", "paths": 2, "first": "q" }],
                "for_other_reasons": 3,
            },
            "too_long": { "rule": "cut-reasoning", "texts": 40, "dropped": 1, "cut": 4 },
        } });
        assert_eq!(
            used_text(&provenance).unwrap(),
            "m at http://a/v1: 20 replies, 5 of them kept from other stages; 18 requests (3 failed and were sent again), 700 tokens of prompts and 90 of replies, and perhaps 133 of which the server said nothing, $0.0123; no answer: content filter 2; 20 judged, 3 (15.0 %) unparsed; 9 verified: 4 right, 2 wrong, 1 without an answer, 5 not decided (it\\ncrashed, 2 times; and 3 times for other reasons); of 40 training texts 5 were too long (`too_long = \"cut-reasoning\"`), 1 left out, 4 without the end of their reasoning"
        );
    }

    #[test]
    fn the_end_of_a_run_tells_what_was_left_undecided() {
        let of = |not_decided: u64| json!({ "use": { "verified": { "paths": 9, "not_decided": not_decided } } });
        assert_eq!(used_at_end(&of(0)), None);
        assert!(used_text(&of(0)).is_some());
        assert_eq!(used_at_end(&of(2)), used_text(&of(2)));
    }
}
