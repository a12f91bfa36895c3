//! What answer stands at the end of a training text that is made of a path.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What answer stands at the end of a training text that is made of a path. In a manifest `"gold"`, `"own"` or `false`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub(crate) enum AppendAnswer {
    /// The gold one, whatever the path concludes (paper, II).
    #[default]
    Gold,
    /// The path's own, as RFT (Yuan et al. 2023) and majority-vote self-training have it.
    Own,
    /// None: the path as it was written (self-distillation).
    No,
}

impl From<AppendAnswer> for Value {
    fn from(append: AppendAnswer) -> Self {
        match append {
            AppendAnswer::Gold => "gold".into(),
            AppendAnswer::Own => "own".into(),
            AppendAnswer::No => false.into(),
        }
    }
}

impl TryFrom<Value> for AppendAnswer {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        let all = [Self::Gold, Self::Own, Self::No];
        let found = all.into_iter().find(|each| Value::from(*each) == value);
        found.ok_or_else(|| format!("{value} is none of \"gold\", \"own\" and false"))
    }
}

impl JsonSchema for AppendAnswer {
    fn schema_name() -> Cow<'static, str> {
        "AppendAnswer".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "enum": ["gold", "own", false] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_appended_answer_is_a_word_or_false() {
        let read = |text: &str| serde_json::from_str::<AppendAnswer>(text);
        for (text, append) in [
            ("\"gold\"", AppendAnswer::Gold),
            ("\"own\"", AppendAnswer::Own),
            ("false", AppendAnswer::No),
        ] {
            assert_eq!(read(text).unwrap(), append);
            assert_eq!(serde_json::to_string(&append).unwrap(), text);
        }
        assert!(read("true").is_err() && read("\"none\"").is_err());
    }
}
