//! The one textual form of a JSON value that keys are made from.

use serde_json::{Number, Value};

/// Writes `value` so that equal meanings give equal bytes: object keys sorted, no white space,
/// a number with an integral value written as an integer (`1.0` as `1`, `-0.0` as `0`), every
/// other float in the shortest form that reads back to the same f64.
pub fn canonical_json(value: &Value) -> String {
    let mut out = String::new();
    write_value(value, &mut out);
    out
}

fn write_value(value: &Value, out: &mut String) {
    match value {
        Value::Null | Value::Bool(_) | Value::String(_) => out.push_str(&value.to_string()),
        Value::Number(number) => out.push_str(&number_text(number)),
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_value(item, out);
            }
            out.push(']');
        }
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            // serde_json keeps the order in which keys came (`preserve_order`).
            entries.sort_unstable_by_key(|(key, _)| *key);
            out.push('{');
            for (i, (key, item)) in entries.into_iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                out.push_str(&Value::String(key.clone()).to_string());
                out.push(':');
                write_value(item, out);
            }
            out.push('}');
        }
    }
}

fn number_text(number: &Number) -> String {
    /// Below this magnitude every integral f64 is one integer exactly.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match number.as_f64() {
        Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < EXACT => {
            #[expect(clippy::cast_possible_truncation, reason = "integral and below 2^53")]
            let integer = float as i64;
            integer.to_string()
        }
        _ => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn order_and_number_spelling_do_not_matter() {
        let a = json!({"b": 1, "a": [1.0, -0.0, 0.5]});
        let b = json!({"a": [1, 0, 0.5], "b": 1.0});
        assert_eq!(canonical_json(&a), canonical_json(&b));
        assert_eq!(canonical_json(&a), r#"{"a":[1,0,0.5],"b":1}"#);
    }

    #[test]
    fn strings_keep_their_escapes() {
        assert_eq!(canonical_json(&json!("a\"\n")), r#""a\"\n""#);
    }
}
