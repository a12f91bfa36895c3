//! JSON Schema's view of a TOML value, and the words in which messages name it.

use std::fmt::Write as _;

use serde_json::Value;

use super::tree::{Node, Tree};

/// Whether `node` is of the JSON type `name`.
pub(super) fn is_type(name: &str, node: &Node) -> bool {
    match &node.value {
        Tree::Bool(_) => name == "boolean",
        Tree::Integer(_) => name == "integer" || name == "number",
        Tree::Float(_) => name == "number",
        Tree::String(_) => name == "string",
        Tree::Datetime(_) => false,
        Tree::Array(_) => name == "array",
        Tree::Table(_) => name == "object",
    }
}

/// Whether the value is `value`; `1` and `1.0` are the same number.
pub(super) fn equal(value: &Value, node: &Node) -> bool {
    match (value, &node.value) {
        (_, Tree::Datetime(_)) => false,
        (Value::Number(a), Tree::Integer(_) | Tree::Float(_)) => {
            a.as_f64().is_some() && a.as_f64() == node.to_json().as_f64()
        }
        _ => *value == node.to_json(),
    }
}

/// The integers of a schema's `format`; without one, TOML's own.
pub(super) fn integer_range(format: Option<&str>) -> (i128, i128) {
    match format {
        Some("uint8") => (0, u8::MAX.into()),
        Some("uint16") => (0, u16::MAX.into()),
        Some("uint32") => (0, u32::MAX.into()),
        Some("uint" | "uint64") => (0, u64::MAX.into()),
        Some("int8") => (i8::MIN.into(), i8::MAX.into()),
        Some("int16") => (i16::MIN.into(), i16::MAX.into()),
        Some("int32") => (i32::MIN.into(), i32::MAX.into()),
        _ => (i64::MIN.into(), i64::MAX.into()),
    }
}

/// A JSON type with its article.
pub(super) fn noun(json_type: &str) -> &str {
    match json_type {
        "boolean" => "`true` or `false`",
        "integer" => "an integer",
        "number" => "a number",
        "string" => "a string",
        "array" => "an array",
        "object" => "a table",
        other => other,
    }
}

/// The value as messages name it.
pub(super) fn found(node: &Node) -> String {
    match &node.value {
        Tree::Bool(value) => format!("`{value}`"),
        Tree::Integer(value) => format!("the integer {value}"),
        Tree::Float(value) => format!("the number {value:?}"),
        Tree::String(text) => format!("the string {text:?}"),
        Tree::Datetime(text) => format!("the date or time {text}"),
        Tree::Array(_) => "an array".to_owned(),
        Tree::Table(_) => "a table".to_owned(),
    }
}

/// A string without quotes, anything else as JSON.
pub(super) fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// A path as it would be written, for example `stages.kept."odd key".rows[0]`.
pub(super) fn dotted(path: &[String]) -> String {
    let bare = |key: &str| {
        key.chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
    };
    let mut text = String::new();
    for key in path {
        let index = key
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        if index.is_some_and(|digits| digits.parse::<usize>().is_ok()) {
            text.push_str(key);
            continue;
        }
        if !text.is_empty() {
            text.push('.');
        }
        if bare(key) && !key.is_empty() {
            text.push_str(key);
        } else {
            // Writing to a string cannot fail.
            let _ = write!(text, "{key:?}");
        }
    }
    text
}
