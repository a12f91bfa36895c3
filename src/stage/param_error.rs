//! What a stage kind says of a field that does not do.

/// Something wrong with a parameter that a JSON Schema cannot say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParamError {
    /// Dotted path of the field within the stage, for example `length.min_tokens`.
    pub field: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl ParamError {
    /// What an error says of a field: its words, and its hint where it has one.
    pub fn of(field: impl Into<String>, error: &impl std::fmt::Display) -> Self {
        let text = error.to_string();
        let (message, hint) = match text.split_once("\nhint: ") {
            Some((message, hint)) => (message.to_owned(), Some(hint.to_owned())),
            None => (text, None),
        };
        Self {
            field: field.into(),
            message,
            hint,
        }
    }
}
