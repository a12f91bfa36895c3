//! Completions in the published format of Ho et al. 2023: zero-shot chain of thought in two steps.
//!
//! One JSON object: `metadata`, and `data` with a list of completions for each sample. The first
//! step's `reasoning_completion` is the path; the second's `completion` the raw answer.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::join::{RecordedPath, RecordedPaths, by_id};
use super::{Recorded, RecordingKind, TeachParams, TeacherError, no_file, own_file};
use crate::dataset::DataFile;
use crate::fetch::PinnedFile;
use crate::input::read_json;
use crate::text::{EndReason, Question};

pub(super) const DAVINCI: RecordingKind = RecordingKind {
    name: "strategyqa-text-davinci-002",
    doc: "text-davinci-002's zero-shot CoT for all of StrategyQA (Ho et al. 2023), the paper's teacher",
    files: |params| {
        no_file(params)?;
        Ok(vec![DataFile::Pinned(DAVINCI_FILE)])
    },
    load: |_, paths, questions| {
        let teacher = "text-davinci-002, zero-shot CoT, Ho et al. 2023".to_owned();
        load(
            "strategyqa-text-davinci-002",
            Some(teacher),
            &paths[0],
            questions,
        )
    },
};

pub(super) const KIND: RecordingKind = RecordingKind {
    name: "completions",
    doc: "a file (`path`) in the published completion format of Ho et al. 2023",
    files: own_file,
    load: |params: &TeachParams, paths: &[PathBuf], questions: &[Question]| {
        load("completions", params.teacher.clone(), &paths[0], questions)
    },
};

const DAVINCI_FILE: PinnedFile = PinnedFile::known(
    "https://raw.githubusercontent.com/mmmaxyoung/test2/234455a5fe1b34311f5c500b3dff59b34bf0d09f/saved/completion_data/B_text-davinci-002__C_zs_cot/D_strategy_qa.json",
    "7a37ad3bd14a5d2ab526f605ad8f37a4941ddfe9a0d57652e754db6ae2e45e21",
    3_353_911,
);

#[derive(Deserialize)]
struct Published {
    #[serde(default)]
    metadata: BTreeMap<String, Value>,
    data: BTreeMap<String, Vec<Reply>>,
}

#[derive(Deserialize)]
struct Reply {
    sample_index: u64,
    #[serde(default)]
    completion_index: u64,
    question: String,
    reasoning_completion: String,
    #[serde(default)]
    reasoning_finish_reason: Option<String>,
    #[serde(default)]
    completion: Option<String>,
}

fn load(
    recording: &str,
    teacher: Option<String>,
    path: &Path,
    questions: &[Question],
) -> Result<Recorded, TeacherError> {
    let Published { metadata, data } = read_json(path)?;
    let named = |key| metadata.get(key).and_then(Value::as_str);
    let teacher = teacher
        .or_else(|| named("base_model").map(str::to_owned))
        .unwrap_or_else(|| path.display().to_string());
    let mut samples: BTreeMap<u64, Vec<Reply>> = BTreeMap::new();
    for completion in data.into_values().flatten() {
        samples
            .entry(completion.sample_index)
            .or_default()
            .push(completion);
    }
    for completions in samples.values_mut() {
        completions.sort_by_key(|completion| completion.completion_index);
    }
    by_id(
        recording,
        teacher,
        &named_rows(recording, samples, questions)?,
        questions,
    )
}

/// The samples under the ids of their questions. A question whose id ends in its index is joined
/// by index, and the words must agree; any other is joined by its words. What no question claims
/// keeps its index as a name, for the count and for a message.
fn named_rows(
    recording: &str,
    samples: BTreeMap<u64, Vec<Reply>>,
    questions: &[Question],
) -> Result<RecordedPaths, TeacherError> {
    let mut by_words: BTreeMap<String, u64> = BTreeMap::new();
    for (&index, completions) in &samples {
        for completion in completions {
            by_words.entry(words(&completion.question)).or_insert(index);
        }
    }
    let mut rows = RecordedPaths::new();
    let mut used = BTreeSet::new();
    let mut strangers: Option<TeacherError> = None;
    for question in questions {
        let claimed = index_of(&question.id).filter(|index| samples.contains_key(index));
        let agrees = |index: &u64| {
            samples.get(index).is_some_and(|found| {
                found
                    .iter()
                    .all(|each| words(&each.question) == words(&question.question))
            })
        };
        let by_words = || {
            let asked = [&question.question, &question.asked()]
                .map(|text| by_words.get(&words(text)).copied());
            asked.into_iter().flatten().next()
        };
        let Some(index) = claimed.filter(agrees).or_else(by_words) else {
            if let Some(index) = claimed {
                strangers.get_or_insert_with(|| TeacherError::OtherQuestion {
                    recording: recording.to_owned(),
                    index,
                    found: samples[&index][0].question.clone(),
                    id: question.id.clone(),
                    expected: question.question.clone(),
                });
            }
            continue;
        };
        // Two questions with the same words share a sample where ids have no index.
        used.insert(index);
        rows.insert(
            question.id.clone(),
            samples[&index].iter().map(row).collect(),
        );
    }
    // One stranger is one too many where ids are indices; where nothing joins, the ids tell more.
    if let Some(error) = strangers
        && !rows.is_empty()
    {
        return Err(error);
    }
    for (index, completions) in samples {
        if !used.contains(&index) {
            let name = format!("sample {index}");
            rows.insert(name, completions.iter().map(row).collect());
        }
    }
    Ok(rows)
}

fn row(completion: &Reply) -> RecordedPath {
    RecordedPath {
        text: completion.reasoning_completion.clone(),
        end: match completion.reasoning_finish_reason.as_deref() {
            Some("stop") => EndReason::EndOfText,
            Some("length") => EndReason::Length,
            _ => EndReason::Unknown,
        },
        answer_text: completion.completion.clone(),
    }
}

/// The index that an id such as `strategyqa-0042` ends in.
fn index_of(id: &str) -> Option<u64> {
    id.strip_prefix("strategyqa-")?.parse().ok()
}

/// Words without regard to white space: 31 upstream questions end in a blank.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
