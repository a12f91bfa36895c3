//! Which columns of a table hold what.

use std::borrow::Cow;
use std::fmt::Write as _;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

/// Which columns hold what. A column in another is named by a path, `choices.text`; one of a list of messages by its role,
/// `messages.user`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Columns {
    /// The question's id. Default: rows are numbered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The question.
    pub question: String,
    /// A text that the question is about, put before it with a blank line between them. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// The choices. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub choices: Option<ChoiceColumns>,
    /// The answer.
    pub answer: AnswerColumn,
    /// A worked solution. Default: what stands before the answer's mark `after`, if that says one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rationale: Option<String>,
}

/// Where the choices stand.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum ChoiceColumns {
    /// A column of lists, and perhaps one of their labels.
    Lists(ChoiceLists),
    /// A column for each choice.
    Each(Vec<String>),
}

/// A column of lists of choices.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChoiceLists {
    /// The choices' texts, in any of the forms of docs/data.md.
    pub text: String,
    /// Their labels. Default: A, B, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

/// Where the answer stands, and what it is there.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct AnswerColumn {
    /// Its column.
    pub column: String,
    /// What it is. Default: what its values show, where they can be read in one way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is: Option<AnswerKind>,
    /// A mark that it stands behind, the last one: `####`. Of `\boxed` it is what stands in the braces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// What an answer is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum AnswerKind {
    /// The label of a choice: the row's own, else A, B, ...
    Label,
    /// The place of a choice, counted from 0.
    Index,
    /// The text of a choice; without choices, free text.
    Text,
    /// The number of a choice: its own label, else counted from 1; without choices, a number.
    Number,
    /// Yes or no, true or false.
    YesNo,
}

impl AnswerKind {
    /// As a manifest writes it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Label => "label",
            Self::Index => "index",
            Self::Text => "text",
            Self::Number => "number",
            Self::YesNo => "yes-no",
        }
    }
}

impl Columns {
    /// Every column that is named, with the field that names it.
    pub(crate) fn named(&self) -> Vec<(&'static str, &str)> {
        let mut named = vec![("question", self.question.as_str())];
        named.extend(self.context.as_deref().map(|column| ("context", column)));
        match &self.choices {
            None => {}
            Some(ChoiceColumns::Lists(lists)) => {
                named.push(("choices", &lists.text));
                named.extend(
                    lists
                        .label
                        .as_deref()
                        .map(|column| ("choices.label", column)),
                );
            }
            Some(ChoiceColumns::Each(columns)) => {
                named.extend(columns.iter().map(|column| ("choices", column.as_str())));
            }
        }
        named.push(("answer", &self.answer.column));
        named.extend(
            self.rationale
                .as_deref()
                .map(|column| ("rationale", column)),
        );
        named.extend(self.id.as_deref().map(|column| ("id", column)));
        named
    }

    /// As a manifest writes them on one line.
    pub(crate) fn written(&self) -> String {
        let fields = self.fields().into_iter();
        let fields: Vec<String> = fields.map(|(name, is)| format!("{name} = {is}")).collect();
        format!("{{ {} }}", fields.join(", "))
    }

    /// Each field with its value as a manifest writes it.
    pub(crate) fn fields(&self) -> Vec<(&'static str, String)> {
        let text = |column: &String| quoted(column);
        let mut fields = vec![("question", text(&self.question))];
        fields.extend(
            self.context
                .as_ref()
                .map(|column| ("context", text(column))),
        );
        fields.extend(self.choices.as_ref().map(|choices| {
            let written = match choices {
                ChoiceColumns::Each(columns) => {
                    let each: Vec<String> = columns.iter().map(text).collect();
                    format!("[{}]", each.join(", "))
                }
                ChoiceColumns::Lists(ChoiceLists {
                    text: of,
                    label: None,
                }) => text(of),
                ChoiceColumns::Lists(ChoiceLists {
                    text: of,
                    label: Some(label),
                }) => format!("{{ text = {}, label = {} }}", text(of), text(label)),
            };
            ("choices", written)
        }));
        let answer = &self.answer;
        let mut written = text(&answer.column);
        if answer.is.is_some() || answer.after.is_some() {
            written = format!("{{ column = {written}");
            if let Some(is) = answer.is {
                let _ = write!(written, ", is = {:?}", is.name());
            }
            if let Some(after) = &answer.after {
                let _ = write!(written, ", after = {}", quoted(after));
            }
            written += " }";
        }
        fields.push(("answer", written));
        fields.extend(
            self.rationale
                .as_ref()
                .map(|column| ("rationale", text(column))),
        );
        fields.extend(self.id.as_ref().map(|column| ("id", text(column))));
        fields
    }
}

/// A text as TOML has it: JSON's escapes are those of TOML too.
pub(crate) fn quoted(text: &str) -> String {
    let quoted = serde_json::to_string(text).unwrap_or_default(); // a text is always written
    quoted.replace('\u{7f}', "\\u007f")
}

/// The answer's column as a manifest may write it out.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AnswerTable {
    /// Its column.
    column: String,
    /// What it is. Default: what its values show, where they can be read in one way.
    is: Option<AnswerKind>,
    /// A mark that it stands behind, the last one: `####`. Of `\boxed` it is what stands in the braces.
    after: Option<String>,
}

impl<'de> Deserialize<'de> for AnswerColumn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(column) => Ok(Self {
                column,
                is: None,
                after: None,
            }),
            Value::Object(table) => {
                let AnswerTable { column, is, after } = table_of(table)?;
                Ok(Self { column, is, after })
            }
            _ => Err(Error::custom(
                "expected a column's name, or a table with `column`",
            )),
        }
    }
}

impl<'de> Deserialize<'de> for ChoiceColumns {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(text) => Ok(Self::Lists(ChoiceLists { text, label: None })),
            Value::Object(table) => Ok(Self::Lists(table_of(table)?)),
            Value::Array(columns) => serde_json::from_value(columns.into())
                .map(Self::Each)
                .map_err(|_| Error::custom("expected the names of columns")),
            _ => Err(Error::custom(
                "expected a column's name, a list of them, or a table with `text` and `label`",
            )),
        }
    }
}

fn table_of<T: DeserializeOwned, E: Error>(table: Map<String, Value>) -> Result<T, E> {
    serde_json::from_value(table.into()).map_err(E::custom)
}

impl JsonSchema for AnswerColumn {
    fn schema_name() -> Cow<'static, str> {
        "AnswerColumn".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let table = generator.subschema_for::<AnswerTable>();
        json_schema!({
            "description": "Where the answer stands: a column's name, or a table that also says what it is there.",
            "oneOf": [{ "type": "string" }, table]
        })
    }
}

impl JsonSchema for ChoiceColumns {
    fn schema_name() -> Cow<'static, str> {
        "ChoiceColumns".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let lists = generator.subschema_for::<ChoiceLists>();
        json_schema!({
            "description": "Where the choices stand: a column of lists, a column for each, or a column of texts and one of labels.",
            "oneOf": [
                { "type": "string" },
                { "type": "array", "items": { "type": "string" }, "minItems": 2 },
                lists
            ]
        })
    }
}
