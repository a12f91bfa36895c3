//! PaLM-540B's few-shot chain of thought for `CommonsenseQA`'s training questions (Hsieh et al. 2023,
//! "Distilling step-by-step"), as that work published it.
//!
//! Ten files of completions, in the order of a question file. A completion runs on into a question
//! of the model's own after a blank line; that is cut off. What stands before `So the answer is`
//! is the path, what stands after it the answer.

use std::path::PathBuf;

use serde::Deserialize;

use super::join::{RecordedPath, RecordedPaths, by_id};
use super::{Recorded, RecordingKind, TeachParams, TeacherError, no_file};
use crate::dataset::DataFile;
use crate::fetch::PinnedFile;
use crate::input::{read_json, read_json_lines};
use crate::text::{EndReason, Question};

pub(super) const KIND: RecordingKind = RecordingKind {
    name: NAME,
    doc: "PaLM-540B's few-shot CoT for CommonsenseQA's training questions (Hsieh et al. 2023)",
    files: |params| {
        no_file(params)?;
        Ok(FILES.iter().cloned().map(DataFile::Pinned).collect())
    },
    load,
};

const NAME: &str = "commonsenseqa-palm-540b";
const TEACHER: &str =
    "PaLM-540B, few-shot CoT rationales, Hsieh et al. 2023 (Distilling step-by-step)";

macro_rules! upstream {
    ($path:literal, $sha256:literal, $size:literal) => {
        PinnedFile::known(
            concat!(
                "https://raw.githubusercontent.com/cnalty/distilling-step-by-step-rag/",
                "ff1c1a9e2a9c73e9b5950ad8cd2511a152db7608/datasets/cqa/",
                $path
            ),
            $sha256,
            $size,
        )
    };
}

/// The questions, then the completions in their order.
const FILES: [PinnedFile; 11] = [
    upstream!(
        "cqa_train.json",
        "09601f7b3239eb4c0a3be16c4b897d0c30905e9bc38cf36c77831d98bd37d9fb",
        3_443_547
    ),
    upstream!(
        "palm/train_CoT_0.json",
        "632167edcb645336a0ff1194fe87a1821fefdb02515679d178b167619903fff1",
        478_929
    ),
    upstream!(
        "palm/train_CoT_1.json",
        "8d14f619696c2bf3f0989d3a47ee8120f047af4eddaf23eb64610941cb453796",
        479_710
    ),
    upstream!(
        "palm/train_CoT_2.json",
        "25e559368c7e69dba359245395463a669f2fcef91a3b7b89613ff41bed0fbd8f",
        482_479
    ),
    upstream!(
        "palm/train_CoT_3.json",
        "db2a50477c463dd84a4b7ee2dedae323ff8746f20ca0c4a4619c03e04140ddf5",
        480_766
    ),
    upstream!(
        "palm/train_CoT_4.json",
        "52ccbf961db874a47968599f8411372a39f280f91413df7d90bcbcea291b9836",
        479_459
    ),
    upstream!(
        "palm/train_CoT_5.json",
        "0d238b1c5c4be3630bf14c15a176985b4a2e7bcf5fa5a93d24e9d89ccde06974",
        480_749
    ),
    upstream!(
        "palm/train_CoT_6.json",
        "af81b051cefa61be0b513f9e002b9eeab7160c18731732b59138fede91fccee4",
        482_082
    ),
    upstream!(
        "palm/train_CoT_7.json",
        "0cd6eba4d2449fb295d66e3dd9998ab59f6246820ca07e0fd1cc61dfcc3e6b3d",
        477_210
    ),
    upstream!(
        "palm/train_CoT_8.json",
        "02c156f92540f7b2469d252c814a2a87dad47616f828db3e7e236edd72f21b61",
        471_556
    ),
    upstream!(
        "palm/train_CoT_9.json",
        "7448c4cd5a9416ccb1e0c021e2b3bf2e697dc70173ff6f08d5b64b56d5fe8038",
        352_538
    ),
];

#[derive(Deserialize)]
struct Asked {
    id: String,
    question: String,
}

fn load(
    _: &TeachParams,
    paths: &[PathBuf],
    questions: &[Question],
) -> Result<Recorded, TeacherError> {
    let asked = read_json_lines::<Asked>(&paths[0])?;
    let mut completions: Vec<String> = Vec::new();
    for path in &paths[1..] {
        completions.extend(read_json::<Vec<String>>(path)?);
    }
    let wrong = |reason| TeacherError::Inconsistent {
        recording: NAME.to_owned(),
        reason,
    };
    if asked.len() != completions.len() {
        return Err(wrong(format!(
            "{} questions but {} completions",
            asked.len(),
            completions.len()
        )));
    }
    let mut rows = RecordedPaths::new();
    let mut words = std::collections::BTreeMap::new();
    for ((_, asked), completion) in asked.into_iter().zip(&completions) {
        rows.insert(asked.id.clone(), vec![row(completion)]);
        words.insert(asked.id, asked.question);
    }
    for question in questions {
        if let Some(theirs) = words.get(&question.id)
            && theirs.trim() != question.question
        {
            return Err(wrong(format!(
                "question {} is `{theirs}` there and `{}` here",
                question.id, question.question
            )));
        }
    }
    by_id(NAME, TEACHER.to_owned(), &rows, questions)
}

fn row(completion: &str) -> RecordedPath {
    let own = completion.split("\n\nQ:").next().unwrap_or(completion);
    let (text, answer) = match own.split_once("So the answer is") {
        Some((text, answer)) => (text.trim(), Some(answer.trim().to_owned())),
        None => (own.trim(), None),
    };
    RecordedPath {
        text: text.to_owned(),
        end: EndReason::Unknown,
        answer_text: answer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_completion_is_cut_where_the_model_asks_itself() {
        let found =
            row("A tree. So the answer is (b) tree.\n\nQ: What?\nA: So the answer is (c) no.");
        assert_eq!(found.text, "A tree.");
        assert_eq!(found.answer_text.as_deref(), Some("(b) tree."));
        assert_eq!(row("A tree.").answer_text, None);
    }
}
