//! Schemas of parts: a manifest that `extends` another says of a stage only what it changes, and defaults of a kind
//! only what stages shall have in common.
//!
//! In: a schema of something whole. Out: the schema of a part of it, in which no key is required. Tables merge key by
//! key, so tables within it are parts too; arrays are replaced, so what is in an array is whole.

use serde_json::{Map, Value};

/// What the name of a part's definition ends in.
const PART: &str = "-in-part";

/// Definitions, to which those of parts are added.
pub(super) struct Parts<'d> {
    pub(super) definitions: &'d mut Map<String, Value>,
}

impl Parts<'_> {
    /// The schema of a part of what `whole` is the schema of.
    pub(super) fn of(&mut self, whole: &Value) -> Value {
        let Value::Object(whole) = whole else {
            return whole.clone();
        };
        let mut part = Map::new();
        for (keyword, value) in whole {
            let (keyword, value) = match (keyword.as_str(), value) {
                ("required", _) => continue,
                ("$ref", Value::String(reference)) => ("$ref", self.reference(reference)),
                ("properties", Value::Object(each)) => {
                    let each = each
                        .iter()
                        .map(|(key, value)| (key.clone(), self.of(value)));
                    ("properties", Value::Object(each.collect()))
                }
                ("additionalProperties", value) => ("additionalProperties", self.of(value)),
                // Without the key that tells them apart, a part may be of several.
                ("oneOf", Value::Array(branches)) if !branches.iter().any(is_constant) => {
                    ("anyOf", branches.iter().map(|each| self.of(each)).collect())
                }
                ("anyOf" | "allOf", Value::Array(branches)) => (
                    keyword.as_str(),
                    branches.iter().map(|each| self.of(each)).collect(),
                ),
                (other, value) => (other, value.clone()),
            };
            part.insert(keyword.to_owned(), value);
        }
        Value::Object(part)
    }

    /// A reference to the part of a definition, or to the definition where its parts are like the whole.
    fn reference(&mut self, reference: &str) -> Value {
        let Some(name) = reference.strip_prefix("#/$defs/") else {
            return reference.into();
        };
        let in_part = format!("{name}{PART}");
        if !self.definitions.contains_key(&in_part) {
            let Some(whole) = self.definitions.get(name).cloned() else {
                return reference.into();
            };
            let part = self.of(&whole);
            if part == whole {
                return reference.into();
            }
            self.definitions.insert(in_part.clone(), part);
        }
        format!("#/$defs/{in_part}").into()
    }
}

/// Whether a branch is one word.
fn is_constant(branch: &Value) -> bool {
    branch.get("const").is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_part_requires_nothing_but_within_arrays() {
        let limit = json!({"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]});
        let word = json!({"oneOf": [{"const": "a"}, {"const": "b"}]});
        let Value::Object(mut definitions) = json!({"Limit": limit, "Word": word}) else {
            unreachable!("an object was written")
        };
        let whole = json!({
            "type": "object",
            "properties": {
                "limit": {"$ref": "#/$defs/Limit"},
                "word": {"$ref": "#/$defs/Word"},
                "limits": {"type": "array", "items": {"$ref": "#/$defs/Limit"}},
            },
            "required": ["limit"],
            "additionalProperties": false,
        });
        let part = Parts {
            definitions: &mut definitions,
        }
        .of(&whole);
        assert_eq!(
            part,
            json!({
                "type": "object",
                "properties": {
                    "limit": {"$ref": "#/$defs/Limit-in-part"},
                    "word": {"$ref": "#/$defs/Word"},
                    "limits": {"type": "array", "items": {"$ref": "#/$defs/Limit"}},
                },
                "additionalProperties": false,
            })
        );
        assert_eq!(
            definitions["Limit-in-part"],
            json!({"type": "object", "properties": {"name": {"type": "string"}}})
        );
        assert!(!definitions.contains_key("Word-in-part"));
    }
}
