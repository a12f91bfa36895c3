//! What columns a table has, and what is in them.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::at::nested;
use super::chat;
use crate::input::{Table, TableRow};

/// Levels of nesting that are looked into (ours); published tables have two.
const DEEPEST: usize = 4;

/// What is in a column.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Holds {
    /// Nothing in any row.
    Nothing,
    /// Texts.
    Text,
    /// Numbers.
    Number,
    /// True and false.
    Truth,
    /// Lists of texts.
    Texts,
    /// Lists of something else.
    List,
    /// Lists of messages.
    Messages,
    /// Other columns.
    Columns,
    /// Texts that are each a list of texts, another list, or an object as JSON: cells of CSV.
    Cells(Cell),
    /// Now this, now that.
    Mixed,
}

/// What a text is as JSON.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Cell {
    /// A list of texts.
    Texts,
    /// Another list.
    List,
    /// An object.
    Columns,
}

impl Holds {
    /// As messages name it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Nothing => "empty",
            Self::Text => "text",
            Self::Number => "number",
            Self::Truth => "true or false",
            Self::Texts => "list of texts",
            Self::List => "list",
            Self::Messages => "messages",
            Self::Columns => "columns",
            Self::Cells(Cell::Texts) => "list of texts, as JSON",
            Self::Cells(Cell::List) => "list, as JSON",
            Self::Cells(Cell::Columns) => "columns, as JSON",
            Self::Mixed => "mixed",
        }
    }

    /// The same of a cell as if it were no text.
    fn unwrapped(self) -> Self {
        match self {
            Self::Cells(Cell::Texts) => Self::Texts,
            Self::Cells(Cell::List) => Self::List,
            Self::Cells(Cell::Columns) => Self::Columns,
            other => other,
        }
    }

    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Nothing, known) | (known, Self::Nothing) => known,
            // An empty list is of anything.
            (Self::List, list @ (Self::Texts | Self::Messages))
            | (list @ (Self::Texts | Self::Messages), Self::List) => list,
            (one, other) if one == other => one,
            // An interval, `[0, 1]`, among other texts is one of them.
            (Self::Text, Self::Cells(_)) | (Self::Cells(_), Self::Text) => Self::Text,
            (Self::Cells(Cell::List), Self::Cells(Cell::Texts))
            | (Self::Cells(Cell::Texts), Self::Cells(Cell::List)) => Self::Cells(Cell::Texts),
            _ => Self::Mixed,
        }
    }
}

/// The columns of a table, nested ones by their paths, in the order in which they are seen.
#[derive(Default)]
pub(super) struct ColumnKinds {
    places: BTreeMap<String, usize>,
    all: Vec<(String, Holds)>,
}

impl ColumnKinds {
    /// What each column of `tables` holds, over all of their rows.
    pub(super) fn of(tables: &[Table]) -> Self {
        let mut kinds = Self::default();
        for TableRow { values, .. } in tables.iter().flat_map(|table| &table.rows) {
            kinds.add_all("", values, 1);
        }
        kinds
    }

    /// What `path` has; none where there is no such column.
    pub(super) fn get(&self, path: &str) -> Option<Holds> {
        self.places
            .get(path)
            .map(|place| self.all[*place].1.unwrapped())
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, Holds)> {
        self.all.iter().map(|(path, holds)| (path.as_str(), *holds))
    }

    /// The columns that hold values, with what they hold, for a message.
    pub(super) fn listed(&self) -> String {
        let leaves = self.iter().filter(|(_, holds)| *holds != Holds::Columns);
        let each = leaves.map(|(path, holds)| format!("`{path}` ({})", holds.name()));
        each.collect::<Vec<_>>().join(", ")
    }

    fn add_all(&mut self, above: &str, values: &Map<String, Value>, level: usize) {
        for (name, value) in values {
            let path = format!("{above}{name}");
            self.add(&path, value, level);
        }
    }

    fn add(&mut self, path: &str, value: &Value, level: usize) {
        let below = format!("{path}.");
        let holds = match value {
            Value::Null => Holds::Nothing,
            Value::Bool(_) => Holds::Truth,
            Value::Number(_) => Holds::Number,
            Value::String(text) => match nested(text) {
                Some(Value::Array(items)) if is_texts(&items) => Holds::Cells(Cell::Texts),
                Some(Value::Array(_)) => Holds::Cells(Cell::List),
                Some(Value::Object(values)) if level < DEEPEST => {
                    self.note(path, Holds::Cells(Cell::Columns));
                    return self.add_all(&below, &values, level + 1);
                }
                _ if text.trim().is_empty() => Holds::Nothing,
                _ => Holds::Text,
            },
            Value::Object(_) if level >= DEEPEST => Holds::Columns,
            Value::Object(values) => {
                self.note(path, Holds::Columns);
                return self.add_all(&below, values, level + 1);
            }
            Value::Array(items) => self.list(&below, items, level),
        };
        self.note(path, holds);
    }

    /// What a list is; of one of objects its columns are those of lists.
    fn list(&mut self, below: &str, items: &[Value], level: usize) -> Holds {
        if let Some(messages) = chat::messages(items) {
            for role in messages.roles() {
                self.note(&format!("{below}{role}"), Holds::Text);
            }
            return Holds::Messages;
        }
        if is_texts(items) {
            return Holds::Texts;
        }
        if level < DEEPEST && items.iter().all(Value::is_object) {
            for (name, value) in items.iter().filter_map(Value::as_object).flatten() {
                let of_each = match value {
                    Value::String(_) => Holds::Texts,
                    _ => Holds::List,
                };
                self.note(&format!("{below}{name}"), of_each);
            }
        }
        Holds::List
    }

    fn note(&mut self, path: &str, holds: Holds) {
        let place = *self.places.entry(path.to_owned()).or_insert_with(|| {
            self.all.push((path.to_owned(), Holds::Nothing));
            self.all.len() - 1
        });
        self.all[place].1 = self.all[place].1.and(holds);
    }
}

/// Whether a list is one of texts, and not empty.
fn is_texts(items: &[Value]) -> bool {
    !items.is_empty() && items.iter().all(Value::is_string)
}
