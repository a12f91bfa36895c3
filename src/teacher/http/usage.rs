//! What a server says that a reply cost.

use serde_json::Value;

use super::Tokens;

/// The tokens that a body's `usage` tells: those of the prompt and of the reply, one of them by the total where
/// it is left out (some leave out a reply of no tokens). `None` where it does not tell both: an estimate counts
/// then.
pub(super) fn tokens(usage: &Value) -> Option<Tokens> {
    let read = |names: [&str; 2]| names.iter().find_map(|name| count(usage.get(*name)?));
    let prompt = read(["prompt_tokens", "input_tokens"]);
    let completion = read(["completion_tokens", "output_tokens"]);
    let rest = |part: u64| count(usage.get("total_tokens")?)?.checked_sub(part);
    Some(Tokens {
        prompt: prompt.or_else(|| rest(completion?))?,
        completion: completion.or_else(|| rest(prompt?))?,
    })
}

/// A count as servers write it: `10`, `10.0`, `"10"`. None where it is negative or no number; more than fits is
/// the most that does.
pub(super) fn count(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64().or_else(|| whole(number.as_f64()?)),
        Value::String(text) => {
            let text = text.trim();
            text.parse().ok().or_else(|| whole(text.parse().ok()?))
        }
        _ => None,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "not negative, and `as` saturates"
)]
fn whole(value: f64) -> Option<u64> {
    (value.is_finite() && value >= 0.0).then(|| value.ceil() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn counts_in_all_their_forms() {
        for (value, expected) in [
            (json!(10), Some(10)),
            (json!(10.0), Some(10)),
            (json!(10.2), Some(11)),
            (json!("10"), Some(10)),
            (json!(" 10.0 "), Some(10)),
            (json!(0), Some(0)),
            (json!(-0.0), Some(0)),
            (json!(9_223_372_036_854_775_808_u64), Some(1 << 63)),
            (json!(1e300), Some(u64::MAX)),
            (json!("99999999999999999999999"), Some(u64::MAX)),
            (json!("inf"), None),
            (json!(-1), None),
            (json!("-1"), None),
            (json!("NaN"), None),
            (json!("ten"), None),
            (json!(true), None),
            (json!([10]), None),
            (json!(null), None),
        ] {
            assert_eq!(count(&value), expected, "{value}");
        }
    }

    #[test]
    fn both_parts_or_an_estimate() {
        let some = |prompt, completion| Some(Tokens { prompt, completion });
        for (usage, expected) in [
            (
                json!({ "prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 99 }),
                some(7, 3),
            ),
            (
                json!({ "prompt_tokens": "7", "completion_tokens": 3.0 }),
                some(7, 3),
            ),
            (json!({ "input_tokens": 7, "output_tokens": 3 }), some(7, 3)),
            (json!({ "prompt_tokens": 7, "total_tokens": 7 }), some(7, 0)),
            (
                json!({ "completion_tokens": 3, "total_tokens": 10 }),
                some(7, 3),
            ),
            (json!({ "prompt_tokens": 7, "total_tokens": 5 }), None),
            (json!({ "prompt_tokens": 7 }), None),
            (json!({ "total_tokens": 7 }), None),
            (
                json!({ "prompt_tokens": -1, "completion_tokens": -1 }),
                None,
            ),
            (
                json!({ "prompt_tokens": 7, "completion_tokens": -1, "total_tokens": 10 }),
                some(7, 3),
            ),
            (json!({}), None),
            (json!(null), None),
            (json!("7"), None),
            (json!([7, 3]), None),
        ] {
            assert_eq!(tokens(&usage), expected, "{usage}");
        }
    }
}
