//! Encoding of artifacts: JSON lines for rows, one JSON document for single values.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{ArtifactKind, ModelFolder};
use crate::filter::Funnel;
use crate::metric::{Decision, Evaluation, TextScores};
use crate::model::train::LossPoint;
use crate::text::{FilteredPath, OverlapRow, Prediction, Question, ReasoningPath};

/// An artifact's bytes are not what they should be.
#[derive(Debug, thiserror::Error)]
#[error("{kind} artifact, line {line}: {source}")]
pub struct ArtifactError {
    kind: ArtifactKind,
    line: usize,
    source: serde_json::Error,
}

/// A value that stages exchange.
pub trait Artifact: Sized {
    /// Its type, as ports know it.
    const KIND: ArtifactKind;

    /// Its bytes: equal values give equal bytes.
    fn encode(&self) -> Vec<u8>;

    /// The value from its bytes.
    ///
    /// # Errors
    /// When the bytes are not such an artifact; names the line.
    fn decode(bytes: &[u8]) -> Result<Self, ArtifactError>;
}

macro_rules! rows {
    ($($kind:ident: $row:ty),* $(,)?) => {$(
        impl Artifact for Vec<$row> {
            const KIND: ArtifactKind = ArtifactKind::$kind;

            fn encode(&self) -> Vec<u8> {
                encode_rows(self)
            }

            fn decode(bytes: &[u8]) -> Result<Self, ArtifactError> {
                decode_rows(bytes, Self::KIND)
            }
        }
    )*};
}

macro_rules! documents {
    ($($kind:ident: $value:ty),* $(,)?) => {$(
        impl Artifact for $value {
            const KIND: ArtifactKind = ArtifactKind::$kind;

            fn encode(&self) -> Vec<u8> {
                encode_rows(std::slice::from_ref(self))
            }

            fn decode(bytes: &[u8]) -> Result<Self, ArtifactError> {
                serde_json::from_slice(bytes).map_err(|source| ArtifactError {
                    kind: Self::KIND,
                    line: 1,
                    source,
                })
            }
        }
    )*};
}

rows! {
    Questions: Question,
    Text: String,
    Paths: ReasoningPath,
    FilteredPaths: FilteredPath,
    Losses: LossPoint,
    Predictions: Prediction,
    Overlap: OverlapRow,
}

documents! {
    Model: ModelFolder,
    Funnel: Funnel,
    Evaluation: Evaluation,
    TextScores: TextScores,
    Decision: Decision,
}

fn encode_rows<T: Serialize>(rows: &[T]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for row in rows {
        serde_json::to_writer(&mut bytes, row).expect("rows hold only finite numbers and text");
        bytes.push(b'\n');
    }
    bytes
}

fn decode_rows<T: DeserializeOwned>(
    bytes: &[u8],
    kind: ArtifactKind,
) -> Result<Vec<T>, ArtifactError> {
    bytes
        .split(|&byte| byte == b'\n')
        .enumerate()
        .filter(|(_, line)| !line.is_empty())
        .map(|(index, line)| {
            serde_json::from_slice(line).map_err(|source| ArtifactError {
                kind,
                line: index + 1,
                source,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Digest;
    use crate::text::{DropReason, EndReason, FilterDecision};

    #[test]
    fn rows_round_trip_to_the_bit() {
        let path = ReasoningPath {
            question_id: "q".into(),
            stream: Digest::of(b"row"),
            first_token: None,
            draw: 0,
            hint: crate::text::Hint::None,
            text: " a\nb\u{2028}".into(),
            tokens: vec![1, 2],
            log_prob: Some(crate::text::LogProbSummary {
                sum: -0.1 - 0.2,
                count: 2,
                first: -0.1,
                min: -0.2,
            }),
            end: EndReason::EndOfText,
            end_token: None,
            answer_text: None,
            scores: std::collections::BTreeMap::new(),
            unparsed: std::collections::BTreeSet::new(),
        };
        let filtered = vec![FilteredPath {
            path: path.clone(),
            decision: FilterDecision::Dropped(DropReason {
                by: "length".into(),
                because: "2 tokens".into(),
            }),
        }];
        let paths = vec![path];
        assert_eq!(
            Vec::<ReasoningPath>::decode(&paths.encode()).unwrap(),
            paths
        );
        assert_eq!(
            Vec::<FilteredPath>::decode(&filtered.encode()).unwrap(),
            filtered
        );
    }

    #[test]
    fn a_bad_row_is_named_by_its_line() {
        let error = Vec::<Question>::decode(b"\n{\"id\": 3}\n").unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("questions artifact, line 2: "),
            "{error}"
        );
    }
}
