//! For tests: the published teacher completions, read from `../shared` where that is there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{AnswerForm, Question};
use crate::needs::shared;

/// One completion as published, raw.
#[derive(Debug)]
pub(crate) struct TeacherRow {
    pub(crate) question: Question,
    pub(crate) reasoning: String,
    pub(crate) answer_text: String,
    pub(crate) test: bool,
}

impl TeacherRow {
    /// The output as the paper's Len and Rep count it.
    pub(crate) fn output(&self) -> String {
        format!(
            "{}\nTherefore, the answer is{}",
            self.reasoning, self.answer_text
        )
    }
}

/// All 2,290 rows in the order of their indices; `None`, and the test is skipped, without `../shared`.
pub(crate) fn rows() -> Option<Vec<TeacherRow>> {
    let github = shared("mirror/raw.githubusercontent.com")?;
    let [completions, split] = ["D_strategy_qa.json", "strategy_qa__default.json"]
        .map(|name| find(&github, name).unwrap_or_else(|| panic!("{name} is not there")));
    let read =
        |path: PathBuf| -> Value { serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap() };
    let (completions, split) = (read(completions), read(split));
    let test: Vec<u64> = serde_json::from_value(split["test"].clone()).unwrap();
    let text = |row: &Value, field: &str| row[field].as_str().unwrap().to_owned();
    let mut rows: Vec<(u64, TeacherRow)> = completions["data"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(index, rows)| {
            let (index, row): (u64, _) = (index.parse().unwrap(), &rows[0]);
            let question = Question {
                id: format!("strategyqa-{index:04}"),
                question: text(row, "question"),
                choices: vec![],
                form: AnswerForm::YesNo,
                answer: text(row, "answer").to_lowercase(),
                rationale: None,
            };
            let row = TeacherRow {
                question,
                reasoning: text(row, "reasoning_completion"),
                answer_text: text(row, "completion"),
                test: test.contains(&index),
            };
            (index, row)
        })
        .collect();
    rows.sort_by_key(|(index, _)| *index);
    Some(rows.into_iter().map(|(_, row)| row).collect())
}

/// One PaLM-540B rationale for a `CommonsenseQA` train question (Hsieh et al. 2023).
#[derive(Debug)]
pub(crate) struct PalmRow {
    pub(crate) question: Question,
    pub(crate) rationale: String,
    /// As it stands after `So the answer is`, for example `(b) neck`.
    pub(crate) answer_text: String,
    /// The label that those who published it read, if they read one.
    pub(crate) pred: Option<String>,
}

/// All 9,741 rationales; `None`, and the test is skipped, without `../shared`.
pub(crate) fn palm_rows() -> Option<Vec<PalmRow>> {
    let read = |name: &str| -> Option<Vec<Value>> {
        let lines = std::fs::read_to_string(shared(name)?).unwrap();
        let rows = lines.lines();
        Some(
            rows.map(|line| serde_json::from_str(line).unwrap())
                .collect(),
        )
    };
    let questions = read("data/commonsenseqa/train.jsonl")?;
    let teacher = read("data/teacher/commonsenseqa.palm-540b.train.jsonl")?;
    let text = |row: &Value, field: &str| row[field].as_str().unwrap().to_owned();
    let questions: BTreeMap<String, Value> = questions
        .into_iter()
        .map(|row| (text(&row, "id"), row))
        .collect();
    let rows = teacher.iter().map(|row| {
        let asked = &questions[&text(row, "id")];
        let choices = asked["choices"].as_array().unwrap();
        PalmRow {
            question: Question {
                id: text(asked, "id"),
                question: text(asked, "question"),
                choices: choices.iter().map(|c| text(c, "text")).collect(),
                form: AnswerForm::Choice,
                answer: text(asked, "answer"),
                rationale: None,
            },
            rationale: text(row, "rationale"),
            answer_text: text(row, "answer_text"),
            pred: Some(text(row, "pred")).filter(|label| !label.is_empty()),
        }
    });
    Some(rows.collect())
}

/// The first file named `name` below `folder`.
fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    let mut below: Vec<PathBuf> = std::fs::read_dir(folder)
        .ok()?
        .map(|entry| entry.unwrap().path())
        .collect();
    below.sort();
    below.into_iter().find_map(|path| {
        if path.is_dir() {
            find(&path, name)
        } else {
            (path.file_name()? == name).then_some(path)
        }
    })
}
