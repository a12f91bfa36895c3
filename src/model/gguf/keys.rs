//! The metadata by key and type.

use super::error::{Fault, GgufError};
use super::file::Gguf;
use super::value::{List, Value};

/// What a key's value is asked to be.
const COUNT: &str = "a whole number";
const NUMBER: &str = "a number";

fn finite(value: &Value) -> Option<f64> {
    value.as_number().filter(|number| number.is_finite())
}

impl Gguf {
    /// A key that has to be there.
    pub(super) fn need<T>(
        &self,
        key: &str,
        expected: &str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<T, GgufError> {
        let found = self.get(key, expected, read)?;
        found.ok_or_else(|| {
            let hint =
                "the file lacks what a model needs; take another file of it, or convert it again";
            let place = format!("`{key}` of the metadata");
            Fault::new(place, "it is missing", expected, hint).at(self.path())
        })
    }

    /// A key that may be there; of another type it is refused.
    pub(super) fn get<T>(
        &self,
        key: &str,
        expected: &str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<Option<T>, GgufError> {
        let value = self.metadata.get(key);
        let value = value.map(|value| {
            let found = || self.wrong(key, value.said(), expected);
            read(value).ok_or_else(found)
        });
        value.transpose()
    }

    /// A count that may be there.
    pub(super) fn count(&self, key: &str) -> Result<Option<u64>, GgufError> {
        self.get(key, COUNT, Value::as_count)
    }

    /// A count that has to be there, the same in each layer.
    pub(super) fn need_count(&self, key: &str) -> Result<u64, GgufError> {
        let counts = self.need(key, COUNT, Value::as_counts)?;
        self.same(key, &counts)
    }

    /// A count that may be there; where it is a list, one for each layer, these have to be the same.
    pub(super) fn layered(&self, key: &str) -> Result<Option<u64>, GgufError> {
        let counts = self.get(key, COUNT, Value::as_counts)?;
        counts.map(|counts| self.same(key, &counts)).transpose()
    }

    fn same(&self, key: &str, counts: &[u64]) -> Result<u64, GgufError> {
        match counts {
            [first, rest @ ..] if rest.iter().all(|count| count == first) => Ok(*first),
            _ => Err(self.wrong(
                key,
                format!("{} numbers", counts.len()),
                "one for all layers",
            )),
        }
    }

    /// A number that may be there.
    pub(super) fn number(&self, key: &str) -> Result<Option<f64>, GgufError> {
        self.get(key, NUMBER, finite)
    }

    /// A number that has to be there.
    pub(super) fn need_number(&self, key: &str) -> Result<f64, GgufError> {
        self.need(key, NUMBER, finite)
    }

    /// A truth that may be there.
    pub(super) fn truth(&self, key: &str) -> Result<Option<bool>, GgufError> {
        self.get(key, "true or false", Value::as_bool)
    }

    /// A text that may be there.
    pub(super) fn text(&self, key: &str) -> Result<Option<&str>, GgufError> {
        // Not by `get`: the text is lent.
        match self.metadata.get(key) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(other) => Err(self.wrong(key, other.said(), "a text")),
        }
    }

    /// A text that has to be there.
    pub(super) fn need_text(&self, key: &str) -> Result<&str, GgufError> {
        let expected = "a text";
        let there = |value: &Value| value.as_text().map(|_| ());
        self.need(key, expected, there)?;
        Ok(self.text(key)?.unwrap_or_default())
    }

    /// A list that may be there, as its own kind.
    pub(super) fn list(&self, key: &str) -> Option<&List> {
        match self.metadata.get(key) {
            Some(Value::List(list)) => Some(list),
            _ => None,
        }
    }

    /// What a key says does not do.
    pub(super) fn wrong(
        &self,
        key: &str,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> GgufError {
        let place = format!("`{key}` of the metadata");
        Fault::damaged(place, found, expected).at(self.path())
    }

    /// What a key asks for is not done here.
    pub(super) fn refused(
        &self,
        key: &str,
        found: impl Into<String>,
        expected: impl Into<String>,
        hint: impl Into<String>,
    ) -> GgufError {
        let place = format!("`{key}` of the metadata");
        Fault::new(place, found, expected, hint).at(self.path())
    }
}
