//! Which prompt a student is asked with: its own, or a declared one.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::text::PromptSpec;

/// The word for the student's own prompt.
const AUTO: &str = "auto";

/// The prompt that the student was trained on (`auto`), or one that is declared.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub(crate) struct PredictPrompt(Option<PromptSpec>);

impl PredictPrompt {
    /// What is declared, if the student's own is not asked for.
    pub(crate) fn declared(&self) -> Option<&PromptSpec> {
        self.0.as_ref()
    }
}

impl From<PredictPrompt> for Value {
    fn from(prompt: PredictPrompt) -> Self {
        prompt.0.map_or_else(|| AUTO.into(), Self::from)
    }
}

impl TryFrom<Value> for PredictPrompt {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        if value == AUTO {
            return Ok(Self(None));
        }
        Ok(Self(Some(PromptSpec::try_from(value)?)))
    }
}

impl JsonSchema for PredictPrompt {
    fn schema_name() -> Cow<'static, str> {
        "PredictPrompt".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<PromptSpec>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_students_own_prompt_is_a_word() {
        let read = |text: &str| serde_json::from_str::<PredictPrompt>(text).unwrap();
        assert_eq!(read("\"auto\""), PredictPrompt::default());
        assert_eq!(
            serde_json::to_string(&PredictPrompt::default()).unwrap(),
            "\"auto\""
        );
        let declared = read("\"step-by-step\"");
        assert!(declared.declared().is_some());
        assert_eq!(
            serde_json::to_string(&declared).unwrap(),
            "\"step-by-step\""
        );
    }
}
