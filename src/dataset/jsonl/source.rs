//! A row of whatever file, as its reader sees it.

use serde::Deserialize;
use serde_json::{Number, Value};

use crate::input::{InputError, JsonLine};

/// What a row says.
#[derive(Default, Deserialize)]
pub(in crate::dataset) struct Fields {
    pub(in crate::dataset) question: Option<Value>,
    #[serde(alias = "options")]
    pub(in crate::dataset) choices: Option<Value>,
    pub(in crate::dataset) answer: Option<Value>,
    #[serde(rename = "answerKey")]
    pub(in crate::dataset) answer_key: Option<Value>,
    pub(in crate::dataset) rationale: Option<Value>,
}

/// A row of whatever file, which knows its place there.
pub(in crate::dataset) trait SourceRow {
    /// What it says.
    fn fields(&self) -> Result<Fields, InputError>;
    /// Its id; none where it has none.
    fn id(&self) -> Result<Option<String>, InputError>;
    /// The number of the field `key`, with all the digits that are written.
    fn digits(&self, key: &str, number: &Number) -> String;
    /// Something wrong with what the field `key` has, or with all of the row where that is absent.
    fn wrong_at(&self, key: &str, what: String) -> InputError;
    /// Something wrong with all of the row.
    fn wrong(&self, what: String) -> InputError;
    /// What it has, by name.
    fn keys(&self) -> Vec<String>;
    /// As messages about other rows name it: `line 3`.
    fn named(&self) -> String;
    /// Where the field `key` stands, as messages about other rows say it: `3:7`.
    fn place_of(&self, key: &str) -> String;
}

impl SourceRow for JsonLine<'_> {
    fn fields(&self) -> Result<Fields, InputError> {
        self.read()
    }

    fn id(&self) -> Result<Option<String>, InputError> {
        JsonLine::id(self, "id")
    }

    fn digits(&self, key: &str, number: &Number) -> String {
        self.number(key, number)
    }

    fn wrong_at(&self, key: &str, what: String) -> InputError {
        let key = match key {
            "choices" => self.which(&["choices", "options"]),
            key => key,
        };
        JsonLine::wrong_at(self, key, what)
    }

    fn wrong(&self, what: String) -> InputError {
        JsonLine::wrong(self, what)
    }

    fn keys(&self) -> Vec<String> {
        JsonLine::keys(self)
    }

    fn named(&self) -> String {
        format!("line {}", self.number)
    }

    fn place_of(&self, key: &str) -> String {
        JsonLine::place_of(self, key)
    }
}
