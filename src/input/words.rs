//! JSON, and what its parser says, in the words of a person who wrote the file.

use serde_json::Value;

/// A JSON value as messages name it.
pub(crate) fn noun(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) => format!("the text {text:?}"),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}

/// What the parser says, in the words of a person who wrote the file.
pub(super) fn sentence(error: &serde_json::Error) -> String {
    let text = error.to_string();
    // Its place is told before it.
    let text = text
        .rsplit_once(" at line ")
        .map_or(text.as_str(), |(head, _)| head);
    if let Some((found, expected)) = text
        .strip_prefix("invalid type: ")
        .or_else(|| text.strip_prefix("invalid value: "))
        .and_then(|rest| rest.rsplit_once(", expected "))
    {
        return format!("{} where {} is expected", given(found), wanted(expected));
    }
    if let Some(key) = text.strip_prefix("missing field ") {
        return format!("the row has no {key}");
    }
    match text {
        "trailing characters" => "something follows the end of the value".to_owned(),
        "expected value" | "expected ident" => "not JSON: a value is expected here".to_owned(),
        other => match other.strip_prefix("EOF while parsing a") {
            Some(_) => "not JSON: it ends before it is complete".to_owned(),
            None => other.to_owned(),
        },
    }
}

/// serde's word for what it found.
fn given(found: &str) -> String {
    match found {
        "map" => "an object".to_owned(),
        "sequence" => "a list".to_owned(),
        "null" => "null".to_owned(),
        other => {
            let (kind, value) = other.split_once(' ').unwrap_or(("", other));
            let value = value.trim_matches('`');
            match kind {
                "string" => format!("the text {value}"),
                "integer" => format!("the number {value}"),
                "boolean" => value.to_owned(),
                _ => match other.strip_prefix("floating point ") {
                    Some(value) => format!("the number {}", value.trim_matches('`')),
                    None => other.to_owned(),
                },
            }
        }
    }
}

/// serde's word for what it wanted.
fn wanted(expected: &str) -> &str {
    match expected {
        "a string" | "string" => "text",
        "a sequence" => "a list",
        "a map" => "an object",
        "a boolean" => "true or false",
        "f32" | "f64" => "a number",
        "i8" | "i16" | "i32" | "i64" | "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number",
        other if other.starts_with("struct ") => "an object",
        other => other,
    }
}
