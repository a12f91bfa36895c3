//! Walks a TOML tree against the JSON Schema of the manifest and reports every mistake.
//!
//! In: a schema (the keywords that schemars writes) and a node. Out: diagnostics at the origins
//! of keys and values, with the nearest valid name. Where TOML and JSON differ, TOML counts: a
//! date is never a string, and `1.0` is not an integer.

use std::cell::RefCell;
use std::collections::BTreeMap;

use regex::Regex;
use serde_json::{Map, Value};

use super::error::{Diagnostic, hinted};
use super::nearest::{list, nearest, suggest};
use super::source::Origin;
use super::tree::{Entry, Node, Table, Tree};
use super::words::{dotted, equal, found, integer_range, is_type, noun, plain};

/// Checks `node` against `schema`, which is also where references are looked up.
pub fn check(schema: &Value, node: &Node) -> Vec<Diagnostic> {
    check_with(schema, node, &Patterns::default())
}

/// The same, with expressions that other walks along `schema` compiled.
pub(super) fn check_with<'a>(
    schema: &'a Value,
    node: &Node,
    patterns: &Patterns<'a>,
) -> Vec<Diagnostic> {
    let mut checker = Checker {
        root: schema,
        path: Vec::new(),
        patterns,
        found: Vec::new(),
    };
    checker.value(schema, node);
    checker.found
}

/// Checks one section at the top of `node` alone.
pub(super) fn section(schema: &Value, node: &Node, name: &str) -> Vec<Diagnostic> {
    let patterns = Patterns::default();
    let mut checker = Checker {
        root: schema,
        path: vec![name.to_owned()],
        patterns: &patterns,
        found: Vec::new(),
    };
    let of_section = schema.get("properties").and_then(|all| all.get(name));
    if let (Some(schema), Some(node)) = (of_section, node.get(name)) {
        checker.value(schema, node);
    }
    checker.found
}

/// The compiled expressions of a schema.
#[derive(Default)]
pub(super) struct Patterns<'a>(RefCell<BTreeMap<&'a str, Option<Regex>>>);

/// The state of one walk.
pub(super) struct Checker<'a, 'p> {
    pub(super) root: &'a Value,
    pub(super) path: Vec<String>,
    patterns: &'p Patterns<'a>,
    pub(super) found: Vec<Diagnostic>,
}

impl<'a> Checker<'a, '_> {
    pub(super) fn value(&mut self, schema: &'a Value, node: &Node) {
        // `true` allows everything; `false` does not occur where a value stands.
        if let Value::Object(schema) = schema {
            self.keywords(schema, node);
        }
    }

    /// Checks every keyword of one schema object.
    pub(super) fn keywords(&mut self, schema: &'a Map<String, Value>, node: &Node) {
        if let Some(target) = schema.get("$ref").and_then(|r| self.target(r)) {
            self.value(target, node);
        }
        if let Some(types) = schema.get("type")
            && !names(types).any(|name| is_type(name, node))
        {
            let accepted: Vec<&str> = names(types)
                .filter(|name| *name != "null")
                .map(noun)
                .collect();
            let message = format!(
                "{} where {} is expected",
                found(node),
                accepted.join(" or ")
            );
            let date = matches!(node.value, Tree::Datetime(_))
                && names(types).any(|name| name == "string");
            let hint = date.then(|| "put it in quotes".to_owned());
            // What follows would refuse a value of another type once more.
            self.report(&node.origin, message, hint);
            return;
        }
        self.constant(schema, node);
        self.number(schema, node);
        match &node.value {
            Tree::String(text) => {
                self.length(schema, text, &node.origin);
                self.pattern(schema, text, &node.origin);
            }
            Tree::Array(items) => self.items(schema, items, node),
            Tree::Table(table) => self.table(schema, table, &node.origin),
            _ => {}
        }
        for keyword in ["oneOf", "anyOf"] {
            if let Some(Value::Array(branches)) = schema.get(keyword) {
                self.choose(keyword, branches, node);
            }
        }
        if let Some(Value::Array(all)) = schema.get("allOf") {
            for part in all {
                self.value(part, node);
            }
        }
    }

    /// What a `$ref` points to; only places in this schema occur.
    pub(super) fn target(&self, reference: &Value) -> Option<&'a Value> {
        self.root.pointer(reference.as_str()?.strip_prefix('#')?)
    }

    /// Adds a mistake at the current path.
    pub(super) fn report(&mut self, origin: &Origin, message: String, hint: Option<String>) {
        let place = dotted(&self.path);
        let message = if place.is_empty() {
            message
        } else {
            format!("`{place}`: {message}")
        };
        self.found.push(Diagnostic {
            path: self.path.clone(),
            ..Diagnostic::at(origin, message).hint(hint)
        });
    }

    fn constant(&mut self, schema: &Map<String, Value>, node: &Node) {
        let accepted = accepted(schema);
        if !accepted.is_empty() && !accepted.iter().any(|value| equal(value, node)) {
            self.refuse(&accepted, node);
        }
    }

    /// Says that the value is none of `accepted`.
    pub(super) fn refuse(&mut self, accepted: &[&Value], node: &Node) {
        let texts: Vec<String> = accepted.iter().map(|value| plain(value)).collect();
        let names = texts.iter().map(String::as_str);
        let message = format!("{} is not one of {}", found(node), list(names.clone()));
        let hint = hinted(self.found.len(), || {
            let hint = suggest(&plain(&node.to_json()), names, "accepted");
            // The list is in the message already.
            hint.filter(|hint| hint.starts_with("did"))
        });
        self.report(&node.origin, message, hint);
    }

    fn number(&mut self, schema: &Map<String, Value>, node: &Node) {
        #[expect(
            clippy::cast_precision_loss,
            reason = "limits are far below 2^53, or compared as integers"
        )]
        let value = match node.value {
            Tree::Integer(value) => value as f64,
            Tree::Float(value) => value,
            _ => return,
        };
        if !value.is_finite() {
            self.report(
                &node.origin,
                format!("{} is not a finite number", found(node)),
                None,
            );
            return;
        }
        let limit = |keyword: &str| Some((schema.get(keyword)?, schema.get(keyword)?.as_f64()?));
        let (min, max) = (limit("minimum"), limit("maximum"));
        let (above, below) = (limit("exclusiveMinimum"), limit("exclusiveMaximum"));
        let inside = min.is_none_or(|(_, limit)| value >= limit)
            && max.is_none_or(|(_, limit)| value <= limit)
            && above.is_none_or(|(_, limit)| value > limit)
            && below.is_none_or(|(_, limit)| value < limit);
        if !inside {
            let words = [
                ("at least", min),
                ("above", above),
                ("at most", max),
                ("below", below),
            ];
            let words = words
                .iter()
                .filter_map(|(word, limit)| Some(format!("{word} {}", limit.as_ref()?.0)));
            let words: Vec<String> = words.collect();
            let message = format!(
                "{} is out of range: it must be {}",
                found(node),
                words.join(" and ")
            );
            self.report(&node.origin, message, None);
        } else if let Tree::Integer(integer) = node.value {
            let (low, high) = integer_range(schema.get("format").and_then(Value::as_str));
            if !(low..=high).contains(&integer) {
                let message = format!(
                    "{} is out of range: it must be at least {low} and at most {high}",
                    found(node)
                );
                self.report(&node.origin, message, None);
            }
        }
    }

    fn length(&mut self, schema: &Map<String, Value>, text: &str, origin: &Origin) {
        let letters = text.chars().count() as u64;
        let least = schema.get("minLength").and_then(Value::as_u64);
        match least.filter(|least| letters < *least) {
            None => {}
            Some(1) => self.report(origin, "it is empty".to_owned(), None),
            Some(least) => {
                let message = format!("has {letters} letters, fewer than {least}");
                self.report(origin, message, None);
            }
        }
    }

    fn pattern(&mut self, schema: &'a Map<String, Value>, text: &str, origin: &Origin) {
        let Some(pattern) = schema.get("pattern").and_then(Value::as_str) else {
            return;
        };
        let patterns = self.patterns;
        let mut compiled = patterns.0.borrow_mut();
        let compiled = compiled
            .entry(pattern)
            .or_insert_with(|| Regex::new(pattern).ok());
        if compiled.as_ref().is_some_and(|regex| !regex.is_match(text)) {
            let message = format!("`{text}` does not have the form `{pattern}`");
            self.report(origin, message, None);
        }
    }

    fn items(&mut self, schema: &'a Map<String, Value>, items: &[Node], node: &Node) {
        let count = |keyword: &str| schema.get(keyword).and_then(Value::as_u64);
        let length = items.len() as u64;
        let message = match (count("minItems"), count("maxItems")) {
            (Some(min), _) if length < min => Some(format!("has {length} items, fewer than {min}")),
            (_, Some(max)) if length > max => Some(format!("has {length} items, more than {max}")),
            _ => None,
        };
        if let Some(message) = message {
            self.report(&node.origin, message, None);
        }
        let prefix: &[Value] = match schema.get("prefixItems") {
            Some(Value::Array(prefix)) => prefix,
            _ => &[],
        };
        for (index, item) in items.iter().enumerate() {
            if let Some(schema) = prefix.get(index).or_else(|| schema.get("items")) {
                self.path.push(format!("[{index}]"));
                self.value(schema, item);
                self.path.pop();
            }
        }
    }

    fn table(&mut self, schema: &'a Map<String, Value>, table: &Table, origin: &Origin) {
        let properties = schema.get("properties").and_then(Value::as_object);
        if let Some(required) = schema.get("required") {
            for name in names(required).filter(|name| table.get(name).is_none()) {
                let hint = properties
                    .and_then(|properties| properties.get(name))
                    .and_then(|property| property.get("description"))
                    .and_then(Value::as_str)
                    .map(|text| format!("`{name}` is: {}", text.lines().next().unwrap_or(text)));
                self.report(origin, format!("the key `{name}` is missing"), hint);
            }
        }
        for entry in &table.entries {
            self.path.push(entry.key.clone());
            if let Some(Value::Object(schema)) = schema.get("propertyNames") {
                self.pattern(schema, &entry.key, &entry.key_origin);
            }
            let property = properties.and_then(|properties| properties.get(&entry.key));
            let property = property.or_else(|| self.by_pattern(schema, &entry.key));
            match (property, schema.get("additionalProperties")) {
                (Some(property), _) => self.value(property, &entry.value),
                (None, Some(Value::Bool(false))) => {
                    let hint = hinted(self.found.len(), || about_unknown(properties, table, entry));
                    self.unknown(&entry.key, &entry.key_origin, hint);
                }
                (None, Some(rest)) => self.value(rest, &entry.value),
                (None, None) => {}
            }
            self.path.pop();
        }
    }

    /// The schema of a key whose pattern it fits.
    fn by_pattern(&self, schema: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
        let by_pattern = schema.get("patternProperties")?.as_object()?;
        let fits = |pattern: &'a str| {
            let mut compiled = self.patterns.0.borrow_mut();
            let compiled = compiled
                .entry(pattern)
                .or_insert_with(|| Regex::new(pattern).ok());
            compiled.as_ref().is_some_and(|regex| regex.is_match(key))
        };
        by_pattern
            .iter()
            .find_map(|(pattern, schema)| fits(pattern).then_some(schema))
    }

    fn unknown(&mut self, key: &str, origin: &Origin, hint: Option<String>) {
        let parent = dotted(&self.path[..self.path.len() - 1]);
        let message = if parent.is_empty() {
            format!("unknown key `{key}`")
        } else {
            format!("unknown key `{key}` in `{parent}`")
        };
        self.found.push(Diagnostic {
            path: self.path.clone(),
            ..Diagnostic::at(origin, message).hint(hint)
        });
    }

    /// A checker for trying a branch.
    pub(super) fn trial(&self) -> Self {
        Self {
            root: self.root,
            path: self.path.clone(),
            patterns: self.patterns,
            found: Vec::new(),
        }
    }
}

/// What was meant by a key that a table does not take.
fn about_unknown(
    properties: Option<&Map<String, Value>>,
    table: &Table,
    entry: &Entry,
) -> Option<String> {
    let known = || {
        properties
            .into_iter()
            .flat_map(Map::keys)
            .map(String::as_str)
    };
    // A second spelling of a value that is there; a table may have been meant to go on.
    let twin = nearest(&entry.key, known())
        .and_then(|name| table.get(name))
        .filter(|twin| twin.value.as_table().is_none() && !entry.key_origin.source.is_argument());
    match twin {
        Some(twin) => Some(format!(
            "`{}` is there already; remove one of them",
            twin.key
        )),
        None => suggest(&entry.key, known(), "keys that it takes"),
    }
}

/// The values that `const` or `enum` allow; empty for all.
pub(super) fn accepted(schema: &Map<String, Value>) -> Vec<&Value> {
    match (schema.get("const"), schema.get("enum")) {
        (Some(value), _) => vec![value],
        (None, Some(Value::Array(values))) => values.iter().collect(),
        _ => Vec::new(),
    }
}

/// A string or an array of strings.
pub(super) fn names(value: &Value) -> impl Iterator<Item = &str> {
    let many = value.as_array().map_or(&[][..], Vec::as_slice);
    value
        .as_str()
        .into_iter()
        .chain(many.iter().filter_map(Value::as_str))
}
