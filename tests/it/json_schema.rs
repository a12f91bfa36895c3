//! What an editor makes of a JSON Schema: draft 2020-12 to the letter, for the keywords that ours uses, with the place of each
//! fault. Our own check reads TOML, takes the branch that was meant, and sees manifests only when they are merged, so it cannot
//! tell. (The crates that validate build `syn` with another feature, and with it everything once more for tests; what check-jsonschema
//! and taplo say is `scripts/check-schema`'s to hold.)

use regex::Regex;
use serde_json::{Map, Value};

/// Keywords that say nothing about whether a value is valid, and those that another reads.
const NOTES: [&str; 8] = [
    "$schema",
    "$defs",
    "title",
    "description",
    "default",
    "format",
    "then",
    "else",
];

/// Something that is not valid.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Fault {
    /// Where: the keys on the way to it, with dots between them.
    pub(crate) place: String,
    /// Why.
    pub(crate) what: String,
}

/// All that is not valid in `value` under the schema `root`.
pub(crate) fn faults(root: &Value, value: &Value) -> Vec<Fault> {
    let mut walk = Walk {
        root,
        place: Vec::new(),
        found: Vec::new(),
    };
    walk.schema(root, value);
    walk.found
}

struct Walk<'a> {
    /// Where references lead.
    root: &'a Value,
    place: Vec<String>,
    found: Vec<Fault>,
}

impl<'a> Walk<'a> {
    fn schema(&mut self, schema: &'a Value, value: &Value) {
        match schema {
            Value::Bool(true) => {}
            Value::Bool(false) => self.fault("nothing may stand here".to_owned()),
            Value::Object(keywords) => {
                for (keyword, wanted) in keywords {
                    self.keyword(keywords, keyword, wanted, value);
                }
            }
            other => panic!("no schema: {other}"),
        }
    }

    fn fault(&mut self, what: String) {
        let place = self.place.join(".");
        self.found.push(Fault { place, what });
    }

    fn below(&mut self, key: &str, schema: &'a Value, value: &Value) {
        self.place.push(key.to_owned());
        self.schema(schema, value);
        self.place.pop();
    }

    fn fits(&self, schema: &'a Value, value: &Value) -> bool {
        let mut walk = Walk {
            root: self.root,
            place: Vec::new(),
            found: Vec::new(),
        };
        walk.schema(schema, value);
        walk.found.is_empty()
    }

    fn keyword(
        &mut self,
        keywords: &'a Map<String, Value>,
        keyword: &str,
        wanted: &'a Value,
        value: &Value,
    ) {
        let list = wanted.as_array().map_or(&[][..], Vec::as_slice);
        let holds = match (keyword, value) {
            (note, _) if NOTES.contains(&note) => true,
            ("$ref", _) => {
                let place = wanted.as_str().unwrap().strip_prefix('#').unwrap();
                let target = self.root.pointer(place);
                self.schema(target.expect("references lead somewhere"), value);
                true
            }
            ("allOf", _) => {
                for each in list {
                    self.schema(each, value);
                }
                true
            }
            ("if", _) => {
                let branch = if self.fits(wanted, value) {
                    "then"
                } else {
                    "else"
                };
                if let Some(schema) = keywords.get(branch) {
                    self.schema(schema, value);
                }
                true
            }
            ("anyOf", _) => list.iter().any(|each| self.fits(each, value)),
            ("oneOf", _) => list.iter().filter(|each| self.fits(each, value)).count() == 1,
            ("not", _) => !self.fits(wanted, value),
            ("type", _) => {
                let mut names =
                    (wanted.as_str().into_iter()).chain(list.iter().filter_map(Value::as_str));
                names.any(|name| is(name, value))
            }
            ("const", _) => wanted == value,
            ("enum", _) => list.contains(value),
            ("minimum", Value::Number(n)) => n.as_f64() >= wanted.as_f64(),
            ("maximum", Value::Number(n)) => n.as_f64() <= wanted.as_f64(),
            ("exclusiveMinimum", Value::Number(n)) => n.as_f64() > wanted.as_f64(),
            ("minLength", Value::String(text)) => {
                text.chars().count() as u64 >= wanted.as_u64().unwrap()
            }
            ("pattern", Value::String(text)) => {
                Regex::new(wanted.as_str().unwrap()).unwrap().is_match(text)
            }
            ("minItems", Value::Array(items)) => items.len() as u64 >= wanted.as_u64().unwrap(),
            ("maxItems", Value::Array(items)) => items.len() as u64 <= wanted.as_u64().unwrap(),
            ("prefixItems" | "items", Value::Array(items)) => {
                self.items(keywords, keyword, wanted, items);
                true
            }
            ("required", Value::Object(object)) => {
                let mut names = list.iter().filter_map(Value::as_str);
                names.all(|name| object.contains_key(name))
            }
            (
                "properties" | "patternProperties" | "additionalProperties" | "propertyNames",
                Value::Object(object),
            ) => {
                self.keys(keywords, keyword, wanted, object);
                true
            }
            (
                "minimum"
                | "maximum"
                | "exclusiveMinimum"
                | "minLength"
                | "pattern"
                | "minItems"
                | "maxItems"
                | "prefixItems"
                | "items"
                | "required"
                | "properties"
                | "patternProperties"
                | "additionalProperties"
                | "propertyNames",
                _,
            ) => true,
            (other, _) => panic!("the keyword `{other}` is not known here"),
        };
        if !holds {
            self.fault(format!("`{keyword}` ({wanted}) does not hold of {value}"));
        }
    }

    fn items(
        &mut self,
        keywords: &'a Map<String, Value>,
        keyword: &str,
        wanted: &'a Value,
        items: &[Value],
    ) {
        if let ("prefixItems", Value::Array(schemas)) = (keyword, wanted) {
            for (place, (schema, item)) in schemas.iter().zip(items).enumerate() {
                self.below(&place.to_string(), schema, item);
            }
            return;
        }
        let prefix = keywords.get("prefixItems").and_then(Value::as_array);
        for (place, item) in items.iter().enumerate().skip(prefix.map_or(0, Vec::len)) {
            self.below(&place.to_string(), wanted, item);
        }
    }

    fn keys(
        &mut self,
        keywords: &'a Map<String, Value>,
        keyword: &str,
        wanted: &'a Value,
        object: &Map<String, Value>,
    ) {
        let fits = |pattern: &str, key: &str| Regex::new(pattern).unwrap().is_match(key);
        let has = |name: &str, known: &dyn Fn(&str) -> bool| {
            let named = keywords.get(name).and_then(Value::as_object);
            named.is_some_and(|named| named.keys().any(|each| known(each)))
        };
        for (key, value) in object {
            match keyword {
                "propertyNames" => self.below(key, wanted, &Value::from(key.as_str())),
                "properties" => {
                    if let Some(schema) = wanted.get(key) {
                        self.below(key, schema, value);
                    }
                }
                "patternProperties" => {
                    for (pattern, schema) in wanted.as_object().unwrap() {
                        if fits(pattern, key) {
                            self.below(key, schema, value);
                        }
                    }
                }
                _ => {
                    let known = has("properties", &|name| name == key)
                        || has("patternProperties", &|pattern| fits(pattern, key));
                    if !known {
                        self.below(key, wanted, value);
                    }
                }
            }
        }
    }
}

fn is(name: &str, value: &Value) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        other => panic!("the type {other}"),
    }
}
