//! A TOML tree in which every key and value knows where it was written.
//!
//! In: a source. Out: nodes whose origin survives merging, so that a value from a base file or a
//! `--set` is quoted from there. Tables keep the order of declaration.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use serde_json::{Map, Number, Value};
use toml::de::{DeTable, DeValue};

use super::error::Diagnostic;
use super::source::{Origin, SourceText};

/// A value and its origin. The origin of a `[table]` is its header.
#[derive(Clone, Debug)]
pub struct Node {
    /// The value.
    pub value: Tree,
    /// Where it was written.
    pub origin: Origin,
}

/// A TOML value.
#[derive(Clone, Debug)]
pub enum Tree {
    /// `true` or `false`.
    Bool(bool),
    /// Wider than TOML promises, so that a seed may take all 64 bits.
    Integer(i128),
    /// May be infinite or not a number.
    Float(f64),
    /// Text.
    String(String),
    /// A date or time, which no key of a manifest takes.
    Datetime(String),
    /// A list.
    Array(Vec<Node>),
    /// A table.
    Table(Table),
}

/// A table's entries in the order of declaration; each key occurs once.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// The entries.
    pub entries: Vec<Entry>,
}

/// A key with its value.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key was written.
    pub key_origin: Origin,
    /// Its value.
    pub value: Node,
}

impl Node {
    /// The table, if it is one.
    pub fn as_table(&self) -> Option<&Table> {
        match &self.value {
            Tree::Table(table) => Some(table),
            _ => None,
        }
    }

    /// The table to change, if it is one.
    pub fn as_table_mut(&mut self) -> Option<&mut Table> {
        match &mut self.value {
            Tree::Table(table) => Some(table),
            _ => None,
        }
    }

    /// The text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Tree::String(text) => Some(text),
            _ => None,
        }
    }

    /// The items of a list; of anything else itself.
    pub fn items(&self) -> &[Self] {
        match &self.value {
            Tree::Array(items) => items,
            _ => std::slice::from_ref(self),
        }
    }

    /// The value under `key`, if this is a table that has it.
    pub fn get(&self, key: &str) -> Option<&Self> {
        Some(&self.as_table()?.get(key)?.value)
    }

    /// The value as JSON. What JSON cannot hold (dates, infinities) was refused by the schema.
    pub fn to_json(&self) -> Value {
        match &self.value {
            Tree::Bool(value) => Value::Bool(*value),
            Tree::Integer(value) => Number::from_i128(*value).map_or(Value::Null, Value::Number),
            Tree::Float(value) => Number::from_f64(*value).map_or(Value::Null, Value::Number),
            Tree::String(text) | Tree::Datetime(text) => Value::String(text.clone()),
            Tree::Array(items) => Value::Array(items.iter().map(Self::to_json).collect()),
            Tree::Table(table) => Value::Object(table.to_json()),
        }
    }

    /// Lays `over` on this node: tables merge key by key, everything else is replaced.
    pub fn merge(&mut self, over: Self) {
        match (&mut self.value, over.value) {
            (Tree::Table(base), Tree::Table(over)) => base.merge(over),
            (value, changed) => {
                *value = changed;
                self.origin = over.origin;
                return;
            }
        }
        // A `--set` changes a field; the table around it is still declared in its file.
        if !over.origin.source.is_argument() {
            self.origin = over.origin;
        }
    }
}

impl Entry {
    /// Lays an entry of the same key on this one.
    fn lay(&mut self, over: Self) {
        if self.value.as_table().is_none() || !over.key_origin.source.is_argument() {
            self.key_origin = over.key_origin;
        }
        self.value.merge(over.value);
    }
}

impl Table {
    /// The entry of `key`.
    pub fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    /// The entry of `key`, to change.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.key == key)
    }

    /// Takes the entry of `key` out.
    pub fn remove(&mut self, key: &str) -> Option<Entry> {
        let at = self.entries.iter().position(|entry| entry.key == key)?;
        Some(self.entries.remove(at))
    }

    /// The keys, in order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| entry.key.as_str())
    }

    /// Lays every entry of `over` on this table.
    pub fn merge(&mut self, over: Self) {
        // A map, for `get` looks through all entries, and a manifest may have a hundred thousand stages.
        let keys = self.entries.iter().map(|entry| entry.key.clone());
        let places: BTreeMap<String, usize> = keys.zip(0..).collect();
        for entry in over.entries {
            match places.get(&entry.key) {
                Some(&place) => self.entries[place].lay(entry),
                None => self.entries.push(entry), // each key occurs once in `over` too
            }
        }
    }

    /// Lays `entry` on the entry of the same key, or adds it.
    pub fn merge_entry(&mut self, entry: Entry) {
        match self.get_mut(&entry.key) {
            Some(here) => here.lay(entry),
            None => self.entries.push(entry),
        }
    }

    /// The entries as a JSON object.
    pub fn to_json(&self) -> Map<String, Value> {
        self.entries
            .iter()
            .map(|entry| (entry.key.clone(), entry.value.to_json()))
            .collect()
    }
}

/// Syntax errors of one file that are told; a file with more is likely no manifest (ours).
const TOLD: usize = 25;

/// Parses a document; all syntax errors at once.
pub(super) fn parse(source: &Arc<SourceText>) -> Result<Node, Vec<Diagnostic>> {
    let (document, errors) = DeTable::parse_recoverable(&source.text);
    if !errors.is_empty() {
        let whole = 0..source.text.len();
        let told = errors.iter().take(TOLD).map(|error| {
            let span = error.span().unwrap_or_else(|| whole.clone());
            Diagnostic::at(&Origin::new(source, span), syntax_message(error.message()))
        });
        let mut told: Vec<Diagnostic> = told.collect();
        if let (more @ 1.., Some(last)) = (errors.len() - told.len(), told.last_mut()) {
            last.hint = Some(format!(
                "the file has {more} more such errors; is it a manifest in TOML?"
            ));
        }
        return Err(told);
    }
    Ok(Node {
        origin: Origin::new(source, 0..0),
        value: Tree::Table(table(source, document.get_ref())),
    })
}

/// The parser's message on one line, as our messages begin.
fn syntax_message(message: &str) -> String {
    let lines: Vec<&str> = message.lines().map(str::trim).collect();
    format!("not valid TOML: {}", lines.join(", "))
}

fn table(source: &Arc<SourceText>, table: &DeTable<'_>) -> Table {
    let mut entries: Vec<Entry> = table
        .iter()
        .map(|(key, value)| Entry {
            key: key.get_ref().to_string(),
            key_origin: Origin::new(source, key.span()),
            value: node(source, value.span(), value.get_ref()),
        })
        .collect();
    // The parser sorts by key; people think in the order in which they wrote.
    entries.sort_by_key(|entry| entry.key_origin.span.start);
    Table { entries }
}

fn node(source: &Arc<SourceText>, span: Range<usize>, value: &DeValue<'_>) -> Node {
    let value = match value {
        DeValue::String(text) => Tree::String(text.to_string()),
        // Beyond 128 bits it is as much out of range as at the limit.
        DeValue::Integer(integer) => Tree::Integer(
            i128::from_str_radix(integer.as_str(), integer.radix()).unwrap_or(i128::MAX),
        ),
        DeValue::Float(float) => Tree::Float(float.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(value) => Tree::Bool(*value),
        DeValue::Datetime(datetime) => Tree::Datetime(datetime.to_string()),
        DeValue::Array(items) => Tree::Array(
            items
                .iter()
                .map(|item| node(source, item.span(), item.get_ref()))
                .collect(),
        ),
        DeValue::Table(entries) => Tree::Table(table(source, entries)),
    };
    Node {
        value,
        origin: Origin::new(source, span),
    }
}
