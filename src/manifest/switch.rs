//! Alternatives as validators tell them best: first which one is meant, then what is wrong with it.
//!
//! In: a schema with `oneOf` and `anyOf`, as [`super::schema()`] writes them. Out: one that allows the same, where what
//! tells alternatives apart, a tag or the type, chooses one by `if` and `then`; so a typo is told at its key. Of a plain `oneOf`
//! validators say at the table, and taplo on each of its lines, that it is none of the alternatives.
//!
//! Editors look for completions below `anyOf`, not below `then`. So the alternatives stand there a second time, behind a `true`
//! that makes that `anyOf` hold of everything.

use serde_json::{Map, Value, json};

/// Keywords whose value is a schema.
const ONE: [&str; 4] = ["additionalProperties", "items", "propertyNames", "not"];
/// Keywords whose value is a list of schemas.
const LISTS: [&str; 4] = ["oneOf", "anyOf", "allOf", "prefixItems"];
/// Keywords whose value is schemas by name.
const NAMED: [&str; 2] = ["properties", "patternProperties"];

/// The schema with every choice told first; `schema` is a whole one, with its definitions.
pub(super) fn switched(mut schema: Value) -> Value {
    let definitions = schema.get_mut("$defs").map(Value::take);
    let Some(Value::Object(definitions)) = definitions else {
        return schema;
    };
    let mut switch = Switch {
        written: definitions.clone(),
        read: definitions,
    };
    for name in switch.read.keys().cloned().collect::<Vec<_>>() {
        let mut definition = switch.read[&name].clone();
        switch.schema(&mut definition, &name);
        switch.written.insert(name, definition);
    }
    switch.schema(&mut schema, "manifest");
    schema["$defs"] = Value::Object(switch.written);
    schema
}

struct Switch {
    /// The definitions as they were: what tells alternatives apart is read here.
    read: Map<String, Value>,
    written: Map<String, Value>,
}

impl Switch {
    /// Switches a schema and all below it; `name` is the definition that it is in.
    fn schema(&mut self, schema: &mut Value, name: &str) {
        let Value::Object(keywords) = schema else {
            return;
        };
        for (keyword, value) in keywords.iter_mut() {
            let keyword = keyword.as_str();
            match value {
                // Of `false` validators say at the table that it has too much, and taplo says so on each of its lines.
                Value::Bool(false) if keyword == "additionalProperties" => {
                    *value = unknown_key();
                }
                value if ONE.contains(&keyword) => self.schema(value, name),
                Value::Array(list) if LISTS.contains(&keyword) => {
                    for each in list {
                        self.schema(each, name);
                    }
                }
                Value::Object(named) if NAMED.contains(&keyword) => {
                    for each in named.values_mut() {
                        self.schema(each, name);
                    }
                }
                _ => {}
            }
        }
        for keyword in ["oneOf", "anyOf"] {
            let Some(Value::Array(branches)) = keywords.get(keyword) else {
                continue;
            };
            let branches = branches.clone();
            let chosen = (words(&branches))
                .or_else(|| patterns(&branches))
                .or_else(|| self.by_tag(&branches, name))
                .or_else(|| self.by_type(&branches, name));
            if let Some(chosen) = chosen {
                keywords.shift_remove(keyword);
                keywords.extend(chosen);
            }
        }
    }

    /// Tables, each with another constant under one key. In a part of a manifest that key may be left out: then any field of
    /// any of them passes.
    fn by_tag(&mut self, branches: &[Value], name: &str) -> Option<Map<String, Value>> {
        let tables: Vec<Map<String, Value>> = branches
            .iter()
            .map(|branch| self.resolved(branch).as_object().cloned())
            .collect::<Option<_>>()?;
        let tag = tag(&tables)?.to_owned();
        let values: Vec<&Value> = tables
            .iter()
            .map(|table| &table["properties"][&tag]["const"])
            .collect();
        let requires = |table: &Map<String, Value>| {
            let required = table.get("required").and_then(Value::as_array);
            required.is_some_and(|names| names.iter().any(|name| *name == tag.as_str()))
        };
        let branches: Vec<Value> = (branches.iter().zip(&values))
            .map(|(branch, value)| self.named(branch, name, value))
            .collect();
        let cases = (branches.iter().zip(&values)).map(|(branch, value)| {
            json!({"if": {"properties": {&tag: {"const": value}}, "required": [tag]}, "then": branch})
        });
        let by_tag: Value = cases.collect();
        let mut chosen = Map::new();
        chosen.insert("properties".to_owned(), json!({&tag: {"enum": values}}));
        if tables.iter().all(requires) {
            chosen.insert("required".to_owned(), json!([tag]));
            chosen.insert("allOf".to_owned(), by_tag);
        } else {
            let mut any = any_of(&tables, &tag);
            self.schema(&mut any, name);
            chosen.insert("if".to_owned(), json!({"required": [tag]}));
            chosen.insert("then".to_owned(), json!({"allOf": by_tag}));
            chosen.insert("else".to_owned(), any);
        }
        chosen.insert("anyOf".to_owned(), for_editors(branches));
        Some(chosen)
    }

    /// Alternatives of which no two allow a value of one type.
    fn by_type(&mut self, branches: &[Value], name: &str) -> Option<Map<String, Value>> {
        let types: Vec<Vec<&str>> = branches
            .iter()
            .map(|branch| types(self.resolved(branch)))
            .collect::<Option<_>>()?;
        let mut all = types.concat();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        let numbers = ["integer", "number"].iter().all(|name| all.contains(name));
        if all.len() < count || branches.len() < 2 || numbers {
            return None;
        }
        let types: Vec<Value> = types.into_iter().map(|names| json!(names)).collect();
        let all = json!(all);
        let branches: Vec<Value> = (branches.iter().zip(&types))
            .map(|(branch, names)| self.named(branch, name, &names[0]))
            .collect();
        let cases = (branches.iter().zip(types))
            .map(|(branch, names)| json!({"if": {"type": names}, "then": branch}));
        let mut chosen = Map::new();
        chosen.insert("allOf".to_owned(), cases.collect());
        chosen.insert("type".to_owned(), all);
        chosen.insert("anyOf".to_owned(), for_editors(branches));
        Some(chosen)
    }

    /// A reference to a branch that is long, so that it is written once; else the branch.
    fn named(&mut self, branch: &Value, name: &str, what: &Value) -> Value {
        let long = ["properties", "allOf"]
            .iter()
            .any(|k| branch.get(k).is_some());
        if !long {
            return branch.clone();
        }
        let name = format!("{name}-{}", what.as_str().unwrap_or_default());
        let reference = json!({"$ref": format!("#/$defs/{name}")});
        self.written.insert(name, branch.clone());
        reference
    }

    /// What a reference leads to, as it was.
    fn resolved<'v>(&'v self, branch: &'v Value) -> &'v Value {
        let mut branch = branch;
        // A chain of references longer than this is a loop.
        for _ in 0..16 {
            let reference = branch.get("$ref").and_then(Value::as_str);
            let name = reference.and_then(|place| place.strip_prefix("#/$defs/"));
            match name.and_then(|name| self.read.get(name)) {
                Some(target) => branch = target,
                None => break,
            }
        }
        branch
    }
}

/// Constants: one list, which a validator prints when the value is none of them.
fn words(branches: &[Value]) -> Option<Map<String, Value>> {
    let values: Vec<&Value> = (branches.iter())
        .map(|branch| branch.get("const"))
        .collect::<Option<_>>()?;
    let mut chosen = Map::new();
    chosen.insert("enum".to_owned(), json!(values));
    chosen.insert("anyOf".to_owned(), for_editors(branches.to_vec()));
    Some(chosen)
}

/// Constants and patterns: one pattern, which a validator prints too.
fn patterns(branches: &[Value]) -> Option<Map<String, Value>> {
    let plain = |word: &&str| {
        word.chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_@".contains(c))
    };
    let (mut words, mut patterns) = (Vec::new(), Vec::new());
    for branch in branches {
        match (branch.get("const"), branch.get("pattern")) {
            (Some(word), None) => words.push(word.as_str().filter(plain)?),
            (None, Some(pattern)) if branch.get("type") == Some(&json!("string")) => {
                patterns.push(pattern.as_str()?);
            }
            _ => return None,
        }
    }
    let words = (!words.is_empty()).then(|| format!("^(?:{})$", words.join("|")))?;
    patterns.insert(0, &words);
    let mut chosen = Map::new();
    chosen.insert("type".to_owned(), json!("string"));
    chosen.insert("pattern".to_owned(), json!(patterns.join("|")));
    chosen.insert("anyOf".to_owned(), for_editors(branches.to_vec()));
    Some(chosen)
}

/// Alternatives that hold of everything and are only looked through.
fn for_editors(branches: Vec<Value>) -> Value {
    std::iter::once(Value::Bool(true)).chain(branches).collect()
}

/// The key under which every table has a constant.
fn tag(tables: &[Map<String, Value>]) -> Option<&str> {
    let constant = |table: &Map<String, Value>, key: &str| {
        let property = table.get("properties").and_then(|all| all.get(key));
        property
            .and_then(|property| property.get("const"))
            .is_some()
    };
    let mut keys = tables.first()?.get("properties")?.as_object()?.keys();
    let found = keys.find(|key| tables.iter().all(|table| constant(table, key)));
    found.map(String::as_str)
}

/// A table that has any field of any of `tables` but their tag.
fn any_of(tables: &[Map<String, Value>], tag: &str) -> Value {
    let mut fields: Map<String, Value> = Map::new();
    let properties = tables
        .iter()
        .filter_map(|table| table["properties"].as_object());
    for (key, field) in properties.flatten().filter(|(key, _)| *key != tag) {
        let mut field = field.clone();
        // Each kind has its own words and defaults, and editors read them there.
        if let Value::Object(keywords) = &mut field {
            keywords.shift_remove("description");
            keywords.shift_remove("default");
        }
        let forms = fields.entry(key.clone()).or_insert_with(|| json!([]));
        if let Value::Array(forms) = forms
            && !forms.contains(&field)
        {
            forms.push(field);
        }
    }
    for field in fields.values_mut() {
        *field = match field.take() {
            Value::Array(mut forms) if forms.len() == 1 => forms.remove(0),
            forms => json!({"anyOf": forms}),
        };
    }
    let open = |table: &Map<String, Value>| {
        let others = table.get("additionalProperties");
        others.is_none_or(|others| *others != Value::Bool(false) && *others != unknown_key())
    };
    json!({"properties": fields, "additionalProperties": tables.iter().any(open)})
}

/// The schema of a value whose key is not known: nothing fits.
fn unknown_key() -> Value {
    json!({"not": {"description": "an unknown key"}})
}

/// The types of value that a schema allows, as far as it says.
fn types(schema: &Value) -> Option<Vec<&str>> {
    if let Some(value) = schema.get("const") {
        return Some(vec![type_of(value)]);
    }
    match schema.get("type")? {
        Value::String(name) => Some(vec![name]),
        Value::Array(names) => names.iter().map(Value::as_str).collect(),
        _ => None,
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The schema of `of`, which may refer to what else is defined.
    fn one(of: &Value, definitions: Value) -> (Value, Value) {
        let mut definitions = definitions;
        definitions["It"] = of.clone();
        let all = switched(json!({"$ref": "#/$defs/It", "$defs": definitions}));
        (all["$defs"]["It"].clone(), all["$defs"].clone())
    }

    #[test]
    fn words_are_one_list() {
        let (it, _) = one(
            &json!({"oneOf": [{"const": "a"}, {"const": "b"}]}),
            json!({}),
        );
        let expected = json!({"enum": ["a", "b"], "anyOf": [true, {"const": "a"}, {"const": "b"}]});
        assert_eq!(it, expected);
    }

    #[test]
    fn types_that_differ_choose() {
        let text = json!({"type": "string"});
        let list = json!({"type": "array", "items": text});
        let (it, _) = one(&json!({"anyOf": [text, list]}), json!({}));
        let expected = json!({
            "allOf": [
                {"if": {"type": ["string"]}, "then": text},
                {"if": {"type": ["array"]}, "then": list},
            ],
            "type": ["array", "string"],
            "anyOf": [true, text, list],
        });
        assert_eq!(it, expected);
        // Both are strings: nothing tells which one was meant.
        let same = json!({"anyOf": [{"const": "all"}, {"type": "string"}]});
        assert_eq!(one(&same, json!({})).0, same);
        let (it, _) = one(
            &json!({"oneOf": [{"const": "all"}, {"type": "string", "pattern": "^x$"}]}),
            json!({}),
        );
        assert_eq!(it["pattern"], json!("^(?:all)$|^x$"));
    }

    #[test]
    fn tags_choose_and_a_part_may_leave_them_out() {
        let table = |tag: &str, field: Value, required: &[&str]| {
            json!({
                "type": "object",
                "properties": {"kind": {"const": tag}, "n": field, tag: {"type": "boolean"}},
                "required": required,
                "additionalProperties": false,
            })
        };
        let (number, text) = (json!({"type": "number"}), json!({"type": "string"}));
        let whole = json!({"oneOf": [{"$ref": "#/$defs/a"}, table("b", text.clone(), &["kind"])]});
        let (it, all) = one(
            &whole,
            json!({"a": table("a", number.clone(), &["kind", "n"])}),
        );
        assert_eq!(it["required"], json!(["kind"]));
        assert_eq!(it["properties"], json!({"kind": {"enum": ["a", "b"]}}));
        let case = json!({"properties": {"kind": {"const": "b"}}, "required": ["kind"]});
        assert_eq!(
            it["allOf"][1],
            json!({"if": case, "then": {"$ref": "#/$defs/It-b"}})
        );
        let mut second = table("b", text.clone(), &["kind"]);
        second["additionalProperties"] = unknown_key();
        assert_eq!(all["It-b"], second);

        let part =
            json!({"anyOf": [table("a", number.clone(), &[]), table("b", text.clone(), &[])]});
        let (it, _) = one(&part, json!({}));
        assert_eq!(
            (&it["if"], it.get("required")),
            (&json!({"required": ["kind"]}), None)
        );
        let names: Vec<&String> = it["else"]["properties"]
            .as_object()
            .unwrap()
            .keys()
            .collect();
        assert_eq!(names, ["n", "a", "b"]);
        assert_eq!(
            it["else"]["properties"]["n"]["type"],
            json!(["number", "string"])
        );
        assert_eq!(
            it["else"]["additionalProperties"],
            second["additionalProperties"]
        );
    }
}
