//! Lists of messages, as chats are kept: `{"role": "user", "content": "..."}`, or `{"from": "human", "value": "..."}`.

use serde_json::Value;

/// A list of messages.
pub(super) struct Messages<'r>(Vec<(&'r str, &'r Value)>);

/// `items` as messages, where each is one.
pub(super) fn messages(items: &[Value]) -> Option<Messages<'_>> {
    let messages: Option<Vec<_>> = items.iter().map(message).collect();
    messages.filter(|all| !all.is_empty()).map(Messages)
}

fn message(item: &Value) -> Option<(&str, &Value)> {
    let fields = item.as_object()?;
    let (role, content) = [("role", "content"), ("from", "value")]
        .into_iter()
        .find_map(|(role, content)| fields.get(role).zip(fields.get(content)))?;
    Some((role.as_str()?, content))
}

impl<'r> Messages<'r> {
    /// The roles, in order.
    pub(super) fn roles(&self) -> impl Iterator<Item = &'r str> {
        self.0.iter().map(|(role, _)| *role)
    }

    /// The text of the only message of a role; none where there is none.
    pub(super) fn only(&self, role: &str) -> Result<Option<&'r str>, String> {
        let mut of_role = self.0.iter().filter(|(of, _)| *of == role);
        let Some((_, content)) = of_role.next() else {
            return Ok(None);
        };
        let others = of_role.count();
        if others > 0 {
            return Err(format!(
                "a conversation with {} messages of `{role}`, where one question and one answer are expected",
                others + 1
            ));
        }
        match content {
            Value::Null => Ok(None),
            Value::String(text) => Ok(Some(text)),
            _ => Err(format!("the message of `{role}` is no text")),
        }
    }
}
