//! An artifact as JSON lines, or those of one question.

use serde_json::Value;

use crate::artifact::{Artifact, ArtifactError, ArtifactKind};
use crate::metric::Evaluation;

/// The artifact in `bytes`, at most `rows` rows of it (0 for all), of `question` only where one is
/// named. Rows come out byte for byte as they are stored; of an evaluation, `rows` and `question`
/// choose the outcomes. Single documents (a funnel, a model, a decision) and rows that belong to no question
/// (text, losses) are not chosen from by question.
///
/// # Errors
/// When the bytes are not such an artifact.
pub(crate) fn artifact_json(
    kind: ArtifactKind,
    bytes: &[u8],
    rows: usize,
    question: Option<&str>,
) -> Result<Vec<u8>, ArtifactError> {
    let most = if rows == 0 { usize::MAX } else { rows };
    let id = match kind {
        ArtifactKind::Funnel
        | ArtifactKind::Model
        | ArtifactKind::TextScores
        | ArtifactKind::Decision => {
            return Ok(bytes.to_vec());
        }
        ArtifactKind::Evaluation => {
            let mut evaluation = Evaluation::decode(bytes)?;
            if let Some(id) = question {
                evaluation.outcomes.retain(|each| each.question_id == id);
            }
            evaluation.outcomes.truncate(most);
            return Ok(evaluation.encode());
        }
        ArtifactKind::Text | ArtifactKind::Losses => None,
        ArtifactKind::Questions => Some("id"),
        ArtifactKind::Paths
        | ArtifactKind::FilteredPaths
        | ArtifactKind::Predictions
        | ArtifactKind::Overlap => Some("question_id"),
    };
    let wanted = |line: &&[u8]| match (id, question) {
        (Some(field), Some(question)) => serde_json::from_slice::<Value>(line)
            .is_ok_and(|row| row.get(field).and_then(Value::as_str) == Some(question)),
        _ => true,
    };
    Ok(bytes
        .split_inclusive(|&byte| byte == b'\n')
        .filter(wanted)
        .take(most)
        .collect::<Vec<_>>()
        .concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_chosen_and_stay_as_they_are() {
        let rows =
            b"{\"question_id\":\"a\", \"n\":1}\n{\"question_id\":\"b\"}\n{\"question_id\":\"a\"}\n";
        let of = |rows_wanted, question| {
            let json = artifact_json(ArtifactKind::Paths, rows, rows_wanted, question).unwrap();
            String::from_utf8(json).unwrap()
        };
        assert_eq!(of(0, None).as_bytes(), rows);
        assert_eq!(of(1, None), "{\"question_id\":\"a\", \"n\":1}\n");
        assert_eq!(of(0, Some("b")), "{\"question_id\":\"b\"}\n");
        assert_eq!(of(0, Some("a")).lines().count(), 2);
        assert_eq!(of(1, Some("a")).lines().count(), 1);
        assert_eq!(of(0, Some("c")), "");
    }
}
