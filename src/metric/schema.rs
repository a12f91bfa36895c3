//! What a JSON Schema says of metrics: their names, and those of every `k` by a pattern.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use super::Metric;
use super::definition::{MOST_ANSWERS, OF_K};

impl Metric {
    /// What a JSON Schema accepts as its name, or as that of any `k`.
    pub(crate) fn name_schema(self, description: &str) -> Value {
        match self.k() {
            None => json!({ "type": "string", "const": self.name(), "description": description }),
            Some(_) => {
                json!({ "type": "string", "pattern": Self::pattern_of_k(), "description": description })
            }
        }
    }

    /// Its title with its unit, whatever its `k`.
    pub(crate) fn schema_label(self) -> String {
        format!("{} ({}).", self.listed_title(), self.unit().sign())
    }

    /// The names of a metric of any `k`, as a regular expression.
    pub(crate) fn pattern_of_k() -> String {
        format!("^{OF_K}([1-9][0-9]{{0,2}}|{MOST_ANSWERS})$")
    }
}

impl JsonSchema for Metric {
    fn schema_name() -> Cow<'static, str> {
        "Metric".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let each: Vec<Schema> = Self::all()
            .filter_map(|each| Schema::try_from(each.name_schema(each.doc())).ok())
            .collect();
        json_schema!({ "oneOf": each, "description": "A column of a table: one figure of an evaluation." })
    }
}
