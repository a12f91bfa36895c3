//! What an editor makes of a JSON Schema: draft 2020-12 to the letter, for the keywords that ours uses. Our own check
//! reads TOML, takes the branch that was meant, and sees manifests only when they are merged, so it cannot tell.
//! (The crates that validate build `syn` with another feature, and with it everything once more for tests.)

use regex::Regex;
use serde_json::Value;

/// Keywords that say nothing about whether a value is valid.
const NOTES: [&str; 6] = [
    "$schema",
    "$defs",
    "title",
    "description",
    "default",
    "format",
];

/// Why `value` is not valid under `schema`, if it is not; `root` is where references lead.
pub(crate) fn fault(root: &Value, schema: &Value, value: &Value) -> Option<String> {
    let Value::Object(keywords) = schema else {
        return (schema == &Value::Bool(false)).then(|| format!("nothing may stand here: {value}"));
    };
    let at = |schema: &Value, value: &Value| fault(root, schema, value);
    let fits = |schema: &Value| at(schema, value).is_none();
    let wrong = |keyword: &str| Some(format!("`{keyword}` does not hold of {value}"));
    let empty = serde_json::Map::new();
    let fields = |keyword: &str| {
        keywords
            .get(keyword)
            .and_then(Value::as_object)
            .unwrap_or(&empty)
    };
    for (keyword, wanted) in keywords {
        let list = wanted.as_array().map_or(&[][..], Vec::as_slice);
        let found = match (keyword.as_str(), value) {
            (note, _) if NOTES.contains(&note) => None,
            ("$ref", _) => {
                let place = wanted.as_str().unwrap().strip_prefix('#').unwrap();
                at(
                    root.pointer(place).expect("references lead somewhere"),
                    value,
                )
            }
            ("type", _) => {
                let names = wanted
                    .as_str()
                    .into_iter()
                    .chain(list.iter().filter_map(Value::as_str));
                let is = |name: &str| match name {
                    "object" => value.is_object(),
                    "array" => value.is_array(),
                    "string" => value.is_string(),
                    "boolean" => value.is_boolean(),
                    "number" => value.is_number(),
                    "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
                    other => panic!("the type {other}"),
                };
                if names.into_iter().any(is) {
                    None
                } else {
                    wrong(keyword)
                }
            }
            ("const", _) if wanted != value => wrong(keyword),
            ("enum", _) if !list.contains(value) => wrong(keyword),
            ("minimum", Value::Number(n)) if n.as_f64() < wanted.as_f64() => wrong(keyword),
            ("maximum", Value::Number(n)) if n.as_f64() > wanted.as_f64() => wrong(keyword),
            ("exclusiveMinimum", Value::Number(n)) if n.as_f64() <= wanted.as_f64() => {
                wrong(keyword)
            }
            ("minLength", Value::String(text))
                if (text.chars().count() as u64) < wanted.as_u64().unwrap() =>
            {
                wrong(keyword)
            }
            ("pattern", Value::String(text)) => {
                let pattern = Regex::new(wanted.as_str().unwrap()).unwrap();
                if pattern.is_match(text) {
                    None
                } else {
                    wrong(keyword)
                }
            }
            ("minItems", Value::Array(items))
                if (items.len() as u64) < wanted.as_u64().unwrap() =>
            {
                wrong(keyword)
            }
            ("maxItems", Value::Array(items)) if items.len() as u64 > wanted.as_u64().unwrap() => {
                wrong(keyword)
            }
            ("prefixItems", Value::Array(items)) => list
                .iter()
                .zip(items)
                .find_map(|(schema, item)| at(schema, item)),
            ("items", Value::Array(items)) => {
                let prefix = keywords
                    .get("prefixItems")
                    .and_then(Value::as_array)
                    .map_or(0, Vec::len);
                items.iter().skip(prefix).find_map(|item| at(wanted, item))
            }
            ("required", Value::Object(object)) => {
                let mut names = list.iter().filter_map(Value::as_str);
                names
                    .find(|name| !object.contains_key(*name))
                    .map(|name| format!("`{name}` is missing in {value}"))
            }
            ("properties", Value::Object(object)) => fields("properties")
                .iter()
                .find_map(|(name, schema)| at(schema, object.get(name)?)),
            ("patternProperties", Value::Object(object)) => {
                fields(keyword).iter().find_map(|(pattern, schema)| {
                    let pattern = Regex::new(pattern).unwrap();
                    let mut named = object.iter().filter(|(name, _)| pattern.is_match(name));
                    named.find_map(|(_, value)| at(schema, value))
                })
            }
            ("additionalProperties", Value::Object(object)) => object
                .iter()
                .filter(|(name, _)| {
                    let mut patterns = fields("patternProperties").keys();
                    !fields("properties").contains_key(*name)
                        && !patterns.any(|pattern| Regex::new(pattern).unwrap().is_match(name))
                })
                .find_map(|(name, value)| Some(format!("`{name}`: {}", at(wanted, value)?))),
            ("propertyNames", Value::Object(object)) => object
                .keys()
                .find_map(|name| at(wanted, &Value::from(name.as_str()))),
            ("allOf", _) => list.iter().find_map(|schema| at(schema, value)),
            ("anyOf", _) if !list.iter().any(fits) => wrong(keyword),
            ("oneOf", _) if list.iter().filter(|schema| fits(schema)).count() != 1 => {
                wrong(keyword)
            }
            ("not", _) if fits(wanted) => wrong(keyword),
            ("if", _) => {
                let branch = if fits(wanted) { "then" } else { "else" };
                keywords.get(branch).and_then(|schema| at(schema, value))
            }
            (
                "const"
                | "enum"
                | "minimum"
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
                | "propertyNames"
                | "anyOf"
                | "oneOf"
                | "not"
                | "then"
                | "else",
                _,
            ) => None,
            (other, _) => panic!("the keyword `{other}` is not known here"),
        };
        if found.is_some() {
            return found;
        }
    }
    None
}
