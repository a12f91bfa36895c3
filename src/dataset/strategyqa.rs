//! `StrategyQA` (Geva et al. 2021) in its BIG-bench form, split 70/30 as Ho et al. 2023 did.

use std::path::Path;

use serde::Deserialize;

use super::{DataParams, DatasetError, DatasetKind, Files, PartPath, Splits, read_json};
use crate::fetch::PinnedFile;
use crate::text::{AnswerForm, Question};

pub(super) const KIND: DatasetKind = DatasetKind {
    name: "strategyqa",
    doc: "StrategyQA: 1,603 training and 687 test questions, yes/no (split of Ho et al. 2023)",
    check: |_| Ok(()),
    files: |_, _| Ok(Files::pinned(&FILES)),
    load,
};

const FILES: [PinnedFile; 2] = [
    PinnedFile::known(
        "https://raw.githubusercontent.com/kojima-takeshi188/zero_shot_cot/5ef330fcdeec0cd26aee27943504f91f8ec1c33c/dataset/StrategyQA/task.json",
        "60af9081fed20102fd8bb1e02dc7d9f12238efcba33e4c1a56b4d61cb6409803",
        854_248,
    ),
    PinnedFile::known(
        "https://raw.githubusercontent.com/itsnamgyu/reasoning-teacher/a2ca4d28d3bbabbd77106b76d06885d1a5eac0d9/data/split/strategy_qa__default.json",
        "0857d069a693a83c20466971b7e522b3c90c3258146c9b9461df98e4d2468de1",
        30_993,
    ),
];

#[derive(Deserialize)]
struct Task {
    examples: Vec<Example>,
}

#[derive(Deserialize)]
struct Example {
    input: String,
    target_scores: TargetScores,
}

#[derive(Deserialize)]
struct TargetScores {
    #[serde(rename = "Yes")]
    yes: u8,
    #[serde(rename = "No")]
    no: u8,
}

/// Indices into the task's examples, from 0.
#[derive(Deserialize)]
struct Split {
    train: Vec<usize>,
    test: Vec<usize>,
}

fn load(_: &DataParams, paths: &[PartPath]) -> Result<Splits, DatasetError> {
    let task: Task = read_json(&paths[0].path)?;
    let split: Split = read_json(&paths[1].path)?;
    let pick = |indices: &[usize]| -> Result<Vec<Question>, DatasetError> {
        indices
            .iter()
            .map(|&i| {
                let example = task.examples.get(i).ok_or_else(|| DatasetError::Row {
                    path: paths[1].path.clone(),
                    line: 1,
                    reason: format!(
                        "there is no example {i}: {} has {}",
                        paths[0].path.display(),
                        task.examples.len()
                    ),
                })?;
                question(i, example, &paths[0].path)
            })
            .collect()
    };
    Ok(Splits {
        train: pick(&split.train)?,
        test: pick(&split.test)?,
        ..Splits::default()
    })
}

fn question(index: usize, example: &Example, path: &Path) -> Result<Question, DatasetError> {
    let answer = match (example.target_scores.yes, example.target_scores.no) {
        (1, 0) => "yes",
        (0, 1) => "no",
        _ => {
            return Err(DatasetError::NoAnswer {
                path: path.to_owned(),
                line: index + 1,
            });
        }
    };
    Ok(Question {
        id: format!("strategyqa-{index:04}"),
        // 31 upstream questions end in a blank.
        question: example.input.trim().to_owned(),
        choices: Vec::new(),
        form: AnswerForm::YesNo,
        answer: answer.to_owned(),
        rationale: None,
    })
}

#[cfg(test)]
mod tests {
    use crate::dataset::reference;

    #[test]
    fn it_is_the_reference_split() {
        let Some((splits, reference)) = reference::both("strategyqa") else {
            return;
        };
        assert_eq!((splits.train.len(), splits.test.len()), (1603, 687));
        reference::assert_same(&splits, &reference);
        let yes =
            |part: &[crate::text::Question]| part.iter().filter(|q| q.answer == "yes").count();
        assert_eq!((yes(&splits.train), yes(&splits.test)), (745, 326));
        assert_eq!(
            splits.warnings,
            [
                "1 of 687 test questions are training questions too: strategyqa-1987 = strategyqa-0042"
            ]
        );
    }
}
