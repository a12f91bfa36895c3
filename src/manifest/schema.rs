//! The JSON Schema of a manifest (draft 2020-12): the single source of truth for what may stand
//! in one.
//!
//! In: the stage kinds. Out: the schema of a whole manifest, by which `check` validates, and made from it that of one
//! file, by which editors complete: a file that `extends` another is a part of a manifest. Each stage is `oneOf` the
//! kinds, told apart by the constant `kind` (for editors by `if` and `then`: see `switch`); a kind's parameters and ports lie flat
//! beside it. Documentation comments become descriptions.

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::figure::FigureSection;
use super::part::Parts;
use super::section::RootSection;
use super::sugar::{SUGAR, UNION};
use super::switch::switched;
use super::table::TableSection;
use crate::artifact::ArtifactKind;
use crate::stage::{Port, Stage};

/// `STAGE` or `STAGE.OUTPUT`.
const REFERENCE: &str = r"^[A-Za-z][A-Za-z0-9_-]*(\.[A-Za-z][A-Za-z0-9_-]*)?$";
/// A stage's name; without dots, so that references are unambiguous.
const NAME: &str = "^[A-Za-z][A-Za-z0-9_-]*$";

/// The schema of a whole manifest over `kinds`, those that it extends laid below it.
pub fn schema(kinds: &[&'static dyn Stage]) -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let root = generator.root_schema_for::<RootSection>().to_value();
    let table = generator.subschema_for::<TableSection>().to_value();
    let figure = generator.subschema_for::<FigureSection>().to_value();

    let unions = kinds.iter().any(|kind| kind.name() == UNION);
    let mut stage_defs = Map::new();
    for kind in kinds {
        let name = kind.name();
        let schema = stage_schema(*kind, unions, &mut generator);
        stage_defs.insert(format!("stage-{name}"), schema);
    }
    let mut defs = generator.take_definitions(true);
    let mut properties = match root.get("properties") {
        Some(Value::Object(properties)) => properties.clone(),
        _ => Map::new(),
    };
    let mut defaults = Map::new();
    for kind in kinds {
        let name = kind.name();
        let full = &stage_defs[&format!("stage-{name}")];
        let mut parts = Parts {
            definitions: &mut defs,
        };
        defaults.insert(name.to_owned(), parts.of(&without_kind(full)));
        if let Some((section, _)) = SUGAR.iter().find(|(_, sugar)| *sugar == name) {
            properties.insert((*section).to_owned(), without_kind(full));
        }
    }
    let branches: Vec<Value> = kinds
        .iter()
        .map(|kind| json!({"$ref": format!("#/$defs/stage-{}", kind.name())}))
        .collect();
    let mut stage = json!({"type": "object", "description": "One node of the experiment."});
    if !branches.is_empty() {
        stage["oneOf"] = Value::Array(branches);
    }
    properties.insert(
        "defaults".to_owned(),
        json!({
            "description": "Defaults for every stage of a kind; a stage's own value wins.",
            "type": "object",
            "properties": defaults,
            "additionalProperties": false,
        }),
    );
    properties.insert(
        "stages".to_owned(),
        json!({
            "description": "The stages by name.",
            "type": "object",
            "propertyNames": {"pattern": NAME},
            "additionalProperties": stage,
        }),
    );
    properties.insert(
        "tables".to_owned(),
        json!({
            "description": "What is printed at the end, by name.",
            "type": "object",
            "additionalProperties": table,
        }),
    );
    properties.insert(
        "figures".to_owned(),
        json!({
            "description": "What `sert-run figure` and the report draw, by name.",
            "type": "object",
            "additionalProperties": figure,
        }),
    );

    defs.extend(stage_defs);
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "sert-run manifest",
        "description": "One experiment: a graph of stages and the tables that it prints.",
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
        "$defs": defs,
    });
    drop_null(&mut schema);
    schema
}

/// The schema of one file of a manifest: as [`schema`], but where the file `extends` another, each stage, table and
/// figure in it may be a part of one, and `false` in the place of a stage drops that of the other.
pub fn file_schema(kinds: &[&'static dyn Stage]) -> Value {
    let mut schema = schema(kinds);
    let stage = schema["properties"]["stages"]["additionalProperties"].take();
    schema["properties"]["stages"]["additionalProperties"] = reference("stage");
    let Some(Value::Object(mut definitions)) = schema.get_mut("$defs").map(Value::take) else {
        return schema;
    };
    definitions.insert("stage".to_owned(), stage);
    let whole = schema["properties"].clone();
    let (mut of_whole, mut of_part) = (Map::new(), Map::new());
    for (section, in_whole) in whole.as_object().into_iter().flatten() {
        let mut parts = Parts {
            definitions: &mut definitions,
        };
        let mut in_part = parts.of(in_whole);
        if SUGAR.iter().any(|(sugar, _)| sugar == section) {
            in_part = or_dropped(&in_part);
        } else if ["stages", "rounds"].contains(&section.as_str()) {
            in_part["additionalProperties"] = or_dropped(&in_part["additionalProperties"]);
        }
        if in_part == *in_whole {
            continue;
        }
        let names = [
            format!("section-{section}"),
            format!("section-{section}-in-part"),
        ];
        // Only here do editors look for what may stand in the section; see `switch`.
        let mut either = json!({"anyOf": [true, reference(&names[1])]});
        if let Some(description) = in_whole.get("description") {
            either["description"] = description.clone();
        }
        schema["properties"][section] = either;
        of_whole.insert(section.clone(), reference(&names[0]));
        of_part.insert(section.clone(), reference(&names[1]));
        definitions.extend(names.into_iter().zip([in_whole.clone(), in_part]));
    }
    schema["if"] = json!({"required": ["extends"]});
    schema["then"] = json!({"properties": of_part});
    schema["else"] = json!({"properties": of_whole});
    schema["$defs"] = Value::Object(definitions);
    switched(schema)
}

/// A stage, or `false` in its place.
fn or_dropped(part: &Value) -> Value {
    let dropped = json!({"const": false, "description": "Does without what the extended manifest has here, and with what reads it."});
    json!({"anyOf": [part, dropped]})
}

fn reference(definition: &str) -> Value {
    json!({"$ref": format!("#/$defs/{definition}")})
}

/// The schema of a file as it is kept for editors; the same text every time.
pub fn schema_text(kinds: &[&'static dyn Stage]) -> String {
    format!("{:#}\n", file_schema(kinds))
}

/// `unions`: whether several outputs may stand where one stage of paths is taken.
fn stage_schema(kind: &dyn Stage, unions: bool, generator: &mut SchemaGenerator) -> Value {
    let params = kind.schema(generator).to_value();
    let mut properties = Map::new();
    properties.insert(
        "kind".to_owned(),
        json!({"description": kind.doc(), "type": "string", "const": kind.name()}),
    );
    properties.insert(
        "seed".to_owned(),
        json!({
            "description": "The seed of this stage; the manifest's by default.",
            "type": "integer",
            "format": "uint64",
            "minimum": 0,
        }),
    );
    properties.insert(
        "when".to_owned(),
        json!({
            "description": "The stage is there only where fields of the manifest have these values: a table of a value, or a list of values, by the field's dotted path in quotes. For sweeps; in tables, rows that name a stage which is not there are holes.",
            "type": "object",
        }),
    );
    for port in kind.inputs() {
        properties.insert(port.name.to_owned(), port_schema(port, unions));
    }
    if let Some(Value::Object(own)) = params.get("properties") {
        properties.extend(own.clone());
    }
    let mut required = vec![Value::from("kind")];
    required.extend(
        kind.inputs()
            .iter()
            .filter(|port| !port.optional && port.default.is_none())
            .map(|port| Value::from(port.name)),
    );
    if let Some(Value::Array(own)) = params.get("required") {
        required.extend(own.iter().cloned());
    }
    json!({
        "title": kind.name(),
        "description": kind.doc(),
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn port_schema(port: &Port, unions: bool) -> Value {
    let mut schema = json!({
        "description": format!("Input ({}): {}", port.accepts, port.doc),
        "type": "string",
        "pattern": REFERENCE,
    });
    if port.many || unions && port.accepts == ArtifactKind::Paths {
        schema["type"] = json!(["string", "array"]);
        schema["items"] = json!({"type": "string", "pattern": REFERENCE});
        schema["minItems"] = Value::from(1);
    }
    if let Some(default) = port.default {
        schema["default"] = Value::from(default);
    }
    schema
}

/// A stage's schema where the section already tells its kind.
fn without_kind(full: &Value) -> Value {
    let mut schema = full.clone();
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        // `remove` would move the last key here, and the schema is committed as a text.
        properties.shift_remove("kind");
        properties.shift_remove("when");
    }
    if let Some(Value::Array(names)) = schema.get_mut("required") {
        names.retain(|name| name != "kind");
    }
    schema
}

/// Takes `null` out of types, alternatives and defaults: TOML has none, an optional key is absent.
fn drop_null(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(drop_null),
        Value::Object(keywords) => {
            if keywords.get("default").is_some_and(Value::is_null) {
                keywords.shift_remove("default");
            }
            if let Some(Value::Array(types)) = keywords.get_mut("type") {
                types.retain(|name| name != "null");
                if let [only] = types.as_slice() {
                    keywords["type"] = only.clone();
                }
            }
            if let Some(Value::Array(branches)) = keywords.get_mut("anyOf") {
                branches.retain(|branch| branch.get("type").is_none_or(|name| name != "null"));
                if branches.len() == 1
                    && let Some(Value::Object(only)) = branches.pop()
                {
                    keywords.shift_remove("anyOf");
                    for (keyword, value) in only {
                        keywords.entry(keyword).or_insert(value);
                    }
                }
            }
            keywords.values_mut().for_each(drop_null);
        }
        _ => {}
    }
}
