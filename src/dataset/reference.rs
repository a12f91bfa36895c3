//! Test help: the reference copies of the datasets, where they are at hand.

use serde_json::Value;

use super::params::DatasetName;
use super::{DataParams, DataSource, Splits, load};
use crate::event::CancelToken;
use crate::fetch::{FetchOptions, Fetcher};
use crate::input::read_json_lines;
use crate::needs::shared;

/// A fetcher that sees only the shared mirror; `None`, and the test is skipped, where that is absent.
pub(crate) fn fetcher() -> Option<Fetcher> {
    Some(Fetcher::new(FetchOptions {
        cache_dir: "no-cache".into(),
        mirror: Some(shared("mirror")?),
        offline: true,
        hub_endpoint: String::new(),
        cancel: CancelToken::default(),
    }))
}

/// The dataset as loaded.
pub(crate) fn splits(name: &str) -> Option<Splits> {
    let params = DataParams {
        dataset: DatasetName::find(name).unwrap(),
        ..DataParams::default()
    };
    let fetcher = fetcher()?;
    let from = DataSource {
        fetcher: &fetcher,
        progress: &|_| {},
    };
    Some(load(&params, &from).unwrap())
}

/// The dataset as loaded, and the reference's rows of train and test.
pub(crate) fn both(name: &str) -> Option<(Splits, [Vec<Value>; 2])> {
    let splits = splits(name)?;
    let rows = ["train", "test"].map(|part| rows(&format!("data/{name}/{part}.jsonl")));
    Some((splits, rows))
}

/// The rows of a shared JSON-lines file, which must be there where the mirror is.
pub(crate) fn rows(path: &str) -> Vec<Value> {
    let file = shared(path).unwrap_or_else(|| panic!("the mirror is there, and {path} is not"));
    let rows = read_json_lines(&file).unwrap();
    rows.into_iter().map(|(_, row)| row).collect()
}

/// Ids, questions, choices, answers and rationales agree, in order.
pub(crate) fn assert_same(splits: &Splits, reference: &[Vec<Value>; 2]) {
    for (ours, theirs) in [&splits.train, &splits.test].into_iter().zip(reference) {
        assert_eq!(ours.len(), theirs.len());
        for (question, row) in ours.iter().zip(theirs) {
            assert_eq!(question.id, row["id"]);
            assert_eq!(question.question, row["question"], "{}", question.id);
            assert_eq!(question.answer, row["answer"], "{}", question.id);
            assert_eq!(question.rationale.as_deref(), row["rationale"].as_str());
            let choices: Vec<&str> = row["choices"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|choice| choice["text"].as_str())
                .collect();
            assert_eq!(question.choices, choices, "{}", question.id);
        }
    }
}
