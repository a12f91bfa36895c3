//! The paths that the page's browser shows, as data: each text once, however many stages filtered
//! it.
//!
//! In: the store. Out: columns of numbers that point into lists of texts, and what was left out.
//! Questions are taken whole, in the data's order, as long as their rows are within the limit.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::path_rows::{PathRow, StageRows, Writer};
use crate::artifact::ArtifactKind;
use crate::plan::NodeId;
use crate::report::{ReportError, Source};
use crate::text::Question;

/// What the browser shows.
#[derive(Serialize, Default)]
pub(super) struct PathBook {
    /// Id, words and gold answer of each.
    pub(super) questions: Vec<(String, String, String)>,
    /// Verdicts, reasons, ends and first tokens.
    pub(super) words: Vec<String>,
    /// The names of scores.
    pub(super) scores: Vec<String>,
    pub(super) stages: Vec<StageRows>,
    pub(super) paths: Vec<PathRow>,
    /// What was left out, for a person.
    #[serde(skip)]
    pub(super) left_out: Vec<String>,
}

/// A stage whose rows are shown.
pub(super) struct Shown {
    pub(super) node: NodeId,
    pub(super) output: &'static str,
    pub(super) kind: ArtifactKind,
}

/// What of a row tells whether it is wanted.
#[derive(Deserialize)]
pub(super) struct OfQuestion {
    pub(super) question_id: String,
}

impl PathBook {
    /// Reads the book, at most about `limit` rows of paths and as many of answers; 0 for all.
    ///
    /// # Errors
    /// When an artifact cannot be read.
    pub(super) fn read(source: &Source<'_>, limit: usize) -> Result<Self, ReportError> {
        let limit = if limit == 0 { usize::MAX } else { limit };
        let questions = questions(source)?;
        let place: BTreeMap<&str, usize> = questions
            .iter()
            .enumerate()
            .map(|(place, question)| (question.id.as_str(), place))
            .collect();
        let mut writer = Writer::default();
        let shown = shown(source);
        for (answers, what) in [(false, "paths"), (true, "answers")] {
            let of_kind = |each: &&Shown| (each.kind == ArtifactKind::Predictions) == answers;
            let stages: Vec<&Shown> = shown.iter().filter(of_kind).collect();
            let mut rows = vec![0_usize; questions.len()];
            for stage in &stages {
                for id in of_questions(source, stage)? {
                    if let Some(&place) = place.get(id.as_str()) {
                        rows[place] += 1;
                    }
                }
            }
            let (end, told) = within(&rows, limit, what);
            writer.book.left_out.extend(told);
            let wanted = |id: &str| place.get(id).copied().filter(|place| *place < end);
            for stage in stages {
                writer.stage(source, stage, &wanted, &questions)?;
            }
        }
        Ok(writer.book)
    }

    /// Whether there is anything to show.
    pub(super) fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }
}

/// Up to which question all rows are within the limit, and what is said where that is not the last
/// one. The first question with rows is always taken.
fn within(rows: &[usize], limit: usize, what: &str) -> (usize, Option<String>) {
    let (mut sum, mut end) = (0_usize, 0);
    for (place, count) in rows.iter().enumerate() {
        if sum > 0 && *count > 0 && sum.saturating_add(*count) > limit {
            break;
        }
        sum += count;
        end = place + 1;
    }
    let with_rows = |rows: &[usize]| rows.iter().filter(|count| **count > 0).count();
    let all: usize = rows.iter().sum();
    let told = (sum < all).then(|| {
        format!(
            "{what} of the first {} of {} questions are on this page, {sum} of {all}",
            with_rows(&rows[..end]),
            with_rows(rows)
        )
    });
    (end, told)
}

/// Every question in the store, in the order of the stages and their outputs.
fn questions(source: &Source<'_>) -> Result<Vec<Question>, ReportError> {
    let mut all: Vec<Question> = Vec::new();
    let mut known = BTreeSet::new();
    for &node in source.plan.order() {
        for output in source.plan.node(node).kind.outputs() {
            if output.kind != ArtifactKind::Questions {
                continue;
            }
            if let Some((_, questions)) = source.artifact::<Vec<Question>>(node, output.name)? {
                all.extend((questions.into_iter()).filter(|each| known.insert(each.id.clone())));
            }
        }
    }
    Ok(all)
}

/// The stages whose rows are shown: filters, answers, and paths that no filter of these has read.
fn shown(source: &Source<'_>) -> Vec<Shown> {
    let order = source.plan.order();
    let here = |node: NodeId, output: &str| source.digest(node, output).is_some();
    // Rows that went into a stage that passes all of them on are shown there.
    let ran = order
        .iter()
        .filter(|after| (source.outputs)(**after).is_some());
    let passed_on: BTreeSet<(NodeId, &str)> = ran
        .flat_map(|&after| {
            let inputs = source.plan.inputs(after);
            let ports = source.plan.node(after).kind.inputs().iter();
            let passing = ports.filter(|port| port.passes_on);
            passing.flat_map(move |port| {
                let inputs = inputs.clone().into_iter();
                inputs.filter_map(move |(name, from)| port.takes(&name).then_some(from))
            })
        })
        .collect();
    let mut shown = Vec::new();
    for &node in order {
        let outputs = source.plan.node(node).kind.outputs();
        let filters = source
            .output_of(node, ArtifactKind::FilteredPaths)
            .is_some();
        for output in outputs {
            let wanted = match output.kind {
                ArtifactKind::FilteredPaths | ArtifactKind::Predictions => true,
                ArtifactKind::Paths => !filters && !passed_on.contains(&(node, output.name)),
                _ => false,
            };
            if wanted && here(node, output.name) {
                shown.push(Shown {
                    node,
                    output: output.name,
                    kind: output.kind,
                });
            }
        }
    }
    shown
}

pub(super) fn bytes(source: &Source<'_>, stage: &Shown) -> Result<Vec<u8>, ReportError> {
    let Some(digest) = source.digest(stage.node, stage.output) else {
        return Ok(Vec::new());
    };
    Ok(source.store.object(&digest)?.unwrap_or_default())
}

pub(super) fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
}

/// The question of each row.
fn of_questions(source: &Source<'_>, stage: &Shown) -> Result<Vec<String>, ReportError> {
    let bytes = bytes(source, stage)?;
    // A row that cannot be read is told of where it is read whole.
    let id = |line| serde_json::from_slice::<OfQuestion>(line).ok();
    Ok(lines(&bytes)
        .filter_map(id)
        .map(|row| row.question_id)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_taken_whole() {
        let rows = [3, 0, 3, 3];
        assert_eq!(within(&rows, 100, "paths"), (4, None));
        let (end, told) = within(&rows, 7, "paths");
        assert_eq!(end, 3);
        assert_eq!(
            told.unwrap(),
            "paths of the first 2 of 3 questions are on this page, 6 of 9"
        );
        // The first one always, however many rows it has.
        assert_eq!(within(&rows, 1, "paths").0, 2);
        assert_eq!(within(&[], 1, "paths"), (0, None));
    }
}
