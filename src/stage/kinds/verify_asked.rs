//! What a verifier of the user's is told of a path, be it a program or a server.

use serde::Serialize;
use serde_json::{Value, json};

use crate::text::{Question, ReasoningPath};

#[derive(Serialize)]
struct Asked<'a> {
    question_id: &'a str,
    question: &'a str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    choices: &'a [String],
    gold: &'a str,
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer_text: Option<&'a str>,
}

/// The JSON of a path and its question.
pub(super) fn asked(question: &Question, path: &ReasoningPath) -> Value {
    json!(Asked {
        question_id: &question.id,
        question: &question.question,
        choices: &question.choices,
        gold: &question.answer,
        text: &path.text,
        answer_text: path.answer_text.as_deref(),
    })
}
