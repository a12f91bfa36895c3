//! Layouts that data sets are published in.
//!
//! Each is known by its columns and what they hold, never by its name. The first that fits is taken, so those with more columns come
//! first. Sources: the data sets' cards on the Hugging Face hub, and TRL's documentation ("Dataset formats and types").

use serde_json::Value;

use super::at::at;
use super::kinds::{ColumnKinds, Holds};
use crate::dataset::columns::{AnswerColumn, AnswerKind, ChoiceColumns, ChoiceLists, Columns};
use crate::input::Table;

/// A layout.
pub(super) struct Layout {
    /// Its name, that of the data set which is known for it.
    pub(super) name: &'static str,
    /// The columns by which it is known.
    has: &'static [(&'static str, Holds)],
    /// A column of which every value has a mark, and that mark.
    marked: Option<(&'static str, &'static str)>,
    /// What its columns hold, as strings in the order of [`Written`].
    columns: Written,
}

/// A mapping, as a constant.
struct Written {
    id: Option<&'static str>,
    question: &'static str,
    context: Option<&'static str>,
    choices: Option<(&'static str, Option<&'static str>)>,
    answer: (&'static str, Option<AnswerKind>, Option<&'static str>),
    rationale: Option<&'static str>,
}

const PLAIN: Written = Written {
    id: None,
    question: "question",
    context: None,
    choices: None,
    answer: ("answer", None, None),
    rationale: None,
};

/// Choices as the Hub's sets of the Allen Institute have them.
const LABELLED: Option<(&str, Option<&str>)> = Some(("choices.text", Some("choices.label")));
const KEY: (&str, Option<AnswerKind>, Option<&str>) = ("answerKey", Some(AnswerKind::Label), None);

pub(super) static LAYOUTS: &[Layout] = &[
    Layout {
        name: "CommonsenseQA",
        has: &[
            ("question", Holds::Text),
            ("question_concept", Holds::Text),
            ("choices.label", Holds::Texts),
            ("choices.text", Holds::Texts),
            ("answerKey", Holds::Text),
        ],
        marked: None,
        columns: Written {
            id: Some("id"),
            choices: LABELLED,
            answer: KEY,
            ..PLAIN
        },
    },
    Layout {
        name: "CommonsenseQA (its authors' files)",
        has: &[
            ("question.stem", Holds::Text),
            ("question.choices.label", Holds::Texts),
            ("question.choices.text", Holds::Texts),
            ("answerKey", Holds::Text),
        ],
        marked: None,
        columns: Written {
            id: Some("id"),
            question: "question.stem",
            choices: Some(("question.choices.text", Some("question.choices.label"))),
            answer: KEY,
            ..PLAIN
        },
    },
    Layout {
        name: "OpenBookQA",
        has: &[
            ("question_stem", Holds::Text),
            ("choices.text", Holds::Texts),
            ("choices.label", Holds::Texts),
            ("answerKey", Holds::Text),
        ],
        marked: None,
        columns: Written {
            id: Some("id"),
            question: "question_stem",
            choices: LABELLED,
            answer: KEY,
            ..PLAIN
        },
    },
    Layout {
        name: "ARC",
        has: &[
            ("question", Holds::Text),
            ("choices.text", Holds::Texts),
            ("choices.label", Holds::Texts),
            ("answerKey", Holds::Text),
        ],
        marked: None,
        columns: Written {
            id: Some("id"),
            choices: LABELLED,
            answer: KEY,
            ..PLAIN
        },
    },
    Layout {
        name: "BoolQ",
        has: &[
            ("question", Holds::Text),
            ("passage", Holds::Text),
            ("answer", Holds::Truth),
        ],
        marked: None,
        columns: Written {
            context: Some("passage"),
            answer: ("answer", Some(AnswerKind::YesNo), None),
            ..PLAIN
        },
    },
    Layout {
        name: "MMLU",
        has: &[
            ("question", Holds::Text),
            ("subject", Holds::Text),
            ("choices", Holds::Texts),
            ("answer", Holds::Number),
        ],
        marked: None,
        columns: Written {
            choices: Some(("choices", None)),
            answer: ("answer", Some(AnswerKind::Index), None),
            ..PLAIN
        },
    },
    Layout {
        name: "GSM8K",
        has: &[("question", Holds::Text), ("answer", Holds::Text)],
        marked: Some(("answer", "####")),
        columns: Written {
            id: Some("id"),
            answer: ("answer", Some(AnswerKind::Number), Some("####")),
            ..PLAIN
        },
    },
    Layout {
        name: "MATH (with answers)",
        has: &[
            ("problem", Holds::Text),
            ("solution", Holds::Text),
            ("answer", Holds::Text),
        ],
        marked: None,
        columns: Written {
            question: "problem",
            answer: ("answer", Some(AnswerKind::Text), None),
            rationale: Some("solution"),
            ..PLAIN
        },
    },
    Layout {
        name: "MATH",
        has: &[
            ("problem", Holds::Text),
            ("level", Holds::Text),
            ("type", Holds::Text),
            ("solution", Holds::Text),
        ],
        marked: None,
        columns: Written {
            question: "problem",
            answer: ("solution", Some(AnswerKind::Text), Some("\\boxed")),
            rationale: Some("solution"),
            ..PLAIN
        },
    },
    Layout {
        name: "prompt and completion (TRL)",
        has: &[("prompt", Holds::Text), ("completion", Holds::Text)],
        marked: None,
        columns: Written {
            question: "prompt",
            answer: ("completion", Some(AnswerKind::Text), None),
            ..PLAIN
        },
    },
    Layout {
        name: "prompt and completion (TRL, conversational)",
        has: &[
            ("prompt.user", Holds::Text),
            ("completion.assistant", Holds::Text),
        ],
        marked: None,
        columns: Written {
            question: "prompt.user",
            answer: ("completion.assistant", Some(AnswerKind::Text), None),
            ..PLAIN
        },
    },
    Layout {
        name: "chat messages",
        has: &[
            ("messages.user", Holds::Text),
            ("messages.assistant", Holds::Text),
        ],
        marked: None,
        columns: Written {
            question: "messages.user",
            answer: ("messages.assistant", Some(AnswerKind::Text), None),
            ..PLAIN
        },
    },
    Layout {
        name: "chat messages (ShareGPT)",
        has: &[
            ("conversations.human", Holds::Text),
            ("conversations.gpt", Holds::Text),
        ],
        marked: None,
        columns: Written {
            question: "conversations.human",
            answer: ("conversations.gpt", Some(AnswerKind::Text), None),
            ..PLAIN
        },
    },
];

/// The layout of a table, and which of its columns hold what; none where it has no known one.
pub(super) fn recognised(tables: &[Table], kinds: &ColumnKinds) -> Option<(&'static str, Columns)> {
    let fits = |layout: &&Layout| {
        let has = |(path, holds): &(&str, Holds)| kinds.get(path) == Some(*holds);
        let is_marked = |(path, mark): (&str, &str)| every_value_has(tables, path, mark);
        layout.has.iter().all(has) && layout.marked.is_none_or(is_marked)
    };
    if let Some(layout) = LAYOUTS.iter().find(fits) {
        return Some((layout.name, layout.columns.to_columns(kinds)));
    }
    own(kinds).map(|columns| ("this program's own", columns))
}

/// `question`, `answer` and what else the rows of `jsonl` have.
fn own(kinds: &ColumnKinds) -> Option<Columns> {
    let there = |name: &'static str| kinds.get(name).map(|_| name);
    let written = Written {
        id: there("id"),
        question: there("question").filter(|name| kinds.get(name) == Some(Holds::Text))?,
        context: None,
        choices: there("choices")
            .or_else(|| there("options"))
            .map(|name| (name, None)),
        answer: (there("answer").or_else(|| there("answerKey"))?, None, None),
        rationale: there("rationale"),
    };
    Some(written.to_columns(kinds))
}

fn every_value_has(tables: &[Table], path: &str, mark: &str) -> bool {
    let rows = tables.iter().flat_map(|table| &table.rows);
    rows.map(|row| at(&row.values, path)).all(|found| {
        let text = found.ok().flatten();
        text.is_some_and(|text| matches!(&*text, Value::String(text) if text.contains(mark)))
    })
}

impl Written {
    /// The same as a manifest's; an id only where there is one.
    fn to_columns(&self, kinds: &ColumnKinds) -> Columns {
        let (column, is, after) = self.answer;
        let id = self.id.filter(|id| kinds.get(id).is_some());
        Columns {
            id: id.map(str::to_owned),
            question: self.question.to_owned(),
            context: self.context.map(str::to_owned),
            choices: self.choices.map(|(text, label)| {
                ChoiceColumns::Lists(ChoiceLists {
                    text: text.to_owned(),
                    label: label.map(str::to_owned),
                })
            }),
            answer: AnswerColumn {
                column: column.to_owned(),
                is,
                after: after.map(str::to_owned),
            },
            rationale: self.rationale.map(str::to_owned),
        }
    }
}
