//! What a row has in a column, which may be nested.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::chat;

/// What stands at `path` (`choices.text`, `messages.user`) in `values`; none where there is nothing, or null.
///
/// # Errors
/// A list of messages has several of the role, or one that is no text.
pub(super) fn at<'r>(
    values: &'r Map<String, Value>,
    path: &str,
) -> Result<Option<Cow<'r, Value>>, String> {
    // A column may have a point in its own name.
    if let Some(value) = values.get(path) {
        return Ok(Some(Cow::Borrowed(value)).filter(|value| !value.is_null()));
    }
    let Some((head, rest)) = path.split_once('.') else {
        return Ok(None);
    };
    match values.get(head) {
        Some(value) => within(value, rest),
        None => Ok(None),
    }
}

fn within<'r>(value: &'r Value, path: &str) -> Result<Option<Cow<'r, Value>>, String> {
    match value {
        Value::Object(values) => at(values, path),
        Value::Array(items) => {
            if let Some(messages) = chat::messages(items) {
                return Ok(messages.only(path)?.map(|text| Cow::Owned(text.into())));
            }
            let each = items.iter().map(|item| {
                let found = within(item, path)?;
                Ok(found.map_or(Value::Null, Cow::into_owned))
            });
            let each: Vec<Value> = each.collect::<Result<_, String>>()?;
            let any = each.iter().any(|value| !value.is_null());
            Ok(any.then(|| Cow::Owned(each.into())))
        }
        // A cell of CSV has nested values as JSON.
        Value::String(text) => match nested(text) {
            Some(value) => Ok(within(&value, path)?.map(|found| Cow::Owned(found.into_owned()))),
            None => Ok(None),
        },
        _ => Ok(None),
    }
}

/// What a text is as JSON, where it is an object or a list.
pub(super) fn nested(text: &str) -> Option<Value> {
    let text = text.trim();
    if !text.starts_with(['{', '[']) {
        return None;
    }
    serde_json::from_str(text).ok()
}
